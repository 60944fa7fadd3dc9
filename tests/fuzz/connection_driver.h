// Drives one connection with fuzzed bytes as its owner would: events are acted upon, commands are mixed in, invariants
// are checked after each step.
//
// The input is a list of records: one octet of command, and for the command "receive" two octets of size and the bytes.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "h2/connection.h"
#include "input.h"

namespace ringway::h2 {

class ConnectionDriver {
 public:
  ConnectionDriver(Role role, std::span<const uint8_t> input)
      : input_(input), memory_(1, 40, 4000), connection_(role, limits_of(take_octet()), memory_, 3) {
    connection_.start();
  }

  void run() {
    while (!input_.empty()) {
      step(take_octet());
      connection_.validate();
    }
    drain_output();
  }

 private:
  static Limits limits_of(uint8_t octet) {
    static constexpr uint32_t kWindows[] = {1, 1000, 65'535, 1 << 20};
    Limits limits{};
    limits.header_list = {octet & 0x80 ? 200u : 65'536u, octet & 0x40 ? 5u : 100u, octet & 0x20 ? 4096u : 65'536u};
    limits.streams = 1 + (octet & 0xf);
    limits.stream_window = kWindows[(octet >> 4) & 3];
    limits.connection_window = limits.stream_window * 2;
    limits.continuations = limits.replies = limits.settings_entries = limits.priorities = 8;
    limits.reply_bytes = 1024;
    limits.resets = limits.early_resets = limits.settings = limits.pings = limits.empty_frames = limits.small_data =
        limits.glitches = {8, 1};
    limits.first_stream_id = (octet & 0x30) == 0x30 && (octet & 1) ? kStreamIdMax - 4 : 1;
    return limits;
  }

  uint8_t take_octet() { return ringway::take_octet(input_); }

  Stream* any_stream(uint8_t choice) {
    Stream* chosen = nullptr;
    uint32_t left = choice % 8;
    connection_.streams().for_each([&](Stream& stream) {
      if (chosen == nullptr || left-- > 0) chosen = &stream;
    });
    return chosen;
  }

  void step(uint8_t command) {
    switch (command % 12) {
      default: receive(); break;
      case 5: open_or_answer(take_octet()); break;
      case 6: send_body(take_octet()); break;
      case 7: send_trailers(take_octet()); break;
      case 8: reset_or_close(take_octet()); break;
      case 9: return_credit(take_octet()); break;
      case 10: connection_.gather(uint32_t{take_octet()} * 100); break;
      case 11: control(take_octet()); break;
    }
  }

  // The bytes lie in memory of exactly their size and stay until the next call, as events point into them.
  void receive() {
    const size_t wanted = size_t{take_octet()} | size_t{take_octet()} << 8;
    const size_t size = wanted < input_.size() ? wanted : input_.size();
    octets_.reset(new uint8_t[size]);
    if (size != 0) std::memcpy(octets_.get(), input_.data(), size);
    input_ = input_.subspan(size);
    const bool had_failed = connection_.has_failed();
    connection_.receive({octets_.get(), size});
    require(!had_failed || memory_.events.empty(), "events after the connection failed");
    for (const Event& event : memory_.events) look_at(event);
  }

  // Reads everything an owner might read.
  void look_at(const Event& event) {
    const bool is_list = event.kind == EventKind::kRequest || event.kind == EventKind::kInformational ||
                         event.kind == EventKind::kResponse || event.kind == EventKind::kTrailers;
    if (event.kind == EventKind::kData || event.kind == EventKind::kGoaway) {
      for (const uint8_t octet : event.data()) sum_ += octet;
    }
    if (is_list || event.kind == EventKind::kListTooLarge) {
      for (const Field& field : memory_.fields_of(event)) {
        for (const char c : field.name()) sum_ += static_cast<uint8_t>(c);
        for (const char c : decoded_value(field, memory_.arena)) sum_ += static_cast<uint8_t>(c);
        require(!is_list || !field.name().empty(), "a field without a name was let through");
      }
    }
    Stream* const stream = memory_.streams.find(event.stream);
    const bool names_stream = event.kind <= EventKind::kListTooLarge;
    require(names_stream == (stream != nullptr), "an event and its stream");
    if (stream == nullptr) return;
    require(connection_.streams().find(stream->id) == stream, "the stream is not in the map");
    if (event.kind == EventKind::kData) set_owed(*stream, owed(*stream) + event.data_size);
    if (event.kind == EventKind::kReset || event.kind == EventKind::kStreamFailed) {
      require(stream->is_reset, "a failed stream is reset");
    } else if (event.end_stream) {
      require(stream->has_received_end, "the end was received");
    }
    if (event.kind == EventKind::kRequest && !stream->is_reset && (sum_ & 1)) echo_headers(*stream, event);
  }

  // Sends the request's own fields back, so that records meet the encoder.
  void echo_headers(Stream& stream, const Event& event) {
    if (event.shared != nullptr) return connection_.send_headers(stream, *event.shared, false);
    connection_.begin_headers(stream);
    connection_.add_fields(memory_.fields_of(event));
    connection_.end_headers(stream, false);
  }

  void open_or_answer(uint8_t choice) {
    Stream* stream = connection_.role() == Role::kClient ? connection_.open_stream(nullptr) : any_stream(choice);
    if (stream == nullptr || stream->has_sent_headers || stream->is_reset || connection_.has_failed()) return;
    connection_.begin_headers(*stream);
    connection_.add_field(make_field(KnownName::kPath, "/a"));
    connection_.end_headers(*stream, choice > 200);
  }

  bool may_send(const Stream* stream) const {
    return stream != nullptr && stream->has_sent_headers && !stream->has_sent_end && !stream->ends_after_pending &&
           !stream->is_reset;
  }

  void send_body(uint8_t choice) {
    Stream* stream = any_stream(choice);
    if (!may_send(stream) || stream->pending.size() > 1 << 20) return;
    const std::vector<uint8_t> body(size_t{choice} * (choice & 1 ? 300 : 3), 'x');
    connection_.send_data(*stream, body, choice > 250);
  }

  void send_trailers(uint8_t choice) {
    Stream* stream = any_stream(choice);
    if (!may_send(stream)) return;
    connection_.begin_trailers(*stream);
    const Field status = make_field(KnownName::kGrpcStatus, "0");
    connection_.add_trailers(*stream, {&status, 1});
    connection_.end_trailers(*stream);
  }

  void reset_or_close(uint8_t choice) {
    Stream* stream = any_stream(choice);
    if (stream == nullptr) return;
    connection_.reset_stream(*stream, ErrorCode::kCancel);
    if (choice & 1) connection_.close_stream(*stream);
  }

  // The owner's pointer serves to count what may be returned as credit.
  static uint32_t owed(const Stream& stream) {
    return static_cast<uint32_t>(reinterpret_cast<uintptr_t>(stream.owner));
  }
  static void set_owed(Stream& stream, uint32_t bytes) { stream.owner = reinterpret_cast<void*>(uintptr_t{bytes}); }

  // Never more than was received: that would be the owner's bug.
  void return_credit(uint8_t choice) {
    Stream* stream = any_stream(choice);
    if (stream == nullptr) return;
    const uint32_t bytes = choice & 1 ? owed(*stream) : owed(*stream) / 2;
    set_owed(*stream, owed(*stream) - bytes);
    connection_.return_credit(*stream, bytes);
  }

  void control(uint8_t choice) {
    switch (choice % 4) {
      case 0: connection_.send_ping(choice); break;
      case 1: connection_.set_write_blocked((choice & 4) != 0); break;
      case 2: connection_.send_goaway(choice, ErrorCode::kNoError, "drain"); break;
      default: drain_output(); break;
    }
  }

  // What leaves must be whole frames of allowed sizes, nothing may follow the end or reset of a stream.
  void drain_output() {
    base::ByteQueue& output = connection_.output();
    while (connection_.wants_gather() && output.size() < 1 << 20) connection_.gather(1 << 20);
    const uint8_t* p = output.data();
    const uint8_t* const end = p + output.size();
    if (is_first_output_ && connection_.role() == Role::kClient) p += kPreface.size();
    is_first_output_ = false;
    while (p != end) {
      require(end - p >= 9, "a cut frame header in the output");
      const FrameHeader header = parse_frame_header(p);
      p += kFrameHeaderSize;
      require(static_cast<size_t>(end - p) >= header.length, "a cut frame in the output");
      if (header.type == FrameType::kWindowUpdate) require(load_32(p) != 0, "WINDOW_UPDATE of zero");
      if (header.type == FrameType::kGoaway) {
        require(load_32(p) <= last_goaway_id_, "the id of GOAWAY rose");
        last_goaway_id_ = load_32(p);
      }
      p += header.length;
    }
    output.release(memory_.blocks);
    while (Stream* stream = connection_.pop_drained()) stream->drained_bytes = 0;
  }

  std::span<const uint8_t> input_;
  Memory memory_;
  Connection connection_;
  std::unique_ptr<uint8_t[]> octets_;
  uint64_t sum_ = 0;
  uint32_t last_goaway_id_ = kStreamIdMax;
  bool is_first_output_ = true;
};

}  // namespace ringway::h2
