#include "io/address.h"

#include <gtest/gtest.h>

namespace ringway::io {
namespace {

struct Valid {
  const char* text;
  int family;
  uint16_t port;
  const char* printed;
  const char* host;
};

const std::string kLongestPath = "unix:/" + std::string(106, 'a');

TEST(Address, ReadsWhatIsAllowed) {
  const Valid rows[] = {
      {"127.0.0.1:8080", AF_INET, 8080, "127.0.0.1:8080", "127.0.0.1"},
      {"0.0.0.0:0", AF_INET, 0, "0.0.0.0:0", "0.0.0.0"},
      {"255.255.255.255:65535", AF_INET, 65535, "255.255.255.255:65535", "255.255.255.255"},
      {"localhost:1", AF_INET, 1, "127.0.0.1:1", "127.0.0.1"},
      {"[::1]:50051", AF_INET6, 50051, "[::1]:50051", "::1"},
      {"[::]:0", AF_INET6, 0, "[::]:0", "::"},
      {"[2001:DB8:0:0::1]:443", AF_INET6, 443, "[2001:db8::1]:443", "2001:db8::1"},
      {"[::ffff:10.0.0.1]:1", AF_INET6, 1, "[::ffff:10.0.0.1]:1", "::ffff:10.0.0.1"},
      {"unix:/run/ringway.sock", AF_UNIX, 0, "unix:/run/ringway.sock", "unix"},
      {"unix:relative", AF_UNIX, 0, "unix:relative", "unix"},
      {kLongestPath.c_str(), AF_UNIX, 0, kLongestPath.c_str(), "unix"},
  };
  for (const Valid& row : rows) {
    const auto address = Address::parse(row.text);
    ASSERT_TRUE(address) << row.text << ": " << address.error();
    EXPECT_EQ(address->family(), row.family) << row.text;
    EXPECT_EQ(address->is_unix(), row.family == AF_UNIX);
    EXPECT_EQ(address->port(), row.port);
    EXPECT_EQ(address->text(), row.printed);
    EXPECT_EQ(address->host_text(), row.host);
    const auto again = Address::parse(address->text());
    ASSERT_TRUE(again) << address->text();
    EXPECT_EQ(*again, *address);
  }
}

struct Invalid {
  const char* text;
  const char* why;  // part of the message
};

TEST(Address, RefusesTheRestAndSaysWhy) {
  const std::string too_long = kLongestPath + "a";
  const Invalid rows[] = {
      {"", "no port"},
      {"127.0.0.1", "no port"},
      {"127.0.0.1:", "is not a port"},
      {"127.0.0.1:65536", "'65536' is not a port"},
      {"127.0.0.1:-1", "'-1' is not a port"},
      {"127.0.0.1:+1", "is not a port"},
      {"127.0.0.1:80x", "'80x' is not a port"},
      {"127.0.0.1: 80", "is not a port"},
      {"127.0.0.1:99999999999999999999", "is not a port"},
      {":80", "there is no host"},
      {"256.0.0.1:80", "'256.0.0.1' is not an IP address"},
      {"1.2.3:80", "is not an IP address"},
      {"example.com:80", "'example.com' is not an IP address"},
      {"::1:80", "stands in brackets"},
      {"[::1]", "is not a port"},
      {"[]:80", "'' is not an IPv6 address"},
      {"[127.0.0.1]:80", "'127.0.0.1' is not an IPv6 address"},
      {"[::1:80", "stands in brackets"},
      {"unix:", "the path is empty"},
      {too_long.c_str(), "longer than 107 bytes"},
  };
  for (const Invalid& row : rows) {
    const auto address = Address::parse(row.text);
    ASSERT_FALSE(address) << row.text;
    EXPECT_NE(address.error().find(row.why), std::string::npos) << row.text << ": " << address.error();
    EXPECT_NE(address.error().find("allowed:"), std::string::npos) << address.error();
  }
}

TEST(Address, AHostWithANulByteIsRefused) {
  EXPECT_FALSE(Address::parse(std::string_view("127.0.0.1\0x:80", 14)));
  EXPECT_FALSE(Address::parse(std::string_view("[::1\0x]:80", 10)));
  EXPECT_FALSE(Address::parse(std::string_view("unix:/run/a\0b", 13)));
}

TEST(Address, ComparesHostAndPort) {
  EXPECT_EQ(*Address::parse("127.0.0.1:1"), *Address::parse("localhost:1"));
  EXPECT_FALSE(*Address::parse("127.0.0.1:1") == *Address::parse("127.0.0.1:2"));
  EXPECT_FALSE(*Address::parse("127.0.0.1:1") == *Address::parse("127.0.0.2:1"));
  EXPECT_FALSE(*Address::parse("unix:/a") == *Address::parse("unix:/b"));
  EXPECT_EQ(Address(), Address());
}

}  // namespace
}  // namespace ringway::io
