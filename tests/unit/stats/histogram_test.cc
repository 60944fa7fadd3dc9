#include "stats/histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "base/prng.h"

namespace ringway::stats {
namespace {

// Large for a stack frame of a test with several of them.
std::unique_ptr<Histogram> make() {
  return std::make_unique<Histogram>();
}

TEST(Histogram, BucketsTileTheValuesWithoutGapOrOverlap) {
  uint64_t next = 0;
  for (uint32_t bucket = 0; bucket < Histogram::kBucketCount; ++bucket) {
    ASSERT_EQ(Histogram::bucket_lowest(bucket), next) << bucket;
    ASSERT_EQ(Histogram::bucket_of(next), bucket);
    next += Histogram::bucket_width(bucket);
    ASSERT_EQ(Histogram::bucket_of(next - 1), bucket);
  }
  EXPECT_EQ(next, uint64_t{1} << Histogram::kValueBits);
}

TEST(Histogram, BucketsAreAtMostOnePartIn128Wide) {
  for (uint32_t bucket = 0; bucket < Histogram::kBucketCount; ++bucket) {
    const uint64_t width = Histogram::bucket_width(bucket);
    if (width > 1) {
      ASSERT_LE(width * 128, Histogram::bucket_lowest(bucket)) << bucket;
    }
  }
}

TEST(Histogram, EmptyReadsZero) {
  const auto histogram = make();
  EXPECT_TRUE(histogram->is_empty());
  EXPECT_EQ(histogram->count(), 0u);
  EXPECT_EQ(histogram->percentile(50), 0u);
  EXPECT_EQ(histogram->percentile(100), 0u);
  EXPECT_EQ(histogram->maximum(), 0u);
  EXPECT_EQ(histogram->minimum(), 0u);
  EXPECT_EQ(histogram->mean(), 0.0);
}

TEST(Histogram, SmallValuesAreExact) {
  const auto histogram = make();
  for (uint64_t value = 1; value <= 100; ++value) histogram->record(value);
  for (uint64_t percent = 1; percent <= 100; ++percent) {
    EXPECT_EQ(histogram->percentile(static_cast<double>(percent)), percent);
  }
  EXPECT_EQ(histogram->percentile(0), 1u);
  EXPECT_EQ(histogram->mean(), 50.5);
  EXPECT_EQ(histogram->minimum(), 1u);
}

TEST(Histogram, NearestRankOfFewValues) {
  const auto histogram = make();
  histogram->record(10);
  histogram->record(20);
  EXPECT_EQ(histogram->percentile(50), 10u);
  EXPECT_EQ(histogram->percentile(50.1), 20u);
  EXPECT_EQ(histogram->percentile(99.9), 20u);
}

TEST(Histogram, RoundingDoesNotMoveTheRank) {
  const auto histogram = make();
  histogram->record_many(1, 999);
  histogram->record(100);
  EXPECT_EQ(histogram->percentile(99.9), 1u);
  EXPECT_EQ(histogram->percentile(99.91), 100u);
}

TEST(Histogram, PercentilesAgreeWithTheSortedValues) {
  base::Prng prng(42);
  const auto histogram = make();
  std::vector<uint64_t> values;
  for (int i = 0; i < 20'000; ++i) {
    // Spread over nine decades, as latencies with a tail are.
    values.push_back(static_cast<uint64_t>(std::pow(10.0, prng.unit() * 9)));
    histogram->record(values.back());
  }
  std::sort(values.begin(), values.end());
  for (const double percent : {0.01, 1.0, 25.0, 50.0, 90.0, 99.0, 99.9, 99.99, 100.0}) {
    const auto rank = static_cast<size_t>(std::ceil(percent / 100 * 20'000));
    const auto exact = static_cast<double>(values[std::max<size_t>(rank, 1) - 1]);
    EXPECT_NEAR(static_cast<double>(histogram->percentile(percent)), exact, exact / 256 + 0.5) << percent;
  }
  EXPECT_EQ(histogram->maximum(), values.back());
  EXPECT_EQ(histogram->minimum(), values.front());
}

TEST(Histogram, PercentileNeverLeavesTheRecordedRange) {
  const auto histogram = make();
  histogram->record(1'000'003);
  histogram->record(1'000'003);
  EXPECT_EQ(histogram->percentile(50), 1'000'003u);
}

TEST(Histogram, MergeEqualsRecordingTogether) {
  base::Prng prng(7);
  const auto left = make();
  const auto right = make();
  const auto together = make();
  for (int i = 0; i < 5'000; ++i) {
    const uint64_t value = prng.next() >> (20 + prng.below(40));
    (i % 3 == 0 ? left : right)->record(value);
    together->record(value);
  }
  left->merge(*right);
  EXPECT_EQ(left->count(), together->count());
  EXPECT_EQ(left->maximum(), together->maximum());
  EXPECT_EQ(left->minimum(), together->minimum());
  EXPECT_EQ(left->mean(), together->mean());
  for (uint32_t bucket = 0; bucket < Histogram::kBucketCount; ++bucket) {
    ASSERT_EQ(left->bucket_count(bucket), together->bucket_count(bucket));
  }
}

TEST(Histogram, MergeWithEmptyChangesNothing) {
  const auto histogram = make();
  histogram->record(5);
  histogram->merge(*make());
  EXPECT_EQ(histogram->minimum(), 5u);
  EXPECT_EQ(histogram->maximum(), 5u);
  EXPECT_EQ(histogram->count(), 1u);
}

TEST(Histogram, LimitOfTheRange) {
  const auto histogram = make();
  constexpr uint64_t kLimit = uint64_t{1} << Histogram::kValueBits;
  EXPECT_EQ(Histogram::bucket_of(kLimit - 1), Histogram::kBucketCount - 1);
  EXPECT_EQ(Histogram::bucket_of(kLimit), Histogram::kBucketCount - 1);
  EXPECT_EQ(Histogram::bucket_of(UINT64_MAX), Histogram::kBucketCount - 1);
  histogram->record(kLimit + 12345);
  EXPECT_EQ(histogram->maximum(), kLimit + 12345);
  EXPECT_EQ(histogram->percentile(100), kLimit + 12345);
}

TEST(Histogram, ManyAtOnceAndClear) {
  const auto histogram = make();
  histogram->record_many(100, 3);
  EXPECT_EQ(histogram->count(), 3u);
  EXPECT_EQ(histogram->mean(), 100.0);
  histogram->clear();
  EXPECT_TRUE(histogram->is_empty());
  EXPECT_EQ(histogram->maximum(), 0u);
}

}  // namespace
}  // namespace ringway::stats
