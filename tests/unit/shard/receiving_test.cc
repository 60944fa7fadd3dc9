// Receive buffers that run out, and submission queues that do: everything still arrives.
#include <gtest/gtest.h>

#include <algorithm>

#include "shard_rig.h"

namespace ringway::shard {
namespace {

// Calls that are in the sockets before the shard has taken its first turn, so that it meets them all at once.
class Crowd : public testing::Test {
 protected:
  void queue_calls(size_t clients, size_t body_bytes) {
    body = pattern(body_bytes);
    rig.endpoint_window_bytes = 1 << 20;
    for (size_t i = 0; i < clients; ++i) ids.push_back(ShardRig::call(rig.add_client(), body));
    ASSERT_TRUE(rig.until("the requests to leave", [&] {
      return std::ranges::all_of(rig.clients,
                                 [](Peer& client) { return client.sent_bytes != 0 && client.has_sent_all(); });
    }));
  }
  void expect_answers() {
    for (size_t i = 0; i < ids.size(); ++i) {
      ASSERT_TRUE(
          rig.until("every answer, whole", [&] { return ShardRig::is_answered(rig.clients[i], ids[i], body); }));
    }
  }

  ShardRig rig;
  std::vector<int32_t> ids;
  std::string body;
};

TEST_F(Crowd, IsServedFromOneReceiveBuffer) {
  rig.snapshot.shards.recv_buffers = 1;
  queue_calls(3, 40'000);
  rig.start();
  expect_answers();
  ASSERT_TRUE(rig.drain());
  EXPECT_GT(rig.shard().counters().no_buffers, 0u);
}

TEST_F(Crowd, IsServedFromTheFewestReceiveBuffersThatMayBeConfigured) {
  rig.snapshot.shards.recv_buffers = 16;
  queue_calls(40, 20'000);
  rig.start();
  expect_answers();
  ASSERT_TRUE(rig.drain());
  EXPECT_GT(rig.shard().counters().no_buffers, 0u);
  EXPECT_EQ(rig.shard().ring_counters().overflows, 0u);
}

TEST_F(Crowd, LargerThanTheSubmissionQueueIsServed) {
  rig.snapshot.shards.ring_entries = 8;
  queue_calls(60, 100);
  rig.start();
  expect_answers();
  ASSERT_TRUE(rig.drain());
  EXPECT_GT(rig.shard().ring_counters().submission_full, 0u);
  EXPECT_EQ(rig.shard().ring_counters().overflows, 0u);
}

TEST_F(Crowd, InBothDirectionsIsServedFromFewBuffers) {
  rig.snapshot.shards.recv_buffers = 2;
  rig.start();
  body = pattern(300'000);
  for (int round = 0; round < 3; ++round) {
    ids.clear();
    for (size_t i = 0; i < 6; ++i) {
      if (round == 0) rig.add_client();
      ids.push_back(ShardRig::call(rig.clients[i], body));
    }
    expect_answers();
  }
}

}  // namespace
}  // namespace ringway::shard
