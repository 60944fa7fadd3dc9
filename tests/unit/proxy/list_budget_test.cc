// Header lists of which an octet stands for 4 KB: what they make a shard keep, send and do in one turn is bounded, and
// calls with ordinary lists do not notice.
#include <gtest/gtest.h>

#include "rig.h"
#include "wire.h"

namespace ringway::proxy {
namespace {

using h2::hpack_literal;

// A credential, which is never interned and never enters an encoder's table.
const std::string kCredential(3900, 'v');
constexpr uint32_t kReferences = 16;
constexpr uint32_t kListBytes = 3 * 43 + 41 + kReferences * (3900 + 13 + 32);

std::string start() {
  return hpack_literal(h2::kLiteralPlain, ":method", "POST") + hpack_literal(h2::kLiteralPlain, ":scheme", "http") +
         hpack_literal(h2::kLiteralPlain, ":path", "/abc") + hpack_literal(h2::kLiteralPlain, ":authority", "x");
}
std::string hello() {
  return std::string(h2::kPreface) + h2::wire::settings() + h2::wire::settings_ack() +
         h2::wire::headers(1, start() + hpack_literal(h2::kLiteralIncremental, "authorization", kCredential), true);
}
std::string bomb(uint32_t stream_id) {
  return h2::wire::headers(stream_id, start() + std::string(kReferences, '\xbe'), true);
}

class ListBudget : public testing::Test {
 protected:
  void build(uint64_t connection_headers, uint64_t memory = 512 << 20, uint32_t resets = 10'000) {
    config::Snapshot snapshot = Rig::plain_snapshot(1);
    snapshot.limits.header_list_bytes = 64 * base::kKiB;
    snapshot.limits.header_fields = 100;
    snapshot.limits.streams = 256;
    snapshot.limits.connections = 100;
    snapshot.limits.pending_calls = 10'000;
    snapshot.limits.connection_headers = connection_headers;
    snapshot.limits.resets = resets;
    snapshot.limits.replies = 10'000;
    snapshot.shards.memory_bytes = memory;
    rig = std::make_unique<Rig>(snapshot);
    rig->connects = false;
  }
  void connect() {
    rig->connects = true;
    for (const auto handle : std::exchange(rig->wanted, {})) rig->connect(handle);
    rig->run();
  }
  // Its first call names the credential once, and is small.
  Link& add_attacker() {
    Link& link = *rig->add_raw_client();
    rig->say(link, hello());
    return link;
  }
  void attack(Link& link, uint32_t calls) {
    std::string bytes;
    for (uint32_t i = 0; i < calls; ++i) bytes += bomb(link_ids[&link] += 2);
    if (Connection* const connection = find(link)) rig->proxy->receive(*connection, h2::octets_of(bytes), rig->now_ns);
    rig->proxy->validate();
  }
  Connection* find(Link& link) { return link.is_gone ? nullptr : rig->proxy->connections().find(link.handle); }
  uint64_t kept_bytes(Link& link) { return find(link)->list_bytes; }
  static uint32_t count_refused(const Link& link) {
    uint32_t count = 0;
    for (const h2::wire::Frame& frame : h2::wire::parse(link.raw)) {
      if (!frame.is(h2::FrameType::kRstStream)) continue;
      EXPECT_EQ(frame.u32(0), static_cast<uint32_t>(h2::ErrorCode::kRefusedStream));
      ++count;
    }
    return count;
  }
  uint64_t hits(h2::LimitKind kind) const { return rig->proxy->limit_hits()[static_cast<size_t>(kind)]; }

  std::unique_ptr<Rig> rig;
  std::map<Link*, uint32_t> link_ids = {};

 public:
  ListBudget() { static_assert(kListBytes > h2::BlockCache::kListBytesMax); }
};

uint32_t list_bytes_of(const PlainList& list) {
  uint32_t bytes = 0;
  for (const PlainField& field : list) bytes += static_cast<uint32_t>(field.name.size() + field.value.size()) + 32;
  return bytes;
}

TEST_F(ListBudget, SmallListsAreFree) {
  build(1);
  for (const int more : {-1, 0, 1}) {
    PlainList list = grpc_request("/shop.Cart/Add", {{"x-large", ""}});
    const uint32_t rest = h2::BlockCache::kListBytesMax - list_bytes_of(list);
    list.back().value.assign(rest + static_cast<uint32_t>(more), 'v');
    Link& client = rig->add_client();
    client.peer->send_request(list, grpc_message(1), true);
    rig->run();
    EXPECT_EQ(kept_bytes(client) != 0, more == 1) << more;
  }
  EXPECT_EQ(hits(h2::LimitKind::kConnectionHeaders), 0u) << "one always fits";
}

TEST_F(ListBudget, OneClientMayHaveWhatTheLimitSays) {
  for (const int more : {-1, 0, 1}) {
    build(4 * kListBytes + static_cast<uint64_t>(more));
    Link& client = add_attacker();
    link_ids[&client] = 1;
    attack(client, 5);
    rig->run();
    const uint32_t kept = more < 0 ? 3 : 4;
    EXPECT_EQ(kept_bytes(client), kept * kListBytes) << more;
    EXPECT_EQ(count_refused(client), 5 - kept) << more;
    EXPECT_EQ(hits(h2::LimitKind::kConnectionHeaders), 5 - kept) << more;
    // Others have their own.
    Link& other = add_attacker();
    link_ids[&other] = 1;
    attack(other, 1);
    rig->run();
    EXPECT_EQ(kept_bytes(other), kListBytes);
  }
}

TEST_F(ListBudget, WhatIsKeptIsTheCredentialOnce) {
  build(100 * kListBytes);
  Link& client = add_attacker();
  link_ids[&client] = 1;
  const size_t before = rig->proxy->memory().blocks.bytes_in_use();
  attack(client, 100);
  rig->run();
  ASSERT_EQ(kept_bytes(client), 100 * kListBytes);
  EXPECT_LE(rig->proxy->memory().blocks.bytes_in_use() - before, 100u * 8192);
  connect();
  Link& upstream = rig->upstream(0);
  const auto calls = Rig::calls(upstream);
  ASSERT_EQ(calls.size(), 101u);
  for (const int32_t id : calls) {
    const PlainList& list = upstream.peer->messages.at(id).headers;
    if (list.size() == 5) continue;  // the one that inserted it
    ASSERT_EQ(list.size(), 4u + kReferences);
    for (size_t i = 4; i < list.size(); ++i) ASSERT_EQ(list[i], (PlainField{"authorization", kCredential, true}));
  }
}

TEST_F(ListBudget, WhatWasKeptIsGivenBack) {
  build(10 * kListBytes);
  Link& client = add_attacker();
  link_ids[&client] = 1;
  attack(client, 10);
  rig->run();
  ASSERT_EQ(kept_bytes(client), 10 * kListBytes);
  rig->say(client, h2::wire::rst_stream(3, h2::ErrorCode::kCancel));
  EXPECT_EQ(kept_bytes(client), 9 * kListBytes) << "the client gave it up";
  connect();
  Link& upstream = rig->upstream(0);
  EXPECT_EQ(kept_bytes(client), 9 * kListBytes) << "sent, and may have to be sent again";
  for (const int32_t id : Rig::calls(upstream))
    upstream.peer->send_response(id, kGrpcResponse, grpc_message(1), kGrpcOk);
  rig->run();
  EXPECT_EQ(kept_bytes(client), 0u) << "answered";
  attack(client, 10);
  rig->run();
  EXPECT_EQ(kept_bytes(client), 10 * kListBytes);
  EXPECT_EQ(hits(h2::LimitKind::kConnectionHeaders), 0u);
  rig->lose(client, ECONNRESET);
  rig->run();
}

// However many clients there are: half of the budget is for lists, and what slow peers leave waiting has the rest.
TEST_F(ListBudget, AllClientsTogetherMayHaveAPart) {
  constexpr uint64_t kMemory = 40 * kListBytes;
  build(10 * kListBytes, kMemory);
  uint64_t kept = 0;
  for (int i = 0; i < 20; ++i) {
    Link& client = add_attacker();
    link_ids[&client] = 1;
    attack(client, 20);
    rig->run();
    kept += kept_bytes(client);
    ASSERT_LE(kept, kMemory / 2);
  }
  EXPECT_GT(kept, kMemory / 4);
  EXPECT_GT(hits(h2::LimitKind::kMemory), 0u);
  Link& good = rig->add_client();
  const int32_t id = good.peer->send_request(grpc_request(), grpc_message(1), true);
  connect();
  Link& upstream = rig->upstream(0);
  for (const int32_t call : Rig::calls(upstream))
    upstream.peer->send_response(call, kGrpcResponse, grpc_message(1), kGrpcOk);
  rig->run();
  EXPECT_EQ(value_of(good.peer->messages.at(id).trailers, "grpc-status"), "0");
}

// What a turn writes for an endpoint is bounded, whoever sends how much; the rest goes with the next turns, and calls
// with small lists pass those with large ones.
TEST_F(ListBudget, TheWorkOfATurnIsBounded) {
  build(20 * kListBytes);
  rig->connects = true;
  Link& good = rig->add_client();
  const int32_t first = good.peer->send_request(grpc_request(), grpc_message(1), true);
  rig->run();
  Link& upstream = rig->upstream(0);
  upstream.peer->send_response(1, kGrpcResponse, grpc_message(1), kGrpcOk);
  upstream.peer->send_settings({{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 1000}});
  rig->run();
  ASSERT_EQ(value_of(good.peer->messages.at(first).trailers, "grpc-status"), "0");
  std::vector<Link*> attackers;
  for (int i = 0; i < 20; ++i) {
    attackers.push_back(&add_attacker());
    link_ids[attackers.back()] = 1;
  }
  const size_t calls_before = Rig::calls(upstream).size();
  for (Link* const attacker : attackers) attack(*attacker, 20);
  const int32_t id = good.peer->send_request(grpc_request("/shop.Cart/Small"), grpc_message(1), true);
  Connection& connection = *find(upstream);
  const auto expect_bounded = [&] {
    EXPECT_LT(connection.h2.output().size(), Connection::kCallOutputMax + 2 * kListBytes);
  };
  expect_bounded();
  rig->deliver(good);
  const auto is_there = [&] {
    for (const auto& [number, message] : upstream.peer->messages) {
      if (value_of(message.headers, ":path") == "/shop.Cart/Small") return true;
    }
    return false;
  };
  uint32_t turns = 1;
  for (; !is_there() && turns < 100; ++turns) {
    rig->turn();
    expect_bounded();
  }
  EXPECT_LE(turns, 3u);
  EXPECT_LT(Rig::calls(upstream).size(), calls_before + 30) << "it has passed most of the others";
  for (; !rig->proxy->dirty.is_empty() && turns < 1000; ++turns) {
    rig->turn();
    expect_bounded();
  }
  EXPECT_GT(turns, 400u * kListBytes / (Connection::kCallOutputMax + 2 * kListBytes));
  EXPECT_EQ(Rig::calls(upstream).size(), calls_before + 401) << "nobody waits for ever";
  EXPECT_EQ(rig->links.size(), attackers.size() + 2) << "no further connection was opened for that";
  for (const int32_t call : Rig::calls(upstream)) {
    upstream.peer->send_response(call, kGrpcResponse, grpc_message(1), kGrpcOk);
  }
  rig->run();
  EXPECT_EQ(value_of(good.peer->messages.at(id).trailers, "grpc-status"), "0");
}

TEST_F(ListBudget, TrailersCount) {
  build(4 * kListBytes);
  Link& client = add_attacker();
  rig->connects = true;
  std::string bytes;
  for (uint32_t id = 3; id < 13; id += 2) {
    bytes +=
        h2::wire::headers(id, start() + hpack_literal(h2::kLiteralPlain, "content-type", "application/grpc"), false);
  }
  for (uint32_t id = 3; id < 13; id += 2) bytes += h2::wire::headers(id, std::string(kReferences, '\xbe'), true);
  rig->proxy->receive(*find(client), h2::octets_of(bytes), rig->now_ns);
  EXPECT_EQ(hits(h2::LimitKind::kConnectionHeaders), 1u) << "five lists of trailers, four of which fit";
  EXPECT_EQ(rig->proxy->counters().local_replies[static_cast<size_t>(LocalReason::kMemory)], 1u);
  rig->run();
}

// Each such call is reset at the endpoint, on the connection that others share: few of them get there.
TEST_F(ListBudget, WhoseTrailersAreRefusedAgainAndAgainIsCutOff) {
  build(kListBytes);
  Link& client = add_attacker();
  connect();
  const uint32_t budget = rig->snapshot.limits.early_resets;
  for (uint32_t id = 3; id < 2 * budget + 100 && find(client) != nullptr; id += 2) {
    rig->say(client,
             h2::wire::headers(id, start(), false) + h2::wire::headers(id, std::string(kReferences, '\xbe'), true));
  }
  EXPECT_EQ(find(client), nullptr);
  EXPECT_EQ(hits(h2::LimitKind::kEarlyResets), 1u);
  EXPECT_EQ(hits(h2::LimitKind::kConnectionHeaders), budget + 1) << "the first list fits";
  EXPECT_EQ(rig->proxy->counters().upstream_connections, 1u) << "nobody else has noticed";
}

// A client that goes on and on gets no more than its resets.
TEST_F(ListBudget, WhoIsRefusedAgainAndAgainIsCutOff) {
  build(kListBytes, 512 << 20, 30);
  Link& client = add_attacker();
  link_ids[&client] = 1;
  for (int i = 0; i < 10; ++i) {
    attack(client, 200);
    rig->run();
  }
  EXPECT_EQ(find(client), nullptr);
  EXPECT_GT(hits(h2::LimitKind::kResets), 0u);
}

}  // namespace
}  // namespace ringway::proxy
