// The connections to endpoints: which one takes the next call, when another is opened, who waits.
#include <algorithm>

#include "base/assert.h"
#include "base/line_writer.h"
#include "base/units.h"
#include "proxy/proxy.h"
#include "proxy/text.h"

namespace ringway::proxy {
namespace {

// To one endpoint from one shard; a peer that grants one stream a connection is bounded by this.
constexpr size_t kConnectionsMax = 64;

// Without a free slot for a connection, those who wait for one are looked after again this much later.
constexpr uint64_t kSlotPause_ns = 50 * base::kMillisecond_ns;

// A bulk upload uses up its connection's send window and waits for a round trip. Where none of it comes back for longer
// than this the endpoint is not reading: those who wait get another connection.
constexpr uint64_t kClosedWindow_ns = 500 * base::kMillisecond_ns;

// A connection that takes calls for less than this has a short life.
constexpr uint64_t kShortLife_ns = base::kSecond_ns;

// A time-out as messages name it.
std::string duration(uint64_t ns) {
  const uint64_t ms = ns / base::kMillisecond_ns;
  return ms % 1000 == 0 ? fmt::format("{}s", ms / 1000) : fmt::format("{}ms", ms);
}

// What an endpoint's first octets show, as it goes on behind "endpoint ADDRESS ".
std::string describe_foreign(const h2::Connection& connection) {
  const std::span<const uint8_t> octets = connection.first_octets();
  const std::string_view first(reinterpret_cast<const char*>(octets.data()), octets.size());
  switch (connection.peer_speech()) {
    case h2::Speech::kTls: return "speaks TLS, the cluster has no tls:";
    case h2::Speech::kHttp1: return fmt::format("speaks {}, not HTTP/2", first.substr(0, h2::kStatusVersionSize));
    default: break;
  }
  char text[128];
  base::LineWriter line(text);
  line.escaped(first, base::Escape::kProse, sizeof text);
  return fmt::format("does not speak HTTP/2: its first bytes were '{}'", std::string_view(text, line.size()));
}

}  // namespace

// One connection an endpoint unless configured otherwise, so that the calls of all clients share its sends. With
// several, all calls of a turn take the same one for the same reason.
Connection* Proxy::usable_of_several(Endpoint& endpoint) noexcept {
  const auto count = static_cast<uint32_t>(endpoint.connections.size());
  const uint32_t spread = std::min(count, endpoint.cluster.config.connections_per_shard);
  const uint32_t first = spread > 1 ? static_cast<uint32_t>(turn_ % spread) : 0;
  for (uint32_t i = 0; i < count; ++i) {
    Connection* const connection = endpoint.connections[(first + i) % count];
    if (connection->takes_calls()) return connection;
  }
  return nullptr;
}

// Calls wait: whether a connection will take them soon, once its output has left, which the next flush sees to, or its
// send window has opened. The latter is looked after by the endpoint's timer.
bool Proxy::await_room(Endpoint& endpoint, uint64_t now_ns) {
  bool is_window_awaited = false;
  for (Connection* const connection : endpoint.connections) {
    if (!connection->has_stream_to_give()) continue;
    if (connection->h2.send_window() > 0) {
      if (connection->is_socket_writable) return true;
      continue;
    }
    if (connection->window_awaited_ns == 0) connection->window_awaited_ns = now_ns;
    const uint64_t until_ns = connection->window_awaited_ns + kClosedWindow_ns;
    if (now_ns >= until_ns || is_window_awaited) continue;
    timers_.arm(endpoint, until_ns);
    is_window_awaited = true;
  }
  return is_window_awaited;
}

// The endpoint has given credit for the connection.
void Proxy::on_window_opened(Connection& connection, uint64_t now_ns) {
  connection.window_awaited_ns = 0;
  if (connection.endpoint->waiting_count != 0) serve_waiting(*connection.endpoint, now_ns);
}

// Calls wait: as many connections as are configured, or another one, unless one is on its way already or will soon take
// them.
void Proxy::open_another(Endpoint& endpoint, uint64_t now_ns) {
  if (await_room(endpoint, now_ns)) return;
  if (endpoint.connections.size() < endpoint.cluster.config.connections_per_shard) return restore(endpoint, now_ns);
  if (endpoint.connecting_count != 0 || endpoint.connections.size() >= kConnectionsMax) return;
  open_connections(endpoint, 1, now_ns);
}

// As many connections as are configured.
void Proxy::restore(Endpoint& endpoint, uint64_t now_ns) {
  const size_t wanted = endpoint.cluster.config.connections_per_shard;
  const size_t count = endpoint.connections.size();
  if (count >= wanted) return;
  if (!endpoint.is_unsteady()) return open_connections(endpoint, wanted - count, now_ns);
  if (endpoint.connecting_count == 0) open_connections(endpoint, 1, now_ns);
}

// Asks the shard for that many, now or when the endpoint's pause is over.
void Proxy::open_connections(Endpoint& endpoint, size_t count, uint64_t now_ns) {
  if (now_ns < endpoint.retry_at_ns) return timers_.arm(endpoint, endpoint.retry_at_ns);
  for (size_t i = 0; i < count; ++i) {
    Connection* connection = connections_.create(h2::Role::kClient, upstream_limits_, memory_, 0u);
    // No slot: one may come free.
    if (connection == nullptr) return timers_.arm(endpoint, now_ns + kSlotPause_ns);
    connection->handle = connections_.handle(*connection);
    connection->h2.set_slot(connection->handle.index);
    if (endpoint.cluster.config.header_compression == config::HeaderCompression::kStatic) {
      connection->h2.forgo_header_table();
    }
    connection->state = ConnectionState::kConnecting;
    connection->endpoint = &endpoint;
    connection->peer = endpoint.address;
    timers_.arm(*connection, now_ns + endpoint.cluster.config.connect_timeout_ns);
    endpoint.connections.push_back(connection);
    ++endpoint.connecting_count;
    ++counters_.upstream_connections;
    to_connect.push_back(connection->handle);
  }
}

// Gives waiting calls the streams that have become free, and asks for another connection if some still wait.
void Proxy::serve_waiting(Endpoint& endpoint, uint64_t now_ns) {
  while (endpoint.waiting_count != 0) {
    Connection* connection = usable_connection(endpoint);
    if (connection == nullptr) {
      open_another(endpoint, now_ns);
      return;
    }
    Exchange& exchange = endpoint.next_waiting();
    stop_waiting(exchange);
    attempt(exchange, *connection, now_ns);
  }
}

// Before its state changes to one in which it takes no calls.
void Proxy::drop_from_endpoint(Connection& connection, uint64_t now_ns) {
  Endpoint& endpoint = *connection.endpoint;
  if (std::erase(endpoint.connections, &connection) == 0) return;
  if (connection.state == ConnectionState::kOpen) {
    const bool is_early = now_ns - connection.opened_ns < kShortLife_ns && !connection.h2.has_used_all_ids() &&
                          !is_worn(connection, now_ns) && !is_provoked(connection, now_ns);
    endpoint.note_end(is_early, now_ns, prng_);
  } else {
    --endpoint.connecting_count;
  }
}

// A connection is gone that took calls: whoever waits for this endpoint is served by what it has left or, where that is
// nothing, by another one; and the connection is replaced.
void Proxy::make_up_for(Endpoint& endpoint, uint64_t now_ns) {
  if (endpoint.is_suspect) {
    restart_waiting(endpoint, 0, now_ns);
  } else if (endpoint.waiting_count != 0) {
    serve_waiting(endpoint, now_ns);
  }
  restore(endpoint, now_ns);
}

// Those who wait go to another endpoint if there is one, or get the reason. A call goes on to so many failing endpoints
// as the cluster has, not for ever.
void Proxy::restart_waiting(Endpoint& endpoint, uint16_t failures, uint64_t now_ns) {
  // Calls that come back to this endpoint's list would be met again.
  uint32_t count = endpoint.waiting_count;
  while (count-- != 0 && endpoint.waiting_count != 0) {
    Exchange& exchange = endpoint.next_waiting();
    stop_waiting(exchange);
    exchange.failed_connects += failures;
    if (exchange.failed_connects < endpoint.cluster.endpoints.size()) {
      start(exchange, &endpoint, now_ns);
    } else {
      fail_unreachable(exchange, now_ns);
    }
  }
}

// A further connection could not be opened. Those who wait go where there is room; where there is none they wait for
// the streams that this endpoint has, for a time.
void Proxy::spread_waiting(Endpoint& endpoint, uint64_t now_ns) {
  while (endpoint.waiting_count != 0) {
    Endpoint* const other = endpoint.cluster.pick_beside(endpoint);
    if (other == nullptr) break;
    Exchange& exchange = endpoint.next_waiting();
    stop_waiting(exchange);
    give_to(exchange, *other, now_ns);
  }
  fail_overdue(endpoint, now_ns);
  if (endpoint.waiting_count != 0) open_another(endpoint, now_ns);
}

// Where connects fail no call waits that came before two of them could have been over: the streams that there are may
// be in use for ever.
void Proxy::fail_overdue(Endpoint& endpoint, uint64_t now_ns) {
  const uint64_t patience_ns = 2 * endpoint.cluster.config.connect_timeout_ns;
  for (auto* const list : {&endpoint.waiting, &endpoint.waiting_large}) {
    while (!list->is_empty() && now_ns - list->front().started_ns >= patience_ns) {
      end_with(
          list->front(), grpc::Status::kUnavailable, LocalReason::kNoEndpoint,
          Text("all streams of endpoint {} are in use for {} (twice connect_timeout), and no further connection: {}",
               endpoint.name, duration(patience_ns), endpoint.failure),
          now_ns);
    }
  }
}

// The pause after failures or short lives is over.
void Proxy::on_endpoint_timer(Endpoint& endpoint, uint64_t now_ns) {
  if (endpoint.waiting_count != 0) serve_waiting(endpoint, now_ns);
  restore(endpoint, now_ns);
}

void Proxy::connected(Connection& connection, uint64_t now_ns) {
  connection.state = ConnectionState::kGreeting;
  connection.is_handshaking = false;
  connection.received_ns = now_ns;
  connection.h2.start();
  mark(connection);
}

// The peer's SETTINGS are here: calls may go.
void Proxy::greeted(Connection& connection, uint64_t now_ns) {
  Endpoint& endpoint = *connection.endpoint;
  connection.state = ConnectionState::kOpen;
  connection.opened_ns = now_ns;
  timers_.cancel(connection);
  --endpoint.connecting_count;
  if (endpoint.failures != 0) {
    log(config::LogLevel::kInfo, LogKind::kEndpoint, now_ns, "cluster {}: endpoint {} is back after {} failed connects",
        endpoint.cluster.config.name, endpoint.name, endpoint.failures);
  }
  endpoint.note_success();
  // Calls look for room from the front.
  if (endpoint.connections.front()->window_awaited_ns != 0) {
    std::iter_swap(endpoint.connections.begin(), std::ranges::find(endpoint.connections, &connection));
  }
  retire_worn_of(endpoint, now_ns);
  serve_waiting(endpoint, now_ns);
  restore(endpoint, now_ns);
}

void Proxy::connect_failed(Connection& connection, io::Error error, uint64_t now_ns) {
  if (connection.state != ConnectionState::kConnecting) return;
  fail_to_open(connection, Text("endpoint {}: {}", connection.endpoint->name, io::describe(error)), now_ns);
}

void Proxy::on_connect_timeout(Connection& connection, uint64_t now_ns) {
  const std::string_view what = connection.is_handshaking                          ? "did not end the TLS handshake"
                                : connection.state == ConnectionState::kConnecting ? "did not answer the connect"
                                : connection.h2.can_open_stream() ? "accepted the connection and said nothing"
                                                                  : "accepted the connection and grants no stream";
  fail_to_open(connection,
               Text("endpoint {} {} (connect_timeout {})", connection.endpoint->name, what,
                    duration(connection.endpoint->cluster.config.connect_timeout_ns)),
               now_ns);
}

// Its first octets were not those of an HTTP/2 server, or broke a rule; no call was sent to it.
void Proxy::on_greeting_failed(Connection& connection, uint64_t now_ns) {
  const bool is_foreign = connection.h2.peer_speech() != h2::Speech::kHttp2;
  const std::string_view name = connection.endpoint->name;
  if (is_foreign) ++counters_.foreign_endpoints;
  fail_to_open(connection,
               is_foreign ? Text("endpoint {} {}", name, describe_foreign(connection.h2))
                          : Text("endpoint {}: {}", name, connection.h2.failure_reason()),
               now_ns);
}

// `sentence` names the endpoint and what is wrong with it. Who waits goes elsewhere, unless other connections can
// serve.
void Proxy::fail_to_open(Connection& connection, std::string_view sentence, uint64_t now_ns) {
  Endpoint& endpoint = *connection.endpoint;
  ++counters_.connect_failures;
  begin_closing(connection, now_ns);
  // An endpoint that stays away is tried again and again: the log names it once.
  const bool is_news = endpoint.failure != sentence;
  endpoint.note_failure(now_ns, sentence, prng_);
  log(is_news ? config::LogLevel::kWarn : config::LogLevel::kDebug, LogKind::kEndpoint, now_ns,
      "cluster {}: connect failed: {}", endpoint.cluster.config.name, sentence);
  if (endpoint.connections.empty()) {
    restart_waiting(endpoint, 1, now_ns);
  } else if (endpoint.has_open_connection()) {
    spread_waiting(endpoint, now_ns);
  }
  restore(endpoint, now_ns);
}

// The call that takes the last stream id takes its connection out of use: it leaves the endpoint's list, so that nobody
// waits for a stream of it, and closes behind its last stream. Another is opened at once, so that the next call finds
// one.
void Proxy::retire(Connection& connection, uint64_t now_ns) {
  drop_from_endpoint(connection, now_ns);
  begin_draining(connection);
  restore(*connection.endpoint, now_ns);
}

// It has left its endpoint's list, and closes behind its last call.
void Proxy::begin_draining(Connection& connection) noexcept {
  connection.state = ConnectionState::kDraining;
  ++connection.endpoint->draining_count;
}

void Proxy::arm_keepalive(Connection& connection, uint64_t now_ns) {
  timers_.arm(connection, now_ns + connection.endpoint->cluster.config.keepalive_silence_ns);
  if (connection.h2.is_inside_frame()) watch_endpoint_frame(connection);
}

// A connection on which calls wait and nothing arrives is asked whether it lives; without an answer it is lost. Never
// more often than a gRPC server's ping policy allows (DESIGN 3.14).
void Proxy::check_keepalive(Connection& connection, uint64_t now_ns) {
  if (connection.h2.stream_count() == 0) return;  // armed again by the next call
  const config::ClusterConfig& config = connection.endpoint->cluster.config;
  if (connection.ping_sent_ns != 0) {
    if (now_ns - connection.ping_sent_ns >= config.keepalive_timeout_ns) {
      return lose_upstream(
          connection, Text("no answer to a PING within {} (keepalive.timeout)", duration(config.keepalive_timeout_ns)),
          now_ns);
    }
    timers_.arm(connection, connection.ping_sent_ns + config.keepalive_timeout_ns);
    return;
  }
  const uint64_t silent_from_ns = connection.received_ns + config.keepalive_silence_ns;
  if (now_ns < silent_from_ns) return timers_.arm(connection, silent_from_ns);
  // An interval of 0 is none.
  const bool may_ping =
      config.keepalive_interval_ns != 0 &&
      (connection.last_ping_ns == 0 || now_ns - connection.last_ping_ns >= config.keepalive_interval_ns);
  if (!may_ping) return arm_keepalive(connection, now_ns);
  connection.h2.send_ping(now_ns);
  connection.ping_sent_ns = connection.last_ping_ns = now_ns;
  timers_.arm(connection, now_ns + config.keepalive_timeout_ns);
  mark(connection);
}

// Every octet keeps its connection alive for check_keepalive(), but the calls on it get nothing before the frame that
// it is part of has ended: limits.header_timeout holds for endpoints, too. Until the greeting connect_timeout does, and
// without a call there is no timer: nobody waits.
void Proxy::watch_endpoint_frame(Connection& upstream) noexcept {
  if (upstream.state != ConnectionState::kOpen && upstream.state != ConnectionState::kDraining) return;
  const uint64_t due_ns = frame_due_ns(upstream);
  if (upstream.is_armed() && upstream.deadline_tick * base::TimerWheel::kTick_ns > due_ns) {
    timers_.arm(upstream, due_ns);
  }
}

// On the connection's timer.
void Proxy::watch_upstream(Connection& upstream, uint64_t now_ns) {
  if (now_ns >= frame_due_ns(upstream)) {
    constexpr h2::LimitKind kKind = h2::LimitKind::kHeaderTimeout;
    count_limit(kKind);
    log(config::LogLevel::kWarn, LogKind::kLimit, now_ns, "endpoint {}: closed: a frame was not ended in time ({})",
        upstream.endpoint->name, h2::key_of(kKind));
    return lose_upstream(upstream, "a frame was not ended in time (limits.header_timeout)", now_ns);
  }
  check_keepalive(upstream, now_ns);
  if (upstream.state == ConnectionState::kClosing) return;
  if (upstream.h2.withheld_resets() != 0) [[unlikely]]
    look_after_withheld(upstream, now_ns);
  watch_endpoint_frame(upstream);
}

}  // namespace ringway::proxy
