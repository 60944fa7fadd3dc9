// limits.message: a gRPC message that is longer ends its call at its prefix, before any octet of it is passed on.
#include <iterator>

#include "base/assert.h"
#include "proxy/proxy.h"
#include "proxy/text.h"

namespace ringway::proxy {
namespace {

// A response that is no gRPC message after all (a page of HTML from something in between) shows it by its first octet,
// for which gRPC has 0 and 1. Of requests the content-type is known: whatever their flag, the length counts.
constexpr uint8_t kResponseFlagMax = 1;
constexpr uint8_t kRequestFlagMax = 0xff;
constexpr size_t kPrefixSize = 5;

}  // namespace

// False: the call has been ended.
bool Proxy::admit_request_data(Exchange& exchange, const h2::Event& event, uint64_t now_ns) {
  if (!exchange.is_grpc || exchange.has_response_ended) return true;
  grpc::MessageCursor& cursor = exchange.request_cursor;
  if (cursor.advance_to_longer(event.data(), message_bytes_max_, kRequestFlagMax) == 0) return true;
  end_for_message_size(exchange, "request", cursor.step_back(), now_ns);
  return false;
}

// Octets of a prefix that is not complete are held back: where the rest of it shows that the message is too long, the
// client's response still ends between two messages, and trailers can say why.
void Proxy::on_bounded_response_data(Exchange& exchange, const h2::Event& event, uint64_t now_ns) {
  const std::span<const uint8_t> octets = event.data();
  grpc::MessageCursor& cursor = exchange.response_cursor;
  const size_t held = cursor.prefix_octets();
  const size_t stop = cursor.advance_to_longer(octets, message_bytes_max_, kResponseFlagMax);
  const bool is_too_long = stop != 0;
  const bool ends = event.end_stream && !is_too_long;
  const size_t kept_back = is_too_long ? octets.size() - stop + kPrefixSize : ends ? 0 : cursor.prefix_octets();
  // Either all that was held goes, or more is held.
  const size_t passed = held + octets.size() - kept_back;
  const size_t fresh = passed != 0 ? passed - held : 0;
  if (passed != 0 && held != 0) pass_response_octets(exchange, {exchange.held_prefix, held}, false, now_ns);
  if (fresh != 0 || ends) pass_response_octets(exchange, octets.first(fresh), ends, now_ns);
  if (is_too_long) return end_for_message_size(exchange, "response", cursor.step_back(), now_ns);
  if (!ends) {
    size_t position = passed != 0 ? 0 : held;
    for (const uint8_t octet : octets.subspan(fresh)) {
      ASSERT(position < std::size(exchange.held_prefix));
      exchange.held_prefix[position++] = octet;
    }
  }
  if (ends) on_response_end(exchange, now_ns);
}

void Proxy::pass_response_octets(Exchange& exchange, std::span<const uint8_t> octets, bool end, uint64_t now_ns) {
  const auto size = static_cast<uint32_t>(octets.size());
  Connection& downstream = *exchange.downstream;
  exchange.bytes_sent += size;
  counters_.response_bytes += size;
  const uint32_t sent = downstream.h2.send_data(*exchange.downstream_stream, octets, end);
  if (sent != size) note_stall(exchange, now_ns);
  mark(downstream);
  if (sent != 0) exchange.upstream->h2.return_credit(*exchange.upstream_stream, sent);
}

// Behind it come trailers: what is left of a prefix belongs to a message that was cut, and is not hidden.
void Proxy::pass_held_prefix(Exchange& exchange, uint64_t now_ns) {
  const size_t held = exchange.is_grpc ? exchange.response_cursor.prefix_octets() : 0;
  if (held != 0) pass_response_octets(exchange, {exchange.held_prefix, held}, false, now_ns);
}

void Proxy::end_for_message_size(Exchange& exchange, std::string_view direction, uint32_t size, uint64_t now_ns) {
  count_limit(h2::LimitKind::kMessage);
  // What has come is not all passed on, so that an announced length will not be met.
  const h2::Stream* const upstream_stream = exchange.upstream_stream;
  const bool has_length = upstream_stream != nullptr && upstream_stream->recv_length_left != h2::Stream::kNoLength;
  if (exchange.is_committed && (has_length || !exchange.response_cursor.is_at_boundary())) {
    // Inside a message of the response no trailers can follow; this code means RESOURCE_EXHAUSTED to the client.
    leave_endpoint(exchange, LocalReason::kMessageTooLarge, now_ns);
    exchange.grpc_status = static_cast<int16_t>(grpc::Status::kResourceExhausted);
    reset_downstream(exchange, h2::ErrorCode::kEnhanceYourCalm);
    return;
  }
  end_with(exchange, grpc::Status::kResourceExhausted, LocalReason::kMessageTooLarge,
           Text("{} message of {} bytes exceeds the limit of {} bytes (limits.message)", direction, size,
                message_bytes_max_),
           now_ns);
}

}  // namespace ringway::proxy
