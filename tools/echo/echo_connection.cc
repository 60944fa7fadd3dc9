#include "echo_connection.h"

#include <algorithm>
#include <cstring>

namespace ringway::echo {
namespace {

using session::field;

// HealthCheckResponse{status: SERVING}, framed as a gRPC message.
constexpr uint8_t kServing[] = {0, 0, 0, 0, 2, 0x08, 0x01};
constexpr size_t kMessagePrefix_bytes = 5;
// A pooled stream keeps this much memory; one large message must not stay with it.
constexpr size_t kKept_bytes = 64 * 1024;

EchoConnection* connection_of(void* user_data) {
  return static_cast<EchoConnection*>(static_cast<session::Http2Connection*>(user_data));
}

Stream* stream_of(nghttp2_session* session, int32_t id) {
  return static_cast<Stream*>(nghttp2_session_get_stream_user_data(session, id));
}

}  // namespace

Stream* StreamPool::take() {
  if (free_.empty()) {
    all_.push_back(std::make_unique<Stream>());
    return all_.back().get();
  }
  Stream* stream = free_.back();
  free_.pop_back();
  return stream;
}

void StreamPool::give_back(Stream* stream) {
  stream->pending.shrink_to(kKept_bytes);
  stream->wishes.reset();
  free_.push_back(stream);
}

struct EchoConnection::Callbacks {
  static int begin_headers(nghttp2_session* session, const nghttp2_frame* frame, void* user_data) {
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
    EchoConnection& connection = *connection_of(user_data);
    Stream* stream = connection.pool_.take();
    stream->connection = &connection;
    stream->id = frame->hd.stream_id;
    stream->has_request_ended = stream->has_response_started = stream->is_deferred = false;
    stream->is_delayed = stream->has_waited = stream->is_stopping = false;
    stream->zeros_left = 0;
    stream->uncredited_bytes = 0;
    nghttp2_session_set_stream_user_data(session, stream->id, stream);
    connection.live_.push_back(*stream);
    connection.reader_.begin();
    return 0;
  }

  static int header(nghttp2_session*, const nghttp2_frame* frame, nghttp2_rcbuf* name, nghttp2_rcbuf* value, uint8_t,
                    void* user_data) {
    // Trailers of a request are read and dropped.
    if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) connection_of(user_data)->reader_.add(name, value);
    return 0;
  }

  static int frame_received(nghttp2_session* session, const nghttp2_frame* frame, void* user_data) {
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) return 0;
    Stream* stream = stream_of(session, frame->hd.stream_id);
    if (stream == nullptr) return 0;
    EchoConnection& connection = *connection_of(user_data);
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
      stream->answer = connection.reader_.finish(stream->wishes);
    }
    const bool has_ended = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    if (has_ended) stream->has_request_ended = true;
    if (has_ended || frame->hd.type == NGHTTP2_DATA) connection.respond(*stream);
    return 0;
  }

  static int data_received(nghttp2_session* session, uint8_t, int32_t id, const uint8_t* bytes, size_t size,
                           void* user_data) {
    EchoConnection& connection = *connection_of(user_data);
    if (Stream* stream = stream_of(session, id)) {
      connection.take_data(*stream, {bytes, size});
    } else {
      nghttp2_session_consume(session, id, size);
    }
    return 0;
  }

  static int frame_sent(nghttp2_session*, const nghttp2_frame* frame, void* user_data) {
    if (frame->hd.type == NGHTTP2_HEADERS && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
      connection_of(user_data)->headers_sent(*frame);
    }
    return 0;
  }

  static int stream_closed(nghttp2_session* session, int32_t id, uint32_t, void* user_data) {
    if (Stream* stream = stream_of(session, id)) connection_of(user_data)->forget(*stream);
    return 0;
  }

  static ssize_t read_data(nghttp2_session*, int32_t, uint8_t*, size_t length, uint32_t* flags,
                           nghttp2_data_source* source, void* user_data) {
    return connection_of(user_data)->offer_data(*static_cast<Stream*>(source->ptr), length, flags);
  }

  static int send_data(nghttp2_session*, nghttp2_frame*, const uint8_t* frame_header, size_t length,
                       nghttp2_data_source* source, void* user_data) {
    return connection_of(user_data)->write_data(*static_cast<Stream*>(source->ptr), frame_header, length);
  }

  static const nghttp2_session_callbacks* table() {
    static const nghttp2_session_callbacks* const made = [] {
      nghttp2_session_callbacks* callbacks = nullptr;
      if (nghttp2_session_callbacks_new(&callbacks) != 0) throw std::bad_alloc();
      nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, begin_headers);
      nghttp2_session_callbacks_set_on_header_callback2(callbacks, header);
      nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, frame_received);
      nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, data_received);
      nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, frame_sent);
      nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, stream_closed);
      nghttp2_session_callbacks_set_send_data_callback(callbacks, send_data);
      return callbacks;
    }();
    return made;
  }
};

EchoConnection::EchoConnection(session::MemoryPool& memory, StreamPool& pool, FailureLog& failures,
                               uint32_t concurrent_streams_max)
    : Http2Connection(Role::kServer, Callbacks::table(), memory), pool_(pool), failures_(failures) {
  submit_settings({}, concurrent_streams_max);
}

EchoConnection::~EchoConnection() {
  // nghttp2 does not report streams that die with their session.
  live_.for_each([this](Stream& stream) { forget(stream); });
}

void EchoConnection::closed(io::Error error) {
  if (has_failed()) failures_.add(describe_end(error));
}

void EchoConnection::forget(Stream& stream) {
  loop().timers().cancel(stream);
  if (stream.uncredited_bytes != 0) nghttp2_session_consume_connection(session(), stream.uncredited_bytes);
  if (stream.answer == Answer::kHealthWatch) std::erase(watches_, &stream);
  nghttp2_session_set_stream_user_data(session(), stream.id, nullptr);
  static_cast<StreamLink&>(stream).unlink();
  pool_.give_back(&stream);
}

void EchoConnection::take_data(Stream& stream, std::span<const uint8_t> bytes) {
  if (stream.answer != Answer::kEcho) {
    nghttp2_session_consume(session(), stream.id, bytes.size());
    return;
  }
  stream.pending.append(bytes);
  stream.uncredited_bytes += static_cast<uint32_t>(bytes.size());
}

void EchoConnection::respond(Stream& stream) {
  if (stream.has_response_started) {
    resume(stream);
    return;
  }
  if (stream.is_delayed) return;
  if (stream.wishes && stream.wishes->delay_ns != 0 && !stream.has_waited) {
    stream.is_delayed = true;
    loop().timers().arm(stream, loop().now_ns() + stream.wishes->delay_ns);
    return;
  }
  start_response(stream);
}

void EchoConnection::delay_passed(Stream& stream) {
  stream.is_delayed = false;
  stream.has_waited = true;
  start_response(stream);
  mark_dirty();
}

void EchoConnection::start_response(Stream& stream) {
  stream.has_response_started = true;
  if (stream.wishes && stream.wishes->has_reset_code) {
    nghttp2_submit_rst_stream(session(), NGHTTP2_FLAG_NONE, stream.id, stream.wishes->reset_code);
    return;
  }
  switch (stream.answer) {
    case Answer::kEcho: break;
    case Answer::kFixed: {
      const auto size = static_cast<uint32_t>(stream.wishes->response_bytes);
      const uint8_t prefix[kMessagePrefix_bytes] = {0, static_cast<uint8_t>(size >> 24),
                                                    static_cast<uint8_t>(size >> 16), static_cast<uint8_t>(size >> 8),
                                                    static_cast<uint8_t>(size)};
      stream.pending.append(prefix);
      stream.zeros_left = size;
      break;
    }
    case Answer::kHealthWatch: watches_.push_back(&stream); [[fallthrough]];
    case Answer::kHealthCheck: stream.pending.append(kServing); break;
  }
  stream.is_stopping = is_draining_;
  submit_headers(stream);
}

void EchoConnection::submit_headers(Stream& stream) {
  static const nghttp2_nv kHeaders[] = {field(":status", "200"), field("content-type", "application/grpc")};
  nghttp2_data_provider provider{{.ptr = &stream}, Callbacks::read_data};
  if (!stream.wishes) {
    nghttp2_submit_response(session(), stream.id, kHeaders, std::size(kHeaders), &provider);
    return;
  }
  const Wishes& wishes = *stream.wishes;
  std::vector<nghttp2_nv> fields(std::begin(kHeaders), std::end(kHeaders));
  for (const auto& [name, value] : wishes.headers) fields.push_back(field(name, value));
  if (!wishes.is_trailers_only) {
    nghttp2_submit_response(session(), stream.id, fields.data(), fields.size(), &provider);
    return;
  }
  fields.push_back(field("grpc-status", wishes.status_text));
  if (!wishes.grpc_message.empty()) fields.push_back(field("grpc-message", wishes.grpc_message));
  nghttp2_submit_response(session(), stream.id, fields.data(), fields.size(), nullptr);
}

// An answer that did not wait for the whole request says that the rest is not wanted (RFC 9113 section 8.1). The reset
// is submitted only now because it would cancel HEADERS that still wait in the session.
void EchoConnection::headers_sent(const nghttp2_frame& frame) {
  const Stream* stream = stream_of(session(), frame.hd.stream_id);
  if (stream == nullptr || stream->has_request_ended) return;
  nghttp2_submit_rst_stream(session(), NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_NO_ERROR);
}

void EchoConnection::submit_trailers(Stream& stream) {
  static const nghttp2_nv kOk = field("grpc-status", "0");
  static const nghttp2_nv kStopping[] = {field("grpc-status", "14"), field("grpc-message", "the origin is stopping")};
  if (stream.is_stopping && stream.answer == Answer::kHealthWatch) {
    nghttp2_submit_trailer(session(), stream.id, kStopping, std::size(kStopping));
  } else if (stream.wishes && stream.wishes->grpc_status != 0) {
    const nghttp2_nv trailers[] = {field("grpc-status", stream.wishes->status_text),
                                   field("grpc-message", stream.wishes->grpc_message)};
    nghttp2_submit_trailer(session(), stream.id, trailers, stream.wishes->grpc_message.empty() ? 1 : 2);
  } else {
    nghttp2_submit_trailer(session(), stream.id, &kOk, 1);
  }
}

void EchoConnection::resume(Stream& stream) {
  if (!stream.is_deferred) return;
  stream.is_deferred = false;
  nghttp2_session_resume_data(session(), stream.id);
}

ssize_t EchoConnection::offer_data(Stream& stream, size_t length, uint32_t* flags) {
  const size_t available = stream.pending.size() + static_cast<size_t>(stream.zeros_left);
  const size_t offered = std::min(length, available);
  const bool has_ended = stream.answer == Answer::kHealthWatch ? stream.is_stopping : stream.has_request_ended;
  const bool is_last = has_ended && offered == available;
  if (offered == 0 && !is_last) {
    stream.is_deferred = true;
    return NGHTTP2_ERR_DEFERRED;
  }
  *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
  if (is_last) {
    *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
    submit_trailers(stream);
  }
  return static_cast<ssize_t>(offered);
}

int EchoConnection::write_data(Stream& stream, const uint8_t* frame_header, size_t length) {
  if (is_output_full()) return NGHTTP2_ERR_WOULDBLOCK;
  // An answer that ends without bytes is ended by its trailers: no empty DATA frame before them.
  if (length == 0) return 0;
  constexpr size_t kFrameHeader_bytes = 9;
  uint8_t* place = output().extend(kFrameHeader_bytes + length);
  std::memcpy(place, frame_header, kFrameHeader_bytes);
  place += kFrameHeader_bytes;
  const size_t stored = std::min(length, stream.pending.size());
  if (stored != 0) std::memcpy(place, stream.pending.bytes().data(), stored);
  stream.pending.take_front(stored);
  if (length > stored) {
    std::memset(place + stored, 0, length - stored);
    stream.zeros_left -= length - stored;
  }
  const size_t credited = std::min<size_t>(stored, stream.uncredited_bytes);
  if (credited != 0) {
    stream.uncredited_bytes -= static_cast<uint32_t>(credited);
    nghttp2_session_consume(session(), stream.id, credited);
  }
  return 0;
}

void EchoConnection::drain() {
  if (secured() != nullptr && !secured()->is_open()) {
    abort();
    return;
  }
  is_draining_ = true;
  nghttp2_submit_goaway(session(), NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(session()),
                        NGHTTP2_NO_ERROR, nullptr, 0);
  for (Stream* watch : watches_) {
    watch->is_stopping = true;
    resume(*watch);
  }
  mark_dirty();
}

}  // namespace ringway::echo
