// One client of the echo origin: an nghttp2 server session and the state of its streams.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/timer_wheel.h"
#include "byte_buffer.h"
#include "failure_log.h"
#include "http2_connection.h"
#include "request.h"

namespace ringway::echo {

class EchoConnection;

struct StreamLink : base::ListLink {};

// A call being answered. The timer delays the answer; the link is its connection's list.
struct Stream : base::Timer, StreamLink {
  EchoConnection* connection = nullptr;
  int32_t id = 0;
  Answer answer = Answer::kEcho;
  bool has_request_ended = false;
  bool has_response_started = false;
  bool is_deferred = false;       // the session asks for no bytes until it is told there are some
  bool is_delayed = false;        // the timer has not fired yet
  bool has_waited = false;        // it has
  bool is_stopping = false;       // a watch that must end because the process does
  uint64_t zeros_left = 0;        // of a fixed answer's payload
  session::ByteBuffer pending;    // to be sent
  uint32_t uncredited_bytes = 0;  // of `pending`, whose flow-control credit goes back as they leave
  std::unique_ptr<Wishes> wishes;
};

// Streams are kept for the next call, with their memory.
class StreamPool {
 public:
  Stream* take();
  void give_back(Stream* stream);

 private:
  std::vector<std::unique_ptr<Stream>> all_;
  std::vector<Stream*> free_;
};

class EchoConnection : public session::Http2Connection {
 public:
  EchoConnection(session::MemoryPool& memory, StreamPool& pool, FailureLog& failures, uint32_t concurrent_streams_max);
  ~EchoConnection() override;

  void closed(io::Error error) override;
  // No new calls; those that run are finished, watches are ended.
  void drain();
  void delay_passed(Stream& stream);

 private:
  struct Callbacks;
  friend struct Callbacks;

  void take_data(Stream& stream, std::span<const uint8_t> bytes);
  // The first DATA or the end of the request came: the answer begins, unless it is to be delayed.
  void respond(Stream& stream);
  void start_response(Stream& stream);
  void submit_headers(Stream& stream);
  void submit_trailers(Stream& stream);
  void resume(Stream& stream);
  void headers_sent(const nghttp2_frame& frame);
  ssize_t offer_data(Stream& stream, size_t length, uint32_t* flags);
  int write_data(Stream& stream, const uint8_t* frame_header, size_t length);
  void forget(Stream& stream);

  StreamPool& pool_;
  FailureLog& failures_;
  RequestReader reader_;
  base::IntrusiveList<Stream, StreamLink> live_;
  std::vector<Stream*> watches_;
  bool is_draining_ = false;
};

}  // namespace ringway::echo
