// A client leaves with some calls sent and others waiting: its end frees what the others wait for, in the same moment.
#include <gtest/gtest.h>

#include "rig.h"

namespace ringway::proxy {
namespace {

// An endpoint that grants one stream; the client has a call on it, and five more that wait.
class ClientGone : public testing::Test {
 protected:
  void wait_with(const PlainList& more) {
    rig.endpoint_options.settings = {{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 1}};
    client.peer->send_request(grpc_request(), "first", true);
    rig.run();
    rig.connects = false;
    for (int i = 0; i < 5; ++i) client.peer->send_request(grpc_request("/shop.Cart/Add", more), "waits", true);
    rig.run();
    ASSERT_EQ(rig.proxy->exchanges().live_count(), 6u);
  }
  void expect_nothing_left() {
    rig.run();
    EXPECT_EQ(rig.proxy->exchanges().live_count(), 0u);
    EXPECT_EQ(rig.proxy->memory().streams.live_count(), 0u);
    EXPECT_EQ(rig.upstream(0).peer->messages.size(), 1u) << "no call of a client that is gone is sent";
  }

  Rig rig{Rig::plain_snapshot(1)};
  Link& client{rig.add_client()};
};

TEST_F(ClientGone, CallsThatWaitAreNotSent) {
  wait_with({});
  rig.lose(client, 0);
  expect_nothing_left();
}

// Their timers have not run yet.
TEST_F(ClientGone, WhenTheDeadlinesOfThoseThatWaitHavePassed) {
  wait_with({{"grpc-timeout", "4m"}});
  rig.now_ns += 5 * base::kMillisecond_ns;
  rig.lose(client, 0);
  expect_nothing_left();
}

TEST_F(ClientGone, WhenItsConnectionBreaksARule) {
  wait_with({{"grpc-timeout", "4m"}});
  rig.now_ns += 5 * base::kMillisecond_ns;
  // DATA on stream 0 is a connection error (RFC 9113 section 6.1).
  const std::string bad(9, '\0');
  rig.proxy->receive(*rig.proxy->connections().find(client.handle), h2::octets_of(bad), rig.now_ns);
  expect_nothing_left();
}

// The endpoint goes instead: what was on it ends, and those that wait past their deadline end once.
TEST_F(ClientGone, OrItsEndpointWithDeadlinesPassed) {
  wait_with({{"grpc-timeout", "4m"}});
  rig.now_ns += 5 * base::kMillisecond_ns;
  rig.lose(rig.upstream(0), 104);
  rig.run();
  rig.pass(5 * base::kMillisecond_ns);
  EXPECT_EQ(rig.proxy->exchanges().live_count(), 0u);
}

}  // namespace
}  // namespace ringway::proxy
