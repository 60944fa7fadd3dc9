#include "h2/closed_streams.h"

#include <gtest/gtest.h>

#include "endpoint.h"

namespace ringway::h2 {
namespace {

TEST(ClosedStreams, KnowNothingAtFirst) {
  const ClosedStreams closed;
  for (const uint32_t id : {1u, 3u, kStreamIdMax}) {
    EXPECT_FALSE(closed.may_be_late(id)) << id;
    EXPECT_FALSE(closed.was_skipped(id)) << id;
  }
}

// However many there are, none that was added is ever taken for one whose frames cannot be late.
TEST(ClosedStreams, DoubtIsThePeersBenefit) {
  for (const uint32_t count : {31u, 32u, 33u, 500u}) {
    ClosedStreams closed;
    for (uint32_t i = 0; i < count; ++i) closed.add_late(101 + 4 * i);
    for (uint32_t i = 0; i < count; ++i) EXPECT_TRUE(closed.may_be_late(101 + 4 * i)) << i;
    // Those in between are known not to be as far as nothing was forgotten.
    const uint32_t forgotten = count > 32 ? count - 32 : 0;
    for (uint32_t i = 0; i < count; ++i) EXPECT_EQ(closed.may_be_late(103 + 4 * i), i + 1 < forgotten) << i;
    EXPECT_FALSE(closed.may_be_late(101 + 4 * count));
  }
}

TEST(ClosedStreams, SkippedOnesAreRanges) {
  ClosedStreams closed;
  closed.add_skipped(1, 7);
  closed.add_skipped(11, 11);
  for (uint32_t id = 1; id < 15; id += 2) EXPECT_EQ(closed.was_skipped(id), id <= 7 || id == 11) << id;
  for (uint32_t i = 0; i < 4; ++i) closed.add_skipped(101 + 10 * i, 103 + 10 * i);
  EXPECT_FALSE(closed.was_skipped(5)) << "four are remembered";
  EXPECT_TRUE(closed.was_skipped(103));
  EXPECT_TRUE(closed.was_skipped(131));
}

// A burst of resets, as at a deadline that many calls share: what their clients had under way ends no connection, in
// whatever order it comes.
TEST(ClosedStreams, FramesUnderWayBehindManyResetsAreDiscarded) {
  Memory memory(1, 300, 1 << 20);
  Limits limits = test_limits();
  limits.streams = 200;
  Endpoint server(Role::kServer, memory, limits);
  server.greet();
  std::string late;
  for (uint32_t id = 1; id < 400; id += 2) {
    server.receive(wire::headers(id, wire::request_block(), false));
    late += wire::data(id, "x", false) + wire::headers(id, wire::block({{"x", "y"}}), true);
  }
  for (uint32_t id = 1; id < 400; id += 2) {
    server.connection.reset_stream(*server.stream(id), ErrorCode::kCancel);
    server.connection.close_stream(*server.stream(id));
  }
  EXPECT_TRUE(server.receive(late).empty());
  EXPECT_FALSE(server.connection.has_failed()) << server.connection.failure_reason();
  // A later stream that its client has ended is known as such all the same.
  server.receive(wire::headers(401, wire::request_block(), true));
  server.send_headers(*server.stream(401), {{":status", "200"}}, true);
  server.connection.close_stream(*server.stream(401));
  server.receive(wire::data(401, "x", false));
  EXPECT_EQ(name_of(server.connection.failure_code()), "STREAM_CLOSED");
}

// What was announced as not processed is discarded (RFC 9113 section 6.8), and so are the frames that follow it.
TEST(ClosedStreams, BehindAGoaway) {
  Memory memory(1, 100, 1 << 20);
  Endpoint server(Role::kServer, memory);
  server.greet();
  server.receive(wire::headers(1, wire::request_block(), true));
  server.connection.send_goaway(1, ErrorCode::kNoError, "");
  const auto seen =
      server.receive(wire::headers(3, wire::request_block(), false) + wire::data(3, "x", false) +
                     wire::headers(3, wire::block({{"x", "y"}}), true) + wire::headers(9, wire::request_block(), true) +
                     wire::headers(5, wire::request_block(), false));
  EXPECT_TRUE(seen.empty());
  EXPECT_EQ(name_of(server.connection.failure_code()), "PROTOCOL_ERROR") << "5 was passed over";
  Endpoint client(Role::kClient, memory);
  client.greet();
  for (int i = 0; i < 2; ++i) {
    client.send_headers(*client.connection.open_stream(nullptr), wire::request_fields(), true);
  }
  client.receive(wire::goaway(1, ErrorCode::kNoError));
  client.connection.close_stream(*client.stream(3));
  client.receive(wire::headers(3, wire::response_block(), true));
  EXPECT_FALSE(client.connection.has_failed()) << "it may have been sent before";
}

}  // namespace
}  // namespace ringway::h2
