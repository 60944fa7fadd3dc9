#include "base/timer_wheel.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <vector>

#include "base/prng.h"

namespace ringway::base {
namespace {

constexpr uint64_t kTick = TimerWheel::kTick_ns;
// The near wheel turns once in 256 ticks, the far wheel once in 65,536.
constexpr uint64_t kRotation = 256 * kTick;
constexpr uint64_t kFarRotation = 256 * kRotation;

struct Named : Timer {
  size_t name = 0;
  uint64_t deadline_ns = 0;
};

std::vector<size_t> fired_until(TimerWheel& wheel, uint64_t now_ns) {
  std::vector<size_t> fired;
  wheel.advance(now_ns, [&](Timer& timer) { fired.push_back(static_cast<Named&>(timer).name); });
  return fired;
}

TEST(TimerWheel, IsSilentWithoutTimers) {
  TimerWheel wheel(5 * kTick);
  EXPECT_EQ(wheel.next_ns(), kNever_ns);
  EXPECT_TRUE(fired_until(wheel, 10 * kFarRotation).empty());
  EXPECT_EQ(wheel.next_ns(), kNever_ns);
}

// Distances on every level and at their borders, from starts on and off a rotation's border.
class TimerWheelDistance : public testing::TestWithParam<std::tuple<uint64_t, uint64_t>> {};

TEST_P(TimerWheelDistance, FiresOnceAtItsTickAndNotBefore) {
  const auto [start_ticks, distance_ticks] = GetParam();
  for (const uint64_t offset_ns : {uint64_t{0}, uint64_t{1}, kTick - 1}) {
    const uint64_t start = start_ticks * kTick + 12'345;
    const uint64_t deadline = start + distance_ticks * kTick + offset_ns;
    TimerWheel wheel(start);
    Named timer;
    wheel.arm(timer, deadline);
    EXPECT_TRUE(timer.is_armed());
    EXPECT_EQ(wheel.armed_count(), 1u);
    EXPECT_TRUE(fired_until(wheel, deadline - 1).empty());
    EXPECT_TRUE(timer.is_armed());
    EXPECT_EQ(fired_until(wheel, deadline + kTick).size(), 1u) << "more than one tick late";
    EXPECT_FALSE(timer.is_armed());
    EXPECT_EQ(wheel.armed_count(), 0u);
    EXPECT_EQ(wheel.next_ns(), kNever_ns);
  }
}

INSTANTIATE_TEST_SUITE_P(Levels, TimerWheelDistance,
                         testing::Combine(testing::Values(0, 1, 255, 256, 65'535, 65'536, 1'000'003),
                                          testing::Values(1, 2, 63, 64, 255, 256, 257, 511, 512, 65'279, 65'280, 65'535,
                                                          65'536, 65'537, 131'072, 200'000)));

TEST(TimerWheel, ADeadlineInThePastFiresAtTheNextTick) {
  TimerWheel wheel(1000 * kTick);
  Named timer;
  wheel.arm(timer, 3 * kTick);
  EXPECT_LE(wheel.next_ns(), 1001 * kTick);
  EXPECT_TRUE(fired_until(wheel, 1000 * kTick).empty());
  EXPECT_EQ(fired_until(wheel, 1001 * kTick).size(), 1u);
}

TEST(TimerWheel, ACancelledTimerDoesNotFire) {
  for (const uint64_t distance : {2 * kTick, 2 * kRotation, 2 * kFarRotation}) {
    TimerWheel wheel(0);
    Named timer, other;
    timer.name = 1;
    other.name = 2;
    wheel.arm(timer, distance);
    wheel.arm(other, distance);
    wheel.cancel(timer);
    wheel.cancel(timer);  // is allowed and does nothing
    EXPECT_EQ(wheel.armed_count(), 1u);
    EXPECT_EQ(fired_until(wheel, distance), std::vector<size_t>{2});
  }
}

TEST(TimerWheel, ArmingAgainMoves) {
  TimerWheel wheel(0);
  Named timer;
  wheel.arm(timer, 10 * kTick);
  wheel.arm(timer, 2 * kRotation);
  EXPECT_EQ(wheel.armed_count(), 1u);
  EXPECT_TRUE(fired_until(wheel, kRotation).empty());
  wheel.arm(timer, kRotation + 3 * kTick);
  EXPECT_EQ(fired_until(wheel, kRotation + 3 * kTick).size(), 1u);
  EXPECT_TRUE(fired_until(wheel, 3 * kRotation).empty());
}

TEST(TimerWheel, FiringMayArmItselfAndCancelOthers) {
  TimerWheel wheel(0);
  std::array<Named, 3> timers;
  for (size_t name = 0; name < timers.size(); ++name) {
    timers[name].name = name;
    wheel.arm(timers[name], 5 * kTick);
  }
  std::vector<size_t> fired;
  const auto fire = [&](Timer& timer) {
    fired.push_back(static_cast<Named&>(timer).name);
    if (fired.size() > 1) return;
    wheel.arm(timer, 0);              // due already: fires at the next tick, not in an endless loop
    wheel.cancel(timers[1]);          // due in this very tick
    wheel.arm(timers[2], 9 * kTick);  // moved out of this very tick
  };
  wheel.advance(5 * kTick, fire);
  EXPECT_EQ(fired, std::vector<size_t>{0});
  wheel.advance(6 * kTick, fire);
  EXPECT_EQ(fired, (std::vector<size_t>{0, 0}));
  wheel.advance(9 * kTick, fire);
  EXPECT_EQ(fired, (std::vector<size_t>{0, 0, 2}));
  EXPECT_EQ(wheel.armed_count(), 0u);
}

TEST(TimerWheel, APeriodicTimerKeepsItsPaceWhenTheTurnIsLate) {
  TimerWheel wheel(0);
  Named timer;
  wheel.arm(timer, 10 * kTick);
  uint64_t fired = 0;
  wheel.advance(1000 * kTick, [&](Timer& due) {
    ++fired;
    wheel.arm(due, (fired + 1) * 10 * kTick);
  });
  EXPECT_EQ(fired, 100u);
}

// next_ns() is what the shard sleeps until: never after the tick of the earliest timer, and never so early that
// nothing is gained, but for the look-through at each rotation.
void expect_next_is_tight(TimerWheel& wheel, const std::vector<Named>& timers, uint64_t now_ns) {
  uint64_t earliest = kNever_ns;
  for (const Named& timer : timers) {
    if (timer.is_armed()) earliest = std::min(earliest, timer.deadline_tick * kTick);
  }
  const uint64_t next = wheel.next_ns();
  ASSERT_LE(next, earliest);
  if (earliest == kNever_ns) {
    ASSERT_EQ(next, kNever_ns);
  } else {
    ASSERT_GT(next, now_ns / kTick * kTick) << "a wake-up that cannot make progress";
    const uint64_t rotation_end = (now_ns / kRotation + 1) * kRotation;
    ASSERT_EQ(next, std::min(earliest, rotation_end));
  }
}

// Random arms, cancels and advances on all levels against a list that is searched through.
class TimerWheelModel : public testing::TestWithParam<uint64_t> {};

TEST_P(TimerWheelModel, AgreesWithANaiveList) {
  const uint64_t seed = GetParam();
  SCOPED_TRACE(seed);
  Prng prng(seed);
  constexpr uint64_t kSpans[] = {3 * kTick, 40 * kTick, kRotation, 5 * kRotation, kFarRotation, 3 * kFarRotation};
  std::vector<Named> timers(60);
  for (size_t name = 0; name < timers.size(); ++name) timers[name].name = name;
  uint64_t now = prng.next() % (4 * kFarRotation);
  TimerWheel wheel(now);
  const auto span = [&] { return prng.next() % kSpans[prng.below(std::size(kSpans))]; };
  const auto arm = [&](Named& timer) {
    timer.deadline_ns = now + span();
    wheel.arm(timer, timer.deadline_ns);
  };
  for (int step = 0; step < 3000; ++step) {
    for (uint32_t count = prng.below(4); count > 0; --count) {
      Named& timer = timers[prng.below(static_cast<uint32_t>(timers.size()))];
      if (prng.below(3) == 0) {
        wheel.cancel(timer);
      } else {
        arm(timer);
      }
    }
    expect_next_is_tight(wheel, timers, now);
    // Half of the turns come when next_ns() asked for them, the others at any time.
    const uint64_t next = wheel.next_ns();
    now = next != kNever_ns && prng.below(2) == 0 ? std::max(now, next) : now + span() / 4;
    std::vector<size_t> expected, fired;
    for (const Named& timer : timers) {
      if (timer.is_armed() && timer.deadline_tick <= now / kTick) expected.push_back(timer.name);
    }
    wheel.advance(now, [&](Timer& due) {
      auto& timer = static_cast<Named&>(due);
      ASSERT_LE(timer.deadline_ns, now) << "early";
      fired.push_back(timer.name);
    });
    std::sort(fired.begin(), fired.end());
    ASSERT_EQ(fired, expected) << "step " << step;
    const auto armed = std::count_if(timers.begin(), timers.end(), [](const Named& timer) { return timer.is_armed(); });
    ASSERT_EQ(wheel.armed_count(), static_cast<uint32_t>(armed));
  }
  for (Named& timer : timers) wheel.cancel(timer);
}

INSTANTIATE_TEST_SUITE_P(Seeds, TimerWheelModel, testing::Range(uint64_t{1}, uint64_t{6}));

}  // namespace
}  // namespace ringway::base
