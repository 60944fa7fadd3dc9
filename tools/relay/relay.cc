#include "relay.h"

#include <sys/socket.h>

#include <bit>
#include <cstring>

#include "base/units.h"

namespace ringway::relay {
namespace {

enum Operation : uint8_t { kAccept, kConnect, kReceive, kSend, kShutdown, kCancel, kStop };

// Seven bits of operation, and the side of the pair in the lowest bit.
constexpr uint8_t coded(Operation operation, uint32_t side) {
  return static_cast<uint8_t>(uint32_t{operation} << 1 | side);
}

// A direction with this many pieces queued is read no further until it has sent half of them: what one slow reader can
// make us hold is bounded.
constexpr size_t kHeldMax = 16;

// A socket whose peer reset it must be seen as reset by the other peer too, not as a clean end.
void close_hard(io::Fd& fd) {
  const linger now{1, 0};
  setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
  fd.close();
}

}  // namespace

std::expected<std::unique_ptr<Relay>, std::string> Relay::create(const RelayOptions& options) {
  auto ring = io::Ring::create({.submission_entries = 4096, .completion_entries = 16384});
  if (!ring) return std::unexpected(ring.error());
  std::unique_ptr<Relay> relay(new Relay(options, std::move(*ring)));
  if (auto enabled = relay->ring_.enable(); !enabled) return std::unexpected(enabled.error());
  auto buffers = io::BufferRing::create(relay->ring_, 0, std::bit_ceil(options.buffer_count), options.buffer_bytes);
  if (!buffers) return std::unexpected(buffers.error());
  relay->buffers_ = std::make_unique<io::BufferRing>(std::move(*buffers));
  relay->completions_.reserve(4096);
  return relay;
}

void Relay::run(const io::Fd& listener, const io::Fd& stop) {
  listener_ = listener.get();
  ring_.poll_readable_multishot(stop.get(), {.operation = coded(kStop, 0)});
  while (!is_stopping_) {
    if (!is_accepting_ && !has_no_descriptors_) {
      is_accepting_ = true;
      ring_.accept_multishot(listener_, {.operation = coded(kAccept, 0)});
    }
    turn(!must_return_soon_);
  }
}

void Relay::turn(bool may_wait) {
  ring_.enter(0, may_wait ? base::kNever_ns : 0);
  collect_completions();
  must_return_soon_ = false;
  // Reports of sends come first: what then reports nothing has succeeded, and new bytes find the sockets free.
  for (const io::Completion& completion : completions_) {
    if (completion.token.operation >> 1 == kSend) handle(completion);
  }
  settle_sends();
  for (const io::Completion& completion : completions_) {
    if (completion.token.operation >> 1 != kSend) handle(completion);
  }
  if (!starved_.empty()) rearm_starved();
  buffers_->publish();
}

// Everything is copied out before anything is acted on, and the queue must have been seen empty: a report that was
// missed would let us free a buffer that is still to be sent (DESIGN 3.5c).
void Relay::collect_completions() {
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

void Relay::handle(const io::Completion& completion) {
  const auto operation = static_cast<Operation>(completion.token.operation >> 1);
  const uint32_t side = completion.token.operation & 1;
  const uint32_t index = completion.token.slot;
  switch (operation) {
    case kAccept: handle_accept(completion); return;
    case kStop: is_stopping_ = true; return;
    case kReceive: handle_receive(index, side, completion); break;
    case kSend: handle_send(index, side, completion.result); break;
    case kConnect:
      --pairs_[index]->pending_count;
      handle_connect(index, completion.result);
      break;
    case kShutdown:
    case kCancel: --pairs_[index]->pending_count; break;
  }
  free_if_quiet(index);
}

void Relay::handle_accept(const io::Completion& completion) {
  if (!completion.has_more) is_accepting_ = false;
  if (completion.result < 0) {
    const bool is_full = io::error_from_errno(completion.result).kind == io::ErrorKind::kNoDescriptors;
    has_no_descriptors_ = is_full && free_.size() < pairs_.size();
    return;
  }
  io::Fd accepted(completion.result);
  auto upstream = io::stream_socket(options_.upstream, 0);
  if (!upstream) {
    close_hard(accepted);
    return;
  }
  if (free_.empty()) {
    free_.push_back(static_cast<uint32_t>(pairs_.size()));
    pairs_.push_back(std::make_unique<Pair>());
  }
  const uint32_t index = free_.back();
  free_.pop_back();
  Pair& pair = *pairs_[index];
  pair = Pair{};
  io::set_stream_options(accepted.get(), 0);
  pair.sides[0].fd = std::move(accepted);
  pair.sides[1].fd = std::move(*upstream);
  ring_.connect(pair.sides[1].fd.get(), options_.upstream, {.operation = coded(kConnect, 1), .slot = index});
  ++pair.pending_count;
}

void Relay::handle_connect(uint32_t index, int32_t result) {
  Pair& pair = *pairs_[index];
  if (result < 0) {
    close_pair(index);
    return;
  }
  pair.is_open = true;
  arm_receive(index, 0);
  arm_receive(index, 1);
}

void Relay::arm_receive(uint32_t index, uint32_t side) {
  Pair& pair = *pairs_[index];
  ring_.recv_multishot(pair.sides[side].fd.get(), buffers_->group(),
                       {.operation = coded(kReceive, side), .slot = index});
  pair.sides[side].is_receiving = true;
  ++pair.pending_count;
}

void Relay::handle_receive(uint32_t index, uint32_t side, const io::Completion& completion) {
  Pair& pair = *pairs_[index];
  Side& from = pair.sides[side];
  Side& to = pair.sides[1 - side];
  if (!completion.has_more) {
    from.is_receiving = false;
    --pair.pending_count;
  }
  if (completion.has_buffer) {
    if (pair.is_closing || completion.result <= 0) {
      buffers_->recycle(completion.buffer);
    } else {
      enqueue(to, completion.buffer, static_cast<uint32_t>(completion.result));
    }
  }
  if (pair.is_closing) return;
  if (completion.result == 0) {
    from.has_ended = true;
  } else if (completion.result < 0) {
    const io::ErrorKind kind = io::error_from_errno(completion.result).kind;
    if (kind == io::ErrorKind::kNoBuffers) {
      starved_.push_back(uint64_t{index} << 1 | side);
      return;
    }
    if (kind != io::ErrorKind::kCancelled) {
      close_pair(index);
      return;
    }
  } else if (to.queued_count() >= kHeldMax && from.is_receiving && !from.is_paused) {
    from.is_paused = true;
    ring_.cancel({.operation = coded(kReceive, side), .slot = index},
                 {.operation = coded(kCancel, side), .slot = index});
    ++pair.pending_count;
  } else if (!completion.has_more && !from.is_paused) {
    arm_receive(index, side);
  }
  send_next(index, 1 - side);
}

void Relay::handle_send(uint32_t index, uint32_t side, int32_t result) {
  Pair& pair = *pairs_[index];
  Side& to = pair.sides[side];
  // Of an optimistic send only the report is counted, here; a waiting send was counted when it was queued.
  const bool was_optimistic = to.send == SendState::kOptimistic;
  to.send = SendState::kIdle;
  if (!was_optimistic) --pair.pending_count;
  if (pair.is_closing) return;
  if (result < 0 && !(was_optimistic && io::error_from_errno(result).kind == io::ErrorKind::kWouldBlock)) {
    close_pair(index);
    return;
  }
  Piece& piece = to.queue[to.queue_head];
  if (result > 0) piece.offset += static_cast<uint32_t>(result);
  if (piece.offset < piece.end) {
    ring_.send_waiting(to.fd.get(), bytes_of(piece), {.operation = coded(kSend, side), .slot = index});
    to.send = SendState::kWaiting;
    ++pair.pending_count;
    return;
  }
  finish_piece(to);
  send_next(index, side);
}

// Sends that were taken by the kernel and reported nothing have succeeded.
void Relay::settle_sends() {
  for (const Unsettled& entry : settling_) {
    Side& to = pairs_[entry.index]->sides[entry.side];
    if (to.send != SendState::kOptimistic || to.mark != entry.mark) continue;
    if (!ring_.is_consumed(to.mark)) {
      unsettled_.push_back(entry);
      must_return_soon_ = true;
      continue;
    }
    to.send = SendState::kIdle;
    if (!pairs_[entry.index]->is_closing) {
      finish_piece(to);
      send_next(entry.index, entry.side);
    }
    free_if_quiet(entry.index);
  }
  settling_.clear();
}

// Bytes stay in their receive buffer until they are sent, unless half of all buffers wait like this: then they are
// copied, so that sockets that take nothing can never leave the others, or the way back, without a buffer.
void Relay::enqueue(Side& side, uint16_t buffer, uint32_t size) {
  if (held_count_ < buffers_->count() / 2) {
    ++held_count_;
    side.queue.push_back({buffer, 0, size, nullptr});
    return;
  }
  auto copy = std::make_unique_for_overwrite<uint8_t[]>(size);
  std::memcpy(copy.get(), buffers_->bytes(buffer, size).data(), size);
  buffers_->recycle(buffer);
  side.queue.push_back({0, 0, size, std::move(copy)});
}

std::span<const uint8_t> Relay::bytes_of(const Piece& piece) const noexcept {
  if (piece.copy) return {piece.copy.get() + piece.offset, piece.end - piece.offset};
  return buffers_->bytes(piece.buffer, piece.end).subspan(piece.offset);
}

void Relay::finish_piece(Side& side) {
  Piece& piece = side.queue[side.queue_head];
  if (piece.copy) {
    piece.copy.reset();
  } else {
    buffers_->recycle(piece.buffer);
    --held_count_;
  }
  if (++side.queue_head == side.queue.size()) {
    side.queue.clear();
    side.queue_head = 0;
  }
}

void Relay::send_next(uint32_t index, uint32_t side) {
  Pair& pair = *pairs_[index];
  Side& to = pair.sides[side];
  Side& from = pair.sides[1 - side];
  if (from.is_paused && !from.is_receiving && to.queued_count() <= kHeldMax / 2) {
    from.is_paused = false;
    if (!from.has_ended) arm_receive(index, 1 - side);
  }
  if (to.send != SendState::kIdle) {
    // More stands behind a send that will post nothing when it succeeds.
    if (to.send == SendState::kOptimistic) must_return_soon_ = true;
    return;
  }
  if (to.queued_count() != 0) {
    const Piece& piece = to.queue[to.queue_head];
    to.mark = ring_.send_or_report(to.fd.get(), bytes_of(piece), {.operation = coded(kSend, side), .slot = index});
    to.send = SendState::kOptimistic;
    unsettled_.push_back({index, side, to.mark});
    if (to.queued_count() > 1 || from.has_ended || from.is_paused) must_return_soon_ = true;
  } else if (from.has_ended && !to.is_shut) {
    to.is_shut = true;
    if (from.is_shut) {
      close_pair(index);
    } else {
      ring_.shutdown_write(to.fd.get(), {.operation = coded(kShutdown, side), .slot = index});
      ++pair.pending_count;
    }
  }
}

// At most half of the buffers wait for a send, so the others are back by now.
void Relay::rearm_starved() {
  std::vector<uint64_t> starved;
  starved.swap(starved_);
  for (const uint64_t entry : starved) {
    Pair& pair = *pairs_[entry >> 1];
    Side& side = pair.sides[entry & 1];
    if (pair.is_closing || !pair.is_open || side.is_receiving || side.has_ended || side.is_paused) continue;
    arm_receive(static_cast<uint32_t>(entry >> 1), entry & 1);
  }
}

// Both directions have ended cleanly, or one socket has failed: stop everything on both, then free_if_quiet() closes.
void Relay::close_pair(uint32_t index) {
  Pair& pair = *pairs_[index];
  if (pair.is_closing) return;
  pair.is_closing = true;
  // A send that has succeeded may be all that is waited for, and it posts nothing.
  must_return_soon_ = true;
  for (uint32_t number = 0; number < 2; ++number) {
    if (!pair.sides[number].is_receiving && pair.sides[number].send != SendState::kWaiting && pair.is_open) continue;
    ring_.cancel_fd(pair.sides[number].fd.get(), {.operation = coded(kCancel, number), .slot = index});
    ++pair.pending_count;
  }
}

void Relay::free_if_quiet(uint32_t index) {
  Pair& pair = *pairs_[index];
  if (!pair.is_closing || pair.pending_count != 0) return;
  const bool is_clean = pair.sides[0].has_ended && pair.sides[1].has_ended;
  for (Side& side : pair.sides) {
    if (side.send != SendState::kIdle) return;  // settle_sends() comes back here
  }
  for (Side& side : pair.sides) {
    if (!side.fd.is_open()) return;
    while (side.queued_count() != 0) finish_piece(side);
    if (is_clean) {
      side.fd.close();
    } else {
      close_hard(side.fd);
    }
  }
  free_.push_back(index);
  has_no_descriptors_ = false;
}

}  // namespace ringway::relay
