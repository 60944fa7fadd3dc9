// From the client's request to a stream of an endpoint.
#include <algorithm>

#include "base/assert.h"
#include "grpc/timeout.h"
#include "proxy/proxy.h"
#include "proxy/text.h"

namespace ringway::proxy {

namespace {

bool is_grpc(const h2::Field& content_type) noexcept {
  if (content_type.record != nullptr) [[likely]]
    return (content_type.flags & h2::kFieldIsGrpc) != 0;
  return h2::is_grpc_content_type(content_type.value());
}

}  // namespace

void Proxy::on_request(Connection& downstream, h2::Stream& stream, const h2::Event& event, uint64_t now_ns) {
  Exchange* exchange = exchanges_.create();
  if (exchange == nullptr) {
    // Nothing was sent anywhere, so that the client may try again at once (RFC 9113 section 8.7).
    ++counters_.local_replies[static_cast<uint32_t>(LocalReason::kShardFull)];
    downstream.h2.reset_stream(stream, h2::ErrorCode::kRefusedStream);
    downstream.h2.close_stream(stream);
    return;
  }
  ++counters_.requests;
  const base::Handle<Exchange> handle = exchanges_.handle(*exchange);
  exchange->index = handle.index;
  exchange->downstream = &downstream;
  exchange->client = downstream.handle;
  exchange->downstream_stream = &stream;
  exchange->listener = downstream.listener;
  exchange->started_ns = exchange->arrived_ns = now_ns;
  exchange->is_body_complete = event.end_stream;
  stream.owner = handle.index;
  if (event.kind == h2::EventKind::kListTooLarge) [[unlikely]] {
    exchange->is_grpc = true;
    end_with(*exchange, grpc::Status::kResourceExhausted, LocalReason::kHeaderListTooLarge,
             Text("request headers exceed the limit of {} bytes or {} fields", snapshot_.limits.header_list_bytes,
                  snapshot_.limits.header_fields),
             now_ns);
    return;
  }
  if (!read_request(*exchange, event, now_ns)) return;
  start(*exchange, nullptr, now_ns);
}

// Keeps the header list, arms the deadline and finds the route. False: answered already.
bool Proxy::read_request(Exchange& exchange, const h2::Event& event, uint64_t now_ns) {
  const std::span<const h2::Field> fields = memory_.fields_of(event);
  const h2::MessageHead& head = memory_.head_of(event);
  if (event.shared != nullptr) {
    exchange.headers.share(*event.shared);
  } else {
    exchange.headers.assign(fields, event.literal_octets, memory_);
  }
  if (head.content_type != 0) exchange.is_grpc = is_grpc(fields[head.content_type - 1u]);
  if (head.grpc_timeout != 0) {
    const std::string_view value = fields[head.grpc_timeout - 1u].value();
    const auto timeout_ns = grpc::parse_timeout(value);
    if (!timeout_ns) {
      end_with(exchange, grpc::Status::kInternal, LocalReason::kMalformed,
               Text("grpc-timeout '{}' is not a number of up to 8 digits and a unit (H M S m u n)", value), now_ns);
      return false;
    }
    exchange.deadline_ns = base::saturating_add(now_ns, *timeout_ns);
    if (exchange.deadline_ns <= now_ns) {
      on_deadline(exchange, now_ns);
      return false;
    }
    if (exchange.deadline_ns != base::kNever_ns) timers_.arm(exchange, exchange.deadline_ns);
  }
  ListenerState& listener = listeners_[exchange.listener];
  const h2::Field& path = fields[head.path - 1u];
  const uint16_t authority = head.authority != 0 ? head.authority : head.host;
  exchange.route = listener.routes.match(path, authority != 0 ? &fields[authority - 1u] : nullptr, fields);
  if (exchange.route == routing::kNoRoute) {
    end_with(exchange, grpc::Status::kUnimplemented, LocalReason::kNoRoute, Text("no route for {}", path.value()),
             now_ns);
    return false;
  }
  exchange.cluster = clusters_[listener.config->routes[exchange.route].cluster].get();
  return true;
}

// Picks an endpoint; where all of them fail, the call fails at once with the reason.
void Proxy::start(Exchange& exchange, const Endpoint* not_this, uint64_t now_ns) {
  Endpoint* endpoint = exchange.cluster->pick(now_ns, not_this);
  if (endpoint == nullptr) [[unlikely]] {
    const Endpoint& named = *exchange.cluster->endpoints.front();
    end_with(exchange, grpc::Status::kUnavailable, LocalReason::kNoEndpoint,
             Text("no endpoint of cluster {} can be reached: endpoint {}: {}", exchange.cluster->config.name,
                  named.name, named.last_error),
             now_ns);
    return;
  }
  assign(exchange, *endpoint, now_ns);
}

void Proxy::assign(Exchange& exchange, Endpoint& endpoint, uint64_t now_ns) {
  exchange.endpoint = &endpoint;
  // Who came first is served first.
  Connection* upstream = endpoint.waiting_count == 0 ? usable_connection(endpoint) : nullptr;
  if (upstream == nullptr) [[unlikely]]
    return wait(exchange, endpoint, now_ns);
  attempt(exchange, *upstream, now_ns);
}

void Proxy::wait(Exchange& exchange, Endpoint& endpoint, uint64_t now_ns) {
  if (endpoint.waiting_count >= snapshot_.limits.pending_calls) {
    end_with(
        exchange, grpc::Status::kUnavailable, LocalReason::kPendingLimit,
        Text("{} calls wait for endpoint {} already (limits.pending_calls)", endpoint.waiting_count, endpoint.name),
        now_ns);
    return;
  }
  endpoint.waiting.push_back(exchange);
  ++endpoint.waiting_count;
  open_connection(endpoint, now_ns);
}

void Proxy::stop_waiting(Exchange& exchange) noexcept {
  WaitLink& link = exchange;
  if (!link.is_linked()) return;
  link.unlink();
  --exchange.endpoint->waiting_count;
}

// Sends the request on a stream of `upstream`, which has one to give.
void Proxy::attempt(Exchange& exchange, Connection& upstream, uint64_t now_ns) {
  // A connection or stream slot may come in the turn whose timers are still to run.
  if (exchange.deadline_ns <= now_ns) [[unlikely]]
    return on_deadline(exchange, now_ns);
  h2::Stream* stream = upstream.h2.open_stream(exchange.index);
  if (stream == nullptr) {
    end_with(exchange, grpc::Status::kUnavailable, LocalReason::kShardFull, "no stream slot is free", now_ns);
    return;
  }
  ++exchange.attempts;
  exchange.attempt_bytes = 0;
  exchange.upstream = &upstream;
  exchange.upstream_stream = stream;
  const bool has_body = !exchange.body.is_empty();
  const bool ends_with_headers = exchange.is_body_complete && !has_body && exchange.trailers.is_empty();
  write_request_headers(exchange, upstream, *stream, ends_with_headers, now_ns);
  if (has_body || !exchange.trailers.is_empty()) write_request_body(exchange, upstream, *stream);
  arm_keepalive(upstream, now_ns);
  mark(upstream);
  forwarded_.push_back(exchanges_.handle(exchange));
}

void Proxy::write_request_headers(Exchange& exchange, Connection& upstream, h2::Stream& stream, bool end,
                                  uint64_t now_ns) {
  const config::ForwardedOptions& forwarded = listeners_[exchange.listener].config->forwarded;
  upstream.h2.begin_headers(stream);
  if (exchange.deadline_ns == base::kNever_ns && !forwarded.x_forwarded_for && !forwarded.x_forwarded_proto) {
    if (h2::SharedList* shared = exchange.headers.shared()) {
      upstream.h2.add_shared(*shared);
    } else {
      upstream.h2.add_fields(exchange.headers.fields());
    }
    upstream.h2.end_headers(stream, end);
    return;
  }
  for (const h2::Field& field : exchange.headers.fields()) {
    if (field.known == h2::KnownName::kGrpcTimeout && exchange.deadline_ns != base::kNever_ns) {
      // What has passed here is not the backend's to spend.
      char text[grpc::kTimeoutTextMax];
      const size_t size = grpc::format_timeout(exchange.deadline_ns - now_ns, text);
      upstream.h2.add_field(h2::make_field(h2::KnownName::kGrpcTimeout, {text, size}));
      continue;
    }
    if (forwarded.x_forwarded_for && field.known == h2::KnownName::kXForwardedFor) continue;
    if (forwarded.x_forwarded_proto && field.known == h2::KnownName::kXForwardedProto) continue;
    upstream.h2.add_field(field);
  }
  if (forwarded.x_forwarded_for) write_forwarded_for(exchange, upstream);
  if (forwarded.x_forwarded_proto) {
    upstream.h2.add_field(h2::make_field(h2::KnownName::kXForwardedProto, "http"));
  }
  upstream.h2.end_headers(stream, end);
}

// One field: what came in, and the address it came from. What is too long for that goes on as it came, with the address
// in a field of its own, which means the same (RFC 9110 section 5.3): nobody pushes his own address out of the list.
void Proxy::write_forwarded_for(Exchange& exchange, Connection& upstream) {
  const Connection* downstream = exchange.downstream;
  const std::string_view client = downstream != nullptr ? std::string_view(downstream->client_text) : "";
  char value[1024];
  size_t size = 0;
  const auto append = [&](std::string_view text) {
    std::copy_n(text.data(), text.size(), value + size);
    size += text.size();
  };
  for (const h2::Field& field : exchange.headers.fields()) {
    if (field.known != h2::KnownName::kXForwardedFor) continue;
    const std::string_view before = field.value();
    if (size + before.size() + 2 + client.size() > sizeof value) {
      upstream.h2.add_field(field);
      continue;
    }
    append(before);
    append(", ");
  }
  append(client);
  upstream.h2.add_field(h2::make_field(h2::KnownName::kXForwardedFor, {value, size}));
}

// Request octets have left for the endpoint. Credit is returned once for each octet, however often it is sent.
void Proxy::note_request_sent(Exchange& exchange, uint32_t bytes) {
  exchange.attempt_bytes += bytes;
  if (exchange.attempt_bytes <= exchange.credited_bytes) return;
  const auto credit = static_cast<uint32_t>(exchange.attempt_bytes - exchange.credited_bytes);
  exchange.credited_bytes = exchange.attempt_bytes;
  h2::Stream* stream = exchange.downstream_stream;
  if (stream == nullptr) return;
  Connection& downstream = *exchange.downstream;
  downstream.h2.return_credit(*stream, credit);
  if (!downstream.h2.output().is_empty()) mark(downstream);
}

// The kept body, all at once, then the trailers.
void Proxy::write_request_body(Exchange& exchange, Connection& upstream, h2::Stream& stream) {
  const uint32_t size = exchange.body.size();
  if (size != 0) {
    const bool end = exchange.is_body_complete && exchange.trailers.is_empty();
    note_request_sent(exchange, upstream.h2.send_data(stream, exchange.body.bytes(), end));
  }
  if (!exchange.trailers.is_empty()) {
    upstream.h2.begin_trailers(stream);
    upstream.h2.add_trailers(stream, exchange.trailers.fields());
    upstream.h2.end_trailers(stream);
  }
  if (size > snapshot_.limits.replay_bytes) {
    exchange.is_body_dropped = true;
    exchange.body.release(memory_.blocks);
  }
}

void Proxy::on_request_data(Connection& downstream, h2::Stream& stream, Exchange& exchange, const h2::Event& event) {
  const auto size = static_cast<uint32_t>(event.data_size);
  exchange.bytes_received += size;
  counters_.request_bytes += size;
  exchange.is_body_complete |= event.end_stream;
  const bool is_waiting = static_cast<WaitLink&>(exchange).is_linked();
  if (is_waiting) {
    exchange.body.append(memory_.blocks, event.data());
    return;
  }
  h2::Stream* upstream_stream = exchange.upstream_stream;
  if (upstream_stream == nullptr || upstream_stream->is_reset) {
    // The response is complete and the endpoint gone: the rest of the upload has nowhere to go.
    downstream.h2.return_credit(stream, size);
    return;
  }
  if (!exchange.is_committed && !exchange.is_body_dropped) {
    if (exchange.body.size() + size <= snapshot_.limits.replay_bytes) {
      exchange.body.append(memory_.blocks, event.data());
    } else {
      exchange.is_body_dropped = true;
      exchange.body.release(memory_.blocks);
    }
  }
  Connection& upstream = *exchange.upstream;
  const uint32_t sent = upstream.h2.send_data(*upstream_stream, event.data(), event.end_stream);
  mark(upstream);
  note_request_sent(exchange, sent);
}

void Proxy::on_request_trailers(Exchange& exchange, const h2::Event& event) {
  exchange.is_body_complete = true;
  if (event.shared != nullptr) {
    exchange.trailers.share(*event.shared);
  } else {
    exchange.trailers.assign(memory_.fields_of(event), event.literal_octets, memory_);
  }
  h2::Stream* stream = exchange.upstream_stream;
  if (stream == nullptr || stream->is_reset) return;  // waiting: the attempt will send them
  Connection& upstream = *exchange.upstream;
  upstream.h2.begin_trailers(*stream);
  upstream.h2.add_trailers(*stream, exchange.trailers.fields());
  upstream.h2.end_trailers(*stream);
  mark(upstream);
}

// The client has reset its stream or is gone: the endpoint hears of it in this turn.
void Proxy::on_client_gone(Exchange& exchange, h2::ErrorCode code, uint64_t now_ns) {
  if (!exchange.has_response_ended) ++counters_.client_cancels;
  if (exchange.grpc_status < 0) exchange.grpc_status = static_cast<int16_t>(grpc::Status::kCancelled);
  stop_waiting(exchange);
  cancel_upstream(exchange, code == h2::ErrorCode::kNoError ? h2::ErrorCode::kCancel : code, now_ns);
  h2::Stream* stream = exchange.downstream_stream;
  if (stream != nullptr) {
    Connection& downstream = *exchange.downstream;
    stream->is_reset = true;
    downstream.h2.close_stream(*stream);
    exchange.downstream_stream = nullptr;
  }
  finish(exchange);
}

bool Proxy::can_retry(const Exchange& exchange) const noexcept {
  return !exchange.is_committed && !exchange.is_body_dropped && !exchange.headers.is_empty() && exchange.attempts < 2 &&
         !exchange.is_finished;
}

// A further attempt for a call of which it is certain that no endpoint has begun it, on another endpoint if there is
// one (DESIGN 3.13).
void Proxy::retry(Exchange& exchange, uint64_t now_ns) {
  ++counters_.retries;
  start(exchange, exchange.endpoint, now_ns);
}

}  // namespace ringway::proxy
