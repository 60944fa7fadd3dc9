// What a client's connection owes while it is open, each at its limit, in time that passes when told.
#include <gtest/gtest.h>

#include <algorithm>

#include "config/limits.h"
#include "h2/frame.h"
#include "rig.h"
#include "wire.h"

namespace ringway::proxy {
namespace {

constexpr uint64_t kMs = base::kMillisecond_ns;
constexpr uint32_t kNoWindow[] = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0};

class DownstreamWatch : public testing::Test {
 protected:
  static config::Snapshot watchful_snapshot() {
    config::Snapshot snapshot = Rig::plain_snapshot(1);
    config::Limits& limits = snapshot.limits;
    limits.preface_timeout_ns = 50 * kMs;
    limits.header_timeout_ns = 70 * kMs;
    limits.idle_timeout_ns = 200 * kMs;
    limits.connection_age_ns = 1000 * kMs;
    limits.early_resets = 10;
    limits.resets = 30;
    return snapshot;
  }

  Link& add_client() {
    Link& client = rig.add_client();
    rig.run();
    return client;
  }
  Link& add_stalled_client() {
    Link& client = rig.add_client("192.0.2.7:40001", {.settings = {{kNoWindow[0], kNoWindow[1]}}});
    rig.run();
    return client;
  }
  Connection& connection_of(Link& link) { return *rig.proxy->connections().find(link.handle); }
  bool is_closed(base::Handle<Connection> handle) {
    const Connection* connection = rig.proxy->connections().find(handle);
    return connection == nullptr || connection->state == ConnectionState::kClosing;
  }
  // A connection whose client has not said anything.
  base::Handle<Connection> accept_silent() {
    return rig.proxy->accept(0, *io::Address::parse("192.0.2.9:40003"), rig.now_ns)->handle;
  }
  // Octets as they come from the socket, behind the client's own.
  void feed(Link& link, std::string_view bytes) {
    rig.proxy->receive(connection_of(link), {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}, rig.now_ns);
  }
  int32_t call(Link& client) {
    const int32_t id = client.peer->send_request(grpc_request(), grpc_message(3), true);
    rig.run();
    return id;
  }
  void answer_all(size_t size) {
    Link& upstream = rig.upstream(0);
    for (const int32_t id : Rig::calls(upstream)) {
      upstream.peer->send_response(id, kGrpcResponse, grpc_message(size), kGrpcOk);
    }
    rig.run();
  }
  uint64_t hits(h2::LimitKind kind) const { return rig.proxy->limit_hits()[static_cast<size_t>(kind)]; }

  Rig rig{watchful_snapshot()};
};

// Counters and log lines name a limit as the configuration does. Stream ids alone are bounded by the RFC.
TEST(LimitKeys, StandInTheTable) {
  for (size_t kind = 0; kind < static_cast<size_t>(h2::LimitKind::kCount); ++kind) {
    const std::string_view key = h2::key_of(static_cast<h2::LimitKind>(kind));
    const bool is_configured = std::ranges::find(config::kLimits, key, &config::Limit::key) != config::kLimits.end();
    EXPECT_EQ(is_configured, static_cast<h2::LimitKind>(kind) != h2::LimitKind::kStreamIds) << key;
  }
}

TEST_F(DownstreamWatch, AClientThatSaysNothingIsClosed) {
  const auto handle = accept_silent();
  rig.pass(49 * kMs);
  EXPECT_FALSE(is_closed(handle));
  rig.pass(3 * kMs);
  EXPECT_TRUE(is_closed(handle));
  EXPECT_EQ(hits(h2::LimitKind::kPrefaceTimeout), 1u);
}

TEST_F(DownstreamWatch, HalfAPrefaceIsNone) {
  const auto handle = accept_silent();
  for (size_t i = 0; i < h2::kPreface.size() && !is_closed(handle); ++i) {
    const auto* const octet = reinterpret_cast<const uint8_t*>(h2::kPreface.data()) + i;
    rig.proxy->receive(*rig.proxy->connections().find(handle), {octet, 1}, rig.now_ns);
    rig.pass(3 * kMs);
  }
  EXPECT_TRUE(is_closed(handle));
  EXPECT_EQ(hits(h2::LimitKind::kPrefaceTimeout), 1u) << "24 octets at 3 ms each are too slow";
}

TEST_F(DownstreamWatch, AFrameThatIsBegunIsToBeEnded) {
  Link& client = add_client();
  const std::string ping = h2::wire::ping("12345678");
  for (size_t i = 0; i + 1 < ping.size(); ++i) {
    feed(client, ping.substr(i, 1));
    rig.pass(4 * kMs);
    ASSERT_FALSE(is_closed(client.handle)) << i;
  }
  // 64 ms have passed.
  rig.pass(8 * kMs);
  EXPECT_TRUE(is_closed(client.handle));
  EXPECT_EQ(hits(h2::LimitKind::kHeaderTimeout), 1u);
}

TEST_F(DownstreamWatch, AHeaderBlockThatIsBegunIsToBeEnded) {
  Link& client = add_client();
  feed(client, h2::wire::frame(h2::FrameType::kHeaders, 0, 1, "\x82"));
  rig.pass(40 * kMs);
  feed(client, h2::wire::frame(h2::FrameType::kContinuation, 0, 1, "\x82"));
  rig.pass(28 * kMs);
  EXPECT_FALSE(is_closed(client.handle));
  rig.pass(5 * kMs);
  EXPECT_TRUE(is_closed(client.handle));
  EXPECT_EQ(hits(h2::LimitKind::kHeaderTimeout), 1u);
}

TEST_F(DownstreamWatch, FramesInPiecesAreFine) {
  Link& client = add_client();
  const std::string ping = h2::wire::ping("12345678");
  for (int i = 0; i < 20; ++i) {
    feed(client, ping.substr(0, 5));
    rig.pass(30 * kMs);
    feed(client, ping.substr(5));
    rig.pass(1 * kMs);
  }
  EXPECT_EQ(connection_of(client).state, ConnectionState::kOpen);
  EXPECT_EQ(hits(h2::LimitKind::kHeaderTimeout), 0u);
}

// Every read ends inside a frame, and another each time.
TEST_F(DownstreamWatch, FramesThatReadsCutAreFine) {
  Link& client = add_client();
  const std::string ping = h2::wire::ping("12345678");
  feed(client, ping.substr(0, 5));
  for (int i = 0; i < 20; ++i) {
    rig.pass(30 * kMs);
    feed(client, ping.substr(5) + ping.substr(0, 5));
  }
  EXPECT_EQ(connection_of(client).state, ConnectionState::kOpen);
  EXPECT_EQ(hits(h2::LimitKind::kHeaderTimeout), 0u);
  rig.pass(68 * kMs);
  EXPECT_EQ(connection_of(client).state, ConnectionState::kOpen);
  rig.pass(5 * kMs);
  EXPECT_TRUE(is_closed(client.handle)) << "the last of them";
}

TEST_F(DownstreamWatch, ABlockBeginsWithTheFirstOctetOfItsFirstFrame) {
  const std::string headers = h2::wire::frame(h2::FrameType::kHeaders, 0, 1, "\x82");
  const std::string more = h2::wire::frame(h2::FrameType::kContinuation, 0, 1, "\x82");
  Link& client = add_client();
  feed(client, headers.substr(0, 3));
  for (const std::string& next : {headers.substr(3) + more.substr(0, 3), more.substr(3)}) {
    rig.pass(30 * kMs);
    feed(client, next);
  }
  rig.pass(8 * kMs);
  EXPECT_FALSE(is_closed(client.handle));
  rig.pass(5 * kMs);
  EXPECT_TRUE(is_closed(client.handle));
}

TEST_F(DownstreamWatch, AShortLimitDoesNotWaitForALongOne) {
  rig.snapshot.limits.preface_timeout_ns = 5000 * kMs;
  Link& idle = add_client();
  rig.pass(205 * kMs);
  EXPECT_EQ(hits(h2::LimitKind::kIdleTimeout), 1u);
  rig.snapshot.limits.idle_timeout_ns = 0;
  Link& old = add_client();
  call(old);
  rig.pass(1110 * kMs, 5 * kMs);
  EXPECT_EQ(hits(h2::LimitKind::kConnectionAge), 1u);
  // Their SETTINGS come later than their prefaces.
  rig.snapshot.limits.connection_age_ns = 100 * kMs;
  Link& slow = *rig.add_raw_client();
  rig.say(slow, h2::kPreface);
  rig.pass(150 * kMs);
  EXPECT_EQ(hits(h2::LimitKind::kConnectionAge), 1u);
  rig.say(slow, h2::wire::settings());
  rig.pass(3 * kMs);
  EXPECT_EQ(hits(h2::LimitKind::kConnectionAge), 2u);
  EXPECT_TRUE(is_closed(idle.handle));
}

TEST_F(DownstreamWatch, AnIdleClientIsAskedToGo) {
  Link& client = add_client();
  call(client);
  answer_all(3);
  rig.pass(198 * kMs);
  EXPECT_EQ(client.peer->goaway_count, 0u);
  rig.pass(5 * kMs);
  EXPECT_EQ(client.peer->goaway_count, 1u);
  EXPECT_EQ(client.of_type(NGHTTP2_PING).size(), 1u);
  EXPECT_EQ(client.peer->goaway_last_id, 0x7fffffff) << "calls that cross it are served";
  EXPECT_FALSE(is_closed(client.handle));
  // A session of nghttp2 without streams does not answer the PING any more.
  rig.pass(1005 * kMs, 5 * kMs);
  EXPECT_TRUE(is_closed(client.handle));
  EXPECT_EQ(client.of_type(NGHTTP2_GOAWAY).size(), 2u);
  EXPECT_EQ(client.peer->goaway_code, static_cast<uint32_t>(h2::ErrorCode::kNoError));
  EXPECT_EQ(hits(h2::LimitKind::kIdleTimeout), 1u);
}

TEST_F(DownstreamWatch, ACallKeepsItsConnectionFromBeingIdle) {
  Link& client = add_client();
  const int32_t id = call(client);
  rig.pass(800 * kMs, 10 * kMs);
  EXPECT_EQ(client.peer->goaway_count, 0u);
  answer_all(3);
  EXPECT_TRUE(client.peer->messages[id].has_ended);
  // Idle since the call, which the client began long ago; what it says last is the credit for the answer.
  rig.pass(210 * kMs);
  EXPECT_EQ(client.peer->goaway_count, 1u);
}

TEST_F(DownstreamWatch, AnOldClientIsAskedToGoAndItsCallsEnd) {
  Link& client = add_client();
  const int32_t id = call(client);
  rig.pass(895 * kMs, 5 * kMs);
  EXPECT_EQ(client.peer->goaway_count, 0u);
  rig.pass(210 * kMs, 5 * kMs);
  EXPECT_EQ(client.peer->goaway_count, 2u);
  EXPECT_EQ(hits(h2::LimitKind::kConnectionAge), 1u);
  EXPECT_FALSE(client.peer->messages[id].is_closed);
  answer_all(3);
  EXPECT_EQ(value_of(client.peer->messages[id].trailers, "grpc-status"), "0");
  rig.pass(5 * kMs);
  EXPECT_TRUE(is_closed(client.handle));
}

TEST_F(DownstreamWatch, ConnectionsOfOneMomentDoNotAllGoTogether) {
  std::vector<Link*> clients;
  for (int i = 0; i < 10; ++i) {
    clients.push_back(&add_client());
    call(*clients.back());
  }
  uint32_t most = 0;
  uint32_t before = 0;
  for (int step = 0; step < 60; ++step) {
    rig.pass(20 * kMs, 5 * kMs);
    uint32_t gone = 0;
    for (const Link* client : clients) gone += client->peer->goaway_count != 0;
    most = std::max(most, gone - before);
    before = gone;
  }
  EXPECT_EQ(before, 10u);
  EXPECT_LE(most, 6u) << "within 20 ms of the 200 that they are spread over";
}

// Resets within a second and before a response are what an attacker gets for nothing.
TEST_F(DownstreamWatch, EarlyResetsHaveALimit) {
  Link& client = add_client();
  for (int i = 0; i < 10; ++i) {
    const int32_t id = call(client);
    nghttp2_submit_rst_stream(client.peer->session(), NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
    rig.run();
    ASSERT_EQ(client.peer->goaway_count, 0u) << i;
  }
  const int32_t id = call(client);
  nghttp2_submit_rst_stream(client.peer->session(), NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
  rig.run();
  EXPECT_EQ(client.peer->goaway_code, static_cast<uint32_t>(h2::ErrorCode::kEnhanceYourCalm));
  EXPECT_EQ(hits(h2::LimitKind::kEarlyResets), 1u);
}

TEST_F(DownstreamWatch, ResetsOfCallsThatHadTheirTimeAreNotEarly) {
  rig.snapshot.limits.idle_timeout_ns = rig.snapshot.limits.connection_age_ns = 0;
  Link& client = add_client();
  std::vector<int32_t> ids;
  for (int i = 0; i < 30; ++i) ids.push_back(call(client));
  rig.pass(1000 * kMs, 100 * kMs);
  for (const int32_t id : ids) {
    nghttp2_submit_rst_stream(client.peer->session(), NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
  }
  rig.run();
  EXPECT_EQ(client.peer->goaway_count, 0u);
  EXPECT_EQ(hits(h2::LimitKind::kEarlyResets), 0u);
  const int32_t id = call(client);
  rig.pass(1000 * kMs, 100 * kMs);
  nghttp2_submit_rst_stream(client.peer->session(), NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
  rig.run();
  EXPECT_EQ(client.peer->goaway_count, 0u) << "one came back in that second";
}

class StalledReaders : public DownstreamWatch {
 protected:
  StalledReaders() {
    rig.snapshot.limits.idle_timeout_ns = rig.snapshot.limits.connection_age_ns = 0;
    rig.snapshot.limits.stall_timeout_ns = 400 * kMs;
  }
  void open_window(Link& client, int32_t id, int32_t bytes) {
    nghttp2_submit_window_update(client.peer->session(), NGHTTP2_FLAG_NONE, id, bytes);
    rig.run();
  }
};

TEST_F(StalledReaders, ACallThatIsNotReadIsReset) {
  Link& client = add_stalled_client();
  const int32_t id = call(client);
  answer_all(5000);
  rig.pass(395 * kMs, 5 * kMs);
  EXPECT_FALSE(client.peer->messages[id].is_closed);
  rig.pass(110 * kMs, 5 * kMs);
  EXPECT_TRUE(client.peer->messages[id].is_closed);
  EXPECT_EQ(client.peer->messages[id].close_code, static_cast<uint32_t>(h2::ErrorCode::kEnhanceYourCalm));
  EXPECT_EQ(hits(h2::LimitKind::kStallTimeout), 1u);
}

TEST_F(StalledReaders, DripsOfCreditDoNotKeepACall) {
  Link& client = add_stalled_client();
  const int32_t id = call(client);
  answer_all(5000);
  // An octet every 10 ms is a tenth of a KiB a second.
  for (int i = 0; i < 60 && !client.peer->messages[id].is_closed; ++i) {
    open_window(client, id, 1);
    rig.pass(10 * kMs, 5 * kMs);
  }
  EXPECT_TRUE(client.peer->messages[id].is_closed);
}

TEST_F(StalledReaders, SlowIsNotStalled) {
  Link& client = add_stalled_client();
  const int32_t id = call(client);
  answer_all(5000);
  // 16 octets every 10 ms are more than a KiB a second.
  for (int i = 0; i < 320; ++i) {
    open_window(client, id, 16);
    rig.pass(10 * kMs, 10 * kMs);
  }
  EXPECT_EQ(client.peer->messages[id].body.size(), 5005u);
  EXPECT_EQ(value_of(client.peer->messages[id].trailers, "grpc-status"), "0");
  EXPECT_EQ(hits(h2::LimitKind::kStallTimeout), 0u);
}

TEST_F(StalledReaders, WithoutATimeoutAPauseIsNoFault) {
  rig.snapshot.limits.stall_timeout_ns = 0;
  Link& client = add_stalled_client();
  const int32_t id = call(client);
  answer_all(5000);
  rig.pass(3600 * base::kSecond_ns, 60 * base::kSecond_ns);
  EXPECT_FALSE(client.peer->messages[id].is_closed);
  open_window(client, id, 6000);
  EXPECT_EQ(value_of(client.peer->messages[id].trailers, "grpc-status"), "0");
}

// Over its own limit of memory the longest-stalled calls of a client go, and those of others do not.
TEST_F(DownstreamWatch, MemoryOfOneConnection) {
  rig.snapshot.limits.connection_memory = 64 * base::kKiB;
  rig.snapshot.limits.idle_timeout_ns = 0;
  Link& client = add_stalled_client();
  Link& other = rig.add_client("192.0.2.8:40002", {.settings = {{kNoWindow[0], kNoWindow[1]}}});
  rig.run();
  const int32_t others = call(other);
  answer_all(20'000);
  std::vector<int32_t> ids;
  for (const size_t size : {20'000, 20'000, 25'500}) {
    ids.push_back(call(client));
    answer_all(size);
    rig.pass(5 * kMs);
  }
  EXPECT_EQ(connection_of(client).h2.pending_bytes(), 65'515u);
  EXPECT_EQ(hits(h2::LimitKind::kConnectionMemory), 0u) << "the limit itself fits";
  ids.push_back(call(client));
  answer_all(100);
  EXPECT_EQ(hits(h2::LimitKind::kConnectionMemory), 1u);
  EXPECT_TRUE(client.peer->messages[ids[0]].is_closed) << "it waited longest";
  for (size_t i = 1; i < ids.size(); ++i) EXPECT_FALSE(client.peer->messages[ids[i]].is_closed) << i;
  EXPECT_FALSE(other.peer->messages[others].is_closed);
}

}  // namespace
}  // namespace ringway::proxy
