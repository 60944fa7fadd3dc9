// The way out of a socket, whatever it is busy with: it closes when its last completion has come, and not before; the
// shard goes on as if nothing had been.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "shard_rig.h"

namespace ringway::shard {
namespace {

constexpr int kSmallBuffer = 16 * 1024;
// Half of what the shard's sockets wait for an acknowledgement (TCP_USER_TIMEOUT): what is over by then was ended.
constexpr uint64_t kTcpPatience_ns = 10 * base::kSecond_ns;

class Teardown : public testing::Test {
 protected:
  Teardown() { rig.let_sockets_block(kSmallBuffer); }

  // A client with one answered call, so that the connection to the endpoint is there; from here on descriptors count.
  void start(uint32_t shards = 1) {
    rig.start(shards);
    witness = &rig.add_client();
    expect_service();
    descriptors = open_descriptors();
  }
  void expect_service() {
    const int32_t id = ShardRig::call(*witness);
    ASSERT_TRUE(rig.until("an answer for a client that stays", [&] { return ShardRig::is_answered(*witness, id); }));
  }
  [[nodiscard]] bool until_closed() {
    return rig.until("the shard closes its socket", [&] { return open_descriptors() == descriptors; });
  }
  // A client that does not read, to which a response is being sent that its socket does not hold.
  Peer& add_blocked_client() {
    Peer& client = rig.add_client({.receive_buffer_bytes = kSmallBuffer, .window_bytes = ShardRig::kLargeWindow});
    client.reads = false;
    rig.echoes = false;
    ShardRig::call(client);
    Nghttp2Peer& endpoint = rig.upstream().session;
    EXPECT_TRUE(rig.until("the request", [&] {
      return endpoint.messages.rbegin()->second.body == "hello" && !endpoint.messages.rbegin()->second.is_closed;
    }));
    blocked_id = endpoint.messages.rbegin()->first;
    endpoint.send_response(blocked_id, proxy::kGrpcResponse, pattern(1 << 20), proxy::kGrpcOk);
    rig.upstream().answered.insert(blocked_id);
    // The first answer follows the whole response; in the next turn the socket's refusal is known, and in the one after
    // the rest waits in the kernel.
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(rig.round_trip(rig.upstream()));
    rig.echoes = true;
    return client;
  }

  ShardRig rig;
  Peer* witness = nullptr;
  size_t descriptors = 0;
  int32_t blocked_id = 0;
};

class ClientGoes : public Teardown, public testing::WithParamInterface<bool> {};
INSTANTIATE_TEST_SUITE_P(ByCloseOrReset, ClientGoes, testing::Bool());

TEST_P(ClientGoes, DuringABlockedSend) {
  start();
  Peer& client = add_blocked_client();
  client.close(GetParam());
  ASSERT_TRUE(until_closed());
  expect_service();
  ASSERT_TRUE(rig.drain());
  EXPECT_GE(rig.shard().counters().short_sends, 1u);
  EXPECT_EQ(rig.shard().ring_counters().overflows, 0u);
  EXPECT_EQ(rig.placement->count(0), 0u);
}

// Nothing more comes of it, and it takes nothing: only a cancel ends the send before TCP itself gives up.
TEST_F(Teardown, AClientThatEndsItsSideDuringABlockedSendIsLetGo) {
  start();
  Peer& client = add_blocked_client();
  const uint64_t begin_ns = base::monotonic_ns();
  ASSERT_EQ(shutdown(client.fd.get(), SHUT_WR), 0);
  ASSERT_TRUE(rig.until("the shard closes its socket", [&] { return open_descriptors() == descriptors + 1; }));
  EXPECT_LT(base::monotonic_ns() - begin_ns, kTcpPatience_ns);
  client.reads = true;
  ASSERT_TRUE(rig.until("the end", [&] { return client.has_ended; }));
  EXPECT_FALSE(ShardRig::is_answered(client, 1, pattern(1 << 20)));
  expect_service();
}

TEST_P(ClientGoes, BeforeItHasSaidAnything) {
  start();
  for (int i = 0; i < 50; ++i) rig.add_client().close(GetParam());
  ASSERT_TRUE(rig.until("all are accepted and gone", [&] { return rig.placement->count(0) == 1; }));
  ASSERT_TRUE(until_closed());
  expect_service();
}

TEST_P(ClientGoes, WithCallsInFlight) {
  start();
  rig.echoes = false;
  for (int i = 0; i < 20; ++i) {
    Peer& client = rig.add_client();
    for (int call = 0; call < 5; ++call) ShardRig::call(client);
    ASSERT_TRUE(rig.round_trip(client));
    client.close(GetParam());
  }
  ASSERT_TRUE(until_closed());
  ASSERT_TRUE(rig.until("the endpoint hears of every one", [&] {
    size_t cancelled = 0;
    for (const auto& [id, message] : rig.upstream().session.messages) {
      cancelled += message.is_closed && message.close_code == NGHTTP2_CANCEL ? 1 : 0;
    }
    return cancelled == 100;
  }));
  rig.echoes = true;
  expect_service();
}

// Closed before anything could be read back: the answer meets a reset.
TEST_P(ClientGoes, RightBehindItsRequest) {
  start();
  for (int i = 0; i < 50; ++i) {
    Peer& client = rig.add_client();
    ShardRig::call(client, pattern(1000));
    ASSERT_TRUE(rig.until("the request to leave", [&] { return client.sent_bytes > 1000 && client.has_sent_all(); }));
    client.close(GetParam());
  }
  ASSERT_TRUE(rig.until("all are gone", [&] { return rig.placement->count(0) == 1; }));
  ASSERT_TRUE(until_closed());
  expect_service();
}

// DATA on stream 0 is a connection error (RFC 9113 section 6.1): GOAWAY goes behind what is queued, then the end.
const std::string kBadForTheConnection(9, '\0');

TEST_F(Teardown, QueuedOutputLeavesBeforeTheEnd) {
  start();
  Peer& client = add_blocked_client();
  client.raw = kBadForTheConnection;
  ASSERT_TRUE(rig.until("the error to leave", [&] { return client.raw.empty() && client.has_sent_all(); }));
  client.reads = true;
  ASSERT_TRUE(rig.until("the end", [&] { return client.has_ended; }));
  EXPECT_EQ(client.error, 0) << "an end and no reset";
  EXPECT_EQ(client.session.goaway_count, 1u);
  EXPECT_EQ(client.session.goaway_code, uint32_t{NGHTTP2_PROTOCOL_ERROR});
  const std::string& received = client.session.messages.at(1).body;
  EXPECT_GT(received.size(), size_t{kSmallBuffer});
  EXPECT_EQ(received, pattern(1 << 20).substr(0, received.size())) << "without a gap";
  ASSERT_TRUE(until_closed());
  expect_service();
}

TEST_F(Teardown, APeerThatDoesNotReadItsGoawayIsCutOffAfterAMoment) {
  start();
  Peer& client = add_blocked_client();
  client.raw = kBadForTheConnection;
  ASSERT_TRUE(rig.until("the shard gives up", [&] { return open_descriptors() == descriptors + 1; }));
  EXPECT_EQ(rig.placement->count(0), 1u);
  // The memory of the send that was cut off serves others now: nothing of theirs may reach the client.
  for (int i = 0; i < 10; ++i) {
    const std::string body(100'000, 'z');
    const int32_t id = ShardRig::call(*witness, body);
    ASSERT_TRUE(rig.until("an answer", [&] { return ShardRig::is_answered(*witness, id, body); }));
  }
  client.reads = true;
  ASSERT_TRUE(rig.until("the end", [&] { return client.has_ended; }));
  const std::string& received = client.session.messages[1].body;
  EXPECT_EQ(received, pattern(1 << 20).substr(0, received.size()));
  expect_service();
}

TEST_F(Teardown, ADrainWithABlockedSendWaitsForTheReader) {
  start();
  Peer& client = add_blocked_client();
  rig.post(0, MessageKind::kDrain);
  ASSERT_TRUE(rig.until("the other client goes", [&] { return witness->has_ended; }));
  client.reads = true;
  ASSERT_TRUE(rig.drain());
  ASSERT_TRUE(rig.until("the end", [&] { return client.has_ended; }));
  EXPECT_TRUE(ShardRig::is_answered(client, 1, pattern(1 << 20)));
}

TEST_F(Teardown, TheEndOfADrainCutsABlockedSendOff) {
  start();
  Peer& client = add_blocked_client();
  rig.post(0, MessageKind::kDrain);
  ASSERT_TRUE(rig.drain(MessageKind::kEndDrain));
  EXPECT_EQ(rig.shard().proxy().downstream_count(), 0u);
  EXPECT_EQ(rig.placement->count(0), 0u);
  client.reads = true;
  ASSERT_TRUE(rig.until("the end", [&] { return client.has_ended; }));
  EXPECT_FALSE(ShardRig::is_answered(client, 1, pattern(1 << 20)));
}

class EndpointGoes : public Teardown, public testing::WithParamInterface<bool> {};
INSTANTIATE_TEST_SUITE_P(ByCloseOrReset, EndpointGoes, testing::Bool());

TEST_P(EndpointGoes, DuringABlockedSend) {
  rig.let_endpoints_block(kSmallBuffer);
  start();
  rig.upstream().reads = false;
  const int32_t id = ShardRig::call(*witness, pattern(8 << 20));
  // Each turn takes another 128 KiB of it, until the socket refuses.
  for (int i = 0; i < 80; ++i) ASSERT_TRUE(rig.round_trip(*witness));
  ASSERT_TRUE(witness->has_sent_all());
  rig.upstream().close(GetParam());
  ASSERT_TRUE(rig.until("the reason", [&] { return ShardRig::status_of(*witness, id) == "14"; }));
  ASSERT_TRUE(rig.until("the next connection", [&] { return rig.upstreams.size() == 2; }));
  ASSERT_TRUE(until_closed());
  expect_service();
  ASSERT_TRUE(rig.drain());
  EXPECT_GE(rig.shard().counters().short_sends, 1u);
}

// In the same moment in which the shard learns that it is connected, or soon after.
TEST_P(EndpointGoes, RightBehindTheHandshake) {
  rig.accepts = false;
  rig.start();
  witness = &rig.add_client();
  for (int i = 0; i < 50; ++i) {
    const int32_t id = ShardRig::call(*witness);
    ASSERT_TRUE(rig.until("a connection, or a reason", [&] {
      const int fd = accept4(rig.endpoint_listeners[0].get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
      if (fd >= 0) Peer(h2::Role::kServer, io::Fd(fd), {}).close(GetParam());
      return ShardRig::status_of(*witness, id) == "14";
    }));
  }
  rig.accepts = true;
  int32_t id = ShardRig::call(*witness);
  ASSERT_TRUE(rig.until("an answer", [&] {
    if (ShardRig::status_of(*witness, id) == "14") id = ShardRig::call(*witness);
    return ShardRig::is_answered(*witness, id);
  }));
  EXPECT_EQ(rig.upstreams.size(), 1u);
}

// A listener whose queue is full leaves connects unanswered.
class Connecting : public Teardown {
 protected:
  void SetUp() override {
    rig.accepts = false;
    const int endpoint = rig.endpoint_listeners[0].get();
    ASSERT_EQ(listen(endpoint, 0), 0);
    // A backlog of 0 holds one connection; whoever comes next waits.
    held = io::Fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const io::Address address = io::local_address(rig.endpoint_listeners[0]);
    ASSERT_EQ(::connect(held.get(), address.data(), address.size()), 0);
  }
  void start_and_call() {
    rig.start();
    witness = &rig.add_client();
    ASSERT_TRUE(rig.round_trip(*witness));
    descriptors = open_descriptors();
    id = ShardRig::call(*witness);
    ASSERT_TRUE(rig.round_trip(*witness));
    ASSERT_TRUE(rig.round_trip(*witness));
    ASSERT_EQ(open_descriptors(), descriptors + 1) << "the socket that connects";
  }

  io::Fd held;
  int32_t id = 0;
};

TEST_F(Connecting, TakesNoLongerThanItsTimeout) {
  rig.snapshot.clusters[0].connect_timeout_ns = 100 * base::kMillisecond_ns;
  start_and_call();
  const uint64_t begin_ns = base::monotonic_ns();
  ASSERT_TRUE(rig.until("the reason", [&] { return ShardRig::status_of(*witness, id) == "14"; }));
  const std::string message = proxy::value_of(witness->session.messages[id].headers, "grpc-message");
  EXPECT_NE(message.find("did not answer the connect (connect_timeout 100ms)"), std::string::npos) << message;
  // It is tried again, with pauses between.
  ASSERT_TRUE(until_closed());
  EXPECT_LT(base::monotonic_ns() - begin_ns, kTcpPatience_ns) << "the connect is cancelled";
  ASSERT_TRUE(rig.round_trip(*witness));
}

TEST_F(Connecting, EndsWithARefusal) {
  start_and_call();
  // The next SYN, which the kernel repeats after a second, is answered by a reset.
  rig.endpoint_listeners[0].close();
  held.close();
  descriptors -= 2;
  ASSERT_TRUE(rig.until("the reason", [&] { return ShardRig::status_of(*witness, id) == "14"; }));
  const std::string message = proxy::value_of(witness->session.messages[id].headers, "grpc-message");
  EXPECT_NE(message.find("connection refused"), std::string::npos) << message;
  ASSERT_TRUE(until_closed());
}

TEST_F(Connecting, WithoutTheClientThatAskedForItGoesOnForTheNext) {
  start_and_call();
  witness->close();
  descriptors -= 2;
  ASSERT_TRUE(rig.until("its end", [&] { return rig.placement->count(0) == 0; }));
  EXPECT_EQ(open_descriptors(), descriptors + 1) << "the connect goes on";
  witness = &rig.add_client();
  id = ShardRig::call(*witness);
  rig.accepts = true;
  ASSERT_TRUE(rig.until("an answer", [&] { return ShardRig::is_answered(*witness, id); }));
}

TEST_F(Connecting, DoesNotHoldUpTheEndOfADrain) {
  start_and_call();
  rig.post(0, MessageKind::kDrain);
  ASSERT_TRUE(rig.drain(MessageKind::kEndDrain));
  ASSERT_TRUE(rig.until("the end", [&] { return witness->has_ended; }));
  EXPECT_EQ(ShardRig::status_of(*witness, id), "14");
  EXPECT_EQ(proxy::value_of(witness->session.messages[id].headers, "grpc-message"), "the proxy is shutting down");
}

}  // namespace
}  // namespace ringway::shard
