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
    ReplayStore store{pool, 0};
    ReplayBody body;
    EXPECT_TRUE(body.is_empty());
    std::string expected;
    for (int i = 0; i < 5; ++i) {
      const std::string octets(piece, static_cast<char>('a' + i));
      body.append(store, octets_of(octets));
      expected += octets;
      ASSERT_EQ(text_of(body), expected) << piece;
      ASSERT_EQ(body.size(), expected.size());
      EXPECT_EQ(pool.bytes_in_use() != 0, expected.size() > 64) << "small ones take no block";
      EXPECT_EQ(store.bytes, expected.size() > 64 ? expected.size() : 0u);
    }
    body.release(store);
    EXPECT_TRUE(body.is_empty());
    EXPECT_EQ(pool.bytes_in_use(), 0u);
    EXPECT_EQ(store.bytes, 0u);
    body.append(store, octets_of("again"));
    EXPECT_EQ(text_of(body), "again");
    body.release(store);
  }
}

TEST(ReplayBody, TheStoreIsFullToTheOctet) {
  base::BlockPool pool;
  ReplayStore store{pool, 300};
  ReplayBody first, second;
  EXPECT_TRUE(first.try_append(store, octets_of(std::string(40, 'a'))));
  EXPECT_TRUE(first.try_append(store, octets_of(std::string(100, 'b'))));
  EXPECT_TRUE(second.try_append(store, octets_of(std::string(64, 'c'))));
  EXPECT_EQ(store.bytes, 140u);
  EXPECT_FALSE(second.try_append(store, octets_of(std::string(97, 'd')))) << "301 with what has to move into the block";
  EXPECT_EQ(text_of(second), std::string(64, 'c'));
  EXPECT_TRUE(second.try_append(store, octets_of(std::string(96, 'd'))));
  EXPECT_EQ(store.bytes, 300u);
  EXPECT_FALSE(first.try_append(store, octets_of("e")));
  EXPECT_FALSE(store.is_over());
  first.append(store, octets_of("e"));
  EXPECT_TRUE(store.is_over());
  first.release(store);
  second.release(store);
  EXPECT_EQ(store.bytes, 0u);
}

}  // namespace
}  // namespace ringway::proxy
