#include "h2/connection.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"

namespace ringway::h2 {
namespace {

// What one stream may put into a flush before the others have had their turn.
constexpr uint32_t kQuantum = 16 * 1024;
// Up to here DATA goes straight into the output; beyond it waits in its stream, so that headers of other calls pass it.
constexpr uint32_t kDirectOutputMax = 128 * 1024;

}  // namespace

Connection::Connection(Role role, const Limits& limits, Memory& memory, uint32_t slot) noexcept
    : role_(role),
      preface_left_(role == Role::kServer ? static_cast<uint8_t>(kPreface.size()) : uint8_t{kFrameHeaderSize}),
      limits_(limits),
      memory_(&memory),
      slot_(slot),
      stream_credit_min_(std::max(limits.stream_window / 2, 1u)),
      connection_credit_min_(std::max(limits.connection_window / 2, 1u)),
      // Until its SETTINGS arrive a server is not asked for more than it is likely to grant (RFC 9113 section 6.5.2).
      peer_max_streams_(role == Role::kClient ? 100 : 0),
      open_streams_max_(peer_max_streams_),
      streams_max_(limits.streams),
      next_stream_id_(limits.first_stream_id),
      streams_at_once_max_(role == Role::kServer ? limits.streams : peer_max_streams_),
      decoder_(memory.interner) {
  ASSERT(limits.header_list.field_bytes >= kTableSizeDefault);
}

Connection::~Connection() {
  while (Stream* stream = streams_.any()) close_stream(*stream);
  output_.release(memory_->blocks);
  partial_.release(memory_->blocks);
  header_block_.release(memory_->blocks);
}

void Connection::start() {
  uint8_t* p = reserve(128);
  uint8_t* const begin = p;
  if (role_ == Role::kClient) {
    std::memcpy(p, kPreface.data(), kPreface.size());
    p += kPreface.size();
  }
  uint8_t* const header = p;
  p += kFrameHeaderSize;
  if (role_ == Role::kServer) {
    p = write_setting(p, SettingId::kMaxConcurrentStreams, limits_.streams);
  } else {
    p = write_setting(p, SettingId::kEnablePush, 0);
  }
  p = write_setting(p, SettingId::kInitialWindowSize, limits_.stream_window);
  p = write_setting(p, SettingId::kMaxHeaderListSize, limits_.header_list.list_bytes);
  p = write_setting(p, SettingId::kNoRfc7540Priorities, 1);
  write_frame_header(header, static_cast<uint32_t>(p - header) - kFrameHeaderSize, FrameType::kSettings, 0, 0);
  if (limits_.connection_window > kWindowDefault) {
    const uint32_t increment = limits_.connection_window - kWindowDefault;
    p = write_window_update(p, 0, increment);
    recv_window_ += increment;
  }
  output_.commit(static_cast<uint32_t>(p - begin));
}

Stream* Connection::open_stream(void* owner) {
  if (!can_open_stream()) return nullptr;
  Stream* stream = add_stream(next_stream_id_);
  if (stream == nullptr) return nullptr;
  stream->owner = owner;
  next_stream_id_ += 2;
  if (has_used_all_ids()) [[unlikely]]
    limit_open_streams();
  return stream;
}

// After a change of what can_open_stream() depends on.
void Connection::limit_open_streams() noexcept {
  const bool is_over = has_failed_ || has_received_goaway_ || has_sent_goaway_ || has_used_all_ids() ||
                       withheld_resets() >= kWithheldMax;
  open_streams_max_ = is_over ? 0 : peer_max_streams_ - std::min(peer_max_streams_, withheld_resets());
}

void Connection::send_headers(Stream& stream, SharedList& list, bool end_stream) {
  const SharedList::Encoded* const encoded = encoder_.encode_as_before(list);
  if (encoded == nullptr) [[unlikely]] {
    begin_headers(stream);
    encoder_.encode_shared(list, output_, memory_->blocks);
    end_headers(stream, end_stream);
    return;
  }
  // Whatever the size, the room for the largest is moved.
  uint8_t* const p = reserve(kFrameHeaderSize + SharedList::Encoded::kSizeMax);
  const uint8_t flags = kFlagEndHeaders | (end_stream ? kFlagEndStream : 0);
  write_frame_header(p, encoded->size, FrameType::kHeaders, flags, stream.id);
  std::memcpy(p + kFrameHeaderSize, encoded->octets, SharedList::Encoded::kSizeMax);
  output_.commit(kFrameHeaderSize + encoded->size);
  stream.has_sent_headers = true;
  stream.has_sent_end |= end_stream;
}

void Connection::send_trailers(Stream& stream, SharedList& list) {
  if (stream.pending.is_empty()) [[likely]]
    return send_headers(stream, list, true);
  begin_trailers(stream);
  add_trailers(stream, {list.fields, list.count});
  end_trailers(stream);
}

void Connection::close_stream(Stream& stream) {
  if (stream.is_linked()) stream.unlink();
  drop_pending(stream);
  streams_.erase(stream);
  memory_->streams.destroy(stream);
}

void Connection::end_headers(Stream& stream, bool end_stream) {
  const uint32_t block_size = output_.size() - headers_offset_ - kFrameHeaderSize;
  uint8_t flags = end_stream ? kFlagEndStream : 0;
  stream.has_sent_headers = true;
  stream.has_sent_end |= end_stream;
  if (block_size > peer_max_frame_size_) [[unlikely]] {
    split_block(headers_offset_, block_size, flags, stream.id);
    return;
  }
  flags |= kFlagEndHeaders;
  write_frame_header(output_.mutable_data() + headers_offset_, block_size, FrameType::kHeaders, flags, stream.id);
}

// Makes room for CONTINUATION headers inside a block that is larger than a frame may be; rare, so that moving is cheap.
void Connection::split_block(uint32_t frame_offset, uint32_t block_size, uint8_t flags, uint32_t stream_id) {
  const uint32_t frame_size = peer_max_frame_size_;
  const uint32_t frames = (block_size + frame_size - 1) / frame_size;
  reserve((frames - 1) * kFrameHeaderSize);
  output_.commit((frames - 1) * kFrameHeaderSize);
  uint8_t* const base = output_.mutable_data() + frame_offset;
  for (uint32_t i = frames; i-- > 0;) {
    const uint32_t size = i == frames - 1 ? block_size - i * frame_size : frame_size;
    uint8_t* const target = base + i * (frame_size + kFrameHeaderSize);
    std::memmove(target + kFrameHeaderSize, base + kFrameHeaderSize + i * frame_size, size);
    const uint8_t end_headers = i == frames - 1 ? kFlagEndHeaders : 0;
    if (i == 0) {
      write_frame_header(target, size, FrameType::kHeaders, flags | end_headers, stream_id);
    } else {
      write_frame_header(target, size, FrameType::kContinuation, end_headers, stream_id);
    }
  }
}

// Behind pending DATA the trailers cannot be encoded yet: the table moves on meanwhile. They are written without it.
void Connection::begin_trailers(Stream& stream) {
  headers_are_stateless_ = !stream.pending.is_empty();
  if (!headers_are_stateless_) begin_headers(stream);
}

void Connection::add_trailers(Stream& stream, std::span<const Field> fields) {
  if (!headers_are_stateless_) [[likely]]
    return add_fields(fields);
  for (const Field& field : fields) encode_stateless(field, stream.pending_trailers, memory_->blocks);
}

void Connection::end_trailers(Stream& stream) {
  if (!headers_are_stateless_) {
    end_headers(stream, true);
    return;
  }
  stream.ends_after_pending = true;
  list_sendable(stream);
}

[[gnu::always_inline]] inline void Connection::write_data_frame(Stream& stream, std::span<const uint8_t> octets,
                                                                bool end_stream) {
  const auto size = static_cast<uint32_t>(octets.size());
  uint8_t* p = reserve(kFrameHeaderSize + size);
  p = write_frame_header(p, size, FrameType::kData, end_stream ? kFlagEndStream : 0, stream.id);
  base::copy_bytes(p, octets.data(), size);
  output_.commit(kFrameHeaderSize + size);
  stream.send_window -= static_cast<int32_t>(size);
  send_window_ -= size;
  stream.has_sent_end |= end_stream;
}

uint32_t Connection::send_data(Stream& stream, std::span<const uint8_t> octets, bool end_stream) {
  // Any peer takes frames of a quantum.
  static_assert(kQuantum <= kFrameSizeDefault);
  const auto size = static_cast<uint32_t>(octets.size());
  const bool fits = size <= kQuantum && static_cast<int64_t>(size) <= send_window_ &&
                    static_cast<int32_t>(size) <= stream.send_window && stream.pending.is_empty() &&
                    !is_write_blocked_ && output_.size() + size <= kDirectOutputMax && !stream.is_reset && !has_failed_;
  if (!fits) [[unlikely]]
    return keep_data(stream, octets, end_stream);
  write_data_frame(stream, octets, end_stream);
  return size;
}

[[gnu::noinline]] uint32_t Connection::keep_data(Stream& stream, std::span<const uint8_t> octets, bool end_stream) {
  if (stream.is_reset || has_failed_) return static_cast<uint32_t>(octets.size());
  stream.pending.append(memory_->blocks, octets);
  pending_bytes_ += octets.size();
  stream.ends_after_pending |= end_stream;
  list_sendable(stream);
  return 0;
}

void Connection::list_sendable(Stream& stream) noexcept {
  if (!stream.is_sendable()) return;
  if (!stream.is_linked()) sendable_.push_back(stream);
  if (stream.pending.is_empty()) has_sendable_end_ = true;
}

void Connection::list_drained(Stream& stream, uint32_t bytes) {
  stream.drained_bytes += bytes;
  if (stream.is_drained_listed) return;
  stream.is_drained_listed = true;
  drained_.push_back(memory_->streams.handle(stream));
}

Stream* Connection::pop_drained() noexcept {
  while (!drained_.empty()) {
    Stream* stream = memory_->streams.find(drained_.back());
    drained_.pop_back();
    if (stream == nullptr) continue;
    stream->is_drained_listed = false;
    return stream;
  }
  return nullptr;
}

void Connection::write_pending_trailers(Stream& stream) {
  headers_offset_ = output_.size();
  reserve(kFrameHeaderSize + stream.pending_trailers.size() + 16);
  output_.commit(kFrameHeaderSize);
  encoder_.begin_block(output_, memory_->blocks);
  output_.append(memory_->blocks, stream.pending_trailers.bytes());
  stream.pending_trailers.release(memory_->blocks);
  end_headers(stream, true);
}

void Connection::gather(uint32_t bytes_max) {
  // Streams that need a window the connection does not have go round once and stay listed.
  base::IntrusiveList<Stream> waiting;
  while (!sendable_.is_empty() && output_.size() < bytes_max && !has_failed_) {
    Stream& stream = sendable_.pop_front();
    if (!stream.pending.is_empty()) {
      if (send_window_ <= 0) {
        waiting.push_back(stream);
        continue;
      }
      if (stream.send_window <= 0) continue;  // listed again by WINDOW_UPDATE
      const uint32_t size =
          std::min({stream.pending.size(), kQuantum, peer_max_frame_size_, static_cast<uint32_t>(stream.send_window),
                    static_cast<uint32_t>(std::min<int64_t>(send_window_, kQuantum))});
      const bool is_last = size == stream.pending.size();
      const bool end_stream = is_last && stream.ends_after_pending && stream.pending_trailers.is_empty();
      write_data_frame(stream, {stream.pending.data(), size}, end_stream);
      stream.pending.consume(memory_->blocks, size);
      pending_bytes_ -= size;
      list_drained(stream, size);
      if (!is_last) {
        if (stream.send_window > 0) sendable_.push_back(stream);
        continue;
      }
      if (end_stream) continue;
    }
    if (!stream.ends_after_pending || stream.has_sent_end) continue;
    list_drained(stream, 0);
    if (!stream.pending_trailers.is_empty()) {
      write_pending_trailers(stream);
    } else {
      write_data_frame(stream, {}, true);
    }
  }
  // Full before all had their turn: there may be an end among the rest.
  has_sendable_end_ = !sendable_.is_empty();
  while (!waiting.is_empty()) sendable_.push_back(waiting.pop_front());
}

// Nothing more of this stream is sent or taken.
void Connection::forget_unsent(Stream& stream) noexcept {
  stream.is_reset = true;
  streams_at_once_max_ = std::max(streams_at_once_max_, streams_.count() + withheld_resets());
  if (!stream.has_received_end) closed_.add_late(stream.id);
  if (stream.is_linked()) stream.unlink();
  drop_pending(stream);
}

void Connection::reset_stream(Stream& stream, ErrorCode code) {
  if (stream.is_reset) return;
  forget_unsent(stream);
  if (has_failed_) return;
  write_rst_stream(reserve(kRstStreamFrameSize), stream.id, code);
  output_.commit(kRstStreamFrameSize);
}

void Connection::withhold_reset(Stream& stream, ErrorCode code) {
  ASSERT(role_ == Role::kClient);
  if (stream.is_reset) return;
  forget_unsent(stream);
  withheld_resets_.push_back({stream.id, code});
  limit_open_streams();
}

void Connection::send_withheld_reset() {
  const WithheldReset oldest = withheld_resets_.front();
  withheld_resets_.erase(withheld_resets_.begin());
  limit_open_streams();
  if (has_failed_) return;
  write_rst_stream(reserve(kRstStreamFrameSize), oldest.stream_id, oldest.code);
  output_.commit(kRstStreamFrameSize);
}

void Connection::write_stream_credit(Stream& stream) {
  // With a window of one octet nothing is owed at times, and an update of zero is an error (RFC 9113 section 6.9).
  if (has_failed_ || stream.recv_owed == 0) return;
  write_window_update(reserve(kWindowUpdateFrameSize), stream.id, stream.recv_owed);
  output_.commit(kWindowUpdateFrameSize);
  stream.recv_window += static_cast<int32_t>(stream.recv_owed);
  stream.recv_owed = 0;
}

void Connection::write_connection_credit() {
  if (recv_owed_ == 0) return;
  write_window_update(reserve(kWindowUpdateFrameSize), 0, recv_owed_);
  output_.commit(kWindowUpdateFrameSize);
  recv_window_ += recv_owed_;
  recv_owed_ = 0;
}

void Connection::send_ping(uint64_t opaque) {
  uint8_t octets[8];
  std::memcpy(octets, &opaque, sizeof octets);
  ++pings_out_;
  write_ping(reserve(kPingFrameSize), false, octets);
  output_.commit(kPingFrameSize);
}

void Connection::send_goaway(uint32_t last_stream_id, ErrorCode code, std::string_view debug) {
  // A peer may already retry what was announced as not processed: the id may only fall (RFC 9113 section 6.8).
  last_stream_id = std::min(last_stream_id, goaway_last_id_);
  const auto size = static_cast<uint32_t>(8 + debug.size());
  uint8_t* p = write_frame_header(reserve(kFrameHeaderSize + size), size, FrameType::kGoaway, 0, 0);
  store_32(p, last_stream_id);
  store_32(p + 4, static_cast<uint32_t>(code));
  std::memcpy(p + 8, debug.data(), debug.size());
  output_.commit(kFrameHeaderSize + size);
  has_sent_goaway_ = true;
  goaway_last_id_ = last_stream_id;
  next_peer_stream_id_ = 0;
  limit_open_streams();
}

int64_t Connection::uncredited(const Stream& stream) const noexcept {
  const bool is_under_way = data_left_ != 0 && memory_->streams.handle(stream) == data_stream_;
  return int64_t{recv_initial_window_} - stream.recv_window - stream.recv_owed - (is_under_way ? data_left_ : 0);
}

void Connection::validate() {
  uint32_t counted = 0;
  uint64_t pending = 0;
  streams_.for_each([&](Stream& stream) {
    ++counted;
    pending += stream.pending.size();
    ASSERT(stream.id != 0 && stream.connection == slot_);
    // Negative only where the peer used up the default window before it saw that ours is smaller.
    ASSERT(stream.is_reset || stream.recv_window >= 0 ||
           stream.recv_window >= int64_t{limits_.stream_window} - int64_t{kWindowDefault});
    ASSERT(int64_t{stream.send_window} <= kWindowMax);
    ASSERT(stream.pending_trailers.is_empty() || stream.ends_after_pending);
    ASSERT(!stream.is_reset || (stream.pending.is_empty() && !stream.is_linked()));
    ASSERT(stream.is_linked() || !stream.is_sendable() || stream.has_sent_end || stream.is_reset);
  });
  ASSERT(counted == streams_.count() && pending == pending_bytes_);
  ASSERT(send_window_ <= kWindowMax);
  // All credit of the connection is returned on receipt.
  const int64_t credit = recv_window_ + recv_owed_;
  ASSERT(has_failed_ || credit == kWindowDefault || credit == int64_t{limits_.connection_window});
  ASSERT((recv_window_ >= 0 || has_failed_) && recv_window_ + recv_owed_ <= kWindowMax);
}

}  // namespace ringway::h2
