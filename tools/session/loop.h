// One thread's ring and the connections on it: reads, sends, timers, and nothing of HTTP. A turn: wait, copy the
// completions out, read the clock once, act, flush each dirty connection once.
//
// Sending is by the rules of DESIGN 3.5: one send in flight per socket, whose success posts no completion; it is known
// to be done when its submission was taken and the queue was then seen empty without a report about it.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/timer_wheel.h"
#include "byte_buffer.h"
#include "io/address.h"
#include "io/buffer_ring.h"
#include "io/ring.h"
#include "io/socket.h"

namespace ringway::session {

class Loop;

// A socket on a loop. Owned by the loop from adopt() or connect() until after closed(); calls come on the loop's
// thread.
class Connection {
 public:
  virtual ~Connection() = default;

  // The connection stands; bytes may follow.
  virtual void connected() {}
  // Bytes arrived, valid during the call. False ends the connection once what is queued was flushed.
  virtual bool received(std::span<const uint8_t> bytes) = 0;
  // Appends to `out` what is to be sent now, about Loop::kFlush_bytes at most.
  virtual void produce(ByteBuffer& out) = 0;
  // More could be produced at once.
  virtual bool wants_write() const = 0;
  // Nothing is left to send or to expect: the loop may close the socket.
  virtual bool is_done() const = 0;
  // The last call. No error: the peer ended the connection, or we did.
  virtual void closed(io::Error error) = 0;

  // Asks for a flush at the end of the turn.
  void mark_dirty();
  // Ends the connection now, without flushing.
  void abort();
  Loop& loop() noexcept { return *loop_; }
  uint64_t sent_bytes() const noexcept { return sent_bytes_; }
  uint64_t received_bytes() const noexcept { return received_bytes_; }

 private:
  friend class Loop;

  //            flush                 taken, no report
  //   kIdle ---------> kOptimistic --------------------> kIdle
  //     ^                  | report: short or EAGAIN
  //     +-- completion -- kWaiting
  enum class SendState : uint8_t { kIdle, kOptimistic, kWaiting };

  Loop* loop_ = nullptr;
  uint32_t slot_ = 0;
  io::Fd fd_;
  io::Address address_;  // of a connect, which the kernel reads until it completes
  ByteBuffer out_;
  uint32_t mark_ = 0;
  uint32_t pending_count_ = 0;  // operations whose completion is still to come
  SendState send_ = SendState::kIdle;
  bool is_open_ = false;
  bool is_receiving_ = false;
  bool is_dirty_ = false;
  bool is_ending_ = false;  // closes when the last flush has left
  bool is_closing_ = false;
  io::Error error_;
  uint64_t sent_bytes_ = 0;
  uint64_t received_bytes_ = 0;
};

// What the loop asks its owner.
class LoopOwner {
 public:
  virtual ~LoopOwner() = default;
  // A connection for an accepted socket; null refuses it.
  virtual std::unique_ptr<Connection> accepted() { return nullptr; }
  // A timer of the loop's wheel is due.
  virtual void timer_due(base::Timer&) {}
  // Once a turn, after completions and timers, before the flush.
  virtual void turn_ending() {}
  // The next moment at which a turn is wanted even if nothing happens; kNever_ns if there is none.
  virtual uint64_t next_wanted_ns() { return base::kNever_ns; }
  // The stop signal came (once).
  virtual void stop_wanted() = 0;
};

struct LoopOptions {
  uint32_t buffer_count = 128;  // a power of two
  uint32_t buffer_bytes = 16 * 1024;
};

class Loop {
 public:
  static constexpr size_t kFlush_bytes = 128 * 1024;

  // On the thread that runs it. The error is a sentence for the operator.
  static std::expected<std::unique_ptr<Loop>, std::string> create(LoopOwner& owner, const LoopOptions& options);
  ~Loop();

  void listen(int listening_fd);
  // Takes no more connections; the descriptor stays the caller's.
  void stop_listening();
  void watch_stop(int stop_fd);
  // Starts a connection; its connected() or closed() follows in a later turn. False: no socket (the error is kept).
  std::expected<void, io::Error> connect(const io::Address& address, std::unique_ptr<Connection> connection);

  // Turns until finish(), or until `is_finishing_when_empty` and the last connection has closed.
  void run();
  void finish() noexcept { is_finished_ = true; }
  void finish_when_empty() noexcept { is_finishing_when_empty_ = true; }

  uint64_t now_ns() const noexcept { return now_ns_; }
  base::TimerWheel& timers() noexcept { return timers_; }
  uint32_t connection_count() const noexcept { return live_count_; }
  const io::RingCounters& ring_counters() const noexcept { return ring_.counters(); }

  template <typename Visit>
  void for_each_connection(Visit&& visit) {
    for (auto& connection : connections_) {
      if (connection && !connection->is_closing_) visit(*connection);
    }
  }

 private:
  friend class Connection;

  struct Unsettled {
    uint32_t slot;
    uint32_t mark;
  };

  Loop(LoopOwner& owner, io::Ring ring);

  void turn();
  void collect_completions();
  void handle(const io::Completion& completion);
  void handle_accept(const io::Completion& completion);
  void handle_connect(Connection& connection, int32_t result);
  void handle_receive(Connection& connection, const io::Completion& completion);
  void handle_send(Connection& connection, int32_t result);
  void settle_sends();
  void flush_dirty();
  void flush(Connection& connection);
  void sent(Connection& connection);
  uint32_t adopt(std::unique_ptr<Connection> connection, io::Fd fd);
  void arm_receive(Connection& connection);
  void close(Connection& connection, io::Error error);
  void remove_closed();

  LoopOwner& owner_;
  io::Ring ring_;
  std::unique_ptr<io::BufferRing> buffers_;
  uint64_t now_ns_;
  base::TimerWheel timers_;
  int listener_ = -1;
  bool is_accepting_ = false;
  bool has_no_descriptors_ = false;  // accepting waits until a connection is closed
  bool is_finished_ = false;
  bool is_finishing_when_empty_ = false;
  bool must_return_soon_ = false;  // something waits for a send that will post nothing: do not sleep
  uint32_t live_count_ = 0;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::vector<uint32_t> free_;
  std::vector<uint32_t> dirty_;
  std::vector<uint32_t> closing_;
  std::vector<uint32_t> starved_;  // receives that ended because the buffer ring was empty
  std::vector<Unsettled> unsettled_;
  std::vector<Unsettled> settling_;
  std::vector<io::Completion> completions_;
};

}  // namespace ringway::session
