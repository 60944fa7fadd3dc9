// Where the lines of a log go: a file that is appended to, or standard output. Writing may fail and then says what was
// lost; it never waits longer than it is told. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <string>

#include "io/error.h"
#include "io/socket.h"

namespace ringway::control {

class LogFile {
 public:
  struct Written {
    uint64_t lines = 0;
    uint64_t lines_lost = 0;
    io::Error error;  // why lines were lost
  };

  // `path` "-" is standard output. The error is a sentence with the path and the cause.
  static std::expected<LogFile, std::string> open(std::string path);

  // Opens the path anew, as after a rotation has moved the file away. On failure the old file stays in use.
  std::expected<void, std::string> reopen();

  // Appends whole lines that lie in one or two pieces. A pipe or terminal is waited for up to `patience_ms` when it is
  // full. A line that was cut by a failure is ended before the next one begins.
  Written append(std::span<const char> first, std::span<const char> second, int patience_ms);

  const std::string& path() const noexcept { return path_; }

 private:
  LogFile(std::string path, io::Fd file) : path_(std::move(path)), file_(std::move(file)) { look_at_kind(); }

  int fd() const noexcept;
  void look_at_kind() noexcept;
  // Writes as much of `bytes` as it can and takes that off its front.
  io::Error write_some(std::span<const char>& bytes, int patience_ms) noexcept;

  std::string path_;
  io::Fd file_;  // closed for standard output, which is not ours
  bool can_block_ = false;
  bool ends_inside_line_ = false;
};

}  // namespace ringway::control
