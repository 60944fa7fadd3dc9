// What is watched of a client's connection while it is open: that it says something, ends what it begins, reads what it
// asked for, and goes when it is idle or old. One timer a connection, armed for the earliest of these and looked at
// when it fires, so that a call costs nothing.
#include <algorithm>

#include "base/units.h"
#include "proxy/proxy.h"
#include "proxy/text.h"

namespace ringway::proxy {
namespace {

// How often a stall time-out looks at the calls of a connection while it lasts.
constexpr uint64_t kStallLooks = 4;

}  // namespace

// Younger and older by up to a tenth, so that connections made together do not go together (gRFC A9).
uint64_t Proxy::age_limit_ns() noexcept {
  const uint64_t age_ns = snapshot_.limits.connection_age_ns;
  const auto spread_ns = static_cast<uint64_t>(static_cast<double>(age_ns / 5) * prng_.unit());
  return age_ns == 0 ? base::kNever_ns : age_ns - age_ns / 10 + spread_ns;
}

void Proxy::begin_watch(Connection& connection, uint64_t now_ns) {
  connection.ends_ns = base::saturating_add(now_ns, age_limit_ns());
  const config::Limits& limits = snapshot_.limits;
  timers_.arm(connection,
              now_ns + (connection.is_handshaking ? limits.handshake_timeout_ns : limits.preface_timeout_ns));
}

// Its first bytes have not shown in time what it speaks.
void Proxy::end_silent(Connection& connection, uint64_t now_ns) {
  if (is_draining_) return begin_closing(connection, now_ns);
  if (connection.is_handshaking) {
    note_overdue(connection, h2::LimitKind::kHandshakeTimeout, "the TLS handshake did not end in time", now_ns);
  } else {
    note_overdue(connection, h2::LimitKind::kPrefaceTimeout, "no preface came in time", now_ns);
  }
  begin_closing(connection, now_ns);
}

// A frame, or a header block, was begun and not ended: by the time limits.header_timeout has passed it must be.
void Proxy::watch_frame(Connection& connection) {
  look_by(connection, frame_due_ns(connection));
}

// Its SETTINGS are there, whatever of preface_timeout is left.
void Proxy::watch_open(Connection& connection, uint64_t now_ns) {
  look_by(connection, next_look_ns(connection, now_ns));
}

void Proxy::look_by(Connection& connection, uint64_t due_ns) {
  // The timer of a drain comes within a second and looks here behind it.
  if (connection.awaits_drain_ping || !connection.h2.has_received_settings()) return;
  if (due_ns == base::kNever_ns || connection.state == ConnectionState::kClosing) return;
  if (!connection.is_armed() || connection.deadline_tick * base::TimerWheel::kTick_ns > due_ns) {
    timers_.arm(connection, due_ns);
  }
}

uint64_t Proxy::frame_due_ns(const Connection& connection) const noexcept {
  if (!connection.h2.is_inside_frame()) return base::kNever_ns;
  return connection.h2.unended_since_ns() + snapshot_.limits.header_timeout_ns;
}

// Ends the connection, or finds when to look again.
void Proxy::watch_downstream(Connection& connection, uint64_t now_ns) {
  const config::Limits& limits = snapshot_.limits;
  if (!connection.h2.has_received_settings()) {
    const uint64_t due_ns = connection.opened_ns + limits.preface_timeout_ns;
    if (now_ns < due_ns) return timers_.arm(connection, due_ns);
    return end_overdue(connection, h2::LimitKind::kPrefaceTimeout, "no SETTINGS came in time", now_ns);
  }
  if (now_ns >= frame_due_ns(connection)) {
    return end_overdue(connection, h2::LimitKind::kHeaderTimeout, "a frame was not ended in time", now_ns);
  }
  if (limits.stall_timeout_ns != 0) reset_stalled_of(connection, now_ns);
  if (connection.state == ConnectionState::kOpen) {
    const bool is_idle = connection.h2.stream_count() == 0;
    if (is_idle && limits.idle_timeout_ns != 0 && now_ns >= connection.received_ns + limits.idle_timeout_ns) {
      return ask_to_go(connection, h2::LimitKind::kIdleTimeout, "idle", now_ns);
    }
    if (now_ns >= connection.ends_ns) return ask_to_go(connection, h2::LimitKind::kConnectionAge, "old", now_ns);
  }
  watch_further(connection, now_ns);
}

void Proxy::watch_further(Connection& connection, uint64_t now_ns) {
  const uint64_t due_ns = next_look_ns(connection, now_ns);
  if (due_ns != base::kNever_ns) timers_.arm(connection, due_ns);
}

uint64_t Proxy::next_look_ns(const Connection& connection, uint64_t now_ns) const noexcept {
  const config::Limits& limits = snapshot_.limits;
  const bool is_open = connection.state == ConnectionState::kOpen;
  uint64_t due_ns = is_open ? connection.ends_ns : base::kNever_ns;
  if (is_open && limits.idle_timeout_ns != 0) {
    // With calls in progress it cannot become idle before this long from now.
    const uint64_t since_ns = connection.h2.stream_count() == 0 ? connection.received_ns : now_ns;
    due_ns = std::min(due_ns, since_ns + limits.idle_timeout_ns);
  }
  due_ns = std::min(due_ns, frame_due_ns(connection));
  if (limits.stall_timeout_ns != 0) due_ns = std::min(due_ns, now_ns + limits.stall_timeout_ns / kStallLooks + 1);
  return due_ns;
}

void Proxy::note_overdue(const Connection& connection, h2::LimitKind kind, std::string_view what, uint64_t now_ns) {
  count_limit(kind);
  log(config::LogLevel::kWarn, LogKind::kLimit, now_ns, "client {}: closed: {} ({})", connection.client_text, what,
      h2::key_of(kind));
}

void Proxy::end_overdue(Connection& connection, h2::LimitKind kind, std::string_view what, uint64_t now_ns) {
  note_overdue(connection, kind, what, now_ns);
  connection.h2.send_goaway(connection.h2.last_peer_stream_id(), h2::ErrorCode::kNoError, what);
  end_connection(connection, what, now_ns);
}

// Politely: GOAWAY, a round trip, the real GOAWAY, and its calls may end.
void Proxy::ask_to_go(Connection& connection, h2::LimitKind kind, std::string_view why, uint64_t now_ns) {
  if (connection.state != ConnectionState::kOpen || connection.awaits_drain_ping) return;
  count_limit(kind);
  log(config::LogLevel::kInfo, LogKind::kLimit, now_ns, "client {}: asked to go: {} ({})", connection.client_text, why,
      h2::key_of(kind));
  begin_drain_step(connection, why, now_ns);
}

void Proxy::reset_stalled_of(Connection& connection, uint64_t now_ns) {
  ending_.clear();
  connection.h2.streams().for_each([&](h2::Stream& stream) {
    Exchange& exchange = exchange_of(stream);
    const bool is_overdue =
        exchange.stalled_since_ns != 0 && now_ns - exchange.stalled_since_ns >= snapshot_.limits.stall_timeout_ns;
    if (is_overdue && !stream.pending.is_empty()) ending_.push_back(&exchange);
  });
  for (Exchange* const exchange : ending_) {
    if (exchange->is_finished) continue;
    count_limit(h2::LimitKind::kStallTimeout);
    log(config::LogLevel::kWarn, LogKind::kLimit, now_ns, "client {}: call reset: it takes nothing ({})",
        connection.client_text, h2::key_of(h2::LimitKind::kStallTimeout));
    reset_for_memory(*exchange, now_ns);
  }
}

}  // namespace ringway::proxy
