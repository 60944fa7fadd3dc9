// Endpoints that lose their connections: how they are replaced, how often, and where calls go meanwhile.
#include <gtest/gtest.h>

#include <cerrno>

#include "rig.h"

namespace ringway::proxy {
namespace {

constexpr uint8_t kHeaders = 1;

std::vector<Link*> open_links(Rig& rig, std::string_view endpoint) {
  std::vector<Link*> found;
  for (Link& link : rig.links) {
    if (link.endpoint == endpoint && !link.is_gone) found.push_back(&link);
  }
  return found;
}

// Three connections an endpoint are configured, and made with the first call.
class ConnectionsPerShard : public testing::Test {
 protected:
  static config::Snapshot three() {
    config::Snapshot snapshot = Rig::plain_snapshot(1);
    snapshot.clusters[0].connections_per_shard = 3;
    return snapshot;
  }

  ConnectionsPerShard() : client(rig.add_client()) {
    client.peer->send_request(grpc_request(), grpc_message(3), true);
    rig.run();
  }
  std::vector<Link*> links() { return open_links(rig, "127.0.0.1:1001"); }

  Rig rig{three()};
  Link& client;
};

TEST_F(ConnectionsPerShard, OneThatIsLostIsReplacedAtOnce) {
  ASSERT_EQ(links().size(), 3u);
  rig.lose(*links()[1], ECONNRESET);
  rig.run();
  EXPECT_EQ(links().size(), 3u);
  EXPECT_EQ(rig.proxy->counters().upstream_connections, 4u);
}

TEST_F(ConnectionsPerShard, OneThatGoesAwayIsReplacedAtOnce) {
  Link& going = *links()[0];
  nghttp2_submit_goaway(going.peer->session(), NGHTTP2_FLAG_NONE, 0, NGHTTP2_NO_ERROR, nullptr, 0);
  rig.run();
  EXPECT_TRUE(going.is_gone);
  EXPECT_EQ(links().size(), 3u);
}

TEST_F(ConnectionsPerShard, SeveralThatAreLostAreReplacedOneByOneAfterARefusal) {
  rig.connects = false;
  rig.lose(*links()[2], ECONNRESET);
  ASSERT_EQ(rig.wanted.size(), 1u);
  rig.lose(*links()[1], ECONNRESET);
  rig.run();
  ASSERT_EQ(rig.wanted.size(), 2u);
  for (const auto handle : std::exchange(rig.wanted, {})) rig.refuse(handle);
  rig.run();
  EXPECT_TRUE(rig.wanted.empty());
  rig.pass(150 * base::kMillisecond_ns);
  ASSERT_EQ(rig.wanted.size(), 1u) << "a trial is one connection";
  rig.connects = true;
  rig.connect(std::exchange(rig.wanted, {})[0]);
  rig.run();
  EXPECT_EQ(links().size(), 3u) << "the trial has succeeded, and the rest follows";
}

// Two endpoints, each with a connection; those that the proxy asks for from now on are made by the test.
class DeadEndpoint : public testing::Test {
 protected:
  DeadEndpoint() : client(rig.add_client()) {
    call(2);
    rig.answer(0);
    rig.answer(1);
    rig.connects = false;
  }

  std::vector<int32_t> call(int count) {
    std::vector<int32_t> ids;
    for (int i = 0; i < count; ++i) ids.push_back(client.peer->send_request(grpc_request(), grpc_message(3), true));
    rig.run();
    return ids;
  }
  std::string status_of(int32_t id) {
    const auto& answer = client.peer->messages[id];
    return value_of(answer.trailers.empty() ? answer.headers : answer.trailers, "grpc-status");
  }

  Rig rig;
  Link& client;
};

TEST_F(DeadEndpoint, IsMetByNoLaterCall) {
  const std::vector<int32_t> in_flight = call(2);
  rig.lose(rig.upstream(0), ECONNRESET);
  rig.run();
  EXPECT_EQ(status_of(in_flight[0]), "14");
  EXPECT_EQ(rig.wanted.size(), 1u) << "a connection is tried without a call";
  // While that takes its time, after it has failed, and while it is tried again.
  call(4);
  rig.refuse(std::exchange(rig.wanted, {})[0]);
  call(4);
  rig.pass(100 * base::kMillisecond_ns);
  ASSERT_EQ(rig.wanted.size(), 1u);
  call(4);
  EXPECT_EQ(Rig::calls(rig.upstream(1)).size(), 13u);
  rig.answer(1);
  EXPECT_EQ(status_of(in_flight[1]), "0");
  EXPECT_EQ(rig.proxy->counters().responses, 16u);
  EXPECT_EQ(rig.proxy->counters().retries, 0u);
}

TEST_F(DeadEndpoint, TakesCallsAgainOnceItIsBack) {
  rig.lose(rig.upstream(0), ECONNRESET);
  rig.run();
  rig.connect(std::exchange(rig.wanted, {})[0]);
  rig.run();
  call(4);
  EXPECT_EQ(Rig::calls(rig.upstream(0)).size(), 2u);
  EXPECT_EQ(Rig::calls(rig.upstream(1)).size(), 2u);
}

TEST_F(DeadEndpoint, TrialsBackOffToTwoSeconds) {
  rig.lose(rig.upstream(0), ECONNRESET);
  rig.run();
  std::vector<uint64_t> pauses_ms;
  uint64_t before_ns = rig.now_ns;
  while (pauses_ms.size() < 10) {
    if (rig.wanted.empty()) {
      rig.pass(base::kMillisecond_ns);
      continue;
    }
    pauses_ms.push_back((rig.now_ns - before_ns) / base::kMillisecond_ns);
    before_ns = rig.now_ns;
    rig.refuse(std::exchange(rig.wanted, {})[0]);
  }
  EXPECT_EQ(pauses_ms[0], 0u);
  uint64_t backoff_ms = 50;
  for (size_t i = 1; i < pauses_ms.size(); ++i) {
    EXPECT_GE(pauses_ms[i], backoff_ms * 8 / 10) << i;
    EXPECT_LE(pauses_ms[i], backoff_ms * 12 / 10 + 2) << i;
    backoff_ms = std::min<uint64_t>(backoff_ms * 2, 2000);
  }
}

TEST_F(DeadEndpoint, WhereAllAreDeadTheCallWaitsForATrialOnItsWay) {
  rig.lose(rig.upstream(0), ECONNRESET);
  rig.lose(rig.upstream(1), ECONNRESET);
  rig.run();
  const int32_t id = call(1)[0];
  EXPECT_FALSE(client.peer->messages[id].has_headers);
  for (const auto handle : std::exchange(rig.wanted, {})) rig.connect(handle);
  rig.run();
  EXPECT_EQ(Rig::calls(rig.upstream(0)).size() + Rig::calls(rig.upstream(1)).size(), 1u);
}

// An endpoint that stays away for long is tried again and again; the log names it when that begins, when the reason
// changes and when it is over.
TEST(EndpointLoss, IsLoggedOnceAndNotWithEachTrial) {
  auto bell = std::move(*io::Doorbell::create());
  LogPort log(*bell, config::LogLevel::kInfo, 0);
  const auto logged = [&log] {
    std::vector<std::string> texts;
    while (const auto event = log.next_event()) texts.emplace_back(event->view());
    return texts;
  };
  Rig rig(Rig::plain_snapshot(1), &log);
  rig.connects = false;
  Link& client = rig.add_client();
  client.peer->send_request(grpc_request(), grpc_message(3), true);
  rig.run();
  for (int trial = 0; trial < 5; ++trial) {
    ASSERT_EQ(rig.wanted.size(), 1u);
    rig.refuse(std::exchange(rig.wanted, {})[0]);
    rig.pass(2'500 * base::kMillisecond_ns, 10 * base::kMillisecond_ns);
  }
  EXPECT_EQ(logged(),
            (std::vector<std::string>{"cluster shop: connect failed: endpoint 127.0.0.1:1001: connection refused"}));
  for (int trial = 0; trial < 3; ++trial) {
    rig.connect(std::exchange(rig.wanted, {})[0]);
    Link& link = rig.links.back();
    rig.proxy->receive(*rig.proxy->connections().find(link.handle), h2::octets_of(std::string(9, 'x')), rig.now_ns);
    rig.pass(2'500 * base::kMillisecond_ns, 10 * base::kMillisecond_ns);
  }
  EXPECT_EQ(logged().size(), 1u) << "for another reason";
  rig.connect(std::exchange(rig.wanted, {})[0]);
  rig.run();
  EXPECT_EQ(logged(),
            (std::vector<std::string>{"cluster shop: endpoint 127.0.0.1:1001 is back after 8 failed connects"}));
}

// The calls that wait for a stream of an endpoint were sent nowhere: its loss sends them to another.
TEST(EndpointLoss, CallsThatWaitGoElsewhereAtOnce) {
  Rig rig;
  rig.endpoint_options.settings = {{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 1}};
  Link& client = rig.add_client();
  for (int i = 0; i < 2; ++i) client.peer->send_request(grpc_request(), grpc_message(3), true);
  rig.run();
  rig.connects = false;
  // One waits for each endpoint.
  const int32_t waiting = client.peer->send_request(grpc_request(), grpc_message(3), true);
  client.peer->send_request(grpc_request(), grpc_message(3), true);
  rig.run();
  ASSERT_EQ(rig.wanted.size(), 2u);
  for (const auto handle : std::exchange(rig.wanted, {})) rig.refuse(handle);
  rig.lose(rig.upstream(0), ECONNRESET);
  rig.run();
  for (const int32_t answered : {1, 3, 5}) {
    ASSERT_EQ(Rig::calls(rig.upstream(1)), (std::vector<int32_t>{answered}));
    rig.upstream(1).peer->send_response(answered, kGrpcResponse, grpc_message(1), kGrpcOk);
    rig.run();
  }
  EXPECT_EQ(value_of(client.peer->messages[waiting].trailers, "grpc-status"), "0");
}

// What lay in the output when the connection broke has reached nobody.
TEST(EndpointLoss, CallsThatHaveNotLeftGoElsewhere) {
  Rig rig;
  Link& client = rig.add_client();
  for (int i = 0; i < 2; ++i) client.peer->send_request(grpc_request(), grpc_message(3), true);
  rig.run();
  Link& first = rig.upstream(0);
  ASSERT_EQ(first.of_type(kHeaders).size(), 1u);
  rig.proxy->connections().find(first.handle)->is_socket_writable = false;
  const int32_t unsent = client.peer->send_request(grpc_request(), grpc_message(7), true);
  rig.run();
  ASSERT_EQ(first.of_type(kHeaders).size(), 1u);
  rig.lose(first, ECONNRESET);
  rig.run();
  EXPECT_EQ(value_of(client.peer->messages[1].headers, "grpc-status"), "14") << "it had left";
  ASSERT_EQ(Rig::calls(rig.upstream(1)), (std::vector<int32_t>{1, 3}));
  EXPECT_EQ(rig.upstream(1).peer->messages.at(3).body, grpc_message(7));
  EXPECT_FALSE(client.peer->messages[unsent].has_headers);
  EXPECT_EQ(rig.proxy->counters().retries, 1u);
}

// An endpoint that ends every connection with the first call on it: GOAWAY, the answer, the end.
class GoawayStorm : public testing::Test {
 protected:
  GoawayStorm() : client(rig.add_client()) {}

  // A call every 10 ms while `duration_ns` passes.
  void storm(uint64_t duration_ns) {
    for (const uint64_t end_ns = rig.now_ns + duration_ns; rig.now_ns < end_ns;) {
      client.peer->send_request(grpc_request("/shop.Cart/Add", {{"grpc-timeout", "5S"}}), grpc_message(3), true);
      rig.pass(10 * base::kMillisecond_ns);
      for (size_t i = 0; i < rig.links.size(); ++i) answer_and_go(rig.links[i]);
      rig.run();
    }
  }
  static void answer_and_go(Link& link) {
    if (link.endpoint.empty() || link.is_gone) return;
    for (const int32_t id : Rig::calls(link)) {
      if (id != 1) continue;
      nghttp2_submit_goaway(link.peer->session(), NGHTTP2_FLAG_NONE, 1, NGHTTP2_NO_ERROR, nullptr, 0);
      link.peer->send_response(id, kGrpcResponse, grpc_message(1), kGrpcOk);
    }
  }
  uint64_t connections() const { return rig.proxy->counters().upstream_connections; }

  Rig rig{Rig::plain_snapshot(1)};
  Link& client;
};

TEST_F(GoawayStorm, NewConnectionsAreFew) {
  storm(2 * base::kSecond_ns);
  // Ten at once, then with pauses of 50, 100, … ms.
  EXPECT_GE(connections(), 12u);
  EXPECT_LE(connections(), 18u);
  const uint64_t before = connections();
  storm(20 * base::kSecond_ns);
  EXPECT_GE(connections() - before, 8u);
  EXPECT_LE(connections() - before, 20u) << "the pause is two seconds by now, a fifth more or less";
  std::map<std::string, int> statuses;
  for (const auto& [id, message] : client.peer->messages) {
    if (!message.is_closed) continue;
    EXPECT_TRUE(message.has_ended) << id;
    ++statuses[value_of(message.trailers.empty() ? message.headers : message.trailers, "grpc-status")];
  }
  EXPECT_GE(statuses["0"], 20);
  statuses.erase("0");
  statuses.erase("4");
  statuses.erase("14");
  EXPECT_TRUE(statuses.empty()) << statuses.begin()->first;
}

TEST_F(GoawayStorm, IsForgottenAfterAConnectionThatLasts) {
  storm(2 * base::kSecond_ns);
  const auto none_stays = [this] { return !rig.has_upstream(0); };
  // Nobody ends the next one for longer than a second.
  for (int i = 0; i < 50 && none_stays(); ++i) rig.pass(100 * base::kMillisecond_ns);
  rig.pass(1'100 * base::kMillisecond_ns);
  ASSERT_TRUE(rig.has_upstream(0));
  const uint64_t before = connections();
  for (int i = 0; i < 8; ++i) {
    nghttp2_submit_goaway(rig.upstream(0).peer->session(), NGHTTP2_FLAG_NONE, 0, NGHTTP2_NO_ERROR, nullptr, 0);
    rig.run();
  }
  EXPECT_EQ(connections(), before + 8) << "without a pause";
}

}  // namespace
}  // namespace ringway::proxy
