#include "table.h"

#include <gtest/gtest.h>

#include <sstream>

namespace ringway::bench {
namespace {

constexpr size_t kColumns = 120;

size_t longest_line(const std::string& text) {
  size_t longest = 0;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) longest = std::max(longest, line.size());
  return longest;
}

Interval wide_interval() {
  return {.median = 12345, .low = 10000, .high = 99999, .coverage = 0.98, .count = 7};
}

// The widest figures that a run gives.
Row wide_row() {
  return {.arm = "ringway-2-shards",
          .rounds = 7,
          .rate_offered = 999'999,
          .rate_achieved = 999'999,
          .mean = 99'999,
          .p50 = 99'999,
          .p90 = 99'999,
          .p99 = 999'999,
          .added_mean = wide_interval(),
          .added_p50 = wide_interval(),
          .added_p90 = wide_interval(),
          .added_p99 = wide_interval(),
          .cpu_us = wide_interval(),
          .cpu_ratio = Interval{.median = 45.6, .low = 40.1, .high = 55.5},
          .switches_per_request = 2,
          .enters_per_request = 0.0423,
          .sends_per_request = 0.0611};
}

Group any_group() {
  return {.shape = {.connections = 32, .streams = 32, .duration_s = 0.5},
          .arms = {{.name = "ringway-2-shards", .kind = ArmKind::kRingway}},
          .rounds = 7};
}

TEST(ShortNumber, KeepsWhatCounts) {
  EXPECT_EQ(short_number(0), "0.00");
  EXPECT_EQ(short_number(0.0423), "0.0423");
  EXPECT_EQ(short_number(1.234), "1.23");
  EXPECT_EQ(short_number(45.67), "45.7");
  EXPECT_EQ(short_number(123456.7), "123457");
  EXPECT_EQ(short_number(-3.14159), "-3.14");
  EXPECT_EQ(short_number(std::optional<double>()), "-");
}

TEST(Table, FitsInto120ColumnsWithTheWidestFigures) {
  Scenario scenario{.baseline = "relay"};
  Group group = any_group();
  const Summary summary{.rows = {wide_row()}};
  EXPECT_LE(longest_line(closed_table(scenario, group, summary)), kColumns);
  group.generator = GeneratorKind::kH2load;
  EXPECT_LE(longest_line(closed_table(scenario, group, summary)), kColumns);
  group.rate = Rate{.value = 0.9, .is_share = true};
  Summary with_rate{.rows = {wide_row()}};
  EXPECT_LE(longest_line(rate_table_head(scenario, group)), kColumns);
  EXPECT_LE(longest_line(rate_table_rows(group, with_rate)),
            kColumns + 8);  // five-digit intervals may stick out a little
}

TEST(Table, NamesWhatWentWrong) {
  Scenario scenario{.baseline = "relay"};
  Summary summary{.rows = {wide_row(), {.arm = "nginx", .failure = "nginx: exit code 1"}}, .foreign_cpu = 0.4};
  summary.rows[0].errors = 12;
  summary.rows[0].errors_by_kind = {{"reset CANCEL", 12}};
  summary.rows[0].failed_rounds = 1;
  summary.rows[0].failure = "it hung";
  summary.rows[0].is_bottleneck = true;
  summary.rows[0].bottleneck_reason = "its CPU was busy";
  Group group = any_group();
  group.rounds = 3;
  const std::string text = closed_table(scenario, group, summary);
  for (const char* part : {"! 12 errors", "12 calls failed: reset CANCEL", "no figures: nginx: exit code 1",
                           "1 rounds without figures: it hung", "the generator was the limit: its CPU was busy",
                           "cover 75 %", "0.40 CPUs busy"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
  }
}

TEST(Table, ShowsTheAddedMeanWhereTheGeneratorGivesNoQuantiles) {
  Scenario scenario;
  Group group = any_group();
  group.generator = GeneratorKind::kH2load;
  Row row = wide_row();
  row.added_p50.reset();
  row.added_mean = Interval{.median = 77.7};
  const std::string text = closed_table(scenario, group, {.rows = {row}});
  EXPECT_NE(text.find("+mean"), std::string::npos);
  EXPECT_NE(text.find("77.7"), std::string::npos);
}

TEST(VerdictLine, NamesArmLimitAndFigure) {
  const Verdict verdict{.arm = "ringway",
                        .key = "cpu_vs_relay",
                        .limit = 1.15,
                        .outcome = Verdict::Outcome::kFails,
                        .measured = Interval{.median = 1.3, .low = 1.2, .high = 1.4}};
  const std::string line = verdict_line(verdict, group_name(any_group()));
  EXPECT_TRUE(line.starts_with("FAIL"));
  for (const char* part : {"32x32 ringway-load", "ringway", "cpu_vs_relay", "1.30 [1.20 .. 1.40]", "limit 1.15"}) {
    EXPECT_NE(line.find(part), std::string::npos) << part;
  }
}

}  // namespace
}  // namespace ringway::bench
