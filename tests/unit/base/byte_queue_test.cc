#include "base/byte_queue.h"

#include <gtest/gtest.h>

#include <string>

#include "base/prng.h"

namespace ringway::base {
namespace {

std::span<const uint8_t> octets_of(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

std::string text_of(const ByteQueue& queue) {
  return {reinterpret_cast<const char*>(queue.data()), queue.size()};
}

TEST(ByteQueue, HoldsNoMemoryWhileEmpty) {
  BlockPool pool;
  ByteQueue queue;
  EXPECT_TRUE(queue.is_empty());
  EXPECT_EQ(queue.capacity(), 0u);
  queue.append(pool, {});
  EXPECT_EQ(pool.bytes_in_use(), 0u);
  queue.append(pool, octets_of("abc"));
  EXPECT_EQ(pool.bytes_in_use(), queue.capacity());
  queue.consume(pool, 3);
  EXPECT_EQ(pool.bytes_in_use(), 0u);
  EXPECT_EQ(queue.capacity(), 0u);
  queue.release(pool);
}

TEST(ByteQueue, BytesComeOutAsTheyWentIn) {
  BlockPool pool;
  ByteQueue queue;
  Prng prng(9);
  std::string expected;
  for (int step = 0; step < 20'000; ++step) {
    // Longer phases of growing and of shrinking reach every way of making room.
    if (prng.below(10) < (step / 1000 % 2 == 0 ? 7u : 3u)) {
      const std::string more(prng.below(step % 100 == 0 ? 20'000 : 300), static_cast<char>('a' + step % 26));
      if (prng.below(2) == 0) {
        queue.append(pool, octets_of(more));
      } else {
        std::copy(more.begin(), more.end(), queue.reserve(pool, static_cast<uint32_t>(more.size()) + prng.below(100)));
        queue.commit(static_cast<uint32_t>(more.size()));
      }
      expected += more;
    } else {
      const uint32_t size = prng.below(queue.size() + 1);
      queue.consume(pool, size);
      expected.erase(0, size);
    }
    ASSERT_EQ(queue.size(), expected.size());
    if (step % 50 == 0) {
      ASSERT_EQ(text_of(queue), expected);
    }
    if (queue.size() > 400'000) queue.release(pool), expected.clear();
  }
  queue.release(pool);
  EXPECT_EQ(pool.bytes_in_use(), 0u);
}

TEST(ByteQueue, ReusesItsBlockWhileHalfOfItIsFree) {
  BlockPool pool;
  ByteQueue queue;
  queue.append(pool, octets_of(std::string(500, 'x')));
  const uint8_t* const block = queue.data();
  queue.consume(pool, 400);
  queue.append(pool, octets_of(std::string(300, 'y')));
  EXPECT_EQ(queue.data(), block);
  EXPECT_EQ(queue.capacity(), 512u);
  EXPECT_EQ(text_of(queue), std::string(100, 'x') + std::string(300, 'y'));
  queue.release(pool);
}

TEST(ByteQueue, MovesAndSwaps) {
  BlockPool pool;
  ByteQueue one;
  one.append(pool, octets_of("one"));
  ByteQueue moved(std::move(one));
  EXPECT_TRUE(one.is_empty());
  EXPECT_EQ(text_of(moved), "one");
  ByteQueue two;
  two.append(pool, octets_of("number two"));
  two.consume(pool, 7);
  two.swap(moved);
  EXPECT_EQ(text_of(two), "one");
  EXPECT_EQ(text_of(moved), "two");
  two.release(pool);
  moved.release(pool);
}

TEST(ByteQueueDeathTest, MisuseIsABug) {
  BlockPool pool;
  ByteQueue queue;
  queue.append(pool, octets_of("abc"));
  EXPECT_DEATH(queue.consume(pool, 4), "assertion failed");
  EXPECT_DEATH(queue.commit(queue.capacity()), "assertion failed");
  EXPECT_DEATH({ ByteQueue lost(std::move(queue)); }, "assertion failed");
  queue.release(pool);
}

}  // namespace
}  // namespace ringway::base
