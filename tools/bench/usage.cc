#include "usage.h"

#include <fmt/format.h>
#include <time.h>
#include <unistd.h>

#include <charconv>
#include <filesystem>
#include <sstream>
#include <string>
#include <system_error>

#include "process.h"

namespace ringway::bench {

namespace {

// The number behind `key` in a file of "key: number" lines; 0 when there is none.
uint64_t field(const std::string& text, const std::string& key) {
  const size_t at = text.find("\n" + key + ":");
  if (at == std::string::npos) return 0;
  const size_t digits = text.find_first_of("0123456789", at + key.size() + 2);
  if (digits == std::string::npos) return 0;
  uint64_t value = 0;
  std::from_chars(text.data() + digits, text.data() + text.size(), value);
  return value;
}

uint64_t switches_of(pid_t process) {
  uint64_t sum = 0;
  std::error_code error;
  for (std::filesystem::directory_iterator task(fmt::format("/proc/{}/task", process), error), end;
       !error && task != end; task.increment(error)) {
    const std::string status = read_file(task->path().string() + "/status");
    sum += field(status, "voluntary_ctxt_switches") + field(status, "nonvoluntary_ctxt_switches");
  }
  return sum;
}

pid_t group_of(const std::string& stat) {
  // The name in parentheses may hold anything, so the fields are counted from its end: state, parent, group.
  const size_t name_end = stat.rfind(')');
  if (name_end == std::string::npos) return -1;
  std::istringstream fields(stat.substr(name_end + 1));
  std::string state;
  pid_t parent = -1;
  pid_t group = -1;
  fields >> state >> parent >> group;
  return group;
}

}  // namespace

Usage operator-(const Usage& later, const Usage& earlier) {
  // A thread that ended takes its switches with it, so that difference may be negative; CPU time never shrinks.
  return {.cpu_ns = later.cpu_ns - earlier.cpu_ns,
          .switches = later.switches > earlier.switches ? later.switches - earlier.switches : 0};
}

std::vector<pid_t> group_members(pid_t group) {
  std::vector<pid_t> members;
  std::error_code error;
  for (std::filesystem::directory_iterator entry("/proc", error), end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    pid_t process = 0;
    if (std::from_chars(name.data(), name.data() + name.size(), process).ec != std::errc()) continue;
    if (group_of(read_file(entry->path().string() + "/stat")) == group) members.push_back(process);
  }
  return members;
}

Usage usage_of(std::span<const pid_t> processes) {
  Usage sum;
  for (const pid_t process : processes) {
    clockid_t clock{};
    timespec time{};
    if (clock_getcpuclockid(process, &clock) != 0 || clock_gettime(clock, &time) != 0) continue;
    sum.cpu_ns += static_cast<uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(time.tv_nsec);
    sum.switches += switches_of(process);
  }
  return sum;
}

uint64_t resident_bytes(std::span<const pid_t> processes) {
  uint64_t sum = 0;
  for (const pid_t process : processes) {
    sum += field(read_file(fmt::format("/proc/{}/status", process)), "VmRSS") * 1024;
  }
  return sum;
}

MachineTime machine_time() {
  std::istringstream line(read_file("/proc/stat"));
  std::string label;
  // user nice system idle iowait irq softirq steal: proc(5).
  double ticks[8] = {};
  line >> label;
  for (double& value : ticks) line >> value;
  const auto per_second = static_cast<double>(sysconf(_SC_CLK_TCK));
  return {.busy_s = (ticks[0] + ticks[1] + ticks[2] + ticks[5] + ticks[6]) / per_second,
          .stolen_s = ticks[7] / per_second};
}

}  // namespace ringway::bench
