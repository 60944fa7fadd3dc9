#include "base/block_pool.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "base/prng.h"

namespace ringway::base {
namespace {

TEST(BlockPool, CapacitiesArePowersOfTwo) {
  BlockPool pool;
  const std::pair<size_t, size_t> cases[] = {{0, 512},          {1, 512},          {511, 512},   {512, 512},
                                             {513, 1024},       {1024, 1024},      {1025, 2048}, {65'536, 65'536},
                                             {65'537, 131'072}, {4 << 20, 4 << 20}};
  for (const auto& [size, expected] : cases) {
    size_t capacity = 0;
    uint8_t* const block = pool.take(size, capacity);
    EXPECT_EQ(capacity, expected) << size;
    std::memset(block, 1, capacity);
    EXPECT_EQ(pool.bytes_in_use(), expected);
    pool.give(block, capacity);
    EXPECT_EQ(pool.bytes_in_use(), 0u);
  }
}

TEST(BlockPool, BlocksAreReused) {
  BlockPool pool;
  size_t capacity = 0;
  uint8_t* const first = pool.take(1000, capacity);
  pool.give(first, capacity);
  EXPECT_EQ(pool.bytes_reserved(), 1024u);
  EXPECT_EQ(pool.take(600, capacity), first);
  uint8_t* const second = pool.take(600, capacity);
  EXPECT_NE(second, first);
  EXPECT_EQ(pool.bytes_reserved(), 2048u);
  pool.give(first, 1024);
  pool.give(second, 1024);
  EXPECT_EQ(pool.bytes_reserved(), 2048u);
}

TEST(BlockPool, ABurstDoesNotStayResident) {
  BlockPool pool;
  constexpr size_t kSize = 1 << 20;
  std::vector<uint8_t*> blocks;
  size_t capacity = 0;
  for (int i = 0; i < 10; ++i) blocks.push_back(pool.take(kSize, capacity));
  EXPECT_EQ(pool.bytes_in_use(), 10 * kSize);
  for (uint8_t* block : blocks) pool.give(block, capacity);
  EXPECT_EQ(pool.bytes_in_use(), 0u);
  EXPECT_EQ(pool.bytes_reserved(), 4 * kSize);
}

TEST(BlockPool, NoBlockStaysThatIsLargerThanAClassMayKeep) {
  BlockPool pool;
  for (size_t size = 8 << 20; size <= 64 << 20; size *= 2) {
    size_t capacity = 0;
    uint8_t* const block = pool.take(size, capacity);
    EXPECT_EQ(pool.bytes_reserved(), size);
    pool.give(block, capacity);
    EXPECT_EQ(pool.bytes_reserved(), 0u) << size;
  }
}

TEST(BlockPool, LiveBlocksDoNotOverlap) {
  BlockPool pool;
  Prng prng(2);
  struct Live {
    uint8_t* block;
    size_t capacity;
    uint8_t mark;
  };
  std::vector<Live> live;
  for (int step = 0; step < 5000; ++step) {
    if (live.size() < 50 && prng.below(2) == 0) {
      Live fresh{};
      fresh.block = pool.take(prng.below(20'000), fresh.capacity);
      fresh.mark = static_cast<uint8_t>(step);
      std::memset(fresh.block, fresh.mark, fresh.capacity);
      live.push_back(fresh);
    } else if (!live.empty()) {
      const uint32_t at = prng.below(static_cast<uint32_t>(live.size()));
      ASSERT_EQ(live[at].block[0], live[at].mark);
      ASSERT_EQ(live[at].block[live[at].capacity - 1], live[at].mark);
      pool.give(live[at].block, live[at].capacity);
      live.erase(live.begin() + at);
    }
  }
  for (const Live& each : live) pool.give(each.block, each.capacity);
  EXPECT_EQ(pool.bytes_in_use(), 0u);
}

TEST(BlockPoolDeathTest, LargerThanTheLargestClassIsABug) {
  BlockPool pool;
  size_t capacity = 0;
  EXPECT_DEATH(pool.take((size_t{1} << 31) + 1, capacity), "assertion failed");
}

}  // namespace
}  // namespace ringway::base
