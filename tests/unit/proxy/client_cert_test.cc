// x-forwarded-client-cert: what an endpoint gets to see of it in each mode, from clients with a certificate and
// without, however the field came; and that a request without it goes on as it came.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "rig.h"

namespace ringway::proxy {
namespace {

using config::ClientCertHeader;
using Values = std::vector<std::string>;

const std::string kOurs = "Hash=ab;Subject=\"CN=shop\"";
constexpr ClientCertHeader kModes[] = {ClientCertHeader::kSanitize, ClientCertHeader::kSanitizeSet,
                                       ClientCertHeader::kAppendForward, ClientCertHeader::kForwardOnly};

class ClientCert : public testing::Test {
 protected:
  static config::Snapshot snapshot_with(ClientCertHeader mode) {
    config::Snapshot snapshot = Rig::plain_snapshot(1);
    snapshot.listeners[0].forwarded.client_cert = mode;
    return snapshot;
  }
  // Of the request with this number on the only upstream connection.
  static Values values_of(Rig& rig, int32_t id, std::string_view name = "x-forwarded-client-cert") {
    Values values;
    for (const PlainField& field : rig.upstream(0).peer->messages.at(id).headers) {
      if (field.name == name) values.push_back(field.value);
    }
    return values;
  }
  // What the endpoint sees of `more`, the same in each of several calls: the first ones come before anything is
  // remembered of them, the others behind that.
  static Values seen(ClientCertHeader mode, const std::string& certificate, const PlainList& more) {
    Rig rig(snapshot_with(mode));
    Link& client = rig.add_client();
    rig.proxy->connections().find(client.handle)->client_certificate = certificate;
    for (int i = 0; i < 5; ++i) {
      client.peer->send_request(grpc_request("/a.B/C", more), grpc_message(1), true);
      rig.run();
      EXPECT_EQ(values_of(rig, 2 * i + 1), values_of(rig, 1)) << i;
      EXPECT_EQ(values_of(rig, 2 * i + 1, "x-other"), Values(more.empty() ? 0 : 1, "1"));
    }
    return values_of(rig, 1);
  }
};

TEST_F(ClientCert, WithoutACertificateThereIsNone) {
  for (const ClientCertHeader mode : kModes) {
    EXPECT_EQ(seen(mode, "", {}), Values{});
    EXPECT_EQ(seen(mode, "", {{"x-forwarded-client-cert", "Hash=evil"}, {"x-other", "1"}}), Values{});
  }
}

TEST_F(ClientCert, Modes) {
  const PlainList theirs = {{"x-forwarded-client-cert", "Hash=cd"}, {"x-other", "1"}};
  EXPECT_EQ(seen(ClientCertHeader::kSanitize, kOurs, {}), Values{});
  EXPECT_EQ(seen(ClientCertHeader::kSanitize, kOurs, theirs), Values{});
  EXPECT_EQ(seen(ClientCertHeader::kSanitizeSet, kOurs, {}), Values{kOurs});
  EXPECT_EQ(seen(ClientCertHeader::kSanitizeSet, kOurs, theirs), Values{kOurs});
  EXPECT_EQ(seen(ClientCertHeader::kAppendForward, kOurs, {}), Values{kOurs});
  EXPECT_EQ(seen(ClientCertHeader::kAppendForward, kOurs, theirs), Values{"Hash=cd," + kOurs});
  EXPECT_EQ(seen(ClientCertHeader::kForwardOnly, kOurs, {}), Values{});
  EXPECT_EQ(seen(ClientCertHeader::kForwardOnly, kOurs, theirs), Values{"Hash=cd"});
}

TEST_F(ClientCert, SeveralAreOneList) {
  const PlainList theirs = {
      {"x-forwarded-client-cert", "Hash=cd"}, {"x-other", "1"}, {"x-forwarded-client-cert", "Hash=ef;DNS=a"}};
  EXPECT_EQ(seen(ClientCertHeader::kSanitize, kOurs, theirs), Values{});
  EXPECT_EQ(seen(ClientCertHeader::kSanitizeSet, kOurs, theirs), Values{kOurs});
  EXPECT_EQ(seen(ClientCertHeader::kAppendForward, kOurs, theirs), Values{"Hash=cd,Hash=ef;DNS=a," + kOurs});
  EXPECT_EQ(seen(ClientCertHeader::kForwardOnly, kOurs, theirs), (Values{"Hash=cd", "Hash=ef;DNS=a"}));
}

// What is too long for one field stays in fields of its own, in order, with ours as the last.
TEST_F(ClientCert, LongValues) {
  for (const size_t size : {4000u, 4070u, 4071u, 4095u, 4096u, 10'000u}) {
    const std::string theirs(size, 'a');
    Values got = seen(ClientCertHeader::kAppendForward, kOurs, {{"x-forwarded-client-cert", theirs}, {"x-other", "1"}});
    std::string joined;
    for (const std::string& value : got) joined += (joined.empty() ? "" : ",") + value;
    EXPECT_TRUE(joined == theirs + "," + kOurs) << size;
  }
  const std::string ours(9000, 'b');
  EXPECT_EQ(seen(ClientCertHeader::kSanitizeSet, ours, {}), Values{ours});
  EXPECT_EQ(seen(ClientCertHeader::kAppendForward, ours, {{"x-forwarded-client-cert", "c"}, {"x-other", "1"}}),
            (Values{"c", ours}));
}

// One connection is not another: a field dropped here, and lists remembered for all, change nothing for who has none.
TEST_F(ClientCert, OthersAreNotConcerned) {
  Rig rig(snapshot_with(ClientCertHeader::kForwardOnly));
  Link& known = rig.add_client();
  Link& stranger = rig.add_client();
  rig.proxy->connections().find(known.handle)->client_certificate = kOurs;
  int32_t id = 1;
  for (int i = 0; i < 5; ++i) {
    for (Link* client : {&known, &stranger}) {
      client->peer->send_request(grpc_request("/a.B/C", {{"x-forwarded-client-cert", "Hash=cd"}}), grpc_message(1),
                                 true);
      rig.run();
      EXPECT_EQ(values_of(rig, id), client == &known ? Values{"Hash=cd"} : Values{}) << i;
      id += 2;
    }
  }
}

// A shortened timeout rewrites the list too.
TEST_F(ClientCert, WithATimeoutThatRunsWhileTheCallWaits) {
  Rig rig(snapshot_with(ClientCertHeader::kSanitizeSet));
  rig.connects = false;
  Link& client = rig.add_client();
  rig.proxy->connections().find(client.handle)->client_certificate = kOurs;
  client.peer->send_request(grpc_request("/a.B/C", {{"grpc-timeout", "10S"}, {"x-forwarded-client-cert", "Hash=evil"}}),
                            grpc_message(1), true);
  rig.run();
  rig.pass(base::kSecond_ns / 2, base::kSecond_ns / 10);
  ASSERT_EQ(rig.wanted.size(), 1u);
  rig.connect(rig.wanted[0]);
  rig.run();
  EXPECT_EQ(values_of(rig, 1), Values{kOurs});
  EXPECT_NE(values_of(rig, 1, "grpc-timeout"), Values{"10S"});
}

}  // namespace
}  // namespace ringway::proxy
