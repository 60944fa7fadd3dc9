// What one peer may ask of a connection, and how often. Every limit has a name, which logs and counters use.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "base/units.h"
#include "h2/hpack_decoder.h"

namespace ringway::h2 {

// The limits that a peer can run into, of the connection itself and of what its owner watches; for counters.
enum class LimitKind : uint8_t {
  kHeaderList,
  kField,
  kHeaderFields,
  kWindow,
  kUpstreamWindow,
  kContinuations,
  kStreams,
  kStreamIds,
  kResets,
  kEarlyResets,
  kReplies,
  kReplyBytes,
  kSettingsEntries,
  kSettings,
  kPings,
  kPriorities,
  kEmptyFrames,
  kSmallData,
  kGlitches,
  // From here on the owner's.
  kHandshakeTimeout,
  kPrefaceTimeout,
  kHeaderTimeout,
  kIdleTimeout,
  kConnectionAge,
  kStallTimeout,
  kConnectionMemory,
  kConnectionHeaders,
  kConnections,
  kPerSource,
  kPendingCalls,
  kReplay,
  kReplayTotal,
  kMessage,
  kMemory,
  kProcessMemory,
  kDescriptors,
  kUpstreamResets,
  kRecordsPerKey,
  kCount,
};

// The key of the configuration that sets it.
std::string_view key_of(LimitKind kind) noexcept;

// So many at once, and so many a second for ever: a token bucket.
struct Rate {
  uint32_t burst;       // at least 1
  uint32_t per_second;  // at least 1
};

// What of a Rate is left to one peer, kept as the time at which all of it is there again.
class Allowance {
 public:
  static constexpr uint32_t kWhole = 100;

  // Takes one, or `percent` of one; false: there was not that much left, and nothing is taken.
  bool take(Rate rate, uint64_t now_ns, uint32_t percent = kWhole) noexcept {
    const uint64_t percent_ns = base::kSecond_ns / kWhole / rate.per_second;
    const uint64_t full_ns = std::max(full_ns_, now_ns) + percent * percent_ns;
    if (full_ns - now_ns > uint64_t{rate.burst} * kWhole * percent_ns) return false;
    full_ns_ = full_ns;
    return true;
  }
  // Whole ones that are not back yet.
  uint32_t used(Rate rate, uint64_t now_ns) const noexcept {
    const uint64_t one_ns = base::kSecond_ns / kWhole / rate.per_second * kWhole;
    return full_ns_ > now_ns ? static_cast<uint32_t>((full_ns_ - now_ns) / one_ns) : 0;
  }
  // No more than `used` are gone from here on.
  void give_back_to(Rate rate, uint64_t now_ns, uint32_t used) noexcept {
    const uint64_t one_ns = base::kSecond_ns / kWhole / rate.per_second * kWhole;
    full_ns_ = std::min(full_ns_, now_ns + used * one_ns);
  }
  bool is_whole(uint64_t now_ns) const noexcept { return full_ns_ <= now_ns; }
  bool has_less_than(Allowance other) const noexcept { return full_ns_ > other.full_ns_; }
  // A quarter of the burst is left, or less.
  bool is_nearly_used(Rate rate, uint64_t now_ns) const noexcept {
    const uint64_t percent_ns = base::kSecond_ns / kWhole / rate.per_second;
    return full_ns_ > now_ns && full_ns_ - now_ns >= uint64_t{rate.burst} * (kWhole * 3 / 4) * percent_ns;
  }

 private:
  uint64_t full_ns_ = 0;
};

// No defaults here: config/ owns them.
struct Limits {
  DecodeLimits header_list;
  uint32_t streams;            // that the peer may have open at once (server role)
  uint32_t stream_window;      // advertised
  uint32_t connection_window;  // advertised
  uint32_t first_stream_id;    // client role: 1, or later so that tests see ids run out

  uint32_t continuations;     // frames of one header block behind the first
  uint32_t replies;           // acknowledgements and resets that wait to be sent
  uint32_t reply_bytes;       // of these and of connection credit
  uint32_t settings_entries;  // in one frame
  uint32_t priorities;        // PRIORITY frames beyond one a stream
  Rate resets;                // streams that end by RST_STREAM of the peer, or of ours because of it (server role)
  Rate early_resets;          // of these, the ones that were cheap for the peer: without a response (server role)
  Rate settings;              // SETTINGS frames
  Rate pings;                 // while no stream is open
  Rate empty_frames;          // DATA without octets or end, fragments of header blocks without octets
  Rate small_data;            // DATA shorter than the prefix of a gRPC message and without an end
  Rate glitches;              // whatever a sound peer does not do, allowed though it is
};

}  // namespace ringway::h2
