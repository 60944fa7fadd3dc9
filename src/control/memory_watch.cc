#include "control/memory_watch.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <fstream>
#include <sstream>
#include <string_view>
#include <utility>

#include "base/units.h"
#include "io/error.h"

namespace ringway::control {
namespace {

std::string read_whole(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// The first number in `text` behind `label`; 0 where there is none, as in "max".
uint64_t number_behind(std::string_view text, std::string_view label) {
  const size_t at = text.find(label);
  if (at == std::string_view::npos) return 0;
  text.remove_prefix(at + label.size());
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  uint64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

// "0::/system.slice/ringway.service" names the group in version 2.
std::string control_group(const std::string& root) {
  std::istringstream lines(read_whole(root + "/proc/self/cgroup"));
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("0::/")) return line.substr(3);
  }
  return "/";
}

}  // namespace

proxy::Pressure pressure_of(uint64_t resident, uint64_t allowed) noexcept {
  const auto is_from = [=](uint64_t percent) { return allowed != 0 && resident / percent >= allowed / 100; };
  if (is_from(95)) return proxy::Pressure::kAcceptNone;
  if (is_from(92)) return proxy::Pressure::kDrainIdle;
  return is_from(80) ? proxy::Pressure::kRefuseCalls : proxy::Pressure::kNone;
}

uint64_t memory_limit(const std::string& root) {
  uint64_t least = number_behind(read_whole(root + "/proc/meminfo"), "MemTotal:") * base::kKiB;
  // Each group above may be the one that has the limit, and the smallest counts.
  for (std::string group = control_group(root);; group = group.substr(0, group.rfind('/'))) {
    const uint64_t bytes = number_behind(read_whole(root + "/sys/fs/cgroup" + group + "/memory.max"), "");
    if (bytes != 0 && (least == 0 || bytes < least)) least = bytes;
    if (group.empty() || group == "/") return least;
  }
}

std::expected<MemoryWatch, std::string> MemoryWatch::create(uint64_t configured) {
  io::Fd statm(open("/proc/self/statm", O_RDONLY | O_CLOEXEC));
  if (!statm.is_open()) {
    return std::unexpected(fmt::format("cannot open /proc/self/statm: {}", io::describe(io::error_from_errno(errno))));
  }
  return MemoryWatch(std::move(statm), configured != 0 ? configured : memory_limit(""));
}

uint64_t MemoryWatch::resident() const noexcept {
  char text[128] = {};
  const ssize_t size = pread(statm_.get(), text, sizeof text - 1, 0);
  if (size <= 0) return 0;
  // The second number, in pages.
  const std::string_view line(text, static_cast<size_t>(size));
  return number_behind(line, " ") * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace ringway::control
