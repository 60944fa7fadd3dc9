// ringway-bench: runs a scenario and says what each hop costs. See docs/benchmarks.md.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "certificates.h"
#include "command_line.h"
#include "counts.h"
#include "failure.h"
#include "memory.h"
#include "placement.h"
#include "process.h"
#include "result_file.h"
#include "runner.h"
#include "scenario.h"
#include "server.h"
#include "summary.h"
#include "table.h"

namespace ringway::bench {
namespace {

using tools::kExitBadFlags;
using tools::kExitDone;
using tools::kExitFailure;

constexpr uint32_t kQuickRounds_max = 3;
constexpr double kQuickDuration_s = 0.2;
constexpr const char* kTwin = "relay-again";

struct Options {
  std::string scenario;
  std::string out;
  std::string bin_directory;
  std::string certificates;  // a folder; empty: made
  uint64_t rounds = 0;
  uint64_t connections = 0;  // 0: as the measurement has it
  std::vector<std::string> only;
  bool is_quick = false;
  bool is_unpinned = false;
  bool is_aa = false;
  bool is_memory = false;
  bool is_tls = false;  // with is_memory
  bool is_counts = false;
};

void say(const std::string& text) {
  std::fputs(text.c_str(), stdout);
  std::fflush(stdout);
}

void keep_only(Scenario& scenario, const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    if (scenario.find_arm(name) != nullptr) continue;
    std::string known;
    for (const Arm& arm : scenario.arms) known += (known.empty() ? "" : ", ") + arm.name;
    throw ScenarioError(fmt::format("--only: {} has no arm '{}' (allowed: {})", scenario.path, name, known));
  }
  if (names.empty()) return;
  std::erase_if(scenario.arms,
                [&](const Arm& arm) { return std::find(names.begin(), names.end(), arm.name) == names.end(); });
}

void drop_missing(Scenario& scenario) {
  std::erase_if(scenario.arms, [](const Arm& arm) {
    const std::optional<std::string> missing = missing_program(arm.kind);
    if (missing)
      say(fmt::format("{}: skipped, {} is not installed (scripts/setup --peers installs it)\n", arm.name, *missing));
    return missing.has_value();
  });
}

void add_twin(Scenario& scenario) {
  const auto relay =
      std::find_if(scenario.arms.begin(), scenario.arms.end(), [](const Arm& arm) { return arm.name == "relay"; });
  if (relay == scenario.arms.end())
    throw ScenarioError(fmt::format("--aa: {} has no arm 'relay' to run twice", scenario.path));
  Arm twin = *relay;
  twin.name = kTwin;
  scenario.arms.insert(relay + 1, twin);
}

void make_quick(Scenario& scenario) {
  scenario.rounds = std::min(scenario.rounds, kQuickRounds_max);
  for (Shape& shape : scenario.shapes) {
    if (shape.requests == 0) shape.duration_s = std::min(shape.duration_s, kQuickDuration_s);
  }
}

Scenario prepare_scenario(const Options& options) {
  Scenario scenario = load_scenario(options.scenario);
  keep_only(scenario, options.only);
  drop_missing(scenario);
  if (scenario.arms.empty()) throw Failure("no arm is left to run");
  if (options.is_aa) add_twin(scenario);
  if (options.is_quick) make_quick(scenario);
  if (options.rounds != 0) scenario.rounds = static_cast<uint32_t>(options.rounds);
  return scenario;
}

void print_group(const Scenario& scenario, const std::vector<GroupResult>& earlier, const GroupResult& result) {
  const Group& group = result.group;
  if (!group.rate || !group.rate->is_share) {
    say(closed_table(scenario, group, result.summary) + "\n");
    return;
  }
  const bool is_first = earlier.empty() || earlier.back().group.shape.connections != group.shape.connections ||
                        earlier.back().group.shape.streams != group.shape.streams;
  // What disturbed the machine is said once a table, with its first rows.
  say((is_first ? rate_table_head(scenario, group) + group_notes(group, result.summary) : "") +
      rate_table_rows(group, result.summary));
}

bool print_verdicts(const std::vector<GroupResult>& results) {
  size_t held = 0;
  size_t failed = 0;
  size_t skipped = 0;
  for (const GroupResult& result : results) {
    for (const Verdict& verdict : result.summary.verdicts) {
      held += verdict.outcome == Verdict::Outcome::kHolds ? 1 : 0;
      failed += verdict.outcome == Verdict::Outcome::kFails ? 1 : 0;
      skipped += verdict.outcome == Verdict::Outcome::kNotJudged ? 1 : 0;
      // The A/A check is a result in itself and is shown even when it holds.
      const bool is_shown = verdict.outcome == Verdict::Outcome::kFails || verdict.arm == kTwin;
      if (is_shown) say(verdict_line(verdict, group_name(result.group)));
    }
  }
  if (held + failed + skipped > 0) say(fmt::format("limits: {} hold, {} fail, {} not judged\n", held, failed, skipped));
  return failed == 0;
}

// scripts/make-certs of the folder that the build directory stands in.
Certificates certificates_for(const Options& options, const Programs& programs, const ScratchDirectory& scratch) {
  const std::string script = programs.directory() + "/../scripts/make-certs";
  return find_certificates(options.certificates, script, scratch);
}

int run_scenario(const Options& options, std::vector<std::string> arguments) {
  Scenario scenario = prepare_scenario(options);
  const Programs programs(options.bin_directory);
  const CpuPlan plan = plan_cpus(allowed_cpus(), scenario.placement, !options.is_unpinned);
  const ScratchDirectory scratch;
  const Manifest manifest = describe_machine(scenario, programs, plan, scratch, std::move(arguments));
  say(fmt::format("{}: {}\n{}; {}\n\n", scenario.name, plan.text, manifest.kernel.substr(0, manifest.kernel.find(" #")),
                  manifest.cpu_model));

  std::vector<GroupResult> results;
  Runner runner(scenario, programs, plan, scratch);
  if (std::any_of(scenario.arms.begin(), scenario.arms.end(), [](const Arm& arm) { return arm.is_tls; }))
    runner.use_certificates(certificates_for(options, programs, scratch));
  runner.run([&](Group& group) {
    Summary summary = summarise(group, scenario.baseline);
    if (options.is_aa) summary.verdicts.push_back(judge_same(group, "relay", kTwin));
    GroupResult result{std::move(group), std::move(summary)};
    print_group(scenario, results, result);
    results.push_back(std::move(result));
  });
  const bool all_hold = print_verdicts(results);
  if (!options.out.empty()) {
    std::filesystem::create_directories(options.out);
    const std::string file = fmt::format("{}/{}.json", options.out, scenario.name);
    write_file(file, result_json(scenario, manifest, results, all_hold));
    say(fmt::format("{}\n", file));
  }
  return all_hold ? kExitDone : kExitFailure;
}

int run_instrument(const Options& options) {
  const Programs programs(options.bin_directory);
  const CpuPlan plan = plan_cpus(allowed_cpus(), Placement::kSplit, !options.is_unpinned);
  const ScratchDirectory scratch;
  std::optional<Certificates> tls;
  if (options.is_tls) tls = certificates_for(options, programs, scratch);
  const bool holds = options.is_memory
                         ? measure_memory(programs, plan, scratch, static_cast<uint32_t>(options.connections),
                                          options.only, tls ? &*tls : nullptr)
                         : measure_counts(programs, plan, scratch);
  return holds ? kExitDone : kExitFailure;
}

int run(const Options& options, std::vector<std::string> arguments) {
  tools::raise_descriptor_limit();  // for this program and for those it starts
  try {
    catch_signals();
    if (options.is_memory || options.is_counts) return run_instrument(options);
    return run_scenario(options, std::move(arguments));
  } catch (const ScenarioError& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return kExitBadFlags;
  } catch (const Interrupted& interrupted) {
    std::fprintf(stderr, "ringway-bench: stopped by signal %d; everything that was started has ended\n",
                 interrupted.signal);
    return 128 + interrupted.signal;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "ringway-bench: %s\n", error.what());
    return kExitFailure;
  }
}

}  // namespace
}  // namespace ringway::bench

int main(int argc, char** argv) {
  using namespace ringway;
  bench::Options options;
  CLI::App app("Runs a benchmark scenario: what does each proxy hop cost?", "ringway-bench");
  app.add_option("scenario", options.scenario, "scenario file, such as bench/scenarios/quick.yaml")
      ->type_name("SCENARIO");
  app.add_option("--out", options.out, "directory for the JSON file (none: it is not written)")
      ->type_name("DIR")
      ->take_last();
  tools::add_number(app, "--rounds", options.rounds, 1, 1000, "rounds, instead of the scenario's");
  app.add_option("--only", options.only, "arms to run, separated by commas")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("ARM");
  app.add_option("--bin-dir", options.bin_directory, "where ringway's programs are (beside this one)")
      ->type_name("DIR");
  app.add_flag("--quick", options.is_quick, "at most 3 rounds of 0.2 s: to see that it runs, not to judge");
  app.add_flag("--aa", options.is_aa, "run the relay twice a round; their ratio must not differ from 1");
  app.add_flag("--no-pin", options.is_unpinned, "leave the choice of CPUs to the scheduler");
  auto* memory = app.add_flag("--memory", options.is_memory, "instead: resident memory per idle connection");
  tools::add_number(app, "--connections", options.connections, 1, 25'000,
                    "with --memory: how many to open (10000; with --tls 5000)");
  app.add_flag("--tls", options.is_tls, "with --memory: the connections are in TLS")->needs(memory);
  app.add_option("--certs", options.certificates,
                 "folder of ca-cert.pem, server-cert.pem and server-key.pem (made by scripts/make-certs)")
      ->type_name("DIR");
  app.add_flag("--counts", options.is_counts, "instead: instructions per request, by callgrind")->excludes(memory);
  if (const auto done = tools::parse_command_line(app, argc, argv)) return *done;
  if (options.scenario.empty() && !options.is_memory && !options.is_counts) {
    std::fputs("ringway-bench: a scenario file is needed, such as bench/scenarios/quick.yaml (or --memory, --counts)\n",
               stderr);
    return tools::kExitBadFlags;
  }
  return bench::run(options, {argv, argv + argc});
}
