#include "client_connection.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "base/units.h"

namespace ringway::load {
namespace {

using session::text_of;

constexpr size_t kFrameHeader_bytes = 9;

ClientConnection* connection_of(void* user_data) {
  return static_cast<ClientConnection*>(static_cast<session::Http2Connection*>(user_data));
}

Call* call_of(nghttp2_session* session, int32_t id) {
  return static_cast<Call*>(nghttp2_session_get_stream_user_data(session, id));
}

int32_t status_number(std::string_view text) noexcept {
  int32_t number = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size() ? number : INT32_MAX;
}

char* put_text(char* place, std::string_view text) noexcept {
  std::memcpy(place, text.data(), text.size());
  return place + text.size();
}

char* put_hex(char* place, uint64_t bits) noexcept {
  for (int shift = 60; shift >= 0; shift -= 4) *place++ = "0123456789abcdef"[bits >> shift & 15];
  return place;
}

}  // namespace

std::string failure_of(const Call& call, Outcome outcome, uint32_t reset_code) {
  switch (outcome) {
    case Outcome::kAnswered:
      if (call.http_status != 200) return fmt::format("http status {}", call.http_status);
      if (call.grpc_status < 0) return "no grpc-status";
      if (call.grpc_status == INT32_MAX) return "grpc-status is not a number";
      return call.grpc_status == 0 ? "" : fmt::format("grpc-status {}", call.grpc_status);
    case Outcome::kReset: return fmt::format("reset: {}", nghttp2_http2_strerror(reset_code));
    case Outcome::kConnectionGoingAway: return "refused by GOAWAY";
    case Outcome::kConnectionLost: return "call lost with its connection";
  }
  return "";
}

struct ClientConnection::Callbacks {
  static int header(nghttp2_session* session, const nghttp2_frame* frame, const uint8_t* name, size_t name_size,
                    const uint8_t* value, size_t value_size, uint8_t, void* user_data) {
    if (Call* call = call_of(session, frame->hd.stream_id)) {
      connection_of(user_data)->take_header(*call, text_of(name, name_size), text_of(value, value_size));
    }
    return 0;
  }

  static int frame_received(nghttp2_session* session, const nghttp2_frame* frame, void* user_data) {
    ClientConnection& connection = *connection_of(user_data);
    switch (frame->hd.type) {
      case NGHTTP2_HEADERS:
      case NGHTTP2_DATA:
        if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) return 0;
        if (Call* call = call_of(session, frame->hd.stream_id)) connection.peer_ended(*call);
        return 0;
      case NGHTTP2_SETTINGS:
        if ((frame->hd.flags & NGHTTP2_FLAG_ACK) == 0) connection.take_settings();
        return 0;
      case NGHTTP2_GOAWAY:
        if (!connection.is_leaving_) {
          connection.is_leaving_ = true;
          connection.owner_.connection_leaving(connection);
        }
        return 0;
      default: return 0;
    }
  }

  static int data_received(nghttp2_session* session, uint8_t, int32_t id, const uint8_t*, size_t size,
                           void* user_data) {
    if (Call* call = call_of(session, id)) connection_of(user_data)->take_data(*call, size);
    nghttp2_session_consume(session, id, size);
    return 0;
  }

  static int stream_closed(nghttp2_session* session, int32_t id, uint32_t code, void* user_data) {
    Call* call = call_of(session, id);
    if (call == nullptr) return 0;
    ClientConnection& connection = *connection_of(user_data);
    Outcome outcome = Outcome::kAnswered;
    if (!call->has_ended) {
      // Calls that waited in the session when GOAWAY came are ended by it with INTERNAL_ERROR.
      const bool was_refused_by_goaway = connection.is_leaving_ && call->http_status == 0 &&
                                         (code == NGHTTP2_REFUSED_STREAM || code == NGHTTP2_INTERNAL_ERROR);
      outcome = was_refused_by_goaway ? Outcome::kConnectionGoingAway : Outcome::kReset;
    }
    connection.owner_.call_finished(*call, outcome, code);
    return 0;
  }

  static ssize_t read_data(nghttp2_session*, int32_t, uint8_t*, size_t length, uint32_t* flags,
                           nghttp2_data_source* source, void* user_data) {
    return connection_of(user_data)->offer_data(*static_cast<Call*>(source->ptr), length, flags);
  }

  static int send_data(nghttp2_session*, nghttp2_frame*, const uint8_t* frame_header, size_t length,
                       nghttp2_data_source* source, void* user_data) {
    return connection_of(user_data)->write_data(*static_cast<Call*>(source->ptr), frame_header, length);
  }

  static const nghttp2_session_callbacks* table() {
    static const nghttp2_session_callbacks* const made = [] {
      nghttp2_session_callbacks* callbacks = nullptr;
      if (nghttp2_session_callbacks_new(&callbacks) != 0) throw std::bad_alloc();
      nghttp2_session_callbacks_set_on_header_callback(callbacks, header);
      nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, frame_received);
      nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, data_received);
      nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, stream_closed);
      nghttp2_session_callbacks_set_send_data_callback(callbacks, send_data);
      return callbacks;
    }();
    return made;
  }
};

ClientConnection::ClientConnection(CallOwner& owner, session::MemoryPool& memory, const CallShape& shape, uint32_t seat,
                                   uint64_t seed)
    : Http2Connection(Role::kClient, Callbacks::table(), memory),
      owner_(owner),
      shape_(shape),
      encoder_(shape.fields),
      prng_(seed),
      seat_(seat) {
  submit_settings(shape.windows, 0);
}

void ClientConnection::connected() {
  connected_ns_ = base::monotonic_ns();
  Http2Connection::connected();
}

// With TLS 1.3 the client's part is over before the target has seen the client's certificate: that it is let in shows
// in the target's SETTINGS.
void ClientConnection::ready() {
  if (secured() == nullptr) {
    owner_.connection_ready(*this);
  } else {
    handshake_ns_ = base::monotonic_ns() - connected_ns_;
  }
}

void ClientConnection::start(Call& call) {
  // The session needs to know the method and no more: the block that goes out is encode_request()'s.
  static const nghttp2_nv kMethod = session::field(":method", "POST");
  call.connection = this;
  call.grpc_status = -1;
  call.http_status = 0;
  call.sent_bytes = call.received_bytes = 0;
  call.is_deferred = call.has_ended = false;
  const uint64_t sendable = shape_.is_pipelined ? shape_.message_count : 1;
  call.unsent_bytes = sendable * shape_.message.size();
  call.held_messages = shape_.message_count - sendable;
  nghttp2_data_provider provider{{.ptr = &call}, Callbacks::read_data};
  call.id = nghttp2_submit_request(session(), nullptr, &kMethod, 1, &provider, &call);
  mark_dirty();
}

void ClientConnection::append_frame(session::ByteBuffer& out, std::span<const uint8_t> frame) {
  // The preface, which also passes here, has a space where a frame has its type.
  if (frame[3] != NGHTTP2_HEADERS) {
    out.append(frame);
    return;
  }
  const int32_t id = (frame[5] & 0x7f) << 24 | frame[6] << 16 | frame[7] << 8 | frame[8];
  const Call* call = call_of(session(), id);
  if (call == nullptr) {
    out.append(frame);
    return;
  }
  const size_t header_at = out.size();
  out.append(frame.first(kFrameHeader_bytes));
  encode_request(out, *call);
  const size_t block_size = out.size() - header_at - kFrameHeader_bytes;
  uint8_t* header = out.at(header_at);
  header[0] = static_cast<uint8_t>(block_size >> 16);
  header[1] = static_cast<uint8_t>(block_size >> 8);
  header[2] = static_cast<uint8_t>(block_size);
}

// In grpc-go's order: its own fields, then the deadline, then the application's metadata.
void ClientConnection::encode_request(session::ByteBuffer& out, const Call& call) {
  encoder_.begin_block(out);
  encoder_.add(out, shape_.method);
  encoder_.add(out, shape_.scheme);
  encoder_.add(out, shape_.first_path + call.path);
  for (const uint32_t field : shape_.fixed) encoder_.add(out, field);
  if (shape_.varies_metadata) encode_varying(out);
}

void ClientConnection::encode_varying(session::ByteBuffer& out) {
  // grpc-go sends what is left of the deadline, in microseconds when it does not fit eight digits of nanoseconds.
  char text[80];
  const auto timeout_us = 9'500'000 + prng_.below(1'000'000);
  char* end = std::to_chars(text, text + sizeof text, timeout_us).ptr;
  *end++ = 'u';
  encoder_.add_varying(out, shape_.grpc_timeout, {text, static_cast<size_t>(end - text)});

  // W3C trace context: version, trace id, parent id, flags.
  end = put_text(text, "00-");
  end = put_hex(end, prng_.next());
  end = put_hex(end, prng_.next());
  end = put_text(end, "-");
  end = put_hex(end, prng_.next());
  end = put_text(end, "-01");
  encoder_.add_varying(out, shape_.traceparent, {text, static_cast<size_t>(end - text)});

  end = put_text(text, "Bearer ");
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  for (int word = 0; word < 6; ++word) {
    uint64_t bits = prng_.next();
    for (int i = 0; i < 9; ++i, bits >>= 6) *end++ = kAlphabet[bits & 63];
  }
  encoder_.add_varying(out, shape_.authorization, {text, static_cast<size_t>(end - text)});
}

ssize_t ClientConnection::offer_data(Call& call, size_t length, uint32_t* flags) {
  if (call.unsent_bytes == 0) {
    call.is_deferred = true;
    return NGHTTP2_ERR_DEFERRED;
  }
  const uint64_t offered = std::min<uint64_t>(length, call.unsent_bytes);
  *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
  if (offered == call.unsent_bytes && call.held_messages == 0) *flags |= NGHTTP2_DATA_FLAG_EOF;
  return static_cast<ssize_t>(offered);
}

int ClientConnection::write_data(Call& call, const uint8_t* frame_header, size_t length) {
  if (is_output_full()) return NGHTTP2_ERR_WOULDBLOCK;
  uint8_t* place = output().extend(kFrameHeader_bytes + length);
  std::memcpy(place, frame_header, kFrameHeader_bytes);
  place += kFrameHeader_bytes;
  const std::vector<uint8_t>& message = shape_.message;
  for (size_t left = length; left != 0;) {
    const size_t from = static_cast<size_t>(call.sent_bytes % message.size());
    const size_t size = std::min(left, message.size() - from);
    std::memcpy(place, message.data() + from, size);
    place += size;
    left -= size;
    call.sent_bytes += size;
  }
  call.unsent_bytes -= length;
  return 0;
}

void ClientConnection::take_data(Call& call, size_t size) {
  call.received_bytes += size;
  // The echo of all that was sent is back: the next message may go.
  while (call.held_messages != 0 && call.received_bytes >= call.sent_bytes + call.unsent_bytes) {
    --call.held_messages;
    call.unsent_bytes += shape_.message.size();
    if (!call.is_deferred) continue;
    call.is_deferred = false;
    nghttp2_session_resume_data(session(), call.id);
  }
}

void ClientConnection::take_header(Call& call, std::string_view name, std::string_view value) {
  if (name == "grpc-status") {
    call.grpc_status = status_number(value);
  } else if (name == ":status") {
    call.http_status = status_number(value);
  }
}

void ClientConnection::take_settings() {
  encoder_.limit_table(nghttp2_session_get_remote_settings(session(), NGHTTP2_SETTINGS_HEADER_TABLE_SIZE));
  if (has_settings_) return;
  has_settings_ = true;
  if (secured() != nullptr) owner_.connection_ready(*this);
}

void ClientConnection::peer_ended(Call& call) {
  call.has_ended = true;
  // The answer is complete and does not want the rest of the request.
  if (call.unsent_bytes != 0 || call.held_messages != 0) {
    nghttp2_submit_rst_stream(session(), NGHTTP2_FLAG_NONE, call.id, NGHTTP2_CANCEL);
  }
}

}  // namespace ringway::load
