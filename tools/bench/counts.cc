#include "counts.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdio>
#include <string>

#include "base/units.h"
#include "failure.h"
#include "generator.h"

namespace ringway::bench {

namespace {

struct Case {
  const char* name;
  bool vary_metadata;
  uint32_t paths;
  double instructions_max;  // per request
};

constexpr Case kCases[] = {
    {.name = "plain", .vary_metadata = false, .paths = 1, .instructions_max = 2000},
    {.name = "varying metadata", .vary_metadata = true, .paths = 1, .instructions_max = 3500},
    {.name = "64 paths", .vary_metadata = false, .paths = 64, .instructions_max = 2500},
};
// Where meson puts what callgrind_preload.cc becomes, below the build directory.
constexpr const char* kPreload = "tools/bench/libringway_callgrind_preload.so";
constexpr uint32_t kConnections = 32;
constexpr uint32_t kStreams = 32;
// The difference of two runs leaves out start, connection set-up and stop.
constexpr uint64_t kFewRequests = 10'000;
constexpr uint64_t kManyRequests = 40'000;
constexpr uint64_t kStartTimeout_ns = 60 * base::kSecond_ns;
constexpr uint64_t kRunTimeout_ns = 300 * base::kSecond_ns;

class Counter {
 public:
  Counter(const Programs& programs, const CpuPlan& plan, const ScratchDirectory& scratch)
      : programs_(programs),
        plan_(plan),
        scratch_(scratch),
        launcher_(programs, plan, scratch),
        origin_(launcher_.origin()) {
    launcher_.set_start_timeout_ns(kStartTimeout_ns);
  }

  double instructions_per_request(const Case& one) {
    const uint64_t few = instructions(one, kFewRequests);
    const uint64_t many = instructions(one, kManyRequests);
    return (static_cast<double>(many) - static_cast<double>(few)) / static_cast<double>(kManyRequests - kFewRequests);
  }

 private:
  uint64_t instructions(const Case& one, uint64_t requests) {
    const std::string file = scratch_.path() + "/callgrind.out";
    Server proxy = launcher_.proxy({.name = "ringway", .kind = ArmKind::kRingway}, {origin_.address()},
                                   {"env", "LD_PRELOAD=" + programs_.own(kPreload), "valgrind", "--tool=callgrind",
                                    "--callgrind-out-file=" + file});
    const Load load{.target = proxy.address(),
                    .connections = kConnections,
                    .streams = kStreams,
                    .requests = requests,
                    .vary_metadata = one.vary_metadata,
                    .paths = one.paths};
    Child generator({.arguments = generator_arguments(load, programs_.own("ringway-load"), ""),
                     .cpus = plan_.generator,
                     .output_stem = scratch_.path() + "/generator"});
    const auto exit = generator.wait(kRunTimeout_ns);
    if (!exit) throw Failure("ringway-load did not end");
    const Report report = parse_ringway_load(generator.output());
    if (report.error_count() != 0) throw Failure(fmt::format("{} calls failed", report.error_count()));
    proxy.stop();
    const uint64_t total = callgrind_total(read_file(file));
    if (total == 0) throw Failure("callgrind wrote no total");
    return total;
  }

  const Programs& programs_;
  const CpuPlan& plan_;
  const ScratchDirectory& scratch_;
  Launcher launcher_;
  Server origin_;
};

}  // namespace

uint64_t callgrind_total(const std::string& text) {
  for (const std::string_view key : {"\ntotals: ", "\nsummary: "}) {
    const size_t at = text.find(key);
    if (at == std::string::npos) continue;
    uint64_t value = 0;
    const char* digits = text.data() + at + key.size();
    if (std::from_chars(digits, text.data() + text.size(), value).ec == std::errc()) return value;
  }
  return 0;
}

bool measure_counts(const Programs& programs, const CpuPlan& plan, const ScratchDirectory& scratch) {
  if (!find_program("valgrind")) throw Failure("valgrind is not installed; scripts/setup installs it");
  Counter counter(programs, plan, scratch);
  bool holds = true;
  std::printf("user-space instructions of ringway per request, %u x %u, by callgrind\n%-20s %14s %10s\n", kConnections,
              kStreams, "load", "instructions", "limit");
  for (const Case& one : kCases) {
    try {
      const double instructions = counter.instructions_per_request(one);
      const bool is_over = instructions > one.instructions_max;
      std::printf("%-20s %14.0f %10.0f%s\n", one.name, instructions, one.instructions_max, is_over ? "  FAIL" : "");
      if (is_over) holds = false;
    } catch (const Failure& failure) {
      std::printf("%-20s no figure: %s\n", one.name, failure.what());
      holds = false;
    }
    std::fflush(stdout);
  }
  return holds;
}

}  // namespace ringway::bench
