// An endpoint that takes connections and does not read: what waits for it is bounded, and calls go elsewhere.
#include <gtest/gtest.h>

#include "rig.h"

namespace ringway::proxy {
namespace {

// 40,000 octets of metadata in each call.
PlainList large_request() {
  PlainList more;
  for (int i = 0; i < 4; ++i) more.push_back({"x-large-" + std::to_string(i), std::string(10'000, 'v')});
  return grpc_request("/shop.Cart/Add", more);
}

class BlockedEndpoint : public testing::Test {
 protected:
  BlockedEndpoint() : client(rig.add_client()) {
    client.peer->send_request(grpc_request(), grpc_message(3), true);
    rig.run();
    blocked = &rig.upstream(0);
    set_writable(false);
  }

  Connection& connection() { return *rig.proxy->connections().find(blocked->handle); }
  void set_writable(bool is_writable) {
    connection().is_socket_writable = is_writable;
    connection().h2.set_write_blocked(!is_writable);
  }
  void call(int count) {
    for (int i = 0; i < count; ++i) client.peer->send_request(large_request(), grpc_message(3), true);
    rig.run();
  }

  static config::Snapshot wide_snapshot() {
    config::Snapshot snapshot = Rig::plain_snapshot(1);
    snapshot.limits.header_list_bytes = 64 * base::kKiB;
    snapshot.limits.pending_calls = 100;
    snapshot.limits.connection_headers = 4 * base::kMiB;
    return snapshot;
  }

  Rig rig{wide_snapshot()};
  Link& client;
  Link* blocked = nullptr;
};

TEST_F(BlockedEndpoint, TakesSomeCallsAndTheNextGoElsewhere) {
  call(60);
  EXPECT_GE(connection().h2.output().size(), Connection::kCallOutputMax);
  EXPECT_LT(connection().h2.output().size(), Connection::kCallOutputMax + 50'000);
  Link& second = rig.upstream(0);
  ASSERT_NE(&second, blocked);
  // One of the calls is the first, which was sent before.
  EXPECT_EQ(Rig::calls(second).size() + connection().h2.stream_count(), 61u);
}

TEST_F(BlockedEndpoint, CallsThatWaitAreServedWhenItReadsAgain) {
  rig.connects = false;
  call(60);
  const uint32_t sent = connection().h2.stream_count();
  EXPECT_LT(sent, 40u);
  set_writable(true);
  rig.proxy->dirty.push_back(connection());
  rig.run();
  EXPECT_EQ(Rig::calls(*blocked).size(), 61u);
}

}  // namespace
}  // namespace ringway::proxy
