// A connection that has used its last stream id takes no more calls: another follows it, it closes behind its last
// stream, and no call notices.
#include <gtest/gtest.h>

#include <cerrno>
#include <memory>

#include "base/prng.h"
#include "proxy/h2_limits.h"
#include "rig.h"

namespace ringway::proxy {
namespace {

// Connects to the endpoint on a connection whose ids begin so late that it has only `ids` of them.
void connect_late(Rig& rig, base::Handle<Connection> handle, uint32_t ids) {
  Connection& connection = *rig.proxy->connections().find(handle);
  h2::Limits late = h2_limits(rig.snapshot.limits, h2::Role::kClient);
  late.first_stream_id = h2::kStreamIdMax - 2 * (ids - 1);
  std::destroy_at(&connection.h2);
  std::construct_at(&connection.h2, h2::Role::kClient, late, rig.proxy->memory(), handle.index);
  rig.connect(handle);
}

// One endpoint and one client; every connection to the endpoint is made by the test.
class StreamIds : public testing::Test {
 protected:
  explicit StreamIds(const config::Snapshot& snapshot = Rig::plain_snapshot(1))
      : rig(snapshot), client(rig.add_client()) {
    rig.connects = false;
  }

  int32_t call(std::string_view body = "call") {
    const int32_t id = client.peer->send_request(grpc_request(), std::string(body), true);
    rig.run();
    return id;
  }
  // The next connection that is asked for has that many ids.
  Link& connect(uint32_t ids) {
    const auto handle = rig.wanted.at(0);
    rig.wanted.erase(rig.wanted.begin());
    connect_late(rig, handle, ids);
    rig.run();
    return rig.links.back();
  }
  void answer(Link& upstream, int32_t id) {
    upstream.peer->send_response(id, kGrpcResponse, grpc_message(5), kGrpcOk);
    rig.run();
  }
  std::string status_of(int32_t id) const {
    const auto found = client.peer->messages.find(id);
    if (found == client.peer->messages.end()) return "(none)";
    const auto& answer = found->second;
    return value_of(answer.trailers.empty() ? answer.headers : answer.trailers, "grpc-status");
  }

  Rig rig;
  Link& client;
};

constexpr int32_t kLastId = INT32_MAX;

TEST_F(StreamIds, CallsBeforeAcrossAndAfterTheLastIdSucceed) {
  const int32_t before = call("before");
  Link& old = connect(3);
  answer(old, kLastId - 4);
  EXPECT_EQ(status_of(before), "0");
  const int32_t across = call("across");
  EXPECT_TRUE(rig.wanted.empty()) << "there is an id left";
  const int32_t last = call("last");
  ASSERT_EQ(Rig::calls(old), (std::vector<int32_t>{kLastId - 2, kLastId}));
  ASSERT_EQ(rig.wanted.size(), 1u) << "the next connection is made at once";
  const int32_t waiting = call("waiting");
  EXPECT_EQ(rig.wanted.size(), 1u);
  Link& next = connect(100);
  const int32_t after = call("after");
  ASSERT_EQ(Rig::calls(next).size(), 2u);
  const int32_t first_id = Rig::calls(next)[0];
  EXPECT_EQ(next.peer->messages.at(first_id).body, "waiting");
  EXPECT_EQ(next.peer->messages.at(first_id + 2).body, "after");

  answer(next, first_id);
  answer(old, kLastId);
  EXPECT_FALSE(old.is_gone) << "one of its calls goes on";
  answer(old, kLastId - 2);
  EXPECT_TRUE(old.is_gone);
  answer(next, first_id + 2);
  EXPECT_FALSE(next.is_gone);
  for (const int32_t id : {across, last, waiting, after}) EXPECT_EQ(status_of(id), "0") << id;
  EXPECT_EQ(rig.proxy->counters().responses, 5u);
  EXPECT_EQ(rig.proxy->counters().upstream_connections, 2u);
  EXPECT_EQ(rig.proxy->counters().retries, 0u);
  EXPECT_EQ(rig.proxy->exchanges().live_count(), 0u);
  EXPECT_EQ(rig.proxy->connections().live_count(), 2u) << "the client's and the new one";
}

TEST_F(StreamIds, AnUploadOnTheLastIdGoesOn) {
  Flow& request = rig.open_request(client, grpc_request());
  rig.send(request, "first,");
  rig.run();
  Link& old = connect(1);
  rig.send(request, "second,");
  rig.run();
  EXPECT_FALSE(old.is_gone);
  rig.send(request, "third", true);
  rig.run();
  EXPECT_EQ(old.peer->messages.at(kLastId).body, "first,second,third");
  answer(old, kLastId);
  EXPECT_EQ(status_of(request.id), "0");
  EXPECT_TRUE(old.is_gone);
}

// The endpoint grants one stream, so that calls wait for a stream and not for a connection.
TEST_F(StreamIds, CallsThatWaitForAStreamMoveOnToTheNextConnection) {
  rig.endpoint_options.settings = {{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 1}};
  std::vector<int32_t> ids = {call("0")};
  Link& old = connect(2);
  ids.push_back(call("1"));
  ids.push_back(call("2"));
  // A second connection is wanted because the first is full; it never comes about.
  ASSERT_EQ(rig.wanted.size(), 1u);
  rig.refuse(rig.wanted[0]);
  rig.wanted.clear();
  rig.run();
  answer(old, kLastId - 2);
  ASSERT_EQ(Rig::calls(old), (std::vector<int32_t>{kLastId}));
  ASSERT_EQ(rig.wanted.size(), 1u) << "the last id is gone and a call waits";
  Link& next = connect(10);
  ASSERT_EQ(Rig::calls(next).size(), 1u);
  answer(next, Rig::calls(next)[0]);
  answer(old, kLastId);
  EXPECT_TRUE(old.is_gone);
  for (const int32_t id : ids) EXPECT_EQ(status_of(id), "0") << id;
}

// The connection whose ids are used up is none to wait for.
TEST_F(StreamIds, WithoutAnotherConnectionCallsAreToldAndDoNotWait) {
  const int32_t last = call("last");
  Link& old = connect(1);
  const int32_t waiting = call("waiting");
  ASSERT_EQ(rig.wanted.size(), 1u);
  rig.refuse(rig.wanted[0]);
  rig.wanted.clear();
  rig.run();
  EXPECT_EQ(status_of(waiting), "14");
  EXPECT_FALSE(old.is_gone);
  answer(old, kLastId);
  EXPECT_EQ(status_of(last), "0");
  EXPECT_TRUE(old.is_gone);
}

TEST_F(StreamIds, ARefusedCallOnTheLastIdIsSentOnTheNextConnection) {
  const int32_t id = call("again");
  Link& old = connect(1);
  nghttp2_submit_rst_stream(old.peer->session(), NGHTTP2_FLAG_NONE, kLastId, NGHTTP2_REFUSED_STREAM);
  rig.run();
  EXPECT_TRUE(old.is_gone);
  Link& next = connect(10);
  ASSERT_EQ(Rig::calls(next).size(), 1u);
  EXPECT_EQ(next.peer->messages.at(Rig::calls(next)[0]).body, "again");
  answer(next, Rig::calls(next)[0]);
  EXPECT_EQ(status_of(id), "0");
  EXPECT_EQ(rig.proxy->counters().retries, 1u);
}

TEST_F(StreamIds, AnOldConnectionThatIsLostTakesOnlyItsOwnCallsAlong) {
  const int32_t doomed = call("doomed");
  Link& old = connect(1);
  Link& next = connect(10);
  const int32_t spared = call("spared");
  rig.lose(old, ECONNRESET);
  rig.run();
  EXPECT_EQ(status_of(doomed), "14");
  EXPECT_TRUE(rig.wanted.empty());
  ASSERT_EQ(Rig::calls(next).size(), 1u);
  answer(next, Rig::calls(next)[0]);
  EXPECT_EQ(status_of(spared), "0");
}

class StreamIdsOfTwo : public StreamIds {
 protected:
  static config::Snapshot two_connections() {
    config::Snapshot snapshot = Rig::plain_snapshot(1);
    snapshot.clusters[0].connections_per_shard = 2;
    return snapshot;
  }
  StreamIdsOfTwo() : StreamIds(two_connections()) {}
};

TEST_F(StreamIdsOfTwo, TheNumberOfConnectionsStays) {
  std::vector<int32_t> ids = {call()};
  ASSERT_EQ(rig.wanted.size(), 2u);
  connect(3);
  connect(1000);
  // The calls of a turn all take the same connection; turns take turns.
  for (int round = 0; round < 20 && rig.wanted.empty(); ++round) {
    ids.push_back(call());
    rig.turn();
  }
  ASSERT_EQ(rig.wanted.size(), 1u) << "for the one whose ids are used up";
  connect(1000);
  for (Link& link : rig.links) {
    if (link.endpoint.empty()) continue;
    for (const int32_t id : Rig::calls(link)) answer(link, id);
  }
  for (const int32_t id : ids) EXPECT_EQ(status_of(id), "0") << id;
  EXPECT_EQ(rig.proxy->connections().live_count(), 3u) << "the client's and two to the endpoint";
}

// Connections of a few ids each, calls that overlap and end in any order.
TEST_F(StreamIds, ManyRotationsLoseNoCall) {
  base::Prng prng(20'240'607);
  std::vector<int32_t> ids;
  size_t most_connections = 0;
  const auto connect_wanted = [&] {
    while (!rig.wanted.empty()) connect(1 + static_cast<uint32_t>(prng.below(4)));
  };
  const auto answer_some = [&](bool all) {
    for (size_t i = 0; i < rig.links.size(); ++i) {
      Link& link = rig.links[i];
      if (link.endpoint.empty() || link.is_gone) continue;
      for (const int32_t id : Rig::calls(link)) {
        if (!all && prng.below(2) == 0) continue;
        answer(link, id);
        connect_wanted();
      }
    }
  };
  for (int round = 0; round < 150; ++round) {
    ids.push_back(call());
    connect_wanted();
    answer_some(false);
    most_connections = std::max<size_t>(most_connections, rig.proxy->connections().live_count());
  }
  answer_some(true);
  for (const int32_t id : ids) EXPECT_EQ(status_of(id), "0") << id;
  EXPECT_EQ(rig.proxy->counters().responses, ids.size());
  EXPECT_GE(rig.proxy->counters().upstream_connections, ids.size() / 4);
  EXPECT_LT(most_connections, 30u) << "old connections go";
  EXPECT_LE(rig.proxy->connections().live_count(), 2u);
  EXPECT_EQ(rig.proxy->exchanges().live_count(), 0u);
}

}  // namespace
}  // namespace ringway::proxy
