#include "io/network.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace ringway::io {
namespace {

Network network(std::string_view text) {
  const auto parsed = Network::parse(text);
  EXPECT_TRUE(parsed) << (parsed ? "" : parsed.error());
  return parsed.value_or(Network());
}

Address address(const std::string& host) {
  return *Address::parse(host.find(':') == std::string::npos ? host + ":1" : "[" + host + "]:1");
}

TEST(Network, HoldsFromItsFirstToItsLastAddress) {
  struct Case {
    const char* network;
    std::vector<const char*> inside;
    std::vector<const char*> outside;
  };
  const Case cases[] = {
      {"10.0.0.0/8", {"10.0.0.0", "10.255.255.255"}, {"9.255.255.255", "11.0.0.0"}},
      {"10.16.0.0/12", {"10.16.0.0", "10.31.255.255"}, {"10.15.255.255", "10.32.0.0"}},
      {"192.0.2.128/25", {"192.0.2.128", "192.0.2.255"}, {"192.0.2.127", "192.0.3.0"}},
      {"192.0.2.7/32", {"192.0.2.7"}, {"192.0.2.6", "192.0.2.8"}},
      {"192.0.2.7", {"192.0.2.7"}, {"192.0.2.6", "192.0.2.8"}},
      {"192.0.2.6/31", {"192.0.2.6", "192.0.2.7"}, {"192.0.2.5", "192.0.2.8"}},
      {"128.0.0.0/1", {"128.0.0.0", "255.255.255.255"}, {"127.255.255.255", "0.0.0.0"}},
      {"0.0.0.0/0", {"0.0.0.0", "255.255.255.255", "::ffff:1.2.3.4"}, {"::", "::1", "fe80::1"}},
      {"fd00::/8", {"fd00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"}, {"fcff::", "fe00::", "253.0.0.0"}},
      {"2001:db8::/33", {"2001:db8::", "2001:db8:7fff:ffff::"}, {"2001:db8:8000::", "2001:db7:ffff::"}},
      {"::1", {"::1"}, {"::", "::2", "0.0.0.1"}},
      {"::/0", {"::", "ffff::", "::1"}, {"1.2.3.4", "::ffff:1.2.3.4"}},
      // IPv4 on an IPv6 socket is IPv4, on both sides.
      {"10.0.0.0/8", {"::ffff:10.1.2.3"}, {"::ffff:11.1.2.3", "::10.1.2.3"}},
      {"::ffff:10.0.0.0/104", {"10.1.2.3", "::ffff:10.1.2.3"}, {"11.0.0.0"}},
      {"::ffff:0:0/96", {"1.2.3.4", "::ffff:1.2.3.4"}, {"::1"}},
  };
  for (const Case& each : cases) {
    const Network made = network(each.network);
    for (const char* inside : each.inside) EXPECT_TRUE(made.holds(address(inside))) << each.network << " " << inside;
    for (const char* outside : each.outside) {
      EXPECT_FALSE(made.holds(address(outside))) << each.network << " " << outside;
    }
  }
}

TEST(Network, EveryLengthOfAPrefix) {
  for (int bits = 1; bits <= 32; ++bits) {
    // The highest network of that length, and the address below it.
    const uint32_t first = 0xffffffffu << (32 - bits);
    const auto host = [](uint32_t value) {
      return std::to_string(value >> 24) + "." + std::to_string(value >> 16 & 255) + "." +
             std::to_string(value >> 8 & 255) + "." + std::to_string(value & 255);
    };
    const Network made = network(host(first) + "/" + std::to_string(bits));
    EXPECT_TRUE(made.holds(address(host(first)))) << bits;
    EXPECT_TRUE(made.holds(address("255.255.255.255"))) << bits;
    EXPECT_FALSE(made.holds(address(host(first - 1)))) << bits;
  }
}

TEST(Network, NoneHoldsAUnixSocket) {
  EXPECT_FALSE(network("0.0.0.0/0").holds(*Address::parse("unix:/tmp/a")));
  EXPECT_FALSE(network("::/0").holds(*Address::parse("unix:/tmp/a")));
  EXPECT_FALSE(Network().holds(*Address::parse("unix:/tmp/a")));
  EXPECT_FALSE(Network().holds(Address()));
}

TEST(Network, AnyOfAList) {
  const std::vector<Network> list = {network("10.0.0.0/8"), network("fd00::/8")};
  EXPECT_TRUE(any_holds(list, address("10.1.1.1")));
  EXPECT_TRUE(any_holds(list, address("fd00::1")));
  EXPECT_FALSE(any_holds(list, address("11.1.1.1")));
  EXPECT_FALSE(any_holds({}, address("10.1.1.1")));
}

TEST(Network, IsPrintedAsItIsRead) {
  for (const char* text : {"10.0.0.0/8", "0.0.0.0/0", "192.0.2.7/32", "fd00::/8", "::/0", "::1/128", "2001:db8::/33"}) {
    EXPECT_EQ(network(text).text(), text);
  }
  EXPECT_EQ(network("192.0.2.7").text(), "192.0.2.7/32");
  EXPECT_EQ(network("::ffff:10.0.0.0/104").text(), "10.0.0.0/8");
}

TEST(Network, WhatIsNone) {
  const std::string allowed = ", allowed: an IPv4 or IPv6 network, as 10.0.0.0/8, fd00::/8 or 192.0.2.7";
  const std::pair<std::string, std::string> cases[] = {
      {"", "'' is not an IP address"},
      {"/8", "'' is not an IP address"},
      {"10.0.0/8", "'10.0.0' is not an IP address"},
      {"10.0.0.256/8", "'10.0.0.256' is not an IP address"},
      {"010.0.0.0/8", "'010.0.0.0' is not an IP address"},
      {"localhost", "'localhost' is not an IP address"},
      {"[::1]", "'[::1]' is not an IP address"},
      {"fe80::1%eth0", "'fe80::1%eth0' is not an IP address"},
      {" 10.0.0.0/8", "' 10.0.0.0' is not an IP address"},
      {"10.0.0.0/", "'' is not a length from 0 to 32"},
      {"10.0.0.0/33", "'33' is not a length from 0 to 32"},
      {"10.0.0.0/-1", "'-1' is not a length from 0 to 32"},
      {"10.0.0.0/8 ", "'8 ' is not a length from 0 to 32"},
      {"10.0.0.0/8/8", "'8/8' is not a length from 0 to 32"},
      {"10.0.0.0/99999999999999999999", "'99999999999999999999' is not a length from 0 to 32"},
      {"::/129", "'129' is not a length from 0 to 128"},
      {"10.0.0.1/8", "bits are set behind the first 8, '10.0.0.0/8' has none"},
      {"10.0.0.1/31", "bits are set behind the first 31, '10.0.0.0/31' has none"},
      {"0.0.0.1/0", "bits are set behind the first 0, '0.0.0.0/0' has none"},
      {"fd00::1/64", "bits are set behind the first 64, 'fd00::/64' has none"},
  };
  for (const auto& [text, why] : cases) {
    const auto parsed = Network::parse(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error(), "'" + text + "': " + why + allowed);
  }
  EXPECT_EQ(Network::parse(std::string_view("1.1.1.1\0/8", 10)).error(), "'1.1.1.1': a zero byte follows" + allowed);
}

}  // namespace
}  // namespace ringway::io
