// What this machine offers: each feature of io_uring is tried, not derived from the kernel's version, and each limit
// is read. Makes sockets, rings and one small mapping of its own for the trials and leaves nothing behind.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ringway::io {

enum class Verdict : uint8_t {
  kGood,
  kInformation,  // neither good nor bad
  kAdvice,       // ringway runs, and would do better otherwise
  kMissing,      // ringway cannot run
};

struct Finding {
  std::string_view subject;
  Verdict verdict;
  std::string value;   // what was found
  std::string advice;  // what to do about it; empty where nothing is to be done
};

struct Probe {
  std::vector<Finding> findings;
  bool can_run = false;
};

// On any thread; takes a few milliseconds, and about a second for each feature that answers with silence.
Probe probe();

// The CPUs this thread may run on (sched_getaffinity), ascending.
std::vector<uint32_t> allowed_cpus();

}  // namespace ringway::io
