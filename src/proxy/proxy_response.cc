// From the endpoint's answer, or its lack, back to the client.
#include "base/assert.h"
#include "base/uninitialized.h"
#include "base/units.h"
#include "proxy/h2_limits.h"
#include "proxy/proxy.h"
#include "proxy/text.h"

namespace ringway::proxy {
namespace {

// 1xx responses to one call; real ones have one or two.
constexpr uint8_t kInformationalMax = 8;

}  // namespace

void Proxy::on_informational(Exchange& exchange, const h2::Event& event, uint64_t now_ns) {
  h2::Stream* stream = exchange.downstream_stream;
  if (stream == nullptr || exchange.is_committed) return;
  // No window bounds header lists: to a client that does not read they would pile up.
  if (++exchange.informational_count > kInformationalMax) {
    end_with(exchange, grpc::Status::kInternal, LocalReason::kUpstreamProtocol,
             Text("endpoint {} sent more than {} informational responses", exchange.endpoint->name, kInformationalMax),
             now_ns);
    return;
  }
  if (!has_room_for_list(exchange, now_ns)) return;
  Connection& downstream = *exchange.downstream;
  downstream.h2.begin_headers(*stream);
  downstream.h2.add_fields(memory_.fields_of(event));
  downstream.h2.end_headers(*stream, false);
  mark(downstream);
}

[[gnu::always_inline]] inline void Proxy::finish(Exchange& exchange) noexcept {
  ASSERT(!exchange.is_finished && !static_cast<WaitLink&>(exchange).is_linked());
  // From here on nothing names it but finished_.
  ASSERT(exchange.downstream_stream == nullptr && exchange.upstream_stream == nullptr);
  exchange.is_finished = true;
  timers_.cancel(exchange);
  finished_.push_back(&exchange);
}

// Gives the upstream stream's slot back; calls that wait for one get it.
[[gnu::always_inline]] inline void Proxy::close_upstream_stream(Exchange& exchange, uint64_t now_ns) {
  h2::Stream* stream = exchange.upstream_stream;
  exchange.upstream_stream = nullptr;
  if (stream == nullptr) return;
  Connection& upstream = *exchange.upstream;
  upstream.h2.close_stream(*stream);
  if (upstream.state == ConnectionState::kOpen) {
    if (upstream.endpoint->waiting_count != 0) [[unlikely]]
      serve_waiting(*upstream.endpoint, now_ns);
  } else if (upstream.state == ConnectionState::kDraining) {
    // Closed at the end of the turn: its caller may still be at work on it.
    mark(upstream);
  }
}

void Proxy::release_upstream(Exchange& exchange, uint64_t now_ns) {
  if (const h2::Stream* const stream = exchange.upstream_stream) exchange.is_content_cut = stream->lacks_content();
  close_upstream_stream(exchange, now_ns);
}

// One function lets both streams go, each when both its halves are closed or it is reset.
[[gnu::always_inline]] inline void Proxy::end_streams(Exchange& exchange, uint64_t now_ns) {
  h2::Stream* upstream_stream = exchange.upstream_stream;
  if (upstream_stream != nullptr && upstream_stream->has_received_end && upstream_stream->has_sent_end) {
    close_upstream_stream(exchange, now_ns);
  }
  h2::Stream* stream = exchange.downstream_stream;
  if (stream == nullptr || !exchange.has_response_ended || !stream->has_sent_end) return;
  if (!stream->has_received_end) {
    if (!exchange.rst_after_end) return;
    Connection& downstream = *exchange.downstream;
    downstream.h2.reset_stream(*stream, h2::ErrorCode::kNoError);
    mark(downstream);
  } else if (exchange.upstream_stream != nullptr) {
    return;  // the end of the upload still waits for the endpoint's window
  }
  ++counters_.responses;
  Connection& downstream = *exchange.downstream;
  downstream.h2.close_stream(*stream);
  exchange.downstream_stream = nullptr;
  if (downstream.state == ConnectionState::kDraining) mark(downstream);
  finish(exchange);
}

void Proxy::release_if_ended(Exchange& exchange, uint64_t now_ns) {
  end_streams(exchange, now_ns);
}

[[gnu::always_inline]] inline void Proxy::on_response_end(Exchange& exchange, uint64_t now_ns) {
  exchange.has_response_ended = true;
  exchange.arrived_ns = now_ns;
  end_streams(exchange, now_ns);
}

// False: it is no number.
[[gnu::always_inline]] inline bool Proxy::note_grpc_status(Exchange& exchange, const h2::Event& event) noexcept {
  const uint16_t position = memory_.head_of(event).grpc_status;
  if (position == 0) return true;
  const h2::Field& field = memory_.fields_of(event).data()[position - 1u];
  const std::string_view value = field.record != nullptr ? field.record->value() : field.value();
  exchange.grpc_status = static_cast<int16_t>(grpc::parse_status(value));
  return exchange.grpc_status >= 0;
}

// The end of a call whose grpc-status is no number, which every client reads in its own way: it becomes UNKNOWN, as
// which PROTOCOL-HTTP2.md has them read it.
void Proxy::end_with_unknown_status(Exchange& exchange, const h2::Event& event, uint64_t now_ns) {
  constexpr grpc::Status kUnknown = grpc::Status::kUnknown;
  exchange.grpc_status = static_cast<int16_t>(kUnknown);
  Connection& downstream = *exchange.downstream;
  h2::Stream& stream = *exchange.downstream_stream;
  const bool are_trailers = event.kind == h2::EventKind::kTrailers;
  const auto add = [&](std::span<const h2::Field> fields) {
    are_trailers ? downstream.h2.add_trailers(stream, fields) : downstream.h2.add_fields(fields);
  };
  are_trailers ? downstream.h2.begin_trailers(stream) : downstream.h2.begin_headers(stream);
  const h2::Field status = h2::make_field(h2::KnownName::kGrpcStatus, grpc::text_of(kUnknown));
  for (const h2::Field& field : memory_.fields_of(event)) {
    if (field.known != h2::KnownName::kGrpcStatus) add({&field, 1});
  }
  add({&status, 1});
  are_trailers ? downstream.h2.end_trailers(stream) : downstream.h2.end_headers(stream, true);
  mark(downstream);
  on_response_end(exchange, now_ns);
}

[[gnu::always_inline]] inline void Proxy::on_response(Exchange& exchange, const h2::Event& event, uint64_t now_ns) {
  h2::Stream* stream = exchange.downstream_stream;
  if (stream == nullptr) return;
  Connection& downstream = *exchange.downstream;
  const h2::MessageHead& head = memory_.head_of(event);
  exchange.is_committed = true;
  exchange.http_status = head.status;
  exchange.body.release(replay_);
  if (!has_access_log_) release_list(exchange.headers, exchange);
  if (!note_grpc_status(exchange, event) && event.end_stream && exchange.is_grpc) [[unlikely]]
    return end_with_unknown_status(exchange, event, now_ns);
  if (event.shared != nullptr) [[likely]] {
    downstream.h2.send_headers(*stream, *event.shared, event.end_stream);
  } else if (!has_room_for_list(exchange, now_ns)) {
    return;
  } else {
    downstream.h2.begin_headers(*stream);
    downstream.h2.add_fields(memory_.fields_of(event));
    downstream.h2.end_headers(*stream, event.end_stream);
  }
  mark(downstream);
  if (event.end_stream) on_response_end(exchange, now_ns);
}

[[gnu::always_inline]] inline void Proxy::on_response_data(Connection& upstream, h2::Stream& stream, Exchange& exchange,
                                                           const h2::Event& event, uint64_t now_ns) {
  const auto size = static_cast<uint32_t>(event.data_size);
  h2::Stream* client_stream = exchange.downstream_stream;
  if (client_stream == nullptr) return;
  if (message_bytes_max_ != 0 && exchange.is_grpc) [[unlikely]]
    return on_bounded_response_data(exchange, event, now_ns);
  Connection& downstream = *exchange.downstream;
  exchange.bytes_sent += size;
  counters_.response_bytes += size;
  if (exchange.is_grpc) exchange.response_cursor.advance(event.data());
  const uint32_t sent = downstream.h2.send_data(*client_stream, event.data(), event.end_stream);
  if (sent != size) [[unlikely]]
    note_stall(exchange, now_ns);
  mark(downstream);
  if (sent != 0) upstream.h2.return_credit(stream, sent);
  if (event.end_stream) on_response_end(exchange, now_ns);
}

[[gnu::always_inline]] inline void Proxy::on_response_trailers(Exchange& exchange, const h2::Event& event,
                                                               uint64_t now_ns) {
  h2::Stream* stream = exchange.downstream_stream;
  if (stream == nullptr) return;
  if (message_bytes_max_ != 0) [[unlikely]]
    pass_held_prefix(exchange, now_ns);
  Connection& downstream = *exchange.downstream;
  if (!note_grpc_status(exchange, event) && exchange.is_grpc) [[unlikely]]
    return end_with_unknown_status(exchange, event, now_ns);
  if (event.shared != nullptr) [[likely]] {
    downstream.h2.send_trailers(*stream, *event.shared);
  } else if (!has_room_for_list(exchange, now_ns)) {
    return;
  } else {
    downstream.h2.begin_trailers(*stream);
    downstream.h2.add_trailers(*stream, memory_.fields_of(event));
    downstream.h2.end_trailers(*stream);
  }
  mark(downstream);
  on_response_end(exchange, now_ns);
}

// An endpoint that resets after its complete response wants no more of the upload (RFC 9113 section 8.1): so is the
// client told. Before that, the code means to the client what it means to us (PROTOCOL-HTTP2.md, Errors).
void Proxy::on_upstream_reset(Exchange& exchange, h2::ErrorCode code, uint64_t now_ns) {
  if (exchange.has_response_ended) {
    release_upstream(exchange, now_ns);
    exchange.rst_after_end = true;
    release_if_ended(exchange, now_ns);
    return;
  }
  release_upstream(exchange, now_ns);
  if (code == h2::ErrorCode::kRefusedStream) return on_refused(exchange, now_ns);
  exchange.grpc_status = static_cast<int16_t>(grpc::status_of_reset(code));
  reset_downstream(exchange, code);
}

// An endpoint has not begun the call, as it says. The client cannot be told the same: of its request octets have gone
// to endpoints, and what is behind REFUSED_STREAM is its decision, not that of its library, which would send all of it
// again at once.
void Proxy::on_refused(Exchange& exchange, uint64_t now_ns) {
  if (can_retry(exchange)) return retry(exchange, now_ns);
  ++counters_.retries_denied;
  if (exchange.is_committed) {
    // A response has begun all the same.
    exchange.grpc_status = static_cast<int16_t>(grpc::Status::kInternal);
    return reset_downstream(exchange, h2::ErrorCode::kInternalError);
  }
  const std::string_view why = exchange.attempts > 1      ? ", the second that was tried"
                               : exchange.is_body_dropped ? ", and too much was sent to try another (limits.replay)"
                                                          : "";
  end_with(exchange, grpc::Status::kUnavailable, LocalReason::kUpstreamRefused,
           Text("endpoint {} refused the stream{}", exchange.endpoint->name, why), now_ns);
}

// The endpoint broke a rule of HTTP/2 on this stream; its RST_STREAM has been queued.
void Proxy::on_upstream_broken(Exchange& exchange, const h2::Event& event, uint64_t now_ns) {
  release_upstream(exchange, now_ns);
  if (exchange.has_response_ended) {
    exchange.rst_after_end = true;
    release_if_ended(exchange, now_ns);
    return;
  }
  Text why("endpoint {} sent a {}: {}", exchange.endpoint->name,
           h2::is_of_limit(event.fault) ? "response beyond a limit" : "malformed response", h2::text_of(event.fault));
  if (event.has_large_field) {
    why = large_field_text(Text("endpoint {}: response", exchange.endpoint->name), memory_.own_fields_of(event).back(),
                           snapshot_.limits);
  }
  end_with(exchange, grpc::Status::kInternal, LocalReason::kUpstreamProtocol, why, now_ns);
}

void Proxy::on_upstream_lost(Exchange& exchange, std::string_view cause, uint64_t now_ns) {
  release_upstream(exchange, now_ns);
  if (exchange.has_response_ended) {
    exchange.rst_after_end = true;
    release_if_ended(exchange, now_ns);
    return;
  }
  if (std::exchange(exchange.is_unsent, false) && can_retry(exchange)) return retry(exchange, now_ns);
  end_with(exchange, grpc::Status::kUnavailable, LocalReason::kUpstreamLost,
           Text("endpoint {}: {} {}", exchange.endpoint->name, cause,
                exchange.is_committed ? "in the middle of the response" : "before the response"),
           now_ns);
}

void Proxy::on_deadline(Exchange& exchange, uint64_t now_ns) {
  const double seconds = static_cast<double>(exchange.deadline_ns - exchange.started_ns) / 1e9;
  end_with(exchange, grpc::Status::kDeadlineExceeded, LocalReason::kDeadline,
           Text("deadline of {:.3f} s exceeded at the proxy{}", seconds,
                static_cast<WaitLink&>(exchange).is_linked() ? ", waiting for a connection" : ""),
           now_ns);
}

// The proxy itself ends the call: no endpoint has to do with it any more.
void Proxy::leave_endpoint(Exchange& exchange, LocalReason reason, uint64_t now_ns) {
  stop_waiting(exchange);
  exchange.reason = reason;
  ++counters_.local_replies[static_cast<uint32_t>(reason)];
  cancel_upstream(exchange, h2::ErrorCode::kCancel, now_ns);
}

// Ends a call that has no response of the endpoint's to come: by a local reply, by trailers where a message has just
// ended, else by a reset, so that it never looks like success (DESIGN 3.12). A content-length that was passed on must
// be kept (RFC 9113 section 8.1.1): where octets are missing no trailers can end the response.
void Proxy::end_with(Exchange& exchange, grpc::Status status, LocalReason reason, std::string_view message,
                     uint64_t now_ns) {
  leave_endpoint(exchange, reason, now_ns);
  h2::Stream* stream = exchange.downstream_stream;
  if (stream == nullptr) return;
  if (exchange.has_response_ended) {
    // Only bytes that the client does not take keep it open.
    reset_downstream(exchange, h2::ErrorCode::kCancel);
    return;
  }
  const bool may_have_trailers =
      exchange.is_grpc && exchange.response_cursor.is_at_boundary() && !exchange.is_content_cut;
  if (exchange.is_committed && !may_have_trailers) {
    exchange.grpc_status = static_cast<int16_t>(grpc::Status::kInternal);
    reset_downstream(exchange, h2::ErrorCode::kInternalError);
    return;
  }
  exchange.grpc_status = static_cast<int16_t>(status);
  exchange.has_response_ended = true;
  exchange.arrived_ns = now_ns;
  reply_locally(exchange, status, message);
  exchange.rst_after_end = true;
  release_if_ended(exchange, now_ns);
}

void Proxy::reply_locally(Exchange& exchange, grpc::Status status, std::string_view message) {
  Connection& downstream = *exchange.downstream;
  h2::Stream& stream = *exchange.downstream_stream;
  // Reset by what came in the same read as its request: nothing may follow (RFC 9113 section 5.1).
  if (stream.is_reset) return;
  char encoded[1024];
  const size_t encoded_size = grpc::encode_message(message, encoded);
  const h2::Field grpc_status = h2::make_field(h2::KnownName::kGrpcStatus, grpc::text_of(status));
  const h2::Field grpc_message = h2::make_field(h2::KnownName::kGrpcMessage, {encoded, encoded_size});
  mark(downstream);
  if (exchange.is_committed) {
    downstream.h2.begin_trailers(stream);
    const h2::Field trailers[] = {grpc_status, grpc_message};
    downstream.h2.add_trailers(stream, trailers);
    downstream.h2.end_trailers(stream);
    return;
  }
  exchange.is_committed = true;
  if (exchange.http_status == 0) exchange.http_status = exchange.is_grpc ? 200 : grpc::http_status_of(status);
  downstream.h2.begin_headers(stream);
  const Text http_status("{}", exchange.http_status);
  downstream.h2.add_field(h2::make_field(h2::KnownName::kStatus, http_status));
  if (exchange.is_grpc) {
    downstream.h2.add_field(h2::make_field(h2::KnownName::kContentType, "application/grpc"));
    downstream.h2.add_field(grpc_status);
    downstream.h2.add_field(grpc_message);
    downstream.h2.end_headers(stream, true);
    return;
  }
  // Announced is what is sent, also of a message that is cut.
  const Text body("{}\n", message.substr(0, Text::kSizeMax - 1));
  const std::string_view octets = body;
  const Text length("{}", octets.size());
  downstream.h2.add_field(h2::make_field(h2::KnownName::kContentType, "text/plain; charset=utf-8"));
  downstream.h2.add_field(h2::make_field(h2::KnownName::kContentLength, length));
  // What a GET would have got is announced; there is no content in a response to HEAD (RFC 9110 section 9.3.2).
  downstream.h2.end_headers(stream, exchange.is_head);
  if (exchange.is_head) return;
  downstream.h2.send_data(stream, {reinterpret_cast<const uint8_t*>(octets.data()), octets.size()}, true);
}

// Octets, or the end, of a stream have left in a send: the other side may send as many again.
void Proxy::on_drained(Exchange& exchange, h2::Stream& stream, uint64_t now_ns) {
  const uint32_t bytes = stream.drained_bytes;
  stream.drained_bytes = 0;
  // What moves by octets, as credit that is dripped makes it do, stands still: a KiB counts for a second.
  const uint64_t moved_ns = uint64_t{bytes} * (base::kSecond_ns / base::kKiB);
  const bool has_stalled = exchange.stalled_since_ns != 0 && !stream.pending.is_empty();
  exchange.stalled_since_ns = has_stalled ? std::min(exchange.stalled_since_ns + moved_ns, now_ns) : 0;
  if (&stream == exchange.upstream_stream) {
    note_request_sent(exchange, bytes);
  } else if (h2::Stream* upstream_stream = exchange.upstream_stream) {
    Connection& upstream = *exchange.upstream;
    upstream.h2.return_credit(*upstream_stream, bytes);
    if (!upstream.h2.output().is_empty()) mark(upstream);
  }
  release_if_ended(exchange, now_ns);
}

void Proxy::cancel_upstream(Exchange& exchange, h2::ErrorCode code, uint64_t now_ns) {
  h2::Stream* stream = exchange.upstream_stream;
  if (stream == nullptr) return;
  Connection& upstream = *exchange.upstream;
  if (!stream->is_reset && !(stream->has_received_end && stream->has_sent_end)) {
    reset_upstream(upstream, *stream, code, now_ns);
  }
  release_upstream(exchange, now_ns);
}

void Proxy::reset_downstream(Exchange& exchange, h2::ErrorCode code) {
  h2::Stream* stream = exchange.downstream_stream;
  if (stream == nullptr) return;
  Connection& downstream = *exchange.downstream;
  ++counters_.resets;
  downstream.h2.reset_stream(*stream, code);
  downstream.h2.close_stream(*stream);
  exchange.downstream_stream = nullptr;
  mark(downstream);
  stop_waiting(exchange);
  finish(exchange);
}

void Proxy::write_access_log(const Exchange& exchange, uint64_t now_ns) {
  const auto value_of = [&exchange](h2::KnownName name) {
    const h2::Field* field = exchange.headers.find(name);
    return field != nullptr ? field->value() : std::string_view();
  };
  const Connection* downstream = connections_.find(exchange.client);
  AccessRecord record;
  record.wall_time_ns = base::wall_ns();
  record.client = downstream != nullptr ? std::string_view(downstream->client_text) : std::string_view();
  record.method = value_of(h2::KnownName::kMethod);
  record.path = value_of(h2::KnownName::kPath);
  record.authority = value_of(h2::KnownName::kAuthority);
  record.user_agent = value_of(h2::KnownName::kUserAgent);
  record.referer = value_of(h2::KnownName::kReferer);
  record.status = exchange.http_status;
  record.grpc_status = exchange.grpc_status;
  record.bytes_sent = exchange.bytes_sent;
  record.bytes_received = exchange.bytes_received;
  if (exchange.route != nullptr) record.cluster = exchange.route->cluster->config.name;
  if (exchange.endpoint != nullptr) record.endpoint = exchange.endpoint->name;
  record.attempts = exchange.attempts;
  record.duration_ns = now_ns - exchange.started_ns;
  record.hop_ns = exchange.hop_ns;
  // Zeroing it, as the compiler would for each line, costs more than formatting.
  RINGWAY_UNINITIALIZED char line[AccessFormatter::kLineBytesMax];
  const bool is_json = snapshot_.access_log.format == config::AccessLogFormat::kJson;
  const size_t size =
      is_json ? access_formatter_.format_json(record, line) : access_formatter_.format_combined(record, line);
  options_.log->access_line({line, size});
}

// Last, so that what it calls is seen before.
[[gnu::noinline]] void Proxy::work_off_upstream_events(Connection& upstream, uint64_t now_ns) {
  work_off_events(upstream, now_ns, [&](h2::Stream& stream, const h2::Event& event) {
    on_upstream_event(upstream, stream, event, now_ns);
  });
  if (upstream.h2.is_inside_frame()) [[unlikely]]
    watch_endpoint_frame(upstream);
}

[[gnu::always_inline]] inline void Proxy::on_upstream_event(Connection& upstream, h2::Stream& stream,
                                                            const h2::Event& event, uint64_t now_ns) {
  Exchange& exchange = exchange_of(stream);
  switch (event.kind) {
    case h2::EventKind::kData: return on_response_data(upstream, stream, exchange, event, now_ns);
    case h2::EventKind::kResponse: return on_response(exchange, event, now_ns);
    case h2::EventKind::kTrailers: return on_response_trailers(exchange, event, now_ns);
    case h2::EventKind::kInformational: return on_informational(exchange, event, now_ns);
    case h2::EventKind::kReset: return on_upstream_reset(exchange, event.code, now_ns);
    case h2::EventKind::kStreamFailed: return on_upstream_broken(exchange, event, now_ns);
    default: return;
  }
}

}  // namespace ringway::proxy
