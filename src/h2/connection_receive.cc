// The receiving half of an HTTP/2 connection: frames in, events out (RFC 9113 sections 4 to 8).
#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "h2/connection.h"

namespace ringway::h2 {
namespace {

// HEADERS that are a whole block and no more.
bool is_plain_headers(FrameType type, uint8_t flags) noexcept {
  constexpr uint8_t kShape = kFlagPadded | kFlagPriority | kFlagEndHeaders;
  return type == FrameType::kHeaders && (flags & kShape) == kFlagEndHeaders;
}

// False: content was announced and the message ends without (section 8.1.1). Some responses announce what another
// request would have got, and never have any.
bool expect_content(Stream& stream, const MessageHead& head, bool end_stream) noexcept {
  const bool has_none = stream.is_head_request || has_no_content(head.status);
  stream.recv_length_left = has_none ? 0 : head.content_length;
  return !end_stream || stream.recv_length_left == 0;
}

// What an answer to a request depends on.
void look_at_cut_list(std::span<const Field> fields, MessageHead& head) noexcept {
  for (const Field& field : fields) {
    if (field.known == KnownName::kMethod) head.is_head = field.value() == "HEAD";
    if (field.known == KnownName::kContentType) head.is_grpc |= is_grpc_content_type(field);
  }
}

}  // namespace

void Connection::fail(ErrorCode code, std::string_view reason) {
  if (has_failed_) return;
  send_goaway(last_peer_stream_id_, code, reason);
  has_failed_ = true;
  failure_code_ = code;
  failure_reason_ = reason;
}

void Connection::refuse_stream_id(uint32_t stream_id, ErrorCode code) {
  closed_.add_late(stream_id);
  write_rst_stream(reserve(kRstStreamFrameSize), stream_id, code);
  output_.commit(kRstStreamFrameSize);
  // Before it has seen our limit a client may go beyond it without fault.
  if (!has_received_settings_ack_) ++streams_at_once_max_;
  const bool is_fault = code != ErrorCode::kRefusedStream || has_received_settings_ack_;
  if (charge_reset(is_fault) && charge_reply() && is_fault) charge_glitch();
}

bool Connection::is_idle(uint32_t stream_id) const noexcept {
  const bool is_ours = (stream_id & 1) == (role_ == Role::kClient ? 1u : 0u);
  if (is_ours) return stream_id >= next_stream_id_;
  return stream_id > last_peer_stream_id_;
}

// Frames of this closed stream may have been sent before the peer could know.
bool Connection::may_be_late(uint32_t stream_id) const noexcept {
  const uint32_t last_id = role_ == Role::kServer ? goaway_last_id_ : peer_goaway_last_id_;
  return stream_id > last_id || closed_.may_be_late(stream_id);
}

// DATA or HEADERS on a stream that its peer has ended, or that is reset. While our half is open that is an error of the
// stream; after that the stream is closed.
[[gnu::noinline]] void Connection::refuse_frame(Stream& stream, Refused frame) {
  if (!stream.is_reset && !stream.has_sent_end) return fail_stream(stream, ErrorCode::kStreamClosed, Fault::kBehindEnd);
  refuse_closed(stream.id, frame);
}

// DATA or HEADERS on a closed stream (section 5.1): discarded if it may be late. Else the peer has sent it behind its
// own END_STREAM or RST_STREAM, and nothing may be sent on such a stream, not even RST_STREAM. From a server it is
// discarded, too: servers of gRPC have been seen to send it when deadlines of both sides pass at once, and the calls of
// other clients on that connection have done nothing wrong. It is not free.
void Connection::refuse_closed(uint32_t stream_id, Refused frame) {
  if (role_ == Role::kServer && !may_be_late(stream_id)) {
    return fail(ErrorCode::kStreamClosed, "frame on a closed stream");
  }
  charge_late(frame);
}

// HEADERS that open no stream and belong to none.
[[gnu::noinline]] void Connection::refuse_headers(uint32_t stream_id) {
  if (is_idle(stream_id)) return fail(ErrorCode::kProtocolError, "HEADERS on an idle stream");
  if (closed_.was_skipped(stream_id)) return fail(ErrorCode::kProtocolError, "stream id below an earlier one");
  refuse_closed(stream_id, {.octets = 0, .is_mark = true});
}

// A new stream that passes over ids, or comes after a GOAWAY. False: announced as not processed (section 6.8).
[[gnu::noinline]] bool Connection::take_unexpected_id(uint32_t stream_id) {
  const uint32_t expected = last_peer_stream_id_ + (last_peer_stream_id_ == 0 ? 1 : 2);
  if (stream_id != expected) {
    closed_.add_skipped(expected, stream_id - 2);
    skipped_streams_ += (stream_id - expected) / 2;
  }
  if (stream_id <= goaway_last_id_) return true;
  last_peer_stream_id_ = stream_id;
  // Until it has seen the GOAWAY a client goes by the limit on streams; what it opens counts, since nothing ends it.
  if (++unprocessed_streams_ <= streams_at_once_max_) {
    closed_.add_late(stream_id);
  } else {
    charge_glitch();
  }
  return false;
}

// A server that speaks something else is told from one that breaks a rule. What has come of its first frame before
// lies in partial_, and so do the octets afterwards if they are not HTTP/2's.
void Connection::check_server_preface(const uint8_t* p, const uint8_t* end) {
  constexpr uint32_t kKeptMax = 32;
  uint8_t octets[kKeptMax];
  const uint32_t before = partial_.size();
  const uint32_t size = std::min(kKeptMax, before + static_cast<uint32_t>(end - p));
  if (before != 0) std::memcpy(octets, partial_.data(), before);
  if (size != before) std::memcpy(octets + before, p, size - before);
  peer_speech_ = recognise_server({octets, size});
  if (peer_speech_ == Speech::kUndecided) return;
  preface_left_ = 0;
  if (peer_speech_ == Speech::kHttp2) return;
  partial_.append(memory_->blocks, {p, size - before});
  fail(ErrorCode::kProtocolError, "first frame is not SETTINGS");
}

const uint8_t* Connection::receive_preface(const uint8_t* p, const uint8_t* end) {
  if (role_ == Role::kClient) {
    check_server_preface(p, end);
    return p;
  }
  const size_t done = kPreface.size() - preface_left_;
  const size_t size = std::min<size_t>(preface_left_, static_cast<size_t>(end - p));
  if (size != 0 && std::memcmp(p, kPreface.data() + done, size) != 0) {
    fail(ErrorCode::kProtocolError, "no HTTP/2 preface");
    return end;
  }
  preface_left_ = static_cast<uint8_t>(preface_left_ - size);
  return p + size;
}

// How many octets the frame at `p` needs before it can be acted upon: all of it, but of a DATA frame only the header
// and the pad length.
uint32_t Connection::bytes_needed(FrameHeader header) noexcept {
  if (header.type == FrameType::kData) [[likely]] {
    return kFrameHeaderSize + (header.has(kFlagPadded) && header.length != 0 ? 1 : 0);
  }
  // A frame that is too long is refused by its header alone.
  return header.length > kFrameSizeDefault ? kFrameHeaderSize : kFrameHeaderSize + header.length;
}

// The address behind what was taken; null when the frame is not complete.
const uint8_t* Connection::receive_frame(const uint8_t* p, const uint8_t* end) {
  const auto available = static_cast<uint32_t>(end - p);
  if (available < kFrameHeaderSize) [[unlikely]]
    return nullptr;
  const FrameHeader header = parse_frame_header(p);
  const uint32_t needed = bytes_needed(header);
  if (available < needed) [[unlikely]]
    return nullptr;
  if (header.length > kFrameSizeDefault || block_stream_id_ != 0 || !has_received_settings_) [[unlikely]] {
    if (!check_frame(header)) return end;
  }
  if (header.type == FrameType::kData) {
    begin_data(header, needed == kFrameHeaderSize + 1 ? p[kFrameHeaderSize] : 0);
  } else {
    dispatch(header, p + kFrameHeaderSize);
  }
  return p + needed;
}

void Connection::stash(const uint8_t* p, const uint8_t* end) {
  if (block_stream_id_ == 0) unended_since_ns_ = memory_->now_ns;
  partial_.append(memory_->blocks, {p, static_cast<size_t>(end - p)});
}

// Completes the frame that an earlier call began. It is copied to the arena, since events point into it while the next
// partial frame needs partial_.
void Connection::receive_stashed(const uint8_t*& p, const uint8_t* end) {
  for (;;) {
    const bool has_header = partial_.size() >= kFrameHeaderSize;
    const uint32_t needed = has_header ? bytes_needed(parse_frame_header(partial_.data())) : kFrameHeaderSize;
    if (has_header && partial_.size() >= needed) break;
    const uint32_t size = std::min(needed - partial_.size(), static_cast<uint32_t>(end - p));
    if (size == 0) return;
    partial_.append(memory_->blocks, {p, size});
    p += size;
  }
  const uint32_t size = partial_.size();
  auto* copy = reinterpret_cast<uint8_t*>(memory_->arena.allocate(size));
  std::memcpy(copy, partial_.data(), size);
  partial_.release(memory_->blocks);
  // A block that it begins has begun with it.
  const uint64_t since_ns = unended_since_ns_;
  receive_frame(copy, copy + size);
  unended_since_ns_ = since_ns;
}

// PRIORITY of a wrong length is an error of its stream (section 6.3). One that is idle must not be reset, so that the
// connection fails for it; on a closed one nothing may be sent.
void Connection::on_bad_priority(uint32_t stream_id) {
  if (Stream* stream = streams_.find(stream_id))
    return fail_stream(*stream, ErrorCode::kFrameSizeError, Fault::kPriorityLength);
  if (is_idle(stream_id)) fail(ErrorCode::kFrameSizeError, "PRIORITY of wrong length on an idle stream");
}

// What holds for every frame before its payload is looked at, where its caller found that something may be wrong.
bool Connection::check_frame(FrameHeader header) {
  // Whatever else is wrong with it, a preface that is none is a protocol error (section 3.4).
  if (!has_received_settings_ && (header.type != FrameType::kSettings || header.has(kFlagAck))) {
    fail(ErrorCode::kProtocolError, "first frame is not SETTINGS");
  } else if (header.length > kFrameSizeDefault) {
    fail(ErrorCode::kFrameSizeError, "frame larger than SETTINGS_MAX_FRAME_SIZE");
  } else if (block_stream_id_ != 0 &&
             (header.type != FrameType::kContinuation || header.stream_id != block_stream_id_)) {
    fail(ErrorCode::kProtocolError, "header block interrupted");
  }
  return !has_failed_;
}

void Connection::dispatch(FrameHeader header, const uint8_t* payload) {
  switch (header.type) {
    case FrameType::kHeaders: on_headers(header, payload); break;
    case FrameType::kPriority: on_priority(header); break;
    case FrameType::kRstStream: on_rst_stream(header, payload); break;
    case FrameType::kSettings: on_settings(header, payload); break;
    case FrameType::kPushPromise: fail(ErrorCode::kProtocolError, "PUSH_PROMISE is not enabled"); break;
    case FrameType::kPing: on_ping(header, payload); break;
    case FrameType::kGoaway: on_goaway(header, payload); break;
    case FrameType::kWindowUpdate: on_window_update(header, payload); break;
    case FrameType::kContinuation: on_continuation(header, payload); break;
    case FrameType::kData: break;      // handled by its caller
    default: charge_glitch(1); break;  // unknown types are ignored (section 5.5)
  }
}

// A DATA frame that is all there, without padding, within every bound: the common one, in one go. False: it was not,
// and nothing has been done.
inline bool Connection::receive_whole_data(uint32_t stream_id, bool end_stream, std::span<const uint8_t> octets) {
  Stream* const stream = streams_.find(stream_id);
  const auto size = static_cast<uint32_t>(octets.size());
  if (stream == nullptr || size < kSmallDataBelow || size > recv_window_) return false;
  if (stream->is_reset || stream->has_received_end || !stream->has_received_headers) return false;
  if (static_cast<int32_t>(size) > stream->recv_window || stream->recv_length_left != Stream::kNoLength) return false;
  recv_window_ -= size;
  give_connection_credit(size);
  stream->recv_window -= static_cast<int32_t>(size);
  stream->has_received_end = end_stream;
  Event& event = add_event(EventKind::kData, *stream);
  event.data_octets = octets.data();
  event.data_size = size;
  event.end_stream = end_stream;
  return true;
}

void Connection::begin_data(FrameHeader header, uint32_t padding) {
  if (header.stream_id == 0) return fail(ErrorCode::kProtocolError, "DATA on stream 0");
  const bool is_padded = header.has(kFlagPadded);
  if (is_padded && header.length == 0) return fail(ErrorCode::kFrameSizeError, "DATA without its pad length");
  if (is_padded && padding >= header.length) return fail(ErrorCode::kProtocolError, "padding exceeds the frame");
  // The whole payload counts, padding and its length octet too (section 6.1).
  recv_window_ -= header.length;
  if (recv_window_ < 0) return fail(ErrorCode::kFlowControlError, "connection window exceeded");
  give_connection_credit(header.length);
  data_left_ = header.length - padding - (is_padded ? 1 : 0);
  data_padding_left_ = padding;
  data_end_stream_ = header.has(kFlagEndStream);
  data_stream_ = {};
  Stream* stream = streams_.find(header.stream_id);
  if (stream == nullptr) {
    if (is_idle(header.stream_id)) return fail(ErrorCode::kProtocolError, "DATA on an idle stream");
    return refuse_closed(header.stream_id, {header.length, data_end_stream_});
  }
  if (stream->is_reset || stream->has_received_end) return refuse_frame(*stream, {header.length, data_end_stream_});
  if (!stream->has_received_headers) return fail_stream(*stream, ErrorCode::kProtocolError, Fault::kEarlyData);
  stream->recv_window -= static_cast<int32_t>(header.length);
  // With a window that SETTINGS made negative an empty frame is still allowed (section 6.9.2).
  if (header.length != 0 && stream->recv_window < 0) return fail_for_window(*stream);
  if (stream->recv_length_left != Stream::kNoLength) {
    if (data_left_ > stream->recv_length_left || (data_end_stream_ && data_left_ != stream->recv_length_left)) {
      return fail_stream(*stream, ErrorCode::kProtocolError, Fault::kLength);
    }
    stream->recv_length_left -= data_left_;
  }
  const bool is_small = data_left_ < kSmallDataBelow && !data_end_stream_;
  if (is_small && !charge_small_data(stream->recv_window == 0 || recv_window_ == 0)) return;
  const uint32_t overhead = header.length - data_left_;
  data_stream_ = memory_->streams.handle(*stream);
  if (data_left_ == 0) {
    stream->has_received_end |= data_end_stream_;
    Event& event = add_event(EventKind::kData, *stream);
    event.data_size = 0;
    event.data_octets = nullptr;
    event.end_stream = data_end_stream_;
  }
  if (overhead != 0) return_credit(*stream, overhead);
}

const uint8_t* Connection::receive_data_payload(const uint8_t* p, const uint8_t* end) {
  const uint32_t size = std::min(data_left_, static_cast<uint32_t>(end - p));
  if (size != 0) {
    data_left_ -= size;
    Stream* stream = data_stream_ ? memory_->streams.find(data_stream_) : nullptr;
    if (stream != nullptr && !stream->is_reset) {
      Event& event = add_event(EventKind::kData, *stream);
      event.data_octets = p;
      event.data_size = size;
      event.end_stream = data_left_ == 0 && data_end_stream_;
      stream->has_received_end |= event.end_stream;
    }
  }
  const uint32_t padding = std::min(data_padding_left_, static_cast<uint32_t>(end - p) - size);
  if (data_left_ == 0) data_padding_left_ -= padding;
  return p + size + (data_left_ == 0 ? padding : 0);
}

void Connection::on_headers(FrameHeader header, const uint8_t* payload) {
  if (header.stream_id == 0) return fail(ErrorCode::kProtocolError, "HEADERS on stream 0");
  uint32_t skip = 0;
  uint32_t padding = 0;
  if (header.has(kFlagPadded)) {
    if (header.length == 0) return fail(ErrorCode::kFrameSizeError, "HEADERS without its pad length");
    padding = payload[0];
    skip = 1;
  }
  const bool has_priority = header.has(kFlagPriority);
  if (has_priority) skip += 5;
  if (skip + padding > header.length) {
    return header.length < skip ? fail(ErrorCode::kFrameSizeError, "HEADERS too short")
                                : fail(ErrorCode::kProtocolError, "padding exceeds the frame");
  }
  const std::span<const uint8_t> fragment(payload + skip, header.length - skip - padding);
  if (header.has(kFlagEndHeaders)) [[likely]] {
    return on_header_block(header.stream_id, header.has(kFlagEndStream), fragment);
  }
  block_stream_id_ = header.stream_id;
  block_end_stream_ = header.has(kFlagEndStream);
  block_frames_ = 0;
  unended_since_ns_ = memory_->now_ns;
  if (fragment.empty() && !charge(LimitKind::kEmptyFrames, empty_frames_, limits_.empty_frames)) return;
  header_block_.append(memory_->blocks, fragment);
}

void Connection::on_continuation(FrameHeader header, const uint8_t* payload) {
  if (block_stream_id_ == 0) return fail(ErrorCode::kProtocolError, "CONTINUATION without HEADERS");
  if (++block_frames_ > limits_.continuations ||
      header_block_.size() + header.length > 2 * uint64_t{limits_.header_list.list_bytes}) {
    pass_limit(LimitKind::kContinuations);
    return;
  }
  if (header.length == 0 && !charge(LimitKind::kEmptyFrames, empty_frames_, limits_.empty_frames)) return;
  header_block_.append(memory_->blocks, {payload, header.length});
  if (!header.has(kFlagEndHeaders)) return;
  const uint32_t size = header_block_.size();
  // A block stands behind its frame's header (BlockCache::find).
  auto* copy = reinterpret_cast<uint8_t*>(memory_->arena.allocate(kFrameHeaderSize + size)) + kFrameHeaderSize;
  if (size != 0) std::memcpy(copy, header_block_.data(), size);
  header_block_.release(memory_->blocks);
  const uint32_t stream_id = block_stream_id_;
  block_stream_id_ = 0;
  on_header_block(stream_id, block_end_stream_, {copy, size});
}

// Finds a block among those that were decoded and checked before, or does it now. Sets the event's list and head.
inline Connection::Verdict Connection::read_block(std::span<const uint8_t> octets, MessageKind kind, Event& event) {
  if (BlockCache::takes(octets)) [[likely]] {
    SharedList* const list = memory_->block_cache.find(decoder_.state(), octets, kind);
    if (list != nullptr) [[likely]] {
      event.shared = list;
      return Verdict::kGood;
    }
  }
  return decode_block(octets, kind, event);
}

void Connection::on_header_block(uint32_t stream_id, bool end_stream, std::span<const uint8_t> octets) {
  take_header_block(stream_id, end_stream, octets);
}

[[gnu::always_inline]] inline void Connection::take_header_block(uint32_t stream_id, bool end_stream,
                                                                 std::span<const uint8_t> octets) {
  // A client's ids only grow: beyond the last there is nothing to find.
  const bool is_new = role_ == Role::kServer && stream_id > last_peer_stream_id_;
  Stream* const stream = is_new ? nullptr : streams_.find(stream_id);
  MessageKind kind = MessageKind::kRequest;
  if (stream != nullptr) kind = stream->has_received_headers ? MessageKind::kTrailers : MessageKind::kResponse;
  // Made in its place in the list, and taken out again by who has no use for it.
  Event& event = memory_->events.add();
  event.end_stream = end_stream;
  // The block is decoded whatever becomes of its stream: the tables of both ends must agree.
  const Verdict verdict = read_block(octets, kind, event);
  if (verdict == Verdict::kUndecodable) [[unlikely]] {
    memory_->events.pop_back();
    return fail(ErrorCode::kCompressionError, "header block cannot be decoded");
  }
  if (stream != nullptr) return on_later_headers(*stream, kind, verdict, event);
  if (is_new && (stream_id & 1) == 1) [[likely]]
    return on_new_request(stream_id, verdict, event);
  memory_->events.pop_back();
  refuse_headers(stream_id);
}

Connection::Verdict Connection::decode_block(std::span<const uint8_t> octets, MessageKind kind, Event& event) {
  event.shared = nullptr;
  event.head = memory_->heads.size();
  MessageHead& head = memory_->heads.add();
  head = {};
  const uint64_t state = decoder_.state();
  event.fields_first = memory_->fields.size();
  const uint32_t failures = memory_->interner.failure_count();
  BlockCache* const cache = kind == MessageKind::kRequest ? &memory_->block_cache : nullptr;
  const DecodedBlock block = decoder_.decode(octets, limits_.header_list, memory_->fields, memory_->arena, cache);
  if (memory_->interner.failure_count() != failures) [[unlikely]]
    memory_->block_cache.clear();
  if (!block.is_valid) return Verdict::kUndecodable;
  event.fields_count = memory_->fields.size() - event.fields_first;
  event.literal_octets = block.literal_octets;
  event.list_bytes = block.list_bytes;
  event.leading = block.leading;
  if (block.is_too_large) [[unlikely]] {
    charge_large_list(octets.size());
    event.has_large_field = block.has_large_field;
    look_at_cut_list(memory_->fields_of(event), head);
    head.is_grpc |= block.dropped_grpc;
    head.fault = block.has_large_field       ? Fault::kField
                 : block.has_too_many_fields ? Fault::kHeaderFields
                                             : Fault::kHeaderList;
    count_limit(block.has_large_field       ? LimitKind::kField
                : block.has_too_many_fields ? LimitKind::kHeaderFields
                                            : LimitKind::kHeaderList);
    return Verdict::kTooLarge;
  }
  if (block.is_malformed) {
    head.fault = Fault::kFieldOctets;
    return Verdict::kMalformed;
  }
  const bool is_to_remember =
      BlockCache::takes(octets) && block.list_bytes <= BlockCache::kListBytesMax && state == decoder_.state();
  std::span<Field> fields = memory_->own_fields_of(event);
  if (block.leading != nullptr) {
    head = block.leading->head;
    const auto position = static_cast<uint16_t>(block.leading->count + 1);
    if (check_ordinary(kind, fields, position, head) && !is_to_remember) [[likely]]
      return Verdict::kGood;
    fields = memory_->join(event);
    head = {};
  }
  if (!check_message(kind, fields, head)) return Verdict::kMalformed;
  if (kind == MessageKind::kRequest && head.path == 0) return Verdict::kConnect;
  if (is_to_remember) {
    memory_->block_cache.store(state, octets, kind, fields, head);
  }
  return Verdict::kGood;
}

inline EventKind Connection::kind_of_request(Verdict verdict) noexcept {
  if (verdict == Verdict::kGood) [[likely]]
    return EventKind::kRequest;
  return verdict == Verdict::kConnect ? EventKind::kConnect : EventKind::kListTooLarge;
}

// The stream id of a request that gets no stream; its event goes.
void Connection::drop_request(uint32_t stream_id, ErrorCode code, Fault fault) {
  memory_->events.pop_back();
  if (fault != Fault::kNone) note_fault(fault);
  refuse_stream_id(stream_id, code);
}

[[gnu::always_inline]] inline void Connection::on_new_request(uint32_t stream_id, Verdict verdict, Event& event) {
  if (stream_id != next_peer_stream_id_) [[unlikely]] {
    if (!take_unexpected_id(stream_id)) return memory_->events.pop_back();
  }
  if (stream_id > many_ids_from_) [[unlikely]]
    notice_ids_ending();
  last_peer_stream_id_ = stream_id;
  next_peer_stream_id_ = stream_id + 2;
  if (streams_.count() >= streams_max_) [[unlikely]] {
    count_limit(LimitKind::kStreams);
    return drop_request(stream_id, ErrorCode::kRefusedStream, Fault::kStreams);
  }
  const MessageHead& head = memory_->head_of(event);
  if (verdict == Verdict::kMalformed) return drop_request(stream_id, ErrorCode::kProtocolError, head.fault);
  if (event.end_stream && head.has_content_length && head.content_length != 0) {
    return drop_request(stream_id, ErrorCode::kProtocolError, Fault::kLength);
  }
  Stream* stream = add_stream(stream_id);
  if (stream == nullptr) return drop_request(stream_id, ErrorCode::kRefusedStream, Fault::kNone);
  stream->has_received_headers = true;
  stream->has_received_end = event.end_stream;
  if (head.has_content_length) stream->recv_length_left = head.content_length;
  event.kind = kind_of_request(verdict);
  if (verdict == Verdict::kTooLarge) [[unlikely]]
    note_fault(head.fault);
  event.stream = memory_->streams.reference(*stream);
}

// The event of a message that is not passed on goes; what is wrong with it, if anything, is told by another.
void Connection::drop_message(Stream& stream, ErrorCode code, Fault fault) {
  memory_->events.pop_back();
  fail_stream(stream, code, fault);
}

// The same for a list beyond a limit; what was decoded of it goes with the event that tells of it.
[[gnu::noinline]] void Connection::drop_large_message(Stream& stream, const Event& event, Fault fault) {
  const Event dropped = event;
  drop_message(stream, ErrorCode::kEnhanceYourCalm, fault);
  Event& failed = memory_->events.back();
  failed.has_large_field = dropped.has_large_field;
  failed.fields_first = dropped.fields_first;
  failed.fields_count = dropped.fields_count;
}

// Trailers of a request; responses, informational or final, and their trailers.
[[gnu::always_inline]] inline void Connection::on_later_headers(Stream& stream, MessageKind kind, Verdict verdict,
                                                                Event& event) {
  if (stream.is_reset || stream.has_received_end) [[unlikely]] {
    memory_->events.pop_back();
    return refuse_frame(stream, {.octets = 0, .is_mark = true});
  }
  const MessageHead& head = memory_->head_of(event);
  if (verdict == Verdict::kTooLarge) return drop_large_message(stream, event, head.fault);
  if (verdict == Verdict::kMalformed) return drop_message(stream, ErrorCode::kProtocolError, head.fault);
  const bool are_trailers = kind == MessageKind::kTrailers;
  if (are_trailers && !event.end_stream) {
    return drop_message(stream, ErrorCode::kProtocolError, Fault::kOpenTrailers);
  }
  if (are_trailers && stream.recv_length_left != Stream::kNoLength && stream.recv_length_left != 0) {
    return drop_message(stream, ErrorCode::kProtocolError, Fault::kLength);
  }
  event.kind = EventKind::kTrailers;
  if (!are_trailers) {
    const bool is_informational = head.status < 200;
    if (is_informational && (event.end_stream || head.status == 101)) {
      return drop_message(stream, ErrorCode::kProtocolError,
                          event.end_stream ? Fault::kInformational : Fault::kSwitching);
    }
    event.kind = is_informational ? EventKind::kInformational : EventKind::kResponse;
    stream.has_received_headers = !is_informational;
    if (head.has_content_length && !is_informational && !expect_content(stream, head, event.end_stream)) {
      return drop_message(stream, ErrorCode::kProtocolError, Fault::kLength);
    }
  }
  stream.has_received_end = event.end_stream;
  event.stream = memory_->streams.reference(stream);
}

// Takes whole DATA and HEADERS frames that have neither padding, priority nor a continuation, one after the other: most
// of what there is. Stops before the first that is something else and returns its address.
inline const uint8_t* Connection::receive_plain_frames(const uint8_t* p, const uint8_t* end) {
  while (static_cast<size_t>(end - p) >= kFrameHeaderSize) {
    const auto [length, type, flags, stream_id] = parse_frame_header(p);
    const uint8_t* const payload = p + kFrameHeaderSize;
    if (length > kFrameSizeDefault || length > static_cast<size_t>(end - payload)) break;
    const bool end_stream = (flags & kFlagEndStream) != 0;
    if (type == FrameType::kData) {
      if ((flags & kFlagPadded) != 0 || !receive_whole_data(stream_id, end_stream, {payload, length})) break;
    } else if (is_plain_headers(type, flags) && stream_id != 0) {
      take_header_block(stream_id, end_stream, {payload, length});
      if (has_failed_) [[unlikely]]
        break;
    } else {
      break;
    }
    p = payload + length;
  }
  return p;
}

void Connection::receive(std::span<const uint8_t> bytes) {
  memory_->begin_receive();
  // What is written below answers the peer; what its owner writes does not count.
  const uint32_t output_before = output_.size();
  if (output_before == 0) reply_bytes_ = replies_ = 0;
  const uint8_t* p = bytes.data();
  const uint8_t* const end = p + bytes.size();
  if (preface_left_ != 0 && !has_failed_) p = receive_preface(p, end);
  while (p != end && !has_failed_) {
    if (data_left_ != 0 || data_padding_left_ != 0) {
      p = receive_data_payload(p, end);
    } else if (!partial_.is_empty()) {
      receive_stashed(p, end);
    } else {
      if (block_stream_id_ == 0 && has_received_settings_) [[likely]] {
        p = receive_plain_frames(p, end);
        if (p == end || has_failed_) break;
      }
      const uint8_t* const next = receive_frame(p, end);
      if (next == nullptr) {
        stash(p, end);
        break;
      }
      p = next;
    }
  }
  reply_bytes_ += output_.size() - output_before;
  if (reply_bytes_ > limits_.reply_bytes && !has_failed_) [[unlikely]]
    pass_limit(LimitKind::kReplyBytes);
  if (notices_ != 0) [[unlikely]]
    tell_notices();
}

}  // namespace ringway::h2
