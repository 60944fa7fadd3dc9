#include "summary.h"

#include <fmt/format.h>

#include <algorithm>

namespace ringway::bench {

namespace {

// Below this share of the offered rate, latencies are those of an overloaded arm.
constexpr double kAchieved_min = 0.99;
// What an interval must cover to decide anything.
constexpr double kCoverage_min = 0.95;

using Figure = std::optional<double> (*)(const Cell&);

std::optional<double> per_request(double amount, const Cell& cell) {
  if (cell.report.succeeded == 0) return std::nullopt;
  return amount / static_cast<double>(cell.report.succeeded);
}

std::optional<double> counter_per_request(const Cell& cell, const char* name) {
  const auto counter = cell.counters.find(name);
  const auto requests = cell.counters.find("requests");
  if (counter == cell.counters.end() || requests == cell.counters.end() || requests->second == 0) return std::nullopt;
  return counter->second / requests->second;
}

std::optional<double> cpu_us(const Cell& cell) {
  if (cell.proxy.cpu_ns == 0) return std::nullopt;  // direct: there is no proxy
  return per_request(static_cast<double>(cell.proxy.cpu_ns) / 1000, cell);
}

std::optional<double> cpu_per_byte(const Cell& cell) {
  if (cell.proxy.cpu_ns == 0 || cell.report.bytes == 0) return std::nullopt;
  return static_cast<double>(cell.proxy.cpu_ns) / static_cast<double>(cell.report.bytes);
}

std::optional<double> mean_latency(const Cell& cell) {
  if (!cell.report.latency) return std::nullopt;
  return cell.report.latency->mean;
}

template <std::optional<double> Latency::* Quantile>
std::optional<double> latency_at(const Cell& cell) {
  if (!cell.report.latency) return std::nullopt;
  return (*cell.report.latency).*Quantile;
}

std::optional<double> switches(const Cell& cell) {
  if (cell.proxy.cpu_ns == 0) return std::nullopt;
  return per_request(static_cast<double>(cell.proxy.switches), cell);
}

std::optional<double> enters(const Cell& cell) {
  return counter_per_request(cell, "enters");
}
std::optional<double> sends(const Cell& cell) {
  return counter_per_request(cell, "sends");
}
std::optional<double> records_us(const Cell& cell) {
  return cell.records_us;
}
std::optional<double> rate_achieved(const Cell& cell) {
  return cell.report.rate_achieved;
}

Figure figure_of(Metric metric) {
  switch (metric) {
    case Metric::kCpuPerRequest:
    case Metric::kRecordCosts: return cpu_us;
    case Metric::kCpuPerByte: return cpu_per_byte;
    case Metric::kMeanLatency: return mean_latency;
    case Metric::kEntersPerRequest: return enters;
    case Metric::kSendsPerRequest: return sends;
  }
  return cpu_us;
}

Series series_of(const Group& group, const std::string& arm, Figure figure) {
  Series series;
  for (const Cell& cell : group.cells) {
    if (cell.arm != arm || !cell.failure.empty()) continue;
    if (const std::optional<double> value = figure(cell)) series[cell.round] = *value;
  }
  return series;
}

std::optional<double> median_of(const Group& group, const std::string& arm, Figure figure) {
  const std::optional<Interval> interval = interval_of(series_of(group, arm, figure));
  return interval ? std::optional(interval->median) : std::nullopt;
}

bool is_in(const Group& group, const std::string& name) {
  return std::any_of(group.arms.begin(), group.arms.end(), [&](const Arm& arm) { return arm.name == name; });
}

std::string direct_arm(const Group& group) {
  const auto found =
      std::find_if(group.arms.begin(), group.arms.end(), [](const Arm& arm) { return arm.kind == ArmKind::kDirect; });
  return found == group.arms.end() ? "" : found->name;
}

void note_health(const Group& group, Row& row) {
  for (const Cell& cell : group.cells) {
    if (cell.arm != row.arm) continue;
    if (!cell.failure.empty()) {
      if (row.failed_rounds++ == 0) row.failure = cell.failure;
      continue;
    }
    ++row.rounds;
    if (cell.report.tls) row.tls = cell.report.tls->kind;
    row.errors += cell.report.error_count();
    for (const auto& [kind, count] : cell.report.errors) row.errors_by_kind[kind] += count;
    if (cell.report.is_bottleneck && !row.is_bottleneck) {
      row.is_bottleneck = true;
      row.bottleneck_reason = cell.report.bottleneck_reason;
    }
  }
}

Row row_of(const Group& group, const Arm& arm, const std::string& direct, const std::string& baseline) {
  Row row{.arm = arm.name};
  note_health(group, row);
  row.rate_achieved = median_of(group, arm.name, rate_achieved);
  if (group.rate) row.rate_offered = group.rate_per_s * arm.connections_times;
  row.is_behind = row.rate_offered && row.rate_achieved && *row.rate_achieved < kAchieved_min * *row.rate_offered;
  row.mean = median_of(group, arm.name, mean_latency);
  row.p50 = median_of(group, arm.name, latency_at<&Latency::p50>);
  row.p90 = median_of(group, arm.name, latency_at<&Latency::p90>);
  row.p99 = median_of(group, arm.name, latency_at<&Latency::p99>);
  const auto added = [&](Figure figure) -> std::optional<Interval> {
    if (direct.empty() || arm.kind == ArmKind::kDirect) return std::nullopt;
    return interval_of(paired_difference(series_of(group, arm.name, figure), series_of(group, direct, figure)));
  };
  row.added_mean = added(mean_latency);
  row.added_p50 = added(latency_at<&Latency::p50>);
  row.added_p90 = added(latency_at<&Latency::p90>);
  row.added_p99 = added(latency_at<&Latency::p99>);
  row.cpu_us = interval_of(series_of(group, arm.name, cpu_us));
  if (!baseline.empty() && baseline != arm.name) {
    row.cpu_ratio = interval_of(paired_ratio(series_of(group, arm.name, cpu_us), series_of(group, baseline, cpu_us)));
  }
  if (arm.handshakes != Handshakes::kNone && row.cpu_us && row.cpu_us->median > 0)
    row.handshakes_per_cpu_s = 1e6 / row.cpu_us->median;
  row.switches_per_request = median_of(group, arm.name, switches);
  row.enters_per_request = median_of(group, arm.name, enters);
  row.sends_per_request = median_of(group, arm.name, sends);
  return row;
}

// An interval of fewer than six rounds says too little: one run in four would be condemned by chance with three.
bool has_too_few_rounds(Verdict& verdict) {
  if (verdict.measured->coverage >= kCoverage_min) return false;
  verdict.outcome = Verdict::Outcome::kNotJudged;
  verdict.reason = fmt::format("{} rounds are too few to judge by, six are needed", verdict.measured->count);
  return true;
}

Verdict judge(const Group& group, const Limit& limit) {
  Verdict verdict{.arm = limit.arm, .key = limit.key, .limit = limit.value};
  for (const std::string& needed : {limit.arm, limit.against}) {
    if (needed.empty() || is_in(group, needed)) continue;
    verdict.reason = fmt::format("arm {} did not run", needed);
    return verdict;
  }
  const Figure figure = figure_of(limit.metric);
  Series series = series_of(group, limit.arm, figure);
  const Series other = series_of(group, limit.against, figure);
  if (limit.metric == Metric::kRecordCosts) {
    series = paired_ratio(paired_difference(series, other), series_of(group, limit.arm, records_us));
  } else if (!limit.against.empty()) {
    series = paired_ratio(series, other);
  }
  verdict.measured = interval_of(series);
  if (!verdict.measured) {
    verdict.outcome = Verdict::Outcome::kFails;
    verdict.reason = "no figure was measured";
    return verdict;
  }
  if (!limit.against.empty() && has_too_few_rounds(verdict)) return verdict;
  // Counts are free of noise, so their median decides; a ratio of times fails only when all of its interval is above.
  const double decisive = limit.against.empty() ? verdict.measured->median : verdict.measured->low;
  verdict.outcome = decisive > limit.value ? Verdict::Outcome::kFails : Verdict::Outcome::kHolds;
  return verdict;
}

// An arm that has limits must also answer every call: a fast error is not a fast answer.
void judge_errors(const Group& group, const std::vector<Row>& rows, std::vector<Verdict>& verdicts) {
  for (const Row& row : rows) {
    const bool has_limit = std::any_of(group.shape.limits.begin(), group.shape.limits.end(),
                                       [&](const Limit& limit) { return limit.arm == row.arm; });
    if (!has_limit || (row.errors == 0 && row.failed_rounds == 0)) continue;
    verdicts.push_back({.arm = row.arm,
                        .key = "errors",
                        .limit = 0,
                        .outcome = Verdict::Outcome::kFails,
                        .reason = row.failed_rounds == 0
                                      ? fmt::format("{} failed calls", row.errors)
                                      : fmt::format("{} rounds without figures: {}", row.failed_rounds, row.failure)});
  }
}

// The median over cells of what `amount` seconds came to in CPUs.
template <typename Amount>
double median_cpus(const Group& group, Amount amount) {
  std::vector<double> shares;
  for (const Cell& cell : group.cells) {
    if (cell.failure.empty() && cell.wall_s > 0) shares.push_back(std::max(0.0, amount(cell)) / cell.wall_s);
  }
  return shares.empty() ? 0 : median(std::move(shares));
}

}  // namespace

Summary summarise(const Group& group, const std::string& baseline) {
  Summary summary;
  const std::string direct = direct_arm(group);
  for (const Arm& arm : group.arms)
    summary.rows.push_back(row_of(group, arm, direct, is_in(group, baseline) ? baseline : ""));
  for (const Limit& limit : group.shape.limits) summary.verdicts.push_back(judge(group, limit));
  judge_errors(group, summary.rows, summary.verdicts);
  summary.foreign_cpu = median_cpus(group, [](const Cell& cell) { return cell.machine_busy_s - cell.ours_busy_s; });
  summary.stolen_cpu = median_cpus(group, [](const Cell& cell) { return cell.machine_stolen_s; });
  return summary;
}

Verdict judge_same(const Group& group, const std::string& arm, const std::string& twin) {
  Verdict verdict{.arm = twin, .key = fmt::format("cpu_vs_{}", arm), .limit = 1};
  verdict.measured = interval_of(paired_ratio(series_of(group, twin, cpu_us), series_of(group, arm, cpu_us)));
  if (!verdict.measured) {
    verdict.reason = "no figure was measured";
    verdict.outcome = Verdict::Outcome::kFails;
    return verdict;
  }
  if (has_too_few_rounds(verdict)) return verdict;
  const bool contains_one = verdict.measured->low <= 1 && verdict.measured->high >= 1;
  verdict.outcome = contains_one ? Verdict::Outcome::kHolds : Verdict::Outcome::kFails;
  return verdict;
}

}  // namespace ringway::bench
