// The I/O thread of the logs: empties the shards' log ports and writes the lines with ordinary write(2), so that a slow
// or full disk costs lines, which are counted, and never a request. It sleeps while nothing is logged; while there is
// something it looks every 50 ms, which asks no system call of the shards.
#pragma once

#include <atomic>
#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "control/error_log.h"
#include "control/log_file.h"
#include "io/doorbell.h"
#include "proxy/log_port.h"

namespace ringway::control {

// Totals from the start, all shards together.
struct LogCounters {
  uint64_t access_lines_written = 0;
  uint64_t access_lines_dropped = 0;  // the ring was full, or the file could not be written
  uint64_t error_lines_dropped = 0;
  uint64_t reopens = 0;  // done or failed
};

class LogThread {
 public:
  static constexpr size_t kAccessBytes = 1 << 20;  // of one shard: some 7,000 lines, taken from memory only when used

  // `access_path` empty: no access log; "-": standard output. `errors` outlives this. The error is a sentence.
  static std::expected<std::unique_ptr<LogThread>, std::string> create(const std::string& access_path, ErrorLog& errors,
                                                                       size_t access_bytes = kAccessBytes);
  ~LogThread();

  // A port for one shard (or another thread that must not wait); lives as long as this. Before start().
  proxy::LogPort& add_port();

  void start();

  // Any thread, at once: the file is opened anew soon. Not from a signal handler's frame but from the thread that reads
  // signals. Lines that were logged after the reopens counter has risen go into the new file.
  void reopen() noexcept;

  // Writes what the ports hold and joins. The shards have stopped before. Safe to repeat.
  void stop() noexcept;

  // Any thread.
  LogCounters counters() const noexcept;
  // Waits until the reopens counter differs from `seen`; for tests and for orderly rotation.
  void await_reopen(uint64_t seen) const noexcept { reopens_.wait(seen); }

 private:
  LogThread(ErrorLog& errors, std::unique_ptr<io::Doorbell> bell, size_t access_bytes)
      : errors_(errors), bell_(std::move(bell)), access_bytes_(access_bytes) {}

  void run() noexcept;
  void reopen_now() noexcept;
  bool has_work() const noexcept;
  // Returns whether there was anything.
  bool empty_ports() noexcept;
  void write_lines(base::ByteRing& lines) noexcept;
  void tell_about_failure(const LogFile::Written& written) noexcept;
  void tell_about_full_rings(uint64_t now_ns, bool is_last) noexcept;

  ErrorLog& errors_;
  std::unique_ptr<io::Doorbell> bell_;
  size_t access_bytes_;
  std::unique_ptr<LogFile> file_;  // null: no access log
  std::vector<std::unique_ptr<proxy::LogPort>> ports_;

  std::atomic<bool> reopen_wanted_{false};
  std::atomic<bool> stop_wanted_{false};
  std::atomic<uint64_t> reopens_{0};
  std::atomic<uint64_t> lines_written_{0};
  std::atomic<uint64_t> lines_lost_{0};

  // Of the log thread alone.
  bool is_failing_ = false;
  uint64_t lost_in_failure_ = 0;
  uint64_t full_rings_told_ = 0;
  uint64_t full_rings_told_ns_ = 0;

  std::thread thread_;
};

}  // namespace ringway::control
