// Connections, time and drain. Requests are in proxy_request.cc, the pool in upstream_pool.cc, responses in
// proxy_response.cc.
#include "proxy/proxy.h"
#include "proxy/h2_limits.h"
#include "proxy/text.h"

#include <algorithm>

#include "base/assert.h"
#include "base/units.h"

namespace ringway::proxy {
namespace {

// Interned fields of one shard; beyond it fields stay private to their connection.
constexpr uint32_t kInternedBytesMax = 4u << 20;
// Between the two GOAWAYs of a drain (DESIGN 3.17).
constexpr uint64_t kDrainPing_ns = base::kSecond_ns;
// A closing connection waits this long for its peer's end before it is closed for good.
constexpr uint64_t kLinger_ns = base::kSecond_ns;
constexpr uint64_t kDrainPingPayload = 0x647261696e;

// The sum of what many connections may open is never needed at once; of few it may be, and then no client takes the
// slots of another.
uint32_t exchange_slots(const config::Limits& limits) {
  constexpr uint64_t kFewConnections = 1024;
  constexpr uint64_t kCallsOfMany = 64;
  const uint64_t few = std::min<uint64_t>(limits.connections, kFewConnections);
  const uint64_t wanted =
      few * limits.streams + (limits.connections - few) * std::min<uint64_t>(limits.streams, kCallsOfMany);
  return static_cast<uint32_t>(std::min<uint64_t>(wanted, 2'000'000));
}
// Every exchange has two.
uint32_t stream_slots(const config::Limits& limits) {
  return 2 * exchange_slots(limits);
}

}  // namespace

Proxy::Proxy(const config::Snapshot& snapshot, const ProxyOptions& options, uint64_t now_ns)
    : snapshot_(snapshot),
      options_(options),
      downstream_limits_(h2_limits(snapshot.limits, h2::Role::kServer)),
      upstream_limits_(h2_limits(snapshot.limits, h2::Role::kClient)),
      prng_(options.seed),
      memory_(prng_.next(), stream_slots(snapshot.limits), kInternedBytesMax),
      timers_(now_ns),
      connections_(snapshot.limits.connections + 65'536),
      exchanges_(exchange_slots(snapshot.limits)),
      replay_{memory_.blocks, snapshot.limits.replay_total_bytes},
      memory_budget_(snapshot.shards.memory_bytes / std::max(options.shards, 1u)),
      message_bytes_max_(snapshot.limits.message_bytes) {
  for (const config::ClusterConfig& cluster : snapshot.clusters) {
    clusters_.push_back(std::make_unique<Cluster>(cluster, static_cast<uint32_t>(clusters_.size()), options.shard));
  }
  for (const config::ListenerConfig& config : snapshot.listeners) {
    const size_t index = listeners_.size();
    Listener& listener =
        listeners_.emplace_back(config, index < options.bound.size() ? options.bound[index] : config.address);
    for (const config::RouteConfig& route : config.routes) {
      listener.routes.push_back(
          {clusters_[route.cluster].get(), &config.forwarded, config.forwarded.has_any(), nullptr});
    }
  }
  has_access_log_ = options.log != nullptr && options.log->has_access_log();
}

Proxy::~Proxy() {
  exchanges_.for_each([this](Exchange& exchange) {
    stop_waiting(exchange);
    timers_.cancel(exchange);
    exchange.headers.release(memory_);
    exchange.trailers.release(memory_);
    exchange.body.release(replay_);
  });
  for (const std::unique_ptr<Cluster>& cluster : clusters_) {
    for (const std::unique_ptr<Endpoint>& endpoint : cluster->endpoints) timers_.cancel(*endpoint);
  }
  connections_.for_each([this](Connection& connection) {
    timers_.cancel(connection);
    if (static_cast<DirtyLink&>(connection).is_linked()) static_cast<DirtyLink&>(connection).unlink();
    connections_.destroy(connection);
  });
}

Connection* Proxy::accept(uint32_t listener, const io::Address& peer, uint64_t now_ns) {
  if (downstream_count_ >= snapshot_.limits.connections) return nullptr;
  Connection* connection = connections_.create(h2::Role::kServer, downstream_limits_, memory_, 0u);
  if (connection == nullptr) return nullptr;
  connection->state = ConnectionState::kUnrecognised;
  connection->handle = connections_.handle(*connection);
  connection->h2.set_slot(connection->handle.index);
  connection->listener = &listeners_[listener];
  connection->peer = peer;
  connection->client_text = peer.host_text();
  connection->opened_ns = connection->received_ns = now_ns;
  ++downstream_count_;
  ++counters_.downstream_connections;
  connection->awaits_proxy_header = connection->listener->config.sources.proxy_protocol != config::ProxyProtocol::kOff;
  connection->is_handshaking = connection->listener->config.tls.has_value();
  begin_watch(*connection, now_ns);
  // Accepted behind the begin of a drain: what it has sent already is served.
  if (is_draining_) timers_.arm(*connection, now_ns + kDrainPing_ns);
  return connection;
}

void Proxy::receive(Connection& connection, std::span<const uint8_t> bytes, uint64_t now_ns) {
  connection.received_ns = now_ns;
  connection.ping_sent_ns = 0;
  memory_.now_ns = now_ns;
  if (connection.state >= ConnectionState::kUnrecognised) [[unlikely]]
    return receive_first_bytes(connection, bytes, now_ns);
  connection.h2.receive(bytes);
  if (connection.is_upstream()) {
    work_off_upstream_events(connection, now_ns);
  } else {
    work_off_downstream_events(connection, now_ns);
  }
  if (connection.h2.has_failed()) [[unlikely]]
    return on_connection_failed(connection, now_ns);
  if (!connection.h2.output().is_empty() || connection.h2.wants_gather()) mark(connection);
  if (connection.h2.is_inside_frame() && !connection.is_upstream()) [[unlikely]]
    watch_frame(connection);
  if (connection.state == ConnectionState::kDraining) [[unlikely]]
    close_if_drained(connection, now_ns);
}

void Proxy::secured(Connection& connection, uint64_t now_ns) {
  connection.is_handshaking = false;
  connection.is_secure = true;
  // Its preface has its own time.
  connection.opened_ns = connection.received_ns = now_ns;
  if (!is_draining_) timers_.arm(connection, now_ns + snapshot_.limits.preface_timeout_ns);
}

void Proxy::forget_tls_sessions(uint32_t cluster) noexcept {
  for (const std::unique_ptr<Endpoint>& endpoint : clusters_[cluster]->endpoints) endpoint->tls_session = {};
}

void Proxy::retire_keys(Connection& connection, uint64_t now_ns) {
  if (connection.state != ConnectionState::kOpen) return;
  if (connection.is_upstream()) return retire(connection, now_ns);
  if (!connection.awaits_drain_ping) begin_drain_step(connection, "its keys are used up", now_ns);
}

void Proxy::secure_failed(Connection& connection, std::string_view why, uint64_t now_ns) {
  if (connection.state == ConnectionState::kClosing) return;
  ++counters_.tls_failures;
  if (connection.state == ConnectionState::kConnecting || connection.state == ConnectionState::kGreeting) {
    return fail_to_open(connection, Text("endpoint {}: TLS: {}", connection.endpoint->name, why), now_ns);
  }
  log(config::LogLevel::kWarn, connection.is_upstream() ? LogKind::kEndpoint : LogKind::kPeer, now_ns, "{} {}: TLS: {}",
      connection.is_upstream() ? "endpoint" : "client",
      connection.is_upstream() ? connection.endpoint->name : connection.client_text, why);
  if (connection.state == ConnectionState::kUnrecognised) return begin_closing(connection, now_ns);
  if (connection.is_upstream()) withdraw_unsent(connection);
  end_connection(connection, why, now_ns);
}

void Proxy::on_connection_failed(Connection& connection, uint64_t now_ns) {
  if (connection.state == ConnectionState::kGreeting) return on_greeting_failed(connection, now_ns);
  log(config::LogLevel::kWarn, connection.is_upstream() ? LogKind::kEndpoint : LogKind::kPeer, now_ns,
      "{} {}: closed with {}: {}", connection.is_upstream() ? "endpoint" : "client",
      connection.is_upstream() ? connection.endpoint->name : connection.client_text,
      h2::name_of(connection.h2.failure_code()), connection.h2.failure_reason());
  end_connection(connection, connection.h2.failure_reason(), now_ns);
}

void Proxy::on_connection_event(Connection& connection, const h2::Event& event, uint64_t now_ns) {
  switch (event.kind) {
    case h2::EventKind::kSettings:
      if (connection.state == ConnectionState::kGreeting) {
        if (connection.h2.can_open_stream()) greeted(connection, now_ns);
      } else if (connection.is_upstream()) {
        serve_waiting(*connection.endpoint, now_ns);
      } else {
        watch_open(connection, now_ns);
      }
      break;
    case h2::EventKind::kWindowOpened:
      if (connection.window_awaited_ns != 0) on_window_opened(connection, now_ns);
      break;
    case h2::EventKind::kPingAck:
      if (connection.awaits_drain_ping) finish_drain_step(connection, now_ns);
      break;
    case h2::EventKind::kGoaway: on_goaway(connection, event, now_ns); break;
    case h2::EventKind::kFault: on_fault(connection, event.fault, now_ns); break;
    case h2::EventKind::kGlitches: ask_to_go(connection, h2::LimitKind::kGlitches, "too many glitches", now_ns); break;
    case h2::EventKind::kIdsEnding:
      ask_to_go(connection, h2::LimitKind::kStreamIds, "its stream ids end", now_ns);
      break;
    default: break;
  }
}

// Of streams of this connection, which goes on. Others like it are counted and not told.
void Proxy::on_fault(const Connection& connection, h2::Fault fault, uint64_t now_ns) {
  const bool is_upstream = connection.is_upstream();
  log(config::LogLevel::kWarn, is_upstream ? LogKind::kEndpoint : LogKind::kPeer, now_ns, "{} {}: {}{}: {}",
      is_upstream ? "endpoint" : "client", is_upstream ? connection.endpoint->name : connection.client_text,
      is_upstream ? "response" : "request", h2::is_of_limit(fault) ? " beyond a limit" : " malformed",
      h2::text_of(fault));
}

// A client that says GOAWAY only goes on answering nothing of ours; an endpoint that says it takes no new calls.
void Proxy::on_goaway(Connection& connection, const h2::Event& event, uint64_t now_ns) {
  if (connection.is_upstream()) {
    const std::string_view debug(reinterpret_cast<const char*>(event.data_octets),
                                 std::min<size_t>(event.data_size, 100));
    log(event.code == h2::ErrorCode::kNoError ? config::LogLevel::kInfo : config::LogLevel::kWarn, LogKind::kEndpoint,
        now_ns, "endpoint {}: GOAWAY {} (last stream {}) {}", connection.endpoint->name, h2::name_of(event.code),
        event.last_stream_id, debug);
    if (connection.state == ConnectionState::kGreeting) {
      return fail_to_open(
          connection,
          Text("endpoint {}: GOAWAY {} before any call", connection.endpoint->name, h2::name_of(event.code)), now_ns);
    }
    drop_from_endpoint(connection, now_ns);
    if (event.code != h2::ErrorCode::kNoError) learn_reset_burst(connection, now_ns);
    if (connection.state == ConnectionState::kOpen) begin_draining(connection);
    // What the endpoint has not taken is provably unprocessed (RFC 9113 section 6.8).
    ending_.clear();
    connection.h2.streams().for_each([&](h2::Stream& stream) {
      if (stream.id > event.last_stream_id) ending_.push_back(&exchange_of(stream));
    });
    for (Exchange* const ending : ending_) {
      Exchange& exchange = *ending;
      // The end of one may have ended another, or sent it elsewhere.
      if (!exchange.is_on(connection)) continue;
      cancel_upstream(exchange, h2::ErrorCode::kCancel, now_ns);
      if (can_retry(exchange)) {
        retry(exchange, now_ns);
      } else {
        ++counters_.retries_denied;
        end_with(exchange, grpc::Status::kUnavailable, LocalReason::kUpstreamLost,
                 Text("endpoint {} is going away and did not take the call", exchange.endpoint->name), now_ns);
      }
    }
    make_up_for(*connection.endpoint, now_ns);
  } else if (connection.state == ConnectionState::kOpen) {
    connection.state = ConnectionState::kDraining;
  }
  close_if_drained(connection, now_ns);
}

void Proxy::end_exchanges_of(Connection& connection, std::string_view cause, uint64_t now_ns) {
  ending_.clear();
  connection.h2.streams().for_each([this](h2::Stream& stream) { ending_.push_back(&exchange_of(stream)); });
  // What ends frees streams for calls that wait: not for those of a client that is gone.
  if (!connection.is_upstream()) {
    for (Exchange* const ending : ending_) stop_waiting(*ending);
  }
  for (Exchange* const ending : ending_) {
    Exchange& exchange = *ending;
    // The end of one may have ended another, or sent it elsewhere.
    if (connection.is_upstream()) {
      if (exchange.is_on(connection)) on_upstream_lost(exchange, cause, now_ns);
    } else if (!exchange.is_finished) {
      on_client_gone(exchange, h2::ErrorCode::kCancel, now_ns);
    }
  }
}

void Proxy::lost(Connection& connection, io::Error error, uint64_t now_ns) {
  if (connection.state == ConnectionState::kConnecting) return connect_failed(connection, error, now_ns);
  if (connection.state == ConnectionState::kClosing) return;
  const std::string_view cause = error ? io::describe(error) : std::string_view("connection closed");
  if (connection.state == ConnectionState::kGreeting) {
    const std::string_view advice =
        connection.is_secure ? "it may want a client certificate" : "it may expect TLS, the cluster has no tls:";
    return fail_to_open(connection, Text("endpoint {} said nothing: {} ({})", connection.endpoint->name, cause, advice),
                        now_ns);
  }
  if (connection.is_upstream()) return lose_upstream(connection, cause, now_ns);
  end_connection(connection, cause, now_ns);
}

void Proxy::lose_upstream(Connection& connection, std::string_view cause, uint64_t now_ns) {
  if (connection.h2.stream_count() != 0) {
    log(config::LogLevel::kWarn, LogKind::kEndpoint, now_ns, "endpoint {}: {} with {} calls in flight",
        connection.endpoint->name, cause, connection.h2.stream_count());
  }
  withdraw_unsent(connection);
  end_connection(connection, cause, now_ns);
}

// A call whose HEADERS still lie in the output has reached nobody. Trailers look the same there; a call that has some
// is taken for sent.
void Proxy::withdraw_unsent(Connection& connection) {
  std::vector<uint32_t> ids;
  std::span<const uint8_t> octets = connection.h2.output().bytes();
  if (octets.size() >= h2::kPreface.size() && std::equal(h2::kPreface.begin(), h2::kPreface.end(), octets.begin())) {
    octets = octets.subspan(h2::kPreface.size());
  }
  while (!octets.empty()) {
    const h2::FrameHeader frame = h2::parse_frame_header(octets.data());
    if (frame.type == h2::FrameType::kHeaders) ids.push_back(frame.stream_id);
    octets = octets.subspan(h2::kFrameHeaderSize + frame.length);
  }
  connection.h2.streams().for_each([&](h2::Stream& stream) {
    Exchange& exchange = exchange_of(stream);
    exchange.is_unsent = exchange.trailers.is_empty() && std::ranges::find(ids, stream.id) != ids.end();
  });
  // It must not leave after all.
  connection.h2.output().release(memory_.blocks);
}

// Nothing more can come of it: its calls end, and those that wait for its endpoint get another.
void Proxy::end_connection(Connection& connection, std::string_view cause, uint64_t now_ns) {
  begin_closing(connection, now_ns);
  end_exchanges_of(connection, cause, now_ns);
  if (connection.is_upstream()) make_up_for(*connection.endpoint, now_ns);
}

void Proxy::begin_closing(Connection& connection, uint64_t now_ns) {
  if (connection.state == ConnectionState::kClosing) return;
  if (connection.is_upstream()) {
    if (connection.state == ConnectionState::kDraining) --connection.endpoint->draining_count;
    drop_from_endpoint(connection, now_ns);
  } else {
    reset_accounts_.leave(connection.peer, connection.h2.early_resets(), now_ns);
  }
  connection.state = ConnectionState::kClosing;
  timers_.arm(connection, now_ns + kLinger_ns);
  mark(connection);
}

void Proxy::forget(Connection& connection) {
  ASSERT(connection.state == ConnectionState::kClosing && connection.h2.stream_count() == 0);
  timers_.cancel(connection);
  if (static_cast<DirtyLink&>(connection).is_linked()) static_cast<DirtyLink&>(connection).unlink();
  if (!connection.is_upstream()) --downstream_count_;
  connections_.destroy(connection);
}

void Proxy::advance(uint64_t now_ns) {
  ++turn_;
  timers_.advance(now_ns, [&](base::Timer& timer) {
    auto& owned = static_cast<OwnedTimer&>(timer);
    switch (owned.owner) {
      case TimerOwner::kExchange: return on_deadline(static_cast<Exchange&>(owned), now_ns);
      case TimerOwner::kConnection: return on_connection_timer(static_cast<Connection&>(owned), now_ns);
      case TimerOwner::kEndpoint: return on_endpoint_timer(static_cast<Endpoint&>(owned), now_ns);
    }
  });
}

void Proxy::on_connection_timer(Connection& connection, uint64_t now_ns) {
  switch (connection.state) {
    case ConnectionState::kConnecting:
    case ConnectionState::kGreeting: on_connect_timeout(connection, now_ns); break;
    case ConnectionState::kUnrecognised: end_silent(connection, now_ns); break;
    case ConnectionState::kOpen:
    case ConnectionState::kDraining:
      if (connection.awaits_drain_ping) {
        finish_drain_step(connection, now_ns);
      } else if (connection.is_upstream()) {
        watch_upstream(connection, now_ns);
      } else {
        watch_downstream(connection, now_ns);
      }
      break;
    case ConnectionState::kClosing:
      connection.is_linger_over = true;
      mark(connection);
      break;
  }
}

void Proxy::prepare(Connection& connection, uint32_t bytes_max, uint64_t now_ns) {
  if (connection.state == ConnectionState::kConnecting) return;
  if (!connection.is_socket_writable) [[unlikely]]
    connection.h2.refuse_streams(connection.h2.output().size() >= Connection::kBlockedOutputMax);
  if (connection.h2.pending_bytes() > snapshot_.limits.connection_memory && !connection.is_upstream()) [[unlikely]]
    relieve_connection(connection, now_ns);
  if (connection.h2.wants_gather() && connection.is_socket_writable) {
    // Header lists take nothing from DATA: where they fill the flush, one quantum goes all the same.
    const uint32_t size = connection.h2.output().size();
    connection.h2.gather(size <= bytes_max ? bytes_max : size + 1);
    while (h2::Stream* stream = connection.h2.pop_drained()) on_drained(exchange_of(*stream), *stream, now_ns);
  }
  // Its output has left, or its peer may have begun to read again.
  if (connection.is_upstream() && connection.endpoint->waiting_count != 0 && connection.takes_calls()) [[unlikely]]
    serve_waiting(*connection.endpoint, now_ns);
  if (connection.state == ConnectionState::kDraining) [[unlikely]]
    close_if_drained(connection, now_ns);
}

void Proxy::finish_turn(uint64_t now_ns) {
  if (memory_.blocks.bytes_in_use() > memory_budget_) [[unlikely]]
    relieve_memory(now_ns);
  // None has gone meanwhile: slots are given back below alone.
  for (Exchange* const exchange : forwarded_) exchange->hop_ns += now_ns - exchange->arrived_ns;
  forwarded_.clear();
  for (Exchange* const exchange : finished_) finish_exchange(*exchange, now_ns);
  finished_.clear();
}

inline void Proxy::finish_exchange(Exchange& exchange, uint64_t now_ns) {
  if (exchange.has_response_ended) exchange.hop_ns += now_ns - exchange.arrived_ns;
  if (exchange.attempts != 0) {
    std::unique_ptr<stats::Histogram>& hop_time = exchange.route->hop_time;
    if (!hop_time) [[unlikely]]
      hop_time = std::make_unique<stats::Histogram>();
    hop_time->record(exchange.hop_ns);
  }
  if (has_access_log_) write_access_log(exchange, now_ns);
  release_list(exchange.headers, exchange);
  release_list(exchange.trailers, exchange);
  exchange.body.release(replay_);
  exchanges_.destroy(exchange);
}

void Proxy::add_hop_times(stats::Histogram& sum) const {
  for (const Listener& listener : listeners_) {
    for (const Route& route : listener.routes) {
      if (route.hop_time) sum.merge(*route.hop_time);
    }
  }
}

void Proxy::begin_drain(uint64_t now_ns) {
  if (is_draining_) return;
  is_draining_ = true;
  is_ready_ = false;
  connections_.for_each([&](Connection& connection) {
    if (connection.is_upstream() || connection.state == ConnectionState::kClosing) return;
    if (connection.state == ConnectionState::kUnrecognised) {
      // It may have sent its first call; a client that is silent has none.
      timers_.arm(connection, now_ns + kDrainPing_ns);
    } else {
      begin_drain_step(connection, "draining", now_ns);
    }
  });
}

void Proxy::begin_drain_step(Connection& connection, std::string_view why, uint64_t now_ns) {
  connection.h2.send_goaway(h2::kStreamIdMax, h2::ErrorCode::kNoError, why);
  connection.h2.send_ping(kDrainPingPayload);
  connection.awaits_drain_ping = true;
  timers_.arm(connection, now_ns + kDrainPing_ns);
  mark(connection);
}

// The client has seen the first GOAWAY, or had a second to: from here on new streams are refused by id.
void Proxy::finish_drain_step(Connection& connection, uint64_t now_ns) {
  connection.awaits_drain_ping = false;
  timers_.cancel(connection);
  connection.h2.send_goaway(connection.h2.last_peer_stream_id(), h2::ErrorCode::kNoError, "draining");
  if (connection.state == ConnectionState::kOpen) connection.state = ConnectionState::kDraining;
  mark(connection);
  watch_further(connection, now_ns);
  close_if_drained(connection, now_ns);
}

void Proxy::close_if_drained(Connection& connection, uint64_t now_ns) {
  if (connection.state != ConnectionState::kDraining || connection.h2.stream_count() != 0) return;
  // Also who has said it himself is told what was processed (RFC 9113 section 6.8).
  if (!connection.is_upstream() && !connection.h2.has_sent_goaway()) {
    connection.h2.send_goaway(connection.h2.last_peer_stream_id(), h2::ErrorCode::kNoError, "");
  }
  begin_closing(connection, now_ns);
}

void Proxy::end_drain(uint64_t now_ns) {
  std::vector<base::Handle<Exchange>> open;
  exchanges_.for_each([&](Exchange& exchange) { open.push_back(exchanges_.handle(exchange)); });
  for (const base::Handle<Exchange> handle : open) {
    Exchange& exchange = *exchanges_.find(handle);
    if (exchange.is_finished) continue;
    end_with(exchange, grpc::Status::kUnavailable, LocalReason::kDraining, "the proxy is shutting down", now_ns);
    // The rest of an answer waits for a window that a closing connection does not learn of any more.
    if (!exchange.is_finished) reset_downstream(exchange, h2::ErrorCode::kCancel);
  }
  connections_.for_each([&](Connection& connection) {
    if (!connection.is_upstream() && connection.state == ConnectionState::kOpen) {
      connection.awaits_drain_ping = false;
      connection.h2.send_goaway(connection.h2.last_peer_stream_id(), h2::ErrorCode::kNoError, "shutting down");
    }
    begin_closing(connection, now_ns);
  });
}

}  // namespace ringway::proxy
