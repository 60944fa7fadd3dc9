#include "control/log_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>

namespace ringway::control {
namespace {

constexpr std::string_view kStandardOutput = "-";

std::expected<io::Fd, std::string> open_for_append(const std::string& path) {
  if (path == kStandardOutput) return io::Fd();
  // Not waiting for the reader of a named pipe; whether writes may wait is decided below.
  io::Fd file(::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640));
  if (file.is_open()) return file;
  return std::unexpected(
      fmt::format("access log '{}' cannot be opened: {}", path, describe(io::error_from_errno(errno))));
}

uint64_t line_count(std::span<const char> bytes) {
  return static_cast<uint64_t>(std::count(bytes.begin(), bytes.end(), '\n'));
}

}  // namespace

std::expected<LogFile, std::string> LogFile::open(std::string path) {
  auto file = open_for_append(path);
  if (!file) return std::unexpected(file.error());
  return LogFile(std::move(path), std::move(*file));
}

std::expected<void, std::string> LogFile::reopen() {
  auto file = open_for_append(path_);
  if (!file) return std::unexpected(file.error());
  file_ = std::move(*file);
  // Standard output stays what it was, the line that was cut in it too.
  if (file_.is_open()) ends_inside_line_ = false;
  look_at_kind();
  return {};
}

int LogFile::fd() const noexcept {
  return file_.is_open() ? file_.get() : STDOUT_FILENO;
}

void LogFile::look_at_kind() noexcept {
  struct stat found{};
  can_block_ = fstat(fd(), &found) != 0 || !S_ISREG(found.st_mode);
}

io::Error LogFile::write_some(std::span<const char>& bytes, int patience_ms) noexcept {
  while (!bytes.empty()) {
    size_t size = bytes.size();
    if (can_block_) {
      pollfd waited{fd(), POLLOUT, 0};
      const int ready = poll(&waited, 1, patience_ms);
      if (ready < 0 && errno == EINTR) continue;
      if (ready == 0) return io::error_from_errno(EAGAIN);
      // A pipe that is ready takes this much without waiting.
      size = std::min(size, size_t{PIPE_BUF});
    }
    const ssize_t written = ::write(fd(), bytes.data(), size);
    if (written > 0) {
      ends_inside_line_ = bytes[static_cast<size_t>(written) - 1] != '\n';
      bytes = bytes.subspan(static_cast<size_t>(written));
    } else if (written == 0 || (errno != EINTR && !(errno == EAGAIN && can_block_))) {
      return io::error_from_errno(written == 0 ? EIO : errno);
    }
  }
  return {};
}

LogFile::Written LogFile::append(std::span<const char> first, std::span<const char> second, int patience_ms) {
  const uint64_t lines = line_count(first) + line_count(second);
  if (lines == 0) return {};
  io::Error error;
  if (ends_inside_line_) {
    std::span<const char> end("\n", 1);
    error = write_some(end, patience_ms);
  }
  if (!error) error = write_some(first, patience_ms);
  if (!error) error = write_some(second, patience_ms);
  const uint64_t lost = line_count(first) + line_count(second);
  return {lines - lost, lost, error};
}

}  // namespace ringway::control
