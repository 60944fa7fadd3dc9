// What comes on streams that are over: free as far as its peer could not know better, at its price beyond that.
#include "h2/late_frames.h"

#include <gtest/gtest.h>

#include <string>

#include "endpoint.h"

namespace ringway::h2 {
namespace {

TEST(LateFramesTest, WindowsAndMarksOfTheStreamsThatEnded) {
  LateFrames late;
  EXPECT_FALSE(late.take_octets(1));
  EXPECT_FALSE(late.take_mark());
  EXPECT_TRUE(late.take_octets(0)) << "padding, or an end";
  late.expect(3, 10, 100);
  EXPECT_FALSE(late.take_octets(301));
  EXPECT_TRUE(late.take_octets(299));
  EXPECT_TRUE(late.take_octets(1));
  EXPECT_FALSE(late.take_octets(1));
  for (int i = 0; i < 6; ++i) EXPECT_TRUE(late.take_mark()) << i;
  EXPECT_FALSE(late.take_mark());
  late.expect(3, 10, 100);
  EXPECT_FALSE(late.take_octets(1)) << "the same three";
  late.expect(4, 10, 100);
  EXPECT_TRUE(late.take_octets(100));
  EXPECT_TRUE(late.take_mark());
}

TEST(LateFramesTest, WhatIsNotUsedIsNotHeapedUp) {
  LateFrames late;
  late.expect(1'000'000, 10, 0x7fffffff);
  EXPECT_TRUE(late.take_octets(0x7fffffff));
  for (int i = 0; i < 9; ++i) EXPECT_TRUE(late.take_octets(0x7fffffff)) << i;
  EXPECT_FALSE(late.take_octets(1));
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(late.take_mark()) << i;
  EXPECT_FALSE(late.take_mark());
}

constexpr uint32_t kStreams = 4;
constexpr uint32_t kWindow = 1000;

Limits strict_limits(Role role) {
  Limits limits = test_limits();
  limits.streams = role == Role::kServer ? kStreams : 0;
  limits.stream_window = kWindow;
  limits.empty_frames = {13, 4};
  limits.small_data = {14, 5};
  limits.glitches = {8, 2};
  return limits;
}

// A peer, and a stream of which it has not heard yet that it is over.
class LateFramesOf : public testing::TestWithParam<Role> {
 protected:
  LateFramesOf() : end_(GetParam(), memory_, strict_limits(GetParam())) {
    end_.greet();
    open();
    over();
  }

  void open() {
    next_ = last_ + 2;
    if (GetParam() == Role::kServer) {
      end_.receive(wire::headers(next_, wire::request_block(), false));
    } else {
      end_.send_headers(*end_.connection.open_stream(nullptr), wire::request_fields(), true);
    }
    last_ = next_;
  }
  void over() {
    Stream& stream = *end_.stream(last_);
    end_.connection.reset_stream(stream, ErrorCode::kCancel);
    end_.connection.close_stream(stream);
    end_.take_output();
  }
  // How many of them end the connection.
  uint32_t frames_until_end(const std::string& frame, uint32_t most = 10'000) {
    uint32_t count = 0;
    while (!end_.connection.has_failed() && count < most) {
      end_.take_output();
      // What is told is of the connection: that glitches become many.
      for (const Seen& seen : end_.receive(frame)) EXPECT_EQ(seen.stream_id, 0u) << seen;
      ++count;
    }
    return count;
  }
  void expect_end_by(LimitKind kind) {
    EXPECT_EQ(end_.connection.failure_code(), ErrorCode::kEnhanceYourCalm);
    EXPECT_EQ(memory_.limit_hits[static_cast<size_t>(kind)], 1u);
    EXPECT_NE(end_.connection.failure_reason().find(key_of(kind)), std::string_view::npos);
  }
  std::string block() const { return GetParam() == Role::kServer ? wire::request_block() : wire::response_block(); }

  Memory memory_{1, 100'000, 1 << 20};
  Endpoint end_;
  uint32_t next_ = 0;
  uint32_t last_ = UINT32_MAX;  // + 2 is 1
};

TEST_P(LateFramesOf, DataWithoutOctets) {
  EXPECT_EQ(frames_until_end(wire::data(1, "", false)), 13u + 1);
  expect_end_by(LimitKind::kEmptyFrames);
}

TEST_P(LateFramesOf, PaddingAlone) {
  EXPECT_EQ(frames_until_end(wire::padded_data(1, "", 9, false)), 13u + 1);
  expect_end_by(LimitKind::kEmptyFrames);
}

TEST_P(LateFramesOf, DataOfAnOctet) {
  EXPECT_EQ(frames_until_end(wire::data(1, "x", false)), 14u + 1);
  expect_end_by(LimitKind::kSmallData);
}

TEST_P(LateFramesOf, DataBeyondTheWindow) {
  EXPECT_EQ(frames_until_end(wire::data(1, std::string(100, 'd'), false)), kWindow / 100 + 8 + 1);
  expect_end_by(LimitKind::kGlitches);
}

TEST_P(LateFramesOf, EndsWithoutOctets) {
  EXPECT_EQ(frames_until_end(wire::data(1, "", true)), 2u + 8 + 1);
  expect_end_by(LimitKind::kGlitches);
}

TEST_P(LateFramesOf, Headers) {
  EXPECT_EQ(frames_until_end(wire::headers(1, block(), true)), 2u + 8 + 1);
  expect_end_by(LimitKind::kGlitches);
}

// Streams that are still to be closed by their owner are over as well.
TEST_P(LateFramesOf, HeadersOnAStreamThatIsKept) {
  open();
  end_.connection.reset_stream(*end_.stream(last_), ErrorCode::kCancel);
  EXPECT_EQ(frames_until_end(wire::headers(last_, block(), true)), 2u * 2 + 8 + 1);
  expect_end_by(LimitKind::kGlitches);
}

// All that a sound peer has under way, on as many streams as it may have open, time and again.
TEST_P(LateFramesOf, UnderWayOnEveryStream) {
  for (int round = 0; round < 50; ++round) {
    std::string late;
    const uint32_t first = last_ + 2;
    for (uint32_t i = 0; i < kStreams; ++i) open();
    for (uint32_t id = first; id <= last_; id += 2) {
      Stream& stream = *end_.stream(id);
      end_.connection.reset_stream(stream, ErrorCode::kCancel);
      end_.connection.close_stream(stream);
      if (GetParam() == Role::kClient) late += wire::headers(id, wire::response_block(), false);
      late +=
          wire::data(id, std::string(kWindow / 2, 'd'), false) + wire::data(id, std::string(kWindow / 2, 'd'), false);
      late += wire::headers(id, wire::block({{"grpc-status", "0"}}), true);
    }
    end_.take_output();
    EXPECT_TRUE(end_.receive(late).empty());
    ASSERT_FALSE(end_.connection.has_failed()) << round << ": " << end_.connection.failure_reason();
  }
}

// Of many that were reset, and of which nothing came, no more is left than of those that were open at once.
TEST_P(LateFramesOf, NothingIsHeapedUp) {
  for (int i = 0; i < 500; ++i) {
    open();
    over();
  }
  const uint32_t at_once = GetParam() == Role::kServer ? kStreams : 100;
  EXPECT_EQ(frames_until_end(wire::headers(1, block(), true)), 2 * at_once + 8 + 1);
}

INSTANTIATE_TEST_SUITE_P(Roles, LateFramesOf, testing::Values(Role::kServer, Role::kClient),
                         [](const auto& role) { return role.param == Role::kServer ? "Server" : "Client"; });

// Servers send on streams that they have ended themselves. It is discarded, and bounded.
TEST(LateFramesOfServers, BehindTheirOwnEnd) {
  Memory memory(1, 100, 1 << 20);
  Endpoint client(Role::kClient, memory, strict_limits(Role::kClient));
  client.greet();
  constexpr uint32_t kCalls = 50;
  for (uint32_t id = 1; id < 2 * kCalls; id += 2) {
    Stream& stream = *client.connection.open_stream(nullptr);
    client.send_headers(stream, wire::request_fields(), true);
    client.receive(wire::headers(id, wire::response_block(), true));
    client.connection.close_stream(stream);
    client.receive(wire::headers(id, wire::block({{"grpc-status", "4"}}), true) + wire::data(id, "hello", true));
    client.take_output();
  }
  ASSERT_FALSE(client.connection.has_failed()) << client.connection.failure_reason();
  for (int i = 0; i < 9; ++i) client.receive(wire::data(1, "hello", true));
  EXPECT_TRUE(client.connection.has_failed());
}

// Of resets that are withheld the peer hears late, and may have said all that it had to by then.
TEST(LateFramesOfServers, OnStreamsWhoseResetsAreWithheld) {
  Memory memory(1, 1000, 1 << 20);
  Endpoint client(Role::kClient, memory, strict_limits(Role::kClient));
  client.greet({{SettingId::kMaxConcurrentStreams, 500}});
  std::string late;
  for (uint32_t id = 1; id < 1000; id += 2) {
    Stream& stream = *client.connection.open_stream(nullptr);
    client.send_headers(stream, wire::request_fields(), true);
    late += wire::headers(id, wire::response_block(), false) + wire::data(id, std::string(kWindow, 'd'), false) +
            wire::headers(id, wire::block({{"grpc-status", "0"}}), true);
  }
  while (Stream* stream = client.connection.streams().any()) {
    client.connection.withhold_reset(*stream, ErrorCode::kCancel);
    client.connection.close_stream(*stream);
  }
  client.take_output();
  client.receive(late);
  EXPECT_FALSE(client.connection.has_failed()) << client.connection.failure_reason();
}

// Clients that do not know our limit yet go beyond it, bodies and all.
TEST(LateFramesOfClients, OnStreamsThatWereRefused) {
  Memory memory(1, 1000, 1 << 20);
  Limits limits = strict_limits(Role::kServer);
  limits.stream_window = kWindowDefault;
  Endpoint server(Role::kServer, memory, limits);
  server.receive(std::string(kPreface) + wire::settings());
  server.take_output();
  std::string flight;
  for (uint32_t id = 1; id < 200; id += 2) flight += wire::headers(id, wire::request_block(), false);
  for (uint32_t id = 1; id < 200; id += 2) flight += wire::data(id, std::string(500, 'd'), true);
  server.receive(flight);
  EXPECT_FALSE(server.connection.has_failed()) << server.connection.failure_reason();
  EXPECT_EQ(server.connection.stream_count(), kStreams);
}

class BeyondGoaway : public testing::Test {
 protected:
  BeyondGoaway() {
    server_.greet();
    server_.receive(wire::headers(1, wire::request_block(), false));
    server_.connection.send_goaway(1, ErrorCode::kNoError, "");
    server_.take_output();
  }

  Memory memory_{1, 100, 1 << 20};
  Endpoint server_{Role::kServer, memory_, strict_limits(Role::kServer)};
};

TEST_F(BeyondGoaway, AsManyStreamsAsMayBeOpenAreFree) {
  std::string late;
  for (uint32_t i = 0; i < kStreams; ++i) {
    const uint32_t id = 3 + 2 * i;
    late += wire::headers(id, wire::request_block(), false) + wire::data(id, std::string(kWindow, 'd'), false) +
            wire::headers(id, wire::block({{"x", "y"}}), true);
  }
  EXPECT_TRUE(server_.receive(late).empty());
  EXPECT_FALSE(server_.connection.has_failed()) << server_.connection.failure_reason();
  // Each of these would be a glitch.
  for (int i = 0; i < 9; ++i) server_.receive(wire::data(3, "hello", true));
  EXPECT_TRUE(server_.connection.has_failed());
}

TEST_F(BeyondGoaway, FurtherOnesAreGlitches) {
  uint32_t id = 3;
  for (; !server_.connection.has_failed() && id < 1000; id += 2) {
    server_.receive(wire::headers(id, wire::request_block(), true));
  }
  EXPECT_EQ(id, 3 + 2 * (kStreams + 8 + 1));
  EXPECT_EQ(server_.connection.failure_code(), ErrorCode::kEnhanceYourCalm);
  EXPECT_EQ(memory_.limit_hits[static_cast<size_t>(LimitKind::kGlitches)], 1u);
  EXPECT_EQ(server_.stream(3), nullptr);
}

}  // namespace
}  // namespace ringway::h2
