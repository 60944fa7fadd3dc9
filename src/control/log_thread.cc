#include "control/log_thread.h"

#include <fmt/format.h>
#include <pthread.h>

#include <csignal>

#include "base/units.h"

namespace ringway::control {
namespace {

constexpr int kNap_ms = 50;
// How long a pipe that nobody reads may hold up the log thread: while running, and when all are waiting for the end.
constexpr int kPatience_ms = 1000;
constexpr int kPatienceAtStop_ms = 100;
constexpr uint64_t kFullRingsInterval_ns = 10 * base::kSecond_ns;

}  // namespace

std::expected<std::unique_ptr<LogThread>, std::string> LogThread::create(const std::string& access_path,
                                                                         ErrorLog& errors, size_t access_bytes) {
  auto bell = io::Doorbell::create();
  if (!bell) return std::unexpected(fmt::format("log thread: no eventfd: {}", describe(bell.error())));
  std::unique_ptr<LogThread> made(new LogThread(errors, std::move(*bell), access_path.empty() ? 0 : access_bytes));
  if (!access_path.empty()) {
    auto file = LogFile::open(access_path);
    if (!file) return std::unexpected(file.error());
    made->file_ = std::make_unique<LogFile>(std::move(*file));
  }
  return made;
}

LogThread::~LogThread() {
  stop();
}

proxy::LogPort& LogThread::add_port() {
  ports_.push_back(std::make_unique<proxy::LogPort>(*bell_, errors_.level(), access_bytes_));
  return *ports_.back();
}

void LogThread::start() {
  // Signals are for the control thread, and a SIGPIPE from a closed standard output is an error like others here.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { run(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_setname_np(thread_.native_handle(), "ringway-log");
}

void LogThread::reopen() noexcept {
  reopen_wanted_.store(true);
  bell_->ring();
}

void LogThread::stop() noexcept {
  if (!thread_.joinable()) return;
  stop_wanted_.store(true);
  bell_->ring();
  thread_.join();
}

LogCounters LogThread::counters() const noexcept {
  LogCounters counters{.access_lines_written = lines_written_.load(),
                       .access_lines_dropped = lines_lost_.load(),
                       .error_lines_dropped = errors_.lines_dropped(),
                       .reopens = reopens_.load()};
  for (const auto& port : ports_) {
    counters.access_lines_dropped += port->access_lines_dropped();
    counters.error_lines_dropped += port->events_dropped();
  }
  return counters;
}

void LogThread::run() noexcept {
  while (true) {
    // Asked before the ports are emptied, so that what was logged before stop() is written.
    const bool is_last = stop_wanted_.load();
    if (reopen_wanted_.exchange(false)) reopen_now();
    const bool found = empty_ports();
    tell_about_full_rings(base::monotonic_ns(), is_last);
    if (is_last) return;
    bell_->announce(found ? io::Rest::kNapping : io::Rest::kSleeping);
    if (found ? stop_wanted_.load() || reopen_wanted_.load() : has_work()) {
      bell_->awake();
    } else {
      bell_->wait(found ? kNap_ms : -1);
    }
  }
}

bool LogThread::has_work() const noexcept {
  if (stop_wanted_.load() || reopen_wanted_.load()) return true;
  for (const auto& port : ports_) {
    if (!port->is_empty()) return true;
  }
  return false;
}

void LogThread::reopen_now() noexcept {
  if (file_) {
    const auto reopened = file_->reopen();
    if (!reopened) errors_.write(config::LogLevel::kError, reopened.error() + "; the old file stays in use");
  }
  reopens_.fetch_add(1);
  reopens_.notify_all();
}

bool LogThread::empty_ports() noexcept {
  bool found = false;
  for (const auto& port : ports_) {
    found = found || !port->is_empty();
    if (file_) write_lines(port->access_lines());
    // Bounded by the queue's size, so that one talkative shard does not keep the others' lines waiting.
    for (size_t count = 0; count < proxy::LogPort::kEventsMax; ++count) {
      const auto event = port->next_event();
      if (!event) break;
      errors_.write(*event);
    }
  }
  return found;
}

void LogThread::write_lines(base::ByteRing& lines) noexcept {
  const base::ByteRing::Readable readable = lines.readable();
  if (readable.size() == 0) return;
  // After a failure nobody is waited for until a write succeeds again.
  const int patience_ms = is_failing_ ? 0 : stop_wanted_.load() ? kPatienceAtStop_ms : kPatience_ms;
  const LogFile::Written written = file_->append(readable.first, readable.second, patience_ms);
  lines.consume(readable.size());
  lines_written_.fetch_add(written.lines, std::memory_order_relaxed);
  lines_lost_.fetch_add(written.lines_lost, std::memory_order_relaxed);
  tell_about_failure(written);
}

void LogThread::tell_about_failure(const LogFile::Written& written) noexcept {
  if (written.error) {
    lost_in_failure_ += written.lines_lost;
    if (!is_failing_) {
      errors_.write(config::LogLevel::kError,
                    fmt::format("access log {}: {}; lines are dropped and counted until it can be written",
                                file_->path(), describe(written.error)));
    }
    is_failing_ = true;
  } else if (is_failing_) {
    errors_.write(config::LogLevel::kWarn, fmt::format("access log {}: can be written again; {} lines were dropped",
                                                       file_->path(), lost_in_failure_));
    is_failing_ = false;
    lost_in_failure_ = 0;
  }
}

void LogThread::tell_about_full_rings(uint64_t now_ns, bool is_last) noexcept {
  uint64_t dropped = 0;
  for (const auto& port : ports_) dropped += port->access_lines_dropped();
  if (dropped == full_rings_told_) return;
  if (!is_last && now_ns - full_rings_told_ns_ < kFullRingsInterval_ns) return;
  errors_.write(config::LogLevel::kWarn,
                fmt::format("access log {}: {} lines were dropped because they came faster than they are written",
                            file_ ? file_->path() : "", dropped - full_rings_told_));
  full_rings_told_ = dropped;
  full_rings_told_ns_ = now_ns;
}

}  // namespace ringway::control
