// nghttp2's session as the judge of what is valid: it gets the same frames as our connection and says what it made of
// them.
#pragma once

#include <nghttp2/nghttp2.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "h2/connection.h"
#include "input.h"

namespace ringway::h2 {

using HeaderPairs = std::vector<std::pair<std::string, std::string>>;

// What an end made of a frame: it objected (GOAWAY with an error, RST_STREAM), or it took something over. Both ends
// write what they took as text, so that it can be compared and shown.
struct Opinion {
  bool objects = false;
  std::string taken;
};

inline void put_message(std::string& text, uint32_t stream_id, const HeaderPairs& pairs, bool ends) {
  text += "message " + std::to_string(stream_id) + (ends ? " end" : "") + "\n";
  for (const auto& [name, value] : pairs) text += "  " + name + ": " + value + "\n";
}
inline void put_data(std::string& text, uint32_t stream_id, size_t size, bool ends) {
  text += "data " + std::to_string(stream_id) + " " + std::to_string(size) + (ends ? " end\n" : "\n");
}

class Nghttp2Oracle {
 public:
  Nghttp2Oracle(Role role, uint32_t window) {
    nghttp2_session_callbacks* callbacks = nullptr;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_invalid_header_callback(callbacks, on_invalid_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    if (role == Role::kServer) {
      nghttp2_session_server_new(&session_, callbacks, this);
    } else {
      nghttp2_session_client_new(&session_, callbacks, this);
    }
    nghttp2_session_callbacks_del(callbacks);
    const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, window},
                                               {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
                                               {NGHTTP2_SETTINGS_ENABLE_PUSH, 0}};
    nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings, role == Role::kClient ? 3 : 2);
    drain();
  }
  Nghttp2Oracle(const Nghttp2Oracle&) = delete;
  Nghttp2Oracle& operator=(const Nghttp2Oracle&) = delete;
  ~Nghttp2Oracle() { nghttp2_session_del(session_); }

  Opinion receive(std::span<const uint8_t> bytes) {
    opinion_ = {};
    const ssize_t taken = nghttp2_session_mem_recv(session_, bytes.data(), bytes.size());
    if (taken != static_cast<ssize_t>(bytes.size())) opinion_.objects = true;
    drain();
    return std::exchange(opinion_, {});
  }

  // Of the last header block, whether or not it was accepted.
  const HeaderPairs& pairs() const { return pairs_; }

  void respond(uint32_t stream_id) {
    const nghttp2_nv status = pair_of(":status", "200");
    nghttp2_submit_response(session_, static_cast<int32_t>(stream_id), &status, 1, nullptr);
    drain();
  }

  void request(bool ends) {
    const nghttp2_nv fields[] = {pair_of(":method", "POST"), pair_of(":scheme", "http"), pair_of(":path", "/a"),
                                 pair_of(":authority", "a")};
    nghttp2_data_provider provider{};
    provider.read_callback = defer;
    nghttp2_submit_request(session_, nullptr, fields, std::size(fields), ends ? nullptr : &provider, nullptr);
    drain();
  }

 private:
  static Nghttp2Oracle& self(void* user_data) { return *static_cast<Nghttp2Oracle*>(user_data); }

  static nghttp2_nv pair_of(std::string_view name, std::string_view value) {
    return {reinterpret_cast<uint8_t*>(const_cast<char*>(name.data())),
            reinterpret_cast<uint8_t*>(const_cast<char*>(value.data())), name.size(), value.size(),
            NGHTTP2_NV_FLAG_NONE};
  }

  static ssize_t defer(nghttp2_session*, int32_t, uint8_t*, size_t, uint32_t*, nghttp2_data_source*, void*) {
    return NGHTTP2_ERR_DEFERRED;
  }

  static int on_begin_headers(nghttp2_session*, const nghttp2_frame*, void* user_data) {
    self(user_data).pairs_.clear();
    return 0;
  }

  static int on_header(nghttp2_session*, const nghttp2_frame*, const uint8_t* name, size_t name_size,
                       const uint8_t* value, size_t value_size, uint8_t, void* user_data) {
    self(user_data).pairs_.emplace_back(std::string(reinterpret_cast<const char*>(name), name_size),
                                        std::string(reinterpret_cast<const char*>(value), value_size));
    return 0;
  }

  // Without this nghttp2 drops such a field and goes on.
  static int on_invalid_header(nghttp2_session* session, const nghttp2_frame* frame, const uint8_t* name,
                               size_t name_size, const uint8_t* value, size_t value_size, uint8_t flags,
                               void* user_data) {
    on_header(session, frame, name, name_size, value, value_size, flags, user_data);
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  }

  static int on_frame(nghttp2_session*, const nghttp2_frame* frame, void* user_data) {
    Nghttp2Oracle& oracle = self(user_data);
    std::string& taken = oracle.opinion_.taken;
    const auto stream_id = static_cast<uint32_t>(frame->hd.stream_id);
    const bool ends = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    switch (frame->hd.type) {
      case NGHTTP2_HEADERS: put_message(taken, stream_id, oracle.pairs_, ends); break;
      case NGHTTP2_DATA: put_data(taken, stream_id, std::exchange(oracle.data_size_, 0), ends); break;
      default: break;
    }
    return 0;
  }

  static int on_data(nghttp2_session*, uint8_t, int32_t, const uint8_t*, size_t size, void* user_data) {
    self(user_data).data_size_ += size;
    return 0;
  }

  // What it sends says whether it objects.
  void drain() {
    for (;;) {
      const uint8_t* bytes = nullptr;
      const ssize_t size = nghttp2_session_mem_send(session_, &bytes);
      if (size <= 0) return;
      if (size < static_cast<ssize_t>(kFrameHeaderSize)) continue;
      const FrameHeader header = parse_frame_header(bytes);
      opinion_.objects |= header.type == FrameType::kRstStream;
      opinion_.objects |= header.type == FrameType::kGoaway && load_32(bytes + kFrameHeaderSize + 4) != 0;
    }
  }

  nghttp2_session* session_ = nullptr;
  Opinion opinion_;
  HeaderPairs pairs_;
  size_t data_size_ = 0;
};

}  // namespace ringway::h2
