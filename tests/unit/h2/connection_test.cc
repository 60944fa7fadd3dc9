// What a connection does with well-formed input and with its limits.
#include "h2/connection.h"

#include <gtest/gtest.h>

#include "endpoint.h"

namespace ringway::h2 {
namespace {

class ConnectionTest : public testing::Test {
 protected:
  static uint32_t resets_of(const std::vector<wire::Frame>& frames, uint32_t id, ErrorCode code) {
    uint32_t count = 0;
    for (const wire::Frame& sent : frames) {
      count += sent.is(FrameType::kRstStream) && sent.stream_id == id && sent.u32(0) == static_cast<uint32_t>(code);
    }
    return count;
  }
  uint64_t limit_hits(LimitKind kind) const { return memory_.limit_hits[static_cast<size_t>(kind)]; }

  Memory memory_{1, 1000, 1 << 20};
};

TEST_F(ConnectionTest, ARequestAndItsBodyBecomeEvents) {
  Endpoint server(Role::kServer, memory_);
  server.greet();
  const auto seen =
      server.receive(wire::headers(1, wire::request_block({{"te", "trailers"}}), false) + wire::data(1, "body", false) +
                     wire::data(1, "", false) + wire::headers(1, wire::block({{"x-tail", "t"}}), true));
  ASSERT_EQ(seen.size(), 4u);
  EXPECT_EQ(seen[0].kind, EventKind::kRequest);
  EXPECT_FALSE(seen[0].end_stream);
  EXPECT_EQ(seen[0].fields, wire::request_fields({{"te", "trailers"}}));
  EXPECT_EQ(seen[0].head.path, 3);
  EXPECT_EQ(seen[1].kind, EventKind::kData);
  EXPECT_EQ(seen[1].data, "body");
  EXPECT_EQ(seen[2].data, "");
  EXPECT_FALSE(seen[2].end_stream);
  EXPECT_EQ(seen[3].kind, EventKind::kTrailers);
  EXPECT_TRUE(seen[3].end_stream);
  EXPECT_EQ(seen[3].fields, (PlainList{{"x-tail", "t"}}));
  EXPECT_EQ(server.connection.last_peer_stream_id(), 1u);
}

TEST_F(ConnectionTest, AResponseWithAllItsParts) {
  Endpoint client(Role::kClient, memory_);
  client.greet();
  int owner = 0;
  client.send_headers(*client.connection.open_stream(&owner), wire::request_fields(), true);
  const auto frames = client.take_frames();
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0].flags, kFlagEndHeaders | kFlagEndStream);
  EXPECT_EQ(Inflater().decode(frames[0].payload), wire::request_fields());
  EXPECT_EQ(client.stream(1)->owner, &owner);
  const auto seen =
      client.receive(wire::headers(1, wire::response_block("103", {{"link", "</a>"}}), false) +
                     wire::headers(1, wire::response_block("200"), false) + wire::padded_data(1, "body", 20, false) +
                     wire::headers(1, wire::block({{"grpc-status", "0"}}), true));
  ASSERT_EQ(seen.size(), 4u);
  EXPECT_EQ(seen[0].kind, EventKind::kInformational);
  EXPECT_EQ(seen[0].head.status, 103);
  EXPECT_EQ(seen[1].kind, EventKind::kResponse);
  EXPECT_EQ(seen[2].data, "body");
  EXPECT_EQ(seen[3].kind, EventKind::kTrailers);
  EXPECT_EQ(seen[3].head.grpc_status, 1);
  client.connection.close_stream(*client.stream(1));
  EXPECT_EQ(client.connection.stream_count(), 0u);
}

TEST_F(ConnectionTest, SettingsAndPingsAreAnswered) {
  Endpoint server(Role::kServer, memory_);
  server.greet();
  const auto seen = server.receive(wire::settings({{SettingId::kMaxConcurrentStreams, 9}}) + wire::ping("12345678") +
                                   wire::ping("abcdefgh", true));
  EXPECT_EQ(seen.at(0).kind, EventKind::kSettings);
  EXPECT_EQ(seen.size(), 1u) << "nobody has asked for that answer";
  EXPECT_EQ(server.take_output(), wire::settings_ack() + wire::ping("12345678", true));
  EXPECT_EQ(server.connection.peer_stream_limit(), 9u);
  server.connection.send_ping(0x0807060504030201);
  EXPECT_EQ(server.take_frames().at(0).payload, "\x01\x02\x03\x04\x05\x06\x07\x08");
  EXPECT_EQ(server.receive(wire::ping("\x01\x02\x03\x04\x05\x06\x07\x08", true)).at(0).kind, EventKind::kPingAck);
  EXPECT_TRUE(server.receive(wire::ping("\x01\x02\x03\x04\x05\x06\x07\x08", true)).empty());
}

TEST_F(ConnectionTest, StreamsAreLimited) {
  Limits limits = test_limits();
  limits.streams = 3;
  Endpoint server(Role::kServer, memory_, limits);
  server.greet();
  for (uint32_t id = 1; id <= 7; id += 2) {
    server.receive(wire::headers(id, wire::request_block(), true));
    const auto frames = server.take_frames();
    EXPECT_EQ(resets_of(frames, id, ErrorCode::kRefusedStream), id <= 5 ? 0u : 1u) << id;
    EXPECT_EQ(server.stream(id) != nullptr, id <= 5);
  }
  // What still comes for the refused one is not an error.
  server.receive(wire::data(7, "late", false) + wire::window_update(7, 5) + wire::rst_stream(7, ErrorCode::kCancel));
  EXPECT_FALSE(server.connection.has_failed());
  EXPECT_EQ(server.take_output(), "");
  server.connection.close_stream(*server.stream(3));
  EXPECT_EQ(server.receive(wire::headers(9, wire::request_block(), true)).at(0).kind, EventKind::kRequest);
}

TEST_F(ConnectionTest, AShardWithoutAFreeStreamRefuses) {
  Memory small(1, 1, 1 << 20);
  Endpoint server(Role::kServer, small);
  server.greet();
  server.receive(wire::headers(1, wire::request_block(), true) + wire::headers(3, wire::request_block(), true));
  EXPECT_EQ(resets_of(server.take_frames(), 3, ErrorCode::kRefusedStream), 1u);
  Endpoint client(Role::kClient, small);
  client.greet();
  EXPECT_TRUE(client.connection.can_open_stream());
  EXPECT_EQ(client.connection.open_stream(nullptr), nullptr);
}

TEST_F(ConnectionTest, AClientKeepsThePeersLimit) {
  Endpoint client(Role::kClient, memory_);
  client.receive(wire::settings({{SettingId::kMaxConcurrentStreams, 2}}));
  EXPECT_NE(client.connection.open_stream(nullptr), nullptr);
  EXPECT_NE(client.connection.open_stream(nullptr), nullptr);
  EXPECT_EQ(client.connection.open_stream(nullptr), nullptr);
  client.receive(wire::settings({{SettingId::kMaxConcurrentStreams, 3}}));
  EXPECT_NE(client.connection.open_stream(nullptr), nullptr);
  EXPECT_FALSE(client.connection.can_open_stream());
  client.connection.close_stream(*client.stream(3));
  EXPECT_EQ(client.connection.open_stream(nullptr)->id, 7u);
  // Lowered below what is open: nothing happens to those.
  client.receive(wire::settings({{SettingId::kMaxConcurrentStreams, 0}}));
  EXPECT_EQ(client.connection.stream_count(), 3u);
  EXPECT_FALSE(client.connection.can_open_stream());
}

TEST_F(ConnectionTest, IdsRunOut) {
  Limits limits = test_limits();
  limits.first_stream_id = kStreamIdMax - 2;
  Endpoint client(Role::kClient, memory_, limits);
  client.greet();
  EXPECT_EQ(client.connection.open_stream(nullptr)->id, kStreamIdMax - 2);
  EXPECT_FALSE(client.connection.has_used_all_ids());
  EXPECT_EQ(client.connection.open_stream(nullptr)->id, kStreamIdMax);
  EXPECT_TRUE(client.connection.has_used_all_ids());
  EXPECT_EQ(client.connection.open_stream(nullptr), nullptr);
}

TEST_F(ConnectionTest, AReceivedGoawayForbidsNewStreams) {
  Endpoint client(Role::kClient, memory_);
  client.greet();
  client.send_headers(*client.connection.open_stream(nullptr), wire::request_fields(), true);
  auto seen = client.receive(wire::goaway(kStreamIdMax, ErrorCode::kNoError));
  EXPECT_EQ(seen.at(0).kind, EventKind::kGoaway);
  EXPECT_EQ(seen.at(0).last_stream_id, kStreamIdMax);
  EXPECT_TRUE(client.connection.has_received_goaway());
  EXPECT_EQ(client.connection.open_stream(nullptr), nullptr);
  // The real id, then one that must not rise again.
  EXPECT_EQ(client.receive(wire::goaway(1, ErrorCode::kNoError)).at(0).last_stream_id, 1u);
  seen = client.receive(wire::frame(FrameType::kGoaway, 0, 0, wire::u32(5) + wire::u32(11) + "why"));
  EXPECT_EQ(seen.at(0).last_stream_id, 1u);
  EXPECT_EQ(name_of(seen.at(0).code), "ENHANCE_YOUR_CALM");
  EXPECT_EQ(seen.at(0).data, "why");
  // Streams that were accepted finish.
  EXPECT_EQ(client.receive(wire::headers(1, wire::response_block(), true)).at(0).kind, EventKind::kResponse);
}

TEST_F(ConnectionTest, StreamsBeyondTheAnnouncedIdAreDecodedAndIgnored) {
  Endpoint server(Role::kServer, memory_);
  server.greet();
  server.connection.send_goaway(kStreamIdMax, ErrorCode::kNoError, "");
  server.receive(wire::headers(1, wire::request_block(), true));
  EXPECT_NE(server.stream(1), nullptr);
  server.connection.send_goaway(1, ErrorCode::kNoError, "drain");
  server.take_output();
  std::string block = wire::request_block() + hpack_literal(kLiteralIncremental, "x-kept", "v");
  EXPECT_TRUE(server.receive(wire::headers(3, block, false) + wire::data(3, "x", true)).empty());
  EXPECT_EQ(server.take_output(), "");
  EXPECT_EQ(server.stream(3), nullptr);
  const auto seen = server.receive(wire::ping("12345678"));
  EXPECT_FALSE(server.connection.has_failed());
  // The table has moved with it; a bad index would be a connection error. Its GOAWAY must not name an id above that
  // which was announced: the peer may have sent those requests elsewhere already.
  server.take_output();
  server.receive(wire::headers(5, hpack_integer(0x80, 7, 62), true));
  EXPECT_FALSE(server.connection.has_failed());
  server.receive(wire::headers(7, hpack_integer(0x80, 7, 63), true));
  EXPECT_EQ(name_of(server.connection.failure_code()), "COMPRESSION_ERROR");
  EXPECT_EQ(server.take_frames().at(0).u32(0), 1u);
}

TEST_F(ConnectionTest, AListBeyondTheLimitIsGivenToTheOwner) {
  // ":method POST" 43, ":scheme http" 43, ":path /a.B/C" 43, ":authority a.example" 51.
  constexpr uint32_t kRequestSize = 180;
  for (const uint32_t limit : {kRequestSize - 1, kRequestSize, kRequestSize + 1}) {
    Limits limits = test_limits();
    limits.header_list.list_bytes = limit;
    Endpoint server(Role::kServer, memory_, limits);
    server.greet();
    const auto seen = server.receive(wire::headers(1, wire::request_block(), true));
    EXPECT_EQ(seen.at(0).kind, limit < kRequestSize ? EventKind::kListTooLarge : EventKind::kRequest) << limit;
    EXPECT_EQ(seen.at(0).end_stream, true);
    // It can be answered.
    server.send_headers(*server.stream(1), {{":status", "431"}}, true);
    EXPECT_EQ(server.take_frames().size(), 1u);
  }
  for (const uint32_t fields : {3u, 4u, 5u}) {
    Limits limits = test_limits();
    limits.header_list.fields = fields;
    Endpoint server(Role::kServer, memory_, limits);
    server.greet();
    const auto seen = server.receive(wire::headers(1, wire::request_block(), true));
    EXPECT_EQ(seen.at(0).kind, fields < 4 ? EventKind::kListTooLarge : EventKind::kRequest) << fields;
  }
}

TEST_F(ConnectionTest, AFieldBeyondTheLimitIsGivenToTheOwner) {
  constexpr uint32_t kLimit = 5000;
  Limits limits = test_limits();
  limits.header_list.field_bytes = kLimit;
  for (const uint32_t size : {kLimit - 1, kLimit, kLimit + 1}) {
    Endpoint server(Role::kServer, memory_, limits);
    server.greet();
    const PlainField large{"x-large", std::string(size - kFieldOverhead - 7, 'v')};
    const auto seen = server.receive(wire::headers(1, wire::request_block({large, {"x-more", "m"}}), true));
    ASSERT_EQ(seen.size(), 1u);
    EXPECT_EQ(seen[0].end_stream, true);
    EXPECT_EQ(limit_hits(LimitKind::kField), size > kLimit ? 1u : 0u);
    EXPECT_EQ(limit_hits(LimitKind::kHeaderList), 0u);
    if (size <= kLimit) {
      EXPECT_EQ(seen[0].kind, EventKind::kRequest) << size;
      continue;
    }
    EXPECT_EQ(seen[0].kind, EventKind::kListTooLarge);
    EXPECT_TRUE(seen[0].has_large_field);
    EXPECT_EQ(seen[0].fields, wire::request_fields({large})) << "it is the last";
    // It can be answered, and the connection goes on.
    server.send_headers(*server.stream(1), {{":status", "431"}}, true);
    EXPECT_EQ(server.take_frames().size(), 1u);
    EXPECT_EQ(server.receive(wire::headers(3, wire::request_block(), true)).at(0).kind, EventKind::kRequest);
  }
}

// Trailers of a request; a response, an informational one, and trailers.
TEST_F(ConnectionTest, ALaterFieldBeyondTheLimitFailsItsStream) {
  constexpr uint32_t kLimit = 5000;
  Limits limits = test_limits();
  limits.header_list.field_bytes = kLimit;
  const auto list = [](uint32_t size) { return PlainList{{"x-large", std::string(size - kFieldOverhead - 7, 'v')}}; };
  const auto expect_end = [&](Endpoint& endpoint, uint32_t size, EventKind otherwise, const char* what) {
    const bool is_beyond = size > kLimit;
    const Seen& last = endpoint.events.back();
    EXPECT_EQ(last.kind, is_beyond ? EventKind::kStreamFailed : otherwise) << what << " " << size;
    EXPECT_EQ(resets_of(endpoint.take_frames(), 1, ErrorCode::kEnhanceYourCalm), is_beyond ? 1u : 0u) << what;
    EXPECT_FALSE(endpoint.connection.has_failed());
    if (!is_beyond) return;
    EXPECT_EQ(name_of(last.code), "ENHANCE_YOUR_CALM");
    EXPECT_TRUE(last.has_large_field);
    EXPECT_EQ(last.fields.back(), list(size)[0]) << "which one it was";
  };
  uint64_t hits = 0;
  for (const uint32_t size : {kLimit - 1, kLimit, kLimit + 1}) {
    Endpoint server(Role::kServer, memory_, limits);
    server.greet();
    server.receive(wire::headers(1, wire::request_block(), false));
    server.receive(wire::headers(1, wire::block(list(size)), true));
    expect_end(server, size, EventKind::kTrailers, "trailers of a request");
    for (const char* status : {"200", "103", "trailers"}) {
      Endpoint client(Role::kClient, memory_, limits);
      client.greet();
      client.send_headers(*client.connection.open_stream(nullptr), wire::request_fields(), true);
      client.take_output();
      const bool are_trailers = std::string_view(status) == "trailers";
      if (are_trailers) client.receive(wire::headers(1, wire::response_block(), false));
      const std::string block = are_trailers ? wire::block(list(size)) : wire::response_block(status, list(size));
      client.receive(wire::headers(1, block, are_trailers));
      const EventKind kind = are_trailers                        ? EventKind::kTrailers
                             : std::string_view(status) == "103" ? EventKind::kInformational
                                                                 : EventKind::kResponse;
      expect_end(client, size, kind, status);
    }
    hits += size > kLimit ? 4 : 0;
    EXPECT_EQ(limit_hits(LimitKind::kField), hits);
  }
  EXPECT_EQ(limit_hits(LimitKind::kHeaderList), 0u);
}

TEST_F(ConnectionTest, ALaterListBeyondTheLimitFailsItsStream) {
  Limits limits = test_limits();
  limits.header_list.list_bytes = 300;
  Endpoint client(Role::kClient, memory_, limits);
  client.greet();
  client.send_headers(*client.connection.open_stream(nullptr), wire::request_fields(), true);
  client.take_output();
  client.receive(wire::headers(1, wire::response_block("200", {{"x", std::string(300, 'x')}}), false));
  EXPECT_EQ(resets_of(client.take_frames(), 1, ErrorCode::kEnhanceYourCalm), 1u);
  EXPECT_EQ(client.events.back().kind, EventKind::kStreamFailed);
}

std::string in_fragments(uint32_t id, const std::string& block, size_t fragments, bool end_stream) {
  const size_t size = block.size() / fragments + 1;
  const uint8_t end = end_stream ? kFlagEndStream : 0;
  std::string bytes;
  for (size_t i = 0; i < fragments; ++i) {
    const bool is_last = i + 1 == fragments;
    const std::string_view part =
        std::string_view(block).substr(std::min(block.size(), i * size), is_last ? std::string::npos : size);
    const uint8_t flags = is_last ? kFlagEndHeaders : 0;
    bytes += i == 0 ? wire::frame(FrameType::kHeaders, flags | end, id, part)
                    : wire::frame(FrameType::kContinuation, flags, id, part);
  }
  return bytes;
}

TEST_F(ConnectionTest, BlocksInFragments) {
  const PlainList more{{"x-one", std::string(5000, '1')}, {"x-two", std::string(5000, '2')}};
  for (size_t fragments = 1; fragments <= 10; ++fragments) {
    for (const size_t piece : {size_t{1} << 20, size_t{1}}) {
      Endpoint server(Role::kServer, memory_);
      server.greet();
      const auto seen = server.receive_in_pieces(in_fragments(1, wire::request_block(more), fragments, true), piece);
      // HEADERS and at most eight CONTINUATION.
      EXPECT_EQ(server.connection.has_failed(), fragments > 9) << fragments;
      if (fragments > 9) {
        EXPECT_EQ(name_of(server.connection.failure_code()), "ENHANCE_YOUR_CALM");
        continue;
      }
      ASSERT_EQ(seen.size(), 1u);
      EXPECT_EQ(seen[0].fields, wire::request_fields(more));
      EXPECT_TRUE(seen[0].end_stream);
    }
  }
  // The first fragment may be empty.
  Endpoint server(Role::kServer, memory_);
  server.greet();
  const auto seen = server.receive(wire::frame(FrameType::kHeaders, kFlagEndStream, 1, "") +
                                   wire::frame(FrameType::kContinuation, kFlagEndHeaders, 1, wire::request_block()));
  EXPECT_EQ(seen.at(0).fields, wire::request_fields());
}

TEST_F(ConnectionTest, FragmentsAreLimitedInSum) {
  Limits limits = test_limits();
  limits.header_list.list_bytes = 10'000;
  for (const uint32_t second : {3999u, 4000u, 4001u}) {
    Endpoint server(Role::kServer, memory_, limits);
    server.greet();
    server.receive(wire::frame(FrameType::kHeaders, 0, 1, std::string(16'000, '\x82')) +
                   wire::frame(FrameType::kContinuation, kFlagEndHeaders, 1, std::string(second, '\x82')));
    EXPECT_EQ(server.connection.has_failed(), second > 4000) << second;
    if (second > 4000) continue;
    EXPECT_EQ(server.events.back().kind, EventKind::kListTooLarge);
  }
}

TEST_F(ConnectionTest, LargeListsAreSentInFragments) {
  for (const uint32_t frame_size : {16'384u, 16'385u, 20'000u, 60'000u}) {
    for (const uint32_t value_size : {16'384u - 100, 16'384u, 40'000u, 50'000u}) {
      Endpoint client(Role::kClient, memory_);
      client.greet({{SettingId::kMaxFrameSize, frame_size}});
      const PlainList fields = wire::request_fields({{"x-large", std::string(value_size, 'l')}, {"x-last", "one"}});
      client.send_headers(*client.connection.open_stream(nullptr), fields, true);
      const auto frames = client.take_frames();
      std::string block;
      for (size_t i = 0; i < frames.size(); ++i) {
        EXPECT_EQ(frames[i].stream_id, 1u);
        EXPECT_TRUE(frames[i].is(i == 0 ? FrameType::kHeaders : FrameType::kContinuation));
        EXPECT_EQ((frames[i].flags & kFlagEndHeaders) != 0, i + 1 == frames.size());
        EXPECT_EQ((frames[i].flags & kFlagEndStream) != 0, i == 0);
        EXPECT_LE(frames[i].payload.size(), frame_size);
        EXPECT_TRUE(i + 1 == frames.size() || frames[i].payload.size() == frame_size);
        block += frames[i].payload;
      }
      EXPECT_EQ(Inflater().decode(block), fields) << frame_size << " " << value_size;
    }
  }
}

// The owner may write between the failure and the moment it looks at it.
TEST_F(ConnectionTest, WritingAfterAFailureIsHarmless) {
  Endpoint client(Role::kClient, memory_);
  client.greet();
  Stream& stream = *client.connection.open_stream(nullptr);
  Stream& other = *client.connection.open_stream(nullptr);
  client.send_headers(other, wire::request_fields(), false);
  client.receive(wire::settings({{SettingId::kMaxFrameSize, 0}}));
  ASSERT_TRUE(client.connection.has_failed());
  client.send_headers(stream, wire::request_fields({{"x-large", std::string(20'000, 'x')}}), false);
  EXPECT_EQ(client.send_data(stream, "body", false), 4u);
  client.send_trailers(other, {{"grpc-status", "0"}});
  client.connection.reset_stream(stream, ErrorCode::kCancel);
  client.connection.return_credit(other, 100'000);
  EXPECT_EQ(client.connection.open_stream(nullptr), nullptr);
  client.connection.validate();
  wire::parse(client.take_output());
}

// Blocks that were seen before share one list. An event of this call may name a list whose place in the cache a later
// block of the same call takes: it must stay readable.
TEST_F(ConnectionTest, AListOutlivesItsPlaceInTheCacheWithinACall) {
  const std::string start = "\x83\x86\x84" + std::string(5, '\x90');
  const std::string end(8, '\x90');
  // They differ in the middle only, which the cache does not hash.
  const std::string one = start + "\x91" + end;
  const std::string two = start + "\x92" + end;
  Endpoint server(Role::kServer, memory_);
  server.greet();
  server.receive(wire::headers(1, one, true));
  std::string bytes;
  for (uint32_t id = 3; id < 38; id += 2) bytes += wire::headers(id, id % 4 == 3 ? one : two, true);
  const auto seen = server.receive(bytes);
  ASSERT_EQ(seen.size(), 18u);
  for (const Seen& each : seen) {
    EXPECT_EQ(each.fields, Inflater().decode(each.stream_id % 4 == 3 ? one : two)) << each.stream_id;
  }
}

// Several connections of one shard, whose peers repeat themselves: whatever is remembered between blocks, each list is
// the one that was sent, and what goes on to another connection is what came.
TEST_F(ConnectionTest, RepeatedListsOfManyConnections) {
  base::Prng prng(21);
  Memory memory(1, 1000, 3000);
  struct Side {
    explicit Side(Memory& shared) : end(Role::kServer, shared) { end.greet(); }
    Endpoint end;
    Deflater deflater;
    uint32_t next_id = 1;
  };
  std::vector<std::unique_ptr<Side>> sides(4);
  HpackEncoder encoder;
  Inflater inflater;
  base::ByteQueue out;
  std::vector<PlainList> lists;
  for (int i = 0; i < 12; ++i) {
    PlainList more = random_list(prng, 5, 20);
    std::erase_if(more, [](const PlainField& field) { return field.name[0] == ':' || field.name == "te"; });
    for (PlainField& field : more) field.value = "v" + field.value + "v";
    lists.push_back(wire::request_fields(more));
  }
  for (int round = 0; round < 4000; ++round) {
    auto& side = sides[prng.below(4)];
    if (side == nullptr || prng.below(100) == 0) side = std::make_unique<Side>(memory);
    std::string bytes;
    std::vector<PlainList> sent;
    for (uint32_t count = 1 + prng.below(4); count-- != 0; side->next_id += 2) {
      if (prng.below(40) == 0) side->deflater.change_table_size(prng.below(4097));
      sent.push_back(lists[prng.below(12)]);
      bytes += wire::headers(side->next_id, side->deflater.encode(sent.back()), true);
    }
    const auto seen = side->end.receive(bytes);
    ASSERT_EQ(seen.size(), sent.size());
    for (size_t i = 0; i < sent.size(); ++i) {
      ASSERT_EQ(seen[i].fields, with_sensitive_marked(sent[i])) << round;
      const Event& event = memory.events[static_cast<uint32_t>(i)];
      if (prng.below(30) == 0) {
        const uint32_t size = prng.below(4097);
        encoder.set_peer_table_size(size);
        inflater.change_table_size(size);
      }
      encoder.begin_block(out, memory.blocks);
      if (event.shared != nullptr) {
        encoder.encode_shared(*event.shared, out, memory.blocks);
      } else {
        encoder.encode_all(memory.fields_of(event), out, memory.blocks);
      }
      const std::string block(reinterpret_cast<const char*>(out.data()), out.size());
      out.release(memory.blocks);
      ASSERT_EQ(inflater.decode(block), with_sensitive_marked(sent[i])) << round;
    }
    for (const Seen& each : seen) side->end.connection.close_stream(*side->end.stream(each.stream_id));
    side->end.take_output();
  }
}

TEST_F(ConnectionTest, WithoutALimitOfThePeerThereIsNone) {
  Endpoint client(Role::kClient, memory_);
  for (int i = 0; i < 100; ++i) ASSERT_NE(client.connection.open_stream(nullptr), nullptr);
  EXPECT_EQ(client.connection.open_stream(nullptr), nullptr) << "before its SETTINGS";
  client.receive(wire::frame(FrameType::kSettings, 0, 0, ""));
  for (int i = 0; i < 100; ++i) ASSERT_NE(client.connection.open_stream(nullptr), nullptr);
}

TEST_F(ConnectionTest, TheRestOfAFrameIsDroppedWhenItsStreamGoes) {
  for (const bool is_closed : {false, true}) {
    Endpoint server(Role::kServer, memory_);
    server.greet();
    const std::string bytes =
        wire::headers(1, wire::request_block(), false) + wire::padded_data(1, "0123456789", 9, true);
    const size_t cut = bytes.size() - 15;
    EXPECT_EQ(server.receive(bytes.substr(0, cut)).back().data, "0123");
    server.connection.reset_stream(*server.stream(1), ErrorCode::kCancel);
    if (is_closed) server.connection.close_stream(*server.stream(1));
    // Another stream takes the freed slot in the same call.
    const auto seen = server.receive(bytes.substr(cut) + wire::headers(3, wire::request_block(), false));
    ASSERT_EQ(seen.size(), 1u);
    EXPECT_EQ(seen[0].stream_id, 3u);
    EXPECT_FALSE(server.stream(3)->has_received_end);
  }
}

TEST_F(ConnectionTest, AResetFromThePeerIsAnEventOnce) {
  Endpoint server(Role::kServer, memory_);
  server.greet();
  server.receive(wire::headers(1, wire::request_block(), false));
  const auto seen = server.receive(wire::rst_stream(1, ErrorCode::kCancel) + wire::rst_stream(1, ErrorCode::kCancel) +
                                   wire::window_update(1, 1u << 31));
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_EQ(seen[0].kind, EventKind::kReset);
  EXPECT_EQ(name_of(seen[0].code), "CANCEL");
  EXPECT_EQ(server.take_output(), "");
}

TEST_F(ConnectionTest, NothingFromAnEmptyReceive) {
  Endpoint server(Role::kServer, memory_);
  server.connection.receive({});
  EXPECT_TRUE(memory_.events.empty());
  EXPECT_FALSE(server.connection.has_failed());
}

TEST_F(ConnectionTest, ADyingConnectionGivesEverythingBack) {
  {
    Endpoint client(Role::kClient, memory_);
    client.greet({{SettingId::kInitialWindowSize, 5}});
    client.send_headers(*client.connection.open_stream(nullptr), wire::request_fields(), false);
    client.send_data(*client.stream(1), "0123456789", false);
    client.send_trailers(*client.stream(1), {{"a", "b"}});
    client.receive(wire::frame(FrameType::kHeaders, 0, 1, "\x88") +
                   wire::frame_header(99, FrameType::kContinuation, 0, 1));
    EXPECT_GT(memory_.blocks.bytes_in_use(), 0u);
  }
  EXPECT_EQ(memory_.blocks.bytes_in_use(), 0u);
  EXPECT_EQ(memory_.streams.live_count(), 0u);
}

}  // namespace
}  // namespace ringway::h2
