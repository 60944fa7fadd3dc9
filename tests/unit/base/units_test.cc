#include "base/units.h"

#include <gtest/gtest.h>

namespace ringway::base {
namespace {

TEST(Units, SaturatingAddStopsAtNever) {
  EXPECT_EQ(saturating_add(1, 2), 3u);
  EXPECT_EQ(saturating_add(kNever_ns - 1, 0), kNever_ns - 1);
  EXPECT_EQ(saturating_add(kNever_ns - 1, 1), kNever_ns);
  EXPECT_EQ(saturating_add(kNever_ns - 1, 2), kNever_ns);
  EXPECT_EQ(saturating_add(kNever_ns, kNever_ns), kNever_ns);
}

TEST(Units, TheClockDoesNotGoBack) {
  uint64_t last = monotonic_ns();
  for (int count = 0; count < 1000; ++count) {
    const uint64_t now = monotonic_ns();
    ASSERT_GE(now, last);
    last = now;
  }
}

}  // namespace
}  // namespace ringway::base
