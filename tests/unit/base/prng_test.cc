#include "base/prng.h"

#include <gtest/gtest.h>

#include <array>
#include <set>

namespace ringway::base {
namespace {

TEST(Prng, TheSameSeedGivesTheSameNumbers) {
  Prng one(42), two(42), other(43);
  bool differs = false;
  for (int count = 0; count < 1000; ++count) {
    const uint64_t value = one.next();
    EXPECT_EQ(value, two.next());
    differs = differs || value != other.next();
  }
  EXPECT_TRUE(differs);
}

// The expected values come from the published algorithms (SplitMix64, then xoshiro256**), worked out apart from prng.h.
TEST(Prng, ZeroIsASeedLikeAnyOther) {
  Prng prng(0);
  EXPECT_EQ(prng.next(), 0x99ec5f36cb75f2b4u);
  EXPECT_EQ(prng.next(), 0xbf6e1f784956452au);
  std::set<uint64_t> seen;
  for (int count = 0; count < 1000; ++count) seen.insert(prng.next());
  EXPECT_EQ(seen.size(), 1000u);
}

TEST(Prng, BelowStaysBelowAndIsEven) {
  Prng prng(7);
  EXPECT_EQ(prng.below(1), 0u);
  std::array<int, 10> counts{};
  for (int count = 0; count < 100'000; ++count) {
    const uint32_t value = prng.below(10);
    ASSERT_LT(value, 10u);
    ++counts[value];
  }
  // Ten standard deviations of a binomial with p = 0.1 are about 950.
  for (const int count : counts) EXPECT_NEAR(count, 10'000, 950);
  for (int count = 0; count < 1000; ++count) ASSERT_LT(prng.below(UINT32_MAX), UINT32_MAX);
}

TEST(Prng, UnitIsInTheHalfOpenInterval) {
  Prng prng(9);
  double sum = 0;
  for (int count = 0; count < 100'000; ++count) {
    const double value = prng.unit();
    ASSERT_GE(value, 0.0);
    ASSERT_LT(value, 1.0);
    sum += value;
  }
  EXPECT_NEAR(sum / 100'000, 0.5, 0.01);
}

}  // namespace
}  // namespace ringway::base
