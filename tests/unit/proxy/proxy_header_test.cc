// Every header is fed as it grows octet by octet, with something behind it, and with every truncated length; what is
// wrong is told by the octet that makes it so.
#include "proxy/proxy_header.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace ringway::proxy {
namespace {

using namespace std::string_literals;
using State = ProxyHeader::State;

const std::string kSignature = "\r\n\r\n\0\r\nQUIT\n"s;
const std::string kBehind = "PRI * HTTP/2.0\r\n";

std::span<const uint8_t> octets_of(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

ProxyHeader parse(std::string_view text) {
  return parse_proxy_header(octets_of(text));
}

std::string u16(size_t value) {
  return {static_cast<char>(value >> 8), static_cast<char>(value)};
}

std::string v2(int command, int family, const std::string& rest) {
  return kSignature + static_cast<char>(command) + static_cast<char>(family) + u16(rest.size()) + rest;
}

std::string tlv(uint8_t type, const std::string& value) {
  return static_cast<char>(type) + u16(value.size()) + value;
}

const std::string kInet = "\xc0\x00\x02\x07\x0a\x00\x00\x01"s + u16(40000) + u16(8080);
const std::string kInet6 =
    "\x20\x01\x0d\xb8"s + std::string(11, '\0') + "\x07" + std::string(15, '\0') + "\x01" + u16(40000) + u16(8080);
const std::string kUnix = "/tmp/client"s + std::string(97, '\0') + std::string(108, '\0');

void expect_complete(const std::string& header, const std::string& client) {
  for (size_t size = 0; size < header.size(); ++size) {
    ASSERT_EQ(parse(header.substr(0, size)).state, State::kIncomplete) << header << " cut to " << size;
  }
  for (const std::string& behind : {""s, "x"s, kBehind, "PROXY "s}) {
    const ProxyHeader parsed = parse(header + behind);
    ASSERT_EQ(parsed.state, State::kComplete) << header << parsed.problem;
    EXPECT_EQ(parsed.size, header.size());
    EXPECT_EQ(parsed.is_local, client.empty());
    if (!client.empty()) {
      EXPECT_EQ(parsed.client.text(), client);
    }
  }
}

// Undecided before the octet at `told_by`, then malformed whatever follows.
void expect_malformed(const std::string& header, std::string_view problem, std::string_view culprit, size_t told_by) {
  for (size_t size = 0; size < told_by; ++size) {
    ASSERT_EQ(parse(header.substr(0, size)).state, State::kIncomplete) << header << " cut to " << size;
  }
  for (size_t size = told_by; size <= header.size(); ++size) {
    const ProxyHeader parsed = parse(std::string_view(header).substr(0, size));
    ASSERT_EQ(parsed.state, State::kMalformed) << header << " cut to " << size;
    EXPECT_EQ(parsed.problem, problem) << header;
    EXPECT_EQ(std::string(parsed.culprit.begin(), parsed.culprit.end()), culprit) << header;
  }
}

void expect_malformed_line(const std::string& line, std::string_view problem, std::string_view culprit) {
  const std::string header = "PROXY " + line + "\r\n";
  expect_malformed(header, problem, culprit, header.size());
}

TEST(ProxyHeader, Version1) {
  expect_complete("PROXY TCP4 192.0.2.7 10.0.0.1 40000 8080\r\n", "192.0.2.7:40000");
  expect_complete("PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n", "0.0.0.0:0");
  expect_complete("PROXY TCP6 2001:db8::7 ::1 65535 1\r\n", "[2001:db8::7]:65535");
  expect_complete("PROXY TCP6 ::ffff:192.0.2.7 ::1 1 1\r\n", "[::ffff:192.0.2.7]:1");
  expect_complete("PROXY UNKNOWN\r\n", "");
  expect_complete("PROXY UNKNOWN whatever 1 2 3 \t\r 9 9\r\n", "");
}

TEST(ProxyHeader, Version1AtItsLongest) {
  const std::string longest =
      "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
      "65535 65535\r\n";
  EXPECT_EQ(longest.size(), 104u);
  expect_complete(longest, "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
  const std::string begin = "PROXY UNKNOWN ";
  const auto of_size = [&](size_t size) { return begin + std::string(size - begin.size() - 2, 'x') + "\r\n"; };
  expect_complete(of_size(kProxyHeaderV1Max - 1), "");
  expect_complete(of_size(kProxyHeaderV1Max), "");
  const std::string over = of_size(kProxyHeaderV1Max + 1);
  expect_malformed(over, "it is longer than 107 octets", over.substr(0, 107), 107);
  const std::string endless = begin + std::string(5000, 'x');
  expect_malformed(endless, "it is longer than 107 octets", endless.substr(0, 107), 107);
}

TEST(ProxyHeader, Version1Malformed) {
  const std::string protocol = "the protocol is not TCP4, TCP6 or UNKNOWN";
  expect_malformed_line("", protocol, "");
  expect_malformed_line("TCP5 1.1.1.1 2.2.2.2 1 2", protocol, "TCP5");
  expect_malformed_line("tcp4 1.1.1.1 2.2.2.2 1 2", protocol, "tcp4");
  expect_malformed_line(" TCP4 1.1.1.1 2.2.2.2 1", protocol, "");
  expect_malformed_line("UNKNOWNS", protocol, "UNKNOWNS");
  expect_malformed_line("TCP4", "it has fewer than five fields", "TCP4");
  expect_malformed_line("TCP4 1.1.1.1 2.2.2.2 1", "it has fewer than five fields", "TCP4 1.1.1.1 2.2.2.2 1");
  expect_malformed_line("TCP4 1.1.1.1 2.2.2.2 1 2 3", "it has more than five fields", "TCP4 1.1.1.1 2.2.2.2 1 2 3");
  expect_malformed_line("TCP4 1.1.1.1 2.2.2.2 1 2 ", "it has more than five fields", "TCP4 1.1.1.1 2.2.2.2 1 2 ");
  const std::string address = "the address is none of its protocol";
  for (const std::string bad : {"1.1.1", "1.1.1.256", "01.1.1.1", "1.1.1.1.1", "::1", "localhost", "", "1.1.1.1\t"}) {
    expect_malformed_line("TCP4 " + bad + " 2.2.2.2 1 2", address, bad);
    expect_malformed_line("TCP4 2.2.2.2 " + bad + " 1 2", address, bad);
  }
  for (const std::string bad : {"1.1.1.1", ":::", "[::1]", "fe80::1%eth0", "12345::", ""}) {
    expect_malformed_line("TCP6 " + bad + " ::2 1 2", address, bad);
    expect_malformed_line("TCP6 ::2 " + bad + " 1 2", address, bad);
  }
  expect_malformed_line("TCP4 1.1.1.1\0 2.2.2.2 1 2"s, address, "1.1.1.1\0"s);
  const std::string port = "the port is not a number from 0 to 65535";
  for (const std::string bad : {"65536", "-1", "+1", "01", "00", "1a", "0x1", "99999999999999999999"}) {
    expect_malformed_line("TCP4 1.1.1.1 2.2.2.2 " + bad + " 2", port, bad);
    expect_malformed_line("TCP4 1.1.1.1 2.2.2.2 1 " + bad, port, bad);
  }
  const std::string no_return = "PROXY TCP4 1.1.1.1 2.2.2.2 1 2\n";
  expect_malformed(no_return, "its line does not end with CR LF", no_return, no_return.size());
}

TEST(ProxyHeader, Version2) {
  for (const int transport : {1, 2}) {
    expect_complete(v2(0x21, 0x10 | transport, kInet), "192.0.2.7:40000");
    expect_complete(v2(0x21, 0x20 | transport, kInet6), "[2001:db8::7]:40000");
    expect_complete(v2(0x21, 0x30 | transport, kUnix), "unix:");
  }
  EXPECT_EQ(parse(v2(0x21, 0x31, kUnix)).client.host_text(), "unix");
  EXPECT_TRUE(parse(v2(0x21, 0x31, kUnix)).client.is_unix());
  expect_complete(v2(0x21, 0x00, ""), "");
  expect_complete(v2(0x20, 0x00, ""), "");
  // What a LOCAL header carries is nobody's business.
  expect_complete(v2(0x20, 0x11, kInet), "");
  expect_complete(v2(0x20, 0xff, "\x01"), "");
}

TEST(ProxyHeader, Version2WithTlvs) {
  expect_complete(v2(0x21, 0x11, kInet + tlv(0x04, "")), "192.0.2.7:40000");
  expect_complete(v2(0x21, 0x11, kInet + tlv(0x01, "h2") + tlv(0xe0, std::string(300, '\xff'))), "192.0.2.7:40000");
  expect_complete(v2(0x21, 0x21, kInet6 + tlv(0x02, "shop.example")), "[2001:db8::7]:40000");
  expect_complete(v2(0x21, 0x00, tlv(0x05, "unique")), "");
  const auto expect_problem = [](const std::string& header, std::string_view problem, std::string_view culprit) {
    expect_malformed(header, problem, culprit, header.size());
  };
  expect_problem(v2(0x21, 0x11, kInet + "\x04"), "a TLV is cut", "\x04");
  expect_problem(v2(0x21, 0x11, kInet + tlv(0x04, "a") + "\x04\0"s), "a TLV is cut", "\x04\0"s);
  expect_problem(v2(0x21, 0x11, kInet + "\x04\0\x01"s), "a TLV is longer than the header", "\x04\0\x01"s);
  expect_problem(v2(0x21, 0x11, kInet + tlv(0x04, "abc").substr(0, 5)), "a TLV is longer than the header",
                 "\x04\0\x03"s);
}

TEST(ProxyHeader, Version2AtItsLongest) {
  const auto of_size = [](size_t size) {
    return v2(0x21, 0x11, kInet + tlv(0x04, std::string(size - 16 - kInet.size() - 3, 'n')));
  };
  EXPECT_EQ(of_size(kProxyHeaderV2Max).size(), kProxyHeaderV2Max);
  expect_complete(of_size(kProxyHeaderV2Max - 1), "192.0.2.7:40000");
  expect_complete(of_size(kProxyHeaderV2Max), "192.0.2.7:40000");
  expect_malformed(of_size(kProxyHeaderV2Max + 1), "it is longer than 4,112 octets", u16(4097), 16);
  expect_malformed(v2(0x20, 0x00, std::string(4097, 'x')), "it is longer than 4,112 octets", u16(4097), 16);
  expect_malformed(kSignature + "\x21\x11\xff\xff", "it is longer than 4,112 octets", "\xff\xff", 16);
}

TEST(ProxyHeader, Version2Malformed) {
  for (const char command : "\x00\x01\x10\x11\x30\x31\xf1"s) {
    expect_malformed(v2(command, 0x11, kInet), "its version is not 2", std::string(1, command), 13);
  }
  for (const char command : "\x22\x23\x2f"s) {
    expect_malformed(v2(command, 0x11, kInet), "its command is neither LOCAL nor PROXY", std::string(1, command), 13);
  }
  for (const char family : "\x01\x02\x10\x13\x20\x23\x30\x33\x40\x41\xff"s) {
    expect_malformed(v2(0x21, family, kUnix), "its address family and transport are none", std::string(1, family), 16);
  }
  const std::pair<char, std::string> families[] = {{'\x11', kInet}, {'\x21', kInet6}, {'\x31', kUnix}};
  for (const auto& [family, addresses] : families) {
    for (const size_t size : {size_t{0}, size_t{1}, addresses.size() - 1}) {
      expect_malformed(v2(0x21, family, addresses.substr(0, size)), "it is shorter than its addresses",
                       std::string(1, family) + u16(size), 16);
    }
  }
}

TEST(ProxyHeader, Checksum) {
  // RFC 3720 appendix B.4: 32 octets of zeros, of ones, ascending; and the check value of the polynomial.
  std::string ascending;
  for (char i = 0; i < 32; ++i) ascending += i;
  EXPECT_EQ(crc32c(octets_of(std::string(32, '\0'))), 0x8a9136aau);
  EXPECT_EQ(crc32c(octets_of(std::string(32, '\xff'))), 0x62a8ab43u);
  EXPECT_EQ(crc32c(octets_of(ascending)), 0x46dd794eu);
  EXPECT_EQ(crc32c(octets_of("123456789")), 0xe3069283u);
  EXPECT_EQ(crc32c({}), 0u);

  const std::string zero(4, '\0');
  std::string header = v2(0x21, 0x11, kInet + tlv(0x04, "ab") + tlv(0x03, zero) + tlv(0x04, "c"));
  const size_t at = header.size() - 8;
  const uint32_t sum = crc32c(octets_of(header));
  for (size_t i = 0; i < 4; ++i) header[at + i] = static_cast<char>(sum >> (24 - 8 * i));
  expect_complete(header, "192.0.2.7:40000");
  // Any other octet anywhere but in the signature is told; most by the sum.
  for (const size_t changed : {size_t{16}, size_t{27}, at - 5, at, at + 3, header.size() - 1}) {
    std::string other = header;
    other[changed] = static_cast<char>(other[changed] ^ 1);
    const ProxyHeader parsed = parse(other);
    EXPECT_EQ(parsed.state, State::kMalformed) << changed;
    EXPECT_EQ(parsed.problem, "its checksum is wrong") << changed;
    EXPECT_EQ(std::string(parsed.culprit.begin(), parsed.culprit.end()), other.substr(at, 4)) << changed;
  }
  for (const size_t size : {size_t{0}, size_t{3}, size_t{5}}) {
    expect_malformed(v2(0x21, 0x11, kInet + tlv(0x03, std::string(size, '\0'))), "its checksum has not four octets",
                     tlv(0x03, std::string(size, '\0')).substr(0, 3), 16 + kInet.size() + 3 + size);
  }
}

TEST(ProxyHeader, SomethingElse) {
  const auto expect_absent = [](const std::string& octets, size_t told_by) {
    for (size_t size = 0; size <= octets.size(); ++size) {
      EXPECT_EQ(parse(octets.substr(0, size)).state, size < told_by ? State::kIncomplete : State::kAbsent)
          << octets << " cut to " << size;
    }
  };
  expect_absent("PRI * HTTP/2.0\r\n", 3);
  expect_absent("GET / HTTP/1.1\r\n", 1);
  expect_absent("PROXYTCP4", 6);
  expect_absent("PROXIES ", 5);
  expect_absent("\x16\x03\x01", 1);
  expect_absent("\r\nGET / HTTP/1.1\r\n", 3);
  expect_absent("\r\n\r\n\0\r\nQUIT\r"s, 12);
  expect_absent("\0"s, 1);
}

}  // namespace
}  // namespace ringway::proxy
