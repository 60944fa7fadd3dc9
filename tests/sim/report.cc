#include "report.h"

#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/units.h"

namespace ringway::sim {
namespace {

char replay_line[160];

// Also on an assertion of the source: it has printed its condition, the run is still to be named.
void on_abort(int) {
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, replay_line, std::strlen(replay_line));
}

}  // namespace

bool is_tracing = false;

void begin_report(uint64_t seed, uint64_t exchanges) {
  const auto result =
      fmt::format_to_n(replay_line, sizeof replay_line - 1,
                       "shard_sim: replay: tests/sim/shard_sim --seed {} --exchanges {}\n", seed, exchanges);
  *result.out = '\0';
  signal(SIGABRT, on_abort);
  signal(SIGSEGV, [](int) {
    on_abort(0);
    _exit(1);
  });
}

void fail_with(std::string_view message) {
  std::fflush(stdout);
  fmt::print(stderr, "shard_sim: at {} us: {}\n", base::monotonic_ns() / base::kMicrosecond_ns, message);
  std::fflush(stderr);
  std::abort();
}

void trace_line(std::string_view line) {
  fmt::print("{:>12} {}\n", base::monotonic_ns() / base::kMicrosecond_ns, line);
}

}  // namespace ringway::sim
