// One HTTP/2 connection, either role, without sockets, clocks or threads: bytes and commands in, events and bytes out.
// The owner passes what arrived to receive(), acts on the events, and sends what output() holds.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/byte_queue.h"
#include "base/intrusive_list.h"
#include "h2/closed_streams.h"
#include "h2/first_bytes.h"
#include "h2/frame.h"
#include "h2/hpack_decoder.h"
#include "h2/hpack_encoder.h"
#include "h2/late_frames.h"
#include "h2/limits.h"
#include "h2/memory.h"
#include "h2/stream_map.h"

namespace ringway::h2 {

enum class Role : uint8_t { kServer, kClient };

class Connection {
 public:
  // `slot` is stored in each stream for the owner's look-up.
  Connection(Role role, const Limits& limits, Memory& memory, uint32_t slot) noexcept;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection();

  // Queues what opens a connection: the preface (client), SETTINGS and the connection window.
  void start();

  // Parses bytes as they came from the peer; events, fields and heads are in Memory until the next call. A connection
  // error queues GOAWAY and sets has_failed(); later input is ignored.
  void receive(std::span<const uint8_t> bytes);

  // Client role. Null when the peer's limit, our id space, or a GOAWAY forbids it.
  Stream* open_stream(void* owner);
  bool can_open_stream() const noexcept { return streams_.count() < open_streams_max_; }

  // Writes the whole HEADERS frame of a list: of a message, or of trailers where nothing of the body waits.
  void send_headers(Stream& stream, SharedList& list, bool end_stream);

  // Writes one HEADERS frame (and CONTINUATION where needed): begin, add each field, end. Nothing else may be called
  // in between.
  void begin_headers(Stream&) {
    headers_offset_ = output_.size();
    output_.reserve(memory_->blocks, 64);
    output_.commit(kFrameHeaderSize);
    encoder_.begin_block(output_, memory_->blocks);
  }
  void add_field(const Field& field) { encoder_.encode(field, output_, memory_->blocks); }
  void add_fields(std::span<const Field> fields) { encoder_.encode_all(fields, output_, memory_->blocks); }
  void add_fields(SharedList& list) { encoder_.append_shared(list, output_, memory_->blocks); }
  void end_headers(Stream& stream, bool end_stream);

  // Trailers end the stream; behind DATA that still waits they wait too. A list at once, or begin, add fields, end.
  void send_trailers(Stream& stream, SharedList& list);
  void begin_trailers(Stream& stream);
  void add_trailers(Stream& stream, std::span<const Field> fields);
  void end_trailers(Stream& stream);

  // Queues octets of the stream's body. Returns how many went into output() now; the rest waits for window or turn and
  // shows up in drained_bytes later.
  uint32_t send_data(Stream& stream, std::span<const uint8_t> octets, bool end_stream);

  // Queues RST_STREAM and drops what waits. The stream stays until close_stream().
  void reset_stream(Stream& stream, ErrorCode code);

  // Client role: the same, but the peer is told later, by send_withheld_reset() or by the end of the connection. Until
  // then the stream counts against the peer's limit, as it does at the peer; and while so many wait none is opened.
  static constexpr uint32_t kWithheldMax = 256;
  void withhold_reset(Stream& stream, ErrorCode code);
  // The oldest of them; there is one.
  void send_withheld_reset();
  uint32_t withheld_resets() const noexcept { return static_cast<uint32_t>(withheld_resets_.size()); }

  // Forgets a stream that is reset or closed from both ends (or whose connection is going).
  void close_stream(Stream& stream);

  // `bytes` of DATA received on `stream` have left for the other side: the peer may send as many again.
  void return_credit(Stream& stream, uint32_t bytes) {
    if (stream.has_received_end || stream.is_reset) return;
    stream.recv_owed += bytes;
    if (stream.recv_owed >= stream_credit_min_) [[unlikely]]
      write_stream_credit(stream);
  }

  // The owner's part of the accounts (server role): a stream of the peer ended without a response soon after it began.
  void charge_early_reset();
  // What is left to the peer of limits.early_resets, and to begin with what is left to it already; an eighth at least.
  Allowance early_resets() const noexcept { return early_resets_; }
  void inherit_early_resets(Allowance inherited) noexcept;
  // … the owner refuses a stream of the peer.
  void charge_refusal();

  void send_ping(uint64_t opaque);
  void send_goaway(uint32_t last_stream_id, ErrorCode code, std::string_view debug);

  // Output. gather() moves DATA of waiting streams into output(), round robin by 16 KiB, until it holds `bytes_max` or
  // nothing more may be sent. The owner takes output() whole.
  bool wants_gather() const noexcept {
    return !has_failed_ && (send_window_ > 0 ? !sendable_.is_empty() : has_sendable_end_);
  }
  void gather(uint32_t bytes_max);
  base::ByteQueue& output() noexcept { return output_; }
  const base::ByteQueue& output() const noexcept { return output_; }
  // While a send is blocked, DATA waits in its streams instead of growing output().
  void set_write_blocked(bool is_blocked) noexcept {
    is_write_blocked_ = is_blocked;
    if (!is_blocked) refuse_streams(false);
  }
  // Server role: new streams are refused as if limits.streams were reached, while too much waits for the peer to read.
  void refuse_streams(bool refuse) noexcept { streams_max_ = refuse ? 0 : limits_.streams; }
  // Octets of bodies that wait in the streams.
  uint64_t pending_bytes() const noexcept { return pending_bytes_; }

  // Streams of which gather() has moved octets or the end; pop each, read and zero its drained_bytes.
  Stream* pop_drained() noexcept;

  // Header lists are written without the peer's dynamic table. Before start().
  void forgo_header_table() noexcept { encoder_.forgo_table(); }

  // For owners whose slot number is known only once the connection exists; before the first stream.
  void set_slot(uint32_t slot) noexcept { slot_ = slot; }

  Role role() const noexcept { return role_; }
  bool has_failed() const noexcept { return has_failed_; }
  ErrorCode failure_code() const noexcept { return failure_code_; }
  std::string_view failure_reason() const noexcept { return failure_reason_; }
  // Client role: what the peer's first octets show it to speak. Where that is not HTTP/2 the connection has failed, and
  // first_octets() are some of them.
  Speech peer_speech() const noexcept { return peer_speech_; }
  std::span<const uint8_t> first_octets() const noexcept { return partial_.bytes(); }
  bool has_received_settings() const noexcept { return has_received_settings_; }
  // The peer has begun a frame or a header block and not ended it.
  bool is_inside_frame() const noexcept { return !partial_.is_empty() || block_stream_id_ != 0; }
  // … and that is when it began: of a block its first frame.
  uint64_t unended_since_ns() const noexcept { return unended_since_ns_; }
  bool has_sent_goaway() const noexcept { return has_sent_goaway_; }
  bool has_received_goaway() const noexcept { return has_received_goaway_; }
  bool has_used_all_ids() const noexcept { return next_stream_id_ > kStreamIdMax; }
  uint32_t last_peer_stream_id() const noexcept { return last_peer_stream_id_; }
  uint32_t stream_count() const noexcept { return streams_.count(); }
  uint32_t peer_stream_limit() const noexcept { return peer_max_streams_; }
  // Of header lists, as RFC 9113 section 6.5.2 counts it: a larger one is not to be sent.
  uint32_t peer_list_bytes_max() const noexcept { return peer_list_bytes_max_; }
  int64_t send_window() const noexcept { return send_window_; }
  int64_t recv_window() const noexcept { return recv_window_; }
  StreamMap& streams() noexcept { return streams_; }
  Memory& memory() noexcept { return *memory_; }

  // Octets of DATA that were passed on and for which no credit was returned yet, of a stream on which more may come.
  // For tests.
  int64_t uncredited(const Stream& stream) const noexcept;
  // Aborts when an invariant does not hold. For tests.
  void validate();

 private:
  // Receiving (connection_receive.cc; connection_control.cc for frames that carry no part of a message). Each takes a
  // complete frame payload, except for DATA.
  const uint8_t* receive_preface(const uint8_t* p, const uint8_t* end);
  void check_server_preface(const uint8_t* p, const uint8_t* end);
  const uint8_t* receive_plain_frames(const uint8_t* p, const uint8_t* end);
  const uint8_t* receive_frame(const uint8_t* p, const uint8_t* end);
  const uint8_t* receive_data_payload(const uint8_t* p, const uint8_t* end);
  void receive_stashed(const uint8_t*& p, const uint8_t* end);
  void stash(const uint8_t* p, const uint8_t* end);
  static uint32_t bytes_needed(FrameHeader header) noexcept;
  bool check_frame(FrameHeader header);
  void dispatch(FrameHeader header, const uint8_t* payload);
  bool receive_whole_data(uint32_t stream_id, bool end_stream, std::span<const uint8_t> octets);
  void begin_data(FrameHeader header, uint32_t padding);
  void on_headers(FrameHeader header, const uint8_t* payload);
  void on_continuation(FrameHeader header, const uint8_t* payload);
  void on_header_block(uint32_t stream_id, bool end_stream, std::span<const uint8_t> octets);
  void take_header_block(uint32_t stream_id, bool end_stream, std::span<const uint8_t> octets);
  // What became of a header block.
  enum class Verdict : uint8_t { kGood, kConnect, kMalformed, kTooLarge, kUndecodable };
  static EventKind kind_of_request(Verdict verdict) noexcept;
  Verdict read_block(std::span<const uint8_t> octets, MessageKind kind, Event& event);
  Verdict decode_block(std::span<const uint8_t> octets, MessageKind kind, Event& event);
  void drop_request(uint32_t stream_id, ErrorCode code, Fault fault);
  void drop_message(Stream& stream, ErrorCode code, Fault fault);
  void drop_large_message(Stream& stream, const Event& event, Fault fault);
  void on_new_request(uint32_t stream_id, Verdict verdict, Event& event);
  void on_later_headers(Stream& stream, MessageKind kind, Verdict verdict, Event& event);
  void on_bad_priority(uint32_t stream_id);
  void on_rst_stream(FrameHeader header, const uint8_t* payload);
  void on_settings(FrameHeader header, const uint8_t* payload);
  bool apply_setting(uint16_t id, uint32_t value);
  void on_settings_ack();
  void on_ping(FrameHeader header, const uint8_t* payload);
  void on_goaway(FrameHeader header, const uint8_t* payload);
  void on_window_update(FrameHeader header, const uint8_t* payload);
  bool is_idle(uint32_t stream_id) const noexcept;
  bool may_be_late(uint32_t stream_id) const noexcept;
  // Of a frame on a stream that is over, what it costs: the octets of DATA, and whether it is HEADERS or an end.
  struct Refused {
    uint32_t octets;
    bool is_mark;
  };
  void refuse_frame(Stream& stream, Refused frame);
  void refuse_closed(uint32_t stream_id, Refused frame);
  void refuse_headers(uint32_t stream_id);
  bool take_unexpected_id(uint32_t stream_id);
  // The accounts of what the peer makes us do (connection_limits.cc). False: a limit was passed and the connection has
  // failed.
  bool charge(LimitKind kind, Allowance& allowance, Rate rate, uint32_t percent = Allowance::kWhole);
  bool charge_glitch(uint32_t percent = Allowance::kWhole);
  void charge_large_list(size_t octets);
  bool charge_reset(bool is_early);
  // The prefix of a gRPC message: shorter DATA carries no message, nor the end of one that was not cut on purpose.
  static constexpr uint32_t kSmallDataBelow = 5;
  bool charge_small_data(bool fills_window);
  void charge_late(Refused frame);
  bool charge_reply();
  uint32_t opened_streams() const noexcept;
  bool charge_idle_frame();
  bool pass_limit(LimitKind kind);
  void on_priority(FrameHeader header);
  void tell_notices();
  void notice_ids_ending() noexcept;
  void count_limit(LimitKind kind) noexcept { ++memory_->limit_hits[static_cast<uint32_t>(kind)]; }
  void fail(ErrorCode code, std::string_view reason);
  void fail_stream(Stream& stream, ErrorCode code, Fault fault);
  void fail_for_window(Stream& stream);
  void note_fault(Fault fault) noexcept;
  void refuse_stream_id(uint32_t stream_id, ErrorCode code);
  void give_connection_credit(uint32_t bytes) {
    recv_owed_ += bytes;
    if (recv_owed_ >= connection_credit_min_) [[unlikely]]
      write_connection_credit();
  }
  void write_connection_credit();
  void write_stream_credit(Stream& stream);
  [[gnu::always_inline]] Stream* add_stream(uint32_t id) {
    Stream* const stream = memory_->streams.create();
    if (stream == nullptr) [[unlikely]]
      return nullptr;
    stream->id = id;
    stream->connection = slot_;
    stream->send_window = static_cast<int32_t>(peer_initial_window_);
    stream->recv_window = static_cast<int32_t>(recv_initial_window_);
    streams_.insert(*stream);
    return stream;
  }
  Event& add_event(EventKind kind, Stream& stream) {
    Event& event = memory_->events.add();
    event.kind = kind;
    event.end_stream = false;
    event.stream = memory_->streams.reference(stream);
    return event;
  }
  Event& add_connection_event(EventKind kind) {
    Event& event = memory_->events.add();
    event.kind = kind;
    event.end_stream = false;
    event.stream = {};
    return event;
  }

  // Sending (connection.cc).
  void limit_open_streams() noexcept;
  void forget_unsent(Stream& stream) noexcept;
  uint8_t* reserve(uint32_t size) { return output_.reserve(memory_->blocks, size); }
  uint32_t keep_data(Stream& stream, std::span<const uint8_t> octets, bool end_stream);
  void write_data_frame(Stream& stream, std::span<const uint8_t> octets, bool end_stream);
  void write_pending_trailers(Stream& stream);
  void split_block(uint32_t frame_offset, uint32_t block_size, uint8_t flags, uint32_t stream_id);
  void drop_pending(Stream& stream) noexcept {
    // A queue gives its block back when it becomes empty.
    if (!stream.pending.is_empty()) [[unlikely]] {
      pending_bytes_ -= stream.pending.size();
      stream.pending.release(memory_->blocks);
    }
    stream.pending_trailers.release(memory_->blocks);
  }
  void list_sendable(Stream& stream) noexcept;
  void list_drained(Stream& stream, uint32_t bytes);

  Role role_;
  bool has_failed_ = false;
  bool has_received_settings_ = false;
  bool has_received_settings_ack_ = false;
  bool has_sent_goaway_ = false;
  bool has_received_goaway_ = false;
  bool is_write_blocked_ = false;
  bool has_sendable_end_ = false;  // a stream in sendable_ needs no window: only its end is to be sent
  uint8_t preface_left_;           // octets to come; in the client role not 0 until the server's is recognised
  Speech peer_speech_ = Speech::kUndecided;
  ErrorCode failure_code_ = ErrorCode::kNoError;

  Limits limits_;
  Memory* memory_;
  uint32_t slot_;

  // Windows (section 6.9). Sending is bounded by the peer, receiving by us.
  int64_t send_window_ = kWindowDefault;
  int64_t send_window_peak_ = kWindowDefault;  // the largest so far
  int64_t recv_window_ = kWindowDefault;
  uint32_t recv_owed_ = 0;
  // Credit is given back by half windows; a window of one octet by one, since an update of zero is an error.
  uint32_t stream_credit_min_;
  uint32_t connection_credit_min_;
  uint32_t peer_initial_window_ = kWindowDefault;
  uint32_t peer_max_frame_size_ = kFrameSizeDefault;
  uint32_t peer_list_bytes_max_ = UINT32_MAX;  // SETTINGS_MAX_HEADER_LIST_SIZE; none was announced
  uint32_t peer_max_streams_;
  uint32_t open_streams_max_;                      // the same, or none when no more may be opened at all
  uint32_t recv_initial_window_ = kWindowDefault;  // ours as far as the peer has acknowledged it

  uint32_t streams_max_;  // limits_.streams, or none while new ones are refused
  uint64_t pending_bytes_ = 0;

  uint32_t next_stream_id_;
  uint32_t last_peer_stream_id_ = 0;
  uint32_t next_peer_stream_id_ = 1;  // what its next stream has if it passes over none; 0 after GOAWAY: look closer
  ClosedStreams closed_;
  LateFrames late_;                                // for streams that are over
  uint32_t streams_at_once_max_;                   // that the peer has ever had open, at most
  uint32_t unprocessed_streams_ = 0;               // that the peer has opened beyond the GOAWAY of ours
  uint32_t goaway_last_id_ = kStreamIdMax;         // the last we announced
  uint32_t many_ids_from_ = kStreamIdMax / 2 + 1;  // a client's stream beyond which it should connect anew
  uint32_t peer_goaway_last_id_ = kStreamIdMax;

  // The DATA frame that is being received: octets and padding still to come. Its stream may be gone meanwhile.
  uint32_t data_left_ = 0;
  uint32_t data_padding_left_ = 0;
  bool data_end_stream_ = false;
  base::Handle<Stream> data_stream_;

  // The header block that waits for CONTINUATION.
  uint32_t block_stream_id_ = 0;  // 0: none
  bool block_end_stream_ = false;
  uint32_t block_frames_ = 0;
  uint64_t unended_since_ns_ = 0;  // when what is_inside_frame() says began; of no meaning where it says no

  uint32_t reply_bytes_ = 0;      // in output_, written while receiving
  uint32_t replies_ = 0;          // of these, the frames that answer one of the peer's
  uint32_t priorities_ = 0;       // PRIORITY frames so far
  uint32_t skipped_streams_ = 0;  // ids up to the peer's last that it has passed over
  uint32_t idle_frames_ = 0;      // frames so far that asked for nothing (charge_idle_frame)
  uint32_t pings_out_ = 0;        // ours that are not answered
  Allowance resets_;
  Allowance early_resets_;
  Allowance settings_;
  Allowance pings_;
  Allowance empty_frames_;
  Allowance small_data_;
  Allowance glitches_;
  bool has_told_glitches_ = false;
  uint32_t told_faults_ = 0;  // a bit for each Fault that was told, or is about to be
  uint32_t new_faults_ = 0;   // of these, for the end of the receive call
  static constexpr uint8_t kNoticeGlitches = 1;
  static constexpr uint8_t kNoticeIdsEnding = 2;
  static constexpr uint8_t kNoticeFaults = 4;
  uint8_t notices_ = 0;          // for the end of the receive call
  uint32_t headers_offset_ = 0;  // of the HEADERS frame that is being written, in output_
  bool headers_are_stateless_ = false;

  struct WithheldReset {
    uint32_t stream_id;
    ErrorCode code;
  };
  std::vector<WithheldReset> withheld_resets_;  // oldest first

  StreamMap streams_;
  base::IntrusiveList<Stream> sendable_;
  std::vector<base::Handle<Stream>> drained_;
  HpackDecoder decoder_;
  HpackEncoder encoder_;
  base::ByteQueue output_;
  base::ByteQueue partial_;          // the beginning of a frame
  base::ByteQueue header_block_;     // fragments so far
  std::string_view failure_reason_;  // static text
};

}  // namespace ringway::h2
