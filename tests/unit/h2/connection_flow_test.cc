// Flow control at both levels, settings, and the order in which things leave.
#include <gtest/gtest.h>

#include <algorithm>

#include "endpoint.h"

namespace ringway::h2 {
namespace {

class ConnectionFlowTest : public testing::Test {
 protected:
  // A client with `count` open streams whose requests have gone.
  void open(Endpoint& client, uint32_t count) {
    for (uint32_t i = 0; i < count; ++i) {
      client.send_headers(*client.connection.open_stream(nullptr), wire::request_fields(), false);
    }
    client.take_output();
  }

  static std::string body_of(const std::vector<wire::Frame>& frames, uint32_t id) {
    std::string body;
    for (const wire::Frame& sent : frames) {
      if (sent.is(FrameType::kData) && sent.stream_id == id) body += sent.payload;
    }
    return body;
  }
  static uint64_t updates_of(const std::vector<wire::Frame>& frames, uint32_t id) {
    uint64_t sum = 0;
    for (const wire::Frame& sent : frames) {
      if (!sent.is(FrameType::kWindowUpdate) || sent.stream_id != id) continue;
      EXPECT_NE(sent.u32(0), 0u) << "a WINDOW_UPDATE of zero is an error";
      sum += sent.u32(0);
    }
    return sum;
  }

  Memory memory_{1, 1000, 1 << 20};
};

TEST_F(ConnectionFlowTest, TheOpeningOfEachRole) {
  Limits limits = test_limits();
  Endpoint client(Role::kClient, memory_, limits);
  std::string bytes = client.take_output();
  EXPECT_TRUE(bytes.starts_with(kPreface));
  auto frames = wire::parse(bytes);
  ASSERT_EQ(frames.size(), 2u);
  EXPECT_TRUE(frames[0].is(FrameType::kSettings));
  EXPECT_EQ(frames[0].payload, wire::settings({{SettingId::kEnablePush, 0},
                                               {SettingId::kInitialWindowSize, limits.stream_window},
                                               {SettingId::kMaxHeaderListSize, limits.header_list.list_bytes},
                                               {SettingId::kNoRfc7540Priorities, 1}})
                                   .substr(9));
  EXPECT_EQ(updates_of(frames, 0), limits.connection_window - 65'535);
  EXPECT_EQ(client.connection.recv_window(), limits.connection_window);
  // A connection window that is no larger than the default needs no update.
  limits.connection_window = 65'535;
  Endpoint server(Role::kServer, memory_, limits);
  frames = server.take_frames();
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_TRUE(
      frames[0].payload.starts_with(wire::settings({{SettingId::kMaxConcurrentStreams, limits.streams}}).substr(9)));
}

TEST_F(ConnectionFlowTest, SendingStopsAtTheStreamsWindow) {
  Endpoint client(Role::kClient, memory_);
  client.greet({{SettingId::kInitialWindowSize, 10}});
  open(client, 1);
  Stream& stream = *client.stream(1);
  EXPECT_EQ(client.send_data(stream, "0123456", false), 7u);
  EXPECT_EQ(client.send_data(stream, "789abc", true), 0u);
  EXPECT_EQ(body_of(client.take_frames(), 1), "0123456789");
  EXPECT_EQ(stream.send_window, 0);
  EXPECT_EQ(stream.drained_bytes, 3u);
  EXPECT_EQ(client.connection.pop_drained(), &stream);
  stream.drained_bytes = 0;
  EXPECT_EQ(client.connection.pop_drained(), nullptr);
  EXPECT_FALSE(client.connection.wants_gather());
  client.receive(wire::window_update(1, 2));
  auto frames = client.take_frames();
  EXPECT_EQ(body_of(frames, 1), "ab");
  EXPECT_EQ(frames.back().flags, 0);
  client.receive(wire::window_update(1, 100));
  frames = client.take_frames();
  EXPECT_EQ(body_of(frames, 1), "c");
  EXPECT_EQ(frames.back().flags, kFlagEndStream);
  EXPECT_TRUE(stream.has_sent_end);
  EXPECT_EQ(stream.send_window, 99);
  EXPECT_EQ(client.connection.pop_drained(), &stream);
  EXPECT_EQ(stream.drained_bytes, 3u);
}

TEST_F(ConnectionFlowTest, SendingStopsAtTheConnectionsWindow) {
  Endpoint client(Role::kClient, memory_);
  client.greet({{SettingId::kInitialWindowSize, 1 << 20}});
  open(client, 3);
  for (const uint32_t id : {1u, 3u, 5u}) client.send_data(*client.stream(id), std::string(40'000, 'x'), true);
  auto frames = client.take_frames();
  size_t sum = 0;
  for (const uint32_t id : {1u, 3u, 5u}) sum += body_of(frames, id).size();
  EXPECT_EQ(sum, 65'535u);
  EXPECT_EQ(client.connection.send_window(), 0);
  EXPECT_FALSE(client.connection.wants_gather());
  const auto seen = client.receive(wire::window_update(0, 1 << 20));
  EXPECT_EQ(seen.at(0).kind, EventKind::kWindowOpened);
  frames = client.take_frames();
  for (const uint32_t id : {1u, 3u, 5u}) sum += body_of(frames, id).size();
  EXPECT_EQ(sum, 120'000u);
}

// An end needs no window: it must leave though the connection's is used up.
TEST_F(ConnectionFlowTest, EndsLeaveWithoutAWindow) {
  Endpoint client(Role::kClient, memory_);
  client.greet({{SettingId::kInitialWindowSize, 1 << 20}});
  open(client, 3);
  client.send_data(*client.stream(1), std::string(70'000, 'x'), false);
  client.take_output();
  ASSERT_EQ(client.connection.send_window(), 0);
  client.connection.set_write_blocked(true);
  client.send_data(*client.stream(3), "", true);
  client.send_data(*client.stream(5), "", true);
  client.connection.set_write_blocked(false);
  ASSERT_TRUE(client.connection.wants_gather());
  // One output is full before the second has had its turn: it is not forgotten.
  client.connection.gather(1);
  EXPECT_TRUE(client.connection.wants_gather());
  const auto frames = client.take_frames();
  ASSERT_EQ(frames.size(), 2u);
  for (const wire::Frame& sent : frames) {
    EXPECT_TRUE(sent.is(FrameType::kData));
    EXPECT_EQ(sent.flags, kFlagEndStream);
  }
  EXPECT_TRUE(client.stream(3)->has_sent_end && client.stream(5)->has_sent_end);
  EXPECT_FALSE(client.connection.wants_gather());
}

TEST_F(ConnectionFlowTest, InitialWindowSizeMovesOpenStreams) {
  Endpoint client(Role::kClient, memory_);
  client.greet({{SettingId::kInitialWindowSize, 100}});
  open(client, 1);
  Stream& stream = *client.stream(1);
  client.send_data(stream, std::string(80, 'x'), false);
  client.take_output();
  client.receive(wire::settings({{SettingId::kInitialWindowSize, 50}}));
  EXPECT_EQ(stream.send_window, -30);
  client.send_data(stream, "more", false);
  EXPECT_EQ(body_of(client.take_frames(), 1), "");
  client.receive(wire::window_update(1, 30));
  EXPECT_EQ(stream.send_window, 0);
  EXPECT_EQ(body_of(client.take_frames(), 1), "");
  client.receive(wire::settings({{SettingId::kInitialWindowSize, 53}}));
  EXPECT_EQ(body_of(client.take_frames(), 1), "mor");
  client.receive(wire::settings({{SettingId::kInitialWindowSize, 0}}) + wire::window_update(1, 60));
  EXPECT_EQ(body_of(client.take_frames(), 1), "e");
  // New streams begin with the latest value.
  EXPECT_EQ(client.connection.open_stream(nullptr)->send_window, 0);
}

// A stream that is reset or has sent its end has nothing to say any more, whatever the windows do.
TEST_F(ConnectionFlowTest, WindowsDoNotReviveWhatHasEnded) {
  Endpoint client(Role::kClient, memory_);
  client.greet({{SettingId::kInitialWindowSize, 10}});
  open(client, 3);
  client.send_data(*client.stream(1), std::string(20, 'x'), true);
  client.send_data(*client.stream(3), std::string(20, 'x'), true);
  client.send_data(*client.stream(5), std::string(12, 'x'), true);
  client.take_output();
  client.connection.reset_stream(*client.stream(1), ErrorCode::kCancel);
  client.receive(wire::rst_stream(3, ErrorCode::kCancel) + wire::window_update(5, 2));
  client.take_output();
  ASSERT_TRUE(client.stream(5)->has_sent_end);
  client.receive(wire::settings({{SettingId::kInitialWindowSize, 1000}}) + wire::window_update(1, 5) +
                 wire::window_update(3, 5) + wire::window_update(5, 5));
  EXPECT_FALSE(client.connection.wants_gather());
  const auto frames = client.take_frames();
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_TRUE(frames[0].is(FrameType::kSettings));
}

TEST_F(ConnectionFlowTest, ReceivingStopsAtTheStreamsWindow) {
  for (const uint32_t size : {999u, 1000u, 1001u}) {
    Limits limits = test_limits();
    limits.stream_window = 1000;
    Endpoint server(Role::kServer, memory_, limits);
    server.greet();
    server.receive(wire::headers(1, wire::request_block(), false) + wire::data(1, std::string(size, 'x'), false));
    EXPECT_EQ(server.stream(1)->is_reset, size > 1000) << size;
    EXPECT_FALSE(server.connection.has_failed());
    if (size <= 1000) continue;
    EXPECT_EQ(name_of(server.events.back().code), "FLOW_CONTROL_ERROR");
  }
}

TEST_F(ConnectionFlowTest, ReceivingStopsAtTheConnectionsWindow) {
  Limits limits = test_limits();
  limits.connection_window = 65'535;
  limits.stream_window = 1 << 20;
  Endpoint server(Role::kServer, memory_, limits);
  server.greet();
  server.receive(wire::headers(1, wire::request_block(), false));
  // Connection credit returns on receipt, at half the window: the peer of this test never saw it.
  int64_t sent = 0;
  uint64_t returned = 0;
  for (int i = 0; i < 10; ++i) {
    server.receive(wire::data(1, std::string(16'384, 'x'), false));
    sent += 16'384;
    returned += updates_of(server.take_frames(), 0);
    EXPECT_FALSE(server.connection.has_failed());
    EXPECT_EQ(server.connection.recv_window(), 65'535 - sent + static_cast<int64_t>(returned));
  }
  EXPECT_GT(returned, 100'000u);
}

TEST_F(ConnectionFlowTest, StreamCreditReturnsInHalvesOfTheWindow) {
  Limits limits = test_limits();
  limits.stream_window = 1000;
  Endpoint server(Role::kServer, memory_, limits);
  server.greet();
  server.receive(wire::headers(1, wire::request_block(), false) + wire::data(1, std::string(1000, 'x'), false));
  Stream& stream = *server.stream(1);
  server.connection.return_credit(stream, 499);
  EXPECT_EQ(updates_of(server.take_frames(), 1), 0u);
  server.connection.return_credit(stream, 1);
  EXPECT_EQ(updates_of(server.take_frames(), 1), 500u);
  EXPECT_EQ(stream.recv_window, 500);
  server.connection.return_credit(stream, 500);
  EXPECT_EQ(updates_of(server.take_frames(), 1), 500u);
  // Behind the end nobody needs credit.
  server.receive(wire::data(1, "end", true));
  server.connection.return_credit(stream, 1000);
  EXPECT_TRUE(server.take_output().empty());
}

// The smallest windows: no update of zero, and every octet comes back.
TEST_F(ConnectionFlowTest, TinyWindows) {
  for (const uint32_t window : {1u, 2u, 3u}) {
    Limits limits = test_limits();
    limits.stream_window = window;
    limits.connection_window = window;
    Endpoint server(Role::kServer, memory_, limits);
    server.greet();
    server.receive(wire::headers(1, wire::request_block(), false));
    uint64_t sent = 0;
    uint64_t returned = 0;
    uint64_t connection_returned = 0;
    for (int i = 0; i < 50; ++i) {
      server.receive(wire::data(1, "", false));
      server.connection.return_credit(*server.stream(1), 0);
      if (sent - returned < window) {
        server.receive(wire::data(1, "x", false));
        ++sent;
        server.connection.return_credit(*server.stream(1), 1);
      }
      const auto frames = server.take_frames();
      returned += updates_of(frames, 1);
      connection_returned += updates_of(frames, 0);
    }
    EXPECT_EQ(sent, 50u) << window;
    EXPECT_FALSE(server.stream(1)->is_reset);
    EXPECT_EQ(server.connection.recv_window() + static_cast<int64_t>(sent - connection_returned), 65'535);
  }
}

// Until the peer acknowledges our SETTINGS it may use the default window; with a smaller one the window is then
// negative (section 6.9.2), and an empty DATA frame is still allowed.
TEST_F(ConnectionFlowTest, ASmallerWindowTakesHoldWithTheAcknowledgement) {
  Limits limits = test_limits();
  limits.stream_window = 1000;
  Endpoint server(Role::kServer, memory_, limits);
  server.receive(std::string(kPreface) + wire::settings() + wire::headers(1, wire::request_block(), false) +
                 wire::headers(3, wire::request_block(), false) + wire::data(1, std::string(16'000, 'x'), false) +
                 wire::data(3, std::string(16'000, 'x'), false));
  EXPECT_EQ(server.stream(1)->recv_window, 65'535 - 16'000);
  server.receive(wire::settings_ack());
  EXPECT_EQ(server.stream(1)->recv_window, 1000 - 16'000);
  server.receive(wire::data(1, "", true));
  EXPECT_FALSE(server.stream(1)->is_reset);
  EXPECT_TRUE(server.stream(1)->has_received_end);
  server.take_output();
  // What is passed on comes back, until the window is what was advertised.
  server.connection.return_credit(*server.stream(3), 16'000);
  EXPECT_EQ(updates_of(server.take_frames(), 3), 16'000u);
  EXPECT_EQ(server.stream(3)->recv_window, 1000);
  server.receive(wire::data(3, std::string(1001, 'x'), false));
  EXPECT_TRUE(server.stream(3)->is_reset);
}

TEST_F(ConnectionFlowTest, PaddingCountsAndComesBackByItself) {
  Limits limits = test_limits();
  limits.stream_window = 1000;
  Endpoint server(Role::kServer, memory_, limits);
  server.greet();
  server.receive(wire::headers(1, wire::request_block(), false));
  uint64_t returned = 0;
  // Only padding: 256 octets a frame that nobody passes on.
  for (int i = 0; i < 100; ++i) {
    server.receive_in_pieces(wire::padded_data(1, "", 255, false), i % 2 == 0 ? 1000 : 100);
    ASSERT_FALSE(server.stream(1)->is_reset) << i;
    returned += updates_of(server.take_frames(), 1);
    EXPECT_EQ(server.stream(1)->recv_window + static_cast<int64_t>(server.stream(1)->recv_owed), 1000);
  }
  EXPECT_GT(returned, 24'000u);
}

// A large message waits in its stream; a small one on another stream passes it after at most one quantum.
TEST_F(ConnectionFlowTest, ALargeBodyDelaysASmallOneByOneQuantum) {
  constexpr uint32_t kTen = 10'000'000;
  Endpoint client(Role::kClient, memory_);
  client.greet({{SettingId::kInitialWindowSize, 1u << 30}});
  client.receive(wire::window_update(0, 1u << 30));
  open(client, 2);
  const std::string piece(64 * 1024, 'L');
  uint32_t given = 0;
  uint32_t left_the_queue = 0;
  uint32_t output_after_small = UINT32_MAX;
  std::string small_so_far;
  while (left_the_queue < kTen) {
    // The owner keeps up to 256 KiB waiting, as a stream's window would.
    while (given < kTen && client.stream(1)->pending.size() < 4 * piece.size()) {
      const uint32_t size = std::min(kTen - given, static_cast<uint32_t>(piece.size()));
      client.send_data(*client.stream(1), std::string_view(piece).substr(0, size), given + size == kTen);
      given += size;
    }
    if (left_the_queue > kTen / 2 && output_after_small == UINT32_MAX) {
      client.connection.set_write_blocked(true);  // so that it cannot go straight into the output
      client.send_data(*client.stream(3), "small", true);
      client.connection.set_write_blocked(false);
      output_after_small = 0;
    }
    client.connection.gather(16 * 1024);
    for (const wire::Frame& sent : client.take_frames()) {
      if (sent.stream_id == 1) {
        left_the_queue += static_cast<uint32_t>(sent.payload.size());
        if (small_so_far.empty() && output_after_small != UINT32_MAX) {
          output_after_small += static_cast<uint32_t>(sent.payload.size());
        }
      } else {
        small_so_far += sent.payload;
      }
    }
  }
  EXPECT_EQ(left_the_queue, kTen);
  EXPECT_EQ(small_so_far, "small");
  EXPECT_LE(output_after_small, 16u * 1024);
}

TEST_F(ConnectionFlowTest, ManyLargeBodiesShareEvenly) {
  Endpoint client(Role::kClient, memory_);
  client.greet({{SettingId::kInitialWindowSize, 1u << 30}});
  client.receive(wire::window_update(0, 1u << 30));
  open(client, 5);
  for (uint32_t id = 1; id < 10; id += 2) client.send_data(*client.stream(id), std::string(1 << 20, 'x'), false);
  std::string bytes;
  for (int i = 0; i < 20; ++i) {
    client.connection.gather(128 * 1024);
    bytes += std::string(reinterpret_cast<const char*>(client.connection.output().data()),
                         client.connection.output().size());
    client.connection.output().release(memory_.blocks);
  }
  const auto frames = wire::parse(bytes);
  size_t least = SIZE_MAX, most = 0;
  for (uint32_t id = 1; id < 10; id += 2) {
    least = std::min(least, body_of(frames, id).size());
    most = std::max(most, body_of(frames, id).size());
  }
  EXPECT_LE(most - least, 16u * 1024);
}

TEST_F(ConnectionFlowTest, TrailersWaitBehindData) {
  Endpoint server(Role::kServer, memory_);
  server.greet({{SettingId::kInitialWindowSize, 10}});
  server.receive(wire::headers(1, wire::request_block(), true));
  Stream& stream = *server.stream(1);
  server.send_headers(stream, {{":status", "200"}}, false);
  server.send_data(stream, "0123456789ab", false);
  server.send_trailers(stream, {{"grpc-status", "0"}, {"x-tail", "t"}});
  auto frames = server.take_frames();
  ASSERT_EQ(frames.size(), 2u);
  EXPECT_EQ(frames[1].payload, "0123456789");
  EXPECT_FALSE(stream.has_sent_end);
  server.receive(wire::window_update(1, 5));
  frames = server.take_frames();
  ASSERT_EQ(frames.size(), 2u);
  EXPECT_EQ(frames[0].payload, "ab");
  EXPECT_EQ(frames[0].flags, 0);
  EXPECT_TRUE(frames[1].is(FrameType::kHeaders));
  EXPECT_EQ(frames[1].flags, kFlagEndStream | kFlagEndHeaders);
  EXPECT_EQ(Inflater().decode(frames[1].payload), (PlainList{{"grpc-status", "0"}, {"x-tail", "t"}}));
  EXPECT_TRUE(stream.has_sent_end);
  EXPECT_EQ(memory_.blocks.bytes_in_use(), 0u);
}

TEST_F(ConnectionFlowTest, EmptyTrailersBehindDataAreAnEnd) {
  Endpoint server(Role::kServer, memory_);
  server.greet({{SettingId::kInitialWindowSize, 2}});
  server.receive(wire::headers(1, wire::request_block(), true));
  server.send_headers(*server.stream(1), {{":status", "200"}}, false);
  server.send_data(*server.stream(1), "abc", false);
  server.send_trailers(*server.stream(1), {});
  server.take_output();
  server.receive(wire::window_update(1, 5));
  const auto frames = server.take_frames();
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0].payload, "c");
  EXPECT_EQ(frames[0].flags, kFlagEndStream);
}

// An owner that gathers as long as there is something to gather must come to an end.
TEST_F(ConnectionFlowTest, AFailedConnectionGathersNothing) {
  Endpoint client(Role::kClient, memory_);
  client.greet({{SettingId::kInitialWindowSize, 100'000}});
  open(client, 1);
  client.send_data(*client.stream(1), std::string(20'000, 'x'), true);
  ASSERT_TRUE(client.connection.wants_gather());
  client.receive(wire::ping("short"));
  ASSERT_TRUE(client.connection.has_failed());
  EXPECT_FALSE(client.connection.wants_gather());
  EXPECT_EQ(client.take_frames().size(), 1u) << "GOAWAY alone";
}

TEST_F(ConnectionFlowTest, WhatTheOwnerHasQueuedIsNoAnswer) {
  Endpoint client(Role::kClient, memory_);
  client.greet();
  PlainList fields = wire::request_fields();
  for (int i = 0; i < 4; ++i) fields.push_back({"x-large", std::string(10'000, 'v')});
  for (int i = 0; i < 60; ++i) client.send_headers(*client.connection.open_stream(nullptr), fields, true);
  EXPECT_GT(client.connection.output().size(), 2u << 20);
  client.receive(wire::frame(FrameType::kPing, 0, 0, std::string(8, 'p')));
  EXPECT_FALSE(client.connection.has_failed());
}

TEST_F(ConnectionFlowTest, AResetDropsWhatWaits) {
  Endpoint client(Role::kClient, memory_);
  client.greet({{SettingId::kInitialWindowSize, 5}});
  open(client, 1);
  client.send_data(*client.stream(1), "0123456789", true);
  client.take_output();
  client.connection.reset_stream(*client.stream(1), ErrorCode::kCancel);
  client.connection.reset_stream(*client.stream(1), ErrorCode::kInternalError);
  const auto frames = client.take_frames();
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0].u32(0), static_cast<uint32_t>(ErrorCode::kCancel));
  EXPECT_EQ(memory_.blocks.bytes_in_use(), 0u);
  // More octets for it are swallowed, and said to be gone so that their credit returns.
  EXPECT_EQ(client.send_data(*client.stream(1), "xyz", false), 3u);
  EXPECT_TRUE(client.take_output().empty());
  client.receive(wire::headers(1, wire::response_block(), true) + wire::data(1, "x", true));
  EXPECT_TRUE(client.events.empty());
}

}  // namespace
}  // namespace ringway::h2
