#include "summary.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "record_cost.h"

namespace ringway::bench {
namespace {

constexpr uint64_t kRequests = 1000;

Cell cell(const std::string& arm, uint32_t round, double cpu_us, double p50_us) {
  Cell result{.arm = arm, .round = round};
  result.report.requests = kRequests + 1;
  result.report.succeeded = kRequests;
  result.report.duration_s = 1;
  result.report.rate_achieved = 1000;
  result.report.bytes = kRequests * 100;
  result.report.latency = Latency{.mean = p50_us + 1, .p50 = p50_us, .p90 = p50_us * 2, .p99 = p50_us * 3};
  result.proxy.cpu_ns = static_cast<uint64_t>(cpu_us * 1000 * kRequests);
  result.proxy.switches = 2 * kRequests;
  return result;
}

// Seven rounds in which everything gets slower; ringway always takes `ratio` of the relay's CPU.
Group drifting_group(double ratio) {
  Group group{.shape = {.connections = 8, .streams = 10, .duration_s = 1}, .rounds = 7};
  group.arms = {{.name = "direct", .kind = ArmKind::kDirect},
                {.name = "relay", .kind = ArmKind::kRelay},
                {.name = "ringway", .kind = ArmKind::kRingway}};
  for (uint32_t round = 0; round < 7; ++round) {
    const double drift = 1 + 0.1 * round;
    group.cells.push_back(cell("direct", round, 0, 50 * drift));
    group.cells.push_back(cell("relay", round, 10 * drift, 50 * drift + 20));
    Cell ringway = cell("ringway", round, 10 * drift * ratio, 50 * drift + 30);
    ringway.counters = {{"requests", 1100}, {"enters", 110}, {"sends", 220}};
    group.cells.push_back(ringway);
  }
  return group;
}

const Row& row(const Summary& summary, const std::string& arm) {
  return *std::find_if(summary.rows.begin(), summary.rows.end(), [&](const Row& one) { return one.arm == arm; });
}

Limit limit(const std::string& key, Metric metric, const std::string& against, double value) {
  return {.arm = "ringway", .key = key, .metric = metric, .against = against, .value = value};
}

// 12 us with TLS against 10 us without, and 1.6 us for the records by themselves: 1.25 of their costs above it.
TEST(Summary, HoldsTlsAgainstTheCostOfItsRecords) {
  Group group = drifting_group(1.2);
  for (Cell& one : group.cells) {
    if (one.arm == "ringway") one.records_us = 1.6 * (1 + 0.1 * one.round);
  }
  group.shape.limits = {limit("record_costs_above_relay", Metric::kRecordCosts, "relay", 1.5)};
  Summary summary = summarise(group, "");
  ASSERT_EQ(summary.verdicts.size(), 1U);
  EXPECT_EQ(summary.verdicts[0].outcome, Verdict::Outcome::kHolds);
  EXPECT_NEAR(summary.verdicts[0].measured->median, 1.25, 1e-6);
  group.shape.limits[0].value = 1.2;
  summary = summarise(group, "");
  EXPECT_EQ(summary.verdicts[0].outcome, Verdict::Outcome::kFails);
}

TEST(RecordCost, IsOfTheCallsInFlight) {
  EXPECT_EQ(bytes_of_record(100, 32), 1600U);
  EXPECT_EQ(bytes_of_record(1'000'000, 32), 16'384U);
  EXPECT_EQ(bytes_of_record(0, 1), 1U);
  EXPECT_GT(seal_and_open_ns_per_byte(64), 0);
}

TEST(Summary, PairsRatiosAndDifferencesByRound) {
  const Summary summary = summarise(drifting_group(1.2), "relay");
  const Row& ringway = row(summary, "ringway");
  ASSERT_TRUE(ringway.cpu_ratio);
  EXPECT_NEAR(ringway.cpu_ratio->low, 1.2, 1e-6);
  EXPECT_NEAR(ringway.cpu_ratio->high, 1.2, 1e-6);
  EXPECT_NEAR(ringway.added_p50->median, 30, 1e-9);
  EXPECT_NEAR(ringway.added_p50->low, 30, 1e-9);
  EXPECT_NEAR(ringway.cpu_us->median, 15.6, 1e-6);
  EXPECT_DOUBLE_EQ(*ringway.enters_per_request, 0.1);  // by its own count of requests, the warm-up included
  EXPECT_DOUBLE_EQ(*ringway.sends_per_request, 0.2);
  EXPECT_DOUBLE_EQ(*ringway.switches_per_request, 2);
  EXPECT_FALSE(row(summary, "relay").cpu_ratio);
  EXPECT_FALSE(row(summary, "direct").cpu_us);
  EXPECT_FALSE(row(summary, "direct").added_p50);
}

TEST(Summary, LimitOnARatioFailsOnlyWhenAllOfItsIntervalIsAbove) {
  Group group = drifting_group(1.2);
  group.shape.limits = {limit("cpu_vs_relay", Metric::kCpuPerRequest, "relay", 1.19)};
  EXPECT_EQ(summarise(group, "relay").verdicts[0].outcome, Verdict::Outcome::kFails);
  group.shape.limits[0].value = 1.21;
  EXPECT_EQ(summarise(group, "relay").verdicts[0].outcome, Verdict::Outcome::kHolds);
  // One round in which ringway was cheap: the interval now reaches below the limit.
  group.shape.limits[0].value = 1.19;
  group.cells.back().proxy.cpu_ns /= 2;
  EXPECT_EQ(summarise(group, "relay").verdicts[0].outcome, Verdict::Outcome::kHolds);
}

TEST(Summary, RatiosOfFewerThanSixRoundsAreNotJudged) {
  Group group = drifting_group(1.2);
  group.shape.limits = {limit("cpu_vs_relay", Metric::kCpuPerRequest, "relay", 1.1),
                        limit("enters_per_request", Metric::kEntersPerRequest, "", 0.01)};
  std::erase_if(group.cells, [](const Cell& one) { return one.round >= 6; });
  EXPECT_EQ(summarise(group, "relay").verdicts[0].outcome, Verdict::Outcome::kFails);
  EXPECT_EQ(judge_same(group, "relay", "ringway").outcome, Verdict::Outcome::kFails);
  std::erase_if(group.cells, [](const Cell& one) { return one.round >= 5; });
  EXPECT_EQ(summarise(group, "relay").verdicts[0].outcome, Verdict::Outcome::kNotJudged);
  EXPECT_EQ(summarise(group, "relay").verdicts[1].outcome, Verdict::Outcome::kFails);  // counts need no interval
  EXPECT_EQ(judge_same(group, "relay", "ringway").outcome, Verdict::Outcome::kNotJudged);
}

TEST(Summary, LimitOnACountIsJudgedByItsMedian) {
  Group group = drifting_group(1);
  group.shape.limits = {limit("enters_per_request", Metric::kEntersPerRequest, "", 0.1)};
  EXPECT_EQ(summarise(group, "relay").verdicts[0].outcome, Verdict::Outcome::kHolds);
  group.shape.limits[0].value = 0.099;
  group.cells.back().counters["enters"] = 1;  // one low round changes nothing
  EXPECT_EQ(summarise(group, "relay").verdicts[0].outcome, Verdict::Outcome::kFails);
}

TEST(Summary, EveryMetricHasALimitThatCanFail) {
  Group group = drifting_group(1.2);
  group.shape.limits = {limit("cpu_per_byte_vs_relay", Metric::kCpuPerByte, "relay", 1.1),
                        limit("mean_latency_vs_relay", Metric::kMeanLatency, "relay", 1.05),
                        limit("sends_per_request", Metric::kSendsPerRequest, "", 0.1)};
  for (const Verdict& verdict : summarise(group, "relay").verdicts)
    EXPECT_EQ(verdict.outcome, Verdict::Outcome::kFails) << verdict.key;
}

TEST(Summary, LimitAgainstAnArmThatDidNotRunIsNotJudged) {
  Group group = drifting_group(1);
  group.shape.limits = {limit("cpu_vs_nghttpx", Metric::kCpuPerRequest, "nghttpx", 0.5)};
  const Summary summary = summarise(group, "relay");
  EXPECT_EQ(summary.verdicts[0].outcome, Verdict::Outcome::kNotJudged);
  EXPECT_NE(summary.verdicts[0].reason.find("nghttpx"), std::string::npos);
}

TEST(Summary, LimitWithoutAFigureFails) {
  Group group = drifting_group(1);
  for (Cell& one : group.cells) one.counters.clear();
  group.shape.limits = {limit("enters_per_request", Metric::kEntersPerRequest, "", 1)};
  EXPECT_EQ(summarise(group, "relay").verdicts[0].outcome, Verdict::Outcome::kFails);
}

TEST(Summary, ErrorsAreAddedUpAndFailAnArmThatHasLimits) {
  Group group = drifting_group(1);
  group.cells[2].report.errors = {{"reset", 3}};
  group.cells[5].report.errors = {{"reset", 1}, {"grpc_status", 1}};
  EXPECT_EQ(row(summarise(group, "relay"), "ringway").errors, 5U);
  EXPECT_TRUE(summarise(group, "relay").verdicts.empty());
  group.shape.limits = {limit("cpu_vs_relay", Metric::kCpuPerRequest, "relay", 2)};
  const Summary summary = summarise(group, "relay");
  ASSERT_EQ(summary.verdicts.size(), 2U);
  EXPECT_EQ(summary.verdicts[1].key, "errors");
  EXPECT_EQ(summary.verdicts[1].outcome, Verdict::Outcome::kFails);
}

TEST(Summary, AFailedRoundIsCountedAndItsPartnersAreNotPaired) {
  Group group = drifting_group(1.2);
  group.cells[2].failure = "it fell over";
  const Row ringway = row(summarise(group, "relay"), "ringway");
  EXPECT_EQ(ringway.rounds, 6U);
  EXPECT_EQ(ringway.failed_rounds, 1U);
  EXPECT_EQ(ringway.failure, "it fell over");
  EXPECT_EQ(ringway.cpu_ratio->count, 6U);
}

TEST(Summary, SaysWhenAnArmDidNotKeepUpOrTheGeneratorWasTheLimit) {
  Group group = drifting_group(1);
  group.rate = Rate{.value = 1005};
  group.rate_per_s = 1005;
  EXPECT_FALSE(row(summarise(group, ""), "ringway").is_behind);
  group.rate_per_s = 1020;
  EXPECT_TRUE(row(summarise(group, ""), "ringway").is_behind);
  group.cells[2].report.is_bottleneck = true;
  group.cells[2].report.bottleneck_reason = "busy";
  EXPECT_TRUE(row(summarise(group, ""), "ringway").is_bottleneck);
  EXPECT_FALSE(row(summarise(group, ""), "relay").is_bottleneck);
}

TEST(Summary, TellsForeignWorkFromOurs) {
  Group group = drifting_group(1);
  for (Cell& one : group.cells) {
    one.wall_s = 1.5;
    one.machine_busy_s = 1.5;
    one.ours_busy_s = 1.2;
  }
  EXPECT_NEAR(summarise(group, "relay").foreign_cpu, 0.2, 1e-9);
}

TEST(JudgeSame, HoldsWhenTheIntervalContainsOne) {
  Group group = drifting_group(1.2);
  EXPECT_EQ(judge_same(group, "relay", "ringway").outcome, Verdict::Outcome::kFails);
  group.cells[2].proxy.cpu_ns /= 2;
  EXPECT_EQ(judge_same(group, "relay", "ringway").outcome, Verdict::Outcome::kHolds);
  EXPECT_EQ(judge_same(group, "relay", "nobody").outcome, Verdict::Outcome::kFails);
}

}  // namespace
}  // namespace ringway::bench
