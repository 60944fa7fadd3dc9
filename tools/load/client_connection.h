// One connection of the load generator: an nghttp2 client session whose request header blocks are encoded by
// HeaderEncoder. It knows calls and bytes; when calls start and what becomes of them is its worker's.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/prng.h"
#include "header_encoder.h"
#include "http2_connection.h"

namespace ringway::load {

class ClientConnection;

// One call slot of a connection, used again and again.
struct Call {
  ClientConnection* connection = nullptr;
  uint32_t seat = 0;         // of the worker that it belongs to
  int32_t id = 0;            // of its stream; 0: free
  int32_t grpc_status = -1;  // -1: none came
  int32_t http_status = 0;
  uint32_t path = 0;  // which of the paths
  uint64_t intended_ns = 0;
  uint64_t sent_ns = 0;       // when it was handed to the connection
  uint64_t sent_bytes = 0;    // of messages
  uint64_t unsent_bytes = 0;  // of messages that may be sent now
  uint64_t received_bytes = 0;
  uint64_t held_messages = 0;  // wait for the echo of the one before
  bool is_deferred = false;    // the session asks for no bytes until it is told there are some
  bool has_ended = false;      // the peer ended its side
};

enum class Outcome : uint8_t { kAnswered, kReset, kConnectionGoingAway, kConnectionLost };

// What was wrong with how the call ended, as a kind of error; empty if it ended with grpc-status 0.
std::string failure_of(const Call& call, Outcome outcome, uint32_t reset_code);

// What the connection tells its worker.
class CallOwner {
 public:
  virtual ~CallOwner() = default;
  virtual void connection_ready(ClientConnection&) = 0;
  virtual void connection_leaving(ClientConnection&) = 0;  // GOAWAY came: no more calls
  virtual void connection_closed(ClientConnection&, io::Error) = 0;
  // `reset_code` is the RST_STREAM code where the peer, or a GOAWAY, ended the call.
  virtual void call_finished(Call&, Outcome, uint32_t reset_code) = 0;
};

// What all calls of a run have in common; outlives the connections.
struct CallShape {
  FieldList fields;
  std::vector<uint32_t> fixed;  // fields of every request, in order, after the path
  uint32_t first_path = 0;      // fields: one per path, consecutive
  uint32_t method = 0;
  uint32_t scheme = 0;
  bool varies_metadata = false;
  uint32_t grpc_timeout = 0;
  uint32_t traceparent = 0;
  uint32_t authorization = 0;
  std::vector<uint8_t> message;  // one message with its gRPC prefix
  uint64_t message_count = 1;
  bool is_pipelined = false;
  session::WindowOptions windows;
};

class ClientConnection : public session::Http2Connection {
 public:
  ClientConnection(CallOwner& owner, session::MemoryPool& memory, const CallShape& shape, uint32_t seat, uint64_t seed);

  void start(Call& call);
  uint32_t seat() const noexcept { return seat_; }
  bool is_leaving() const noexcept { return is_leaving_; }
  // From the connection's standing to the handshake's end; 0 before it, and in cleartext.
  uint64_t handshake_ns() const noexcept { return handshake_ns_; }

  void connected() override;
  void closed(io::Error error) override { owner_.connection_closed(*this, error); }

 private:
  struct Callbacks;
  friend struct Callbacks;

  void ready() override;
  void append_frame(session::ByteBuffer& out, std::span<const uint8_t> frame) override;
  void encode_request(session::ByteBuffer& out, const Call& call);
  void encode_varying(session::ByteBuffer& out);
  ssize_t offer_data(Call& call, size_t length, uint32_t* flags);
  int write_data(Call& call, const uint8_t* frame_header, size_t length);
  void take_data(Call& call, size_t size);
  void take_header(Call& call, std::string_view name, std::string_view value);
  void take_settings();
  void peer_ended(Call& call);

  CallOwner& owner_;
  const CallShape& shape_;
  HeaderEncoder encoder_;
  base::Prng prng_;
  uint32_t seat_;
  bool is_leaving_ = false;
  bool has_settings_ = false;
  uint64_t connected_ns_ = 0;
  uint64_t handshake_ns_ = 0;
};

}  // namespace ringway::load
