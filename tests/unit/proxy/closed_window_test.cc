// A connection whose send window one client has used up, at an endpoint that does not read: what others ask for goes on
// another connection.
#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "rig.h"

namespace ringway::proxy {
namespace {

constexpr uint64_t kPatience_ns = 500 * base::kMillisecond_ns;
constexpr uint32_t kWindow = 65'535;

class ClosedWindow : public testing::Test {
 protected:
  ClosedWindow() : uploader(rig.add_client()), other(rig.add_client("192.0.2.8:40000")) {
    rig.endpoint_options.returns_credit = false;
    upload();
  }

  // A call that takes all there is of a connection's window, and does not end.
  void upload() {
    Flow& flow = rig.open_request(uploader, grpc_request());
    rig.run();
    rig.send(flow, std::string(kWindow, 'u'));
    rig.run();
  }
  int32_t call() {
    const int32_t id = other.peer->send_request(grpc_request(), grpc_message(3), true);
    rig.run();
    return id;
  }
  static bool has_ended(Link& upstream, int32_t id) { return upstream.peer->messages[id].has_ended; }
  void open_window(Link& upstream, uint32_t octets = kWindow) {
    nghttp2_session_consume_connection(upstream.peer->session(), octets);
    rig.run();
  }
  uint64_t connections() const { return rig.proxy->counters().upstream_connections; }

  Rig rig{Rig::plain_snapshot(1)};
  Link& uploader;
  Link& other;
};

TEST_F(ClosedWindow, CallsGoOnAnotherConnectionAfterAWhile) {
  Link& first = rig.upstream(0);
  call();
  rig.pass(kPatience_ns - base::kMillisecond_ns, base::kMillisecond_ns);
  EXPECT_EQ(connections(), 1u);
  EXPECT_EQ(Rig::calls(first).size(), 1u) << "the call has begun nowhere";
  rig.pass(2 * base::kMillisecond_ns);
  ASSERT_EQ(connections(), 2u);
  Link& second = rig.upstream(0);
  EXPECT_TRUE(has_ended(second, 1));
  call();
  EXPECT_TRUE(has_ended(second, 3)) << "later calls do not wait";
  EXPECT_EQ(Rig::calls(first).size(), 1u);
}

// The window of a bulk upload is closed most of the time, for a round trip each.
TEST_F(ClosedWindow, CallsWaitForARoundTrip) {
  Link& first = rig.upstream(0);
  int32_t next_id = 3;
  for (int round = 0; round < 5; ++round) {
    call();
    rig.pass(kPatience_ns * 4 / 5, 10 * base::kMillisecond_ns);
    EXPECT_EQ(first.peer->messages.count(next_id), 0u);
    open_window(first);
    EXPECT_TRUE(has_ended(first, next_id));
    next_id += 2;
    upload();
    next_id += 2;
  }
  EXPECT_EQ(connections(), 1u);
}

TEST_F(ClosedWindow, IsUsedAgainWhenItHasOpened) {
  Link& first = rig.upstream(0);
  call();
  rig.pass(kPatience_ns + base::kMillisecond_ns, base::kMillisecond_ns);
  Link& second = rig.upstream(0);
  ASSERT_NE(&first, &second);
  open_window(first);
  upload();
  EXPECT_EQ(Rig::calls(second).size(), 2u) << "the other one is in front";
  call();
  EXPECT_TRUE(has_ended(first, 3));
  EXPECT_EQ(connections(), 2u);
}

TEST_F(ClosedWindow, ConnectionsAreBounded) {
  for (int i = 0; i < 70; ++i) {
    upload();
    rig.pass(kPatience_ns + 100 * base::kMillisecond_ns, 50 * base::kMillisecond_ns);
  }
  EXPECT_EQ(connections(), 64u);
}

// No other connection can be had either: the call learns that.
TEST_F(ClosedWindow, WhereTheEndpointRefusesAnotherCallsEnd) {
  rig.connects = false;
  const int32_t id = call();
  for (int i = 0; i < 1500; ++i) {
    rig.pass(10 * base::kMillisecond_ns, 10 * base::kMillisecond_ns);
    for (const auto handle : std::exchange(rig.wanted, {})) rig.refuse(handle);
  }
  EXPECT_EQ(value_of(other.peer->messages[id].headers, "grpc-status"), "14");
}

}  // namespace
}  // namespace ringway::proxy
