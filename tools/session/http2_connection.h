// An nghttp2 session on a loop's connection: bytes in, bytes out, in cleartext or TLS, and the settings both tools use.
#pragma once

#include <nghttp2/nghttp2.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "loop.h"
#include "memory_pool.h"
#include "tls/library_stream.h"

namespace ringway::session {

inline constexpr uint32_t kConnectionWindow_bytes = 16 * 1024 * 1024;
inline constexpr uint32_t kStreamWindow_bytes = 1024 * 1024;

// A field whose name and value outlive the frame that carries it: static text, or memory of the stream.
inline nghttp2_nv field(std::string_view name, std::string_view value) noexcept {
  return {reinterpret_cast<uint8_t*>(const_cast<char*>(name.data())),
          reinterpret_cast<uint8_t*>(const_cast<char*>(value.data())), name.size(), value.size(),
          NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE};
}

inline std::string_view text_of(const uint8_t* bytes, size_t size) noexcept {
  return {reinterpret_cast<const char*>(bytes), size};
}
inline std::string_view text_of(nghttp2_rcbuf* buffer) noexcept {
  const nghttp2_vec bytes = nghttp2_rcbuf_get_buf(buffer);
  return text_of(bytes.base, bytes.len);
}

struct WindowOptions {
  uint32_t connection_bytes = kConnectionWindow_bytes;
  uint32_t stream_bytes = kStreamWindow_bytes;
};

class Http2Connection : public Connection {
 public:
  enum class Role : uint8_t { kClient, kServer };

  ~Http2Connection() override;
  Http2Connection(const Http2Connection&) = delete;
  Http2Connection& operator=(const Http2Connection&) = delete;

  // Before the connection goes to its loop; without it, cleartext is spoken.
  void secure(std::unique_ptr<tls::LibraryStream> stream) noexcept { secured_ = std::move(stream); }
  // Null in cleartext.
  tls::LibraryStream* secured() noexcept { return secured_.get(); }
  const tls::LibraryStream* secured() const noexcept { return secured_.get(); }

  void connected() override;
  bool received(std::span<const uint8_t> bytes) override;
  void produce(ByteBuffer& out) override;
  bool wants_write() const override;
  bool is_done() const override;

  // Why it ended, or did not begin, in the words of an operator; "it" is the peer where that is a server. `error` is
  // what closed() was told.
  std::string describe_end(io::Error error) const;
  // Was it the peer's own choice of what to speak, or how, that ended it?
  bool has_failed() const noexcept;

  nghttp2_session* session() noexcept { return session_; }

 protected:
  // `callbacks` are called with this object as `user_data` (as Http2Connection*, which a derived class casts back).
  Http2Connection(Role role, const nghttp2_session_callbacks* callbacks, MemoryPool& memory);

  // The first frames: settings and the connection's window. A server announces how many streams it takes, a client
  // (0) that it wants no pushes.
  void submit_settings(const WindowOptions& windows, uint32_t concurrent_streams_max);
  // Frames may go both ways: the connection stands, and where TLS is spoken the handshake is over.
  virtual void ready() {}
  // A frame of the session's, complete; by default copied as it is. DATA goes another way: send_data_callback.
  virtual void append_frame(ByteBuffer& out, std::span<const uint8_t> frame) { out.append(frame); }
  // Within produce(): where a send_data_callback writes. `is_full` is what bounds one flush.
  ByteBuffer& output() noexcept { return *output_; }
  bool is_output_full() const noexcept { return output_->size() >= Loop::kFlush_bytes; }

 private:
  bool take(std::span<const uint8_t> bytes);
  bool take_secured(std::span<const uint8_t> bytes);
  void produce_frames(ByteBuffer& out);

  nghttp2_session* session_ = nullptr;
  ByteBuffer* output_ = nullptr;
  std::unique_ptr<tls::LibraryStream> secured_;
  ByteBuffer plain_;  // within produce(): what becomes records
  Role role_;
  bool has_connected_ = false;
  bool has_received_ = false;
  std::string failure_;  // in cleartext
};

}  // namespace ringway::session
