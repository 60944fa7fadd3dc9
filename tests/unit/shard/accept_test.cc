// Accepting at its limits: descriptors, connections.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "shard_rig.h"

namespace ringway::shard {
namespace {

// A process that may have a few more descriptors, all of which can be taken and given back. Made before the shards
// start: an accept that is armed goes by the limit of the moment in which it was.
class Descriptors {
 public:
  Descriptors() {
    EXPECT_EQ(getrlimit(RLIMIT_NOFILE, &before_), 0);
    const int lowest = dup(0);
    close(lowest);
    rlimit few = before_;
    few.rlim_cur = static_cast<rlim_t>(lowest + 100);
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  }
  Descriptors(const Descriptors&) = delete;
  Descriptors& operator=(const Descriptors&) = delete;
  ~Descriptors() { EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &before_), 0); }

  void take_all() {
    for (int fd = dup(0); fd >= 0; fd = dup(0)) taken_.emplace_back(fd);
    EXPECT_EQ(errno, EMFILE);
  }
  void give_back() { taken_.clear(); }

 private:
  rlimit before_{};
  std::vector<io::Fd> taken_;
};

class Accept : public testing::Test {
 protected:
  void expect_answer(Peer& client, int32_t id) {
    ASSERT_TRUE(rig.until("the answer", [&] { return ShardRig::is_answered(client, id); }));
  }
  Peer& add_served_client() {
    Peer& client = rig.add_client();
    expect_answer(client, ShardRig::call(client));
    return client;
  }

  Descriptors descriptors;
  ShardRig rig;
};

TEST_F(Accept, PausesWithoutDescriptorsAndResumes) {
  rig.start();
  Peer& early = add_served_client();
  // Connecting needs no descriptor, having a socket does.
  std::vector<Peer*> late;
  for (int i = 0; i < 3; ++i) late.push_back(&rig.add_client({.connects = false}));
  std::vector<int32_t> ids;
  descriptors.take_all();
  for (Peer* client : late) {
    rig.connect(*client);
    ids.push_back(ShardRig::call(*client));
  }
  ASSERT_TRUE(rig.until("the pause",
                        [&] { return rig.has_logged("out of descriptors, accepting again when there are some"); }));
  expect_answer(early, ShardRig::call(early));
  for (size_t i = 0; i < late.size(); ++i) EXPECT_FALSE(ShardRig::is_answered(*late[i], ids[i]));
  descriptors.give_back();
  for (size_t i = 0; i < late.size(); ++i) expect_answer(*late[i], ids[i]);
  ASSERT_TRUE(rig.drain());
  EXPECT_EQ(rig.shard().counters().accepts, 4u);
  EXPECT_GE(rig.shard().counters().accept_pauses, 1u);
  EXPECT_LT(rig.shard().counters().accept_pauses, 400u) << "a pause is no spin: ten a second";
}

TEST_F(Accept, PausesAgainWhileDescriptorsAreStillMissing) {
  rig.start();
  add_served_client();
  Peer& client = rig.add_client({.connects = false});
  descriptors.take_all();
  const uint64_t begin_ns = base::monotonic_ns();
  rig.connect(client);
  const int32_t id = ShardRig::call(client);
  ASSERT_TRUE(rig.until("the first pause", [&] { return rig.has_logged("out of descriptors"); }));
  const uint64_t end_ns = begin_ns + 250 * base::kMillisecond_ns;
  ASSERT_TRUE(rig.until("two more", [&] { return base::monotonic_ns() >= end_ns; }));
  descriptors.give_back();
  expect_answer(client, id);
  ASSERT_TRUE(rig.drain());
  EXPECT_GE(rig.shard().counters().accept_pauses, 2u);
  EXPECT_FALSE(rig.has_logged("out of descriptors", 2)) << "it is said once";
}

// At its own limit of sockets a shard takes nobody, serves who is there, and goes on when one has gone.
TEST_F(Accept, PausesAtTheLimitOfDescriptors) {
  rig.sockets_max = 3;
  rig.start();
  Peer& first = add_served_client();  // with the endpoint two
  add_served_client();
  Peer& third = rig.add_client();
  const int32_t id = ShardRig::call(third);
  ASSERT_TRUE(rig.until("the reason", [&] {
    return rig.has_logged("no further clients are accepted until some have gone (limits.descriptors)");
  }));
  for (int i = 0; i < 20; ++i) expect_answer(first, ShardRig::call(first));
  EXPECT_FALSE(ShardRig::is_answered(third, id));
  first.close();
  expect_answer(third, id);
  ASSERT_TRUE(rig.drain());
  EXPECT_EQ(rig.shard().proxy().limit_hits()[static_cast<size_t>(h2::LimitKind::kDescriptors)], 2u);
}

TEST_F(Accept, ConnectionsOfOneSourceHaveALimit) {
  rig.snapshot.limits.per_source = 2;
  rig.start();
  Peer& first = add_served_client();
  add_served_client();
  Peer& third = rig.add_client();
  ASSERT_TRUE(rig.until("the end of the third", [&] { return third.has_ended; }));
  ASSERT_TRUE(rig.until("the reason", [&] {
    return rig.has_logged("client 127.0.0.1: connection refused: 2 are open from this address (limits.per_source)");
  }));
  first.close();
  ASSERT_TRUE(rig.until("its end is noticed", [&] { return rig.placement->count(0) == 1; }));
  add_served_client();
  EXPECT_EQ(rig.placement->sources.size(), 1u);
}

TEST_F(Accept, PausesUnderPressureOfMemory) {
  rig.start();
  Peer& early = add_served_client();
  rig.press(proxy::Pressure::kAcceptNone);
  ASSERT_TRUE(rig.until("the pause", [&] { return rig.has_logged("no clients are accepted until memory is free"); }));
  Peer& late = rig.add_client();
  const int32_t id = ShardRig::call(late);
  ASSERT_TRUE(rig.until("the early client is asked to go", [&] { return early.session.goaway_count != 0; }));
  EXPECT_FALSE(ShardRig::is_answered(late, id));
  rig.press(proxy::Pressure::kNone);
  expect_answer(late, id);
}

TEST_F(Accept, AnUpstreamConnectionWithoutADescriptorIsAnEndpointThatCannotBeReached) {
  rig.start();
  Peer& client = rig.add_client();
  ASSERT_TRUE(rig.round_trip(client));
  const size_t count = open_descriptors();
  descriptors.take_all();
  int32_t id = ShardRig::call(client);
  ASSERT_TRUE(rig.until("the answer", [&] { return ShardRig::status_of(client, id) == "14"; }));
  descriptors.give_back();
  const std::string message = proxy::value_of(client.session.messages[id].headers, "grpc-message");
  EXPECT_NE(message.find("too many open files in this process"), std::string::npos) << message;
  // Behind its back-off the endpoint is tried again.
  ASSERT_TRUE(rig.until("an answer", [&] {
    if (ShardRig::status_of(client, id) == "14") id = ShardRig::call(client);
    return ShardRig::is_answered(client, id);
  }));
  EXPECT_EQ(open_descriptors(), count + 2) << "both ends of the one connection to the endpoint";
}

TEST_F(Accept, BeyondTheLimitOfConnectionsAClientIsClosedAndTheOthersAreServed) {
  rig.snapshot.limits.connections = 2;
  rig.start();
  Peer& first = add_served_client();
  add_served_client();
  Peer& third = rig.add_client();
  ASSERT_TRUE(rig.until("the end of the third", [&] { return third.has_ended; }));
  ASSERT_TRUE(
      rig.until("the reason", [&] { return rig.has_logged("connection refused: 2 are open (limits.connections)"); }));
  EXPECT_EQ(rig.placement->count(0), 2u) << "it was charged, and is discharged";
  first.close();
  ASSERT_TRUE(rig.until("its end is noticed", [&] { return rig.placement->count(0) == 1; }));
  add_served_client();
}

// The kernel has taken them before the listener closed: they are served, and then told to go.
TEST_F(Accept, ADrainServesWhatIsInTheBacklog) {
  std::vector<int32_t> ids;
  for (int i = 0; i < 5; ++i) ids.push_back(ShardRig::call(rig.add_client()));
  ASSERT_TRUE(rig.until("the requests to leave", [&] {
    return std::ranges::all_of(rig.clients, [](const Peer& client) { return client.sent_bytes != 0; });
  }));
  rig.start();
  ASSERT_TRUE(rig.drain());
  EXPECT_EQ(rig.shard().proxy().counters().downstream_connections, 5u);
  for (size_t i = 0; i < ids.size(); ++i) {
    EXPECT_TRUE(ShardRig::is_answered(rig.clients[i], ids[i])) << i;
    EXPECT_GE(rig.clients[i].session.goaway_count, 1u);
    EXPECT_EQ(rig.clients[i].error, 0) << "an orderly end";
  }
}

}  // namespace
}  // namespace ringway::shard
