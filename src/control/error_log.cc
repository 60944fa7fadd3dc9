#include "control/error_log.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>

#include "base/line_writer.h"
#include "base/units.h"

namespace ringway::control {
namespace {

// All of one width, so that the texts stand under each other.
std::string_view level_name(config::LogLevel level) noexcept {
  switch (level) {
    case config::LogLevel::kDebug: return "debug";
    case config::LogLevel::kInfo: return "info ";
    case config::LogLevel::kWarn: return "warn ";
    case config::LogLevel::kError: return "error";
  }
  return "?????";
}

// " (4294967295 more like it left out)\n" and a little.
constexpr size_t kTailBytesMax = 48;

}  // namespace

size_t format_error_line(uint64_t wall_time_ns, config::LogLevel level, std::string_view text,
                         uint32_t suppressed_count, std::span<char> out) noexcept {
  base::LineWriter line(out);
  line.rfc3339(base::civil_time(wall_time_ns));
  line.text(" ");
  line.text(level_name(level));
  line.text(" ");
  const size_t taken = line.size() + kTailBytesMax;
  line.escaped(text, base::Escape::kProse, out.size() > taken ? out.size() - taken : 0);
  if (suppressed_count != 0) {
    line.text(" (");
    line.number(suppressed_count);
    line.text(" more like it left out)");
  }
  line.text("\n");
  return line.size();
}

void ErrorLog::write(config::LogLevel level, std::string_view text) noexcept {
  if (level < this->level()) return;
  char line[kLineBytesMax];
  write_line({line, format_error_line(base::wall_ns(), level, text, 0, line)});
}

void ErrorLog::write(const proxy::LogEvent& event) noexcept {
  if (event.level < level()) return;
  char line[kLineBytesMax];
  write_line({line, format_error_line(event.wall_time_ns, event.level, event.view(), event.suppressed_count, line)});
}

void ErrorLog::write_line(std::span<const char> line) noexcept {
  // A pipe that nobody reads is never waited for long. Once it is writable it takes a line of this size at once.
  pollfd waited{fd_, POLLOUT, 0};
  while (poll(&waited, 1, kPatience_ms) > 0) {
    const ssize_t written = ::write(fd_, line.data(), line.size());
    if (written == static_cast<ssize_t>(line.size())) return;
    if (written >= 0 || errno != EINTR) break;
  }
  lines_dropped_.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace ringway::control
