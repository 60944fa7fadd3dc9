// Connections over time: whether an endpoint still lives, and how clients are asked to go.
#include <gtest/gtest.h>

#include "rig.h"
#include "wire.h"

namespace ringway::proxy {
namespace {

constexpr uint8_t kPing = 6;
constexpr uint8_t kGoaway = 7;
constexpr uint64_t kStep_ns = 100 * base::kMillisecond_ns;

void expect_unavailable(const Link& client, int32_t id, std::string_view why) {
  const auto& headers = client.peer->messages.at(id).headers;
  EXPECT_EQ(value_of(headers, "grpc-status"), "14");
  EXPECT_EQ(value_of(headers, "grpc-message"), why);
}

class Keepalive : public testing::Test {
 protected:
  Keepalive() : client(rig.add_client()) {
    id = client.peer->send_request(grpc_request(), grpc_message(3), true);
    rig.run();
    upstream = &rig.upstream(0);
  }

  size_t pings() const { return upstream->of_type(kPing).size(); }
  void pass_seconds(uint64_t seconds) { rig.pass(seconds * base::kSecond_ns, kStep_ns); }

  Rig rig{Rig::plain_snapshot(1)};
  Link& client;
  Link* upstream = nullptr;
  int32_t id = 0;
};

TEST_F(Keepalive, ASilentEndpointIsAskedAndThenGivenUp) {
  upstream->is_mute = true;
  pass_seconds(9);
  EXPECT_EQ(pings(), 0u);
  pass_seconds(2);
  EXPECT_EQ(pings(), 1u);
  pass_seconds(18);
  EXPECT_FALSE(upstream->is_gone);
  pass_seconds(3);
  EXPECT_TRUE(upstream->is_gone);
  EXPECT_EQ(pings(), 1u);
  expect_unavailable(client, id,
                     "endpoint 127.0.0.1:1001: no answer to a PING within 20s (keepalive.timeout) before the response");
}

TEST_F(Keepalive, AnEndpointThatAnswersIsNotAskedMoreOftenThanTheInterval) {
  pass_seconds(12);
  EXPECT_EQ(pings(), 1u);
  pass_seconds(297);
  EXPECT_EQ(pings(), 1u) << "the interval is 300 s";
  pass_seconds(20);
  EXPECT_EQ(pings(), 2u);
  EXPECT_FALSE(upstream->is_gone);
  upstream->peer->send_response(1, kGrpcResponse, grpc_message(1), kGrpcOk);
  rig.run();
  EXPECT_EQ(value_of(client.peer->messages.at(id).trailers, "grpc-status"), "0");
}

// Counted from the latest octets, not from when it was looked at.
TEST(KeepaliveSilence, IsAsLongAsConfigured) {
  constexpr uint64_t kShort_ns = 10 * base::kMillisecond_ns;
  config::Snapshot snapshot = Rig::plain_snapshot(1);
  snapshot.clusters[0].keepalive_silence_ns = 300 * base::kMillisecond_ns;
  Rig rig(snapshot);
  Link& client = rig.add_client();
  client.peer->send_request(grpc_request(), grpc_message(3), true);
  rig.run();
  Link& upstream = rig.upstream(0);
  Flow& response = rig.open_response(upstream, 1, kGrpcResponse);
  rig.pass(200 * base::kMillisecond_ns, kShort_ns);
  rig.send(response, grpc_message(1));
  rig.run();
  rig.pass(290 * base::kMillisecond_ns, kShort_ns);
  EXPECT_EQ(upstream.of_type(kPing).size(), 0u);
  rig.pass(30 * base::kMillisecond_ns, kShort_ns);
  EXPECT_EQ(upstream.of_type(kPing).size(), 1u);
}

TEST(KeepaliveOff, NobodyIsAsked) {
  config::Snapshot snapshot = Rig::plain_snapshot(1);
  snapshot.clusters[0].keepalive_interval_ns = 0;
  Rig rig(snapshot);
  Link& client = rig.add_client();
  client.peer->send_request(grpc_request(), grpc_message(3), true);
  rig.run();
  Link& upstream = rig.upstream(0);
  rig.pass(60 * base::kSecond_ns, kStep_ns);
  EXPECT_EQ(upstream.of_type(kPing).size(), 0u);
  EXPECT_FALSE(upstream.is_gone);
}

TEST_F(Keepalive, BytesThatArriveAreAnswerEnough) {
  Flow& response = rig.open_response(*upstream, 1, kGrpcResponse);
  for (int i = 0; i < 6; ++i) {
    rig.send(response, grpc_message(1));
    rig.run();
    pass_seconds(5);
  }
  EXPECT_EQ(pings(), 0u);
}

TEST_F(Keepalive, WithoutCallsNobodyIsAsked) {
  upstream->peer->send_response(1, kGrpcResponse, grpc_message(1), kGrpcOk);
  rig.run();
  upstream->is_mute = true;
  pass_seconds(60);
  EXPECT_EQ(pings(), 0u);
  EXPECT_FALSE(upstream->is_gone);
}

// HEADERS of an endpoint, an octet at a time.
class DrippedFrame : public Keepalive {
 protected:
  DrippedFrame() { drip(h2::wire::frame_header(16'000, h2::FrameType::kHeaders, h2::kFlagEndHeaders, 1)); }
  void drip(std::string_view octets) {
    rig.proxy->receive(*rig.proxy->connections().find(upstream->handle),
                       {reinterpret_cast<const uint8_t*>(octets.data()), octets.size()}, rig.now_ns);
  }
  // For so many seconds, or until the connection is gone.
  void drip_for(uint64_t seconds) {
    for (uint64_t i = 0; i < 10 * seconds && !upstream->is_gone; ++i) {
      rig.pass(kStep_ns, kStep_ns);
      if (!upstream->is_gone && rig.proxy->connections().find(upstream->handle)->state == ConnectionState::kOpen) {
        drip("\x88");
      }
    }
  }
  uint64_t hits() const { return rig.proxy->limit_hits()[static_cast<size_t>(h2::LimitKind::kHeaderTimeout)]; }
};

TEST_F(DrippedFrame, IsToEndInTime) {
  drip_for(9);
  EXPECT_FALSE(client.peer->messages[id].has_headers);
  EXPECT_EQ(hits(), 0u);
  drip_for(3);
  EXPECT_TRUE(upstream->is_gone);
  EXPECT_EQ(hits(), 1u);
  expect_unavailable(
      client, id, "endpoint 127.0.0.1:1001: a frame was not ended in time (limits.header_timeout) before the response");
}

// A call that comes while the frame is under way, and one that waits for none, change nothing of that.
TEST_F(DrippedFrame, HoldsUpNoLaterCallEither) {
  drip_for(8);
  const int32_t later = client.peer->send_request(grpc_request(), grpc_message(3), true);
  drip_for(3);
  EXPECT_EQ(hits(), 1u);
  EXPECT_EQ(value_of(client.peer->messages.at(later).headers, "grpc-status"), "14");
}

// Nobody waits for it; the first call that does ends it, and has another connection.
TEST(IdleConnection, MayDripUntilACallComes) {
  Rig rig(Rig::plain_snapshot(1));
  Link& client = rig.add_client();
  client.peer->send_request(grpc_request(), grpc_message(3), true);
  rig.run();
  Link& upstream = rig.upstream(0);
  upstream.peer->send_response(1, kGrpcResponse, grpc_message(1), kGrpcOk);
  rig.run();
  // The timer of the call is over, too.
  rig.pass(11 * base::kSecond_ns, kStep_ns);
  const auto drip = [&](std::string_view octets) {
    rig.proxy->receive(*rig.proxy->connections().find(upstream.handle),
                       {reinterpret_cast<const uint8_t*>(octets.data()), octets.size()}, rig.now_ns);
  };
  drip(h2::wire::frame_header(16'000, h2::FrameType::kHeaders, h2::kFlagEndHeaders, 1));
  for (int i = 0; i < 200; ++i) {
    rig.pass(kStep_ns, kStep_ns);
    drip("\x88");
  }
  EXPECT_FALSE(upstream.is_gone);
  client.peer->send_request(grpc_request(), grpc_message(3), true);
  rig.run();
  rig.pass(kStep_ns, kStep_ns);
  EXPECT_EQ(rig.proxy->limit_hits()[static_cast<size_t>(h2::LimitKind::kHeaderTimeout)], 1u);
  rig.pass(10 * kStep_ns, kStep_ns);
  EXPECT_TRUE(rig.has_upstream(0)) << "another connection";
}

// Slow, but each of its frames ends.
TEST_F(Keepalive, FramesThatEndAreNoneOfThese) {
  const std::string ping = h2::wire::ping("12345678");
  for (size_t i = 0; i < 100; ++i) {
    Connection& connection = *rig.proxy->connections().find(upstream->handle);
    // Each read ends inside a frame, and it is always another one.
    const std::string octets = i == 0 ? ping.substr(0, 5) : ping.substr(5) + ping.substr(0, 5);
    rig.proxy->receive(connection, {reinterpret_cast<const uint8_t*>(octets.data()), octets.size()}, rig.now_ns);
    pass_seconds(1);
    ASSERT_FALSE(upstream->is_gone) << i;
  }
}

// Once a connection was idle for long, the next call is watched again.
TEST_F(Keepalive, ACallAfterAPauseIsWatched) {
  upstream->peer->send_response(1, kGrpcResponse, grpc_message(1), kGrpcOk);
  rig.run();
  pass_seconds(60);
  client.peer->send_request(grpc_request(), grpc_message(3), true);
  rig.run();
  upstream->is_mute = true;
  pass_seconds(35);
  EXPECT_EQ(pings(), 1u);
  EXPECT_TRUE(upstream->is_gone);
}

TEST(Connect, TakesNoLongerThanItsTimeout) {
  Rig rig(Rig::plain_snapshot(1));
  rig.connects = false;
  Link& client = rig.add_client();
  const int32_t id = client.peer->send_request(grpc_request(), grpc_message(3), true);
  rig.run();
  const auto first = rig.wanted.at(0);
  rig.pass(4'900 * base::kMillisecond_ns, kStep_ns);
  EXPECT_FALSE(client.peer->messages[id].has_headers);
  rig.pass(200 * base::kMillisecond_ns, kStep_ns);
  EXPECT_EQ(value_of(client.peer->messages.at(id).headers, "grpc-status"), "14");
  ASSERT_EQ(rig.wanted.size(), 1u) << "the connection is dropped, and after a pause there is another";
  EXPECT_NE(rig.wanted[0], first);
}

// An endpoint that grants one stream a connection, with one call on it and another that waits.
class StreamLimit : public testing::Test {
 protected:
  StreamLimit() : client(rig.add_client()) {
    rig.endpoint_options.settings = {{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 1}};
    first_id = client.peer->send_request(grpc_request(), "first", true);
    rig.run();
    rig.connects = false;
    second_id = client.peer->send_request(grpc_request(), "second", true);
    rig.run();
  }

  Rig rig{Rig::plain_snapshot(1)};
  Link& client;
  int32_t first_id = 0;
  int32_t second_id = 0;
};

TEST_F(StreamLimit, OpensAnotherConnection) {
  ASSERT_EQ(rig.wanted.size(), 1u);
  EXPECT_EQ(Rig::calls(rig.upstream(0)), (std::vector<int32_t>{1}));
  rig.connect(rig.wanted[0]);
  rig.run();
  EXPECT_EQ(rig.upstream(0).peer->messages.at(1).body, "second");
}

TEST_F(StreamLimit, WithoutAnotherConnectionTheNextFreeStreamServes) {
  ASSERT_EQ(rig.wanted.size(), 1u);
  rig.refuse(rig.wanted[0]);
  rig.run();
  EXPECT_FALSE(client.peer->messages[second_id].has_headers) << "it waits on";
  Link& upstream = rig.upstream(0);
  upstream.peer->send_response(1, kGrpcResponse, grpc_message(1), kGrpcOk);
  rig.run();
  EXPECT_EQ(Rig::calls(upstream), (std::vector<int32_t>{3}));
  EXPECT_EQ(upstream.peer->messages.at(3).body, "second");
}

TEST_F(StreamLimit, AConnectionThatBreaksARuleLeavesNobodyWaiting) {
  ASSERT_EQ(rig.wanted.size(), 1u);
  rig.refuse(rig.wanted[0]);
  rig.run();
  rig.wanted.clear();
  // DATA on stream 0 is a connection error (RFC 9113 section 6.1).
  const std::string bad(9, '\0');
  Link& upstream = rig.upstream(0);
  rig.proxy->receive(*rig.proxy->connections().find(upstream.handle), h2::octets_of(bad), rig.now_ns);
  rig.run();
  EXPECT_TRUE(upstream.is_gone);
  EXPECT_EQ(upstream.of_type(kGoaway).size(), 1u);
  EXPECT_EQ(value_of(client.peer->messages.at(first_id).headers, "grpc-status"), "14");
  ASSERT_EQ(rig.wanted.size(), 1u) << "a new connection is made for the call that waits";
  rig.connect(rig.wanted[0]);
  rig.run();
  EXPECT_EQ(rig.upstream(0).peer->messages.at(1).body, "second");
}

// Also who goes of himself is told what was processed (RFC 9113 section 6.8), at once or when his last call is over.
TEST(Drain, AClientThatSaysGoawayIsToldOne) {
  for (const bool has_call : {false, true}) {
    Rig rig(Rig::plain_snapshot(1));
    Link& client = rig.add_client();
    if (has_call) {
      client.peer->send_request(grpc_request(), grpc_message(3), true);
      rig.run();
    }
    rig.say(client, h2::wire::goaway(0, h2::ErrorCode::kNoError));
    if (has_call) {
      EXPECT_TRUE(client.of_type(kGoaway).empty());
      rig.upstream(0).peer->send_response(1, kGrpcResponse, grpc_message(1), kGrpcOk);
      rig.run();
    }
    ASSERT_EQ(client.of_type(kGoaway).size(), 1u);
    EXPECT_EQ(client.of_type(kGoaway)[0].word, has_call ? 1u : 0u);
    EXPECT_TRUE(client.is_gone);
  }
}

TEST(Drain, TwoGoawaysAndNoCallIsLost) {
  Rig rig(Rig::plain_snapshot(1));
  Link& client = rig.add_client();
  const int32_t before = client.peer->send_request(grpc_request(), grpc_message(3), true);
  rig.run();
  // On its way when the drain begins.
  const int32_t crossing = client.peer->send_request(grpc_request(), grpc_message(3), true);
  rig.proxy->begin_drain(rig.now_ns);
  rig.deliver(client);
  ASSERT_EQ(client.of_type(kGoaway).size(), 1u);
  EXPECT_EQ(client.of_type(kGoaway)[0].word, h2::kStreamIdMax);
  ASSERT_EQ(client.of_type(kPing).size(), 1u);
  rig.run();
  const auto goaways = client.of_type(kGoaway);
  ASSERT_EQ(goaways.size(), 2u);
  EXPECT_EQ(goaways[1].word, static_cast<uint32_t>(crossing));
  EXPECT_FALSE(client.is_gone);
  for (const int32_t id : Rig::calls(rig.upstream(0))) {
    rig.upstream(0).peer->send_response(id, kGrpcResponse, grpc_message(1), kGrpcOk);
  }
  rig.run();
  EXPECT_EQ(value_of(client.peer->messages.at(before).trailers, "grpc-status"), "0");
  EXPECT_EQ(value_of(client.peer->messages.at(crossing).trailers, "grpc-status"), "0");
  EXPECT_TRUE(client.is_gone);
  EXPECT_EQ(rig.proxy->downstream_count(), 0u);
}

TEST(Drain, AClientThatDoesNotAnswerHasASecond) {
  Rig rig(Rig::plain_snapshot(1));
  Link& client = rig.add_client();
  client.peer->send_request(grpc_request(), grpc_message(3), true);
  rig.run();
  client.is_mute = true;
  rig.proxy->begin_drain(rig.now_ns);
  rig.pass(990 * base::kMillisecond_ns, 10 * base::kMillisecond_ns);
  EXPECT_EQ(client.of_type(kGoaway).size(), 1u);
  rig.pass(20 * base::kMillisecond_ns, 10 * base::kMillisecond_ns);
  EXPECT_EQ(client.of_type(kGoaway).size(), 2u);
  EXPECT_FALSE(client.is_gone) << "its call goes on";
}

TEST(Drain, AtItsEndWhatIsLeftIsToldWhy) {
  Rig rig(Rig::plain_snapshot(1));
  Link& client = rig.add_client();
  const int32_t id = client.peer->send_request(grpc_request(), grpc_message(3), true);
  rig.run();
  rig.proxy->begin_drain(rig.now_ns);
  rig.run();
  rig.proxy->end_drain(rig.now_ns);
  rig.run();
  expect_unavailable(client, id, "the proxy is shutting down");
  EXPECT_EQ(rig.proxy->downstream_count(), 0u);
  EXPECT_FALSE(rig.has_upstream(0));
}

// Trailers would wait behind it, on a connection that is closing.
TEST(Drain, AtItsEndAnAnswerThatIsNotTakenIsCutOff) {
  Rig rig(Rig::plain_snapshot(1));
  Nghttp2Peer::Options options;
  options.settings = {{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 3}};
  options.returns_credit = false;
  Link& client = rig.add_client("192.0.2.7:40000", options);
  const int32_t id = client.peer->send_request(grpc_request(), grpc_message(3), true);
  rig.run();
  Flow& response = rig.open_response(rig.upstream(0), 1, kGrpcResponse);
  rig.send(response, grpc_message(10));
  rig.run();
  ASSERT_EQ(client.peer->messages.at(id).body.size(), 3u);
  rig.proxy->begin_drain(rig.now_ns);
  rig.run();
  rig.proxy->end_drain(rig.now_ns);
  rig.run();
  EXPECT_TRUE(client.peer->messages.at(id).is_closed);
  EXPECT_EQ(client.peer->messages.at(id).close_code, uint32_t{NGHTTP2_CANCEL});
  EXPECT_EQ(rig.proxy->downstream_count(), 0u);
  EXPECT_EQ(rig.proxy->exchanges().live_count(), 0u);
}

// Another shard may hand one over that late. It is served, although the drain's end met the endpoint's connection while
// it was being made.
TEST(Drain, BehindItsEndAnEndpointIsConnectedToAnew) {
  Rig rig(Rig::plain_snapshot(1));
  rig.connects = false;
  rig.add_client().peer->send_request(grpc_request(), grpc_message(3), true);
  rig.run();
  ASSERT_EQ(rig.wanted.size(), 1u);
  rig.proxy->begin_drain(rig.now_ns);
  rig.proxy->end_drain(rig.now_ns);
  rig.run();
  EXPECT_EQ(rig.proxy->downstream_count(), 0u);
  rig.connects = true;
  Link& late = rig.links.emplace_back();
  late.handle = rig.proxy->accept(0, *io::Address::parse("192.0.2.8:40000"), rig.now_ns)->handle;
  late.peer = std::make_unique<Nghttp2Peer>(h2::Role::kClient, Nghttp2Peer::Options{});
  const int32_t id = late.peer->send_request(grpc_request(), grpc_message(3), true);
  rig.run();
  ASSERT_TRUE(rig.has_upstream(0));
  rig.upstream(0).peer->send_response(1, kGrpcResponse, grpc_message(1), kGrpcOk);
  rig.run();
  EXPECT_EQ(value_of(late.peer->messages.at(id).trailers, "grpc-status"), "0");
}

}  // namespace
}  // namespace ringway::proxy
