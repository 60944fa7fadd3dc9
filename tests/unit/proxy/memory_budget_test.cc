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

// Header lists, which no window bounds, for clients whose sockets are full.
class BlockedClients : public MemoryBudget {
 protected:
  static constexpr uint32_t kListBytes = 12'000;

  Link& add_blocked_client() {
    Link& client = rig.add_client();
    connection_of(client).is_socket_writable = false;
    return client;
  }
  Connection& connection_of(const Link& link) { return *rig.proxy->connections().find(link.handle); }
  void inform(int32_t id) {
    const std::string value(kListBytes, 'v');
    std::string name = "x-large";
    std::string status_name = ":status";
    std::string status = "103";
    const auto nv = [](std::string& of, const std::string& with) {
      return nghttp2_nv{reinterpret_cast<uint8_t*>(of.data()),
                        reinterpret_cast<uint8_t*>(const_cast<char*>(with.data())), of.size(), with.size(),
                        NGHTTP2_NV_FLAG_NO_INDEX};
    };
    const nghttp2_nv pairs[] = {nv(status_name, status), nv(name, value)};
    nghttp2_submit_headers(rig.upstream(0).peer->session(), NGHTTP2_FLAG_NONE, id, nullptr, pairs, 2, nullptr);
  }
  uint64_t in_use() const { return rig.proxy->memory().blocks.bytes_in_use(); }
  // What the shard's send would hold of a connection's output.
  void hold(Link& link, base::ByteQueue& queue, uint32_t bytes) {
    queue.append(rig.proxy->memory().blocks, std::vector<uint8_t>(bytes));
    connection_of(link).sending_bytes = bytes;
  }
};

// However many come in one turn, behind which the shard would be relieved of them.
TEST_F(BlockedClients, ListsOfOneTurnAreBounded) {
  constexpr uint32_t kClients = 8;
  constexpr uint32_t kCalls = 6;
  Link& good = rig.add_client();
  stall(good, 10);
  std::vector<Link*> clients;
  for (uint32_t i = 0; i < kClients; ++i) clients.push_back(&add_blocked_client());
  for (Link* const client : clients) {
    for (uint32_t i = 0; i < kCalls; ++i) client->peer->send_request(grpc_request(), grpc_message(3), true);
  }
  rig.run();
  Link& upstream = rig.upstream(0);
  const auto calls = Rig::calls(upstream);
  ASSERT_EQ(calls.size(), kClients * kCalls);
  const int32_t good_id = good.peer->send_request(grpc_request(), grpc_message(3), true);
  rig.run();
  for (int round = 0; round < 8; ++round) {
    for (const int32_t id : calls) inform(id);
  }
  for (const int32_t id : Rig::calls(upstream))
    upstream.peer->send_response(id, kGrpcResponse, grpc_message(3), kGrpcOk);
  rig.proxy->receive(connection_of(upstream), h2::octets_of(upstream.peer->take_output()), rig.now_ns);
  constexpr uint64_t kFree = 2 * (64 * base::kKiB + kListBytes);  // of each; a block may be twice what it holds
  EXPECT_LE(in_use(), kBudget + (kClients + 1) * kFree);
  EXPECT_GT(rig.proxy->limit_hits()[static_cast<size_t>(h2::LimitKind::kMemory)], 0u);
  rig.run();
  EXPECT_EQ(value_of(good.peer->messages.at(good_id).trailers, "grpc-status"), "0");
}

// What sends hold is not free before the kernel gives it back. Who is kept most of it goes at once, and nobody else
// pays for it meanwhile.
TEST_F(BlockedClients, WhatSendsHoldCounts) {
  Link& stalled = add_stalled_client();
  const int32_t id = stall(stalled, 60'000);
  Link& blocked = add_blocked_client();
  Link& fuller = add_blocked_client();
  base::ByteQueue sends[2];
  hold(blocked, sends[0], 400'000);
  hold(fuller, sends[1], 2'000'000);
  const base::Handle<Connection> handles[] = {blocked.handle, fuller.handle};
  for (int i = 0; i < 3; ++i) {
    rig.now_ns += 20 * base::kMillisecond_ns;
    rig.proxy->finish_turn(rig.now_ns);
    rig.proxy->validate();
    const Connection& ended = connection_of(fuller);
    EXPECT_EQ(ended.state, ConnectionState::kClosing);
    EXPECT_TRUE(ended.is_linger_over) << "its socket is closed without a wait";
    EXPECT_TRUE(static_cast<const DirtyLink&>(ended).is_linked());
    EXPECT_EQ(connection_of(blocked).state, ConnectionState::kOpen);
  }
  EXPECT_FALSE(stalled.peer->messages.at(id).is_closed);
  EXPECT_EQ(shed(), 0u);
  for (base::ByteQueue& send : sends) send.release(rig.proxy->memory().blocks);
  for (const auto handle : handles) rig.proxy->connections().find(handle)->sending_bytes = 0;
  rig.run();
  EXPECT_TRUE(fuller.is_gone);
  EXPECT_FALSE(blocked.is_gone);
}

// A send whose outcome is not known yet is taken for one that succeeds.
TEST_F(BlockedClients, WhatIsBeingSentIsNoReasonToEndCalls) {
  Link& stalled = add_stalled_client();
  const int32_t id = stall(stalled, 60'000);
  Link& reader = rig.add_client();
  base::ByteQueue send;
  hold(reader, send, 1'500'000);
  rig.now_ns += 20 * base::kMillisecond_ns;
  rig.proxy->finish_turn(rig.now_ns);
  EXPECT_FALSE(stalled.peer->messages.at(id).is_closed);
  EXPECT_EQ(connection_of(reader).state, ConnectionState::kOpen);
  EXPECT_EQ(rig.proxy->limit_hits()[static_cast<size_t>(h2::LimitKind::kMemory)], 0u);
  send.release(rig.proxy->memory().blocks);
  connection_of(reader).sending_bytes = 0;
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
