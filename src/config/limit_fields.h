// Which member of Limits each row of the table that begins with "limits." sets: the one list of them.
#pragma once

#include <type_traits>

#include "config/limits.h"
#include "config/snapshot.h"

namespace ringway::config {

// Calls visit(LimitId, member) for each, in the order of the table.
template <typename AnyLimits, typename Visit>
constexpr void for_each_limit(AnyLimits& limits, Visit&& visit) {
  visit(LimitId::kHeaderList, limits.header_list_bytes);
  visit(LimitId::kHeaderFields, limits.header_fields);
  visit(LimitId::kField, limits.field_bytes);
  visit(LimitId::kStreams, limits.streams);
  visit(LimitId::kConnections, limits.connections);
  visit(LimitId::kWindow, limits.window_bytes);
  visit(LimitId::kConnectionWindow, limits.connection_window_bytes);
  visit(LimitId::kUpstreamWindow, limits.upstream_window_bytes);
  visit(LimitId::kPendingCalls, limits.pending_calls);
  visit(LimitId::kReplay, limits.replay_bytes);
  visit(LimitId::kReplayTotal, limits.replay_total_bytes);
  visit(LimitId::kMessage, limits.message_bytes);
  visit(LimitId::kPerSource, limits.per_source);
  visit(LimitId::kContinuations, limits.continuations);
  visit(LimitId::kReplies, limits.replies);
  visit(LimitId::kReplyBytes, limits.reply_bytes);
  visit(LimitId::kSettingsEntries, limits.settings_entries);
  visit(LimitId::kPriorities, limits.priorities);
  visit(LimitId::kResets, limits.resets);
  visit(LimitId::kEarlyResets, limits.early_resets);
  visit(LimitId::kSettings, limits.settings);
  visit(LimitId::kPings, limits.pings);
  visit(LimitId::kEmptyFrames, limits.empty_frames);
  visit(LimitId::kSmallData, limits.small_data);
  visit(LimitId::kGlitches, limits.glitches);
  visit(LimitId::kHandshakeTimeout, limits.handshake_timeout_ns);
  visit(LimitId::kPrefaceTimeout, limits.preface_timeout_ns);
  visit(LimitId::kHeaderTimeout, limits.header_timeout_ns);
  visit(LimitId::kIdleTimeout, limits.idle_timeout_ns);
  visit(LimitId::kConnectionAge, limits.connection_age_ns);
  visit(LimitId::kStallTimeout, limits.stall_timeout_ns);
  visit(LimitId::kConnectionMemory, limits.connection_memory);
  visit(LimitId::kConnectionHeaders, limits.connection_headers);
  visit(LimitId::kProcessMemory, limits.process_memory);
  visit(LimitId::kDescriptors, limits.descriptors);
  visit(LimitId::kUpstreamResets, limits.upstream_resets);
  visit(LimitId::kRecordsPerKey, limits.records_per_key);
}

// The defaults of the table.
constexpr Limits initial_limits() {
  Limits limits{};
  for_each_limit(limits, [](LimitId id, auto& value) {
    value = static_cast<std::remove_reference_t<decltype(value)>>(initial(id));
  });
  return limits;
}

// The key of a row within its section: "streams" of "limits.streams".
constexpr std::string_view key_in_section(LimitId id) {
  const std::string_view key = limit(id).key;
  return key.substr(key.rfind('.') + 1);
}

}  // namespace ringway::config
