// An endpoint that holds all the streams it grants and refuses further connections, beside one that is well.
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "rig.h"

namespace ringway::proxy {
namespace {

class FullEndpoint : public testing::Test {
 protected:
  explicit FullEndpoint(uint32_t endpoints = 2) : rig(Rig::plain_snapshot(endpoints)), client(rig.add_client()) {
    rig.endpoint_options.settings = {{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 1}};
    call();
    rig.endpoint_options = {};
    if (endpoints > 1) {
      call();
      rig.answer(1);
    }
    rig.connects = false;
  }

  int32_t call() {
    const int32_t id = client.peer->send_request(grpc_request(), grpc_message(3), true);
    rig.run();
    return id;
  }
  void refuse_wanted() {
    for (const auto handle : std::exchange(rig.wanted, {})) rig.refuse(handle);
    rig.run();
  }
  // A connect that is tried meanwhile is refused.
  void pass_refusing(uint64_t duration_ns) {
    for (const uint64_t end_ns = rig.now_ns + duration_ns; rig.now_ns < end_ns;) {
      rig.pass(base::kMillisecond_ns);
      refuse_wanted();
    }
  }
  const Nghttp2Peer::Message& message(int32_t id) { return client.peer->messages[id]; }
  std::string status_of(int32_t id) {
    return value_of(message(id).trailers.empty() ? message(id).headers : message(id).trailers, "grpc-status");
  }

  Rig rig;
  Link& client;
};

TEST_F(FullEndpoint, CallsThatWaitForItGoElsewhereWhenItRefuses) {
  std::vector<int32_t> ids;
  for (int i = 0; i < 6; ++i) ids.push_back(call());
  EXPECT_EQ(Rig::calls(rig.upstream(1)).size(), 3u);
  refuse_wanted();
  EXPECT_EQ(Rig::calls(rig.upstream(1)).size(), 6u);
  rig.answer(1);
  for (const int32_t id : ids) EXPECT_EQ(status_of(id), "0") << id;
}

TEST_F(FullEndpoint, LaterCallsGoElsewhereAtOnce) {
  call();
  call();
  refuse_wanted();
  for (size_t i = 0; i < 10; ++i) {
    call();
    EXPECT_EQ(Rig::calls(rig.upstream(1)).size(), 3 + i);
  }
}

TEST_F(FullEndpoint, IsTriedAgainAndTakesCallsAgain) {
  call();
  call();
  refuse_wanted();
  rig.pass(100 * base::kMillisecond_ns);
  EXPECT_TRUE(rig.wanted.empty()) << "nobody waits for it";
  call();
  call();
  ASSERT_EQ(rig.wanted.size(), 1u) << "a call that went elsewhere has it tried";
  rig.connect(std::exchange(rig.wanted, {})[0]);
  rig.run();
  const size_t before = Rig::calls(rig.upstream(1)).size();
  call();
  call();
  EXPECT_EQ(Rig::calls(rig.upstream(0)).size(), 1u);
  EXPECT_EQ(Rig::calls(rig.upstream(1)).size(), before + 1);
}

TEST_F(FullEndpoint, AStreamThatItGivesBackIsUsed) {
  call();
  call();
  refuse_wanted();
  rig.answer(0);
  call();
  call();
  EXPECT_EQ(Rig::calls(rig.upstream(0)).size(), 1u);
}

class OnlyEndpointFull : public FullEndpoint {
 protected:
  OnlyEndpointFull() : FullEndpoint(1) {}
};

TEST_F(OnlyEndpointFull, CallsWaitForItsStreamsForATime) {
  const uint64_t patience_ns = 2 * rig.snapshot.clusters[0].connect_timeout_ns;
  const int32_t early = call();
  pass_refusing(patience_ns / 2);
  const int32_t late = call();
  rig.answer(0);
  ASSERT_EQ(Rig::calls(rig.upstream(0)).size(), 1u) << "a stream that has become free";
  pass_refusing(patience_ns / 2 + base::kSecond_ns);
  EXPECT_FALSE(message(early).is_closed);
  EXPECT_FALSE(message(late).is_closed);
  pass_refusing(patience_ns);
  EXPECT_EQ(status_of(late), "14");
  EXPECT_EQ(value_of(message(late).headers, "grpc-message"),
            "all streams of endpoint 127.0.0.1:1001 are in use for 10s (twice connect_timeout), and no further "
            "connection: endpoint 127.0.0.1:1001: connection refused");
  rig.answer(0);
  EXPECT_EQ(status_of(early), "0");
}

}  // namespace
}  // namespace ringway::proxy
