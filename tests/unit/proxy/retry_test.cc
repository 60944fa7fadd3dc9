// A further attempt is made once, on another endpoint, and only for calls that provably nobody has begun.
#include <gtest/gtest.h>

#include "rig.h"

namespace ringway::proxy {
namespace {

constexpr uint8_t kRst = 3;

void refuse_stream(Link& upstream, int32_t id, uint32_t code = NGHTTP2_REFUSED_STREAM) {
  nghttp2_submit_rst_stream(upstream.peer->session(), NGHTTP2_FLAG_NONE, id, code);
}

TEST(Retry, ARefusedCallGoesToAnotherEndpointWithItsBody) {
  Rig rig;
  Link& client = rig.add_client();
  std::string body;
  for (int i = 0; i < 40; ++i) body += grpc_message(static_cast<size_t>(i) * 50, static_cast<char>('a' + i % 26));
  const PlainList headers = grpc_request("/shop.Cart/Add", {{"x-tenant", "blue"}, {"authorization", "secret", true}});
  const PlainList trailers = {{"x-checksum", "123"}};
  const int32_t id = client.peer->send_request(headers, body, true, trailers);
  rig.run();
  Link& first = rig.upstream(0);
  ASSERT_EQ(Rig::calls(first).size(), 1u);
  refuse_stream(first, 1);
  rig.run();
  Link& second = rig.upstream(1);
  ASSERT_EQ(Rig::calls(second).size(), 1u);
  const auto& replayed = second.peer->messages.at(1);
  EXPECT_EQ(replayed.headers, headers);
  EXPECT_EQ(replayed.body, body);
  EXPECT_EQ(replayed.trailers, trailers);
  EXPECT_TRUE(replayed.has_ended);
  second.peer->send_response(1, kGrpcResponse, grpc_message(3), kGrpcOk);
  rig.run();
  EXPECT_EQ(value_of(client.peer->messages.at(id).trailers, "grpc-status"), "0");
  EXPECT_EQ(rig.proxy->counters().retries, 1u);
  EXPECT_EQ(rig.proxy->counters().requests, 1u);
}

// Calls of one client begin with the same fields. These are shared, what varies is each call's own: both are there for
// a second attempt.
TEST(Retry, WhatVariesFromCallToCallIsSentAgain) {
  Rig rig;
  Link& client = rig.add_client();
  for (int call = 0; call < 8; ++call) {
    const std::string number = std::to_string(call);
    const PlainList headers =
        grpc_request("/shop.Cart/Add", {{"grpc-timeout", "5" + number + "S"},
                                        {"x-own", "a value of call number " + number},
                                        {"x-tenant", "blue"},
                                        {"authorization", "Bearer token-of-call-" + number, true}});
    client.peer->send_request(headers, grpc_message(3), true);
    rig.run();
    for (int attempt = 0; attempt < 2; ++attempt) {
      const uint32_t endpoint = rig.has_upstream(0) && !Rig::calls(rig.upstream(0)).empty() ? 0 : 1;
      Link& upstream = rig.upstream(endpoint);
      ASSERT_EQ(Rig::calls(upstream).size(), 1u) << call << " attempt " << attempt;
      const int32_t id = Rig::calls(upstream)[0];
      PlainList expected = headers;
      for (PlainField& field : expected) {
        // A second later, with what is left.
        if (attempt == 1 && field.name == "grpc-timeout") field.value = std::to_string(49 + call) + "000000u";
      }
      EXPECT_EQ(upstream.peer->messages.at(id).headers, expected) << call << " attempt " << attempt;
      if (attempt == 0) {
        rig.pass(base::kSecond_ns, base::kSecond_ns / 4);
        refuse_stream(upstream, id);
      } else {
        upstream.peer->send_response(id, kGrpcResponse, grpc_message(3), kGrpcOk);
      }
      rig.run();
    }
  }
  EXPECT_EQ(rig.proxy->counters().retries, 8u);
}

TEST(Retry, AnUploadThatGoesOnIsJoinedWithoutAGap) {
  Rig rig;
  Link& client = rig.add_client();
  Flow& request = rig.open_request(client, grpc_request());
  rig.send(request, "first,");
  rig.run();
  refuse_stream(rig.upstream(0), 1);
  rig.connects = false;
  rig.run();
  rig.send(request, "second,");
  rig.run();
  ASSERT_EQ(rig.wanted.size(), 1u);
  rig.connect(rig.wanted[0]);
  rig.send(request, "third", true);
  rig.run();
  const auto& replayed = rig.upstream(1).peer->messages.at(1);
  EXPECT_EQ(replayed.body, "first,second,third");
  EXPECT_TRUE(replayed.has_ended);
}

TEST(Retry, OnlyOnce) {
  Rig rig;
  Link& client = rig.add_client();
  const int32_t id = client.peer->send_request(grpc_request(), grpc_message(3), true);
  rig.run();
  refuse_stream(rig.upstream(0), 1);
  rig.run();
  refuse_stream(rig.upstream(1), 1);
  rig.run();
  EXPECT_TRUE(client.peer->messages.at(id).is_closed);
  EXPECT_EQ(value_of(client.peer->messages.at(id).headers, "grpc-status"), "14");
  EXPECT_EQ(value_of(client.peer->messages.at(id).headers, "grpc-message"),
            "endpoint 127.0.0.1:1002 refused the stream, the second that was tried");
  EXPECT_TRUE(client.of_type(kRst).empty());
  EXPECT_EQ(rig.proxy->counters().retries, 1u);
  EXPECT_EQ(rig.proxy->counters().retries_denied, 1u);
  EXPECT_EQ(rig.proxy->counters().local_replies[static_cast<size_t>(LocalReason::kUpstreamRefused)], 1u);
}

// What is told is told in the client's terms, and an upload that goes on is stopped.
TEST(Retry, ARefusalThatStandsIs503WithoutGrpc) {
  Rig rig(Rig::plain_snapshot(1));
  Link& client = rig.add_client();
  Flow& request = rig.open_request(
      client, {{":method", "PUT"}, {":scheme", "http"}, {":path", "/page"}, {":authority", "shop.example"}});
  rig.send(request, "begun");
  rig.run();
  for (const int32_t attempt : {1, 3}) {
    refuse_stream(rig.upstream(0), attempt);
    rig.run();
  }
  const auto& answer = client.peer->messages.at(request.id);
  EXPECT_EQ(value_of(answer.headers, ":status"), "503");
  EXPECT_EQ(answer.body, "endpoint 127.0.0.1:1001 refused the stream, the second that was tried\n");
  ASSERT_EQ(client.of_type(kRst).size(), 1u);
  EXPECT_EQ(client.of_type(kRst)[0].word, uint32_t{NGHTTP2_NO_ERROR});
  EXPECT_EQ(rig.proxy->exchanges().live_count(), 0u);
}

TEST(Retry, OtherResetsAreNotRetried) {
  for (const uint32_t code : {NGHTTP2_CANCEL, NGHTTP2_INTERNAL_ERROR, NGHTTP2_ENHANCE_YOUR_CALM}) {
    Rig rig;
    Link& client = rig.add_client();
    const int32_t id = client.peer->send_request(grpc_request(), grpc_message(3), true);
    rig.run();
    refuse_stream(rig.upstream(0), 1, code);
    rig.run();
    EXPECT_EQ(client.peer->messages.at(id).close_code, code);
    EXPECT_FALSE(rig.has_upstream(1));
    EXPECT_EQ(rig.proxy->counters().retries, 0u);
  }
}

TEST(Retry, ACallAboveTheLastIdOfAGoawayIsRetriedAndTheOthersStay) {
  Rig rig;
  Link& client = rig.add_client();
  // Endpoints alternate: the first and third call go to the first endpoint.
  std::vector<int32_t> ids;
  for (const char fill : {'a', 'b', 'c'})
    ids.push_back(client.peer->send_request(grpc_request(), std::string(9, fill), true));
  rig.run();
  Link& first = rig.upstream(0);
  Link& second = rig.upstream(1);
  ASSERT_EQ(Rig::calls(first), (std::vector<int32_t>{1, 3}));
  nghttp2_submit_goaway(first.peer->session(), NGHTTP2_FLAG_NONE, 1, NGHTTP2_NO_ERROR, nullptr, 0);
  rig.run();
  ASSERT_EQ(Rig::calls(second), (std::vector<int32_t>{1, 3}));
  EXPECT_EQ(second.peer->messages.at(3).body, "ccccccccc");
  EXPECT_EQ(rig.proxy->counters().retries, 1u);
  EXPECT_FALSE(first.is_gone) << "the call that it took goes on";
  first.peer->send_response(1, kGrpcResponse, grpc_message(1), kGrpcOk);
  rig.run();
  EXPECT_EQ(value_of(client.peer->messages.at(ids[0]).trailers, "grpc-status"), "0");
  EXPECT_TRUE(first.is_gone) << "and then it is closed";
}

constexpr const char* kTooMuchSent =
    "endpoint 127.0.0.1:1001 refused the stream, and too much was sent to try another (limits.replay)";

class ReplayLimit : public testing::TestWithParam<int> {};

TEST_P(ReplayLimit, HoldsToTheOctet) {
  config::Snapshot snapshot = Rig::plain_snapshot();
  snapshot.limits.replay_bytes = 1000;
  Rig rig(snapshot);
  Link& client = rig.add_client();
  const std::string body(static_cast<size_t>(1000 + GetParam()), 'x');
  const int32_t id = client.peer->send_request(grpc_request(), body, true);
  rig.run();
  refuse_stream(rig.upstream(0), 1);
  rig.run();
  const bool is_within = GetParam() <= 0;
  EXPECT_EQ(rig.has_upstream(1), is_within);
  EXPECT_EQ(rig.proxy->counters().retries, is_within ? 1u : 0u);
  EXPECT_EQ(rig.proxy->counters().retries_denied, is_within ? 0u : 1u);
  if (is_within) {
    EXPECT_EQ(rig.upstream(1).peer->messages.at(1).body, body);
  } else {
    EXPECT_EQ(value_of(client.peer->messages.at(id).headers, "grpc-message"), kTooMuchSent);
  }
}

// Here the body passes through without waiting for a connection first.
TEST_P(ReplayLimit, HoldsOnOpenConnections) {
  config::Snapshot snapshot = Rig::plain_snapshot();
  snapshot.limits.replay_bytes = 1000;
  Rig rig(snapshot);
  Link& client = rig.add_client();
  for (uint32_t endpoint = 0; endpoint < 2; ++endpoint) {
    client.peer->send_request(grpc_request(), "x", true);
    rig.run();
    rig.upstream(endpoint).peer->send_response(1, kGrpcResponse, grpc_message(1), kGrpcOk);
    rig.run();
  }
  const std::string body(static_cast<size_t>(1000 + GetParam()), 'x');
  const int32_t id = client.peer->send_request(grpc_request(), body, true);
  rig.run();
  ASSERT_EQ(Rig::calls(rig.upstream(0)), (std::vector<int32_t>{3}));
  refuse_stream(rig.upstream(0), 3);
  rig.run();
  if (GetParam() <= 0) {
    ASSERT_EQ(Rig::calls(rig.upstream(1)), (std::vector<int32_t>{3}));
    EXPECT_EQ(rig.upstream(1).peer->messages.at(3).body, body);
  } else {
    EXPECT_TRUE(Rig::calls(rig.upstream(1)).empty());
    EXPECT_EQ(value_of(client.peer->messages.at(id).headers, "grpc-message"), kTooMuchSent);
  }
}

INSTANTIATE_TEST_SUITE_P(Around, ReplayLimit, testing::Values(-1, 0, 1));

// Calls of 500 octets each, and room for three of them in the shard's budget, give or take an octet.
class ReplayBudget : public testing::TestWithParam<int> {
 protected:
  static config::Snapshot of(uint64_t bytes) {
    config::Snapshot snapshot = Rig::plain_snapshot();
    snapshot.limits.replay_total_bytes = bytes;
    return snapshot;
  }

  ReplayBudget() : rig(of(static_cast<uint64_t>(1500 + GetParam()))), client(rig.add_client()) {}

  std::vector<int32_t> call(int count) {
    std::vector<int32_t> ids;
    for (int i = 0; i < count; ++i)
      ids.push_back(client.peer->send_request(grpc_request(), std::string(500, 'x'), true));
    rig.run();
    return ids;
  }
  uint64_t over_budget() const { return rig.proxy->limit_hits()[static_cast<size_t>(h2::LimitKind::kReplayTotal)]; }

  Rig rig;
  Link& client;
};

TEST_P(ReplayBudget, HoldsToTheOctet) {
  call(2);
  rig.answer(0);
  rig.answer(1);
  // The budget is free again. The third of these goes to the first endpoint.
  const std::vector<int32_t> ids = call(3);
  ASSERT_EQ(Rig::calls(rig.upstream(0)).size(), 2u);
  const bool is_within = GetParam() >= 0;
  EXPECT_EQ(over_budget(), is_within ? 0u : 1u);
  refuse_stream(rig.upstream(0), Rig::calls(rig.upstream(0)).back());
  rig.run();
  EXPECT_EQ(Rig::calls(rig.upstream(1)).size(), is_within ? 2u : 1u);
  EXPECT_EQ(client.peer->messages[ids[2]].is_closed, !is_within);
  EXPECT_EQ(rig.proxy->counters().retries_denied, is_within ? 0u : 1u);
}

// Calls that wait have their request nowhere else: they keep it, whatever the budget, until they are sent.
TEST_P(ReplayBudget, CostsNoCallThatWaits) {
  rig.connects = false;
  const std::vector<int32_t> ids = call(8);
  EXPECT_EQ(over_budget(), 0u);
  for (const auto handle : std::exchange(rig.wanted, {})) rig.connect(handle);
  rig.run();
  EXPECT_EQ(over_budget(), GetParam() < 0 ? 6u : 5u);
  for (const uint32_t endpoint : {0u, 1u}) {
    for (const int32_t id : Rig::calls(rig.upstream(endpoint))) {
      EXPECT_EQ(rig.upstream(endpoint).peer->messages.at(id).body, std::string(500, 'x'));
    }
    rig.answer(endpoint);
  }
  for (const int32_t id : ids) EXPECT_EQ(value_of(client.peer->messages[id].trailers, "grpc-status"), "0");
}

INSTANTIATE_TEST_SUITE_P(Around, ReplayBudget, testing::Values(-1, 0, 1));

TEST(Retry, NotAfterTheResponseHasBegun) {
  Rig rig;
  Link& client = rig.add_client();
  const int32_t id = client.peer->send_request(grpc_request(), grpc_message(3), true);
  rig.run();
  Link& first = rig.upstream(0);
  Flow& response = rig.open_response(first, 1, kGrpcResponse);
  rig.send(response, grpc_message(3));
  rig.run();
  refuse_stream(first, 1);
  rig.run();
  EXPECT_TRUE(client.peer->messages.at(id).is_closed);
  // REFUSED_STREAM would tell the client that nothing had happened.
  ASSERT_EQ(client.of_type(kRst).size(), 1u);
  EXPECT_EQ(client.of_type(kRst)[0].word, uint32_t{NGHTTP2_INTERNAL_ERROR});
  EXPECT_FALSE(rig.has_upstream(1));
}

TEST(Retry, AFailedConnectSendsWaitingCallsElsewhere) {
  Rig rig;
  rig.connects = false;
  Link& client = rig.add_client();
  const int32_t id = client.peer->send_request(grpc_request(), grpc_message(3), true);
  rig.run();
  ASSERT_EQ(rig.wanted.size(), 1u);
  rig.refuse(rig.wanted[0]);
  rig.run();
  EXPECT_FALSE(client.peer->messages[id].has_headers);
  rig.connect(rig.wanted.back());
  rig.run();
  ASSERT_EQ(Rig::calls(rig.upstream(1)).size(), 1u);
  EXPECT_EQ(rig.proxy->counters().retries, 0u) << "nothing was sent before, so this is no second attempt";
}

TEST(Retry, WithNoEndpointLeftTheCauseIsTold) {
  Rig rig;
  rig.connects = false;
  Link& client = rig.add_client();
  const int32_t id = client.peer->send_request(grpc_request(), grpc_message(3), true);
  rig.run();
  for (int attempt = 0; attempt < 2; ++attempt) {
    ASSERT_FALSE(client.peer->messages[id].has_headers);
    rig.refuse(rig.wanted.back());
    rig.run();
  }
  const PlainList& answer = client.peer->messages.at(id).headers;
  EXPECT_EQ(value_of(answer, ":status"), "200");
  EXPECT_EQ(value_of(answer, "grpc-status"), "14");
  EXPECT_EQ(value_of(answer, "grpc-message"),
            "no endpoint of cluster shop can be reached: endpoint 127.0.0.1:1001: connection refused");
  // Once the back-off (at most 60 ms after a first failure) is over, both are tried again, and a call waits for that.
  rig.wanted.clear();
  rig.pass(61 * base::kMillisecond_ns);
  EXPECT_EQ(rig.wanted.size(), 2u);
  const int32_t next = client.peer->send_request(grpc_request(), grpc_message(3), true);
  rig.run();
  EXPECT_FALSE(client.peer->messages[next].has_headers);
  for (const auto handle : std::exchange(rig.wanted, {})) rig.connect(handle);
  rig.run();
  EXPECT_EQ(Rig::calls(rig.upstream(0)).size() + Rig::calls(rig.upstream(1)).size(), 1u);
  EXPECT_EQ(rig.proxy->counters().connect_failures, 2u);
}

}  // namespace
}  // namespace ringway::proxy
