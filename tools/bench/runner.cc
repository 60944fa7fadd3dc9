#include "runner.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/units.h"
#include "failure.h"
#include "record_cost.h"
#include "statistics.h"

namespace ringway::bench {

namespace {

// Before what is measured, the proxy has its connection to the origin, warm tables and touched memory.
constexpr double kWarmUp_s = 0.03;
constexpr uint64_t kWarmUpRequests_min = 200;
// Rounds of the closed loop that finds what 100 % is for the open one.
constexpr uint32_t kCalibrationRounds = 3;
// A generator that takes this much longer than it was told hangs.
constexpr double kGeneratorGrace_s = 20;
constexpr uint64_t kGeneratorByCount_ns = 300 * base::kSecond_ns;

}  // namespace

std::vector<size_t> round_order(size_t arm_count, uint32_t round) {
  std::vector<size_t> order(arm_count);
  std::iota(order.begin(), order.end(), size_t{0});
  if (arm_count < 2) return order;
  const size_t rotation = (round / 2) % arm_count;
  std::rotate(order.begin(), order.begin() + static_cast<ptrdiff_t>(rotation), order.end());
  if (round % 2 == 1) std::reverse(order.begin(), order.end());
  return order;
}

bool takes_part(uint32_t arm_rounds, uint32_t rounds, uint32_t round) {
  if (arm_rounds == 0 || arm_rounds >= rounds) return true;
  const auto taken_before = [&](uint32_t count) { return static_cast<uint64_t>(count) * arm_rounds / rounds; };
  return taken_before(round + 1) > taken_before(round);
}

std::map<std::string, double> parse_counters(const std::string& text) {
  std::map<std::string, double> counters;
  const size_t start = text.rfind("\n{");
  const std::string line = text.starts_with('{') && start == std::string::npos ? text
                           : start == std::string::npos                        ? ""
                                                                               : text.substr(start + 1);
  if (line.empty()) return counters;
  try {
    for (const auto& entry : YAML::Load(line)) {
      double value = 0;
      if (YAML::convert<double>::decode(entry.second, value)) counters[entry.first.Scalar()] = value;
    }
  } catch (const YAML::Exception&) {
    counters.clear();
  }
  return counters;
}

Runner::Runner(const Scenario& scenario, const Programs& programs, const CpuPlan& plan, const ScratchDirectory& scratch)
    : scenario_(scenario),
      programs_(programs),
      plan_(plan),
      scratch_(scratch),
      launcher_(programs, plan, scratch),
      body_file_(scratch.path() + "/body") {
  write_file(body_file_, grpc_body(scenario.message_bytes));
}

void Runner::run(const std::function<void(Group&)>& done) {
  for (uint32_t index = 0; index < scenario_.endpoints; ++index) origins_.push_back(launcher_.origin());
  for (const GeneratorKind generator : scenario_.generators) {
    for (const Shape& shape : scenario_.shapes) {
      std::vector<Group> groups = scenario_.rates.empty() ? closed_groups(generator, shape) : rate_groups(shape);
      for (Group& group : groups) {
        run_group(group);
        done(group);
      }
    }
  }
}

std::vector<Group> Runner::closed_groups(GeneratorKind generator, const Shape& shape) const {
  return {Group{.shape = shape, .generator = generator, .arms = scenario_.arms, .rounds = scenario_.rounds}};
}

std::vector<Group> Runner::rate_groups(const Shape& shape) {
  const bool has_share =
      std::any_of(scenario_.rates.begin(), scenario_.rates.end(), [](const Rate& rate) { return rate.is_share; });
  const std::map<std::string, double> closed_loop =
      has_share ? closed_loop_rates(shape) : std::map<std::string, double>{};
  std::vector<Group> groups;
  for (const Rate& rate : scenario_.rates) {
    if (!rate.is_share) {
      groups.push_back(
          {.shape = shape, .rate = rate, .rate_per_s = rate.value, .arms = scenario_.arms, .rounds = scenario_.rounds});
      continue;
    }
    // A share is of the arm's own maximum, so each arm has a rate of its own and is paired with direct at that rate.
    for (const Arm& arm : scenario_.arms) {
      const auto maximum = closed_loop.find(arm.name);
      if (maximum == closed_loop.end()) continue;
      Group group{.shape = shape,
                  .rate = rate,
                  .rate_per_s = rate.value * maximum->second,
                  .arms = {},
                  .rounds = scenario_.rounds};
      for (const Arm& other : scenario_.arms) {
        if (other.kind == ArmKind::kDirect || other.name == arm.name) group.arms.push_back(other);
      }
      groups.push_back(std::move(group));
    }
  }
  return groups;
}

std::map<std::string, double> Runner::closed_loop_rates(const Shape& shape) {
  Group group{.shape = shape, .arms = {}, .rounds = kCalibrationRounds};
  for (const Arm& arm : scenario_.arms) {
    if (arm.kind != ArmKind::kDirect) group.arms.push_back(arm);
  }
  run_group(group);
  std::map<std::string, std::vector<double>> rates;
  for (const Cell& cell : group.cells) {
    if (cell.failure.empty()) rates[cell.arm].push_back(cell.report.rate_achieved);
  }
  std::map<std::string, double> medians;
  for (const auto& [arm, values] : rates) medians[arm] = median(values);
  return medians;
}

void Runner::run_group(Group& group) {
  std::map<std::string, std::vector<double>> rates;
  for (uint32_t round = 0; round < group.rounds; ++round) {
    uint32_t position = 0;
    for (const size_t index : round_order(group.arms.size(), round)) {
      const Arm& arm = group.arms[index];
      if (!takes_part(arm.rounds, group.rounds, round)) continue;
      std::vector<double>& known = rates[arm.name];
      Cell cell = run_cell(group, arm, known.empty() ? std::nullopt : std::optional(median(known)));
      cell.round = round;
      cell.position = position++;
      if (cell.failure.empty()) known.push_back(cell.report.rate_achieved);
      group.cells.push_back(std::move(cell));
    }
  }
}

Cell Runner::run_cell(const Group& group, const Arm& arm, std::optional<double> known_rate) {
  for (Server& origin : origins_) {
    if (!origin.is_running()) throw Failure(fmt::format("the origin has ended: {}", origin.last_words()));
  }
  Cell cell{.arm = arm.name};
  try {
    measure(group, arm, known_rate, cell);
  } catch (const Failure& failure) {
    cell.failure = failure.what();
  }
  return cell;
}

void Runner::measure(const Group& group, const Arm& arm, std::optional<double> known_rate, Cell& cell) {
  if (arm.kernel_tls != KernelTls::kOff) {
    if (const auto missing = missing_kernel_tls(scratch_)) throw Failure(*missing);
  }
  std::optional<Server> proxy;
  if (arm.kind != ArmKind::kDirect) {
    proxy.emplace(launcher_.proxy(arm, origin_addresses()));
    cell.proxy_command = proxy->command();
  }
  Load load = load_for(group, arm);
  load.target = proxy ? proxy->address() : origin_addresses().front();

  Load warm_up = load;
  const uint64_t in_flight = uint64_t{load.connections} * load.streams;
  warm_up.requests = 0;
  warm_up.duration_s = kWarmUp_s;
  if (load.generator == GeneratorKind::kH2load) warm_up.requests = std::max(2 * in_flight, kWarmUpRequests_min);
  const Report warmed = generate(warm_up, nullptr);
  if (load.requests == 0 && load.generator == GeneratorKind::kH2load) {
    // h2load drops what is in flight when its time is over, so it is given a count that takes about that time.
    const double rate = known_rate.value_or(warmed.rate_achieved);
    load.requests = std::max(static_cast<uint64_t>(rate * load.duration_s), in_flight);
  }

  const uint64_t start_ns = base::monotonic_ns();
  const MachineTime machine_before = machine_time();
  const Usage origin_before = origin_usage();
  const Usage proxy_before = proxy ? proxy->usage() : Usage{};
  cell.report = generate(load, &cell.generator_command);
  if (proxy) cell.proxy = proxy->usage() - proxy_before;
  const Usage origin = origin_usage() - origin_before;
  const MachineTime machine = machine_time();
  cell.wall_s = static_cast<double>(base::monotonic_ns() - start_ns) * 1e-9;
  cell.machine_busy_s = machine.busy_s - machine_before.busy_s;
  cell.machine_stolen_s = machine.stolen_s - machine_before.stolen_s;
  cell.ours_busy_s = static_cast<double>(cell.proxy.cpu_ns + origin.cpu_ns) * 1e-9 + cell.report.cpu_s;
  if (arm.is_tls && arm.handshakes == Handshakes::kNone) {
    // An octet passes the proxy's TLS once: half of them are opened, half are sealed.
    const double bytes = static_cast<double>(cell.report.bytes) / static_cast<double>(cell.report.succeeded);
    cell.records_us = seal_and_open_ns_per_byte(bytes_of_record(bytes, load.streams)) * bytes / 2 / 1000;
  }
  if (proxy) cell.counters = parse_counters(proxy->stop());
}

Load Runner::load_for(const Group& group, const Arm& arm) const {
  return {.generator = group.generator,
          .connections = group.shape.connections * arm.connections_times,
          .streams = group.shape.streams,
          .requests = group.shape.requests,
          .duration_s = group.shape.duration_s,
          .rate = group.rate_per_s * arm.connections_times,
          .message_bytes = scenario_.message_bytes,
          .stream_messages = scenario_.stream_messages,
          .is_pipelined = scenario_.is_pipelined,
          .vary_metadata = arm.vary_metadata,
          .paths = arm.paths,
          .ca = arm.is_tls ? certificates_->ca : "",
          .handshakes = arm.handshakes};
}

Report Runner::generate(const Load& load, std::string* command) {
  const bool is_ours = load.generator == GeneratorKind::kRingwayLoad;
  const std::string name(name_of(load.generator));
  const std::optional<std::string> program = is_ours ? programs_.own(name) : find_program(name);
  if (!program) throw Failure(fmt::format("{} is not installed; scripts/setup installs it", name));
  Child child({.arguments = generator_arguments(load, *program, body_file_),
               .cpus = plan_.generator,
               .output_stem = scratch_.path() + "/generator"});
  if (command != nullptr) *command = command_line(child.command());
  const uint64_t timeout_ns = load.duration_s > 0
                                  ? static_cast<uint64_t>((load.duration_s * 4 + kGeneratorGrace_s) * 1e9)
                                  : kGeneratorByCount_ns;
  const std::optional<Exit> exit = child.wait(timeout_ns);
  if (!exit) throw Failure(fmt::format("{} did not end within {} s", name, timeout_ns / base::kSecond_ns));
  const std::string output = child.output();
  // A generator that counted failed calls may say so in its exit code; its report is what counts.
  if (!exit->is_success() && output.find(is_ours ? "{" : "finished in") == std::string::npos) {
    throw Failure(fmt::format("{}: {}: {}", name, exit->text(), child.last_words()));
  }
  Report report = is_ours ? parse_ringway_load(output) : parse_h2load(output);
  report.cpu_s = exit->cpu_s;
  // h2load does not count what it sends: then the messages count, each both ways.
  if (report.bytes == 0) report.bytes = report.succeeded * 2 * (uint64_t{load.message_bytes} + 5);
  if (report.succeeded == 0) {
    std::string causes;
    for (const auto& [kind, count] : report.errors) causes += fmt::format("; {} x {}", count, kind);
    throw Failure(fmt::format("{}: not one of {} calls succeeded in {:.2f} s{}", name, report.requests,
                              report.duration_s, causes));
  }
  return report;
}

Usage Runner::origin_usage() const {
  Usage sum;
  for (const Server& origin : origins_) {
    const Usage usage = origin.usage();
    sum.cpu_ns += usage.cpu_ns;
    sum.switches += usage.switches;
  }
  return sum;
}

std::vector<std::string> Runner::origin_addresses() const {
  std::vector<std::string> addresses;
  for (const Server& origin : origins_) addresses.push_back(origin.address());
  return addresses;
}

}  // namespace ringway::bench
