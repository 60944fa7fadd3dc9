#include "routing/round_robin.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <vector>

namespace ringway::routing {
namespace {

bool always(uint32_t) {
  return true;
}

std::vector<uint32_t> picks(RoundRobin& round_robin, size_t count) {
  std::vector<uint32_t> picked;
  for (size_t i = 0; i < count; ++i) picked.push_back(round_robin.pick(always));
  return picked;
}

TEST(RoundRobin, EqualWeightsGoRound) {
  RoundRobin ones({1, 1, 1}, 0);
  EXPECT_EQ(picks(ones, 7), (std::vector<uint32_t>{0, 1, 2, 0, 1, 2, 0}));
  RoundRobin fives({5, 5, 5}, 0);
  EXPECT_EQ(picks(fives, 7), (std::vector<uint32_t>{0, 1, 2, 0, 1, 2, 0}));
}

TEST(RoundRobin, EachOfManyEqualEndpointsGetsTheSame) {
  RoundRobin round_robin(std::vector<uint32_t>(7, 1), 3);
  std::vector<int> counts(7);
  for (const uint32_t index : picks(round_robin, 700)) ++counts.at(index);
  EXPECT_EQ(counts, std::vector<int>(7, 100));
}

TEST(RoundRobin, TheStartIsTakenModuloTheCount) {
  for (uint32_t start = 0; start < 9; ++start) {
    RoundRobin round_robin({1, 1, 1}, start);
    EXPECT_EQ(round_robin.pick(always), start % 3);
  }
}

TEST(RoundRobin, DifferentStartsBeginAWeightedCycleElsewhere) {
  RoundRobin first({3, 1}, 0);
  RoundRobin second({3, 1}, 1);
  const std::vector<uint32_t> cycle = picks(first, 8);
  EXPECT_EQ(picks(second, 7), std::vector<uint32_t>(cycle.begin() + 1, cycle.end()));
}

TEST(RoundRobin, WeightsHoldExactlyOverEveryCycleAndAreSpread) {
  RoundRobin round_robin({5, 1, 1}, 0);
  for (int cycle = 0; cycle < 3; ++cycle) {
    const std::vector<uint32_t> picked = picks(round_robin, 7);
    EXPECT_EQ(std::ranges::count(picked, 0u), 5);
    EXPECT_EQ(std::ranges::count(picked, 1u), 1);
    EXPECT_EQ(std::ranges::count(picked, 2u), 1);
    // The two light ones stand apart, and not at the end of a burst of five.
    EXPECT_EQ(picked, (std::vector<uint32_t>{0, 0, 1, 0, 2, 0, 0}));
  }
}

TEST(RoundRobin, AtAnyTimeEachShareIsWithinOnePick) {
  const std::vector<uint32_t> weights = {7, 3, 2, 1};
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  RoundRobin round_robin(weights, 0);
  std::vector<int> counts(weights.size());
  for (uint32_t taken = 1; taken <= 130; ++taken) {
    ++counts.at(round_robin.pick(always));
    for (size_t i = 0; i < weights.size(); ++i) {
      EXPECT_NEAR(counts[i], taken * weights[i] / sum, 1.5) << "after " << taken << " picks of " << i;
    }
  }
  EXPECT_EQ(counts, (std::vector<int>{70, 30, 20, 10}));
}

TEST(RoundRobin, TheUnavailableArePassedOver) {
  for (const std::vector<uint32_t>& weights : {std::vector<uint32_t>{1, 1, 1}, std::vector<uint32_t>{3, 2, 1}}) {
    RoundRobin round_robin(weights, 0);
    std::vector<int> counts(3);
    for (int i = 0; i < 60; ++i) ++counts.at(round_robin.pick([](uint32_t index) { return index != 1; }));
    EXPECT_EQ(counts[1], 0);
    EXPECT_EQ(counts[0], weights[0] == 1 ? 30 : 45);
    EXPECT_EQ(round_robin.pick([](uint32_t index) { return index == 1; }), 1u);
    EXPECT_EQ(round_robin.pick([](uint32_t) { return false; }), kNoEndpoint);
  }
}

TEST(RoundRobin, WhoWasAwayDoesNotCatchUp) {
  for (const std::vector<uint32_t>& weights : {std::vector<uint32_t>{1, 1}, std::vector<uint32_t>{2, 1}}) {
    RoundRobin round_robin(weights, 0);
    for (int i = 0; i < 99; ++i) EXPECT_EQ(round_robin.pick([](uint32_t index) { return index == 0; }), 0u);
    std::vector<int> counts(2);
    for (const uint32_t index : picks(round_robin, 6)) ++counts.at(index);
    EXPECT_EQ(counts[1], weights[0] == 1 ? 3 : 2);
  }
}

TEST(RoundRobin, OneEndpointIsEnough) {
  RoundRobin round_robin({9}, 12);
  EXPECT_EQ(picks(round_robin, 3), (std::vector<uint32_t>{0, 0, 0}));
}

}  // namespace
}  // namespace ringway::routing
