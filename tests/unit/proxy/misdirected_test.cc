// Listeners with several certificates: a connection serves the names of the one that it was given, all others get 421.
#include <gtest/gtest.h>

#include <string>

#include "certificates.h"
#include "rig.h"

namespace ringway::proxy {
namespace {

class Misdirected : public testing::Test {
 protected:
  Misdirected() {
    const auto issue = [this](const std::string& name, std::vector<std::string> dns) {
      const tls::Issued issued = files.root(name, {.dns = std::move(dns), .addresses = {"192.0.2.1", "2001:db8::1"}});
      options.certificates.push_back({issued.certificate, issued.private_key});
    };
    issue("first", {"first.example"});
    issue("second", {"second.example", "*.cloud.example"});
  }

  // A listener with the first `count` certificates, and a client that was shown number `certificate`.
  void connect(size_t count, uint32_t certificate) {
    options.certificates.resize(count);
    config::Snapshot snapshot = Rig::plain_snapshot(1);
    snapshot.listeners[0].tls = options;
    rig = std::make_unique<Rig>(snapshot);
    client = &rig->add_client();
    Connection& connection = *rig->proxy->connections().find(client->handle);
    const auto credentials = tls::ServerCredentials::create(options);
    ASSERT_TRUE(credentials) << credentials.error();
    connection.credentials = *credentials;
    connection.certificate = certificate;
    rig->proxy->secured(connection, rig->now_ns);
  }
  // :status of a call, "forwarded" if the endpoint has got it.
  std::string ask(const std::string& authority, const PlainList& more = {}) {
    PlainList fields = {{":method", "POST"}, {":scheme", "https"}, {":path", "/a.B/C"}};
    if (!authority.empty()) fields.push_back({":authority", authority});
    fields.insert(fields.end(), more.begin(), more.end());
    id = client->peer->send_request(fields, "", true);
    const size_t before = rig->has_upstream(0) ? rig->upstream(0).peer->messages.size() : 0;
    rig->run();
    if (rig->has_upstream(0) && rig->upstream(0).peer->messages.size() != before) return "forwarded";
    return value_of(client->peer->messages.at(id).headers, ":status");
  }

  tls::Authority files;
  tls::ServerOptions options;
  std::unique_ptr<Rig> rig;
  Link* client = nullptr;
  int32_t id = 0;
};

TEST_F(Misdirected, OneCertificateServesEveryName) {
  connect(1, 0);
  for (const std::string authority : {"first.example", "second.example", "other"})
    EXPECT_EQ(ask(authority), "forwarded");
}

TEST_F(Misdirected, TheNamesOfTheCertificate) {
  connect(2, 1);
  for (int i = 0; i < 4; ++i) {
    for (const std::string authority : {"second.example", "SECOND.example:8443", "a.cloud.example", "second.example.",
                                        "192.0.2.1:1", "[2001:db8::1]:1", "[2001:db8::1]"}) {
      EXPECT_EQ(ask(authority), "forwarded") << authority;
    }
    for (const std::string authority : {"first.example", "first.example:443", "cloud.example", "a.b.cloud.example",
                                        "192.0.2.2", "[2001:db8::2]", "second.example.evil"}) {
      EXPECT_EQ(ask(authority), "421") << authority;
    }
  }
  EXPECT_EQ(ask(std::string(300, 'a')), "421");
  EXPECT_EQ(rig->proxy->counters().local_replies[static_cast<size_t>(LocalReason::kMisdirected)], 4u * 7 + 1);
  EXPECT_EQ(ask("", {{"host", "second.example"}}), "forwarded");
  EXPECT_EQ(ask("", {{"host", "first.example"}}), "421");
}

TEST_F(Misdirected, TheAnswerNamesBoth) {
  connect(2, 1);
  const std::string text =
      "'first.example' is not what this connection is for: its certificate is for second.example, *.cloud.example, "
      "192.0.2.1, 2001:db8::1";
  EXPECT_EQ(ask("first.example"), "421");
  const Nghttp2Peer::Message& plain = client->peer->messages.at(id);
  EXPECT_EQ(plain.body, text + "\n");
  EXPECT_EQ(value_of(plain.headers, "grpc-status"), "(none)");
  EXPECT_EQ(ask("first.example", {{"content-type", "application/grpc"}}), "421");
  const Nghttp2Peer::Message& call = client->peer->messages.at(id);
  EXPECT_EQ(value_of(call.headers, "grpc-status"), "14");
  EXPECT_EQ(value_of(call.headers, "grpc-message"), text);
  EXPECT_EQ(call.body, "");
}

// Where nothing goes anywhere, who is right here is told so.
TEST_F(Misdirected, WithoutARouteItIsAnother) {
  connect(2, 1);
  config::Snapshot snapshot = rig->snapshot;
  snapshot.listeners[0].routes[0].path_match = config::PathMatch::kExact;
  snapshot.listeners[0].routes[0].path = "/elsewhere";
  rig = std::make_unique<Rig>(snapshot);
  client = &rig->add_client();
  Connection& connection = *rig->proxy->connections().find(client->handle);
  connection.credentials = *tls::ServerCredentials::create(options);
  connection.certificate = 1;
  EXPECT_EQ(ask("second.example"), "404");
  EXPECT_EQ(ask("first.example"), "421");
}

}  // namespace
}  // namespace ringway::proxy
