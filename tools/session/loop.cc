#include "loop.h"

#include <sys/socket.h>

#include <algorithm>

#include "base/units.h"

namespace ringway::session {
namespace {

enum Operation : uint8_t { kAccept, kConnect, kReceive, kSend, kCancel, kCancelAccept, kStop };

}  // namespace

void Connection::mark_dirty() {
  if (is_dirty_ || is_closing_) return;
  is_dirty_ = true;
  loop_->dirty_.push_back(slot_);
}

void Connection::abort() {
  loop_->close(*this, {});
}

Loop::Loop(LoopOwner& owner, io::Ring ring)
    : owner_(owner), ring_(std::move(ring)), now_ns_(base::monotonic_ns()), timers_(now_ns_) {}

Loop::~Loop() = default;

std::expected<std::unique_ptr<Loop>, std::string> Loop::create(LoopOwner& owner, const LoopOptions& options) {
  auto ring = io::Ring::create({.submission_entries = 4096, .completion_entries = 16384});
  if (!ring) return std::unexpected(ring.error());
  std::unique_ptr<Loop> loop(new Loop(owner, std::move(*ring)));
  if (auto enabled = loop->ring_.enable(); !enabled) return std::unexpected(enabled.error());
  auto buffers = io::BufferRing::create(loop->ring_, 0, options.buffer_count, options.buffer_bytes);
  if (!buffers) return std::unexpected(buffers.error());
  loop->buffers_ = std::make_unique<io::BufferRing>(std::move(*buffers));
  loop->completions_.reserve(4096);
  return loop;
}

void Loop::listen(int listening_fd) {
  listener_ = listening_fd;
}

void Loop::stop_listening() {
  if (is_accepting_) ring_.cancel({.operation = kAccept}, {.operation = kCancelAccept});
  listener_ = -1;
}

void Loop::watch_stop(int stop_fd) {
  ring_.poll_readable_multishot(stop_fd, {.operation = kStop});
}

uint32_t Loop::adopt(std::unique_ptr<Connection> connection, io::Fd fd) {
  if (free_.empty()) {
    free_.push_back(static_cast<uint32_t>(connections_.size()));
    connections_.emplace_back();
  }
  const uint32_t slot = free_.back();
  free_.pop_back();
  connection->loop_ = this;
  connection->slot_ = slot;
  connection->fd_ = std::move(fd);
  connections_[slot] = std::move(connection);
  ++live_count_;
  return slot;
}

std::expected<void, io::Error> Loop::connect(const io::Address& address, std::unique_ptr<Connection> connection) {
  auto fd = io::stream_socket(address, 0);
  if (!fd) return std::unexpected(fd.error());
  Connection& adopted = *connections_[adopt(std::move(connection), std::move(*fd))];
  adopted.address_ = address;
  ring_.connect(adopted.fd_.get(), adopted.address_, {.operation = kConnect, .slot = adopted.slot_});
  ++adopted.pending_count_;
  return {};
}

void Loop::run() {
  while (!is_finished_ && !(is_finishing_when_empty_ && live_count_ == 0)) {
    if (!is_accepting_ && listener_ >= 0 && !has_no_descriptors_) {
      is_accepting_ = true;
      ring_.accept_multishot(listener_, {.operation = kAccept});
    }
    turn();
  }
}

void Loop::turn() {
  const uint64_t deadline_ns = must_return_soon_ ? 0 : std::min(timers_.next_ns(), owner_.next_wanted_ns());
  // The clock is read for the wait only where the wait has an end.
  ring_.enter(deadline_ns == 0 || deadline_ns == base::kNever_ns ? now_ns_ : base::monotonic_ns(), deadline_ns);
  collect_completions();
  now_ns_ = base::monotonic_ns();
  must_return_soon_ = false;
  // Reports of sends come first: what then reports nothing has succeeded.
  for (const io::Completion& completion : completions_) {
    if (completion.token.operation == kSend) handle(completion);
  }
  settle_sends();
  for (const io::Completion& completion : completions_) {
    if (completion.token.operation != kSend) handle(completion);
  }
  timers_.advance(now_ns_, [this](base::Timer& timer) { owner_.timer_due(timer); });
  owner_.turn_ending();
  flush_dirty();
  if (!closing_.empty()) remove_closed();
  // Every buffer was parsed in this turn, so there are buffers again for those that ran out.
  for (const uint32_t slot : starved_) {
    Connection* connection = connections_[slot].get();
    if (connection != nullptr && !connection->is_closing_ && !connection->is_receiving_) arm_receive(*connection);
  }
  starved_.clear();
  buffers_->publish();
}

// Everything is copied out before anything is acted on, and the queue must have been seen empty: a send whose failure
// was missed would leave a gap in its stream (DESIGN 3.5c).
void Loop::collect_completions() {
  completions_.clear();
  settling_.swap(unsettled_);
  io::Completion batch[256];
  for (int round = 0;; ++round) {
    while (const size_t count = ring_.drain(batch)) completions_.insert(completions_.end(), batch, batch + count);
    // Deferred work alone hides no report of a send (those are posted while it is submitted), so it is looked for a few
    // times only and cannot keep us here; an overflow can, until it is gone.
    if (ring_.settled() || (round >= 4 && !ring_.has_overflowed())) return;
    ring_.enter(0, 0);
  }
}

void Loop::handle(const io::Completion& completion) {
  const uint32_t slot = completion.token.slot;
  switch (static_cast<Operation>(completion.token.operation)) {
    case kAccept: handle_accept(completion); return;
    case kStop: owner_.stop_wanted(); return;
    case kCancelAccept: return;
    case kConnect: handle_connect(*connections_[slot], completion.result); return;
    case kReceive: handle_receive(*connections_[slot], completion); return;
    case kSend: handle_send(*connections_[slot], completion.result); return;
    case kCancel: --connections_[slot]->pending_count_; return;
  }
}

void Loop::handle_accept(const io::Completion& completion) {
  if (!completion.has_more) is_accepting_ = false;
  if (completion.result < 0) {
    has_no_descriptors_ =
        io::error_from_errno(completion.result).kind == io::ErrorKind::kNoDescriptors && live_count_ != 0;
    return;
  }
  io::Fd fd(completion.result);
  if (listener_ < 0) return;
  auto accepted = owner_.accepted();
  if (!accepted) return;
  io::set_stream_options(fd.get(), 0);
  Connection& connection = *connections_[adopt(std::move(accepted), std::move(fd))];
  connection.is_open_ = true;
  arm_receive(connection);
  connection.connected();
  connection.mark_dirty();
}

void Loop::handle_connect(Connection& connection, int32_t result) {
  --connection.pending_count_;
  if (connection.is_closing_) return;
  if (result < 0) {
    close(connection, io::error_from_errno(result));
    return;
  }
  connection.is_open_ = true;
  arm_receive(connection);
  connection.connected();
  connection.mark_dirty();
}

void Loop::arm_receive(Connection& connection) {
  ring_.recv_multishot(connection.fd_.get(), buffers_->group(), {.operation = kReceive, .slot = connection.slot_});
  connection.is_receiving_ = true;
  ++connection.pending_count_;
}

void Loop::handle_receive(Connection& connection, const io::Completion& completion) {
  if (!completion.has_more) {
    connection.is_receiving_ = false;
    --connection.pending_count_;
  }
  if (completion.has_buffer) {
    if (!connection.is_closing_ && !connection.is_ending_ && completion.result > 0) {
      connection.received_bytes_ += static_cast<uint64_t>(completion.result);
      if (!connection.received(buffers_->bytes(completion.buffer, static_cast<size_t>(completion.result)))) {
        connection.is_ending_ = true;
      }
      connection.mark_dirty();
    }
    buffers_->recycle(completion.buffer);
  }
  if (connection.is_closing_) return;
  if (completion.result == 0) {
    // HTTP/2 has no use for half a connection.
    close(connection, {});
  } else if (completion.result < 0) {
    const io::Error error = io::error_from_errno(completion.result);
    if (error.kind == io::ErrorKind::kNoBuffers) {
      starved_.push_back(connection.slot_);
    } else {
      close(connection, error);
    }
  } else if (!completion.has_more) {
    arm_receive(connection);
  }
}

void Loop::handle_send(Connection& connection, int32_t result) {
  // Of an optimistic send only the report is counted, here; a waiting send was counted when it was queued.
  const bool was_optimistic = connection.send_ == Connection::SendState::kOptimistic;
  connection.send_ = Connection::SendState::kIdle;
  if (!was_optimistic) --connection.pending_count_;
  if (connection.is_closing_) return;
  if (result < 0 && !(was_optimistic && io::error_from_errno(result).kind == io::ErrorKind::kWouldBlock)) {
    close(connection, io::error_from_errno(result));
    return;
  }
  if (result > 0) {
    connection.sent_bytes_ += static_cast<uint64_t>(result);
    connection.out_.take_front(static_cast<size_t>(result));
  }
  if (connection.out_.is_empty()) {
    sent(connection);
    return;
  }
  ring_.send_waiting(connection.fd_.get(), connection.out_.bytes(), {.operation = kSend, .slot = connection.slot_});
  connection.send_ = Connection::SendState::kWaiting;
  ++connection.pending_count_;
}

// Sends that were taken by the kernel and reported nothing have succeeded.
void Loop::settle_sends() {
  for (const Unsettled& entry : settling_) {
    Connection* connection = connections_[entry.slot].get();
    if (connection == nullptr || connection->send_ != Connection::SendState::kOptimistic ||
        connection->mark_ != entry.mark) {
      continue;
    }
    if (!ring_.is_consumed(entry.mark)) {
      unsettled_.push_back(entry);
      must_return_soon_ = true;
      continue;
    }
    connection->send_ = Connection::SendState::kIdle;
    connection->sent_bytes_ += connection->out_.size();
    connection->out_.clear();
    if (!connection->is_closing_) sent(*connection);
  }
  settling_.clear();
}

// The socket is free again.
void Loop::sent(Connection& connection) {
  if (connection.is_ending_ || connection.is_done() || connection.wants_write()) connection.mark_dirty();
}

void Loop::flush_dirty() {
  // Connections that become dirty meanwhile are appended and flushed too.
  for (size_t i = 0; i < dirty_.size(); ++i) {
    Connection* connection = connections_[dirty_[i]].get();
    if (connection == nullptr) continue;
    connection->is_dirty_ = false;
    if (!connection->is_closing_ && connection->is_open_) flush(*connection);
  }
  dirty_.clear();
}

void Loop::flush(Connection& connection) {
  if (connection.send_ != Connection::SendState::kIdle) return;  // sent() marks it dirty again
  connection.produce(connection.out_);
  if (connection.out_.is_empty()) {
    if (connection.is_ending_ || connection.is_done()) close(connection, {});
    return;
  }
  connection.mark_ = ring_.send_or_report(connection.fd_.get(), connection.out_.bytes(),
                                          {.operation = kSend, .slot = connection.slot_});
  connection.send_ = Connection::SendState::kOptimistic;
  unsettled_.push_back({connection.slot_, connection.mark_});
  // What stands behind a send that will post nothing must not wait for another event.
  if (connection.is_ending_ || connection.is_done() || connection.wants_write()) must_return_soon_ = true;
}

void Loop::close(Connection& connection, io::Error error) {
  if (connection.is_closing_) return;
  connection.is_closing_ = true;
  connection.error_ = error;
  closing_.push_back(connection.slot_);
  must_return_soon_ = true;
  if (connection.pending_count_ == 0) return;
  ring_.cancel_fd(connection.fd_.get(), {.operation = kCancel, .slot = connection.slot_});
  ++connection.pending_count_;
}

// A connection goes when none of its operations can post any more and none of its sends is unsettled (DESIGN 3.5d).
void Loop::remove_closed() {
  size_t kept = 0;
  for (size_t i = 0; i < closing_.size(); ++i) {
    const uint32_t slot = closing_[i];
    Connection& connection = *connections_[slot];
    if (connection.pending_count_ != 0 || connection.send_ != Connection::SendState::kIdle) {
      if (connection.send_ == Connection::SendState::kOptimistic) must_return_soon_ = true;
      closing_[kept++] = slot;
      continue;
    }
    const auto gone = std::move(connections_[slot]);
    free_.push_back(slot);
    --live_count_;
    has_no_descriptors_ = false;
    gone->closed(gone->error_);
  }
  closing_.resize(kept);
}

}  // namespace ringway::session
