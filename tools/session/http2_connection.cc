#include "http2_connection.h"

#include <memory>
#include <new>

namespace ringway::session {
namespace {

struct OptionDeleter {
  void operator()(nghttp2_option* option) const noexcept { nghttp2_option_del(option); }
};

// Made once: sessions copy what they need.
const nghttp2_option* shared_option() {
  static const std::unique_ptr<nghttp2_option, OptionDeleter> option = [] {
    nghttp2_option* made = nullptr;
    if (nghttp2_option_new(&made) != 0) throw std::bad_alloc();
    // Credit returns when bytes were used (nghttp2_session_consume), which is what makes back-pressure end to end.
    nghttp2_option_set_no_auto_window_update(made, 1);
    // Closed streams are kept for the priority tree only, which nobody here uses.
    nghttp2_option_set_no_closed_streams(made, 1);
    return std::unique_ptr<nghttp2_option, OptionDeleter>(made);
  }();
  return option.get();
}

}  // namespace

Http2Connection::Http2Connection(Role role, const nghttp2_session_callbacks* callbacks, MemoryPool& memory) {
  const int result = role == Role::kServer
                         ? nghttp2_session_server_new3(&session_, callbacks, this, shared_option(), memory.allocator())
                         : nghttp2_session_client_new3(&session_, callbacks, this, shared_option(), memory.allocator());
  if (result != 0) throw std::bad_alloc();
}

Http2Connection::~Http2Connection() {
  nghttp2_session_del(session_);
}

void Http2Connection::submit_settings(const WindowOptions& windows, uint32_t concurrent_streams_max) {
  const nghttp2_settings_entry entries[] = {
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, windows.stream_bytes},
      concurrent_streams_max == 0
          ? nghttp2_settings_entry{NGHTTP2_SETTINGS_ENABLE_PUSH, 0}
          : nghttp2_settings_entry{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, concurrent_streams_max},
  };
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, entries, std::size(entries));
  nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, static_cast<int32_t>(windows.connection_bytes));
}

bool Http2Connection::received(std::span<const uint8_t> bytes) {
  // Protocol errors become a GOAWAY inside the session; a negative result is memory, a flood or a bad preface.
  return nghttp2_session_mem_recv(session_, bytes.data(), bytes.size()) >= 0;
}

void Http2Connection::produce(ByteBuffer& out) {
  output_ = &out;
  while (!is_output_full()) {
    const uint8_t* bytes = nullptr;
    const ssize_t size = nghttp2_session_mem_send(session_, &bytes);
    if (size <= 0) break;
    append_frame(out, {bytes, static_cast<size_t>(size)});
  }
  output_ = nullptr;
}

}  // namespace ringway::session
