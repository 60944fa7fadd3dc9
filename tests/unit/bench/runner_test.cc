#include "runner.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "counts.h"

namespace ringway::bench {
namespace {

TEST(RoundOrder, ReversesEverySecondRoundAndRotatesEveryPair) {
  EXPECT_EQ(round_order(3, 0), (std::vector<size_t>{0, 1, 2}));
  EXPECT_EQ(round_order(3, 1), (std::vector<size_t>{2, 1, 0}));
  EXPECT_EQ(round_order(3, 2), (std::vector<size_t>{1, 2, 0}));
  EXPECT_EQ(round_order(3, 3), (std::vector<size_t>{0, 2, 1}));
  EXPECT_EQ(round_order(1, 5), (std::vector<size_t>{0}));
  EXPECT_TRUE(round_order(0, 1).empty());
}

TEST(RoundOrder, PutsEachArmInEachPlaceEquallyOften) {
  constexpr size_t kArms = 5;
  std::vector<std::vector<int>> times(kArms, std::vector<int>(kArms, 0));
  for (uint32_t round = 0; round < 2 * kArms; ++round) {
    const auto order = round_order(kArms, round);
    for (size_t position = 0; position < kArms; ++position) ++times[order[position]][position];
  }
  for (const auto& arm : times) EXPECT_TRUE(std::all_of(arm.begin(), arm.end(), [](int count) { return count == 2; }));
}

TEST(TakesPart, SpreadsFewRoundsEvenly) {
  const auto rounds_of = [](uint32_t arm_rounds, uint32_t rounds) {
    std::set<uint32_t> taken;
    for (uint32_t round = 0; round < rounds; ++round) {
      if (takes_part(arm_rounds, rounds, round)) taken.insert(round);
    }
    return taken;
  };
  EXPECT_EQ(rounds_of(0, 4).size(), 4U);
  EXPECT_EQ(rounds_of(9, 4).size(), 4U);
  EXPECT_EQ(rounds_of(2, 7), (std::set<uint32_t>{3, 6}));
  EXPECT_EQ(rounds_of(1, 7), (std::set<uint32_t>{6}));
  EXPECT_EQ(rounds_of(3, 9), (std::set<uint32_t>{2, 5, 8}));
}

TEST(ParseCounters, TakesTheLastLineThatIsAnObject) {
  const auto counters = parse_counters("starting\n{\"turns\": 1}\n{\"turns\": 12, \"enters\": 30, \"note\": \"x\"}\n");
  EXPECT_EQ(counters, (std::map<std::string, double>{{"turns", 12}, {"enters", 30}}));
  EXPECT_EQ(parse_counters("{\"sends\":5}\n"), (std::map<std::string, double>{{"sends", 5}}));
  EXPECT_TRUE(parse_counters("").empty());
  EXPECT_TRUE(parse_counters("no object here\n").empty());
  EXPECT_TRUE(parse_counters("{\"turns\": 1").empty());
}

TEST(CallgrindTotal, IsFoundInItsFile) {
  EXPECT_EQ(callgrind_total("version: 1\nevents: Ir\nsummary: 12\nfn=(1)\n\ntotals: 345678\n"), 345678U);
  EXPECT_EQ(callgrind_total("events: Ir\nsummary: 12\n"), 12U);
  EXPECT_EQ(callgrind_total("nothing"), 0U);
}

}  // namespace
}  // namespace ringway::bench
