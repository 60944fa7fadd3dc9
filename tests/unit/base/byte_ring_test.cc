#include "base/byte_ring.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>

#include "base/prng.h"

namespace ringway::base {
namespace {

std::string take(ByteRing& ring) {
  const ByteRing::Readable readable = ring.readable();
  std::string text(readable.first.begin(), readable.first.end());
  text.append(readable.second.begin(), readable.second.end());
  ring.consume(text.size());
  return text;
}

TEST(ByteRing, ALineIsThereCompletelyOrNotAtAll) {
  for (const size_t line_size : {15u, 16u, 17u}) {
    ByteRing ring(16);
    const std::string line(line_size, 'x');
    EXPECT_EQ(ring.try_append(line), line_size <= 16);
    EXPECT_EQ(ring.dropped_count(), line_size <= 16 ? 0u : 1u);
    EXPECT_EQ(take(ring), line_size <= 16 ? line : "");
  }
}

TEST(ByteRing, FullDropsAndCountsUntilTheReaderMakesRoom) {
  ByteRing ring(16);
  EXPECT_TRUE(ring.try_append(std::string("0123456789")));
  EXPECT_FALSE(ring.try_append(std::string("abcdefg")));
  EXPECT_FALSE(ring.try_append(std::string("abcdefg")));
  EXPECT_TRUE(ring.try_append(std::string("abcdef")));
  EXPECT_EQ(ring.dropped_count(), 2u);
  EXPECT_FALSE(ring.is_empty());
  ring.consume(1);
  EXPECT_TRUE(ring.try_append(std::string("g")));
  EXPECT_FALSE(ring.try_append(std::string("h")));
  EXPECT_EQ(take(ring), "123456789abcdefg");
  EXPECT_TRUE(ring.is_empty());
}

TEST(ByteRing, KnowsWhenItIsPastHalf) {
  ByteRing ring(16);
  EXPECT_TRUE(ring.try_append(std::string(8, 'x')));
  EXPECT_FALSE(ring.is_past_half());
  EXPECT_TRUE(ring.try_append(std::string(1, 'x')));
  EXPECT_TRUE(ring.is_past_half());
  ring.consume(1);
  EXPECT_FALSE(ring.is_past_half());
}

TEST(ByteRing, LinesOfAnyLengthCrossTheSeam) {
  ByteRing ring(64);
  Prng prng(3);
  std::string expected, got;
  for (int step = 0; step < 5000; ++step) {
    const std::string line(prng.below(40), static_cast<char>('a' + step % 26));
    if (ring.try_append(line)) expected += line;
    if (prng.below(2) == 0) got += take(ring);
  }
  got += take(ring);
  EXPECT_EQ(got, expected);
  EXPECT_GT(ring.dropped_count(), 0u);
}

TEST(ByteRing, TwoThreadsLoseNothingThatWasNotCounted) {
  constexpr uint64_t kLines = 50'000;
  ByteRing ring(4096);
  std::atomic<bool> done{false};
  std::thread writer([&] {
    for (uint64_t number = 0; number < kLines; ++number) ring.try_append(std::to_string(number) + "\n");
    done.store(true);
  });
  std::string text;
  while (!done.load()) text += take(ring);
  writer.join();
  text += take(ring);
  uint64_t lines = 0;
  uint64_t next_at_least = 0;
  for (size_t start = 0; start < text.size(); ++lines) {
    const size_t end = text.find('\n', start);
    ASSERT_NE(end, std::string::npos);
    const uint64_t number = std::stoull(text.substr(start, end - start));
    ASSERT_GE(number, next_at_least);
    next_at_least = number + 1;
    start = end + 1;
  }
  EXPECT_EQ(lines + ring.dropped_count(), kLines);
}

TEST(ByteRingDeathTest, MisuseIsABug) {
  EXPECT_DEATH(ByteRing(0), "assertion failed");
  EXPECT_DEATH(ByteRing(48), "assertion failed");
  ByteRing ring(16);
  EXPECT_DEATH(ring.consume(1), "assertion failed");
}

}  // namespace
}  // namespace ringway::base
