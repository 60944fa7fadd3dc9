// RFC 9113 section 6: each frame type's own rules.
#include "rows.h"

namespace ringway::h2::conformance {
namespace {

constexpr auto kProtocol = connection_error(ErrorCode::kProtocolError);
constexpr auto kSize = connection_error(ErrorCode::kFrameSizeError);
constexpr auto kFlow = connection_error(ErrorCode::kFlowControlError);

void add_data(std::vector<Row>& rows, Role role) {
  Section add(rows, "9113 6.1", role);
  const uint32_t id = data_stream(role);
  const auto padded = [id](std::string_view payload) { return raw(0, 8, id, payload); };
  add("stream 0", wire::data(0, "x", false), kProtocol);
  add("empty, stream 0", wire::data(0, "", true), kProtocol);
  add("empty", wire::data(id, "", false), kAccepted);
  add("empty with END_STREAM", wire::data(id, "", true), kAccepted);
  add("padded", wire::padded_data(id, "abc", 7, false), kAccepted);
  add("padded with END_STREAM", wire::padded_data(id, "abc", 7, true), kAccepted);
  add("padded by nothing", wire::padded_data(id, "abc", 0, false), kAccepted);
  add("padded by 255", wire::padded_data(id, "abc", 255, false), kAccepted);
  add("padding alone", wire::padded_data(id, "", 9, false), kAccepted);
  add("padding that is not zero",
      padded("\x02"
             "abXY"),
      kAccepted);
  add("padding of the payload's length",
      padded("\x03"
             "ab"),
      kProtocol);
  add("padding beyond the payload",
      padded("\xff"
             "ab"),
      kProtocol);
  add("padding in a payload of one octet", padded("\x01"), kProtocol);
  add("PADDED and empty", padded(""), kSize);
  add("a bad padding on a stream that we reset",
      raw(0, 8, kResetByUs,
          "\x05"
          "ab"),
      kProtocol);
  add("a bad padding on stream 0",
      raw(0, 8, 0,
          "\x05"
          "ab"),
      kProtocol);
}

void add_headers(std::vector<Row>& rows, Role role) {
  Section add(rows, "9113 6.2", role);
  const uint32_t id = message_stream(role);
  const std::string block = message_block(role);
  const std::string priority = octets(5);
  const auto padded = [&](uint8_t size) { return static_cast<char>(size) + block + std::string(size, '\0'); };
  add("stream 0", wire::headers(0, block, true), kProtocol);
  add("a whole block", wire::headers(id, block, false), kAccepted);
  add("padded", raw(1, 0x0c, id, padded(9)), kAccepted);
  add("padded by nothing", raw(1, 0x0d, id, padded(0)), kAccepted);
  add("padded by 255", raw(1, 0x0d, id, padded(255)), kAccepted);
  add("with priority", raw(1, 0x25, id, priority + block), kAccepted);
  add("padded, with priority", raw(1, 0x2d, id, "\x03" + priority + block + "123"), kAccepted);
  add("padded, in fragments", raw(1, 0x08, id, "\x03" + block.substr(0, 4) + "123") + raw(9, 4, id, block.substr(4)),
      kAccepted);
  add("with priority, in fragments", raw(1, 0x20, id, priority + block.substr(0, 4)) + raw(9, 4, id, block.substr(4)),
      kAccepted);
  add("priority alone, in fragments", raw(1, 0x20, id, priority) + raw(9, 4, id, block), kAccepted);
  add("padding beyond the payload", raw(1, 0x0c, id, "\x7f" + block.substr(0, 20)), kProtocol);
  add("padding of the payload's length", raw(1, 0x0c, id, std::string("\x03") + "ab"), kProtocol);
  add("padding that leaves no room for priority", raw(1, 0x2c, id, "\x01" + priority), kProtocol);
  add("PADDED and empty", raw(1, 0x0c, id, ""), kSize);
  add("PRIORITY and empty", raw(1, 0x24, id, ""), kSize);
  add("PRIORITY and four octets", raw(1, 0x24, id, octets(4)), kSize);
  add("PADDED, PRIORITY and five octets", raw(1, 0x2c, id, std::string(5, '\0')), kSize);
  add("PRIORITY and nothing else, an empty list", raw(1, 0x25, id, priority),
      stream_error(ErrorCode::kProtocolError, id));
  add("bad padding on a stream that we reset", raw(1, 0x0c, kResetByUs, "\x7f\x82"), kProtocol);
}

void add_priority_and_rst(std::vector<Row>& rows, Role role) {
  Section priority(rows, "9113 6.3", role);
  const auto size_of = [](uint32_t id) { return stream_error(ErrorCode::kFrameSizeError, id); };
  priority("stream 0", raw(2, 0, 0, octets(5)), kProtocol);
  for (const uint32_t length : {0u, 4u, 6u}) {
    const std::string octets_of = " of " + std::to_string(length) + " octets";
    priority("open" + octets_of, raw(2, 0, kOpen, octets(length)), size_of(kOpen));
    priority("half-closed (remote)" + octets_of, raw(2, 0, kEnded, octets(length)), size_of(kEnded));
    priority("idle" + octets_of, raw(2, 0, kIdle, octets(length)), kSize);
    priority("closed" + octets_of, raw(2, 0, kOver, octets(length)), kIgnored);
  }
  Section rst(rows, "9113 6.4", role);
  rst("stream 0", wire::rst_stream(0, ErrorCode::kCancel), kProtocol);
  for (const uint32_t length : {0u, 3u, 5u, 8u}) {
    rst("of " + std::to_string(length) + " octets", raw(3, 0, kOpen, octets(length)), kSize);
  }
  rst("of 3 octets on a closed stream", raw(3, 0, kOver, octets(3)), kSize);
  rst("on an idle stream", wire::rst_stream(kIdle, ErrorCode::kCancel), kProtocol);
  rst("on an idle even stream", wire::rst_stream(kEvenIdle, ErrorCode::kCancel), kProtocol);
  rst("NO_ERROR", wire::rst_stream(kOpen, ErrorCode::kNoError), kAccepted);
  rst("REFUSED_STREAM", wire::rst_stream(kOpen, ErrorCode::kRefusedStream), kAccepted);
}

void add_push_and_continuation(std::vector<Row>& rows, Role role) {
  Section push(rows, "9113 6.6", role);
  const std::string promise = wire::u32(2) + wire::request_block();
  push("on an open stream", raw(5, 4, kOpen, promise), kProtocol);
  push("on a stream that we reset", raw(5, 4, kResetByUs, promise), kProtocol);
  push("on an idle stream", raw(5, 4, kIdle, promise), kProtocol);
  push("on stream 0", raw(5, 4, 0, promise), kProtocol);
  push("without a promised stream", raw(5, 4, kOpen, ""), kProtocol);
  push("in fragments", raw(5, 0, kOpen, wire::u32(2)), kProtocol);
  Section add(rows, "9113 6.10", role);
  const uint32_t id = message_stream(role);
  const std::string block = message_block(role);
  const std::string begun = raw(1, 1, id, block.substr(0, 9));
  const std::string rest = block.substr(9);
  add("without HEADERS", raw(9, 4, id, block), kProtocol);
  add("behind a block that has ended", wire::headers(id, block, false) + raw(9, 4, id, ""), kProtocol);
  add("behind trailers that have ended", trailers(data_stream(role)) + raw(9, 4, data_stream(role), ""), kProtocol);
  add("behind DATA", wire::data(data_stream(role), "x", false) + raw(9, 4, data_stream(role), ""), kProtocol);
  add("stream 0", begun + raw(9, 4, 0, rest), kProtocol);
  add("stream 0, without HEADERS", raw(9, 4, 0, block), kProtocol);
  add("a third frame of another stream", begun + raw(9, 0, id, "") + raw(9, 4, kLast, rest), kProtocol);
  add("with flags nobody knows", begun + raw(9, 0xff, id, rest), kAccepted);
  add("END_STREAM means nothing", raw(1, 0, id, block.substr(0, 9)) + raw(9, 5, id, rest) + wire::data(id, "x", true),
      kAccepted);
  add("eight of them",
      begun + raw(9, 0, id, "") + raw(9, 0, id, "") + raw(9, 0, id, "") + raw(9, 0, id, "") + raw(9, 0, id, "") +
          raw(9, 0, id, "") + raw(9, 0, id, "") + raw(9, 4, id, rest),
      kAccepted);
  add("of trailers", raw(1, 1, data_stream(role), "") + raw(9, 4, data_stream(role), wire::block(kTrailerFields)),
      kAccepted);
}

void add_settings(std::vector<Row>& rows, Role role) {
  Section add(rows, "9113 6.5", role);
  add("empty", wire::settings(), kAccepted);
  add("on a stream", raw(4, 0, kOpen, ""), kProtocol);
  add("on an idle stream", raw(4, 0, kIdle, ""), kProtocol);
  for (const uint32_t length : {1u, 5u, 7u, 13u}) {
    add("of " + std::to_string(length) + " octets", raw(4, 0, 0, octets(length)), kSize);
  }
  add("acknowledgement on a stream", raw(4, 1, kOpen, ""), kProtocol);
  add("acknowledgement with a setting", raw(4, 1, 0, wire::u16(3) + wire::u32(1)), kSize);
  add("acknowledgement of one octet", raw(4, 1, 0, "x"), kSize);
  add("acknowledgement that is one too many", wire::settings_ack(), kIgnored);
  Section values(rows, "9113 6.5.2", role);
  using enum SettingId;
  const auto one = [](SettingId id, uint32_t value) { return wire::settings({{id, value}}); };
  values("HEADER_TABLE_SIZE 0", one(kHeaderTableSize, 0), kAccepted);
  values("HEADER_TABLE_SIZE 2^32-1", one(kHeaderTableSize, 0xffffffff), kAccepted);
  values("ENABLE_PUSH 0", one(kEnablePush, 0), kAccepted);
  values("ENABLE_PUSH 1", one(kEnablePush, 1), role == Role::kServer ? kAccepted : kProtocol);
  values("ENABLE_PUSH 2", one(kEnablePush, 2), kProtocol);
  values("ENABLE_PUSH 2^32-1", one(kEnablePush, 0xffffffff), kProtocol);
  values("MAX_CONCURRENT_STREAMS 0", one(kMaxConcurrentStreams, 0), kAccepted);
  values("MAX_CONCURRENT_STREAMS 2^32-1", one(kMaxConcurrentStreams, 0xffffffff), kAccepted);
  values("INITIAL_WINDOW_SIZE 0", one(kInitialWindowSize, 0), kAccepted);
  values("INITIAL_WINDOW_SIZE 2^31-1", one(kInitialWindowSize, 0x7fffffff), kAccepted);
  values("INITIAL_WINDOW_SIZE 2^31", one(kInitialWindowSize, 1u << 31), kFlow);
  values("INITIAL_WINDOW_SIZE 2^32-1", one(kInitialWindowSize, 0xffffffff), kFlow);
  values("MAX_FRAME_SIZE 0", one(kMaxFrameSize, 0), kProtocol);
  values("MAX_FRAME_SIZE 16383", one(kMaxFrameSize, 16'383), kProtocol);
  values("MAX_FRAME_SIZE 16384", one(kMaxFrameSize, 16'384), kAccepted);
  values("MAX_FRAME_SIZE 2^24-1", one(kMaxFrameSize, (1u << 24) - 1), kAccepted);
  values("MAX_FRAME_SIZE 2^24", one(kMaxFrameSize, 1u << 24), kProtocol);
  values("MAX_HEADER_LIST_SIZE 0", one(kMaxHeaderListSize, 0), kAccepted);
  values("ENABLE_CONNECT_PROTOCOL 1", one(static_cast<SettingId>(8), 1), kAccepted);
  values("NO_RFC7540_PRIORITIES 1 (RFC 9218 section 2.1)", one(kNoRfc7540Priorities, 1), kAccepted);
  values("NO_RFC7540_PRIORITIES 2 (RFC 9218 section 2.1)", one(kNoRfc7540Priorities, 2), kProtocol);
  values("setting 0", one(static_cast<SettingId>(0), 1), kAccepted);
  Section order(rows, "9113 6.5.3", role);
  order("the same setting twice", wire::settings({{kInitialWindowSize, 1}, {kInitialWindowSize, 2}}), kAccepted);
  order("a bad value behind a good one", wire::settings({{kMaxFrameSize, 20'000}, {kMaxFrameSize, 1}}), kProtocol);
  order("a bad value before a good one", wire::settings({{kMaxFrameSize, 1}, {kMaxFrameSize, 20'000}}), kProtocol);
  order("a bad value behind an unknown setting",
        wire::settings({{static_cast<SettingId>(0x4242), 1}, {kEnablePush, 3}}), kProtocol);
}

void add_ping_and_goaway(std::vector<Row>& rows, Role role) {
  Section ping(rows, "9113 6.7", role);
  ping("answered", wire::ping("abcdefgh"), kAccepted);
  ping("acknowledgement of none", wire::ping("abcdefgh", true), kIgnored);
  ping("on a stream", raw(6, 0, kOpen, octets(8)), kProtocol);
  ping("on an idle stream", raw(6, 0, kIdle, octets(8)), kProtocol);
  ping("acknowledgement on a stream", raw(6, 1, kOpen, octets(8)), kProtocol);
  for (const uint32_t length : {0u, 7u, 9u}) {
    ping("of " + std::to_string(length) + " octets", raw(6, 0, 0, octets(length)), kSize);
    ping("acknowledgement of " + std::to_string(length) + " octets", raw(6, 1, 0, octets(length)), kSize);
  }
  Section goaway(rows, "9113 6.8", role);
  const auto says = [](uint32_t last_id) { return wire::goaway(last_id, ErrorCode::kNoError); };
  goaway("the last of all ids", says(kStreamIdMax), kAccepted);
  goaway("with debug data", raw(7, 0, 0, wire::u32(0) + wire::u32(0) + "why"), kAccepted);
  goaway("on a stream", raw(7, 0, kOpen, wire::u32(0) + wire::u32(0)), kProtocol);
  goaway("on an idle stream", raw(7, 0, kIdle, wire::u32(0) + wire::u32(0)), kProtocol);
  goaway("of 7 octets", raw(7, 0, 0, octets(7)), kSize);
  goaway("empty", raw(7, 0, 0, ""), kSize);
  goaway("twice, with a smaller id", says(kStreamIdMax) + says(1), kAccepted);
  goaway("twice, with a larger id", says(1) + says(kStreamIdMax), kAccepted);
  const uint32_t id = data_stream(role);
  goaway("streams go on behind it", says(kStreamIdMax) + wire::data(id, "x", false) + trailers(id), kAccepted);
  if (role == Role::kServer) goaway("a client may still open streams", says(0) + request(kIdle), kAccepted);
}

void add_windows(std::vector<Row>& rows, Role role) {
  Section add(rows, "9113 6.9", role);
  const auto zero = [](uint32_t id) { return stream_error(ErrorCode::kProtocolError, id); };
  for (const uint32_t length : {0u, 3u, 5u, 8u}) {
    const std::string of = "of " + std::to_string(length) + " octets";
    add(of + " on stream 0", raw(8, 0, 0, octets(length)), kSize);
    add(of + " on a stream", raw(8, 0, kOpen, octets(length)), kSize);
  }
  add("zero, connection", wire::window_update(0, 0), kProtocol);
  add("zero and the reserved bit, connection", wire::window_update(0, 1u << 31), kProtocol);
  add("zero, open", wire::window_update(kOpen, 0), zero(kOpen));
  add("zero and the reserved bit, open", wire::window_update(kOpen, 1u << 31), zero(kOpen));
  add("zero, half-closed (remote)", wire::window_update(kEnded, 0), zero(kEnded));
  add("zero, half-closed (local)", wire::window_update(kAnswered, 0), zero(kAnswered));
  add("zero, idle", wire::window_update(kIdle, 0), kProtocol);
  add("zero, closed", wire::window_update(kOver, 0), kIgnored);
  add("zero, reset by us", wire::window_update(kResetByUs, 0), kIgnored);
  add("connection", wire::window_update(0, 1), kAccepted);
  Section sums(rows, "9113 6.9.1", role);
  const uint32_t room = 0x7fffffff - 65'535;
  const auto overflow = [](uint32_t id) { return stream_error(ErrorCode::kFlowControlError, id); };
  sums("connection up to 2^31-1", wire::window_update(0, room), kAccepted);
  sums("connection up to 2^31", wire::window_update(0, room + 1), kFlow);
  sums("connection up to 2^31 in two steps", wire::window_update(0, room) + wire::window_update(0, 1), kFlow);
  sums("a stream up to 2^31-1", wire::window_update(kOpen, room), kAccepted);
  sums("a stream up to 2^31", wire::window_update(kOpen, room + 1), overflow(kOpen));
  sums("a stream up to 2^31 in two steps", wire::window_update(kOpen, room) + wire::window_update(kOpen, 1),
       overflow(kOpen));
  sums("a closed stream far beyond", wire::window_update(kOver, 0x7fffffff), kIgnored);
  const uint32_t id = data_stream(role);
  const std::string full = wire::data(id, octets(16'384), false);
  sums("DATA up to a stream's window", full + full + full + full, kAccepted);
  sums("DATA of one octet beyond a stream's window", full + full + full + full + wire::data(id, "x", true),
       overflow(id));
  sums("padding beyond a stream's window", full + full + full + full + wire::padded_data(id, "", 0, false),
       overflow(id));
  sums("empty DATA at a stream's window", full + full + full + full + wire::data(id, "", true), kAccepted);
  Section initial(rows, "9113 6.9.2", role);
  const auto size = [](uint32_t value) { return wire::settings({{SettingId::kInitialWindowSize, value}}); };
  initial("a smaller window makes those of streams negative", size(0) + size(65'535), kAccepted);
  initial("a stream's window beyond 2^31-1", wire::window_update(kOpen, 1) + size(0x7fffffff), kFlow);
  initial("a stream's window of 2^31-1", wire::window_update(kOpen, 1) + size(0x7ffffffe), kAccepted);
  initial("a stream's window beyond 2^31-1 by an update", size(0x7fffffff) + wire::window_update(kOpen, 1),
          overflow(kOpen));
  initial("the connection's window is not moved", size(0x7fffffff) + wire::window_update(0, room), kAccepted);
}

void add_error_codes(std::vector<Row>& rows, Role role) {
  Section add(rows, "9113 7", role);
  const auto unknown = static_cast<ErrorCode>(0xdeadbeef);
  add("RST_STREAM with a code nobody knows", wire::rst_stream(kOpen, unknown), kAccepted);
  add("GOAWAY with a code nobody knows", wire::goaway(0, unknown), kAccepted);
}

}  // namespace

void add_message_frames(std::vector<Row>& rows, Role role) {
  add_data(rows, role);
  add_headers(rows, role);
  add_priority_and_rst(rows, role);
  add_push_and_continuation(rows, role);
}

void add_connection_frames(std::vector<Row>& rows, Role role) {
  add_settings(rows, role);
  add_ping_and_goaway(rows, role);
  add_windows(rows, role);
  add_error_codes(rows, role);
}

}  // namespace ringway::h2::conformance
