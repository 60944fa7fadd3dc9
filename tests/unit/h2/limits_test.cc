// What a peer may make a connection do, at each limit: one less, exactly as much, one more; and what time gives back.
#include "h2/limits.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "endpoint.h"

namespace ringway::h2 {
namespace {

TEST(AllowanceTest, ABurstAndThenARate) {
  const Rate rate{5, 2};
  Allowance allowance;
  uint64_t now_ns = 7 * base::kSecond_ns;
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(allowance.take(rate, now_ns)) << i;
  EXPECT_FALSE(allowance.take(rate, now_ns));
  EXPECT_FALSE(allowance.take(rate, now_ns + base::kSecond_ns / 2 - 1));
  EXPECT_TRUE(allowance.take(rate, now_ns + base::kSecond_ns / 2));
  EXPECT_FALSE(allowance.take(rate, now_ns + base::kSecond_ns / 2));
  now_ns += 100 * base::kSecond_ns;
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(allowance.take(rate, now_ns)) << "never more than the burst, " << i;
  EXPECT_FALSE(allowance.take(rate, now_ns));
}

TEST(AllowanceTest, PartsOfOne) {
  const Rate rate{2, 1};
  Allowance allowance;
  for (int i = 0; i < 150; ++i) {
    EXPECT_FALSE(allowance.is_nearly_used(rate, 0)) << i;
    EXPECT_TRUE(allowance.take(rate, 0, 1));
  }
  EXPECT_TRUE(allowance.is_nearly_used(rate, 0)) << "three quarters are gone";
  for (int i = 150; i < 200; ++i) EXPECT_TRUE(allowance.take(rate, 0, 1));
  EXPECT_FALSE(allowance.take(rate, 0, 1));
  EXPECT_FALSE(allowance.is_nearly_used(rate, base::kSecond_ns));
}

TEST(AllowanceTest, TellsWhatIsUsed) {
  const Rate rate{40, 4};
  Allowance allowance;
  EXPECT_EQ(allowance.used(rate, base::kSecond_ns), 0u);
  EXPECT_TRUE(allowance.is_whole(base::kSecond_ns));
  for (uint32_t i = 0; i < 40; ++i) {
    EXPECT_EQ(allowance.used(rate, base::kSecond_ns), i);
    EXPECT_TRUE(allowance.take(rate, base::kSecond_ns));
  }
  EXPECT_TRUE(allowance.has_less_than(Allowance()));
  EXPECT_FALSE(allowance.has_less_than(allowance));
  EXPECT_EQ(allowance.used(rate, 2 * base::kSecond_ns), 36u);
  EXPECT_FALSE(allowance.is_whole(11 * base::kSecond_ns - 1));
  EXPECT_TRUE(allowance.is_whole(11 * base::kSecond_ns));
  allowance.give_back_to(rate, base::kSecond_ns, 41);
  EXPECT_EQ(allowance.used(rate, base::kSecond_ns), 40u) << "nothing is taken by that";
  allowance.give_back_to(rate, base::kSecond_ns, 35);
  EXPECT_EQ(allowance.used(rate, base::kSecond_ns), 35u);
}

TEST(LimitKindTest, EachHasItsKey) {
  for (size_t kind = 0; kind < static_cast<size_t>(LimitKind::kCount); ++kind) {
    EXPECT_FALSE(key_of(static_cast<LimitKind>(kind)).empty()) << kind;
  }
  EXPECT_EQ(key_of(LimitKind::kGlitches), "limits.glitches");
  EXPECT_EQ(key_of(LimitKind::kDescriptors), "limits.descriptors");
  EXPECT_EQ(key_of(LimitKind::kUpstreamResets), "limits.upstream_resets");
}

// One thing that a peer does to a server again and again.
struct Abuse {
  const char* name;
  LimitKind kind;
  uint32_t allowed;  // with small_limits()
  void (*act)(Endpoint& server, uint32_t round);
  Rate Limits::* rate = nullptr;  // where time gives back
  bool is_read = true;            // the peer takes what we answer
};

Limits small_limits() {
  Limits limits = test_limits();
  limits.streams = 1000;
  limits.continuations = 3;
  limits.replies = 9;
  limits.reply_bytes = 100;
  limits.settings_entries = 8;
  limits.priorities = 7;
  limits.resets = {6, 2};
  limits.early_resets = {5, 1};
  limits.settings = {11, 2};
  limits.pings = {12, 3};
  limits.empty_frames = {13, 4};
  limits.small_data = {14, 5};
  limits.glitches = {8, 2};
  return limits;
}

uint32_t id_of(uint32_t round) {
  return 2 * round + 3;  // behind that of greeted()
}

// Has SETTINGS and their acknowledgement, and stream 1, whose request goes on.
void greet(Endpoint& server) {
  server.greet();
  server.receive(wire::headers(1, wire::request_block(), false));
}

void open_and(Endpoint& server, uint32_t round, const std::string& then) {
  server.receive(wire::headers(id_of(round), wire::request_block(), false) + then);
}

// What the owner does with a stream that has ended early.
void forget(Endpoint& server, uint32_t round) {
  if (Stream* stream = server.stream(id_of(round))) server.connection.close_stream(*stream);
}

const Abuse kAbuses[] = {
    {"resets", LimitKind::kResets, 6,
     [](Endpoint& server, uint32_t round) {
       open_and(server, round, wire::rst_stream(id_of(round), ErrorCode::kCancel));
       forget(server, round);
     },
     &Limits::resets},
    {"early resets that we send: WINDOW_UPDATE of zero", LimitKind::kEarlyResets, 5,
     [](Endpoint& server, uint32_t round) {
       open_and(server, round, wire::window_update(id_of(round), 0));
       forget(server, round);
     },
     &Limits::early_resets},
    {"early resets that we send: a window overflown", LimitKind::kEarlyResets, 5,
     [](Endpoint& server, uint32_t round) {
       open_and(server, round, wire::window_update(id_of(round), 0x7fffffff));
       forget(server, round);
     },
     &Limits::early_resets},
    {"early resets that we send: PRIORITY of a wrong length", LimitKind::kEarlyResets, 5,
     [](Endpoint& server, uint32_t round) {
       open_and(server, round, wire::frame(FrameType::kPriority, 0, id_of(round), "1234"));
       forget(server, round);
     },
     &Limits::early_resets},
    {"early resets that we send: DATA behind the end", LimitKind::kEarlyResets, 5,
     [](Endpoint& server, uint32_t round) {
       open_and(server, round, wire::data(id_of(round), "12345", true) + wire::data(id_of(round), "12345", false));
       forget(server, round);
     },
     &Limits::early_resets},
    {"early resets that we send: malformed requests", LimitKind::kEarlyResets, 5,
     [](Endpoint& server, uint32_t round) {
       server.receive(wire::headers(id_of(round), wire::block({{":method", "GET"}}), true));
     },
     &Limits::early_resets},
    {"early resets that the owner tells of", LimitKind::kEarlyResets, 5,
     [](Endpoint& server, uint32_t) { server.connection.charge_early_reset(); }, &Limits::early_resets},
    {"replies that are not read", LimitKind::kReplies, 9,
     [](Endpoint& server, uint32_t) {
       // Shorter than a PING's answer, so that the octets are no limit.
       server.receive(wire::settings());
     },
     nullptr, false},
    {"settings entries", LimitKind::kSettingsEntries, 8,
     [](Endpoint& server, uint32_t round) {
       // One frame with as many entries as there were rounds.
       server.receive(wire::settings(
           std::vector<std::pair<SettingId, uint32_t>>(round + 1, {static_cast<SettingId>(0x7777), 1u})));
     }},
    {"SETTINGS frames", LimitKind::kSettings, 10,  // the first was the greeting's
     [](Endpoint& server, uint32_t) { server.receive(wire::settings()); }, &Limits::settings},
    {"PING frames without a call", LimitKind::kPings, 12,
     [](Endpoint& server, uint32_t) {
       if (Stream* stream = server.stream(1)) server.connection.close_stream(*stream);
       server.receive(wire::ping("12345678"));
     },
     &Limits::pings},
    {"PRIORITY frames", LimitKind::kPriorities, 7,
     [](Endpoint& server, uint32_t) { server.receive(wire::frame(FrameType::kPriority, 0, 5, "12345")); }},
    {"empty DATA", LimitKind::kEmptyFrames, 13,
     [](Endpoint& server, uint32_t) { server.receive(wire::data(1, "", false)); }, &Limits::empty_frames},
    {"DATA of padding alone", LimitKind::kEmptyFrames, 13,
     [](Endpoint& server, uint32_t) { server.receive(wire::padded_data(1, "", 9, false)); }, &Limits::empty_frames},
    {"empty fragments", LimitKind::kEmptyFrames, 13,
     [](Endpoint& server, uint32_t round) {
       server.receive(wire::frame(FrameType::kHeaders, kFlagEndStream, id_of(round), "") +
                      wire::frame(FrameType::kContinuation, kFlagEndHeaders, id_of(round), wire::request_block()));
     },
     &Limits::empty_frames},
    {"DATA of one octet", LimitKind::kSmallData, 14,
     [](Endpoint& server, uint32_t) { server.receive(wire::data(1, "x", false)); }, &Limits::small_data},
    {"DATA of four octets", LimitKind::kSmallData, 14,
     [](Endpoint& server, uint32_t) { server.receive(wire::data(1, "1234", false)); }, &Limits::small_data},
    {"RST_STREAM for a stream that has ended", LimitKind::kGlitches, 800,
     [](Endpoint& server, uint32_t) {
       if (Stream* stream = server.stream(1)) server.connection.close_stream(*stream);
       server.receive(wire::rst_stream(1, ErrorCode::kCancel));
     },
     &Limits::glitches},
    {"WINDOW_UPDATE for a stream that has ended", LimitKind::kGlitches, 800,
     [](Endpoint& server, uint32_t) {
       if (Stream* stream = server.stream(1)) server.connection.close_stream(*stream);
       server.receive(wire::window_update(1, 1));
     },
     &Limits::glitches},
    {"credit for a stream that has not used up what it had", LimitKind::kGlitches, 800,
     [](Endpoint& server, uint32_t) { server.receive(wire::window_update(1, 1)); }, &Limits::glitches},
    {"credit for a connection that has not used up what it had", LimitKind::kGlitches, 800,
     [](Endpoint& server, uint32_t) { server.receive(wire::window_update(0, 1)); }, &Limits::glitches},
    {"acknowledgements of SETTINGS that we did not send", LimitKind::kGlitches, 800,
     [](Endpoint& server, uint32_t) { server.receive(wire::settings_ack()); }, &Limits::glitches},
    {"answers to PING that we did not send", LimitKind::kGlitches, 800,
     [](Endpoint& server, uint32_t) { server.receive(wire::ping("12345678", true)); }, &Limits::glitches},
    {"GOAWAY again and again", LimitKind::kGlitches, 9,
     [](Endpoint& server, uint32_t) { server.receive(wire::goaway(0, ErrorCode::kNoError)); }},
    // One that announces, another that follows it, and each further one is a glitch.
    {"GOAWAY with ever smaller ids", LimitKind::kGlitches, 10,
     [](Endpoint& server, uint32_t round) { server.receive(wire::goaway(kStreamIdMax - round, ErrorCode::kNoError)); }},
    {"unknown frames", LimitKind::kGlitches, 800,
     [](Endpoint& server, uint32_t round) {
       server.receive(wire::frame(static_cast<FrameType>(0x0b + round % 0xf0), 0, round, "what"));
     },
     &Limits::glitches},
};

class AbuseTest : public testing::TestWithParam<Abuse> {
 protected:
  Memory memory_{1, 100'000, 1 << 20};
};

TEST_P(AbuseTest, AtItsLimit) {
  const Abuse& abuse = GetParam();
  Endpoint server(Role::kServer, memory_, small_limits());
  greet(server);
  const uint64_t& hits = memory_.limit_hits[static_cast<size_t>(abuse.kind)];
  for (uint32_t round = 0; round < abuse.allowed; ++round) {
    if (abuse.is_read) server.take_output();
    abuse.act(server, round);
    ASSERT_FALSE(server.connection.has_failed()) << round << ": " << server.connection.failure_reason();
  }
  EXPECT_EQ(hits, 0u);
  if (abuse.is_read) server.take_output();
  abuse.act(server, abuse.allowed);
  ASSERT_TRUE(server.connection.has_failed());
  EXPECT_EQ(server.connection.failure_code(), ErrorCode::kEnhanceYourCalm);
  EXPECT_NE(server.connection.failure_reason().find(key_of(abuse.kind)), std::string_view::npos)
      << server.connection.failure_reason();
  EXPECT_EQ(hits, 1u);
  EXPECT_EQ(server.take_frames().back().type, static_cast<uint8_t>(FrameType::kGoaway));
}

TEST_P(AbuseTest, TimeGivesBack) {
  const Abuse& abuse = GetParam();
  if (abuse.rate == nullptr) return;
  const Limits limits = small_limits();
  Endpoint server(Role::kServer, memory_, limits);
  greet(server);
  // At the rate it may go on for ever.
  const uint32_t share = abuse.kind == LimitKind::kGlitches ? 100 : 1;
  const uint64_t interval_ns = base::kSecond_ns / ((limits.*abuse.rate).per_second * share);
  for (uint32_t round = 0; round < 3 * abuse.allowed; ++round) {
    memory_.now_ns += interval_ns;
    server.take_output();
    abuse.act(server, round);
    ASSERT_FALSE(server.connection.has_failed()) << round << ": " << server.connection.failure_reason();
  }
}

std::string name_of_case(const testing::TestParamInfo<Abuse>& info) {
  std::string name;
  bool starts_word = true;
  for (const char byte : std::string(info.param.name)) {
    const bool is_letter = std::isalpha(static_cast<unsigned char>(byte)) != 0;
    if (is_letter) name += starts_word ? static_cast<char>(std::toupper(static_cast<unsigned char>(byte))) : byte;
    starts_word = !is_letter;
  }
  return name;
}

INSTANTIATE_TEST_SUITE_P(All, AbuseTest, testing::ValuesIn(kAbuses), name_of_case);

class LimitsTest : public testing::Test {
 protected:
  Memory memory_{1, 100'000, 1 << 20};
};

// A block of HEADERS and `count` CONTINUATION frames.
std::string fragmented(uint32_t count, size_t fragment_octets) {
  PlainList more;
  const std::string block = wire::request_block({{"x-long", std::string(fragment_octets * count, 'v')}});
  std::string bytes =
      wire::frame(FrameType::kHeaders, kFlagEndStream, 3, block.substr(0, block.size() - fragment_octets * count));
  for (uint32_t i = 0; i < count; ++i) {
    const size_t begin = block.size() - fragment_octets * (count - i);
    bytes += wire::frame(FrameType::kContinuation, i + 1 == count ? kFlagEndHeaders : uint8_t{0}, 3,
                         block.substr(begin, fragment_octets));
  }
  return bytes;
}

TEST_F(LimitsTest, FragmentsOfABlock) {
  for (const uint32_t count : {2u, 3u, 4u}) {
    Endpoint server(Role::kServer, memory_, small_limits());
    server.greet();
    server.receive(fragmented(count, 5));
    EXPECT_EQ(server.connection.has_failed(), count > 3) << count;
    if (count > 3) {
      EXPECT_EQ(server.connection.failure_code(), ErrorCode::kEnhanceYourCalm);
      EXPECT_EQ(memory_.limit_hits[static_cast<size_t>(LimitKind::kContinuations)], 1u);
    }
  }
}

TEST_F(LimitsTest, OctetsOfABlock) {
  Limits limits = small_limits();
  limits.header_list.list_bytes = 1000;
  for (const uint32_t more : {0u, 1u}) {
    Endpoint server(Role::kServer, memory_, limits);
    server.greet();
    server.receive(wire::frame(FrameType::kHeaders, 0, 3, std::string(1000, '\x82')) +
                   wire::frame(FrameType::kContinuation, 0, 3, std::string(1000 + more, '\x82')));
    EXPECT_EQ(server.connection.has_failed(), more == 1) << "twice limits.header_list, and " << more;
  }
  EXPECT_EQ(memory_.limit_hits[static_cast<size_t>(LimitKind::kContinuations)], 1u);
}

TEST_F(LimitsTest, OctetsOfAnswersThatAreNotRead) {
  Limits limits = small_limits();
  limits.replies = 1000;
  limits.pings = {1000, 1};
  limits.reply_bytes = 3 * kPingFrameSize;
  Endpoint server(Role::kServer, memory_, limits);
  server.greet();
  for (int i = 0; i < 3; ++i) server.receive(wire::ping("12345678"));
  EXPECT_FALSE(server.connection.has_failed());
  server.take_output();
  for (int i = 0; i < 3; ++i) server.receive(wire::ping("12345678"));
  EXPECT_FALSE(server.connection.has_failed()) << "the others were read";
  server.receive(wire::ping("12345678"));
  ASSERT_TRUE(server.connection.has_failed());
  EXPECT_EQ(server.connection.failure_reason(), "answers are not read (limits.reply_bytes)");
}

// grpc-go and gRPC C++ measure the path with one PING a round trip while data flows.
TEST_F(LimitsTest, PingsDuringACallAreFree) {
  Endpoint server(Role::kServer, memory_, small_limits());
  greet(server);
  for (int i = 0; i < 10'000; ++i) {
    server.receive(wire::ping("12345678"));
    server.take_output();
  }
  EXPECT_FALSE(server.connection.has_failed());
}

// A PRIORITY frame a stream is what old clients send.
TEST_F(LimitsTest, PrioritiesOfStreamsAreFree) {
  Endpoint server(Role::kServer, memory_, small_limits());
  server.greet();
  for (uint32_t round = 0; round < 500; ++round) {
    open_and(server, round, wire::frame(FrameType::kPriority, 0, id_of(round), "12345"));
  }
  EXPECT_FALSE(server.connection.has_failed());
}

// … of streams that were opened: ids that a client passes over cost it nothing.
TEST_F(LimitsTest, PrioritiesOfStreamsThatWerePassedOver) {
  const std::string priority = wire::frame(FrameType::kPriority, 0, 1, "12345");
  for (const uint32_t first_id : {3u, 0x1fffffffu, kStreamIdMax - 4}) {
    Endpoint server(Role::kServer, memory_, small_limits());
    server.greet();
    server.receive(wire::headers(first_id, wire::request_block(), true));
    server.receive(wire::headers(first_id + 2, wire::request_block(), true));
    for (uint32_t round = 0; round < small_limits().priorities + 1; ++round) server.receive(priority);
    ASSERT_FALSE(server.connection.has_failed()) << first_id;
    server.receive(priority);
    EXPECT_TRUE(server.connection.has_failed()) << first_id;
  }
}

// … and so are what comes for a stream that has just ended, and credit for what was sent.
TEST_F(LimitsTest, WhatComesTooLateIsFree) {
  Endpoint server(Role::kServer, memory_, small_limits());
  greet(server);
  for (uint32_t round = 0; round < 2000; ++round) {
    const uint32_t id = id_of(round);
    server.receive(wire::headers(id, wire::request_block(), true));
    server.send_headers(*server.stream(id), {{":status", "200"}}, false);
    server.send_data(*server.stream(id), "hello", true);
    server.take_output();
    server.connection.close_stream(*server.stream(id));
    server.receive(wire::window_update(id, 5) + wire::window_update(0, 5) + wire::rst_stream(id, ErrorCode::kNoError));
  }
  for (int i = 0; i < 2000; ++i) {
    server.connection.send_ping(1);
    server.take_output();
    server.receive(wire::ping("12345678", true));
  }
  EXPECT_FALSE(server.connection.has_failed()) << server.connection.failure_reason();
  EXPECT_EQ(memory_.limit_hits[static_cast<size_t>(LimitKind::kGlitches)], 0u);
}

// The last frame that the window lets through may be of any size.
TEST_F(LimitsTest, DataThatFillsTheWindowIsNeverTooSmall) {
  Limits limits = small_limits();
  limits.stream_window = 65'535;
  Endpoint server(Role::kServer, memory_, limits);
  server.greet();
  for (uint32_t round = 0; round < 12; ++round) {
    std::string body;
    for (int i = 0; i < 3; ++i) body += wire::data(id_of(round), std::string(16'384, 'b'), false);
    body += wire::data(id_of(round), std::string(16'380, 'b'), false) + wire::data(id_of(round), "bbb", false);
    open_and(server, round, body);
    ASSERT_FALSE(server.connection.has_failed()) << round;
  }
  EXPECT_EQ(memory_.limit_hits[static_cast<size_t>(LimitKind::kSmallData)], 0u);
}

TEST_F(LimitsTest, TheEndOfABodyMayBeSmall) {
  Endpoint server(Role::kServer, memory_, small_limits());
  server.greet();
  for (uint32_t round = 0; round < 100; ++round) {
    open_and(server, round, wire::data(id_of(round), round % 2 == 0 ? "x" : "", true));
  }
  EXPECT_FALSE(server.connection.has_failed());
}

// A stream beyond the limit is refused; before the client has acknowledged our settings it cannot know better.
TEST_F(LimitsTest, StreamsBeyondTheLimit) {
  Limits limits = small_limits();
  limits.streams = 1;
  limits.glitches = {1000, 1};
  for (const bool has_acknowledged : {false, true}) {
    Endpoint server(Role::kServer, memory_, limits);
    server.receive(std::string(kPreface) + wire::settings() + (has_acknowledged ? wire::settings_ack() : ""));
    server.receive(wire::headers(1, wire::request_block(), false));
    const uint32_t allowed = has_acknowledged ? 5 : 6;  // early resets, resets
    for (uint32_t round = 0; round < allowed; ++round) {
      server.take_output();
      server.receive(wire::headers(id_of(round), wire::request_block(), true));
      ASSERT_FALSE(server.connection.has_failed()) << round;
      const auto frames = server.take_frames();
      ASSERT_EQ(frames.size(), 1u);
      EXPECT_EQ(frames[0].u32(0), static_cast<uint32_t>(ErrorCode::kRefusedStream));
    }
    server.receive(wire::headers(id_of(allowed), wire::request_block(), true));
    EXPECT_TRUE(server.connection.has_failed());
  }
  EXPECT_EQ(memory_.limit_hits[static_cast<size_t>(LimitKind::kStreams)], 5u + 6 + 2);
}

TEST_F(LimitsTest, ResetsOfAServerAreItsOwnAffair) {
  Endpoint client(Role::kClient, memory_, small_limits());
  client.greet({{SettingId::kMaxConcurrentStreams, 1000}});
  for (uint32_t i = 0; i < 100; ++i) {
    Stream* stream = client.connection.open_stream(nullptr);
    client.send_headers(*stream, wire::request_fields(), true);
    client.receive(wire::rst_stream(stream->id, ErrorCode::kCancel));
    client.connection.close_stream(*stream);
    client.take_output();
  }
  EXPECT_FALSE(client.connection.has_failed());
}

// At three quarters the owner hears of it once, while the connection still works.
TEST_F(LimitsTest, GlitchesAreToldOnce) {
  Endpoint server(Role::kServer, memory_, small_limits());
  server.greet();
  const std::string unknown = wire::frame(static_cast<FrameType>(0x20), 0, 0, "");
  server.events.clear();
  for (int i = 0; i < 599; ++i) server.receive(unknown);
  EXPECT_TRUE(server.events.empty());
  for (int i = 599; i < 800; ++i) server.receive(unknown);
  ASSERT_EQ(server.events.size(), 1u);
  EXPECT_EQ(server.events[0].kind, EventKind::kGlitches);
  EXPECT_FALSE(server.connection.has_failed());
}

TEST_F(LimitsTest, ListsBeyondTheLimitAreCounted) {
  Limits limits = small_limits();
  limits.header_list.fields = 20;
  Endpoint server(Role::kServer, memory_, limits);
  server.greet();
  for (const size_t more : {15u, 16u, 17u}) {
    const PlainList fields(more, {"x-a", "b"});
    const auto seen =
        server.receive(wire::headers(static_cast<uint32_t>(2 * more + 1), wire::request_block(fields), true));
    const size_t count = wire::request_fields(fields).size();
    ASSERT_EQ(seen.size(), 1u);
    EXPECT_EQ(seen[0].kind, count > 20 ? EventKind::kListTooLarge : EventKind::kRequest) << count;
  }
}

// An octet of a block may stand for a field of any size: lists too large are charged by their octets, 256 a glitch.
TEST_F(LimitsTest, LargeListsAreChargedByTheirOctets) {
  Limits limits = small_limits();
  limits.header_list.fields = 20;
  limits.glitches = {4, 1};
  for (const size_t octets : {3 * 256, 3 * 256 + 3}) {
    Endpoint server(Role::kServer, memory_, limits);
    server.greet();
    std::string block = wire::request_block();
    block.resize(octets, '\x90');
    server.receive(wire::headers(1, block, true));
    EXPECT_EQ(server.connection.has_failed(), octets > 3 * 256) << "one for the list and three for its octets";
  }
}

// Half of the ids are a warning, not an end.
TEST_F(LimitsTest, IdsThatEnd) {
  Endpoint server(Role::kServer, memory_, small_limits());
  server.greet();
  server.events.clear();
  constexpr uint32_t kHalf = kStreamIdMax / 2;
  for (const uint32_t id : {kHalf - 2, kHalf}) {
    server.receive(wire::headers(id, wire::request_block(), true));
  }
  EXPECT_EQ(server.events.size(), 2u);
  server.receive(wire::headers(kHalf + 2, wire::request_block(), true));
  server.receive(wire::headers(kHalf + 4, wire::request_block(), true));
  ASSERT_EQ(server.events.size(), 5u);
  EXPECT_EQ(server.events[2].kind, EventKind::kRequest);
  EXPECT_EQ(server.events[3].kind, EventKind::kIdsEnding);
  EXPECT_EQ(server.events[4].kind, EventKind::kRequest);
  server.connection.send_goaway(kHalf + 4, ErrorCode::kNoError, "");
  server.receive(wire::headers(kHalf + 6, wire::request_block(), true));
  EXPECT_EQ(server.events.size(), 5u) << "announced as not taken";
}

TEST_F(LimitsTest, NoNewStreamsWhileTheirOwnerSaysSo) {
  Endpoint server(Role::kServer, memory_, small_limits());
  server.greet();
  server.connection.refuse_streams(true);
  server.receive(wire::headers(1, wire::request_block(), true));
  EXPECT_EQ(server.stream(1), nullptr);
  EXPECT_EQ(server.take_frames().at(0).u32(0), static_cast<uint32_t>(ErrorCode::kRefusedStream));
  server.connection.set_write_blocked(false);
  server.receive(wire::headers(3, wire::request_block(), true));
  EXPECT_NE(server.stream(3), nullptr);
}

}  // namespace
}  // namespace ringway::h2
