// The accounts of what a peer makes us do without an answer that costs it as much: floods and their slow forms.
#include <algorithm>
#include <bit>

#include "h2/connection.h"

namespace ringway::h2 {
namespace {

struct LimitText {
  std::string_view key;
  std::string_view breach;  // why the connection ends, with the key; empty: the owner's, which finds its own words
};

constexpr LimitText kTexts[] = {
    {"limits.header_list", ""},
    {"limits.field", ""},
    {"limits.header_fields", ""},
    {"limits.window", ""},
    {"limits.upstream_window", ""},
    {"limits.continuations", "header block of too many fragments or octets (limits.continuations)"},
    {"limits.streams", ""},
    {"RFC 9113 section 5.1.1", ""},
    {"limits.resets", "too many streams reset (limits.resets)"},
    {"limits.early_resets", "too many streams reset before their response (limits.early_resets)"},
    {"limits.replies", "too many answers are not read (limits.replies)"},
    {"limits.reply_bytes", "answers are not read (limits.reply_bytes)"},
    {"limits.settings_entries", "too many settings in one frame (limits.settings_entries)"},
    {"limits.settings", "too many SETTINGS frames (limits.settings)"},
    {"limits.pings", "too many PING frames without a call (limits.pings)"},
    {"limits.priorities", "too many PRIORITY frames (limits.priorities)"},
    {"limits.empty_frames", "too many empty frames (limits.empty_frames)"},
    {"limits.small_data", "too many tiny DATA frames (limits.small_data)"},
    {"limits.glitches", "too much that a sound peer does not do (limits.glitches)"},
    {"limits.handshake_timeout", ""},
    {"limits.preface_timeout", ""},
    {"limits.header_timeout", ""},
    {"limits.idle_timeout", ""},
    {"limits.connection_age", ""},
    {"limits.stall_timeout", ""},
    {"limits.connection_memory", ""},
    {"limits.connection_headers", ""},
    {"limits.connections", ""},
    {"limits.per_source", ""},
    {"limits.pending_calls", ""},
    {"limits.replay", ""},
    {"limits.replay_total", ""},
    {"limits.message", ""},
    {"shards.memory", ""},
    {"limits.process_memory", ""},
    {"limits.descriptors", ""},
    {"limits.upstream_resets", ""},
    {"limits.records_per_key", ""},
};
static_assert(std::size(kTexts) == static_cast<size_t>(LimitKind::kCount));

}  // namespace

std::string_view key_of(LimitKind kind) noexcept {
  return kTexts[static_cast<size_t>(kind)].key;
}

bool Connection::pass_limit(LimitKind kind) {
  count_limit(kind);
  fail(ErrorCode::kEnhanceYourCalm, kTexts[static_cast<size_t>(kind)].breach);
  return false;
}

bool Connection::charge(LimitKind kind, Allowance& allowance, Rate rate, uint32_t percent) {
  if (has_failed_) return false;
  return allowance.take(rate, memory_->now_ns, percent) || pass_limit(kind);
}

// At three quarters of what is allowed a client is told to go, while nothing of it is lost yet.
bool Connection::charge_glitch(uint32_t percent) {
  if (!charge(LimitKind::kGlitches, glitches_, limits_.glitches, percent)) return false;
  if (role_ == Role::kServer && !has_told_glitches_ && glitches_.is_nearly_used(limits_.glitches, memory_->now_ns)) {
    has_told_glitches_ = true;
    notices_ |= kNoticeGlitches;
  }
  return true;
}

// A list beyond the limit is decoded to its end for the table's sake, an octet of it may stand for a field, and so its
// octets count: 256 of them for a glitch (CVE-2016-6581 and its kin).
void Connection::charge_large_list(size_t octets) {
  constexpr uint32_t kOctetsPerGlitch = 256;
  charge_glitch(Allowance::kWhole + static_cast<uint32_t>(octets) * Allowance::kWhole / kOctetsPerGlitch);
}

// Resets are what a server's calls may end by; of a client they are work for nothing (CVE-2023-44487, CVE-2025-8671).
bool Connection::charge_reset(bool is_early) {
  if (role_ == Role::kClient) return true;
  if (is_early && !charge(LimitKind::kEarlyResets, early_resets_, limits_.early_resets)) return false;
  return charge(LimitKind::kResets, resets_, limits_.resets);
}

void Connection::charge_early_reset() {
  charge(LimitKind::kEarlyResets, early_resets_, limits_.early_resets);
}

void Connection::inherit_early_resets(Allowance inherited) noexcept {
  const Rate rate = limits_.early_resets;
  inherited.give_back_to(rate, memory_->now_ns, rate.burst - std::max(rate.burst / 8, 1u));
  early_resets_ = inherited;
}

// The client cannot know that limit, and is not to blame for meeting it once; for meeting it again and again it is.
void Connection::charge_refusal() {
  if (charge_reset(false)) charge_reply();
}

bool Connection::charge_reply() {
  return ++replies_ <= limits_.replies || has_failed_ || pass_limit(LimitKind::kReplies);
}

// Each is counted, and of each kind the first of a connection is told.
void Connection::note_fault(Fault fault) noexcept {
  static_assert(static_cast<uint32_t>(Fault::kCount) <= 32);
  if (!is_of_limit(fault)) ++(role_ == Role::kServer ? memory_->malformed_requests : memory_->malformed_responses);
  const uint32_t bit = 1u << static_cast<uint32_t>(fault);
  if ((told_faults_ & bit) != 0) return;
  told_faults_ |= bit;
  new_faults_ |= bit;
  notices_ |= kNoticeFaults;
}

void Connection::fail_stream(Stream& stream, ErrorCode code, Fault fault) {
  if (stream.is_reset) return;
  const bool is_early = !stream.has_sent_headers;
  note_fault(fault);
  reset_stream(stream, code);
  // What it sent before it hears of this is part of the same mistake.
  closed_.add_late(stream.id);
  Event& event = add_event(EventKind::kStreamFailed, stream);
  event.code = code;
  event.fault = fault;
  event.has_large_field = false;
  if (charge_reset(is_early) && charge_reply()) charge_glitch();
}

// DATA for which the stream had no credit.
void Connection::fail_for_window(Stream& stream) {
  const bool is_server = role_ == Role::kServer;
  count_limit(is_server ? LimitKind::kWindow : LimitKind::kUpstreamWindow);
  fail_stream(stream, ErrorCode::kFlowControlError, is_server ? Fault::kWindow : Fault::kUpstreamWindow);
}

// By who makes requests here, but for the first; a stream that was passed over is none.
uint32_t Connection::opened_streams() const noexcept {
  return role_ == Role::kServer ? last_peer_stream_id_ / 2 - skipped_streams_ : next_stream_id_ / 2;
}

// What sound peers send now and then because they could not know better: RST_STREAM and WINDOW_UPDATE for a stream that
// has just ended, credit beyond what was used up, a late acknowledgement. A few for each stream are free.
bool Connection::charge_idle_frame() {
  constexpr uint64_t kFreeOfStream = 4;
  return ++idle_frames_ <= kFreeOfStream * opened_streams() || charge_glitch(1);
}

// DATA that ends nothing and is too short for anything. One that filled the window could not be longer.
bool Connection::charge_small_data(bool fills_window) {
  if (data_left_ == 0) return charge(LimitKind::kEmptyFrames, empty_frames_, limits_.empty_frames);
  if (fills_window) return true;
  return charge(LimitKind::kSmallData, small_data_, limits_.small_data);
}

// What comes on a stream that is over costs its peer no less than on an open one. Beyond what the resets that it has
// not seen explain, each frame is a glitch; so are the lists that are decoded for the table's sake alone. Of servers
// any stream is taken for one that it did not know to be over (refuse_closed).
void Connection::charge_late(Refused frame) {
  const bool is_small = !frame.is_mark && data_left_ < kSmallDataBelow;
  if (is_small && !charge_small_data(recv_window_ == 0)) return;
  const uint32_t streams = role_ == Role::kServer ? closed_.late_count() : opened_streams();
  late_.expect(streams, streams_at_once_max_, std::max(recv_initial_window_, limits_.stream_window));
  if (!late_.take_octets(frame.octets) || (frame.is_mark && !late_.take_mark())) charge_glitch();
}

// Ids do not come back: a client that has used half of them is asked to connect anew, long before there are none.
void Connection::notice_ids_ending() noexcept {
  many_ids_from_ = kStreamIdMax;
  notices_ |= kNoticeIdsEnding;
}

// What a receive call leaves to be said, behind its other events.
void Connection::tell_notices() {
  for (; new_faults_ != 0; new_faults_ &= new_faults_ - 1) {
    add_connection_event(EventKind::kFault).fault = static_cast<Fault>(std::countr_zero(new_faults_));
  }
  if ((notices_ & kNoticeGlitches) != 0) add_connection_event(EventKind::kGlitches);
  if ((notices_ & kNoticeIdsEnding) != 0) add_connection_event(EventKind::kIdsEnding);
  notices_ = 0;
}

// Validated as far as RFC 9113 still does, and ignored (sections 5.3.2 and 6.3): that a stream may not depend on itself
// was part of the scheme that it has dropped.
void Connection::on_priority(FrameHeader header) {
  if (header.stream_id == 0) return fail(ErrorCode::kProtocolError, "PRIORITY on stream 0");
  const uint64_t allowed = uint64_t{limits_.priorities} + opened_streams();
  if (++priorities_ > allowed) {
    pass_limit(LimitKind::kPriorities);
  } else if (header.length != 5) {
    on_bad_priority(header.stream_id);
  }
}

}  // namespace ringway::h2
