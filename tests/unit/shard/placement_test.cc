// Which shard takes a connection: the one with the fewest, charged before anybody else looks.
#include "shard/placement.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <thread>
#include <vector>

namespace ringway::shard {
namespace {

std::vector<uint32_t> counts_of(const Placement& placement, uint32_t shards) {
  std::vector<uint32_t> counts;
  for (uint32_t i = 0; i < shards; ++i) counts.push_back(placement.count(i));
  return counts;
}

TEST(Placement, StartsWithNobodyCharged) {
  const Placement placement(3);
  EXPECT_EQ(counts_of(placement, 3), (std::vector<uint32_t>{0, 0, 0}));
}

TEST(Placement, TheOnlyShardTakesAll) {
  Placement placement(1);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(placement.choose(0), 0u);
  EXPECT_EQ(placement.count(0), 5u);
}

TEST(Placement, TheFewestIsChosenAndChargedAtOnce) {
  Placement placement(4);
  placement.charge(0);
  placement.charge(0);
  placement.charge(1);
  placement.charge(3);
  EXPECT_EQ(placement.choose(0), 2u);
  EXPECT_EQ(counts_of(placement, 4), (std::vector<uint32_t>{2, 1, 1, 1}));
}

TEST(Placement, AmongEqualsTheOneThatAcceptedKeepsIt) {
  for (uint32_t preferred = 0; preferred < 4; ++preferred) {
    Placement placement(4);
    EXPECT_EQ(placement.choose(preferred), preferred) << "nothing to hand over";
  }
}

TEST(Placement, AmongEqualsElsewhereTheFirstTakesIt) {
  Placement placement(4);
  placement.charge(2);
  EXPECT_EQ(placement.choose(2), 0u);
  EXPECT_EQ(placement.choose(2), 1u);
  EXPECT_EQ(placement.choose(2), 3u);
  EXPECT_EQ(placement.choose(2), 2u);
}

TEST(Placement, ABurstSpreadsEvenly) {
  for (const uint32_t shards : {1u, 2u, 3u, 8u, 64u}) {
    Placement placement(shards);
    // One shard accepts them all, before any other has looked into its mailbox.
    for (uint32_t i = 0; i < shards * 7; ++i) placement.choose(0);
    EXPECT_EQ(counts_of(placement, shards), std::vector<uint32_t>(shards, 7)) << shards;
    placement.choose(0);
    const auto counts = counts_of(placement, shards);
    EXPECT_EQ(std::ranges::max(counts) - std::ranges::min(counts), shards == 1 ? 0u : 1u) << shards;
  }
}

TEST(Placement, ABurstFillsUpWhatIsBehind) {
  Placement placement(3);
  for (int i = 0; i < 10; ++i) placement.charge(1);
  for (int i = 0; i < 17; ++i) placement.choose(1);
  EXPECT_EQ(counts_of(placement, 3), (std::vector<uint32_t>{9, 10, 8}));
}

TEST(Placement, WhoLosesConnectionsIsChosenNext) {
  Placement placement(2);
  for (int i = 0; i < 8; ++i) placement.choose(0);
  for (int i = 0; i < 3; ++i) placement.discharge(1);
  EXPECT_EQ(counts_of(placement, 2), (std::vector<uint32_t>{4, 1}));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(placement.choose(0), 1u);
  EXPECT_EQ(counts_of(placement, 2), (std::vector<uint32_t>{4, 4}));
}

// Threads that choose at the same moment may see the same fewest; nothing is lost, and each is off by one at most.
TEST(Placement, ThreadsTogetherChargeEveryConnectionOnce) {
  constexpr uint32_t kThreads = 4;
  constexpr uint32_t kEach = 10'000;
  Placement placement(kThreads);
  std::vector<std::thread> threads;
  for (uint32_t shard = 0; shard < kThreads; ++shard) {
    threads.emplace_back([&placement, shard] {
      for (uint32_t i = 0; i < kEach; ++i) placement.choose(shard);
    });
  }
  for (std::thread& thread : threads) thread.join();
  const auto counts = counts_of(placement, kThreads);
  uint32_t sum = 0;
  for (const uint32_t count : counts) sum += count;
  EXPECT_EQ(sum, kThreads * kEach);
  EXPECT_LE(std::ranges::max(counts) - std::ranges::min(counts), kThreads);
}

}  // namespace
}  // namespace ringway::shard
