#include "nghttp2_peer.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"

namespace ringway::h2 {
namespace {

std::vector<nghttp2_nv> pairs_of(const PlainList& fields) {
  std::vector<nghttp2_nv> pairs;
  for (const PlainField& field : fields) {
    auto* name = reinterpret_cast<uint8_t*>(const_cast<char*>(field.name.data()));
    auto* value = reinterpret_cast<uint8_t*>(const_cast<char*>(field.value.data()));
    const uint8_t flags = field.is_never_indexed ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE;
    pairs.push_back({name, value, field.name.size(), field.value.size(), flags});
  }
  return pairs;
}

}  // namespace

struct Nghttp2Peer::Callbacks {
  static Nghttp2Peer& peer(void* user_data) { return *static_cast<Nghttp2Peer*>(user_data); }

  static int on_header(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name, size_t name_size,
                       const uint8_t* value, size_t value_size, uint8_t flags, void* user_data) {
    Message& message = peer(user_data).messages[frame->hd.stream_id];
    PlainList& list = message.has_headers ? message.trailers : message.headers;
    list.push_back({std::string(reinterpret_cast<const char*>(name), name_size),
                    std::string(reinterpret_cast<const char*>(value), value_size),
                    (flags & NGHTTP2_NV_FLAG_NO_INDEX) != 0});
    return 0;
  }

  static int on_frame(nghttp2_session*, const nghttp2_frame* frame, void* user_data) {
    Nghttp2Peer& self = peer(user_data);
    if (frame->hd.type == NGHTTP2_GOAWAY) {
      ++self.goaway_count;
      self.goaway_last_id = frame->goaway.last_stream_id;
      self.goaway_code = frame->goaway.error_code;
      self.goaway_text.assign(reinterpret_cast<const char*>(frame->goaway.opaque_data), frame->goaway.opaque_data_len);
    } else if (frame->hd.type == NGHTTP2_PING && (frame->hd.flags & NGHTTP2_FLAG_ACK)) {
      ++self.ping_ack_count;
    }
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) return 0;
    Message& message = self.messages[frame->hd.stream_id];
    if (frame->hd.type == NGHTTP2_HEADERS) {
      const bool is_informational =
          !message.has_headers && message.headers.at(0).name == ":status" && message.headers[0].value[0] == '1';
      if (is_informational) {
        ++message.informational_count;
        message.headers.clear();
      } else {
        message.has_headers = true;
      }
    }
    if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) message.has_ended = true;
    return 0;
  }

  static int on_data(nghttp2_session*, uint8_t, int32_t id, const uint8_t* data, size_t size, void* user_data) {
    peer(user_data).messages[id].body.append(reinterpret_cast<const char*>(data), size);
    return 0;
  }

  static int on_close(nghttp2_session*, int32_t id, uint32_t code, void* user_data) {
    Message& message = peer(user_data).messages[id];
    message.is_closed = true;
    message.close_code = code;
    peer(user_data).outgoing_.erase(id);
    return 0;
  }

  static int on_invalid(nghttp2_session*, const nghttp2_frame* frame, int error, void* user_data) {
    peer(user_data).complaints.push_back("type " + std::to_string(frame->hd.type) + ": " + nghttp2_strerror(error));
    return 0;
  }

  static ssize_t select_padding(nghttp2_session*, const nghttp2_frame* frame, size_t size_max, void* user_data) {
    const size_t wanted = frame->hd.length + 1 + peer(user_data).options_.padding;
    return static_cast<ssize_t>(peer(user_data).options_.padding == 0 ? frame->hd.length : std::min(wanted, size_max));
  }

  static ssize_t read_body(nghttp2_session* session, int32_t id, uint8_t* out, size_t size, uint32_t* flags,
                           nghttp2_data_source* source, void*) {
    Outgoing& outgoing = *static_cast<Outgoing*>(source->ptr);
    const size_t size_max = outgoing.peer->options_.frame_size_max;
    size = std::min(size, outgoing.body.size() - outgoing.sent);
    if (size_max != 0) size = std::min(size, size_max);
    std::memcpy(out, outgoing.body.data() + outgoing.sent, size);
    outgoing.sent += size;
    if (outgoing.sent != outgoing.body.size()) return static_cast<ssize_t>(size);
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (outgoing.trailers.empty()) return static_cast<ssize_t>(size);
    *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
    const auto pairs = pairs_of(outgoing.trailers);
    ASSERT(nghttp2_submit_trailer(session, id, pairs.data(), pairs.size()) == 0);
    return static_cast<ssize_t>(size);
  }
};

Nghttp2Peer::Nghttp2Peer(Role role, const Options& options) : options_(options), is_server_(role == Role::kServer) {
  nghttp2_session_callbacks* callbacks = nullptr;
  nghttp2_option* option = nullptr;
  ASSERT(nghttp2_session_callbacks_new(&callbacks) == 0 && nghttp2_option_new(&option) == 0);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, Callbacks::on_header);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, Callbacks::on_frame);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, Callbacks::on_data);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, Callbacks::on_close);
  nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, Callbacks::on_invalid);
  nghttp2_session_callbacks_set_select_padding_callback(callbacks, Callbacks::select_padding);
  if (!options.returns_credit) nghttp2_option_set_no_auto_window_update(option, 1);
  ASSERT((is_server_ ? nghttp2_session_server_new2(&session_, callbacks, this, option)
                     : nghttp2_session_client_new2(&session_, callbacks, this, option)) == 0);
  nghttp2_option_del(option);
  nghttp2_session_callbacks_del(callbacks);
  send_settings(options.settings);
}

Nghttp2Peer::~Nghttp2Peer() {
  nghttp2_session_del(session_);
}

bool Nghttp2Peer::receive(std::string_view bytes) {
  if (bytes.empty()) return true;
  const ssize_t taken =
      nghttp2_session_mem_recv(session_, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  if (taken != static_cast<ssize_t>(bytes.size())) {
    complaints.push_back(std::string("session: ") + nghttp2_strerror(static_cast<int>(taken)));
    return false;
  }
  return true;
}

std::string Nghttp2Peer::take_output() {
  std::string output;
  for (;;) {
    const uint8_t* bytes = nullptr;
    const ssize_t size = nghttp2_session_mem_send(session_, &bytes);
    ASSERT(size >= 0);
    if (size == 0) return output;
    output.append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(size));
  }
}

int32_t Nghttp2Peer::submit(int32_t id, const PlainList& headers, std::string body, bool has_body,
                            const PlainList& trailers) {
  auto outgoing = std::make_unique<Outgoing>();
  outgoing->peer = this;
  outgoing->body = std::move(body);
  outgoing->trailers = trailers;
  nghttp2_data_provider provider{};
  provider.source.ptr = outgoing.get();
  provider.read_callback = Callbacks::read_body;
  const auto pairs = pairs_of(headers);
  const nghttp2_data_provider* const used = has_body ? &provider : nullptr;
  if (is_server_) {
    ASSERT(nghttp2_submit_response(session_, id, pairs.data(), pairs.size(), used) == 0);
  } else {
    id = nghttp2_submit_request(session_, nullptr, pairs.data(), pairs.size(), used, nullptr);
    ASSERT(id > 0);
  }
  outgoing_[id] = std::move(outgoing);
  return id;
}

int32_t Nghttp2Peer::send_request(const PlainList& headers, std::string body, bool has_body,
                                  const PlainList& trailers) {
  return submit(0, headers, std::move(body), has_body, trailers);
}

void Nghttp2Peer::send_response(int32_t id, const PlainList& headers, std::string body, const PlainList& trailers) {
  const bool has_body = !body.empty() || !trailers.empty();
  submit(id, headers, std::move(body), has_body, trailers);
}

void Nghttp2Peer::send_settings(const std::vector<nghttp2_settings_entry>& entries) {
  ASSERT(nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, entries.data(), entries.size()) == 0);
}

}  // namespace ringway::h2
