// What ends a run early. The tools may throw; the data plane does not.
#pragma once

#include <stdexcept>

namespace ringway::bench {

// Something outside this program is not as needed: a sentence for the user.
struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// The user asked to stop (SIGINT, SIGTERM, SIGHUP). Thrown from any wait, so that every child is ended on the way out.
struct Interrupted {
  int signal;
};

}  // namespace ringway::bench
