// A shard as a whole: what it counts, and how several of them share their connections.
#include <gtest/gtest.h>
#include <poll.h>

#include <numeric>

#include "shard_rig.h"

namespace ringway::shard {
namespace {

uint64_t sent_by(const std::deque<Peer>& peers) {
  return std::accumulate(peers.begin(), peers.end(), uint64_t{0},
                         [](uint64_t sum, const Peer& peer) { return sum + peer.sent_bytes; });
}

uint64_t received_by(const std::deque<Peer>& peers) {
  return std::accumulate(peers.begin(), peers.end(), uint64_t{0},
                         [](uint64_t sum, const Peer& peer) { return sum + peer.received_bytes; });
}

// One call on each of so many clients, answered.
void expect_served(ShardRig& rig, size_t clients) {
  std::vector<std::pair<Peer*, int32_t>> calls;
  for (size_t i = 0; i < clients; ++i) {
    Peer& client = rig.add_client();
    calls.emplace_back(&client, ShardRig::call(client));
  }
  ASSERT_TRUE(rig.until("the answers", [&] {
    return std::ranges::all_of(calls, [](const auto& each) { return ShardRig::is_answered(*each.first, each.second); });
  }));
}

TEST(Shard, CountsWhatItDoes) {
  ShardRig rig;
  rig.start();
  Peer& client = rig.add_client();
  for (int i = 0; i < 20; ++i) {
    const std::string body = pattern(static_cast<size_t>(i) * 100);
    const int32_t id = ShardRig::call(client, body);
    ASSERT_TRUE(rig.until("the answer", [&] { return ShardRig::is_answered(client, id, body); }));
  }
  ASSERT_TRUE(rig.drain());
  const ShardCounters& counters = rig.shard().counters();
  EXPECT_EQ(counters.accepts, 1u);
  EXPECT_EQ(counters.accept_pauses, 0u);
  EXPECT_EQ(counters.no_buffers, 0u);
  EXPECT_EQ(counters.short_sends, 0u);
  // A client that goes leaves the last words unread.
  EXPECT_GE(counters.send_bytes, received_by(rig.clients) + received_by(rig.upstreams));
  EXPECT_LE(counters.recv_bytes, sent_by(rig.clients) + sent_by(rig.upstreams));
  EXPECT_GT(counters.recv_bytes, 2u * 19'000) << "the bodies, both ways";
  EXPECT_GE(counters.recvs, 40u);
  EXPECT_GE(counters.sends, 40u) << "each call is a send to either side";
  EXPECT_GE(counters.turns, 40u);
  const io::RingCounters& ring = rig.shard().ring_counters();
  EXPECT_GE(ring.enters, counters.turns);
  EXPECT_EQ(ring.overflows, 0u);
  EXPECT_EQ(ring.submission_full, 0u);
  EXPECT_EQ(rig.shard().proxy().counters().responses, 20u);
  EXPECT_EQ(rig.placement->count(0), 0u);
}

TEST(Shard, SleepsWhenThereIsNothingToDo) {
  ShardRig rig;
  rig.start();
  Peer& client = rig.add_client();
  const int32_t id = ShardRig::call(client);
  ASSERT_TRUE(rig.until("the answer", [&] { return ShardRig::is_answered(client, id); }));
  ASSERT_TRUE(rig.drain());
  EXPECT_LT(rig.shard().counters().turns, 100u) << "a turn without a completion is one too many";
}

TEST(Shard, EndsAtOnceWithoutConnections) {
  ShardRig rig;
  rig.start(2);
  ASSERT_TRUE(rig.drain());
  EXPECT_EQ(rig.shard(0).counters().accepts, 0u);
}

TEST(Shards, BalancedPlacementGivesEachAsMany) {
  ShardRig rig;
  rig.start(2);
  expect_served(rig, 20);
  EXPECT_EQ(rig.placement->count(0), 10u);
  EXPECT_EQ(rig.placement->count(1), 10u);
  ASSERT_TRUE(rig.drain());
  EXPECT_EQ(rig.shard(0).counters().accepts, 20u) << "one accepts for all";
  EXPECT_EQ(rig.shard(1).counters().accepts, 0u);
  for (const uint32_t shard : {0u, 1u}) {
    EXPECT_EQ(rig.shard(shard).proxy().counters().downstream_connections, 10u);
    EXPECT_EQ(rig.shard(shard).proxy().counters().responses, 10u);
    EXPECT_EQ(rig.placement->count(shard), 0u);
  }
}

TEST(Shards, ABurstFromTheBacklogSpreadsToo) {
  ShardRig rig;
  std::vector<int32_t> ids;
  for (int i = 0; i < 30; ++i) ids.push_back(ShardRig::call(rig.add_client()));
  rig.start(3);
  ASSERT_TRUE(rig.until("the answers", [&] {
    for (size_t i = 0; i < ids.size(); ++i) {
      if (!ShardRig::is_answered(rig.clients[i], ids[i])) return false;
    }
    return true;
  }));
  for (const uint32_t shard : {0u, 1u, 2u}) EXPECT_EQ(rig.placement->count(shard), 10u);
}

TEST(Shards, ConnectionsThatEndMakeRoomForTheNext) {
  ShardRig rig;
  rig.start(2);
  expect_served(rig, 8);
  for (size_t i = 0; i < 6; ++i) rig.clients[i].close();
  ASSERT_TRUE(
      rig.until("the ends are noticed", [&] { return rig.placement->count(0) + rig.placement->count(1) == 2; }));
  expect_served(rig, 4);
  EXPECT_EQ(rig.placement->count(0), 3u);
  EXPECT_EQ(rig.placement->count(1), 3u);
}

// The other shard does not look into its mailbox: it is busier than its number of connections says.
TEST(Shards, AFullMailboxLeavesTheConnectionWhereItIs) {
  ShardRig rig;
  rig.idle_shards = {1};
  rig.make(2);
  while (rig.mailboxes[1]->post(0, {MessageKind::kDrain, -1, 0})) {}
  rig.run();
  expect_served(rig, 4);
  EXPECT_EQ(rig.placement->count(0), 4u);
  EXPECT_EQ(rig.placement->count(1), 0u) << "charged in vain, and discharged";
}

// One shard has heard of the drain and has nothing to do any more; the one that accepts has not heard of it yet.
TEST(Shards, AConnectionHandedOverToAShardThatDrainsIsServed) {
  ShardRig rig;
  rig.start(2);
  expect_served(rig, 1);
  rig.post(1, MessageKind::kDrain);
  ASSERT_TRUE(rig.until("the message is read", [&] {
    pollfd watched{rig.mailboxes[1]->fd(), POLLIN, 0};
    return poll(&watched, 1, 0) == 0;
  }));
  expect_served(rig, 1);
  ASSERT_TRUE(rig.drain());
  EXPECT_EQ(rig.shard(1).proxy().counters().responses, 1u);
}

TEST(Shards, OfASharedPortEachAcceptsItsOwn) {
  ShardRig rig;
  rig.start_with_shared_port(2);
  // The kernel spreads by hash: that one of two gets none of 40 happens once in 2^39.
  expect_served(rig, 40);
  EXPECT_EQ(rig.placement->count(0) + rig.placement->count(1), 40u);
  ASSERT_TRUE(rig.drain());
  for (const uint32_t shard : {0u, 1u}) {
    const uint64_t accepts = rig.shard(shard).counters().accepts;
    EXPECT_GT(accepts, 0u);
    EXPECT_EQ(rig.shard(shard).proxy().counters().downstream_connections, accepts) << "nothing is handed over";
  }
}

}  // namespace
}  // namespace ringway::shard
