// Which frames are errors, of which scope and with which code (RFC 9113 sections 4 to 6), for every frame type and both
// roles; each whole and one octet at a time.
#include <gtest/gtest.h>

#include "endpoint.h"

namespace ringway::h2 {
namespace {

using wire::frame;
using wire::u32;

enum class Scope { kNone, kStream, kConnection };

struct Case {
  const char* what;
  std::string bytes;
  Scope scope;
  ErrorCode code = ErrorCode::kNoError;
  uint32_t stream_id = 0;  // of a stream error
};

// Streams on both roles: 1 open, 3 closed by the peer's END_STREAM, 5 reset by us and forgotten, 7 and up idle.
void open_streams(Endpoint& end) {
  end.greet();
  if (end.connection.role() == Role::kServer) {
    end.receive(wire::headers(1, wire::request_block(), false) + wire::headers(3, wire::request_block(), true) +
                wire::headers(5, wire::request_block(), false));
  } else {
    for (uint32_t i = 0; i < 3; ++i) {
      end.send_headers(*end.connection.open_stream(nullptr), wire::request_fields(), false);
    }
    end.receive(wire::headers(3, wire::response_block(), true));
  }
  ASSERT_EQ(end.connection.stream_count(), 3u);
  end.connection.reset_stream(*end.stream(5), ErrorCode::kCancel);
  end.connection.close_stream(*end.stream(5));
  end.take_output();
  end.events.clear();
}

void expect_connection_error(Endpoint& end, const Case& each) {
  EXPECT_TRUE(end.connection.has_failed()) << each.what;
  EXPECT_EQ(name_of(end.connection.failure_code()), name_of(each.code)) << each.what;
  EXPECT_FALSE(end.connection.failure_reason().empty());
  const auto frames = end.take_frames();
  ASSERT_FALSE(frames.empty()) << each.what;
  EXPECT_TRUE(frames.back().is(FrameType::kGoaway)) << each.what;
  EXPECT_EQ(frames.back().u32(4), static_cast<uint32_t>(each.code)) << each.what;
  EXPECT_EQ(frames.back().u32(0), end.connection.last_peer_stream_id());
  // What comes later is not looked at.
  end.receive(wire::ping("12345678"));
  EXPECT_TRUE(end.take_output().empty()) << each.what;
}

void expect_case(Role role, const Case& each, size_t piece_size) {
  Memory memory(1, 100, 1 << 20);
  Endpoint end(role, memory);
  open_streams(end);
  end.receive_in_pieces(each.bytes, piece_size);
  if (each.scope == Scope::kConnection) return expect_connection_error(end, each);
  EXPECT_FALSE(end.connection.has_failed()) << each.what << ": " << end.connection.failure_reason();
  uint32_t reset_count = 0;
  for (const wire::Frame& sent : end.take_frames()) {
    EXPECT_FALSE(sent.is(FrameType::kGoaway)) << each.what;
    if (!sent.is(FrameType::kRstStream)) continue;
    ++reset_count;
    EXPECT_EQ(sent.stream_id, each.stream_id) << each.what;
    EXPECT_EQ(sent.u32(0), static_cast<uint32_t>(each.code)) << each.what;
  }
  EXPECT_EQ(reset_count, each.scope == Scope::kStream ? 1u : 0u) << each.what;
  uint32_t failed_count = 0;
  for (const Seen& seen : end.events) failed_count += seen.kind == EventKind::kStreamFailed;
  const Stream* const stream = end.stream(each.stream_id);
  EXPECT_EQ(failed_count, each.scope == Scope::kStream && stream != nullptr ? 1u : 0u) << each.what;
  if (each.scope == Scope::kStream && stream != nullptr) {
    EXPECT_TRUE(stream->is_reset) << each.what;
  }
}

void expect_cases(Role role, const std::vector<Case>& cases) {
  for (const Case& each : cases) {
    for (const size_t piece_size : {size_t{1} << 20, size_t{1}}) expect_case(role, each, piece_size);
  }
}

constexpr auto kC = Scope::kConnection;
constexpr auto kS = Scope::kStream;
constexpr auto kN = Scope::kNone;
constexpr auto kProtocol = ErrorCode::kProtocolError;
constexpr auto kSize = ErrorCode::kFrameSizeError;
constexpr auto kFlow = ErrorCode::kFlowControlError;
constexpr auto kClosed = ErrorCode::kStreamClosed;

// These hold for both roles: frames of a stream, then those of the connection and of header blocks.
std::vector<Case> stream_cases() {
  return {
      {"DATA on stream 0", wire::data(0, "x", false), kC, kProtocol},
      {"DATA on an idle stream", wire::data(99, "x", false), kC, kProtocol},
      {"DATA behind END_STREAM", wire::data(3, "x", false), kS, kClosed, 3},
      {"empty DATA behind END_STREAM", wire::data(3, "", true), kS, kClosed, 3},
      {"DATA on a forgotten stream", wire::data(5, "x", false), kN},
      {"DATA padded beyond its end", frame(FrameType::kData, kFlagPadded, 5, "\x02x"), kC, kProtocol},
      {"DATA padded to its length", frame(FrameType::kData, kFlagPadded, 5, std::string("\x01", 1)), kC, kProtocol},
      {"DATA of padding alone", frame(FrameType::kData, kFlagPadded, 5, std::string("\x01\x00", 2)), kN},
      {"DATA without its pad length", frame(FrameType::kData, kFlagPadded, 5, ""), kC, kSize},
      {"DATA of the largest size", wire::data(5, std::string(16'384, 'x'), false), kN},
      {"DATA too large", wire::frame_header(16'385, FrameType::kData, 0, 5), kC, kSize},

      {"HEADERS on stream 0", wire::headers(0, "\x82", true), kC, kProtocol},
      {"HEADERS without a pad length", frame(FrameType::kHeaders, kFlagPadded | kFlagEndHeaders, 5, ""), kC, kSize},
      {"HEADERS padded beyond", frame(FrameType::kHeaders, kFlagPadded | kFlagEndHeaders, 5, "\x02x"), kC, kProtocol},
      {"HEADERS without its priority", frame(FrameType::kHeaders, kFlagPriority | kFlagEndHeaders, 5, "1234"), kC,
       kSize},
      {"HEADERS too large", wire::frame_header(16'385, FrameType::kHeaders, 4, 5), kC, kSize},
      {"HEADERS that cannot be decoded", wire::headers(5, "\x80", false), kC, ErrorCode::kCompressionError},
      {"HEADERS on a forgotten stream", wire::headers(5, wire::block({{"a", "b"}}), true), kN},
      {"HEADERS behind END_STREAM", wire::headers(3, wire::block({{"a", "b"}}), true), kS, kClosed, 3},

      {"PRIORITY on stream 0", frame(FrameType::kPriority, 0, 0, "12345"), kC, kProtocol},
      {"PRIORITY too short", frame(FrameType::kPriority, 0, 1, "1234"), kS, kSize, 1},
      {"PRIORITY too long", frame(FrameType::kPriority, 0, 1, "123456"), kS, kSize, 1},
      {"PRIORITY on an open stream", frame(FrameType::kPriority, 0, 1, "12345"), kN},
      {"PRIORITY on an idle stream", frame(FrameType::kPriority, 0, 99, "12345"), kN},

      {"RST_STREAM on stream 0", wire::rst_stream(0, ErrorCode::kCancel), kC, kProtocol},
      {"RST_STREAM on an idle stream", wire::rst_stream(99, ErrorCode::kCancel), kC, kProtocol},
      {"RST_STREAM too short", frame(FrameType::kRstStream, 0, 1, "123"), kC, kSize},
      {"RST_STREAM too long", frame(FrameType::kRstStream, 0, 1, "12345"), kC, kSize},
      {"RST_STREAM on a forgotten stream", wire::rst_stream(5, ErrorCode::kCancel), kN},
      {"RST_STREAM with a code nobody knows", wire::rst_stream(1, static_cast<ErrorCode>(0xdeadbeef)), kN},
  };
}

std::vector<Case> connection_cases() {
  const auto T = [](int type) { return static_cast<FrameType>(type); };
  return {
      {"SETTINGS on a stream", frame(FrameType::kSettings, 0, 1, ""), kC, kProtocol},
      {"SETTINGS of no multiple of six", frame(FrameType::kSettings, 0, 0, "12345"), kC, kSize},
      {"SETTINGS acknowledgement with payload", frame(FrameType::kSettings, kFlagAck, 0, "123456"), kC, kSize},
      {"ENABLE_PUSH 2", wire::settings({{SettingId::kEnablePush, 2}}), kC, kProtocol},
      {"ENABLE_PUSH 0", wire::settings({{SettingId::kEnablePush, 0}}), kN},
      {"INITIAL_WINDOW_SIZE 2^31", wire::settings({{SettingId::kInitialWindowSize, 1u << 31}}), kC, kFlow},
      {"INITIAL_WINDOW_SIZE 2^31-1", wire::settings({{SettingId::kInitialWindowSize, (1u << 31) - 1}}), kN},
      {"INITIAL_WINDOW_SIZE that overflows a stream",
       wire::window_update(1, 1) + wire::settings({{SettingId::kInitialWindowSize, (1u << 31) - 1}}), kC, kFlow},
      {"MAX_FRAME_SIZE 16383", wire::settings({{SettingId::kMaxFrameSize, 16'383}}), kC, kProtocol},
      {"MAX_FRAME_SIZE 16384", wire::settings({{SettingId::kMaxFrameSize, 16'384}}), kN},
      {"MAX_FRAME_SIZE 2^24-1", wire::settings({{SettingId::kMaxFrameSize, (1u << 24) - 1}}), kN},
      {"MAX_FRAME_SIZE 2^24", wire::settings({{SettingId::kMaxFrameSize, 1u << 24}}), kC, kProtocol},
      {"a setting nobody knows", wire::settings({{static_cast<SettingId>(0x7777), 0xffffffff}}), kN},

      {"PUSH_PROMISE", frame(FrameType::kPushPromise, kFlagEndHeaders, 1, u32(2) + "\x82"), kC, kProtocol},
      {"PING on a stream", frame(FrameType::kPing, 0, 1, "12345678"), kC, kProtocol},
      {"PING too short", frame(FrameType::kPing, 0, 0, "1234567"), kC, kSize},
      {"PING too long", frame(FrameType::kPing, 0, 0, "123456789"), kC, kSize},
      {"PING acknowledgement nobody asked for", wire::ping("12345678", true), kN},
      {"GOAWAY on a stream", frame(FrameType::kGoaway, 0, 1, u32(0) + u32(0)), kC, kProtocol},
      {"GOAWAY too short", frame(FrameType::kGoaway, 0, 0, "1234567"), kC, kSize},
      {"GOAWAY", wire::goaway(0, ErrorCode::kNoError), kN},

      {"WINDOW_UPDATE too short", frame(FrameType::kWindowUpdate, 0, 0, "123"), kC, kSize},
      {"WINDOW_UPDATE too long", frame(FrameType::kWindowUpdate, 0, 1, "12345"), kC, kSize},
      {"WINDOW_UPDATE of zero", wire::window_update(0, 0), kC, kProtocol},
      {"WINDOW_UPDATE of zero on a stream", wire::window_update(1, 0), kS, kProtocol, 1},
      {"WINDOW_UPDATE on an idle stream", wire::window_update(99, 1), kC, kProtocol},
      {"WINDOW_UPDATE on a forgotten stream", wire::window_update(5, 1), kN},
      {"WINDOW_UPDATE to 2^31-1", wire::window_update(0, (1u << 31) - 1 - 65'535), kN},
      {"WINDOW_UPDATE to 2^31", wire::window_update(0, (1u << 31) - 65'535), kC, kFlow},
      {"WINDOW_UPDATE of a stream to 2^31-1", wire::window_update(1, (1u << 31) - 1 - 65'535), kN},
      {"WINDOW_UPDATE of a stream to 2^31", wire::window_update(1, (1u << 31) - 65'535), kS, kFlow, 1},
      {"WINDOW_UPDATE with the reserved bit", wire::window_update(1, (1u << 31) | 1), kN},

      {"CONTINUATION without HEADERS", frame(FrameType::kContinuation, kFlagEndHeaders, 1, "\x82"), kC, kProtocol},
      {"CONTINUATION on stream 0", frame(FrameType::kContinuation, kFlagEndHeaders, 0, "\x82"), kC, kProtocol},
      {"CONTINUATION of another stream",
       frame(FrameType::kHeaders, 0, 5, "") + frame(FrameType::kContinuation, kFlagEndHeaders, 1, ""), kC, kProtocol},
      {"DATA inside a header block", frame(FrameType::kHeaders, 0, 5, "") + wire::data(5, "x", false), kC, kProtocol},
      {"PING inside a header block", frame(FrameType::kHeaders, 0, 5, "") + wire::ping("12345678"), kC, kProtocol},
      {"an unknown frame inside a header block", frame(FrameType::kHeaders, 0, 5, "") + frame(T(0x77), 0, 5, ""), kC,
       kProtocol},
      {"HEADERS inside a header block", frame(FrameType::kHeaders, 0, 5, "") + wire::headers(5, "", false), kC,
       kProtocol},
      {"an unknown frame", frame(T(0x77), 0xff, 99, "anything"), kN},
      {"an unknown frame too large", wire::frame_header(16'385, T(0x77), 0, 0), kC, kSize},
  };
}

TEST(ConnectionErrors, OfBothRolesAsServer) {
  expect_cases(Role::kServer, stream_cases());
  expect_cases(Role::kServer, connection_cases());
}
TEST(ConnectionErrors, OfBothRolesAsClient) {
  expect_cases(Role::kClient, stream_cases());
  expect_cases(Role::kClient, connection_cases());
}

TEST(ConnectionErrors, OfTheServer) {
  expect_cases(
      Role::kServer,
      {
          {"HEADERS of a new stream", wire::headers(7, wire::request_block(), true), kN},
          {"HEADERS with an even id", wire::headers(8, wire::request_block(), true), kC, kProtocol},
          {"HEADERS that are malformed", wire::headers(7, wire::block({{":method", "GET"}}), true), kS, kProtocol, 7},
          {"HEADERS with an upper-case name", wire::headers(7, wire::request_block({{"X", "y"}}), true), kS, kProtocol,
           7},
          {"trailers", wire::headers(1, wire::block({{"a", "b"}}), true), kN},
          {"trailers without END_STREAM", wire::headers(1, wire::block({{"a", "b"}}), false), kS, kProtocol, 1},
          {"trailers with a pseudo-field", wire::headers(1, wire::block({{":path", "/"}}), true), kS, kProtocol, 1},
          {"content-length without a body", wire::headers(7, wire::request_block({{"content-length", "1"}}), true), kS,
           kProtocol, 7},
          {"ENABLE_PUSH 1", wire::settings({{SettingId::kEnablePush, 1}}), kN},
          {"DATA on our side's idle ids", wire::data(2, "x", false), kC, kProtocol},
      });
}

TEST(ConnectionErrors, OfTheClient) {
  expect_cases(
      Role::kClient,
      {
          {"a response", wire::headers(1, wire::response_block(), false), kN},
          {"DATA before the response", wire::data(1, "x", false), kS, kProtocol, 1},
          {"DATA behind an informational response",
           wire::headers(1, wire::response_block("103"), false) + wire::data(1, "x", false), kS, kProtocol, 1},
          {"an informational response that ends", wire::headers(1, wire::response_block("103"), true), kS, kProtocol,
           1},
          {"status 101", wire::headers(1, wire::response_block("101"), false), kS, kProtocol, 1},
          {"a response without status", wire::headers(1, wire::block({{"a", "b"}}), false), kS, kProtocol, 1},
          {"HEADERS on an id of ours that is idle", wire::headers(7, wire::response_block(), false), kC, kProtocol},
          {"HEADERS on an even id", wire::headers(2, wire::response_block(), false), kC, kProtocol},
          {"ENABLE_PUSH 1", wire::settings({{SettingId::kEnablePush, 1}}), kC, kProtocol},
          {"trailers without END_STREAM",
           wire::headers(1, wire::response_block(), false) + wire::headers(1, wire::block({{"a", "b"}}), false), kS,
           kProtocol, 1},
      });
}

TEST(ConnectionErrors, TheBeginningOfAConnection) {
  const auto fails = [](Role role, std::string_view bytes) {
    Memory memory(1, 100, 1 << 20);
    Endpoint whole(role, memory);
    whole.receive(bytes);
    Endpoint pieces(role, memory);
    pieces.receive_in_pieces(bytes, 1);
    EXPECT_EQ(whole.connection.has_failed(), pieces.connection.has_failed());
    EXPECT_EQ(whole.connection.failure_code(), pieces.connection.failure_code());
    return whole.connection.has_failed();
  };
  const std::string preface(kPreface);
  EXPECT_FALSE(fails(Role::kServer, preface + wire::settings()));
  EXPECT_TRUE(fails(Role::kServer, "GET / HTTP/1.1\r\n\r\n"));
  EXPECT_TRUE(fails(Role::kServer, "\x16\x03\x01"));
  EXPECT_TRUE(fails(Role::kServer, preface.substr(0, 23) + "x"));
  EXPECT_TRUE(fails(Role::kServer, preface + wire::ping("12345678")));
  EXPECT_TRUE(fails(Role::kServer, preface + wire::settings_ack()));
  EXPECT_TRUE(fails(Role::kServer, preface + wire::headers(1, wire::request_block(), true)));
  EXPECT_FALSE(fails(Role::kClient, wire::settings()));
  EXPECT_TRUE(fails(Role::kClient, wire::settings_ack()));
  EXPECT_TRUE(fails(Role::kClient, wire::goaway(0, ErrorCode::kNoError)));
  EXPECT_TRUE(fails(Role::kClient, "HTTP/1.1 400 Bad Request\r\n\r\n"));
}

struct LengthCase {
  const char* announced;
  std::vector<std::string> bodies;  // one DATA frame each, the last with END_STREAM
  bool has_trailers;
  bool is_good;
};

TEST(ConnectionErrors, ContentLengthAgainstData) {
  const std::vector<LengthCase> cases = {
      {"4", {"1234"}, false, true},     {"4", {"12", "", "34"}, false, true},
      {"4", {"1234", ""}, false, true}, {"4", {"123"}, false, false},
      {"4", {"12345"}, false, false},   {"4", {"12", "345"}, false, false},
      {"0", {""}, false, true},         {"0", {"1"}, false, false},
      {"4", {"1234"}, true, true},      {"4", {"123"}, true, false},
      {"4", {}, true, false},           {"0", {}, true, true},
  };
  for (const LengthCase& each : cases) {
    for (const Role role : {Role::kServer, Role::kClient}) {
      Memory memory(1, 100, 1 << 20);
      Endpoint end(role, memory);
      end.greet();
      if (role == Role::kClient) end.send_headers(*end.connection.open_stream(nullptr), wire::request_fields(), true);
      const PlainList more{{"content-length", each.announced}};
      std::string bytes = wire::headers(
          1, role == Role::kServer ? wire::request_block(more) : wire::response_block("200", more), false);
      for (size_t i = 0; i < each.bodies.size(); ++i) {
        const bool is_last = i + 1 == each.bodies.size() && !each.has_trailers;
        bytes += i % 2 == 0 ? wire::data(1, each.bodies[i], is_last) : wire::padded_data(1, each.bodies[i], 9, is_last);
      }
      if (each.has_trailers) bytes += wire::headers(1, wire::block({{"grpc-status", "0"}}), true);
      end.receive_in_pieces(bytes, 3);
      EXPECT_EQ(end.stream(1)->is_reset, !each.is_good) << each.announced << " " << each.bodies.size();
      EXPECT_EQ(end.events.back().end_stream, each.is_good);
      EXPECT_FALSE(end.connection.has_failed());
    }
  }
}

// A response to HEAD, or 304, may announce a length and have no body (section 8.1.1).
TEST(ConnectionErrors, AResponseThatEndsWithItsHeadersMayAnnounceALength) {
  Memory memory(1, 100, 1 << 20);
  Endpoint end(Role::kClient, memory);
  end.greet();
  end.send_headers(*end.connection.open_stream(nullptr), wire::request_fields(), true);
  end.receive(wire::headers(1, wire::response_block("304", {{"content-length", "10"}}), true));
  EXPECT_FALSE(end.stream(1)->is_reset);
  EXPECT_EQ(end.events.at(0).kind, EventKind::kResponse);
}

}  // namespace
}  // namespace ringway::h2
