#include "result_file.h"

#include <fmt/format.h>
#include <sys/utsname.h>
#include <time.h>

#include <array>
#include <string_view>

#include "json.h"

namespace ringway::bench {

namespace {

std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

std::string cpu_model() {
  const std::string text = read_file("/proc/cpuinfo");
  const size_t at = text.find("model name");
  if (at == std::string::npos) return "not visible";
  const size_t colon = text.find(": ", at);
  return text.substr(colon + 2, text.find('\n', colon) - colon - 2);
}

std::string or_not_visible(const std::string& text) {
  return text.empty() ? "not visible" : first_line(text);
}

std::string utc_now() {
  const time_t now = time(nullptr);
  tm parts{};
  gmtime_r(&now, &parts);
  std::array<char, 32> text{};
  return std::string(text.data(), strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts));
}

void write_manifest(JsonWriter& json, const Manifest& manifest) {
  json.begin_object("manifest");
  json.value("started", manifest.started);
  json.value("kernel", manifest.kernel);
  json.value("cpu_model", manifest.cpu_model);
  json.value("cpu_count", manifest.cpu_count);
  json.value("governor", manifest.governor);
  json.value("congestion_control", manifest.congestion_control);
  json.value("load_average", manifest.load_average);
  json.value("placement", manifest.placement);
  json.begin_object("versions");
  for (const auto& [program, version] : manifest.versions) json.value(program, version);
  json.end_object();
  json.begin_list("arguments");
  for (const std::string& argument : manifest.arguments) json.value("", argument);
  json.end_list();
  json.value("interval",
             "two order statistics around the median of the rounds; coverage is exact for any distribution");
  json.end_object();
}

void write_latency(JsonWriter& json, std::string_view key, const std::optional<Latency>& latency) {
  if (!latency) return;
  json.begin_object(key);
  json.value("mean", latency->mean);
  for (const auto& [name, value] :
       {std::pair{"p50", latency->p50}, std::pair{"p90", latency->p90}, std::pair{"p99", latency->p99},
        std::pair{"p99.9", latency->p999}, std::pair{"max", latency->max}}) {
    if (value) json.value(name, *value);
  }
  json.end_object();
}

void write_cell(JsonWriter& json, const Cell& cell) {
  json.begin_object();
  json.value("arm", cell.arm);
  json.value("round", cell.round);
  json.value("position", cell.position);
  json.value("proxy_command", cell.proxy_command);
  json.value("generator_command", cell.generator_command);
  if (!cell.failure.empty()) {
    json.value("failure", cell.failure);
    json.end_object();
    return;
  }
  const Report& report = cell.report;
  json.value("requests", report.requests);
  json.value("succeeded", report.succeeded);
  json.value("duration_s", report.duration_s);
  json.value("rate_offered", report.rate_offered);
  json.value("rate_achieved", report.rate_achieved);
  json.begin_object("errors");
  for (const auto& [kind, count] : report.errors) json.value(kind, count);
  json.end_object();
  if (report.tls) {
    json.begin_object("tls");
    json.value("kind", report.tls->kind);
    json.value("handshakes", report.tls->handshakes);
    json.value("resumed", report.tls->resumed);
    json.end_object();
  }
  write_latency(json, "latency_us", report.latency);
  write_latency(json, "latency_from_send_us", report.latency_from_send);
  write_latency(json, "schedule_lag_us", report.schedule_lag);
  json.value("bytes", report.bytes);
  json.value("generator_cpu_s", report.cpu_s);
  json.value("generator_is_bottleneck", report.is_bottleneck);
  json.value("proxy_cpu_s", static_cast<double>(cell.proxy.cpu_ns) * 1e-9);
  if (cell.records_us) json.value("records_us_per_request", *cell.records_us);
  json.value("proxy_context_switches", cell.proxy.switches);
  json.value("wall_s", cell.wall_s);
  json.value("machine_busy_s", cell.machine_busy_s);
  json.value("machine_stolen_s", cell.machine_stolen_s);
  json.value("ours_busy_s", cell.ours_busy_s);
  if (!cell.counters.empty()) {
    json.begin_object("counters");
    for (const auto& [name, value] : cell.counters) json.value(name, value);
    json.end_object();
  }
  json.end_object();
}

void write_interval(JsonWriter& json, std::string_view key, const std::optional<Interval>& interval) {
  if (!interval) return;
  json.begin_object(key);
  json.value("median", interval->median);
  json.value("low", interval->low);
  json.value("high", interval->high);
  json.value("lower_quartile", interval->lower_quartile);
  json.value("upper_quartile", interval->upper_quartile);
  json.value("coverage", interval->coverage);
  json.value("rounds", interval->count);
  json.end_object();
}

void write_row(JsonWriter& json, const Row& row) {
  json.begin_object();
  json.value("arm", row.arm);
  json.value("rounds", row.rounds);
  json.value("failed_rounds", row.failed_rounds);
  if (!row.failure.empty()) json.value("failure", row.failure);
  json.value("rate_offered", row.rate_offered);
  json.value("rate_achieved", row.rate_achieved);
  json.value("mean_us", row.mean);
  json.value("p50_us", row.p50);
  json.value("p90_us", row.p90);
  json.value("p99_us", row.p99);
  write_interval(json, "added_mean_us", row.added_mean);
  write_interval(json, "added_p50_us", row.added_p50);
  write_interval(json, "added_p90_us", row.added_p90);
  write_interval(json, "added_p99_us", row.added_p99);
  write_interval(json, "cpu_us_per_request", row.cpu_us);
  write_interval(json, "cpu_ratio_to_baseline", row.cpu_ratio);
  json.value("context_switches_per_request", row.switches_per_request);
  json.value("enters_per_request", row.enters_per_request);
  json.value("sends_per_request", row.sends_per_request);
  if (!row.tls.empty()) json.value("tls", row.tls);
  if (row.handshakes_per_cpu_s) json.value("handshakes_per_cpu_s", *row.handshakes_per_cpu_s);
  json.value("errors", row.errors);
  json.value("generator_is_bottleneck", row.is_bottleneck);
  json.end_object();
}

void write_verdict(JsonWriter& json, const Verdict& verdict) {
  json.begin_object();
  json.value("arm", verdict.arm);
  json.value("key", verdict.key);
  json.value("limit", verdict.limit);
  json.value("outcome", verdict.outcome == Verdict::Outcome::kHolds   ? "holds"
                        : verdict.outcome == Verdict::Outcome::kFails ? "fails"
                                                                      : "not judged");
  write_interval(json, "measured", verdict.measured);
  if (!verdict.reason.empty()) json.value("reason", verdict.reason);
  json.end_object();
}

void write_group(JsonWriter& json, const GroupResult& result) {
  const Group& group = result.group;
  json.begin_object();
  json.value("connections", group.shape.connections);
  json.value("streams", group.shape.streams);
  json.value("generator", name_of(group.generator));
  json.value("rate", group.rate ? group.rate->text() : "closed");
  json.value("rounds", group.rounds);
  json.value("foreign_cpus", result.summary.foreign_cpu);
  json.value("stolen_cpus", result.summary.stolen_cpu);
  json.begin_list("summary");
  for (const Row& row : result.summary.rows) write_row(json, row);
  json.end_list();
  json.begin_list("limits");
  for (const Verdict& verdict : result.summary.verdicts) write_verdict(json, verdict);
  json.end_list();
  json.begin_list("cells");
  for (const Cell& cell : group.cells) write_cell(json, cell);
  json.end_list();
  json.end_object();
}

}  // namespace

Manifest describe_machine(const Scenario& scenario, const Programs& programs, const CpuPlan& plan,
                          const ScratchDirectory& scratch, std::vector<std::string> arguments) {
  utsname system{};
  uname(&system);
  Manifest manifest{.started = utc_now(),
                    .kernel = fmt::format("{} {} {}", system.sysname, system.release, system.version),
                    .cpu_model = cpu_model(),
                    .cpu_count = allowed_cpus().size(),
                    .governor = or_not_visible(read_file("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")),
                    .congestion_control = or_not_visible(read_file("/proc/sys/net/ipv4/tcp_congestion_control")),
                    .load_average = or_not_visible(read_file("/proc/loadavg")),
                    .placement = plan.text,
                    .versions = {},
                    .arguments = std::move(arguments)};
  const auto ask = [&](const std::string& name, const std::string& program, const char* flag) {
    manifest.versions[name] = first_line(output_of({program, flag}, scratch));
  };
  for (const Arm& arm : scenario.arms) {
    const std::string name(name_of(arm.kind));
    if (manifest.versions.contains(name) || arm.kind == ArmKind::kDirect) continue;
    if (arm.kind == ArmKind::kRelay || arm.kind == ArmKind::kRingway) {
      const std::string own = arm.kind == ArmKind::kRelay ? "ringway-relay" : "ringway";
      ask(own, programs.own(own), "--version");
    } else if (const auto program = find_program(name)) {
      ask(name, *program, arm.kind == ArmKind::kNghttpx ? "--version" : "-v");
    }
  }
  for (const GeneratorKind generator : scenario.generators) {
    const std::string name(name_of(generator));
    if (generator == GeneratorKind::kRingwayLoad) {
      ask(name, programs.own(name), "--version");
    } else if (const auto program = find_program(name)) {
      ask(name, *program, "--version");
    }
  }
  ask("ringway-echo", programs.own("ringway-echo"), "--version");
  return manifest;
}

std::string result_json(const Scenario& scenario, const Manifest& manifest, const std::vector<GroupResult>& results,
                        bool all_hold) {
  JsonWriter json;
  json.begin_object();
  json.value("scenario", scenario.name);
  json.value("scenario_file", scenario.path);
  json.value("message_bytes", scenario.message_bytes);
  json.value("stream_messages", scenario.stream_messages);
  json.value("endpoints", scenario.endpoints);
  json.value("baseline", scenario.baseline);
  json.value("all_limits_hold", all_hold);
  write_manifest(json, manifest);
  json.begin_list("groups");
  for (const GroupResult& result : results) write_group(json, result);
  json.end_list();
  json.end_object();
  return json.text();
}

}  // namespace ringway::bench
