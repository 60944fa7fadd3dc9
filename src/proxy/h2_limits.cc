#include "proxy/h2_limits.h"

#include <algorithm>

#include "config/limits.h"

namespace ringway::proxy {
namespace {

h2::Rate rate(uint32_t burst, uint32_t refill_s) noexcept {
  return {burst, std::max(burst / refill_s, 1u)};
}

}  // namespace

h2::Limits h2_limits(const config::Limits& limits, h2::Role role) noexcept {
  namespace refill_s = config::refill_s;
  const bool is_server = role == h2::Role::kServer;
  static_assert(config::limit(config::LimitId::kField).minimum >= h2::kTableSizeDefault);
  return {.header_list = {limits.header_list_bytes, limits.header_fields, limits.field_bytes},
          .streams = is_server ? limits.streams : 0,
          .stream_window = is_server ? limits.window_bytes : limits.upstream_window_bytes,
          .connection_window = limits.connection_window_bytes,
          .first_stream_id = is_server ? 2u : 1u,
          .continuations = limits.continuations,
          .replies = limits.replies,
          .reply_bytes = limits.reply_bytes,
          .settings_entries = limits.settings_entries,
          .priorities = limits.priorities,
          .resets = rate(limits.resets, refill_s::kResets),
          .early_resets = rate(limits.early_resets, refill_s::kEarlyResets),
          .settings = rate(limits.settings, refill_s::kSettings),
          .pings = rate(limits.pings, refill_s::kPings),
          .empty_frames = rate(limits.empty_frames, refill_s::kEmptyFrames),
          .small_data = rate(limits.small_data, refill_s::kSmallData),
          .glitches = rate(limits.glitches, refill_s::kGlitches)};
}

Text large_field_text(std::string_view whose, const h2::Field& field, const config::Limits& limits) {
  const uint32_t size = field.name_size + field.value_size + h2::kFieldOverhead;
  if (!h2::is_valid_name(field.name())) {
    return Text("{} field of {} bytes, limits.field is {}", whose, size, limits.field_bytes);
  }
  return Text("{} field '{:.100}' of {} bytes, limits.field is {}", whose, field.name(), size, limits.field_bytes);
}

}  // namespace ringway::proxy
