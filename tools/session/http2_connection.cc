#include "http2_connection.h"

#include <fmt/format.h>

#include <array>
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

Http2Connection::Http2Connection(Role role, const nghttp2_session_callbacks* callbacks, MemoryPool& memory)
    : role_(role) {
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

void Http2Connection::connected() {
  has_connected_ = true;
  if (secured_) {
    secured_->start();
  } else {
    ready();
  }
}

bool Http2Connection::received(std::span<const uint8_t> bytes) {
  if (secured_) return take_secured(bytes);
  // No first octet of HTTP/2 is that of a TLS record: a client begins with "PRI", a server with the size of SETTINGS.
  constexpr uint8_t kChangeCipherSpec = 20;
  constexpr uint8_t kApplicationData = 23;
  if (!has_received_ && bytes[0] >= kChangeCipherSpec && bytes[0] <= kApplicationData) {
    failure_ = role_ == Role::kServer ? "the client speaks TLS to a listener in cleartext"
                                      : "it speaks TLS, and was spoken to in cleartext";
    return false;
  }
  has_received_ = true;
  return take(bytes);
}

bool Http2Connection::take(std::span<const uint8_t> bytes) {
  // Protocol errors become a GOAWAY inside the session; a negative result is memory, a flood or a bad preface.
  return nghttp2_session_mem_recv(session_, bytes.data(), bytes.size()) >= 0;
}

bool Http2Connection::take_secured(std::span<const uint8_t> bytes) {
  const bool was_open = secured_->is_open();
  secured_->receive(bytes);
  if (secured_->is_open() && !was_open) ready();
  // Room for one record; not on the stack, where it would be zeroed each time.
  static thread_local std::array<uint8_t, 16 * 1024> plain;
  while (const size_t size = secured_->read(plain)) {
    if (!take(std::span(plain).first(size))) return false;
  }
  return secured_->is_open() || secured_->state() == tls::LibraryStream::State::kHandshake;
}

void Http2Connection::produce(ByteBuffer& out) {
  if (!secured_) {
    produce_frames(out);
    return;
  }
  if (secured_->is_open()) {
    produce_frames(plain_);
    secured_->write(plain_.bytes());
    plain_.clear();
    if (nghttp2_session_want_read(session_) == 0 && nghttp2_session_want_write(session_) == 0) secured_->end();
  }
  const std::span<const uint8_t> records = secured_->output();
  out.append(records);
  secured_->consume_output(records.size());
}

// While a handshake is under way, the frames of the session wait.
bool Http2Connection::wants_write() const {
  if (!secured_) return nghttp2_session_want_write(session_) != 0;
  return !secured_->output().empty() || (secured_->is_open() && nghttp2_session_want_write(session_) != 0);
}

bool Http2Connection::is_done() const {
  return nghttp2_session_want_read(session_) == 0 && nghttp2_session_want_write(session_) == 0 &&
         (!secured_ || secured_->output().empty());
}

bool Http2Connection::has_failed() const noexcept {
  return !failure_.empty() || (secured_ && (secured_->state() == tls::LibraryStream::State::kFailed));
}

std::string Http2Connection::describe_end(io::Error error) const {
  if (!failure_.empty()) return failure_;
  const std::string reason = error ? std::string(io::describe(error)) : "closed by peer";
  if (!secured_ || !has_connected_) return reason;
  switch (secured_->state()) {
    case tls::LibraryStream::State::kFailed: return "TLS: " + secured_->failure();
    case tls::LibraryStream::State::kHandshake: return reason + " in the TLS handshake";
    default: return reason;
  }
}

void Http2Connection::produce_frames(ByteBuffer& out) {
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
