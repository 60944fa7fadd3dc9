// What holds between any two calls of a proxy: slots, credit, queues and timers. For tests and simulation.
#include <algorithm>

#include "base/assert.h"
#include "proxy/proxy.h"

namespace ringway::proxy {
namespace {

bool is_live(const h2::Stream* stream) noexcept {
  return stream != nullptr && !stream->is_reset;
}

// Octets of the request are in one place each: credited, or on their way to the endpoint.
void validate_request_credit(const Exchange& exchange) {
  const h2::Stream* const down = exchange.downstream_stream;
  const h2::Stream* const up = exchange.upstream_stream;
  const bool is_waiting = static_cast<const WaitLink&>(exchange).is_linked();
  ASSERT(exchange.credited_bytes <= exchange.bytes_received);
  ASSERT(exchange.attempt_bytes <= exchange.bytes_received);
  if (is_live(up)) ASSERT(up->pending.size() == exchange.bytes_received - exchange.attempt_bytes);
  if (!is_live(down) || down->has_received_end || (!is_live(up) && !is_waiting)) return;
  const int64_t uncredited = exchange.downstream->h2.uncredited(*down);
  ASSERT(uncredited == static_cast<int64_t>(exchange.bytes_received - exchange.credited_bytes));
}

// … and those of the response; the part of a prefix that limits.message holds back is on neither side.
void validate_response_credit(const Exchange& exchange, bool has_message_limit) {
  const h2::Stream* const down = exchange.downstream_stream;
  const h2::Stream* const up = exchange.upstream_stream;
  if (!is_live(up) || up->has_received_end || !is_live(down)) return;
  const int64_t held = has_message_limit && exchange.is_grpc ? exchange.response_cursor.prefix_octets() : 0;
  ASSERT(exchange.upstream->h2.uncredited(*up) == int64_t{down->pending.size()} + held);
}

void validate_exchange(const Exchange& exchange, bool has_message_limit) {
  const h2::Stream* const down = exchange.downstream_stream;
  const h2::Stream* const up = exchange.upstream_stream;
  const bool is_waiting = static_cast<const WaitLink&>(exchange).is_linked();
  if (exchange.is_finished) {
    ASSERT(down == nullptr && up == nullptr && !is_waiting);
    ASSERT(!static_cast<const OwnedTimer&>(exchange).is_armed());
    return;
  }
  ASSERT(down != nullptr && down->owner == &exchange);
  ASSERT(up == nullptr || up->owner == &exchange);
  ASSERT(!is_waiting || (up == nullptr && exchange.endpoint != nullptr));
  // Who has no stream and does not wait for one has had its answer.
  ASSERT(is_waiting || up != nullptr || exchange.has_response_ended);
  validate_request_credit(exchange);
  validate_response_credit(exchange, has_message_limit);
}

void validate_connection(Connection& connection) {
  connection.h2.validate();
  const bool is_dirty = static_cast<const DirtyLink&>(connection).is_linked();
  const bool is_armed = static_cast<const OwnedTimer&>(connection).is_armed();
  const uint32_t streams = connection.h2.stream_count();
  connection.h2.streams().for_each([&](h2::Stream& stream) {
    const auto* const exchange = static_cast<const Exchange*>(stream.owner);
    ASSERT(exchange != nullptr);
    ASSERT((connection.is_upstream() ? exchange->upstream_stream : exchange->downstream_stream) == &stream);
    ASSERT((connection.is_upstream() ? exchange->upstream : exchange->downstream) == &connection);
  });
  switch (connection.state) {
    case ConnectionState::kConnecting:
    case ConnectionState::kGreeting: ASSERT(connection.is_upstream() && is_armed && streams == 0); break;
    case ConnectionState::kUnrecognised: ASSERT(!connection.is_upstream() && is_armed && streams == 0); break;
    case ConnectionState::kOpen: break;
    case ConnectionState::kDraining: ASSERT(streams != 0 || is_dirty); break;
    case ConnectionState::kClosing: ASSERT(streams == 0 && (is_armed || connection.is_linger_over)); return;
  }
  // A peer that goes silent is noticed.
  ASSERT(!connection.is_upstream() || streams == 0 || is_armed);
  ASSERT(!connection.awaits_drain_ping || is_armed);
}

void validate_endpoint(Endpoint& endpoint) {
  uint32_t connecting = 0;
  bool has_room = false;
  for (Connection* const connection : endpoint.connections) {
    ASSERT(connection->endpoint == &endpoint && std::ranges::count(endpoint.connections, connection) == 1);
    // A connection is in the list exactly while it takes calls or will.
    const bool is_connecting =
        connection->state == ConnectionState::kConnecting || connection->state == ConnectionState::kGreeting;
    ASSERT(is_connecting || connection->state == ConnectionState::kOpen);
    connecting += is_connecting ? 1 : 0;
    has_room |= connection->takes_calls() && !static_cast<const DirtyLink&>(*connection).is_linked();
  }
  ASSERT(connecting == endpoint.connecting_count);
  uint32_t waiting = 0;
  const auto count = [&](Exchange& exchange) {
    ASSERT(exchange.endpoint == &endpoint);
    ++waiting;
  };
  endpoint.waiting.for_each(count);
  endpoint.waiting_large.for_each(count);
  ASSERT(waiting == endpoint.waiting_count);
  // Nobody waits for what is not going to come, nor for what is there.
  const bool is_awaited = !endpoint.connections.empty() || static_cast<const OwnedTimer&>(endpoint).is_armed();
  ASSERT(waiting == 0 || (is_awaited && !has_room));
  ASSERT(!endpoint.is_suspect || !endpoint.has_open_connection());
}

}  // namespace

void Proxy::validate() {
  uint32_t timers = 0;
  uint32_t streams = 0;
  uint32_t downstream = 0;
  uint32_t draining = 0;
  uint64_t list_bytes = 0;
  exchanges_.for_each([&](Exchange& exchange) {
    list_bytes += exchange.headers.charge() + exchange.trailers.charge();
    timers += static_cast<OwnedTimer&>(exchange).is_armed() ? 1 : 0;
    validate_exchange(exchange, message_bytes_max_ != 0);
  });
  connections_.for_each([&](Connection& connection) {
    timers += static_cast<OwnedTimer&>(connection).is_armed() ? 1 : 0;
    streams += connection.h2.stream_count();
    downstream += connection.is_upstream() ? 0 : 1;
    draining += connection.is_upstream() && connection.state == ConnectionState::kDraining ? 1 : 0;
    validate_connection(connection);
  });
  for (const std::unique_ptr<Cluster>& cluster : clusters_) {
    for (const std::unique_ptr<Endpoint>& endpoint : cluster->endpoints) {
      timers += static_cast<OwnedTimer&>(*endpoint).is_armed() ? 1 : 0;
      validate_endpoint(*endpoint);
      draining -= endpoint->draining_count;
    }
  }
  ASSERT(draining == 0);
  ASSERT(timers == timers_.armed_count());
  // No more are alive than connections have, but for those that a test takes out of the pool.
  ASSERT(streams <= memory_.streams.live_count());
  ASSERT(downstream == downstream_count_);
  ASSERT(list_bytes == list_bytes_);
  uint64_t clients_list_bytes = 0;
  connections_.for_each([&](Connection& connection) { clients_list_bytes += connection.list_bytes; });
  // A call may outlive its client's connection until the end of the turn.
  ASSERT(clients_list_bytes <= list_bytes_);
}

}  // namespace ringway::proxy
