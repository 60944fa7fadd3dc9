// One simulated TCP connection. The shard holds one end as a descriptor, a scripted peer the other. Bytes of the peer
// travel: they, its end and its resets arrive in order, later. Bytes of the shard lie in its send buffer until the peer
// reads them.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "io/address.h"
#include "io/ring.h"

namespace ringway::sim {

class Kernel;

// What the peer hears.
class FarEnd {
 public:
  virtual ~FarEnd() = default;
  virtual void on_readable() = 0;  // bytes, or the end, or a failure
  virtual void on_writable() = 0;  // the shard has taken bytes
};

struct LinkOptions {
  size_t send_buffer = 64 * 1024;  // of the shard's end
  uint64_t latency_ns = 50'000;
  uint64_t jitter_ns = 0;
};

struct Link {
  static constexpr size_t kInboundMax = 256 * 1024;

  // The peer's calls.
  size_t room() const { return is_gone() || inbound_size >= kInboundMax ? 0 : kInboundMax - inbound_size; }
  void write(std::string_view bytes);
  void finish();              // its end, behind what was written
  void reset(bool is_lossy);  // at once, or behind what was written
  void vanish();              // nothing goes through any more, and nobody is told
  std::string read(size_t size_max);
  bool has_readable() const { return !outbound.empty() || has_shut_write || far_error != 0; }
  bool is_at_end() const { return outbound.empty() && (has_shut_write || far_error != 0); }
  bool is_gone() const { return far_error != 0 || has_far_reset || is_vanished; }
  void detach() { far = nullptr; }

  // A segment on its way to the shard.
  struct Segment {
    enum class Kind : uint8_t { kBytes, kEnd, kReset } kind;
    uint64_t arrives_ns;
    std::string bytes;
  };

  Kernel* kernel = nullptr;
  FarEnd* far = nullptr;
  uint64_t id = 0;
  bool is_upstream = false;  // made by the shard
  LinkOptions options;
  io::Address peer;

  // The shard's end.
  int fd = -1;  // -1: waits to be accepted
  bool is_open = false;
  std::deque<Segment> travelling;
  size_t inbound_size = 0;  // travelling and arrived
  std::string inbound;      // arrived
  bool has_end_arrived = false;
  int error = 0;           // the next operation gets it, once
  bool is_broken = false;  // has had an error: nothing works any more
  std::string outbound;    // sent by the shard
  bool has_shut_write = false;
  bool has_shut_read = false;
  bool is_closed = false;  // by the shard

  // The peer's end.
  bool has_finished = false;
  bool has_far_closed = false;  // bytes that come now are answered by a reset
  bool has_far_reset = false;
  bool is_vanished = false;
  bool is_timeout_planned = false;
  int far_error = 0;  // what the peer sees: the shard closed with bytes unread, or after a reset

  // Operations of the ring.
  struct Armed {
    bool is_armed = false;
    io::Token token;
  };
  Armed receive;
  Armed connecting;
  struct Sending : Armed {
    const uint8_t* bytes = nullptr;
    size_t size = 0;
    size_t done = 0;
    std::string copy;
  } sending;

 private:
  void plan(Segment::Kind kind, std::string_view bytes);
};

}  // namespace ringway::sim
