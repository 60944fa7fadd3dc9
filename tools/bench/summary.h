// From the cells of a group to the rows of its table and the verdicts on its limits. Pure arithmetic.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "runner.h"
#include "statistics.h"

namespace ringway::bench {

// Figures are medians over the rounds; times are in microseconds.
struct Row {
  std::string arm;
  size_t rounds = 0;         // that gave figures
  size_t failed_rounds = 0;  // that did not
  std::string failure;       // the first of these
  std::optional<double> rate_offered;
  std::optional<double> rate_achieved;
  std::optional<double> mean;
  std::optional<double> p50;
  std::optional<double> p90;
  std::optional<double> p99;
  std::optional<Interval> added_mean;  // the arm less direct, in the same round
  std::optional<Interval> added_p50;
  std::optional<Interval> added_p90;
  std::optional<Interval> added_p99;
  std::optional<Interval> cpu_us;     // of the proxy, per request
  std::optional<Interval> cpu_ratio;  // to the baseline arm, paired
  std::optional<double> switches_per_request;
  std::optional<double> enters_per_request;
  std::optional<double> sends_per_request;
  std::string tls;                             // what the connections agreed on; empty in cleartext
  std::optional<double> handshakes_per_cpu_s;  // where handshakes are measured
  uint64_t errors = 0;                         // over all rounds
  std::map<std::string, uint64_t> errors_by_kind;
  bool is_bottleneck = false;  // the generator said in some round that it was the limit itself
  std::string bottleneck_reason;
  bool is_behind = false;  // achieved less than 99 % of what was offered
};

struct Verdict {
  enum class Outcome { kHolds, kFails, kNotJudged };
  std::string arm;
  std::string key;
  double limit = 0;
  Outcome outcome = Outcome::kNotJudged;
  std::optional<Interval> measured;
  std::string reason;  // why it is not judged, or has no figure
};

struct Summary {
  std::vector<Row> rows;
  std::vector<Verdict> verdicts;
  double foreign_cpu = 0;  // CPUs that something else kept busy, median over the cells
  double stolen_cpu = 0;
};

// `baseline` is the arm of the column of ratios, or empty.
Summary summarise(const Group& group, const std::string& baseline);

// The A/A check: two arms that are the same program must not differ. Holds when the interval of their ratio contains 1.
Verdict judge_same(const Group& group, const std::string& arm, const std::string& twin);

}  // namespace ringway::bench
