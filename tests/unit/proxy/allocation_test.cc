// A call costs no memory: once pools and tables have grown to what the load needs, nothing is asked of the allocator.
#include <gtest/gtest.h>

#include "allocations.h"
#include "rig.h"

namespace ringway::proxy {
namespace {

void answer_all(Link& upstream) {
  for (const int32_t id : Rig::calls(upstream)) {
    upstream.peer->send_response(id, kGrpcResponse, grpc_message(32), kGrpcOk);
  }
}

// Complete unary calls, `together` at a time.
void make_calls(Rig& rig, Link& client, uint32_t count, uint32_t together, const PlainList& headers) {
  for (uint32_t made = 0; made < count; made += together) {
    client.peer->messages.clear();
    std::vector<int32_t> ids;
    for (uint32_t i = 0; i < together; ++i) {
      ids.push_back(client.peer->send_request(headers, grpc_message(32), true));
    }
    rig.run();
    for (Link& link : rig.links) {
      if (!link.endpoint.empty()) answer_all(link);
    }
    rig.run();
    for (const int32_t id : ids) {
      ASSERT_EQ(value_of(client.peer->messages[id].trailers, "grpc-status"), "0") << id;
    }
    for (Link& link : rig.links) link.frames.clear();
  }
}

uint64_t allocations_of(uint32_t together, const PlainList& headers, LogPort* log = nullptr) {
  config::Snapshot snapshot = Rig::plain_snapshot();
  snapshot.listeners[0].forwarded.x_forwarded_for = log != nullptr;
  Rig rig(snapshot, log);
  Link& client = rig.add_client();
  make_calls(rig, client, 200, together, headers);
  const uint64_t before = AllocationScope::count;
  make_calls(rig, client, 1000, together, headers);
  EXPECT_EQ(rig.proxy->counters().responses, 1200u);
  return AllocationScope::count - before;
}

TEST(Allocation, TheCounterCounts) {
  const uint64_t before = AllocationScope::count;
  auto outside = std::make_unique<int>(1);
  EXPECT_EQ(AllocationScope::count, before);
  {
    const AllocationScope counted;
    outside = std::make_unique<int>(2);
  }
  EXPECT_EQ(AllocationScope::count, before + 1);
  // The pool's own malloc is bound to the counter too.
  base::BlockPool pool;
  size_t capacity = 0;
  uint8_t* block = nullptr;
  {
    const AllocationScope counted;
    block = pool.take(100, capacity);
  }
  EXPECT_EQ(AllocationScope::count, before + 2);
  pool.give(block, capacity);
}

TEST(Allocation, AConnectionCosts) {
  const uint64_t before = AllocationScope::count;
  Rig rig;
  Link& client = rig.add_client();
  client.peer->send_request(grpc_request(), grpc_message(32), true);
  rig.run();
  EXPECT_GT(AllocationScope::count, before);
}

TEST(Allocation, NoneForCallsOneByOne) {
  EXPECT_EQ(allocations_of(1, grpc_request()), 0u);
}

TEST(Allocation, NoneForCallsTwentyAtATime) {
  EXPECT_EQ(allocations_of(20, grpc_request()), 0u);
}

TEST(Allocation, NoneForCallsWithADeadline) {
  EXPECT_EQ(allocations_of(4, grpc_request("/shop.Cart/Add", {{"grpc-timeout", "5S"}, {"authorization", "secret"}})),
            0u);
}

TEST(Allocation, NoneWithAnAccessLogAndForwardedFor) {
  auto bell = std::move(*io::Doorbell::create());
  LogPort port(*bell, config::LogLevel::kInfo, 1 << 20);
  EXPECT_EQ(allocations_of(4, grpc_request(), &port), 0u);
  EXPECT_FALSE(port.is_empty());
}

}  // namespace
}  // namespace ringway::proxy
