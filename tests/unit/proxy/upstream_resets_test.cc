// What clients reset, on the connection to the endpoint that all of them share: little of it gets there, and what does
// costs nobody else a call or a pause.
#include <gtest/gtest.h>

#include <algorithm>

#include "rig.h"
#include "wire.h"

namespace ringway::proxy {
namespace {

namespace wire = h2::wire;

constexpr uint8_t kHeaders = 1;
constexpr uint8_t kRst = 3;
constexpr uint32_t kBudget = 40;  // of it three quarters are 30; one comes back in a second

config::Snapshot with_budget(uint32_t budget = kBudget) {
  config::Snapshot snapshot = Rig::plain_snapshot(1);
  snapshot.limits.upstream_resets = budget;
  snapshot.limits.resets = snapshot.limits.early_resets = 1'000'000;
  snapshot.limits.idle_timeout_ns = snapshot.limits.connection_age_ns = 0;
  return snapshot;
}

class UpstreamResets : public testing::Test {
 protected:
  explicit UpstreamResets(uint32_t budget = kBudget) : rig(with_budget(budget)), attacker(rig.add_client()) {
    serve_one();
  }

  // Calls that reach the endpoint, which are then reset.
  void reset(uint32_t count) {
    for (uint32_t i = 0; i < count; ++i) {
      const int32_t id = attacker.peer->send_request(grpc_request(), grpc_message(1), true);
      rig.run();
      nghttp2_submit_rst_stream(attacker.peer->session(), NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
      rig.run();
    }
  }
  // A call of a client that means well, and its status, if it has one at once.
  std::string serve_one() {
    const int32_t id = other.peer->send_request(grpc_request(), grpc_message(1), true);
    rig.run();
    for (size_t i = 0; i < rig.links.size(); ++i) {
      Link& link = rig.links[i];
      if (link.endpoint.empty() || link.is_gone) continue;
      for (const int32_t call : Rig::calls(link)) link.peer->send_response(call, kGrpcResponse, "", kGrpcOk);
    }
    rig.run();
    return value_of(other.peer->messages[id].trailers, "grpc-status");
  }
  uint64_t connections() const { return rig.proxy->counters().upstream_connections; }
  uint64_t replaced() const { return rig.proxy->limit_hits()[static_cast<size_t>(h2::LimitKind::kUpstreamResets)]; }

  Rig rig;
  Link& attacker;
  Link& other{rig.add_client("192.0.2.8:40000")};
};

// In one read the request and what ends its stream: the endpoint hears of neither.
TEST_F(UpstreamResets, OfTheReadThatBroughtTheCallDoNotLeave) {
  Link& upstream = rig.upstream(0);
  const size_t before = upstream.frames.size();
  const std::string ends[] = {wire::rst_stream(1, h2::ErrorCode::kCancel), wire::window_update(1, 0),
                              wire::window_update(1, 0x7fffffff), wire::headers(1, wire::block({{"a", "b"}}), false),
                              wire::data(1, grpc_message(2), false) + wire::rst_stream(1, h2::ErrorCode::kCancel)};
  for (const std::string& end : ends) {
    Link& client = *rig.add_raw_client();
    rig.say(client, std::string(h2::kPreface) + wire::settings() + wire::settings_ack());
    rig.say(client, wire::headers(1, wire::request_block({{"grpc-timeout", "1S"}}), false) + end);
    EXPECT_EQ(upstream.frames.size(), before);
    EXPECT_EQ(rig.proxy->exchanges().live_count(), 0u);
    EXPECT_EQ(rig.proxy->memory().streams.live_count(), 0u);
  }
  EXPECT_EQ(rig.proxy->counters().client_cancels, std::size(ends));
  EXPECT_EQ(rig.proxy->counters().requests, 1 + std::size(ends));
}

// At three quarters of the budget, to the reset.
TEST_F(UpstreamResets, AWornConnectionIsReplacedWithoutAPause) {
  rig.connects = false;
  reset(kBudget * 3 / 4 - 1);
  EXPECT_TRUE(rig.wanted.empty());
  reset(1);
  ASSERT_EQ(rig.wanted.size(), 1u);
  EXPECT_EQ(serve_one(), "0") << "until the next one takes calls this one does";
  Link& worn = rig.upstream(0);
  const int32_t under_way = other.peer->send_request(grpc_request(), grpc_message(1), true);
  rig.run();
  EXPECT_EQ(replaced(), 0u);
  rig.connect(rig.wanted[0]);
  rig.run();
  EXPECT_EQ(replaced(), 1u);
  EXPECT_FALSE(worn.is_gone);
  Link& fresh = rig.upstream(0);
  ASSERT_NE(&fresh, &worn);
  EXPECT_EQ(serve_one(), "0");
  EXPECT_EQ(value_of(other.peer->messages.at(under_way).trailers, "grpc-status"), "0");
  EXPECT_TRUE(worn.is_gone) << "behind its last call";
  EXPECT_EQ(fresh.of_type(kHeaders).size(), 1u);
  EXPECT_EQ(connections(), 2u);
}

TEST_F(UpstreamResets, WhatComesBackIsNotUsed) {
  for (int second = 0; second < 60; ++second) {
    reset(1);
    rig.pass(base::kSecond_ns, base::kSecond_ns / 4);
  }
  EXPECT_EQ(connections(), 1u);
}

// The endpoint has answered and not said that it wants no more of the upload; clients of gRPC say so then. It is no
// fault of theirs, and on the connection that all share it takes half.
TEST(UpstreamResetsBehindTheEnd, AreNoFault) {
  config::Snapshot snapshot = with_budget();
  snapshot.limits.resets = 30;
  snapshot.limits.early_resets = 10;
  Rig rig(snapshot);
  Link& client = rig.add_client();
  const auto give_up_uploads = [&](uint32_t count) {
    for (uint32_t i = 0; i < count; ++i) {
      const Flow& upload = rig.open_request(client, grpc_request());
      rig.run();
      Link& upstream = rig.upstream(0);
      upstream.peer->send_response(Rig::calls(upstream).at(0), kGrpcResponse, grpc_message(1), kGrpcOk);
      rig.run();
      ASSERT_EQ(value_of(client.peer->messages.at(upload.id).trailers, "grpc-status"), "0") << i;
      nghttp2_submit_rst_stream(client.peer->session(), NGHTTP2_FLAG_NONE, upload.id, NGHTTP2_NO_ERROR);
      rig.run();
    }
  };
  give_up_uploads(2 * kBudget * 3 / 4 - 1);
  EXPECT_EQ(rig.upstream(0).of_type(kRst).size(), 2 * kBudget * 3 / 4 - 1);
  EXPECT_EQ(rig.proxy->counters().upstream_connections, 1u);
  give_up_uploads(1);
  EXPECT_EQ(rig.proxy->counters().upstream_connections, 2u);
  give_up_uploads(20);
  EXPECT_EQ(client.peer->goaway_count, 0u);
}

// No other connection can be had: what the endpoint would not take waits, and is told as soon as it may be.
TEST_F(UpstreamResets, BeyondTheBudgetTheyWait) {
  rig.connects = false;
  Link& upstream = rig.upstream(0);
  reset(kBudget);
  EXPECT_EQ(upstream.of_type(kRst).size(), kBudget);
  reset(2);
  EXPECT_EQ(upstream.of_type(kRst).size(), kBudget);
  EXPECT_EQ(Rig::calls(upstream).size(), 2u) << "the endpoint has not heard of the end of two";
  EXPECT_EQ(rig.proxy->memory().streams.live_count(), 0u);
  EXPECT_EQ(serve_one(), "0");
  rig.pass(3 * base::kSecond_ns, base::kSecond_ns / 4);
  EXPECT_EQ(upstream.of_type(kRst).size(), kBudget + 2);
  EXPECT_EQ(upstream.of_type(kRst).back().word, uint32_t{NGHTTP2_CANCEL});
  EXPECT_TRUE(Rig::calls(upstream).empty());
}

// To the endpoint they are open: together with them there are no more than it allows.
TEST_F(UpstreamResets, ThoseThatWaitCountAsOpen) {
  Link& upstream = rig.upstream(0);
  upstream.peer->send_settings({{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 2}});
  rig.run();
  rig.connects = false;
  reset(kBudget + 2);
  const int32_t waiting = other.peer->send_request(grpc_request(), grpc_message(1), true);
  rig.run();
  EXPECT_EQ(Rig::calls(upstream).size(), 2u);
  EXPECT_EQ(upstream.of_type(kHeaders).size(), 1 + kBudget + 2u);
  rig.pass(2 * base::kSecond_ns, base::kSecond_ns / 4);
  EXPECT_EQ(upstream.of_type(kHeaders).size(), 1 + kBudget + 3u) << "a slot has become free";
  EXPECT_FALSE(other.peer->messages[waiting].is_closed);
}

// The end of a connection ends what waits there, too.
TEST_F(UpstreamResets, ThoseThatWaitEndWithTheirConnection) {
  rig.connects = false;
  reset(kBudget + 5);
  Link& worn = rig.upstream(0);
  rig.connect(rig.wanted.at(0));
  rig.run();
  EXPECT_TRUE(worn.is_gone);
  EXPECT_EQ(serve_one(), "0");
}

// Other connections take calls: the worn one goes at once.
TEST_F(UpstreamResets, WithSeveralConnections) {
  config::Snapshot snapshot = with_budget();
  snapshot.clusters[0].connections_per_shard = 2;
  Rig two(snapshot);
  Link& client = two.add_client();
  for (uint32_t i = 0; i < 400; ++i) {
    const int32_t id = client.peer->send_request(grpc_request(), grpc_message(1), true);
    two.run();
    nghttp2_submit_rst_stream(client.peer->session(), NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
    two.run();
    ASSERT_TRUE(two.has_upstream(0));
  }
  for (const Link& link : two.links) {
    EXPECT_LE(link.endpoint.empty() ? 0 : link.of_type(kRst).size(), kBudget * 3 / 4);
  }
  EXPECT_EQ(two.proxy->counters().upstream_connections, 2u + 400u / 30u);
}

// Who keeps a call open on each connection and resets others: beyond some no further connection is made for that.
TEST_F(UpstreamResets, ConnectionsThatDrainAreBounded) {
  constexpr uint64_t kDraining = 8;
  for (uint32_t round = 0; round < 3 * kDraining; ++round) {
    attacker.peer->send_request(grpc_request(), grpc_message(1), true);
    reset(kBudget * 3 / 4);
    rig.pass(20 * base::kMillisecond_ns);
    reset(1);
    ASSERT_LE(connections(), 2 + kDraining);
    ASSERT_GE(connections(), std::min<uint64_t>(2 + round, 1 + kDraining));
  }
  EXPECT_EQ(replaced(), kDraining);
  // What cannot be said of resets counts as open, up to a number; then calls go on a connection that is made for them.
  reset(1000);
  EXPECT_LE(connections(), 3 + kDraining + 1000 / 256);
  EXPECT_EQ(replaced(), kDraining);
  // One that drains ends: the worn one is replaced.
  const auto draining = std::ranges::find_if(rig.links, [](const Link& link) { return !link.endpoint.empty(); });
  for (const int32_t id : Rig::calls(*draining)) draining->peer->send_response(id, kGrpcResponse, "", kGrpcOk);
  rig.run();
  EXPECT_TRUE(draining->is_gone);
  reset(kBudget * 3 / 4);
  rig.pass(20 * base::kMillisecond_ns);
  reset(1);
  EXPECT_EQ(replaced(), kDraining + 1);
  EXPECT_EQ(serve_one(), "0");
}

class ToleratedResets : public UpstreamResets {
 protected:
  ToleratedResets() : UpstreamResets(500) {}

  void go_away(uint32_t code) {
    nghttp2_submit_goaway(rig.upstream(0).peer->session(), NGHTTP2_FLAG_NONE, 0x7fffffff, code, nullptr, 0);
    rig.run();
  }
};

// An endpoint that has had enough earlier than was thought is not to blame: there is no pause, however often it says
// so.
TEST_F(ToleratedResets, AGoawayForThemIsFollowedByAConnectionAtOnce) {
  for (int round = 0; round < 30; ++round) {
    reset(30);
    go_away(NGHTTP2_ENHANCE_YOUR_CALM);
    ASSERT_EQ(serve_one(), "0") << round;
  }
}

TEST_F(ToleratedResets, AGoawayWithoutManyOfThemIsNot) {
  uint32_t served = 0;
  for (int round = 0; round < 30; ++round) {
    if (rig.has_upstream(0)) {
      reset(2);
      go_away(NGHTTP2_INTERNAL_ERROR);
    }
    served += serve_one() == "0" ? 1 : 0;
  }
  EXPECT_GE(served, 10u);
  EXPECT_LE(served, 12u);
}

TEST_F(ToleratedResets, AreLearntFromAGoaway) {
  reset(200);
  EXPECT_EQ(connections(), 1u);
  go_away(NGHTTP2_ENHANCE_YOUR_CALM);
  EXPECT_EQ(connections(), 2u);
  reset(74);
  EXPECT_EQ(connections(), 2u);
  reset(1);
  EXPECT_EQ(connections(), 3u) << "three quarters of half of what was too much";
}

// An hour without a connection that is worn, and as much is allowed as before.
TEST_F(ToleratedResets, WhatWasLearntIsForgotten) {
  constexpr uint64_t kMinute_ns = 60 * base::kSecond_ns;
  reset(200);
  go_away(NGHTTP2_ENHANCE_YOUR_CALM);
  rig.pass(50 * kMinute_ns, kMinute_ns);
  reset(75);
  EXPECT_EQ(connections(), 3u) << "not yet";
  rig.pass(50 * kMinute_ns, kMinute_ns);
  reset(75);
  EXPECT_EQ(connections(), 4u) << "an hour since the last time";
  rig.pass(61 * kMinute_ns, kMinute_ns);
  reset(374);
  EXPECT_EQ(connections(), 4u);
  reset(1);
  EXPECT_EQ(connections(), 5u);
}

TEST_F(ToleratedResets, AreNotLearntFromAGoawayWithoutAnError) {
  reset(200);
  go_away(NGHTTP2_NO_ERROR);
  reset(300);
  EXPECT_EQ(connections(), 2u);
}

// Clients that come and go to have more than limits.early_resets.
class Reconnecting : public testing::Test {
 protected:
  static constexpr uint32_t kAllowed = 40;  // an eighth: 5; 4 come back in a second

  static config::Snapshot snapshot() {
    config::Snapshot made = Rig::plain_snapshot(1);
    made.limits.early_resets = kAllowed;
    return made;
  }
  // How many calls a new client resets until it is sent away, or has done `most`; then it leaves.
  uint32_t resets_of(std::string_view address, uint32_t most = 1000) {
    Link& client = *rig.add_raw_client(address);
    rig.say(client, std::string(h2::kPreface) + wire::settings() + wire::settings_ack());
    uint32_t count = 0;
    for (; count < most && !client.is_gone; ++count) {
      const uint32_t id = 2 * count + 1;
      rig.say(client, wire::headers(id, wire::request_block(), false) + wire::rst_stream(id, h2::ErrorCode::kCancel));
    }
    if (client.is_gone) return count - 1;
    rig.lose(client, 0);
    return count;
  }

  Rig rig{snapshot()};
};

TEST_F(Reconnecting, BringsNoNewAllowance) {
  EXPECT_EQ(resets_of("192.0.2.7:40000"), kAllowed);
  EXPECT_EQ(resets_of("192.0.2.7:40001"), kAllowed / 8);
  EXPECT_EQ(resets_of("[::ffff:192.0.2.7]:40001"), kAllowed / 8) << "the same, as a listener of both kinds names it";
  EXPECT_EQ(resets_of("192.0.2.8:40000"), kAllowed) << "somebody else";
  rig.pass(5 * base::kSecond_ns, base::kSecond_ns);
  EXPECT_EQ(resets_of("192.0.2.7:40002"), kAllowed / 2);
  rig.pass(10 * base::kSecond_ns, base::kSecond_ns);
  EXPECT_EQ(resets_of("192.0.2.7:40003"), kAllowed);
}

TEST_F(Reconnecting, BeforeTheLimitIsMetEither) {
  for (int i = 0; i < 3; ++i) EXPECT_EQ(resets_of("192.0.2.7:40000", 10), 10u);
  EXPECT_EQ(resets_of("192.0.2.7:40000"), kAllowed - 30);
}

TEST_F(Reconnecting, FromANetworkOfIpv6) {
  EXPECT_EQ(resets_of("[2001:db8:0:7::1]:40000"), kAllowed);
  EXPECT_EQ(resets_of("[2001:db8:0:7:ffff::2]:40000"), kAllowed / 8);
  EXPECT_EQ(resets_of("[2001:db8:0:8::1]:40000"), kAllowed);
}

}  // namespace
}  // namespace ringway::proxy
