// What processes cost: CPU time, context switches, resident memory. All from the kernel's own accounts.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <span>
#include <vector>

namespace ringway::bench {

struct Usage {
  uint64_t cpu_ns = 0;    // user and system time of all threads, ended ones too, at the scheduler's resolution
  uint64_t switches = 0;  // context switches of the threads that live, voluntary and not
};

Usage operator-(const Usage& later, const Usage& earlier);

// The processes of a group: a proxy's master and its workers.
std::vector<pid_t> group_members(pid_t group);

// The sum over `processes`; one that has ended counts as nothing.
Usage usage_of(std::span<const pid_t> processes);
uint64_t resident_bytes(std::span<const pid_t> processes);

// Busy and stolen time of the whole machine, in the kernel's ticks of 1/100 s. Beside the time of our own processes it
// shows whether something else was running.
struct MachineTime {
  double busy_s = 0;
  double stolen_s = 0;  // wanted by this virtual machine, given to another
};
MachineTime machine_time();

}  // namespace ringway::bench
