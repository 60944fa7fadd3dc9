// The relay: for each accepted connection one upstream connection, bytes copied both ways straight from the receive
// buffers. One thread, one ring.
//
// A receive buffer belongs to the relay from its completion until the send that carries it is known to be done: by the
// rules of DESIGN 3.5 a send that succeeds posts no completion, so it is done when its submission was taken by the
// kernel and the completion queue was seen empty afterwards without a report.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "io/address.h"
#include "io/buffer_ring.h"
#include "io/ring.h"
#include "io/socket.h"

namespace ringway::relay {

struct RelayOptions {
  io::Address upstream;
  uint32_t buffer_count;  // rounded up to a power of two
  uint32_t buffer_bytes;
};

class Relay {
 public:
  // The error is a sentence for the operator.
  static std::expected<std::unique_ptr<Relay>, std::string> create(const RelayOptions& options);

  // Relays until `stop` is readable; then closes everything and returns.
  void run(const io::Fd& listener, const io::Fd& stop);

 private:
  // Received bytes that are still to be sent: in their receive buffer, or copied aside.
  struct Piece {
    uint16_t buffer;
    uint32_t offset;
    uint32_t end;
    std::unique_ptr<uint8_t[]> copy;  // null: the bytes are in `buffer`
  };

  //            queue a send                 consumed, no report
  //   kIdle ------------------> kOptimistic --------------------> kIdle
  //     ^                            | report: short or EAGAIN
  //     +---- completion ---- kWaiting (send_waiting, always posts)
  enum class SendState : uint8_t { kIdle, kOptimistic, kWaiting };

  // One socket of a pair: what is received from it, and what is queued to be sent to it.
  struct Side {
    io::Fd fd;
    bool is_receiving = false;  // a multishot receive is armed
    bool is_paused = false;     // its bytes are not wanted now: the other socket takes them too slowly
    bool has_ended = false;     // end of stream was received
    bool is_shut = false;       // we have ended the stream towards it
    SendState send = SendState::kIdle;
    uint32_t mark = 0;         // of the optimistic send
    std::vector<Piece> queue;  // from queue_head on
    size_t queue_head = 0;

    size_t queued_count() const noexcept { return queue.size() - queue_head; }
  };

  struct Pair {
    Side sides[2];               // 0: downstream, 1: upstream
    uint32_t pending_count = 0;  // operations whose completion is still to come
    bool is_open = false;        // the upstream connection stands
    bool is_closing = false;
  };

  explicit Relay(const RelayOptions& options, io::Ring ring) : options_(options), ring_(std::move(ring)) {}

  // A send whose success will post nothing.
  struct Unsettled {
    uint32_t index;
    uint32_t side;
    uint32_t mark;
  };

  void turn(bool may_wait);
  void collect_completions();
  void handle(const io::Completion& completion);
  void handle_accept(const io::Completion& completion);
  void handle_connect(uint32_t index, int32_t result);
  void handle_receive(uint32_t index, uint32_t side, const io::Completion& completion);
  void handle_send(uint32_t index, uint32_t side, int32_t result);
  void settle_sends();
  void send_next(uint32_t index, uint32_t side);
  void enqueue(Side& side, uint16_t buffer, uint32_t size);
  std::span<const uint8_t> bytes_of(const Piece& piece) const noexcept;
  void finish_piece(Side& side);
  void arm_receive(uint32_t index, uint32_t side);
  void rearm_starved();
  void close_pair(uint32_t index);
  void free_if_quiet(uint32_t index);

  RelayOptions options_;
  io::Ring ring_;
  std::unique_ptr<io::BufferRing> buffers_;
  uint32_t held_count_ = 0;  // buffers that wait for a send, at most half of them
  int listener_ = -1;
  bool is_stopping_ = false;
  bool is_accepting_ = false;
  bool has_no_descriptors_ = false;  // accepting waits until a pair is closed
  bool must_return_soon_ = false;    // work waits for a send that will post nothing: do not sleep
  std::vector<std::unique_ptr<Pair>> pairs_;
  std::vector<uint32_t> free_;
  std::vector<Unsettled> unsettled_;  // queued since the last settlement
  std::vector<Unsettled> settling_;
  std::vector<uint64_t> starved_;  // receives that ended because the buffer ring was empty
  std::vector<io::Completion> completions_;
};

}  // namespace ringway::relay
