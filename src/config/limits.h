// Every number that a configuration may set, in one table: its default, the range it may have and why. No default is
// written anywhere else. docs/limits.md is printed from it (`ringway --print-limits`).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "base/units.h"

namespace ringway::config {

enum class Unit : uint8_t { kCount, kBytes, kDuration };

enum class LimitId : uint8_t {
  kShardCount,
  kBusyPoll,
  kMinWait,
  kNapi,
  kRingEntries,
  kRecvBuffers,
  kMemory,
  kHeaderList,
  kHeaderFields,
  kStreams,
  kConnections,
  kWindow,
  kConnectionWindow,
  kUpstreamWindow,
  kPendingCalls,
  kReplay,
  kWeight,
  kPerShard,
  kConnectTimeout,
  kKeepaliveInterval,
  kKeepaliveTimeout,
  kDrainDelay,
  kDrainTimeout,
};

struct Limit {
  LimitId id;
  std::string_view key;  // where the file has it; [] stands for an item of a list
  Unit unit;             // of the three numbers: as it is, bytes, nanoseconds
  uint64_t initial;      // the default; for the shard count 0, which stands for "auto"
  uint64_t minimum;
  uint64_t maximum;
  std::string_view zero;  // what 0 means where it is allowed although it lies below the minimum; else empty
  bool is_power_of_two;
  std::string_view reason;
};

namespace detail {
inline constexpr uint64_t kWindowMax = 0x7fffffff;  // RFC 9113 section 6.9.1
inline constexpr uint64_t kKiB = base::kKiB;
inline constexpr uint64_t kMiB = base::kMiB;
inline constexpr uint64_t kMinute_ns = 60 * base::kSecond_ns;
inline constexpr uint64_t kHour_ns = 60 * kMinute_ns;
}  // namespace detail

inline constexpr std::array kLimits = {
    Limit{LimitId::kShardCount, "shards.count", Unit::kCount, 0, 1, 256, "", false,
          "One shard per core is what the design is for; auto takes the CPUs this process may run on."},
    Limit{LimitId::kBusyPoll, "shards.busy_poll", Unit::kDuration, 0, 1'000, base::kSecond_ns, "off", false,
          "Spinning before sleeping saves a wake-up and costs the core, so it is asked for."},
    Limit{LimitId::kMinWait, "shards.min_wait", Unit::kDuration, 0, 1'000, 100 * base::kMillisecond_ns, "off", false,
          "Gathering completions trades latency for batches (Linux 6.12); every call pays it, hence the low maximum."},
    Limit{LimitId::kNapi, "shards.napi", Unit::kDuration, 0, 1'000, 100 * base::kMillisecond_ns, "off", false,
          "Busy polling of the network card's queue: of use on real cards only."},
    Limit{LimitId::kRingEntries, "shards.ring_entries", Unit::kCount, 1024, 64, 32768, "", true,
          "A turn that queues more submissions than this enters the kernel once more; 32768 is the kernel's maximum."},
    Limit{LimitId::kRecvBuffers, "shards.recv_buffers", Unit::kCount, 128, 16, 32768, "", true,
          "Of 16 KiB, per shard. They are held for a turn only; 32768 is the kernel's maximum."},
    Limit{LimitId::kMemory, "shards.memory", Unit::kBytes, 512 * detail::kMiB, 16 * detail::kMiB,
          detail::kMiB* detail::kMiB, "", false,
          "Bytes buffered for slow peers, all shards together; over it the longest-stalled streams are reset."},
    Limit{LimitId::kHeaderList, "limits.header_list", Unit::kBytes, 64 * detail::kKiB, 4 * detail::kKiB,
          16 * detail::kMiB, "", false,
          "Decoded size of one header list. Below 4 KiB ordinary metadata with a token no longer fits."},
    Limit{LimitId::kHeaderFields, "limits.header_fields", Unit::kCount, 100, 16, 10000, "", false,
          "A second bound beside the size: many tiny fields cost more than their bytes. A gRPC call needs about ten."},
    Limit{LimitId::kStreams, "limits.streams", Unit::kCount, 256, 1, 65536, "", false,
          "Concurrent calls of one client connection (SETTINGS_MAX_CONCURRENT_STREAMS)."},
    Limit{LimitId::kConnections, "limits.connections", Unit::kCount, 20000, 1, 1'000'000, "", false,
          "Client connections of all listeners and shards; the next one is closed at once. Keep it below half of "
          "RLIMIT_NOFILE."},
    Limit{LimitId::kWindow, "limits.window", Unit::kBytes, 64 * detail::kKiB, detail::kKiB, detail::kWindowMax, "",
          false, "What one stalled request stream may make us hold. The maximum is HTTP/2's (RFC 9113 section 6.9.1)."},
    Limit{LimitId::kConnectionWindow, "limits.connection_window", Unit::kBytes, 4 * detail::kMiB, 65535,
          detail::kWindowMax, "", false,
          "Credit of a whole connection, both sides. HTTP/2 starts at 65535 and knows no way down from there."},
    Limit{LimitId::kUpstreamWindow, "limits.upstream_window", Unit::kBytes, 256 * detail::kKiB, detail::kKiB,
          detail::kWindowMax, "", false,
          "What one stalled response stream may make us hold; responses are the larger half."},
    Limit{LimitId::kPendingCalls, "limits.pending_calls", Unit::kCount, 64 * 1024, 1, 1'000'000, "", false,
          "Calls that wait for an upstream connection or stream slot, per endpoint and shard; the next one is refused. "
          "A bound on memory, far above what a start under load queues up."},
    Limit{LimitId::kReplay, "limits.replay", Unit::kBytes, 64 * detail::kKiB, 1, 16 * detail::kMiB, "none is kept",
          false, "Request bytes kept while a call may still be sent elsewhere; a longer one can no longer be retried."},
    Limit{LimitId::kWeight, "clusters[].endpoints[].weight", Unit::kCount, 1, 1, 1000, "", false,
          "Share of the calls among the endpoints of a cluster."},
    Limit{LimitId::kPerShard, "clusters[].connections.per_shard", Unit::kCount, 1, 1, 64, "", false,
          "To each endpoint, at first. Fewer, fuller connections are cheaper; more are opened at the peer's stream "
          "limit."},
    Limit{LimitId::kConnectTimeout, "clusters[].connections.connect_timeout", Unit::kDuration, base::kSecond_ns,
          base::kMillisecond_ns, 5 * detail::kMinute_ns, "", false,
          "A connect in a data centre is done in milliseconds or not at all."},
    Limit{LimitId::kKeepaliveInterval, "clusters[].connections.keepalive.interval", Unit::kDuration,
          5 * detail::kMinute_ns, 100 * base::kMillisecond_ns, 24 * detail::kHour_ns, "off", false,
          "The least time between two PINGs on a connection on which calls wait and nothing has come for 10 s. gRPC "
          "servers close connections that ping more often than every 5 minutes."},
    Limit{LimitId::kKeepaliveTimeout, "clusters[].connections.keepalive.timeout", Unit::kDuration,
          20 * base::kSecond_ns, 100 * base::kMillisecond_ns, detail::kHour_ns, "", false,
          "A peer that has not answered the PING by then is taken for dead."},
    Limit{LimitId::kDrainDelay, "drain.delay", Unit::kDuration, 0, base::kMillisecond_ns, detail::kHour_ns, "at once",
          false, "Between saying not ready and closing the listeners: the time a balancer in front needs to notice."},
    Limit{LimitId::kDrainTimeout, "drain.timeout", Unit::kDuration, 30 * base::kSecond_ns, base::kMillisecond_ns,
          24 * detail::kHour_ns, "at once", false,
          "What is still running then is ended; longer streams need a longer time-out."},
};

namespace detail {
consteval bool limits_are_sound() {
  for (size_t i = 0; i < kLimits.size(); ++i) {
    const Limit& row = kLimits[i];
    if (static_cast<size_t>(row.id) != i || row.minimum > row.maximum || row.initial > row.maximum) return false;
    if (row.initial < row.minimum && row.initial != 0) return false;
  }
  return kLimits.size() == static_cast<size_t>(LimitId::kDrainTimeout) + 1;
}
static_assert(limits_are_sound(), "rows stand in the order of LimitId, each default within its range");
}  // namespace detail

constexpr const Limit& limit(LimitId id) {
  return kLimits[static_cast<size_t>(id)];
}
constexpr uint64_t initial(LimitId id) {
  return limit(id).initial;
}

// How a number is written: in the file with its unit, in the -us flags as whole microseconds.
enum class Notation : uint8_t { kWithUnit, kMicroseconds };

// `text` as a value of that row. The error reads "'x' is too large, allowed: …".
std::expected<uint64_t, std::string> parse_limited(LimitId id, std::string_view text,
                                                   Notation notation = Notation::kWithUnit);

// "a size from 4KiB to 16MiB, …", as it stands behind "allowed: ".
std::string allowed_range(LimitId id, Notation notation = Notation::kWithUnit);

// A value of the row's unit as parse_limited() reads it.
std::string format_limited(LimitId id, uint64_t value);

// The table as a page of Markdown.
std::string limits_page();

}  // namespace ringway::config
