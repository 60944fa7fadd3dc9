// Sends that do not fit into a socket: the rest follows in order, and nobody else waits for it.
#include <gtest/gtest.h>

#include "shard_rig.h"

namespace ringway::shard {
namespace {

constexpr int kSmallBuffer = 8 * 1024;

class BlockedSends : public testing::Test {
 protected:
  BlockedSends() {
    rig.let_sockets_block(kSmallBuffer);
    rig.echoes = false;
    rig.start();
  }

  Peer& add_slow_client() {
    return rig.add_client({.receive_buffer_bytes = kSmallBuffer, .window_bytes = ShardRig::kLargeWindow});
  }
  // The endpoint has the call, the latest of its connection, complete.
  int32_t await_call() {
    int32_t newest = 0;
    EXPECT_TRUE(rig.until("the request", [&] {
      if (rig.upstreams.empty() || rig.upstream().session.messages.empty()) return false;
      const auto& [id, message] = *rig.upstream().session.messages.rbegin();
      newest = id;
      return message.has_ended && !rig.upstream().answered.contains(id);
    }));
    rig.upstream().answered.insert(newest);
    return newest;
  }
  // The response is in the proxy's hands, all of it, and the socket has refused what it cannot hold.
  [[nodiscard]] bool block(Peer& client, const std::string& body) {
    client.reads = false;
    ShardRig::call(client);
    const int32_t id = await_call();
    rig.upstream().session.send_response(id, proxy::kGrpcResponse, body, proxy::kGrpcOk);
    // The first answer follows the whole response; in the next turn the socket's refusal is known.
    return rig.round_trip(rig.upstream()) && rig.round_trip(rig.upstream());
  }

  ShardRig rig;
};

TEST_F(BlockedSends, ASlowReaderGetsEveryOctetInOrder) {
  const std::string body = pattern(3 << 20);
  Peer& client = add_slow_client();
  ASSERT_TRUE(block(client, body));
  EXPECT_LT(client.received_bytes, body.size());
  client.reads = true;
  ASSERT_TRUE(rig.until("the whole response", [&] { return ShardRig::is_answered(client, 1, body); }));
  ASSERT_TRUE(rig.drain());
  EXPECT_GE(rig.shard().counters().short_sends, 1u);
}

TEST_F(BlockedSends, OthersAreServedMeanwhile) {
  const std::string body = pattern(1 << 20);
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(block(add_slow_client(), body));
  rig.echoes = true;
  Peer& quick = rig.add_client();
  for (int i = 0; i < 10; ++i) {
    const int32_t id = ShardRig::call(quick);
    ASSERT_TRUE(rig.until("an answer past those that wait", [&] { return ShardRig::is_answered(quick, id); }));
  }
  for (Peer& client : rig.clients) client.reads = true;
  for (Peer& client : rig.clients) {
    if (&client == &quick) continue;
    ASSERT_TRUE(rig.until("the whole response", [&] { return ShardRig::is_answered(client, 1, body); }));
  }
  ASSERT_TRUE(rig.drain());
  EXPECT_GE(rig.shard().counters().short_sends, 4u);
}

// Several responses on one connection: each whole, and a later small one does not wait for the end of a large one.
TEST_F(BlockedSends, CallsOfOneSlowReaderShareItsSocket) {
  const std::string body = pattern(1 << 20);
  Peer& client = add_slow_client();
  ASSERT_TRUE(block(client, body));
  ASSERT_TRUE(block(client, body));
  rig.echoes = true;
  const int32_t small = ShardRig::call(client);
  ASSERT_TRUE(rig.until("the small request at the endpoint", [&] { return rig.upstream().answered.contains(5); }));
  ASSERT_TRUE(rig.round_trip(rig.upstream()));
  client.reads = true;
  ASSERT_TRUE(rig.until("the small response", [&] { return ShardRig::is_answered(client, small); }));
  EXPECT_FALSE(ShardRig::is_answered(client, 3, body)) << "the large one is not through yet";
  ASSERT_TRUE(rig.until("both large ones", [&] {
    return ShardRig::is_answered(client, 1, body) && ShardRig::is_answered(client, 3, body);
  }));
}

TEST_F(BlockedSends, ASlowEndpointGetsEveryOctetInOrder) {
  rig.let_endpoints_block(kSmallBuffer);
  Peer& client = rig.add_client();
  rig.echoes = true;
  const int32_t first = ShardRig::call(client);
  ASSERT_TRUE(rig.until("the connection to the endpoint", [&] { return ShardRig::is_answered(client, first); }));
  rig.upstream().reads = false;
  // More than the shard's socket holds before it refuses.
  const std::string body = pattern(8 << 20);
  const int32_t id = ShardRig::call(client, body);
  ASSERT_TRUE(rig.round_trip(client) && rig.until("the request to leave", [&] { return client.has_sent_all(); }));
  ASSERT_TRUE(rig.round_trip(client));
  rig.upstream().reads = true;
  rig.echoes = true;
  ASSERT_TRUE(rig.until("the whole request and its echo", [&] { return ShardRig::is_answered(client, id, body); }));
}

}  // namespace
}  // namespace ringway::shard
