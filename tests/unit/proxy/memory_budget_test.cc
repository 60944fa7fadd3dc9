// Slow peers may make a shard hold so many bytes and no more: who has taken nothing for longest is given up.
#include <gtest/gtest.h>

#include "rig.h"

namespace ringway::proxy {
namespace {

constexpr uint64_t kBudget = 1 << 20;

class MemoryBudget : public testing::Test {
 protected:
  static config::Snapshot tight_snapshot() {
    config::Snapshot snapshot = Rig::plain_snapshot(1);
    snapshot.shards.memory_bytes = kBudget;
    return snapshot;
  }

  // A client that opens no window: what it is sent waits here.
  Link& add_stalled_client() {
    return rig.add_client("192.0.2.7:40001", {.settings = {{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0}}});
  }
  // A call whose answer of that size its client does not take.
  int32_t stall(Link& client, size_t size) {
    const int32_t id = client.peer->send_request(grpc_request(), grpc_message(3), true);
    rig.run();
    Link& upstream = rig.upstream(0);
    const auto calls = Rig::calls(upstream);
    upstream.peer->send_response(calls.back(), kGrpcResponse, grpc_message(size), kGrpcOk);
    rig.run();
    return id;
  }
  uint64_t shed() const { return rig.proxy->counters().local_replies[static_cast<size_t>(LocalReason::kMemory)]; }

  Rig rig{tight_snapshot()};
};

TEST_F(MemoryBudget, WhatFitsIsKept) {
  Link& client = add_stalled_client();
  // A block of 64 KiB each.
  for (int i = 0; i < 15; ++i) stall(client, 60'000);
  EXPECT_EQ(shed(), 0u);
  EXPECT_LE(rig.proxy->memory().blocks.bytes_in_use(), kBudget);
}

TEST_F(MemoryBudget, TheLongestStalledGoesFirst) {
  Link& client = add_stalled_client();
  std::vector<int32_t> ids;
  for (int i = 0; i < 24; ++i) {
    ids.push_back(stall(client, 60'000));
    rig.pass(20 * base::kMillisecond_ns, 20 * base::kMillisecond_ns);
    ASSERT_LE(rig.proxy->memory().blocks.bytes_in_use(), kBudget) << i;
  }
  ASSERT_GT(shed(), 0u);
  ASSERT_LT(shed(), ids.size());
  for (size_t i = 0; i < ids.size(); ++i) {
    EXPECT_EQ(client.peer->messages.at(ids[i]).is_closed, i < shed()) << "oldest first: " << i;
  }
  EXPECT_EQ(client.peer->messages.at(ids[0]).close_code, static_cast<uint32_t>(h2::ErrorCode::kEnhanceYourCalm));
}

TEST_F(MemoryBudget, OthersAreServed) {
  Link& stalled = add_stalled_client();
  Link& other = rig.add_client();
  for (int i = 0; i < 30; ++i) {
    stall(stalled, 60'000);
    rig.pass(20 * base::kMillisecond_ns, 20 * base::kMillisecond_ns);
    const int32_t id = stall(other, 5'000);
    EXPECT_EQ(value_of(other.peer->messages.at(id).trailers, "grpc-status"), "0");
  }
}

// Who holds little keeps it, even where it has waited longer than all that another holds.
TEST_F(MemoryBudget, WhoHoldsMostGoesFirst) {
  Link& slow = rig.add_client("192.0.2.8:40002", {.settings = {{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0}}});
  const int32_t oldest = stall(slow, 60'000);
  rig.pass(100 * base::kMillisecond_ns, 20 * base::kMillisecond_ns);
  Link& greedy = add_stalled_client();
  for (int i = 0; i < 40; ++i) {
    stall(greedy, 60'000);
    rig.pass(20 * base::kMillisecond_ns, 20 * base::kMillisecond_ns);
  }
  EXPECT_GT(shed(), 20u);
  EXPECT_FALSE(slow.peer->messages.at(oldest).is_closed);
}

// Copies for a retry that nobody may need go before any call does.
TEST_F(MemoryBudget, CopiesForARetryGoBeforeCalls) {
  Link& client = rig.add_client();
  std::vector<int32_t> ids;
  for (int i = 0; i < 20; ++i) {
    ids.push_back(client.peer->send_request(grpc_request(), grpc_message(60'000), true));
    rig.run();
    rig.pass(20 * base::kMillisecond_ns, 20 * base::kMillisecond_ns);
  }
  EXPECT_LE(rig.proxy->memory().blocks.bytes_in_use(), kBudget);
  EXPECT_EQ(shed(), 0u);
  Link& upstream = rig.upstream(0);
  for (const int32_t id : Rig::calls(upstream))
    upstream.peer->send_response(id, kGrpcResponse, grpc_message(1), kGrpcOk);
  rig.run();
  for (const int32_t id : ids) EXPECT_EQ(value_of(client.peer->messages.at(id).trailers, "grpc-status"), "0");
}

// An endpoint that takes nothing: the uploads to it are given up, with the reason.
TEST_F(MemoryBudget, UploadsThatTheEndpointDoesNotTakeEnd) {
  rig.endpoint_options.settings = {{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0}};
  Link& client = rig.add_client();
  std::vector<int32_t> ids;
  for (int i = 0; i < 30; ++i) {
    ids.push_back(client.peer->send_request(grpc_request(), grpc_message(60'000), true));
    rig.run();
    rig.pass(20 * base::kMillisecond_ns, 20 * base::kMillisecond_ns);
    ASSERT_LE(rig.proxy->memory().blocks.bytes_in_use(), kBudget) << i;
  }
  ASSERT_GT(shed(), 0u);
  EXPECT_EQ(value_of(client.peer->messages.at(ids[0]).headers, "grpc-status"), "8");
  EXPECT_EQ(value_of(client.peer->messages.at(ids[0]).headers, "grpc-message"),
            "the proxy holds too many bytes for slow peers (shards.memory)");
}

}  // namespace
}  // namespace ringway::proxy
