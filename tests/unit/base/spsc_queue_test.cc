#include "base/spsc_queue.h"

#include <gtest/gtest.h>

#include <memory>
#include <thread>

namespace ringway::base {
namespace {

TEST(SpscQueue, IsFullAtItsCapacity) {
  for (const size_t capacity : {1u, 2u, 8u}) {
    SpscQueue<int> queue(capacity);
    // Several rounds, so that the indexes pass the end of the cells at every offset.
    for (int round = 0; round < 20; ++round) {
      EXPECT_TRUE(queue.is_empty());
      EXPECT_EQ(queue.try_pop(), std::nullopt);
      for (size_t count = 0; count < capacity; ++count) EXPECT_TRUE(queue.try_push(static_cast<int>(count) + round));
      EXPECT_FALSE(queue.try_push(99));
      EXPECT_EQ(queue.try_pop(), round);
      EXPECT_TRUE(queue.try_push(99));
      EXPECT_FALSE(queue.try_push(100));
      for (size_t count = 1; count < capacity; ++count) EXPECT_EQ(queue.try_pop(), static_cast<int>(count) + round);
      EXPECT_EQ(queue.try_pop(), 99);
    }
  }
}

TEST(SpscQueue, CarriesWhatCanOnlyBeMoved) {
  SpscQueue<std::unique_ptr<int>> queue(2);
  ASSERT_TRUE(queue.try_push(std::make_unique<int>(5)));
  auto popped = queue.try_pop();
  ASSERT_TRUE(popped.has_value());
  EXPECT_EQ(**popped, 5);
}

TEST(SpscQueue, TwoThreadsSeeEveryValueInOrder) {
  constexpr uint64_t kCount = 200'000;
  SpscQueue<uint64_t> queue(64);
  std::thread producer([&] {
    for (uint64_t value = 0; value < kCount;) {
      if (queue.try_push(value)) {
        ++value;
      } else {
        std::this_thread::yield();
      }
    }
  });
  uint64_t expected = 0;
  bool in_order = true;
  while (expected < kCount) {
    if (const auto value = queue.try_pop()) {
      in_order = in_order && *value == expected;
      ++expected;
    } else {
      std::this_thread::yield();
    }
  }
  producer.join();
  EXPECT_TRUE(in_order);
  EXPECT_TRUE(queue.is_empty());
}

TEST(SpscQueueDeathTest, CapacityIsAPowerOfTwo) {
  EXPECT_DEATH(SpscQueue<int>(0), "assertion failed");
  EXPECT_DEATH(SpscQueue<int>(3), "assertion failed");
}

}  // namespace
}  // namespace ringway::base
