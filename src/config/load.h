// From the command line to what ringway shall do: run with a snapshot, or say something and exit. Called again with the
// same arguments for a reload. May throw std::bad_alloc, nothing else.
#pragma once

#include <string>

#include "config/draft.h"
#include "config/snapshot.h"

namespace ringway::config {

struct Invocation {
  enum class Action : uint8_t { kRun, kExit };

  Action action = Action::kExit;
  Snapshot snapshot;   // with kRun, and with kExit after --check and --print-config
  int exit_code = 0;   // with kExit: 0 done, 1 --doctor found that ringway cannot run, 2 bad flags or configuration
  std::string output;  // with kExit: for standard output
  std::string error;   // with kExit: for standard error
};

Invocation load(int argc, const char* const* argv);

// The same for a machine of the caller's choice.
Invocation load(int argc, const char* const* argv, const Host& host);

}  // namespace ringway::config
