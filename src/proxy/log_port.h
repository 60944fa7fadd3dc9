// A shard's end of the logs: finished lines of the access log and short events for the error log go into bounded memory
// that the log thread empties. Nothing here waits, allocates or makes a system call, but for one write to wake the log
// thread when it sleeps, at most once a turn. What finds no room is dropped and counted.
#pragma once

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "base/byte_ring.h"
#include "base/spsc_queue.h"
#include "base/units.h"
#include "config/snapshot.h"
#include "io/doorbell.h"

namespace ringway::proxy {

// What an event is about: each kind has a bound of its own on events per second, so that a flood of one does not hide
// the others.
enum class LogKind : uint8_t {
  kShard,     // life of the shard itself
  kListener,  // accepting
  kPeer,      // misbehaviour of a downstream or upstream peer
  kEndpoint,  // connecting to an endpoint, losing it
  kLimit,     // a limit was reached
  kCount,
};

struct LogEvent {
  static constexpr size_t kTextBytesMax = 224;  // longer texts are cut

  uint64_t wall_time_ns = 0;
  uint32_t suppressed_count = 0;  // earlier events of this kind that were over its bound
  config::LogLevel level = config::LogLevel::kInfo;
  uint8_t size = 0;
  std::array<char, kTextBytesMax> text{};

  std::string_view view() const noexcept { return {text.data(), size}; }
};

// One writer (the shard) and one reader (the log thread).
class LogPort {
 public:
  static constexpr size_t kEventsMax = 256;
  static constexpr uint32_t kEventsPerSecond = 10;  // of one kind

  // `access_bytes` is a power of two, or 0 without an access log. The bell outlives the port.
  LogPort(io::Doorbell& bell, config::LogLevel level, size_t access_bytes)
      : bell_(bell),
        level_(level),
        has_access_log_(access_bytes != 0),
        access_(std::max(access_bytes, size_t{1})),
        events_(kEventsMax) {}

  // The shard's side.

  bool has_access_log() const noexcept { return has_access_log_; }
  bool wants(config::LogLevel level) const noexcept { return level >= level_; }

  // A whole line with its line feed, as AccessFormatter makes it.
  void access_line(std::span<const char> line) noexcept {
    if (access_.try_append(line)) is_rung_for_ = true;
  }

  // As in event(kWarn, kEndpoint, now_ns, "cluster {}: endpoint {}: {}", …); `now_ns` is the turn's monotonic time.
  template <typename... Arguments>
  void event(config::LogLevel level, LogKind kind, uint64_t now_ns, fmt::format_string<Arguments...> format,
             Arguments&&... arguments) {
    if (!wants(level) || !is_within_bound(kind, now_ns)) return;
    LogEvent made;
    const auto result =
        fmt::format_to_n(made.text.data(), made.text.size(), format, std::forward<Arguments>(arguments)...);
    made.size = static_cast<uint8_t>(std::min(result.size, made.text.size()));
    made.wall_time_ns = base::wall_ns();
    made.level = level;
    made.suppressed_count = std::exchange(bounds_[static_cast<size_t>(kind)].suppressed_count, 0);
    if (events_.try_push(made)) {
      is_rung_for_ = true;
    } else {
      events_dropped_.store(events_dropped_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    }
  }

  // Once a turn, after the last line: wakes the log thread if it sleeps, or naps while the ring fills up.
  void end_turn() noexcept {
    if (!std::exchange(is_rung_for_, false)) return;
    bell_.ring_if(access_.is_past_half() ? io::Rest::kNapping : io::Rest::kSleeping);
  }

  // The log thread's side.

  base::ByteRing& access_lines() noexcept { return access_; }
  std::optional<LogEvent> next_event() noexcept { return events_.try_pop(); }
  bool is_empty() const noexcept { return access_.is_empty() && events_.is_empty(); }

  // Any thread.

  uint64_t access_lines_dropped() const noexcept { return access_.dropped_count(); }
  uint64_t events_dropped() const noexcept { return events_dropped_.load(std::memory_order_relaxed); }

 private:
  struct Bound {
    uint64_t second = 0;
    uint32_t count = 0;
    uint32_t suppressed_count = 0;
  };

  bool is_within_bound(LogKind kind, uint64_t now_ns) noexcept {
    Bound& bound = bounds_[static_cast<size_t>(kind)];
    const uint64_t second = now_ns / base::kSecond_ns;
    if (second != bound.second) {
      bound.second = second;
      bound.count = 0;
    }
    if (bound.count < kEventsPerSecond) {
      ++bound.count;
      return true;
    }
    ++bound.suppressed_count;
    return false;
  }

  io::Doorbell& bell_;
  config::LogLevel level_;
  bool has_access_log_;
  bool is_rung_for_ = false;
  std::array<Bound, static_cast<size_t>(LogKind::kCount)> bounds_{};
  std::atomic<uint64_t> events_dropped_{0};
  base::ByteRing access_;
  base::SpscQueue<LogEvent> events_;
};

}  // namespace ringway::proxy
