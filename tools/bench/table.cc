#include "table.h"

#include <fmt/format.h>

#include <cmath>

namespace ringway::bench {

namespace {

// CPUs kept busy by others, or taken by other virtual machines, above which the reader must be told.
constexpr double kForeignCpu_max = 0.10;
// Fewer give no interval that covers 95 % (order_coverage).
constexpr uint32_t kRoundsToJudge = 6;

std::string added_text(const std::optional<Interval>& interval) {
  return interval ? short_number(interval->median) : "-";
}

std::string length_text(const Group& group) {
  return group.shape.requests != 0 ? fmt::format("{} requests", group.shape.requests)
                                   : fmt::format("{:g} s", group.shape.duration_s);
}

std::string load_text(const Scenario& scenario, const Group& group) {
  std::string text = fmt::format("{} connections x {} streams, {}-byte messages", group.shape.connections,
                                 group.shape.streams, scenario.message_bytes);
  if (scenario.stream_messages > 1) {
    text += fmt::format(" ({} a call{})", scenario.stream_messages, scenario.is_pipelined ? ", pipelined" : "");
  }
  if (scenario.endpoints > 1) text += fmt::format(", {} endpoints", scenario.endpoints);
  return text;
}

// What is no column, because most tables have none of it.
std::string tls_notes(const Summary& summary) {
  std::string text;
  for (const Row& row : summary.rows) {
    if (row.tls.empty()) continue;
    text += fmt::format("  {:<16} {}", row.arm, row.tls);
    if (row.handshakes_per_cpu_s)
      text += fmt::format(", {:.0f} handshakes per CPU second of the proxy", *row.handshakes_per_cpu_s);
    text += "\n";
  }
  return text;
}

}  // namespace

std::string short_number(double value) {
  const double size = std::abs(value);
  if (size >= 100) return fmt::format("{:.0f}", value);
  if (size >= 10) return fmt::format("{:.1f}", value);
  if (size >= 0.1 || size == 0) return fmt::format("{:.2f}", value);
  return fmt::format("{:.4f}", value);
}

std::string short_number(const std::optional<double>& value) {
  return value ? short_number(*value) : "-";
}

std::string interval_text(const std::optional<Interval>& interval) {
  if (!interval) return "-";
  return fmt::format("{} [{} .. {}]", short_number(interval->median), short_number(interval->low),
                     short_number(interval->high));
}

std::string group_name(const Group& group) {
  std::string name = fmt::format("{}x{} {}", group.shape.connections, group.shape.streams, name_of(group.generator));
  if (group.rate) name += " " + group.rate->text();
  return name;
}

std::string closed_table(const Scenario& scenario, const Group& group, const Summary& summary) {
  const std::string loop = group.rate ? fmt::format("offered {:.0f}/s", group.rate_per_s) : "closed loop";
  std::string text = fmt::format("{}, {}, {}, {} rounds of {}\n", load_text(scenario, group), name_of(group.generator),
                                 loop, group.rounds, length_text(group));
  // h2load reports no quantiles, so its tables show what is added to the mean.
  const bool has_quantiles = group.generator == GeneratorKind::kRingwayLoad;
  const std::string ratio_head = scenario.baseline.empty() ? "" : fmt::format("CPU x {}", scenario.baseline);
  text += fmt::format("{:<16} {:>8} {:>7} {:>7} {:>7} {:>7} {:>7} {:>7} {:>7} {:>20} {:>7} {:>7}\n", "latencies in us",
                      "rate/s", "p50", "p90", "p99", "mean", has_quantiles ? "+p50" : "+mean", "+p99", "CPU us",
                      ratio_head, "enters", "sends");
  for (const Row& row : summary.rows) {
    if (row.rounds == 0) {
      text += fmt::format("{:<16} no figures: {}\n", row.arm,
                          row.failure.empty() ? "it took part in no round" : row.failure);
      continue;
    }
    const std::string errors = row.errors != 0 ? fmt::format("  ! {} errors", row.errors) : "";
    text += fmt::format("{:<16} {:>8} {:>7} {:>7} {:>7} {:>7} {:>7} {:>7} {:>7} {:>20} {:>7} {:>7}{}\n", row.arm,
                        short_number(row.rate_achieved), short_number(row.p50), short_number(row.p90),
                        short_number(row.p99), short_number(row.mean),
                        added_text(has_quantiles ? row.added_p50 : row.added_mean), added_text(row.added_p99),
                        row.cpu_us ? short_number(row.cpu_us->median) : "-", interval_text(row.cpu_ratio),
                        short_number(row.enters_per_request), short_number(row.sends_per_request), errors);
  }
  return text + tls_notes(summary) + arm_notes(summary) + group_notes(group, summary);
}

std::string rate_table_head(const Scenario& scenario, const Group& group) {
  return fmt::format("{}, {}, open loop at shares of each arm's own maximum, {} rounds of {}\n",
                     load_text(scenario, group), name_of(group.generator), group.rounds, length_text(group)) +
         fmt::format("{:<16} {:>4} {:>7} {:>8} {:>22} {:>22} {:>22} {:>7}\n", "added us", "load", "offered", "achieved",
                     "+p50", "+p90", "+p99", "CPU us");
}

std::string rate_table_rows(const Group& group, const Summary& summary) {
  std::string text;
  for (const Row& row : summary.rows) {
    if (row.rounds == 0) {
      text += fmt::format("{:<16} {:>4} no figures: {}\n", row.arm, group.rate->text(), row.failure);
      continue;
    }
    if (!row.added_p50 && summary.rows.size() > 1) continue;  // direct is in the differences
    text += fmt::format("{:<16} {:>4} {:>7} {:>8} {:>22} {:>22} {:>22} {:>7}{}\n", row.arm, group.rate->text(),
                        short_number(row.rate_offered), short_number(row.rate_achieved), interval_text(row.added_p50),
                        interval_text(row.added_p90), interval_text(row.added_p99),
                        row.cpu_us ? short_number(row.cpu_us->median) : "-",
                        row.errors != 0 ? fmt::format("  ! {} errors", row.errors) : "");
  }
  return text + arm_notes(summary);
}

std::string arm_notes(const Summary& summary) {
  std::string text;
  for (const Row& row : summary.rows) {
    for (const auto& [kind, count] : row.errors_by_kind)
      text += fmt::format("! {}: {} calls failed: {}\n", row.arm, count, kind);
    if (row.rounds != 0 && row.failed_rounds != 0) {
      text += fmt::format("! {}: {} rounds without figures: {}\n", row.arm, row.failed_rounds, row.failure);
    }
    if (row.is_bottleneck) {
      text += fmt::format("! {}: the generator was the limit: {}\n", row.arm,
                          row.bottleneck_reason.empty() ? "it says so" : row.bottleneck_reason);
    }
    if (row.is_behind) text += fmt::format("! {}: achieved less than 99 % of the offered rate\n", row.arm);
  }
  return text;
}

std::string group_notes(const Group& group, const Summary& summary) {
  std::string text;
  if (group.rounds < kRoundsToJudge) {
    text += fmt::format("! {} rounds: the intervals cover {:.0f} %, not 95 %\n", group.rounds,
                        100 * order_coverage(group.rounds, 1));
  }
  if (summary.foreign_cpu > kForeignCpu_max || summary.stolen_cpu > kForeignCpu_max) {
    text += fmt::format("! other programs kept {:.2f} CPUs busy, other machines took {:.2f}\n", summary.foreign_cpu,
                        summary.stolen_cpu);
  }
  return text;
}

std::string verdict_line(const Verdict& verdict, const std::string& group) {
  const char* outcome = verdict.outcome == Verdict::Outcome::kHolds   ? "ok  "
                        : verdict.outcome == Verdict::Outcome::kFails ? "FAIL"
                                                                      : "skip";
  std::string figure = verdict.measured ? interval_text(verdict.measured) : "";
  if (!verdict.reason.empty()) figure += (figure.empty() ? "" : ": ") + verdict.reason;
  return fmt::format("{}  {:<24} {:<16} {:<28} {} (limit {:g})\n", outcome, group, verdict.arm, verdict.key, figure,
                     verdict.limit);
}

}  // namespace ringway::bench
