// A connection to an endpoint takes calls when the endpoint's SETTINGS are there, not before.
#include <gtest/gtest.h>

#include <cerrno>

#include "rig.h"

namespace ringway::proxy {
namespace {

constexpr uint8_t kSettings = 4;

class Greeting : public testing::Test {
 protected:
  explicit Greeting(uint32_t endpoints = 1) : rig(Rig::plain_snapshot(endpoints)), client(rig.add_client()) {
    rig.connects = false;
  }

  int32_t call() {
    const int32_t id = client.peer->send_request(grpc_request(), grpc_message(3), true);
    rig.run();
    return id;
  }
  // The connection that was asked for last, to an endpoint that takes it and says nothing yet.
  Link& connect_mute() {
    rig.connect(rig.wanted.back());
    rig.wanted.pop_back();
    Link& link = rig.links.back();
    link.is_mute = true;
    rig.run();
    return link;
  }
  std::string message_of(int32_t id) { return value_of(client.peer->messages[id].headers, "grpc-message"); }

  Rig rig;
  Link& client;
};

TEST_F(Greeting, ACallWaitsForTheSettings) {
  call();
  Link& link = connect_mute();
  EXPECT_EQ(link.of_type(kSettings).size(), 1u) << "ours go at once";
  EXPECT_TRUE(Rig::calls(link).empty());
  link.is_mute = false;
  rig.run();
  EXPECT_EQ(Rig::calls(link).size(), 1u);
}

// Else the first calls would be refused by an endpoint that grants fewer streams than is assumed of one.
TEST_F(Greeting, TheStreamLimitHoldsForTheFirstCalls) {
  rig.connects = true;
  rig.endpoint_options.settings = {{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 2}};
  for (int i = 0; i < 7; ++i) client.peer->send_request(grpc_request(), grpc_message(3), true);
  rig.run();
  std::vector<size_t> counts;
  for (Link& link : rig.links) {
    if (!link.endpoint.empty()) counts.push_back(Rig::calls(link).size());
  }
  EXPECT_EQ(counts, (std::vector<size_t>{2, 2, 2, 1}));
  EXPECT_EQ(rig.proxy->counters().retries, 0u);
}

TEST_F(Greeting, AnEndpointThatSaysNothingIsNamed) {
  const int32_t id = call();
  connect_mute();
  // The time-out counts from the connect.
  rig.pass(4'900 * base::kMillisecond_ns, 100 * base::kMillisecond_ns);
  EXPECT_FALSE(client.peer->messages[id].has_headers);
  rig.pass(200 * base::kMillisecond_ns, 100 * base::kMillisecond_ns);
  EXPECT_EQ(value_of(client.peer->messages[id].headers, "grpc-status"), "14");
  EXPECT_EQ(message_of(id),
            "no endpoint of cluster shop can be reached: endpoint 127.0.0.1:1001 accepted the connection and said "
            "nothing (connect_timeout 5s)");
}

TEST_F(Greeting, TheConnectAndTheGreetingShareTheTimeout) {
  const int32_t id = call();
  rig.pass(3 * base::kSecond_ns, 100 * base::kMillisecond_ns);
  connect_mute();
  rig.pass(2'100 * base::kMillisecond_ns, 100 * base::kMillisecond_ns);
  EXPECT_EQ(value_of(client.peer->messages[id].headers, "grpc-status"), "14");
}

// RFC 9113 section 5.1.2: none are granted for a short while at most.
TEST_F(Greeting, AnEndpointThatGrantsNoStreamIsWaitedForAndNamed) {
  rig.endpoint_options.settings = {{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 0}};
  const int32_t first = call();
  rig.connect(std::exchange(rig.wanted, {})[0]);
  rig.run();
  Link& link = rig.links.back();
  EXPECT_TRUE(Rig::calls(link).empty());
  EXPECT_TRUE(rig.wanted.empty()) << "another connection would be granted no more";
  link.peer->send_settings({{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 1}});
  rig.run();
  EXPECT_EQ(Rig::calls(link).size(), 1u);
  EXPECT_FALSE(client.peer->messages[first].has_headers);

  // The next connection, for a second call, is granted none and keeps that.
  const int32_t second = call();
  rig.connect(std::exchange(rig.wanted, {})[0]);
  rig.pass(5'100 * base::kMillisecond_ns, 100 * base::kMillisecond_ns);
  EXPECT_FALSE(client.peer->messages[second].has_headers) << "a stream of the first connection may come free";
  rig.lose(link, ECONNRESET);
  for (const auto handle : std::exchange(rig.wanted, {})) rig.connect(handle);
  rig.pass(5'100 * base::kMillisecond_ns, 100 * base::kMillisecond_ns);
  EXPECT_EQ(message_of(second),
            "no endpoint of cluster shop can be reached: endpoint 127.0.0.1:1001 accepted the connection and grants no "
            "stream (connect_timeout 5s)");
}

TEST_F(Greeting, AConnectWithoutAnAnswerIsNamed) {
  const int32_t id = call();
  rig.pass(5'100 * base::kMillisecond_ns, 100 * base::kMillisecond_ns);
  EXPECT_EQ(message_of(id),
            "no endpoint of cluster shop can be reached: endpoint 127.0.0.1:1001 did not answer the connect "
            "(connect_timeout 5s)");
}

TEST_F(Greeting, AnEndpointThatHangsUpFirstIsNamed) {
  const int32_t id = call();
  rig.lose(connect_mute(), 0);
  rig.run();
  EXPECT_EQ(message_of(id),
            "no endpoint of cluster shop can be reached: endpoint 127.0.0.1:1001 said nothing: connection "
            "closed (it may expect TLS, the cluster has no tls:)");
  EXPECT_EQ(rig.proxy->counters().connect_failures, 1u);
}

// Else it would be connected to again without a pause.
TEST_F(Greeting, AnEndpointThatGoesAwayBeforeItGrantsAStreamIsAFailedConnect) {
  rig.endpoint_options.settings = {{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 0}};
  const int32_t id = call();
  rig.connect(std::exchange(rig.wanted, {})[0]);
  Link& link = rig.links.back();
  nghttp2_submit_goaway(link.peer->session(), NGHTTP2_FLAG_NONE, 0, NGHTTP2_ENHANCE_YOUR_CALM, nullptr, 0);
  rig.run();
  EXPECT_TRUE(link.is_gone);
  EXPECT_TRUE(rig.wanted.empty());
  EXPECT_EQ(message_of(id),
            "no endpoint of cluster shop can be reached: endpoint 127.0.0.1:1001: GOAWAY ENHANCE_YOUR_CALM before any "
            "call");
  EXPECT_EQ(rig.proxy->counters().connect_failures, 1u);
}

TEST_F(Greeting, WrongFirstBytesAreAFailedConnect) {
  const int32_t id = call();
  Link& link = connect_mute();
  const std::string_view bytes = "SSH-2.0-OpenSSH_9.2\r\n";
  rig.proxy->receive(*rig.proxy->connections().find(link.handle), h2::octets_of(bytes), rig.now_ns);
  rig.run();
  EXPECT_EQ(value_of(client.peer->messages[id].headers, "grpc-status"), "14");
  EXPECT_TRUE(message_of(id).starts_with("no endpoint of cluster shop can be reached: endpoint 127.0.0.1:1001"))
      << message_of(id);
  EXPECT_EQ(rig.proxy->counters().connect_failures, 1u);
}

class GreetingOfTwo : public Greeting {
 protected:
  GreetingOfTwo() : Greeting(2) {}
};

TEST_F(GreetingOfTwo, TheCallGoesToTheOtherEndpoint) {
  const int32_t id = call();
  connect_mute();
  rig.pass(5'100 * base::kMillisecond_ns, 100 * base::kMillisecond_ns);
  EXPECT_FALSE(client.peer->messages[id].has_headers);
  // The first endpoint is tried again meanwhile; the call waits for the second.
  for (const auto handle : std::vector(rig.wanted)) {
    if (rig.proxy->connections().find(handle)->endpoint->name == "127.0.0.1:1002") rig.connect(handle);
  }
  rig.run();
  EXPECT_EQ(Rig::calls(rig.upstream(1)).size(), 1u);
  EXPECT_EQ(rig.proxy->counters().retries, 0u) << "nothing was sent before";
}

// One that accepts none, however often it is asked, holds no call for ever.
TEST_F(GreetingOfTwo, ACallMeetsEachFailingEndpointOnce) {
  const int32_t id = call();
  rig.pass(9'900 * base::kMillisecond_ns, 100 * base::kMillisecond_ns);
  EXPECT_FALSE(client.peer->messages[id].has_headers);
  rig.pass(200 * base::kMillisecond_ns, 100 * base::kMillisecond_ns);
  EXPECT_EQ(value_of(client.peer->messages[id].headers, "grpc-status"), "14");
}

}  // namespace
}  // namespace ringway::proxy
