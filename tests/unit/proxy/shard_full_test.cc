// A shard that has no slot left for another exchange or stream refuses so that the client may try again at once, and
// serves again as soon as a call has ended.
#include <gtest/gtest.h>

#include <vector>

#include "rig.h"

namespace ringway::proxy {
namespace {

uint64_t shard_full_count(const Rig& rig) {
  return rig.proxy->counters().local_replies[static_cast<size_t>(LocalReason::kShardFull)];
}

// Slots that are left to calls.
constexpr uint32_t kLeft = 64;

// Pools that follow from the number of connections and of their streams.
config::Snapshot small_snapshot() {
  config::Snapshot snapshot = Rig::plain_snapshot(1);
  snapshot.limits.connections = 1;
  snapshot.limits.streams = 1000;
  snapshot.limits.pending_calls = 1000;
  return snapshot;
}

class ShardFull : public testing::Test {
 protected:
  ShardFull() : client(rig.add_client()) {
    rig.connects = false;
    // Both pools are as large as what the clients may open: somebody else holds the rest.
    while (exchange_slots() > kLeft) held.emplace_back(rig.proxy->exchanges().create())->is_finished = true;
    while (stream_slots() > 2 * kLeft) held_streams.push_back(rig.proxy->memory().streams.create());
  }
  ~ShardFull() override {
    for (Exchange* const exchange : held) rig.proxy->exchanges().destroy(*exchange);
    for (h2::Stream* const stream : held_streams) rig.proxy->memory().streams.destroy(*stream);
  }

  std::vector<int32_t> calls(uint32_t count) {
    std::vector<int32_t> ids;
    for (uint32_t i = 0; i < count; ++i) {
      ids.push_back(client.peer->send_request(grpc_request(), grpc_message(1), true));
    }
    rig.run();
    return ids;
  }
  uint32_t exchange_slots() const { return rig.proxy->exchanges().capacity() - rig.proxy->exchanges().live_count(); }
  uint32_t stream_slots() const { return capacity_of_streams() - rig.proxy->memory().streams.live_count(); }
  uint32_t capacity_of_streams() const { return rig.proxy->memory().streams.capacity(); }
  void expect_refused(int32_t id) {
    EXPECT_TRUE(client.peer->messages.at(id).is_closed);
    EXPECT_EQ(client.peer->messages.at(id).close_code, uint32_t{NGHTTP2_REFUSED_STREAM});
    EXPECT_FALSE(client.peer->messages.at(id).has_headers);
  }

  Rig rig{small_snapshot()};
  Link& client;
  std::vector<Exchange*> held;
  std::vector<h2::Stream*> held_streams;
};

// Of few clients each may have all the calls that limits.streams says, whatever the others have.
TEST(ShardSlots, FewClientsDoNotTakeThemFromEachOther) {
  for (const uint32_t streams : {1u, 256u, 1000u}) {
    config::Snapshot snapshot = Rig::plain_snapshot(1);
    snapshot.limits.connections = 4;
    snapshot.limits.streams = streams;
    Rig rig(snapshot);
    EXPECT_EQ(rig.proxy->exchanges().capacity(), 4 * streams);
    EXPECT_EQ(rig.proxy->memory().streams.capacity(), 2 * 4 * streams);
  }
  config::Snapshot snapshot = Rig::plain_snapshot(1);
  snapshot.limits.connections = 20'000;
  snapshot.limits.streams = 256;
  EXPECT_EQ(Rig(snapshot).proxy->exchanges().capacity(), 1024u * 256 + 18'976 * 64);
  snapshot.limits.connections = 1'000'000;
  snapshot.limits.streams = 65'536;
  EXPECT_EQ(Rig(snapshot).proxy->exchanges().capacity(), 2'000'000u);
}

TEST_F(ShardFull, WithoutAnExchangeSlotTheCallIsRefused) {
  // They wait for a connection, so that each has one stream and there is a stream for one more.
  const auto ids = calls(kLeft);
  EXPECT_EQ(shard_full_count(rig), 0u) << "at the limit";
  const auto refused = calls(2);
  for (const int32_t id : refused) expect_refused(id);
  EXPECT_EQ(shard_full_count(rig), 2u);
  EXPECT_EQ(rig.proxy->counters().requests, ids.size());

  ASSERT_EQ(rig.wanted.size(), 1u);
  rig.connect(rig.wanted[0]);
  rig.run();
  Link& upstream = rig.upstream(0);
  ASSERT_EQ(Rig::calls(upstream).size(), ids.size()) << "nobody else has suffered";
  upstream.peer->send_response(1, kGrpcResponse, grpc_message(1), kGrpcOk);
  rig.run();
  EXPECT_EQ(value_of(client.peer->messages.at(ids[0]).trailers, "grpc-status"), "0");
  calls(1);
  EXPECT_EQ(Rig::calls(upstream).size(), ids.size()) << "there is room for one again";
  EXPECT_EQ(shard_full_count(rig), 2u);
}

TEST_F(ShardFull, WithoutAStreamSlotTowardsTheClientTheCallIsRefused) {
  const auto ids = calls(kLeft);
  rig.connect(rig.wanted.at(0));
  rig.run();
  ASSERT_EQ(stream_slots(), 0u);
  const auto refused = calls(1);
  expect_refused(refused[0]);
  EXPECT_EQ(rig.proxy->counters().requests, ids.size());
  for (const int32_t id : Rig::calls(rig.upstream(0))) {
    rig.upstream(0).peer->send_response(id, kGrpcResponse, grpc_message(1), kGrpcOk);
  }
  rig.run();
  for (const int32_t id : ids) EXPECT_EQ(value_of(client.peer->messages.at(id).trailers, "grpc-status"), "0");
  EXPECT_EQ(exchange_slots(), kLeft);
  EXPECT_EQ(stream_slots(), 2 * kLeft);
}

TEST_F(ShardFull, WithoutAStreamSlotTowardsTheEndpointTheCallIsToldSo) {
  const auto ids = calls(2);
  // Each exchange has room for both its streams, so that only slots that somebody else holds can run out here.
  h2::StreamPool& streams = rig.proxy->memory().streams;
  std::vector<h2::Stream*> further;
  while (stream_slots() > 1) further.push_back(streams.create());
  rig.connect(rig.wanted.at(0));
  rig.run();
  EXPECT_EQ(Rig::calls(rig.upstream(0)).size(), 1u);
  EXPECT_EQ(shard_full_count(rig), 1u);
  EXPECT_EQ(value_of(client.peer->messages.at(ids[1]).headers, "grpc-status"), "14");
  EXPECT_EQ(value_of(client.peer->messages.at(ids[1]).headers, "grpc-message"), "no stream slot is free");
  for (h2::Stream* stream : further) streams.destroy(*stream);
  calls(1);
  EXPECT_EQ(Rig::calls(rig.upstream(0)).size(), 2u);
}

TEST_F(ShardFull, WithoutAConnectionSlotAClientIsNotAccepted) {
  EXPECT_EQ(rig.proxy->accept(0, *io::Address::parse("192.0.2.9:1"), rig.now_ns), nullptr);
  EXPECT_EQ(rig.proxy->downstream_count(), 1u);
  rig.lose(client, 0);
  EXPECT_NE(rig.proxy->accept(0, *io::Address::parse("192.0.2.9:1"), rig.now_ns), nullptr);
}

}  // namespace
}  // namespace ringway::proxy
