// The connections to endpoints: which one takes the next call, when another is opened, who waits.
#include <algorithm>

#include "base/assert.h"
#include "base/units.h"
#include "proxy/proxy.h"

namespace ringway::proxy {
namespace {

// To one endpoint from one shard; a peer that grants one stream a connection is bounded by this.
constexpr size_t kConnectionsMax = 64;

// An unanswered stream is looked after this often; PING itself is bound by the keepalive interval.
constexpr uint64_t kSilence_ns = 10 * base::kSecond_ns;

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

// Asks the shard for a connection, unless one is on its way already.
void Proxy::open_connection(Endpoint& endpoint, uint64_t now_ns) {
  if (endpoint.connecting_count != 0 || endpoint.connections.size() >= kConnectionsMax) return;
  const size_t wanted = endpoint.connections.empty() ? endpoint.cluster.config.connections_per_shard : 1;
  for (size_t i = 0; i < wanted; ++i) {
    Connection* connection = connections_.create(h2::Role::kClient, upstream_limits_, memory_, 0u);
    if (connection == nullptr) return;
    connection->handle = connections_.handle(*connection);
    connection->h2.set_slot(connection->handle.index);
    connection->state = ConnectionState::kConnecting;
    connection->endpoint = &endpoint;
    connection->peer = endpoint.address;
    connection->opened_ns = now_ns;
    timers_.arm(*connection, now_ns + endpoint.cluster.config.connect_timeout_ns);
    endpoint.connections.push_back(connection);
    ++endpoint.connecting_count;
    ++counters_.upstream_connections;
    to_connect.push_back(connection->handle);
  }
}

// Gives waiting calls the streams that have become free, and asks for another connection if some still wait.
void Proxy::serve_waiting(Endpoint& endpoint, uint64_t now_ns) {
  while (!endpoint.waiting.is_empty()) {
    Connection* connection = usable_connection(endpoint);
    if (connection == nullptr) {
      open_connection(endpoint, now_ns);
      return;
    }
    Exchange& exchange = endpoint.waiting.front();
    stop_waiting(exchange);
    attempt(exchange, *connection, now_ns);
  }
}

void Proxy::drop_from_endpoint(Connection& connection) noexcept {
  std::erase(connection.endpoint->connections, &connection);
}

// After a failed connect: those who wait go to another endpoint, or get the reason. Where other connections are open
// they wait on for a stream of those.
void Proxy::fail_waiting(Endpoint& endpoint, uint64_t now_ns) {
  if (!endpoint.connections.empty()) return;
  // Calls that come back to this endpoint's list would be met again.
  uint32_t count = endpoint.waiting_count;
  while (count-- != 0 && !endpoint.waiting.is_empty()) {
    Exchange& exchange = endpoint.waiting.front();
    stop_waiting(exchange);
    start(exchange, &endpoint, now_ns);
  }
}

// The call that takes the last stream id takes its connection out of use: it leaves the endpoint's list, so that nobody
// waits for a stream of it, and closes behind its last stream. Another is opened at once, so that the next call finds
// one.
void Proxy::retire(Connection& connection, uint64_t now_ns) {
  connection.state = ConnectionState::kDraining;
  drop_from_endpoint(connection);
  open_connection(*connection.endpoint, now_ns);
}

void Proxy::arm_keepalive(Connection& connection, uint64_t now_ns) {
  timers_.arm(connection, now_ns + kSilence_ns);
}

// A connection on which calls wait and nothing arrives is asked whether it lives; without an answer it is lost. Never
// more often than a gRPC server's ping policy allows (DESIGN 3.14).
void Proxy::check_keepalive(Connection& connection, uint64_t now_ns) {
  if (connection.h2.stream_count() == 0) return;  // armed again by the next call
  const config::ClusterConfig& config = connection.endpoint->cluster.config;
  if (connection.ping_sent_ns != 0) {
    if (now_ns - connection.ping_sent_ns >= config.keepalive_timeout_ns) {
      return lost(connection, io::error_from_errno(ETIMEDOUT), now_ns);
    }
    timers_.arm(connection, connection.ping_sent_ns + config.keepalive_timeout_ns);
    return;
  }
  const bool is_silent = now_ns - connection.received_ns >= kSilence_ns;
  // An interval of 0 is none.
  const bool may_ping =
      config.keepalive_interval_ns != 0 &&
      (connection.last_ping_ns == 0 || now_ns - connection.last_ping_ns >= config.keepalive_interval_ns);
  if (!is_silent || !may_ping) {
    timers_.arm(connection, now_ns + kSilence_ns);
    return;
  }
  connection.h2.send_ping(now_ns);
  connection.ping_sent_ns = connection.last_ping_ns = now_ns;
  timers_.arm(connection, now_ns + config.keepalive_timeout_ns);
  mark(connection);
}

}  // namespace ringway::proxy
