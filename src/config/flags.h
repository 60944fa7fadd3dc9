// The command line of ringway. Each setting has a twin in the file, and the flag wins.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/draft.h"
#include "config/report.h"

namespace ringway::config {

enum class Task : uint8_t { kRun, kCheck, kPrintConfig, kDoctor, kVersion, kHelp, kPrintLimits };

struct FlagValue {
  size_t flag;  // index into the table of flags.cc
  std::string value;
};

struct Flags {
  bool upstream_tls = false;
  bool stats_at_exit = false;
  Task task = Task::kRun;
  std::string help;                 // with kHelp
  std::optional<std::string> file;  // --config
  std::vector<FlagValue> settings;
};

// Reports unknown flags, flags of the design that this version does not have, and flags without their value.
Flags parse_flags(int argc, const char* const* argv, Report& report);

// Lays the settings over what the file said; see docs/configuration.md for what --listen, --upstream and those about
// TLS do to a file.
void apply_flags(const Flags& flags, Draft& draft, Report& report);

}  // namespace ringway::config
