// Runs a shard through simulated worlds, one after the other, and ends at the first rule that is broken.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/units.h"
#include "report.h"
#include "world.h"

namespace {

constexpr std::string_view kUsage =
    "shard_sim [--seed N] [--exchanges N] [--twice] [--trace]\n"
    "  --seed N       of the first run; the next run has the next seed (1)\n"
    "  --exchanges N  runs follow each other until they have been so many, 1000 or fewer each (1000)\n"
    "  --twice        each run once more: it must go the same way\n"
    "  --trace        what happens, line by line\n";

constexpr uint64_t kExchangesOfRun = 1000;

struct Options {
  uint64_t seed = 1;
  uint64_t exchanges = 1000;
  bool is_twice = false;
};

[[noreturn]] void refuse(std::string_view what) {
  fmt::print(stderr, "shard_sim: {}\n{}", what, kUsage);
  std::exit(2);
}

Options parse(int count, char** arguments) {
  Options options;
  for (int i = 1; i < count; ++i) {
    const std::string_view name = arguments[i];
    if (name == "--twice") {
      options.is_twice = true;
      continue;
    }
    if (name == "--trace") {
      ringway::sim::is_tracing = true;
      continue;
    }
    uint64_t* const value = name == "--seed" ? &options.seed : name == "--exchanges" ? &options.exchanges : nullptr;
    if (value == nullptr) refuse(fmt::format("unknown option {}", name));
    const std::string_view text = i + 1 < count ? arguments[++i] : "";
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *value);
    if (text.empty() || error != std::errc{} || end != text.data() + text.size()) {
      refuse(fmt::format("{} '{}' is not a number", name, text));
    }
  }
  return options;
}

}  // namespace

int main(int count, char** arguments) {
  const Options options = parse(count, arguments);
  ringway::sim::RunResult sum;
  const auto started = std::chrono::steady_clock::now();
  const auto of_run = static_cast<uint32_t>(std::min(options.exchanges, kExchangesOfRun));
  uint64_t seed = options.seed;
  for (; sum.exchanges < options.exchanges; ++seed) {
    ringway::sim::begin_report(seed, of_run);
    const ringway::sim::RunResult result = ringway::sim::World(seed, of_run).run();
    if (options.is_twice && ringway::sim::World(seed, of_run).run().digest != result.digest) {
      ringway::sim::fail_with("the same seed has not led to the same run");
    }
    sum += result;
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  fmt::print("seeds {} to {}: {} exchanges in {} turns and {} virtual seconds, {:.1f} s\n", options.seed, seed - 1,
             sum.exchanges, sum.turns, sum.virtual_ns / ringway::base::kSecond_ns, seconds);
  fmt::print("complete {}, reset {}, refused by GOAWAY {}, lost with their connection {}, cancelled {}\n",
             sum.outcomes[1], sum.outcomes[2], sum.outcomes[3], sum.outcomes[4], sum.outcomes[5]);
  fmt::print("retries {}, short sends {}, times without a buffer {}\n", sum.retries, sum.short_sends, sum.no_buffers);
  fmt::print("ended by the proxy, by reason: {}\n", fmt::join(sum.local_replies, " "));
  return 0;
}
