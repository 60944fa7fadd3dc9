// RFC 9113 section 3.4, the preface, and section 4, the frame format.
#include "rows.h"

namespace ringway::h2::conformance {
namespace {

constexpr auto kProtocol = connection_error(ErrorCode::kProtocolError);
constexpr auto kSize = connection_error(ErrorCode::kFrameSizeError);
constexpr auto kFirst = Start::kFirstOctet;

void add_preface(std::vector<Row>& rows, Role role) {
  Section add(rows, "9113 3.4", role);
  const std::string preface(kPreface);
  const std::string before = role == Role::kServer ? preface : "";
  add("SETTINGS first", before + wire::settings({{SettingId::kMaxConcurrentStreams, 7}}), kAccepted, kFirst);
  add("empty SETTINGS first", before + wire::settings(), kAccepted, kFirst);
  add("acknowledgement first", before + wire::settings_ack(), kProtocol, kFirst);
  add("PING first", before + wire::ping("12345678"), kProtocol, kFirst);
  add("WINDOW_UPDATE first", before + wire::window_update(0, 1), kProtocol, kFirst);
  add("GOAWAY first", before + wire::goaway(0, ErrorCode::kNoError), kProtocol, kFirst);
  add("HEADERS first", before + request(1), kProtocol, kFirst);
  add("an unknown frame first", before + raw(0x77, 0, 0, "x"), kProtocol, kFirst);
  add("a frame first that is no SETTINGS and too large", before + wire::frame_header(20'000, FrameType::kData, 0, 1),
      kProtocol, kFirst);
  add("SETTINGS first, too large", before + wire::frame_header(16'386, FrameType::kSettings, 0, 0), kSize, kFirst);
  add("SETTINGS first, on a stream", before + raw(4, 0, 1, ""), kProtocol, kFirst);
  add("HTTP/1.1", role == Role::kServer ? "GET / HTTP/1.1\r\n\r\n" : "HTTP/1.1 400 Bad Request\r\n\r\n", kProtocol,
      kFirst);
  add("TLS",
      role == Role::kServer ? std::string("\x16\x03\x01\x02\x00\x01", 6)
                            : std::string("\x15\x03\x01\x00\x02\x02\x46\x00\x00", 9),
      kProtocol, kFirst);
  if (role == Role::kClient) {
    add("the preface of a client", preface, kProtocol, kFirst);
    return;
  }
  add("no preface", wire::settings(), kProtocol, kFirst);
  add("a preface with a wrong last octet", preface.substr(0, 23) + "\r" + wire::settings(), kProtocol, kFirst);
  add("a preface with a wrong first octet", "p" + preface.substr(1) + wire::settings(), kProtocol, kFirst);
  add("the preface twice", preface + preface, kProtocol, kFirst);
  add("a request right behind SETTINGS", preface + wire::settings() + request(1), kAccepted, kFirst);
}

void add_format(std::vector<Row>& rows, Role role) {
  Section add(rows, "9113 4.1", role);
  const uint32_t reserved = 1u << 31;
  const uint32_t open = data_stream(role);
  add("DATA with flags nobody knows", raw(0, 0xf6, open, "x"), kAccepted);
  add("HEADERS with flags nobody knows", raw(1, 0xd5, message_stream(role), message_block(role)), kAccepted);
  add("PRIORITY with flags nobody knows", raw(2, 0xff, open, octets(5)), kIgnored);
  add("RST_STREAM with flags nobody knows", raw(3, 0xff, open, wire::u32(8)), kAccepted);
  add("SETTINGS with flags nobody knows", raw(4, 0xfe, 0, ""), kAccepted);
  add("PING with flags nobody knows", raw(6, 0xfe, 0, "12345678"), kAccepted);
  add("GOAWAY with flags nobody knows", raw(7, 0xff, 0, wire::u32(0) + wire::u32(0)), kAccepted);
  add("WINDOW_UPDATE with flags nobody knows", raw(8, 0xff, open, wire::u32(1)), kAccepted);
  add("DATA with the reserved bit", wire::data(open | reserved, "x", false), kAccepted);
  add("PING with the reserved bit", raw(6, 0, reserved, "12345678"), kAccepted);
  add("SETTINGS with the reserved bit", raw(4, 0, reserved, ""), kAccepted);
  add("WINDOW_UPDATE with the reserved bit", wire::window_update(open | reserved, 1), kAccepted);
}

void add_sizes(std::vector<Row>& rows, Role role) {
  Section add(rows, "9113 4.2", role);
  const uint32_t open = data_stream(role);
  add("DATA of 16384", wire::data(open, octets(16'384), false), kAccepted);
  for (const uint32_t length : {16'385u, (1u << 24) - 1}) {
    const std::string of = " of " + std::to_string(length);
    add("DATA" + of, wire::frame_header(length, FrameType::kData, 0, open), kSize);
    add("HEADERS" + of, wire::frame_header(length, FrameType::kHeaders, 4, message_stream(role)), kSize);
    add("SETTINGS" + of, wire::frame_header(length, FrameType::kSettings, 0, 0), kSize);
    add("PING" + of, wire::frame_header(length, FrameType::kPing, 0, 0), kSize);
    add("GOAWAY" + of, wire::frame_header(length, FrameType::kGoaway, 0, 0), kSize);
    add("an unknown frame" + of, wire::frame_header(length, static_cast<FrameType>(0x77), 0, open), kSize);
  }
  add("CONTINUATION of 16385",
      raw(1, 0, message_stream(role), "") +
          wire::frame_header(16'385, FrameType::kContinuation, 4, message_stream(role)),
      kSize);
  add("GOAWAY of 16384", raw(7, 0, 0, wire::u32(0) + wire::u32(0) + octets(16'376)), kAccepted);
  add("an unknown frame of 16384", raw(0x77, 0, open, octets(16'384)), kIgnored);
}

void add_blocks(std::vector<Row>& rows, Role role) {
  Section add(rows, "9113 4.3", role);
  const uint32_t id = message_stream(role);
  const std::string block = message_block(role);
  const std::string begun = raw(1, 1, id, block.substr(0, 5));
  const std::string ended = raw(9, 4, id, block.substr(5));
  const auto kCompression = connection_error(ErrorCode::kCompressionError);
  add("a block in two fragments", begun + ended, kAccepted);
  add("a block in six fragments",
      begun + raw(9, 0, id, "") + raw(9, 0, id, block.substr(5, 1)) + raw(9, 0, id, block.substr(6, 1)) +
          raw(9, 0, id, block.substr(7, 2)) + raw(9, 4, id, block.substr(9)),
      kAccepted);
  add("an empty fragment first", raw(1, 1, id, "") + raw(9, 4, id, block), kAccepted);
  add("an empty fragment last", raw(1, 1, id, block) + raw(9, 4, id, ""), kAccepted);
  add("a block cut inside a field", raw(1, 5, id, block.substr(0, block.size() - 1)), kCompression);
  add("a block cut inside a field, in fragments", begun + raw(9, 4, id, block.substr(5, block.size() - 6)),
      kCompression);
  struct Between {
    const char* what;
    std::string frame;
  };
  const Between between[] = {
      {"DATA", wire::data(data_stream(role), "x", false)},
      {"HEADERS", raw(1, 4, id, block)},
      {"HEADERS of another stream", raw(1, 4, kLast, block)},
      {"PRIORITY", raw(2, 0, id, octets(5))},
      {"RST_STREAM", wire::rst_stream(id, ErrorCode::kCancel)},
      {"SETTINGS", wire::settings()},
      {"a SETTINGS acknowledgement", wire::settings_ack()},
      {"PUSH_PROMISE", raw(5, 4, id, wire::u32(2) + "\x82")},
      {"PING", wire::ping("12345678")},
      {"GOAWAY", wire::goaway(0, ErrorCode::kNoError)},
      {"WINDOW_UPDATE", wire::window_update(0, 1)},
      {"CONTINUATION of another stream", raw(9, 4, kLast, block.substr(5))},
      {"an unknown frame", raw(0x77, 0, id, "x")},
  };
  for (const auto& [what, frame] : between)
    add(std::string(what) + " inside a header block", begun + frame + ended, kProtocol);
  add("a block of a stream that we reset cannot be decoded", wire::headers(kResetByUs, "\x80", true), kCompression);
  add("a block of a stream that we reset changes the table",
      wire::headers(kResetByUs, hpack_literal(kLiteralIncremental, "x-kept", "v"), true) +
          wire::headers(id, block + hpack_integer(0x80, 7, 62), true),
      kAccepted);
  add("a malformed block changes the table",
      wire::headers(role == Role::kServer ? kIdle : kLast, hpack_literal(kLiteralIncremental, "x-kept", "v"), true) +
          wire::headers(role == Role::kServer ? kIdle + 2 : kOpen, block + hpack_integer(0x80, 7, 62), true),
      stream_error(ErrorCode::kProtocolError, role == Role::kServer ? kIdle : kLast));
}

}  // namespace

void add_opening_and_format(std::vector<Row>& rows, Role role) {
  add_preface(rows, role);
  add_format(rows, role);
  add_sizes(rows, role);
  add_blocks(rows, role);
}

}  // namespace ringway::h2::conformance
