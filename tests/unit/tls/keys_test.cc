#include "tls/keys.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace ringway::tls {
namespace {

std::vector<uint8_t> octets(const std::string& hex) {
  std::vector<uint8_t> out;
  for (size_t i = 0; i + 1 < hex.size(); i += 2)
    out.push_back(static_cast<uint8_t>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  return out;
}

// RFC 8448 section 3, "Simple 1-RTT Handshake": what application traffic is protected with.
TEST(TrafficKeys, AreThoseOfRfc8448) {
  const TrafficKeys server =
      keys_of_secret(Cipher::kAes128Gcm, octets("a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643"));
  EXPECT_TRUE(std::ranges::equal(std::span(server.key).first(16), octets("9f02283b6c9c07efc26bb9f2ac92e356")));
  EXPECT_TRUE(std::ranges::equal(server.iv, octets("cf782b88dd83549aadf1e984")));
  const TrafficKeys client =
      keys_of_secret(Cipher::kAes128Gcm, octets("9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5"));
  EXPECT_TRUE(std::ranges::equal(std::span(client.key).first(16), octets("17422dda596ed5d9acd890e3c63f5051")));
  EXPECT_TRUE(std::ranges::equal(client.iv, octets("5b78923dee08579033e523d9")));
}

TEST(TrafficKeys, AreWiped) {
  TrafficKeys keys = keys_of_secret(Cipher::kAes128Gcm, std::vector<uint8_t>(32, 7));
  keys.wipe();
  EXPECT_TRUE(std::ranges::all_of(keys.key, [](uint8_t octet) { return octet == 0; }));
  EXPECT_TRUE(std::ranges::all_of(keys.iv, [](uint8_t octet) { return octet == 0; }));
  EXPECT_TRUE(std::ranges::all_of(keys.secret, [](uint8_t octet) { return octet == 0; }));
}

TEST(TrafficKeys, AnUpdateBeginsAnew) {
  TrafficKeys keys = keys_of_secret(Cipher::kAes256Gcm, std::vector<uint8_t>(48, 7));
  keys.sequence = 12;
  const TrafficKeys next = updated(keys);
  EXPECT_EQ(next.sequence, 0u);
  EXPECT_EQ(next.cipher, Cipher::kAes256Gcm);
  EXPECT_NE(next.key, keys.key);
  EXPECT_NE(next.secret, keys.secret);
}

}  // namespace
}  // namespace ringway::tls
