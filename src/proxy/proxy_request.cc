// From the client's request to a stream of an endpoint.
#include <algorithm>
#include <string>

#include "base/assert.h"
#include "base/uninitialized.h"
#include "grpc/timeout.h"
#include "proxy/h2_limits.h"
#include "proxy/proxy.h"
#include "proxy/text.h"

namespace ringway::proxy {

namespace {

// A call that its client gives up sooner than this was not given time (limits.early_resets).
constexpr uint64_t kEarlyReset_ns = base::kSecond_ns;
// To a header list, by what the listener asks for and by a timeout that is written anew.
constexpr uint32_t kAddedBytesMax = 256;

bool has_client_certificate(const Exchange& exchange) noexcept {
  return exchange.downstream != nullptr && !exchange.downstream->client_certificate.empty();
}

// Of an authority, as certificates name it: without port, brackets and the dot of the root.
std::string_view host_of(std::string_view authority) noexcept {
  if (authority.starts_with('[')) return authority.substr(1, authority.find(']') - 1);
  authority = authority.substr(0, authority.find(':'));
  if (authority.ends_with('.')) authority.remove_suffix(1);
  return authority;
}

}  // namespace

[[gnu::always_inline]] inline void Proxy::on_request(Connection& downstream, h2::Stream& stream, const h2::Event& event,
                                                     uint64_t now_ns) {
  Exchange* const exchange = exchanges_.create();
  if (exchange == nullptr) [[unlikely]] {
    // Nothing was sent anywhere, so that the client may try again at once (RFC 9113 section 8.7).
    ++counters_.local_replies[static_cast<uint32_t>(LocalReason::kShardFull)];
    downstream.h2.reset_stream(stream, h2::ErrorCode::kRefusedStream);
    downstream.h2.close_stream(stream);
    return;
  }
  ++counters_.requests;
  exchange->downstream = &downstream;
  exchange->client = downstream.handle;
  exchange->downstream_stream = &stream;
  exchange->started_ns = exchange->arrived_ns = now_ns;
  exchange->is_body_complete = event.end_stream;
  stream.owner = exchange;
  if (event.kind != h2::EventKind::kRequest) [[unlikely]]
    return refuse_request(*exchange, event, now_ns);
  if (!read_request(*exchange, event, now_ns)) [[unlikely]]
    return;
  // Reset by what came in the same read: the event that ends it is on its way, and no endpoint hears of it. Of the
  // calls that a client makes to reset them (CVE-2023-44487, CVE-2025-8671) that is nearly all.
  if (stream.is_reset) [[unlikely]]
    return;
  if (pressure_ != Pressure::kNone) [[unlikely]]
    return refuse_for_pressure(*exchange, now_ns);
  pick_and_attempt(*exchange, nullptr, now_ns);
}

// Keeps the header list, arms the deadline and finds the route. False: answered already.
[[gnu::always_inline]] inline bool Proxy::read_request(Exchange& exchange, const h2::Event& event, uint64_t now_ns) {
  if (const h2::SharedList* const list = event.shared) [[likely]] {
    exchange.headers.share(*event.shared);
    const auto field_at = [list](uint16_t position) -> const h2::Field& { return list->fields[position - 1u]; };
    return route_request(exchange, event, field_at, {list->fields, list->count}, now_ns);
  }
  return read_own_request(exchange, event, now_ns);
}

// The same for a list that is not shared, or in part.
bool Proxy::read_own_request(Exchange& exchange, const h2::Event& event, uint64_t now_ns) {
  if (!keep_list(exchange.headers, exchange, event, now_ns)) {
    refuse_for_lists(exchange);
    return false;
  }
  const uint32_t leading_count = event.leading != nullptr ? event.leading->count : 0;
  const h2::Field* const own = memory_.own_fields_of(event).data();
  const auto field_at = [&](uint16_t position) -> const h2::Field& {
    return position > leading_count ? own[position - leading_count - 1] : event.leading->fields[position - 1u];
  };
  exchange.has_client_cert = memory_.head_of(event).client_cert != 0;
  const bool reads_fields = exchange.downstream->listener->table.reads_fields();
  const auto all_fields = reads_fields ? memory_.fields_of(event) : std::span<const h2::Field>();
  return route_request(exchange, event, field_at, all_fields, now_ns);
}

// `field_at` finds a field by its one-based position.
template <typename FieldAt>
[[gnu::always_inline]] inline bool Proxy::route_request(Exchange& exchange, const h2::Event& event,
                                                        const FieldAt& field_at, std::span<const h2::Field> all_fields,
                                                        uint64_t now_ns) {
  const h2::MessageHead& head = memory_.head_of(event);
  exchange.is_head = head.is_head;
  if (head.content_type != 0) exchange.is_grpc = h2::is_grpc_content_type(field_at(head.content_type));
  if (head.grpc_timeout != 0) {
    exchange.timeout_position = head.grpc_timeout;
    if (!set_deadline(exchange, field_at(head.grpc_timeout).value(), now_ns)) return false;
  }
  Listener& listener = *exchange.downstream->listener;
  const h2::Field& path = field_at(head.path);
  const uint16_t authority = head.authority != 0 ? head.authority : head.host;
  const auto authority_field = [&] { return authority != 0 ? &field_at(authority) : nullptr; };
  const uint32_t route = listener.takes_all ? 0 : find_route(*exchange.downstream, path, authority_field(), all_fields);
  if (route == routing::kNoRoute) [[unlikely]] {
    refuse_unrouted(exchange, path, authority_field(), now_ns);
    return false;
  }
  exchange.route = listener.routes.data() + route;
  return true;
}

// False: answered already.
bool Proxy::set_deadline(Exchange& exchange, std::string_view timeout, uint64_t now_ns) {
  const auto timeout_ns = grpc::parse_timeout(timeout);
  if (!timeout_ns) {
    end_with(exchange, grpc::Status::kInternal, LocalReason::kMalformed,
             Text("grpc-timeout '{}' is not a number of up to 8 digits and a unit (H M S m u n)", timeout), now_ns);
    return false;
  }
  exchange.deadline_ns = base::saturating_add(now_ns, *timeout_ns);
  if (exchange.deadline_ns <= now_ns) {
    on_deadline(exchange, now_ns);
    return false;
  }
  if (exchange.deadline_ns != base::kNever_ns) timers_.arm(exchange, exchange.deadline_ns);
  return true;
}

void Proxy::refuse_request(Exchange& exchange, const h2::Event& event, uint64_t now_ns) {
  if (event.kind == h2::EventKind::kConnect) {
    if (!keep_list(exchange.headers, exchange, event, now_ns)) return refuse_for_lists(exchange);
    // A method that is not implemented (RFC 9110 section 9.1). Never 200, which would mean that there is a tunnel.
    exchange.http_status = 501;
    return end_with(exchange, grpc::Status::kUnimplemented, LocalReason::kConnect, "CONNECT is not supported", now_ns);
  }
  const h2::MessageHead& head = memory_.head_of(event);
  // A tunnel must not get the 200 that a gRPC call does.
  exchange.is_grpc = head.is_grpc && std::ranges::none_of(memory_.fields_of(event), [](const h2::Field& field) {
                       return field.known == h2::KnownName::kMethod && field.value() == "CONNECT";
                     });
  exchange.is_head = head.is_head;
  if (!exchange.is_grpc) exchange.http_status = 431;  // RFC 6585 section 5
  const config::Limits& limits = snapshot_.limits;
  const Text why =
      event.has_large_field ? large_field_text("request", memory_.own_fields_of(event).back(), limits)
      : head.fault == h2::Fault::kHeaderFields
          ? Text("request headers exceed the limit of {} fields (limits.header_fields)", limits.header_fields)
          : Text("request headers exceed the limit of {} bytes (limits.header_list)", limits.header_list_bytes);
  end_with(exchange, grpc::Status::kResourceExhausted, LocalReason::kHeaderListTooLarge, why, now_ns);
}

uint32_t Proxy::find_route(Connection& downstream, const h2::Field& path, const h2::Field* authority,
                           std::span<const h2::Field> all_fields) noexcept {
  Listener& listener = *downstream.listener;
  const bool is_for_others =
      listener.has_several_certificates && authority != nullptr && is_misdirected(downstream, *authority);
  return is_for_others ? routing::kNoRoute : listener.table.match(path, authority, all_fields);
}

// Which certificate a connection got decides whom its client trusts: what is asked for by another name is for another
// connection. Clients repeat their authority, so that one comparison tells.
bool Proxy::is_misdirected(Connection& downstream, const h2::Field& authority) noexcept {
  const h2::FieldRecord* const record = authority.record;
  if (record != nullptr && record->index == downstream.covered_index &&
      record->generation == downstream.covered_generation) {
    return false;
  }
  if (!downstream.credentials) return false;
  const std::string_view host = host_of(authority.value());
  if (!downstream.credentials->covers(downstream.certificate, host)) return true;
  if (record != nullptr) {
    downstream.covered_index = record->index;
    downstream.covered_generation = record->generation;
  }
  return false;
}

void Proxy::refuse_unrouted(Exchange& exchange, const h2::Field& path, const h2::Field* authority, uint64_t now_ns) {
  Connection& downstream = *exchange.downstream;
  if (!downstream.listener->has_several_certificates || authority == nullptr ||
      !is_misdirected(downstream, *authority)) {
    return end_with(exchange, grpc::Status::kUnimplemented, LocalReason::kNoRoute,
                    Text("no route for {}", path.value()), now_ns);
  }
  // Misdirected Request (RFC 9110 section 15.5.20), of gRPC calls too: what knows HTTP tries again on a connection of
  // its own, and where there is a grpc-status gRPC goes by that.
  exchange.http_status = 421;
  std::string names;
  for (const std::string& name : downstream.credentials->certificates()[downstream.certificate].names) {
    if (names.size() > Text::kSizeMax) break;
    names += (names.empty() ? "" : ", ") + name;
  }
  end_with(exchange, grpc::Status::kUnavailable, LocalReason::kMisdirected,
           Text("'{}' is not what this connection is for: its certificate is for {}", authority->value(), names),
           now_ns);
}

// Picks an endpoint; where all of them fail, the call fails at once with the reason.
[[gnu::always_inline]] inline void Proxy::pick_and_attempt(Exchange& exchange, const Endpoint* not_this,
                                                           uint64_t now_ns) {
  Endpoint* const endpoint = exchange.route->cluster->pick(now_ns, not_this);
  if (endpoint == nullptr) [[unlikely]]
    return fail_unreachable(exchange, now_ns);
  exchange.endpoint = endpoint;
  // Who came first is served first.
  Connection* const upstream = endpoint->waiting_count == 0 ? usable_connection(*endpoint) : nullptr;
  if (upstream == nullptr) [[unlikely]]
    return wait(exchange, *endpoint, now_ns);
  send_request(exchange, *upstream, now_ns);
}

void Proxy::start(Exchange& exchange, const Endpoint* not_this, uint64_t now_ns) {
  pick_and_attempt(exchange, not_this, now_ns);
}

void Proxy::fail_unreachable(Exchange& exchange, uint64_t now_ns) {
  const Cluster& cluster = *exchange.route->cluster;
  const auto named = std::ranges::find_if(cluster.endpoints, [](const auto& each) { return !each->failure.empty(); });
  end_with(exchange, grpc::Status::kUnavailable, LocalReason::kNoEndpoint,
           Text("no endpoint of cluster {} can be reached: {}", cluster.config.name,
                named != cluster.endpoints.end() ? std::string_view((*named)->failure) : "none answers"),
           now_ns);
}

void Proxy::wait(Exchange& exchange, Endpoint& endpoint, uint64_t now_ns) {
  // It has streams that are in use, and refuses further connections, which are tried all the same.
  if (endpoint.failures != 0 && endpoint.has_open_connection()) {
    open_another(endpoint, now_ns);
    if (Endpoint* const other = endpoint.cluster.pick_beside(endpoint)) return give_to(exchange, *other, now_ns);
  }
  if (endpoint.waiting_count >= snapshot_.limits.pending_calls) {
    count_limit(h2::LimitKind::kPendingCalls);
    end_with(
        exchange, grpc::Status::kUnavailable, LocalReason::kPendingLimit,
        Text("{} calls wait for endpoint {} already (limits.pending_calls)", endpoint.waiting_count, endpoint.name),
        now_ns);
    return;
  }
  endpoint.enlist(exchange);
  open_another(endpoint, now_ns);
}

// A call that has no stream yet, which another endpoint had none for.
void Proxy::give_to(Exchange& exchange, Endpoint& endpoint, uint64_t now_ns) {
  exchange.endpoint = &endpoint;
  Connection* const upstream = endpoint.waiting_count == 0 ? usable_connection(endpoint) : nullptr;
  if (upstream == nullptr) return wait(exchange, endpoint, now_ns);
  attempt(exchange, *upstream, now_ns);
}

void Proxy::stop_waiting(Exchange& exchange) noexcept {
  WaitLink& link = exchange;
  if (!link.is_linked()) return;
  link.unlink();
  --exchange.endpoint->waiting_count;
}

// Sends the request on a stream of `upstream`, which has one to give.
[[gnu::always_inline]] inline void Proxy::send_request(Exchange& exchange, Connection& upstream, uint64_t now_ns) {
  // A connection or stream slot may come in the turn whose timers are still to run.
  if (exchange.deadline_ns <= now_ns) [[unlikely]]
    return on_deadline(exchange, now_ns);
  if (upstream.h2.peer_list_bytes_max() != UINT32_MAX) [[unlikely]] {
    if (!fits_endpoint(exchange, upstream, now_ns)) return;
  }
  h2::Stream* const stream = upstream.h2.open_stream(&exchange);
  if (stream == nullptr) [[unlikely]] {
    end_with(exchange, grpc::Status::kUnavailable, LocalReason::kShardFull, "no stream slot is free", now_ns);
    return;
  }
  ++exchange.attempts;
  exchange.attempt_bytes = 0;
  exchange.upstream = &upstream;
  exchange.upstream_stream = stream;
  if (exchange.is_head) [[unlikely]]
    stream->set_head_request();
  const bool has_more = !exchange.body.is_empty() || !exchange.trailers.is_empty();
  write_request_headers(exchange, upstream, *stream, exchange.is_body_complete && !has_more, now_ns);
  if (has_more) write_request_body(exchange, upstream, *stream);
  if (!static_cast<OwnedTimer&>(upstream).is_armed()) [[unlikely]]
    arm_keepalive(upstream, now_ns);
  if (upstream.h2.has_used_all_ids()) [[unlikely]]
    retire(upstream, now_ns);
  mark(upstream);
  forwarded_.push_back(&exchange);
}

// Of an endpoint that says what it takes: a larger list is not sent (RFC 9113 section 6.5.2), since what becomes of it
// there, and of the connection that others share, is not known. False: the call has been answered.
[[gnu::noinline]] bool Proxy::fits_endpoint(Exchange& exchange, const Connection& upstream, uint64_t now_ns) {
  if (exchange.headers.list_bytes() + kAddedBytesMax <= upstream.h2.peer_list_bytes_max()) return true;
  const config::ForwardedOptions& forwarded = *exchange.route->forwarded;
  const size_t client_size = exchange.downstream != nullptr ? exchange.downstream->client_text.size() : 0;
  uint64_t bytes = exchange.headers.list_bytes();
  if (exchange.timeout_position != 0) bytes += grpc::kTimeoutTextMax;
  if (forwarded.x_forwarded_for) {
    bytes += h2::text_of(h2::KnownName::kXForwardedFor).size() + client_size + 2 + h2::kFieldOverhead;
  }
  if (forwarded.x_forwarded_proto) {
    bytes += h2::text_of(h2::KnownName::kXForwardedProto).size() + 5 + h2::kFieldOverhead;
  }
  if (bytes <= upstream.h2.peer_list_bytes_max()) return true;
  if (!exchange.is_grpc) exchange.http_status = 431;
  end_with(exchange, grpc::Status::kResourceExhausted, LocalReason::kHeaderListTooLarge,
           Text("request headers of {} bytes exceed the {} bytes that endpoint {} takes (its "
                "SETTINGS_MAX_HEADER_LIST_SIZE)",
                bytes, upstream.h2.peer_list_bytes_max(), exchange.endpoint->name),
           now_ns);
  return false;
}

void Proxy::attempt(Exchange& exchange, Connection& upstream, uint64_t now_ns) {
  send_request(exchange, upstream, now_ns);
}

[[gnu::always_inline]] inline void Proxy::write_request_headers(Exchange& exchange, Connection& upstream,
                                                                h2::Stream& stream, bool end, uint64_t now_ns) {
  // What has passed here is not the backend's to spend. In the turn of its arrival that is nothing: the timeout goes on
  // as it came.
  const bool is_timeout_shorter = exchange.deadline_ns != base::kNever_ns && now_ns != exchange.started_ns;
  const bool is_as_it_came = exchange.headers.is_wholly_shared() && !exchange.route->writes_forwarded;
  if (is_as_it_came && !is_timeout_shorter) [[likely]]
    return upstream.h2.send_headers(stream, *exchange.headers.shared(), end);
  write_own_headers(exchange, upstream, stream, end, is_timeout_shorter ? exchange.deadline_ns - now_ns : 0);
}

// A list that is not shared, or not sent as it is. `timeout_ns` is what is left, zero if it stays as it came.
[[gnu::noinline]] void Proxy::write_own_headers(Exchange& exchange, Connection& upstream, h2::Stream& stream, bool end,
                                                uint64_t timeout_ns) {
  upstream.h2.begin_headers(stream);
  // A timeout that is the exchange's own is written where it is.
  const std::span<const h2::Field> own = exchange.headers.own_fields();
  const auto own_index =
      static_cast<uint32_t>(exchange.timeout_position - exchange.headers.shared_fields().size() - 1u);
  if (timeout_ns != 0 && own_index < own.size() && own[own_index].record == nullptr) {
    exchange.headers.set_timeout(own_index, timeout_ns);
    timeout_ns = 0;
  }
  if (timeout_ns != 0 || exchange.route->writes_forwarded || exchange.has_client_cert) {
    write_changed_fields(exchange, upstream, timeout_ns);
  } else {
    if (exchange.headers.shared() != nullptr) upstream.h2.add_fields(*exchange.headers.shared());
    upstream.h2.add_fields(own);
  }
  upstream.h2.end_headers(stream, end);
}

// A list of which something is left out, put in or, where others have it too, replaced.
void Proxy::write_changed_fields(Exchange& exchange, Connection& upstream, uint64_t timeout_ns) {
  size_t position = timeout_ns != 0 ? exchange.timeout_position : 0;
  for (std::span<const h2::Field> part : {exchange.headers.shared_fields(), exchange.headers.own_fields()}) {
    const size_t count = part.size();
    if (position != 0 && position <= count) {
      char text[grpc::kTimeoutTextMax];
      const size_t size = grpc::format_timeout(timeout_ns, text);
      write_request_fields(exchange, part.first(position - 1), upstream);
      upstream.h2.add_field(h2::make_field(h2::KnownName::kGrpcTimeout, {text, size}));
      part = part.subspan(position);
      position = 0;
    }
    write_request_fields(exchange, part, upstream);
    if (position != 0) position -= count;
  }
  if (exchange.route->writes_forwarded) write_forwarded(exchange, upstream);
}

void Proxy::write_request_fields(const Exchange& exchange, std::span<const h2::Field> fields, Connection& upstream) {
  if (!exchange.route->writes_forwarded && !exchange.has_client_cert) [[likely]]
    return upstream.h2.add_fields(fields);
  const config::ForwardedOptions& forwarded = *exchange.route->forwarded;
  // Who has shown no certificate may say nothing of one either.
  const bool passes_client_cert =
      forwarded.client_cert == config::ClientCertHeader::kForwardOnly && has_client_certificate(exchange);
  for (const h2::Field& field : fields) {
    if (forwarded.x_forwarded_for && field.known == h2::KnownName::kXForwardedFor) continue;
    if (forwarded.x_forwarded_proto && field.known == h2::KnownName::kXForwardedProto) continue;
    if (!passes_client_cert && field.known == h2::KnownName::kXForwardedClientCert) continue;
    upstream.h2.add_field(field);
  }
}

// The fields that the listener asks for.
void Proxy::write_forwarded(Exchange& exchange, Connection& upstream) {
  const config::ForwardedOptions& forwarded = *exchange.route->forwarded;
  const Connection* const downstream = exchange.downstream;
  if (forwarded.x_forwarded_for) {
    const std::string_view client = downstream != nullptr ? std::string_view(downstream->client_text) : "";
    write_joined(exchange, h2::KnownName::kXForwardedFor, ", ", client, upstream);
  }
  if (forwarded.x_forwarded_proto) {
    const bool is_secure = downstream != nullptr && downstream->is_secure;
    upstream.h2.add_field(h2::make_field(h2::KnownName::kXForwardedProto, is_secure ? "https" : "http"));
  }
  if (!has_client_certificate(exchange)) return;
  if (forwarded.client_cert == config::ClientCertHeader::kSanitizeSet) {
    upstream.h2.add_field(h2::make_field(h2::KnownName::kXForwardedClientCert, downstream->client_certificate));
  } else if (forwarded.client_cert == config::ClientCertHeader::kAppendForward) {
    write_joined(exchange, h2::KnownName::kXForwardedClientCert, ",", downstream->client_certificate, upstream);
  }
}

// One field: what came in, and `last`, which is ours. What is too long for that goes on as it came, with ours in a
// field of its own, which means the same (RFC 9110 section 5.3): nobody pushes us out of the list.
void Proxy::write_joined(const Exchange& exchange, h2::KnownName name, std::string_view separator,
                         std::string_view last, Connection& upstream) {
  RINGWAY_UNINITIALIZED char value[4096];
  size_t size = 0;
  const auto append = [&](std::string_view text) {
    std::copy_n(text.data(), text.size(), value + size);
    size += text.size();
  };
  for (const std::span<const h2::Field> part : {exchange.headers.shared_fields(), exchange.headers.own_fields()}) {
    for (const h2::Field& field : part) {
      if (field.known != name) continue;
      const std::string_view before = field.value();
      if (size + before.size() + separator.size() + last.size() > sizeof value) {
        upstream.h2.add_field(field);
        continue;
      }
      append(before);
      append(separator);
    }
  }
  if (size == 0) return upstream.h2.add_field(h2::make_field(name, last));
  append(last);
  upstream.h2.add_field(h2::make_field(name, {value, size}));
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

void Proxy::write_request_trailers(Exchange& exchange, Connection& upstream, h2::Stream& stream) {
  upstream.h2.begin_trailers(stream);
  upstream.h2.add_trailers(stream, exchange.trailers.shared_fields());
  upstream.h2.add_trailers(stream, exchange.trailers.own_fields());
  upstream.h2.end_trailers(stream);
}

// The kept body, all at once, then the trailers.
void Proxy::write_request_body(Exchange& exchange, Connection& upstream, h2::Stream& stream) {
  const uint32_t size = exchange.body.size();
  if (size != 0) {
    const bool end = exchange.is_body_complete && exchange.trailers.is_empty();
    note_request_sent(exchange, upstream.h2.send_data(stream, exchange.body.bytes(), end));
  }
  if (!exchange.trailers.is_empty()) {
    write_request_trailers(exchange, upstream, stream);
  }
  const bool is_too_large = size > snapshot_.limits.replay_bytes;
  const bool is_over_budget = replay_.is_over() && exchange.body.is_in_block();
  if (is_too_large || is_over_budget) drop_replay_body(exchange, !is_too_large);
}

// From here on the call is sent no further time.
void Proxy::drop_replay_body(Exchange& exchange, bool is_over_budget) {
  count_limit(is_over_budget ? h2::LimitKind::kReplayTotal : h2::LimitKind::kReplay);
  exchange.is_body_dropped = true;
  exchange.body.release(replay_);
}

[[gnu::always_inline]] inline void Proxy::on_request_data(Connection& downstream, h2::Stream& stream,
                                                          Exchange& exchange, const h2::Event& event, uint64_t now_ns) {
  const auto size = static_cast<uint32_t>(event.data_size);
  exchange.bytes_received += size;
  counters_.request_bytes += size;
  exchange.is_body_complete |= event.end_stream;
  if (message_bytes_max_ != 0 && !admit_request_data(exchange, event, now_ns)) [[unlikely]]
    return;
  const bool is_waiting = static_cast<WaitLink&>(exchange).is_linked();
  if (is_waiting) {
    exchange.body.append(replay_, event.data());
    return;
  }
  h2::Stream* upstream_stream = exchange.upstream_stream;
  if (upstream_stream == nullptr || upstream_stream->is_reset) {
    // The response is complete and the endpoint gone: the rest of the upload has nowhere to go.
    downstream.h2.return_credit(stream, size);
    return;
  }
  if (!exchange.is_committed && !exchange.is_body_dropped) {
    const bool fits = exchange.body.size() + size <= snapshot_.limits.replay_bytes;
    if (!fits || !exchange.body.try_append(replay_, event.data())) [[unlikely]]
      drop_replay_body(exchange, fits);
  }
  Connection& upstream = *exchange.upstream;
  const uint32_t sent = upstream.h2.send_data(*upstream_stream, event.data(), event.end_stream);
  if (sent != size) [[unlikely]]
    note_stall(exchange, now_ns);
  mark(upstream);
  note_request_sent(exchange, sent);
}

void Proxy::on_request_trailers(Exchange& exchange, const h2::Event& event, uint64_t now_ns) {
  exchange.is_body_complete = true;
  if (event.shared != nullptr) {
    exchange.trailers.share(*event.shared);
  } else if (!keep_list(exchange.trailers, exchange, event, now_ns)) {
    return refuse_for_trailers(exchange, now_ns);
  }
  h2::Stream* stream = exchange.upstream_stream;
  if (stream == nullptr || stream->is_reset) return;  // waiting: the attempt will send them
  Connection& upstream = *exchange.upstream;
  // No window bounds them.
  if (upstream.h2.output().size() >= Connection::kBlockedOutputMax) {
    return end_with(exchange, grpc::Status::kResourceExhausted, LocalReason::kMemory,
                    Text("too many bytes wait for endpoint {}", exchange.endpoint->name), now_ns);
  }
  write_request_trailers(exchange, upstream, *stream);
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

// Last, so that what it calls is seen before.
[[gnu::noinline]] void Proxy::work_off_downstream_events(Connection& downstream, uint64_t now_ns) {
  work_off_events(downstream, now_ns, [&](h2::Stream& stream, const h2::Event& event) {
    on_downstream_event(downstream, stream, event, now_ns);
  });
}

[[gnu::always_inline]] inline void Proxy::on_downstream_event(Connection& downstream, h2::Stream& stream,
                                                              const h2::Event& event, uint64_t now_ns) {
  if (event.kind == h2::EventKind::kRequest || event.kind == h2::EventKind::kConnect ||
      event.kind == h2::EventKind::kListTooLarge) {
    return on_request(downstream, stream, event, now_ns);
  }
  Exchange& exchange = exchange_of(stream);
  switch (event.kind) {
    case h2::EventKind::kData: on_request_data(downstream, stream, exchange, event, now_ns); break;
    case h2::EventKind::kTrailers: on_request_trailers(exchange, event, now_ns); break;
    case h2::EventKind::kReset:
      if (!exchange.is_committed && now_ns - exchange.started_ns < kEarlyReset_ns) downstream.h2.charge_early_reset();
      return on_client_gone(exchange, event.code, now_ns);
    case h2::EventKind::kStreamFailed: return on_client_gone(exchange, h2::ErrorCode::kCancel, now_ns);
    default: return;
  }
  // The upload's end may have been all that a finished response waited for.
  if (event.end_stream && exchange.has_response_ended) release_if_ended(exchange, now_ns);
}

}  // namespace ringway::proxy
