#include "proxy/proxy_header.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <optional>

#include "h2/frame.h"

namespace ringway::proxy {
namespace {

using State = ProxyHeader::State;
using Octets = std::span<const uint8_t>;

constexpr std::string_view kSignatureV1 = "PROXY ";
constexpr std::string_view kSignatureV2("\r\n\r\n\0\r\nQUIT\n", 12);

// Version 2 (section 2.2): signature, version and command, family and transport, length; then the addresses, then TLVs.
constexpr size_t kFixedSize = 16;
constexpr uint8_t kLocal = 0x20;
constexpr uint8_t kProxy = 0x21;
constexpr uint8_t kUnspecified = 0x00;
constexpr size_t kInetSize = 12;
constexpr size_t kInet6Size = 36;
constexpr size_t kUnixSize = 216;
constexpr uint8_t kTlvCrc32c = 0x03;

Octets octets_of(std::string_view text) noexcept {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

ProxyHeader malformed(std::string_view problem, Octets culprit) noexcept {
  ProxyHeader header;
  header.state = State::kMalformed;
  header.problem = problem;
  header.culprit = culprit;
  return header;
}

ProxyHeader complete(size_t size, const io::Address* client) noexcept {
  ProxyHeader header;
  header.state = State::kComplete;
  header.size = static_cast<uint32_t>(size);
  header.is_local = client == nullptr;
  if (client != nullptr) header.client = *client;
  return header;
}

// Decimal and without leading zeros.
std::optional<uint16_t> parse_port(std::string_view text) noexcept {
  unsigned port = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), port);
  const bool is_whole = status == std::errc{} && end == text.data() + text.size() && port <= 65535;
  if (!is_whole || (text.size() > 1 && text[0] == '0')) return std::nullopt;
  return static_cast<uint16_t>(port);
}

io::Address make_address(int family, const void* host, uint16_t port) noexcept {
  if (family == AF_INET) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    std::memcpy(&v4.sin_addr, host, sizeof v4.sin_addr);
    return {reinterpret_cast<const sockaddr*>(&v4), sizeof v4};
  }
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(port);
  std::memcpy(&v6.sin6_addr, host, sizeof v6.sin6_addr);
  return {reinterpret_cast<const sockaddr*>(&v6), sizeof v6};
}

// False: it is none of that family.
bool parse_host(int family, std::string_view text, in6_addr& host) noexcept {
  char terminated[INET6_ADDRSTRLEN] = {};
  if (text.empty() || text.size() >= sizeof terminated || text.find('\0') != std::string_view::npos) return false;
  std::copy(text.begin(), text.end(), terminated);
  return inet_pton(family, terminated, &host) == 1;
}

// "TCP4 192.0.2.7 10.0.0.1 40000 8080": what stands between signature and line end. `size` is of the whole header.
ProxyHeader parse_line(std::string_view line, size_t size) noexcept {
  // Whatever follows UNKNOWN is to be ignored (section 2.1).
  if (line == "UNKNOWN" || line.starts_with("UNKNOWN ")) return complete(size, nullptr);
  std::array<std::string_view, 5> words;
  size_t count = 0;
  for (std::string_view rest = line;;) {
    const size_t end = rest.find(' ');
    if (count == words.size()) return malformed("it has more than five fields", octets_of(line));
    words[count++] = rest.substr(0, end);
    if (end == std::string_view::npos) break;
    rest.remove_prefix(end + 1);
  }
  const int family = words[0] == "TCP4" ? AF_INET : words[0] == "TCP6" ? AF_INET6 : AF_UNSPEC;
  if (family == AF_UNSPEC) return malformed("the protocol is not TCP4, TCP6 or UNKNOWN", octets_of(words[0]));
  if (count != words.size()) return malformed("it has fewer than five fields", octets_of(line));
  in6_addr hosts[2];
  uint16_t ports[2];
  for (size_t i = 0; i < 2; ++i) {
    if (!parse_host(family, words[1 + i], hosts[i])) {
      return malformed("the address is none of its protocol", octets_of(words[1 + i]));
    }
    const auto port = parse_port(words[3 + i]);
    if (!port) return malformed("the port is not a number from 0 to 65535", octets_of(words[3 + i]));
    ports[i] = *port;
  }
  const io::Address client = make_address(family, &hosts[0], ports[0]);
  return complete(size, &client);
}

ProxyHeader parse_v1(std::string_view text) noexcept {
  const std::string_view bounded = text.substr(0, kProxyHeaderV1Max);
  const size_t end = bounded.find('\n');
  if (end == std::string_view::npos) {
    return text.size() < kProxyHeaderV1Max ? ProxyHeader()
                                           : malformed("it is longer than 107 octets", octets_of(bounded));
  }
  std::string_view line = bounded.substr(kSignatureV1.size(), end - kSignatureV1.size());
  if (!line.ends_with('\r'))
    return malformed("its line does not end with CR LF", octets_of(bounded.substr(0, end + 1)));
  line.remove_suffix(1);
  return parse_line(line, end + 1);
}

// The octets of the addresses of that family and transport; none when there is no such pair.
std::optional<size_t> address_size(uint8_t family) noexcept {
  switch (family) {
    case kUnspecified: return 0;
    case 0x11:
    case 0x12: return kInetSize;
    case 0x21:
    case 0x22: return kInet6Size;
    case 0x31:
    case 0x32: return kUnixSize;
    default: return std::nullopt;
  }
}

// CRC-32C of the header with the four octets at `value` taken for zeros, as its sender computed it.
bool is_checksum_right(Octets header, Octets value) noexcept {
  std::array<uint8_t, kProxyHeaderV2Max> copy;
  std::copy(header.begin(), header.end(), copy.begin());
  std::fill_n(copy.begin() + (value.data() - header.data()), value.size(), uint8_t{0});
  return crc32c({copy.data(), header.size()}) == h2::load_32(value.data());
}

// Type, two octets of length, value. They are passed over, but for the checksum; null: they are as they should be.
std::optional<ProxyHeader> find_problem_of_tlvs(Octets header, size_t offset) noexcept {
  while (offset != header.size()) {
    const Octets rest = header.subspan(offset);
    if (rest.size() < 3) return malformed("a TLV is cut", rest);
    const size_t size = h2::load_16(rest.data() + 1);
    if (rest.size() - 3 < size) return malformed("a TLV is longer than the header", rest.first(3));
    const Octets value = rest.subspan(3, size);
    if (rest[0] == kTlvCrc32c) {
      if (size != 4) return malformed("its checksum has not four octets", rest.first(3));
      if (!is_checksum_right(header, value)) return malformed("its checksum is wrong", value);
    }
    offset += 3 + size;
  }
  return std::nullopt;
}

ProxyHeader parse_v2(Octets octets) noexcept {
  const size_t signature = kSignatureV2.size();
  if (octets.size() <= signature) return {};
  const uint8_t command = octets[signature];
  if (command != kLocal && command != kProxy) {
    return malformed((command & 0xf0) == 0x20 ? "its command is neither LOCAL nor PROXY" : "its version is not 2",
                     octets.subspan(signature, 1));
  }
  if (octets.size() < kFixedSize) return {};
  const size_t size = kFixedSize + h2::load_16(octets.data() + signature + 2);
  if (size > kProxyHeaderV2Max) return malformed("it is longer than 4,112 octets", octets.subspan(signature + 2, 2));
  const uint8_t family = octets[signature + 1];
  const auto addresses = address_size(family);
  if (command == kProxy) {
    if (!addresses) return malformed("its address family and transport are none", octets.subspan(signature + 1, 1));
    if (size - kFixedSize < *addresses) {
      return malformed("it is shorter than its addresses", octets.subspan(signature + 1, 3));
    }
  }
  if (octets.size() < size) return {};
  // The rest of a LOCAL header is to be passed over, whatever it is (section 2.2).
  if (command == kLocal) return complete(size, nullptr);
  const Octets header = octets.first(size);
  if (const auto problem = find_problem_of_tlvs(header, kFixedSize + *addresses)) return *problem;
  const uint8_t* const p = header.data() + kFixedSize;
  io::Address client;
  switch (*addresses) {
    case 0: return complete(size, nullptr);
    case kInetSize: client = make_address(AF_INET, p, h2::load_16(p + 8)); break;
    case kInet6Size: client = make_address(AF_INET6, p, h2::load_16(p + 32)); break;
    default: {
      sockaddr_un un{};
      un.sun_family = AF_UNIX;
      client = {reinterpret_cast<const sockaddr*>(&un), offsetof(sockaddr_un, sun_path)};
    }
  }
  return complete(size, &client);
}

bool agrees(std::string_view text, std::string_view signature) noexcept {
  const size_t size = std::min(text.size(), signature.size());
  return text.substr(0, size) == signature.substr(0, size);
}

}  // namespace

ProxyHeader parse_proxy_header(Octets octets) noexcept {
  const std::string_view text(reinterpret_cast<const char*>(octets.data()), octets.size());
  if (agrees(text, kSignatureV1)) return text.size() < kSignatureV1.size() ? ProxyHeader() : parse_v1(text);
  if (agrees(text, kSignatureV2)) return parse_v2(octets);
  ProxyHeader header;
  header.state = State::kAbsent;
  return header;
}

// One bit at a time: once a connection, of few octets.
size_t proxy_header_wants(std::span<const uint8_t> octets) noexcept {
  if (parse_proxy_header(octets).state != State::kIncomplete) return 0;
  if (octets.size() < kSignatureV2.size()) return kSignatureV2.size() - octets.size();
  if (octets[0] != static_cast<uint8_t>(kSignatureV2[0])) return 1;  // version 1 ends with a line
  if (octets.size() < kFixedSize) return kFixedSize - octets.size();
  return kFixedSize + (size_t{octets[14]} << 8 | octets[15]) - octets.size();
}

uint32_t crc32c(Octets octets) noexcept {
  constexpr uint32_t kReversedPolynomial = 0x82f63b78;
  uint32_t crc = 0xffffffff;
  for (const uint8_t octet : octets) {
    crc ^= octet;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ ((crc & 1) != 0 ? kReversedPolynomial : 0);
  }
  return ~crc;
}

}  // namespace ringway::proxy
