// ringway: parse, validate, build the shards, run, drain, report.
#include <cstdio>
#include <exception>

#include "config/load.h"
#include "control/server.h"

int main(int argc, char** argv) {
  try {
    const ringway::config::Invocation invocation = ringway::config::load(argc, argv);
    std::fputs(invocation.output.c_str(), stdout);
    std::fputs(invocation.error.c_str(), stderr);
    if (invocation.action == ringway::config::Invocation::Action::kExit) return invocation.exit_code;

    auto server = ringway::control::Server::create(invocation.snapshot);
    if (!server) {
      std::fprintf(stderr, "ringway: %s\n", server.error().c_str());
      return 1;
    }
    (*server)->run();
    if (invocation.snapshot.stats_at_exit) std::printf("%s\n", (*server)->statistics().c_str());
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "ringway: %s\n", error.what());
    return 1;
  }
}
