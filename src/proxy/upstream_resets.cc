// limits.upstream_resets: what clients reset ends on connections that all of them share, and servers end a connection
// on which too much is reset. So a connection is replaced before that, while it still serves; a reset for which nothing
// is left waits. Nobody else's call is delayed or lost by that, whoever resets how much.
#include <algorithm>

#include "base/units.h"
#include "proxy/proxy.h"

namespace ringway::proxy {
namespace {

// Between two connections that one endpoint gets for this reason. Each costs the one who causes it hundreds of calls.
constexpr uint64_t kReplacePause_ns = 20 * base::kMillisecond_ns;

// Of one endpoint's connections on which calls are left. Who keeps a call open on each, and resets others, has no more
// made than that; until one has ended the worn one goes on.
constexpr uint32_t kDrainingMax = 8;

// When those that wait are looked after.
constexpr uint64_t kWithheldPause_ns = base::kSecond_ns;

// What a reset behind the endpoint's complete response takes, in percent of one: the endpoint is done with that call,
// it only has not said itself that it wants no more of the upload. Of servers that count resets most count those before
// their response; nghttp2 counts all of them, but takes twice as many as limits.upstream_resets.
constexpr uint32_t kBehindEnd = h2::Allowance::kWhole / 2;

// What an endpoint takes may have been learnt from another cause, or from a program that is replaced by now. It is
// forgotten when for so long no connection was worn: who resets all the time does not bring about the next GOAWAY.
constexpr uint64_t kLearntFor_ns = 3600 * base::kSecond_ns;

// A server that says GOAWAY with an error after so many of late has probably had enough of them.
constexpr uint32_t kProvokingResets = 30;

}  // namespace

// Of what a connection to this endpoint is allowed.
h2::Rate Proxy::reset_rate(const Endpoint& endpoint) const noexcept {
  const uint32_t burst = std::min(endpoint.reset_burst, snapshot_.limits.upstream_resets);
  return {burst, std::max(burst / config::refill_s::kUpstreamResets, 1u)};
}

bool Proxy::is_worn(const Connection& upstream, uint64_t now_ns) const noexcept {
  return upstream.resets.is_nearly_used(reset_rate(*upstream.endpoint), now_ns);
}

// The peer has ended it, or will: whether that is due to what clients have reset, and not to the endpoint.
bool Proxy::is_provoked(const Connection& upstream, uint64_t now_ns) const noexcept {
  const h2::Rate rate = reset_rate(*upstream.endpoint);
  return upstream.resets.used(rate, now_ns) >= std::min(kProvokingResets, rate.burst / 2);
}

// GOAWAY with an error: the endpoint takes fewer resets than was thought.
void Proxy::learn_reset_burst(Connection& upstream, uint64_t now_ns) noexcept {
  if (!is_provoked(upstream, now_ns)) return;
  Endpoint& endpoint = *upstream.endpoint;
  const uint32_t used = upstream.resets.used(reset_rate(endpoint), now_ns);
  endpoint.reset_burst = std::max(used / 2, kProvokingResets);
  endpoint.reset_burst_until_ns = now_ns + kLearntFor_ns;
}

// Of a stream whose caller closes it then.
void Proxy::reset_upstream(Connection& upstream, h2::Stream& stream, h2::ErrorCode code, uint64_t now_ns) {
  mark(upstream);
  Endpoint& endpoint = *upstream.endpoint;
  if (now_ns >= endpoint.reset_burst_until_ns) endpoint.reset_burst = UINT32_MAX;
  send_withheld_resets(upstream, now_ns);
  const uint32_t percent = stream.has_received_end ? kBehindEnd : h2::Allowance::kWhole;
  const bool is_allowed = upstream.resets.take(reset_rate(endpoint), now_ns, percent);
  if (is_allowed) {
    upstream.h2.reset_stream(stream, code);
  } else {
    // To the peer the stream is open, and so it is in its count. The end of the connection ends it, too.
    upstream.h2.withhold_reset(stream, code);
    timers_.arm(upstream, now_ns + kWithheldPause_ns);
  }
  if (upstream.state != ConnectionState::kOpen || !is_worn(upstream, now_ns)) return;
  endpoint.reset_burst_until_ns = std::max(endpoint.reset_burst_until_ns, now_ns + kLearntFor_ns);
  replace_worn(upstream, now_ns);
}

void Proxy::send_withheld_resets(Connection& upstream, uint64_t now_ns) {
  const h2::Rate rate = reset_rate(*upstream.endpoint);
  while (upstream.h2.withheld_resets() != 0 && upstream.resets.take(rate, now_ns)) {
    upstream.h2.send_withheld_reset();
    mark(upstream);
  }
}

// On the connection's timer.
void Proxy::look_after_withheld(Connection& upstream, uint64_t now_ns) {
  send_withheld_resets(upstream, now_ns);
  if (upstream.h2.withheld_resets() != 0) {
    timers_.arm(upstream, now_ns + kWithheldPause_ns);
    // Those that drained may have ended meanwhile.
    if (upstream.state == ConnectionState::kOpen) replace_worn(upstream, now_ns);
  }
  if (upstream.state == ConnectionState::kOpen) serve_waiting(*upstream.endpoint, now_ns);
}

// Where others serve, it goes at once; else another one is opened, and it serves until that takes calls.
// Where neither may be it takes calls as long as not too many of its resets wait, which go as its budget comes back.
void Proxy::replace_worn(Connection& upstream, uint64_t now_ns) {
  Endpoint& endpoint = *upstream.endpoint;
  if (endpoint.draining_count >= kDrainingMax) return;
  const bool has_other = std::ranges::any_of(endpoint.connections, [&](const Connection* connection) {
    return connection->state == ConnectionState::kOpen && !is_worn(*connection, now_ns);
  });
  if (has_other || upstream.h2.withheld_resets() >= h2::Connection::kWithheldMax) return retire_worn(upstream, now_ns);
  if (endpoint.connecting_count != 0 || now_ns < endpoint.replace_at_ns) return;
  endpoint.replace_at_ns = now_ns + kReplacePause_ns;
  open_connections(endpoint, 1, now_ns);
}

// A new one takes calls: those that it replaces take no more.
void Proxy::retire_worn_of(Endpoint& endpoint, uint64_t now_ns) {
  for (size_t i = endpoint.connections.size(); i-- > 0 && endpoint.draining_count < kDrainingMax;) {
    Connection& connection = *endpoint.connections[i];
    if (connection.state == ConnectionState::kOpen && is_worn(connection, now_ns)) retire_worn(connection, now_ns);
  }
}

void Proxy::retire_worn(Connection& upstream, uint64_t now_ns) {
  count_limit(h2::LimitKind::kUpstreamResets);
  log(config::LogLevel::kInfo, LogKind::kLimit, now_ns,
      "endpoint {}: {} calls were reset on a connection of late, another takes its place ({})", upstream.endpoint->name,
      upstream.resets.used(reset_rate(*upstream.endpoint), now_ns), h2::key_of(h2::LimitKind::kUpstreamResets));
  retire(upstream, now_ns);
  mark(upstream);
}

}  // namespace ringway::proxy
