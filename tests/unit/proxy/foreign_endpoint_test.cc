// Endpoints that answer with something that is not HTTP/2: what the log, the calls that were sent and those that wait
// are told, and that the others of the cluster get them.
#include <gtest/gtest.h>

#include <string>

#include "io/doorbell.h"
#include "rig.h"
#include "wire.h"

namespace ringway::proxy {
namespace {

using namespace std::string_literals;

const std::string kAlert = "\x15\x03\x01\x00\x02\x02\x46"s;

struct Case {
  std::string octets;
  std::string says;  // behind "endpoint ADDRESS "
  size_t told_after = 0;
};

const Case kCases[] = {
    {kAlert, "speaks TLS, the cluster has no tls:", 2},
    {"\x16\x03\x03\x00\x5a\x02\x00\x00\x56"s, "speaks TLS, the cluster has no tls:", 2},
    {"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n", "speaks HTTP/1.1, not HTTP/2", 8},
    {"HTTP/1.0 400 Bad request\r\n\r\n", "speaks HTTP/1.0, not HTTP/2", 8},
    {"SSH-2.0-x\r\n", "does not speak HTTP/2: its first bytes were 'SSH-2.0-x\\x0D\\x0A'", 0},
    {"\x00\x00\x00\x01\x04\x00\x00\x00\x01\"\\"s,
     "does not speak HTTP/2: its first bytes were '\\x00\\x00\\x00\\x01\\x04\\x00\\x00\\x00\\x01\"\\x5C'", 0},
    {std::string(40, 'A'), "does not speak HTTP/2: its first bytes were '" + std::string(32, 'A') + "'", 0},
};

class ForeignEndpoint : public testing::Test {
 protected:
  void start(uint32_t endpoints) {
    bell = std::move(*io::Doorbell::create());
    log = std::make_unique<LogPort>(*bell, config::LogLevel::kInfo, 0);
    rig = std::make_unique<Rig>(Rig::plain_snapshot(endpoints), log.get());
    rig->connects = false;
    client = &rig->add_client();
  }
  int32_t call(std::string_view body = "body") {
    const int32_t id = client->peer->send_request(grpc_request(), std::string(body), true);
    rig->run();
    return id;
  }
  // The connection that is wanted, to an endpoint that says what it is told to say and no more.
  Link& connect_mute() {
    const auto handle = rig->wanted.at(0);
    rig->wanted.erase(rig->wanted.begin());
    rig->connect(handle);
    Link& link = rig->links.back();
    link.is_mute = true;
    rig->run();
    return link;
  }
  void say(Link& link, std::string_view bytes) { rig->say(link, bytes); }
  std::string field_of(int32_t id, std::string_view name) { return value_of(client->peer->messages[id].headers, name); }
  std::string next_line() {
    const auto event = log->next_event();
    return event ? std::string(event->view()) : "(none)";
  }

  std::unique_ptr<io::Doorbell> bell;
  std::unique_ptr<LogPort> log;
  std::unique_ptr<Rig> rig;
  Link* client = nullptr;
};

TEST_F(ForeignEndpoint, IsNamedInTheLogAndToTheCalls) {
  for (const Case& each : kCases) {
    start(1);
    const int32_t sent = call();
    say(connect_mute(), each.octets);
    const std::string sentence = "endpoint 127.0.0.1:1001 " + each.says;
    EXPECT_EQ(field_of(sent, "grpc-status"), "14");
    const std::string prefix = "no endpoint of cluster shop can be reached: ";
    // Percent signs alone are encoded in what is printable.
    EXPECT_EQ(field_of(sent, "grpc-message"), prefix + sentence);
    EXPECT_EQ(next_line(), "cluster shop: connect failed: " + sentence);
    EXPECT_EQ(rig->proxy->counters().foreign_endpoints, 1u);
    // In the back-off nothing is sent there, and the reason is still told.
    const int32_t later = call();
    EXPECT_EQ(field_of(later, "grpc-message"), prefix + sentence);
    EXPECT_TRUE(rig->wanted.empty());
    EXPECT_EQ(rig->proxy->exchanges().live_count(), 0u);
  }
}

TEST_F(ForeignEndpoint, HoweverItsBytesAreCut) {
  for (const Case& each : kCases) {
    if (each.told_after == 0) continue;
    start(1);
    const int32_t id = call();
    Link& link = connect_mute();
    for (size_t i = 0; i < each.told_after; ++i) {
      EXPECT_EQ(field_of(id, "grpc-status"), "(none)") << i;
      say(link, each.octets.substr(i, 1));
    }
    EXPECT_EQ(field_of(id, "grpc-status"), "14");
    EXPECT_TRUE(field_of(id, "grpc-message").ends_with(each.says)) << field_of(id, "grpc-message");
  }
}

// As most servers with TLS do. Nothing was sent to it: the call goes to another.
TEST_F(ForeignEndpoint, ThatClosesWithoutAWord) {
  start(2);
  const int32_t id = call();
  Link& link = connect_mute();
  rig->say(link, std::string(4, '\0'));
  rig->lose(link, 0);
  rig->run();
  EXPECT_EQ(next_line(),
            "cluster shop: connect failed: endpoint 127.0.0.1:1001 said nothing: connection closed (it may expect TLS, "
            "the cluster has no tls:)");
  EXPECT_EQ(field_of(id, "grpc-status"), "(none)");
  // It is passed over for a while.
  for (int i = 0; i < 3; ++i) {
    call();
    ASSERT_EQ(rig->wanted.size(), 1u);
    EXPECT_EQ(rig->proxy->connections().find(rig->wanted[0])->endpoint->name, "127.0.0.1:1002");
  }
  rig->connect(rig->wanted[0]);
  rig->run();
  EXPECT_EQ(Rig::calls(rig->links.back()).size(), 4u);
}

// HTTP/2 that comes in pieces is taken for what it is.
TEST_F(ForeignEndpoint, IsNoneThatSendsItsSettingsOctetByOctet) {
  start(1);
  const int32_t id = call();
  Link& link = connect_mute();
  for (const char octet : link.peer->take_output()) say(link, std::string(1, octet));
  link.is_mute = false;
  rig->run();
  ASSERT_EQ(Rig::calls(link), (std::vector<int32_t>{1}));
  link.peer->send_response(1, kGrpcResponse, grpc_message(3), kGrpcOk);
  rig->run();
  EXPECT_EQ(value_of(client->peer->messages.at(id).trailers, "grpc-status"), "0");
  EXPECT_EQ(rig->proxy->counters().foreign_endpoints, 0u);
}

TEST_F(ForeignEndpoint, GivesItsCallsToAnother) {
  start(2);
  const int32_t id = call("moved");
  Link& foreign = connect_mute();
  say(foreign, kAlert);
  EXPECT_TRUE(foreign.is_gone);
  ASSERT_EQ(rig->wanted.size(), 1u);
  rig->connect(rig->wanted[0]);
  rig->run();
  Link& good = rig->links.back();
  EXPECT_NE(good.endpoint, foreign.endpoint);
  ASSERT_EQ(Rig::calls(good), (std::vector<int32_t>{1}));
  EXPECT_EQ(good.peer->messages.at(1).body, "moved");
  good.peer->send_response(1, kGrpcResponse, grpc_message(3), kGrpcOk);
  rig->run();
  EXPECT_EQ(value_of(client->peer->messages.at(id).trailers, "grpc-status"), "0");
  EXPECT_EQ(rig->proxy->counters().retries, 0u) << "it was never sent there";
  // While it is passed over, the other gets all.
  call();
  call();
  EXPECT_EQ(Rig::calls(good).size(), 2u);
}

// Each of the two endpoints is foreign: a call meets each once and then ends.
TEST_F(ForeignEndpoint, IsMetOnceByACall) {
  start(2);
  const int32_t id = call();
  say(connect_mute(), kAlert);
  EXPECT_EQ(field_of(id, "grpc-status"), "(none)");
  say(connect_mute(), "HTTP/1.1 400 Bad Request\r\n");
  EXPECT_EQ(field_of(id, "grpc-status"), "14");
  EXPECT_EQ(field_of(id, "grpc-message"),
            "no endpoint of cluster shop can be reached: endpoint 127.0.0.1:1001 speaks TLS, the cluster has no tls:");
  EXPECT_EQ(rig->proxy->counters().foreign_endpoints, 2u);
  EXPECT_TRUE(rig->wanted.empty());
}

}  // namespace
}  // namespace ringway::proxy
