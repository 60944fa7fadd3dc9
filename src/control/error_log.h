// The error log: one line an event on standard error.
//   2026-01-02T03:04:05.678Z warn  cluster auth: endpoint 10.0.0.1:50051: connection refused
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <string_view>

#include "config/snapshot.h"
#include "proxy/log_port.h"

namespace ringway::control {

// The line for an event with its line feed, in `out`; returns its size. Control bytes in `text` are escaped; a text
// that does not fit is cut. With a `suppressed_count` the line says how many like it were left out before.
size_t format_error_line(uint64_t wall_time_ns, config::LogLevel level, std::string_view text,
                         uint32_t suppressed_count, std::span<char> out) noexcept;

// Any thread but a shard's (those use their LogPort): a write may take as long as kPatience_ms when nobody reads
// standard error, then the line is dropped and counted. Each line is one write, so lines of several threads do not mix.
class ErrorLog {
 public:
  static constexpr int kPatience_ms = 100;
  static constexpr size_t kLineBytesMax = 1024;

  // `fd` is not owned.
  explicit ErrorLog(config::LogLevel level, int fd = 2) noexcept : level_(level), fd_(fd) {}

  void write(config::LogLevel level, std::string_view text) noexcept;
  void write(const proxy::LogEvent& event) noexcept;

  config::LogLevel level() const noexcept { return level_.load(std::memory_order_relaxed); }
  void change_level(config::LogLevel level) noexcept { level_.store(level, std::memory_order_relaxed); }
  uint64_t lines_dropped() const noexcept { return lines_dropped_.load(std::memory_order_relaxed); }

 private:
  void write_line(std::span<const char> line) noexcept;

  std::atomic<config::LogLevel> level_;
  int fd_;
  std::atomic<uint64_t> lines_dropped_{0};
};

}  // namespace ringway::control
