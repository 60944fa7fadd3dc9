#include "statistics.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "base/prng.h"

namespace ringway::bench {
namespace {

Series series(std::initializer_list<double> values) {
  Series result;
  uint32_t round = 0;
  for (const double value : values) result[round++] = value;
  return result;
}

TEST(Median, IsTheMiddleOrTheMeanOfTheTwoInTheMiddle) {
  EXPECT_DOUBLE_EQ(median({3}), 3);
  EXPECT_DOUBLE_EQ(median({9, 1, 5}), 5);
  EXPECT_DOUBLE_EQ(median({4, 1, 3, 2}), 2.5);
}

TEST(Quantile, InterpolatesBetweenNeighbours) {
  EXPECT_DOUBLE_EQ(quantile({10, 20, 30, 40, 50}, 0), 10);
  EXPECT_DOUBLE_EQ(quantile({10, 20, 30, 40, 50}, 0.25), 20);
  EXPECT_DOUBLE_EQ(quantile({10, 20, 30, 40, 50}, 0.9), 46);
  EXPECT_DOUBLE_EQ(quantile({10, 20, 30, 40, 50}, 1), 50);
}

// Exact values: 1 - 2 * sum of binomial(n, i) / 2^n for i < k.
TEST(OrderCoverage, IsTheBinomialSum) {
  EXPECT_DOUBLE_EQ(order_coverage(7, 1), 1 - 2.0 / 128);
  EXPECT_DOUBLE_EQ(order_coverage(7, 2), 1 - 2.0 * (1 + 7) / 128);
  EXPECT_DOUBLE_EQ(order_coverage(9, 2), 1 - 2.0 * (1 + 9) / 512);
  EXPECT_DOUBLE_EQ(order_coverage(1, 1), 0);
}

TEST(IntervalOf, TakesTheNarrowestThatCoversEnough) {
  const auto seven = interval_of(series({7, 1, 6, 2, 5, 3, 4}));
  ASSERT_TRUE(seven);
  EXPECT_DOUBLE_EQ(seven->median, 4);
  EXPECT_DOUBLE_EQ(seven->low, 1);  // the second smallest would cover 87.5 % only
  EXPECT_DOUBLE_EQ(seven->high, 7);
  EXPECT_EQ(seven->count, 7U);
  const auto nine = interval_of(series({1, 2, 3, 4, 5, 6, 7, 8, 9}));
  EXPECT_DOUBLE_EQ(nine->low, 2);
  EXPECT_DOUBLE_EQ(nine->high, 8);
  EXPECT_NEAR(nine->coverage, 0.961, 0.001);
}

TEST(IntervalOf, SaysThatFewRoundsCoverLittle) {
  const auto three = interval_of(series({1, 2, 3}));
  EXPECT_DOUBLE_EQ(three->low, 1);
  EXPECT_DOUBLE_EQ(three->high, 3);
  EXPECT_DOUBLE_EQ(three->coverage, 0.75);
  EXPECT_DOUBLE_EQ(interval_of(series({5}))->coverage, 0);
  EXPECT_FALSE(interval_of({}));
}

TEST(IntervalOf, GivesTheQuartilesAsSpread) {
  const auto interval = interval_of(series({1, 2, 3, 4, 100}));
  EXPECT_DOUBLE_EQ(interval->lower_quartile, 2);
  EXPECT_DOUBLE_EQ(interval->upper_quartile, 4);
}

// The promise that the interval makes, tried on a skewed distribution whose median is known.
TEST(IntervalOf, HoldsTheTrueMedianAsOftenAsItSays) {
  base::Prng prng(1);
  constexpr int kTrials = 4000;
  int held = 0;
  for (int trial = 0; trial < kTrials; ++trial) {
    Series values;
    for (uint32_t round = 0; round < 9; ++round) {
      const double x = prng.unit();
      values[round] = x * x * x;  // median 1/8
    }
    const auto interval = interval_of(values);
    if (interval->low <= 0.125 && interval->high >= 0.125) ++held;
  }
  EXPECT_NEAR(static_cast<double>(held) / kTrials, 0.961, 0.015);
}

TEST(Pairing, GoesByRoundAndLeavesOutWhatHasNoPartner) {
  const Series left{{0, 10}, {2, 30}, {3, 40}};
  const Series right{{0, 5}, {1, 7}, {2, 10}, {3, 0}};
  EXPECT_EQ(paired_ratio(left, right), (Series{{0, 2}, {2, 3}}));  // round 3 would divide by zero
  EXPECT_EQ(paired_difference(left, right), (Series{{0, 5}, {2, 20}, {3, 40}}));
}

TEST(Pairing, CancelsWhatBothArmsOfARoundShare) {
  Series slow;
  Series fast;
  for (uint32_t round = 0; round < 7; ++round) {
    const double drift = 1 + round * 0.5;  // the machine gets four times slower
    slow[round] = 12 * drift;
    fast[round] = 10 * drift;
  }
  const auto ratio = interval_of(paired_ratio(slow, fast));
  EXPECT_DOUBLE_EQ(ratio->low, 1.2);
  EXPECT_DOUBLE_EQ(ratio->high, 1.2);
}

}  // namespace
}  // namespace ringway::bench
