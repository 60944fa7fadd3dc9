// The frames that carry no part of a message: RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE (RFC 9113 sections 6.4
// to 6.9).
#include <algorithm>

#include "h2/connection.h"

namespace ringway::h2 {

void Connection::on_rst_stream(FrameHeader header, const uint8_t* payload) {
  if (header.length != 4) return fail(ErrorCode::kFrameSizeError, "RST_STREAM of wrong length");
  if (header.stream_id == 0 || is_idle(header.stream_id)) {
    return fail(ErrorCode::kProtocolError, "RST_STREAM on an idle stream");
  }
  Stream* stream = streams_.find(header.stream_id);
  if (stream == nullptr || stream->is_reset) {
    charge_idle_frame();
    return;
  }
  stream->is_reset = true;
  if (stream->is_linked()) stream->unlink();
  drop_pending(*stream);
  add_event(EventKind::kReset, *stream).code = static_cast<ErrorCode>(load_32(payload));
  // Behind a complete response it only ends an upload that nobody wants any more: clients of gRPC must send it then
  // (PROTOCOL-HTTP2.md, Responses). The call has cost what any other costs. Of the others, whether it came early, its
  // owner knows.
  if (!stream->has_sent_end) charge_reset(false);
}

void Connection::on_settings(FrameHeader header, const uint8_t* payload) {
  if (header.stream_id != 0) return fail(ErrorCode::kProtocolError, "SETTINGS on a stream");
  if (header.has(kFlagAck)) {
    if (header.length != 0) return fail(ErrorCode::kFrameSizeError, "SETTINGS acknowledgement with a payload");
    return on_settings_ack();
  }
  if (header.length % 6 != 0) return fail(ErrorCode::kFrameSizeError, "SETTINGS of wrong length");
  if (header.length / 6 > limits_.settings_entries) {
    pass_limit(LimitKind::kSettingsEntries);
    return;
  }
  if (!charge(LimitKind::kSettings, settings_, limits_.settings) || !charge_reply()) return;
  // The limit that was assumed until now is that of the peer from here on: none, if it says nothing (section 6.5.2).
  if (!has_received_settings_ && role_ == Role::kClient) {
    peer_max_streams_ = UINT32_MAX;
    limit_open_streams();
  }
  for (uint32_t offset = 0; offset < header.length; offset += 6) {
    if (!apply_setting(load_16(payload + offset), load_32(payload + offset + 2))) return;
  }
  has_received_settings_ = true;
  write_frame_header(reserve(kFrameHeaderSize), 0, FrameType::kSettings, kFlagAck, 0);
  output_.commit(kFrameHeaderSize);
  add_connection_event(EventKind::kSettings);
}

bool Connection::apply_setting(uint16_t id, uint32_t value) {
  switch (static_cast<SettingId>(id)) {
    case SettingId::kHeaderTableSize: encoder_.set_peer_table_size(value); break;
    case SettingId::kEnablePush:
      if (value > 1 || (value == 1 && role_ == Role::kClient)) {
        fail(ErrorCode::kProtocolError, "SETTINGS_ENABLE_PUSH out of range");
      }
      break;
    case SettingId::kMaxConcurrentStreams:
      peer_max_streams_ = value;
      limit_open_streams();
      break;
    case SettingId::kInitialWindowSize: {
      if (value > kWindowMax) {
        fail(ErrorCode::kFlowControlError, "SETTINGS_INITIAL_WINDOW_SIZE out of range");
        break;
      }
      // All open streams move by the difference and may become negative (section 6.9.2).
      const int64_t change = static_cast<int64_t>(value) - peer_initial_window_;
      peer_initial_window_ = value;
      bool has_overflown = false;
      streams_.for_each([&](Stream& stream) {
        const int64_t window = stream.send_window + change;
        has_overflown |= window > kWindowMax;
        stream.send_window = static_cast<int32_t>(std::min(window, kWindowMax));
        list_sendable(stream);
      });
      if (has_overflown) fail(ErrorCode::kFlowControlError, "SETTINGS_INITIAL_WINDOW_SIZE overflows a stream");
      break;
    }
    case SettingId::kMaxHeaderListSize: peer_list_bytes_max_ = value; break;
    case SettingId::kMaxFrameSize:
      if (value < kFrameSizeDefault || value > kFrameSizeMax) {
        // Not kept: until it hears of the failure the owner may still write, and zero would be a division by zero.
        fail(ErrorCode::kProtocolError, "SETTINGS_MAX_FRAME_SIZE out of range");
        break;
      }
      peer_max_frame_size_ = value;
      break;
    case SettingId::kNoRfc7540Priorities:
      // RFC 9218 section 2.1.
      if (value > 1) fail(ErrorCode::kProtocolError, "SETTINGS_NO_RFC7540_PRIORITIES out of range");
      break;
    default: break;
  }
  return !has_failed_;
}

// From now on the peer counts with our initial window; its earlier streams move by the difference.
void Connection::on_settings_ack() {
  if (has_received_settings_ack_) {
    charge_idle_frame();
    return;
  }
  has_received_settings_ack_ = true;
  const int64_t change = static_cast<int64_t>(limits_.stream_window) - recv_initial_window_;
  recv_initial_window_ = limits_.stream_window;
  streams_.for_each([change](Stream& stream) { stream.recv_window += static_cast<int32_t>(change); });
}

void Connection::on_ping(FrameHeader header, const uint8_t* payload) {
  if (header.length != 8) return fail(ErrorCode::kFrameSizeError, "PING of wrong length");
  if (header.stream_id != 0) return fail(ErrorCode::kProtocolError, "PING on a stream");
  if (header.has(kFlagAck)) {
    if (pings_out_ == 0) {
      charge_idle_frame();
      return;
    }
    --pings_out_;
    add_connection_event(EventKind::kPingAck);
    return;
  }
  // With a call in progress PINGs are how clients measure the path, one a round trip (grpc-go's estimator).
  if (streams_.count() == 0 && !charge(LimitKind::kPings, pings_, limits_.pings)) return;
  if (!charge_reply()) return;
  write_ping(reserve(kPingFrameSize), true, payload);
  output_.commit(kPingFrameSize);
}

void Connection::on_goaway(FrameHeader header, const uint8_t* payload) {
  if (header.length < 8) return fail(ErrorCode::kFrameSizeError, "GOAWAY too short");
  if (header.stream_id != 0) return fail(ErrorCode::kProtocolError, "GOAWAY on a stream");
  const uint32_t last_id = load_32(payload) & kStreamIdMax;
  // One that announces, and one that says what was taken (section 6.8): each makes us look at every stream.
  const bool follows_announcement = peer_goaway_last_id_ == kStreamIdMax && last_id != kStreamIdMax;
  if (has_received_goaway_ && !follows_announcement && !charge_glitch()) return;
  has_received_goaway_ = true;
  limit_open_streams();
  // The announced id may only fall (section 6.8); a larger one changes nothing.
  peer_goaway_last_id_ = std::min(peer_goaway_last_id_, last_id);
  Event& event = add_connection_event(EventKind::kGoaway);
  event.code = static_cast<ErrorCode>(load_32(payload + 4));
  event.last_stream_id = peer_goaway_last_id_;
  event.data_octets = payload + 8;
  event.data_size = header.length - 8;
}

void Connection::on_window_update(FrameHeader header, const uint8_t* payload) {
  if (header.length != 4) return fail(ErrorCode::kFrameSizeError, "WINDOW_UPDATE of wrong length");
  const uint32_t increment = load_32(payload) & kStreamIdMax;
  if (header.stream_id == 0) {
    if (increment == 0) return fail(ErrorCode::kProtocolError, "WINDOW_UPDATE of zero");
    if (send_window_ + increment > kWindowMax) {
      return fail(ErrorCode::kFlowControlError, "connection window overflows");
    }
    send_window_ += increment;
    if (send_window_ > send_window_peak_) {
      send_window_peak_ = send_window_;
      if (!charge_idle_frame()) return;
    }
    add_connection_event(EventKind::kWindowOpened);
    return;
  }
  Stream* stream = streams_.find(header.stream_id);
  if (stream == nullptr) {
    if (is_idle(header.stream_id)) return fail(ErrorCode::kProtocolError, "WINDOW_UPDATE on an idle stream");
    charge_idle_frame();
    return;
  }
  if (stream->is_reset) {
    charge_idle_frame();
    return;
  }
  if (increment == 0) return fail_stream(*stream, ErrorCode::kProtocolError, Fault::kZeroUpdate);
  const int64_t window = int64_t{stream->send_window} + increment;
  if (window > kWindowMax) return fail_stream(*stream, ErrorCode::kFlowControlError, Fault::kUpdateOverflow);
  stream->send_window = static_cast<int32_t>(window);
  if (window > peer_initial_window_ && !charge_idle_frame()) return;
  list_sendable(*stream);
}

}  // namespace ringway::h2
