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
  kField,
  kStreams,
  kConnections,
  kWindow,
  kConnectionWindow,
  kUpstreamWindow,
  kPendingCalls,
  kReplay,
  kMessage,
  kReplayTotal,
  kPerSource,
  kContinuations,
  kReplies,
  kReplyBytes,
  kSettingsEntries,
  kPriorities,
  kResets,
  kEarlyResets,
  kSettings,
  kPings,
  kEmptyFrames,
  kSmallData,
  kGlitches,
  kHandshakeTimeout,
  kPrefaceTimeout,
  kHeaderTimeout,
  kIdleTimeout,
  kConnectionAge,
  kStallTimeout,
  kConnectionMemory,
  kConnectionHeaders,
  kProcessMemory,
  kDescriptors,
  kUpstreamResets,
  kRecordsPerKey,
  kTicketRotation,
  kWeight,
  kPerShard,
  kConnectTimeout,
  kKeepaliveSilence,
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
    Limit{LimitId::kField, "limits.field", Unit::kBytes, 16 * detail::kKiB, 4 * detail::kKiB, 16 * detail::kMiB, "",
          false,
          "Decoded size of one field, counted as in limits.header_list and never above it. Tokens and cookies are "
          "smaller, and many servers take no field larger than this."},
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
    Limit{LimitId::kMessage, "limits.message", Unit::kBytes, 0, 1, 0xffffffff, "no limit", false,
          "Of one gRPC message as it is sent (compressed, if it is), requests and responses; the call ends with "
          "RESOURCE_EXHAUSTED before such a message is passed on. Both ends of a call have limits of their own."},
    Limit{
        LimitId::kReplayTotal, "limits.replay_total", Unit::kBytes, 16 * detail::kMiB, 64 * detail::kKiB,
        16 * detail::kKiB* detail::kMiB, "", false,
        "What the calls of one shard keep for that together; at it further calls can no longer be retried. Messages of "
        "up to 64 bytes do not count."},
    Limit{LimitId::kPerSource, "limits.per_source", Unit::kCount, 0, 1, 1'000'000, "no limit", false,
          "Client connections from one address (of IPv6, one /64); the next one is closed at once. Off, because a "
          "balancer in front is one address; not for listeners with proxy_protocol, for the same reason."},
    Limit{LimitId::kContinuations, "limits.continuations", Unit::kCount, 8, 1, 1024, "", false,
          "CONTINUATION frames of one header block, whose octets are bounded by twice limits.header_list. Sound peers "
          "send as few as fit (CVE-2024-28182)."},
    Limit{LimitId::kReplies, "limits.replies", Unit::kCount, 1000, 16, 1'000'000, "", false,
          "Acknowledgements and resets that wait because the peer does not read (CVE-2019-9512, CVE-2019-9515)."},
    Limit{LimitId::kReplyBytes, "limits.reply_bytes", Unit::kBytes, 64 * detail::kKiB, detail::kKiB, 16 * detail::kMiB,
          "", false, "The same in bytes, with the credit given for what such a peer sends."},
    Limit{LimitId::kSettingsEntries, "limits.settings_entries", Unit::kCount, 32, 8, 2730, "", false,
          "Settings in one frame; the RFCs know ten. 2730 fill a frame."},
    Limit{LimitId::kPriorities, "limits.priorities", Unit::kCount, 100, 1, 1'000'000, "", false,
          "PRIORITY frames beyond one a stream (CVE-2019-9513); they are ignored."},
    Limit{LimitId::kResets, "limits.resets", Unit::kCount, 1000, 30, 10'000'000, "", false,
          "Calls of a client connection that a reset which the client sends or causes ends before their response has "
          "(CVE-2023-44487, CVE-2025-8671). All of it comes back in 30 s."},
    Limit{LimitId::kEarlyResets, "limits.early_resets", Unit::kCount, 200, 10, 10'000'000, "", false,
          "Of these, calls without a response that were reset within a second or for a broken rule. All of it comes "
          "back in 10 s."},
    Limit{LimitId::kSettings, "limits.settings", Unit::kCount, 20, 2, 1'000'000, "", false,
          "SETTINGS frames of one connection. All of it comes back in 2 s."},
    Limit{LimitId::kPings, "limits.pings", Unit::kCount, 100, 10, 10'000'000, "", false,
          "PING frames while no call is in progress; during calls stacks measure the path with them. All of it comes "
          "back in 100 s."},
    Limit{LimitId::kEmptyFrames, "limits.empty_frames", Unit::kCount, 100, 10, 1'000'000, "", false,
          "DATA and header fragments without octets that end nothing (CVE-2019-9518). All of it comes back in 100 s."},
    Limit{LimitId::kSmallData, "limits.small_data", Unit::kCount, 1000, 10, 100'000'000, "", false,
          "DATA frames of one to four octets that end nothing: shorter than the prefix of a gRPC message. All of it "
          "comes back in 10 s."},
    Limit{LimitId::kGlitches, "limits.glitches", Unit::kCount, 1000, 40, 10'000'000, "", false,
          "Whatever else a sound peer does not do: broken calls; lists too large, one more for each 256 octets; GOAWAY "
          "again; what comes on streams that are over, beyond what may have been under way; unknown frames and others "
          "that ask for nothing, a hundredth each. At three quarters the connection is drained, beyond it ends. All of "
          "it comes back in 30 s."},
    Limit{LimitId::kHandshakeTimeout, "limits.handshake_timeout", Unit::kDuration, 10 * base::kSecond_ns,
          base::kMillisecond_ns, detail::kHour_ns, "", false,
          "From the accepted connection to the end of its TLS handshake. A far client needs two or three round trips."},
    Limit{
        LimitId::kPrefaceTimeout, "limits.preface_timeout", Unit::kDuration, 5 * base::kSecond_ns,
        base::kMillisecond_ns, detail::kHour_ns, "", false,
        "From the accepted connection, or the end of its TLS handshake, to the client's SETTINGS; a client has nothing "
        "to wait for."},
    Limit{LimitId::kHeaderTimeout, "limits.header_timeout", Unit::kDuration, 10 * base::kSecond_ns,
          base::kMillisecond_ns, detail::kHour_ns, "", false,
          "From the first octet of a frame, or of a header block, to its last; the payload of DATA is free to wait."},
    Limit{LimitId::kIdleTimeout, "limits.idle_timeout", Unit::kDuration, 5 * detail::kMinute_ns, base::kMillisecond_ns,
          24 * detail::kHour_ns, "no limit", false,
          "A client connection without a call and without a frame for this long is drained: GOAWAY first, so that no "
          "call is lost."},
    Limit{LimitId::kConnectionAge, "limits.connection_age", Unit::kDuration, detail::kHour_ns, base::kMillisecond_ns,
          24 * detail::kHour_ns, "no limit", false,
          "A client connection this old, give or take a tenth, is drained; its calls end when they end. Clients that "
          "connect anew find new proxies."},
    Limit{LimitId::kStallTimeout, "limits.stall_timeout", Unit::kDuration, 0, base::kMillisecond_ns, detail::kHour_ns,
          "only under memory pressure", false,
          "A call whose octets wait for its client this long, a KiB that is taken counting as a second, is reset. No "
          "default may end a call of a client that only pauses."},
    Limit{LimitId::kConnectionMemory, "limits.connection_memory", Unit::kBytes, 64 * detail::kMiB, 64 * detail::kKiB,
          detail::kMiB* detail::kMiB, "", false,
          "Bytes that wait for one client, its calls together; over it the longest-stalled are reset. The default is "
          "what limits.streams and limits.upstream_window allow, so that alone a smaller one acts."},
    Limit{LimitId::kConnectionHeaders, "limits.connection_headers", Unit::kBytes, 2 * detail::kMiB, 16 * detail::kKiB,
          detail::kMiB* detail::kMiB, "", false,
          "Decoded header lists kept for the calls of one client: until the response, with an access log to the end. "
          "Lists of up to 8 KiB are free, one always fits; calls beyond it are refused. An octet may stand for 4 KB "
          "(CVE-2026-49975)."},
    Limit{LimitId::kProcessMemory, "limits.process_memory", Unit::kBytes, 0, 64 * detail::kMiB,
          detail::kMiB* detail::kMiB, "what the control group or the machine has", false,
          "Resident memory of the process. From 80 % on new calls are refused, from 92 % on idle connections are "
          "drained, from 95 % on none is accepted, until it is less."},
    Limit{LimitId::kDescriptors, "limits.descriptors", Unit::kCount, 0, 32, 10'000'000,
          "RLIMIT_NOFILE less an eighth, at least 16", false,
          "Client and endpoint connections at which no further client is accepted until one is gone; what is left is "
          "for endpoints and log files."},
    Limit{LimitId::kUpstreamResets, "limits.upstream_resets", Unit::kCount, 500, 30, 10'000'000, "", false,
          "Calls reset on one connection to an endpoint, which all clients share: servers end one for too many "
          "(nghttp2: 1000, and 33 a second). Behind the response one counts half. At three quarters another connection "
          "takes its place, beyond it resets wait. All of it comes back in 30 s."},
    Limit{LimitId::kRecordsPerKey, "limits.records_per_key", Unit::kCount, 8'388'608, 1'000, 16'777'216, "", false,
          "TLS records that we seal under one key; RFC 8446 section 5.5 allows AES-GCM 2^24.5. Then new keys follow, "
          "or, with TLS 1.2, another connection; at twice as many that one ends. Peers bound how often keys may "
          "change."},
    Limit{
        LimitId::kTicketRotation, "listeners[].tls.tickets.rotate", Unit::kDuration, 24 * detail::kHour_ns,
        base::kSecond_ns, 7 * 24 * detail::kHour_ns, "", false,
        "How long one key encrypts the tickets with which clients resume sessions; who learns it reads these. RFC 8446 "
        "section 4.6.1 lets no ticket live longer than seven days."},
    Limit{LimitId::kWeight, "clusters[].endpoints[].weight", Unit::kCount, 1, 1, 1000, "", false,
          "Share of the calls among the endpoints of a cluster."},
    Limit{LimitId::kPerShard, "clusters[].connections.per_shard", Unit::kCount, 1, 1, 64, "", false,
          "To each endpoint, at first. Fewer, fuller connections are cheaper; more are opened at the peer's stream "
          "limit."},
    Limit{LimitId::kConnectTimeout, "clusters[].connections.connect_timeout", Unit::kDuration, base::kSecond_ns,
          base::kMillisecond_ns, 5 * detail::kMinute_ns, "", false,
          "A connect in a data centre is done in milliseconds or not at all."},
    Limit{LimitId::kKeepaliveSilence, "clusters[].connections.keepalive.silence", Unit::kDuration,
          10 * base::kSecond_ns, 100 * base::kMillisecond_ns, detail::kHour_ns, "", false,
          "A connection on which calls wait and nothing has come for this long is asked by a PING whether it lives. "
          "Longer than most answers take, shorter than most callers wait."},
    Limit{LimitId::kKeepaliveInterval, "clusters[].connections.keepalive.interval", Unit::kDuration,
          5 * detail::kMinute_ns, 100 * base::kMillisecond_ns, 24 * detail::kHour_ns, "off", false,
          "The least time between two such PINGs. gRPC servers close connections that ping more often than every 5 "
          "minutes."},
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
