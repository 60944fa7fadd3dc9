#include "proxy/replay_body.h"

#include <gtest/gtest.h>

#include <string>

namespace ringway::proxy {
namespace {

std::span<const uint8_t> octets_of(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

std::string text_of(const ReplayBody& body) {
  return {reinterpret_cast<const char*>(body.bytes().data()), body.bytes().size()};
}

// In pieces of every size, so that the octets move into a block at every possible place.
TEST(ReplayBody, KeepsWhatItIsGiven) {
  for (size_t piece = 1; piece <= 130; ++piece) {
    base::BlockPool pool;
    ReplayBody body;
    EXPECT_TRUE(body.is_empty());
    std::string expected;
    for (int i = 0; i < 5; ++i) {
      const std::string octets(piece, static_cast<char>('a' + i));
      body.append(pool, octets_of(octets));
      expected += octets;
      ASSERT_EQ(text_of(body), expected) << piece;
      ASSERT_EQ(body.size(), expected.size());
      EXPECT_EQ(pool.bytes_in_use() != 0, expected.size() > 64) << "small ones take no block";
    }
    body.release(pool);
    EXPECT_TRUE(body.is_empty());
    EXPECT_EQ(pool.bytes_in_use(), 0u);
    body.append(pool, octets_of("again"));
    EXPECT_EQ(text_of(body), "again");
    body.release(pool);
  }
}

}  // namespace
}  // namespace ringway::proxy
