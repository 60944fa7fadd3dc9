// What a client is told when the proxy has to end its call.
#include <gtest/gtest.h>

#include <cerrno>

#include "proxy/h2_limits.h"
#include "rig.h"
#include "wire.h"

namespace ringway::proxy {
namespace {

constexpr uint8_t kData = 0;
constexpr uint8_t kHeaders = 1;
constexpr uint8_t kRst = 3;

uint64_t replies(const Rig& rig, LocalReason reason) {
  return rig.proxy->counters().local_replies[static_cast<size_t>(reason)];
}

// A call whose endpoint has sent that much of its response when it is lost.
class UpstreamLost : public testing::Test {
 protected:
  UpstreamLost() : client(rig.add_client()) {
    id = client.peer->send_request(grpc_request(), grpc_message(3), true);
    rig.run();
  }

  const Nghttp2Peer::Message& answer_after(std::string_view response, bool has_headers = true) {
    Link& upstream = rig.upstream(0);
    if (has_headers) {
      Flow& flow = rig.open_response(upstream, 1, kGrpcResponse);
      if (!response.empty()) rig.send(flow, response);
      rig.run();
    }
    rig.lose(upstream, ECONNRESET);
    rig.run();
    EXPECT_EQ(replies(rig, LocalReason::kUpstreamLost), 1u);
    EXPECT_TRUE(upstream.is_gone);
    EXPECT_EQ(rig.proxy->exchanges().live_count(), 0u);
    EXPECT_EQ(rig.proxy->counters().retries, 0u) << "the endpoint may have begun it";
    const Nghttp2Peer::Message& answer = client.peer->messages.at(id);
    EXPECT_TRUE(answer.is_closed);
    return answer;
  }

  Rig rig{Rig::plain_snapshot()};
  Link& client;
  int32_t id = 0;
};

TEST_F(UpstreamLost, BeforeTheResponse) {
  const auto& answer = answer_after("", false);
  EXPECT_EQ(value_of(answer.headers, ":status"), "200");
  EXPECT_EQ(value_of(answer.headers, "grpc-status"), "14");
  EXPECT_EQ(value_of(answer.headers, "grpc-message"),
            "endpoint 127.0.0.1:1001: " + std::string(io::describe(io::error_from_errno(ECONNRESET))) +
                " before the response");
  EXPECT_EQ(answer.close_code, 0u);
}

TEST_F(UpstreamLost, BehindTheHeaders) {
  const auto& answer = answer_after("");
  EXPECT_EQ(answer.headers, kGrpcResponse);
  EXPECT_EQ(value_of(answer.trailers, "grpc-status"), "14");
}

TEST_F(UpstreamLost, BetweenMessages) {
  const std::string messages = grpc_message(9) + grpc_message(0);
  const auto& answer = answer_after(messages);
  EXPECT_EQ(answer.body, messages);
  EXPECT_EQ(value_of(answer.trailers, "grpc-status"), "14");
  EXPECT_NE(value_of(answer.trailers, "grpc-message").find("in the middle of the response"), std::string::npos);
  EXPECT_EQ(answer.close_code, 0u);
}

TEST_F(UpstreamLost, InsideAMessage) {
  const auto& answer = answer_after(grpc_message(9) + grpc_message(9).substr(0, 13));
  EXPECT_TRUE(answer.trailers.empty());
  EXPECT_FALSE(answer.has_ended) << "must not look like success";
  EXPECT_EQ(answer.close_code, uint32_t{NGHTTP2_INTERNAL_ERROR});
}

TEST_F(UpstreamLost, InsideAPrefix) {
  EXPECT_EQ(answer_after(grpc_message(9) + std::string(2, '\0')).close_code, uint32_t{NGHTTP2_INTERNAL_ERROR});
}

// A response that has announced 100 octets, of which that many have come when it has to be ended: unless they are all
// there, trailers would make of it a malformed message (RFC 9113 section 8.1.1).
class AnnouncedLength : public testing::Test {
 protected:
  void begin(size_t octets, const PlainList& more = {}) {
    id = client.peer->send_request(grpc_request("/shop.Cart/Add", more), grpc_message(3), true);
    rig.run();
    PlainList headers = kGrpcResponse;
    headers.push_back({"content-length", "100"});
    Flow& flow = rig.open_response(rig.upstream(0), 1, headers);
    rig.send(flow, grpc_message(octets - 5));
    rig.run();
  }
  void expect_reset() {
    const Nghttp2Peer::Message& answer = client.peer->messages.at(id);
    EXPECT_TRUE(answer.is_closed);
    EXPECT_FALSE(answer.has_ended);
    EXPECT_TRUE(answer.trailers.empty());
    EXPECT_EQ(answer.close_code, uint32_t{NGHTTP2_INTERNAL_ERROR});
    EXPECT_EQ(rig.proxy->exchanges().live_count(), 0u);
  }

  Rig rig{Rig::plain_snapshot(1)};
  Link& client{rig.add_client()};
  int32_t id = 0;
};

TEST_F(AnnouncedLength, AndTheEndpointIsLost) {
  begin(99);
  rig.lose(rig.upstream(0), ECONNRESET);
  rig.run();
  expect_reset();
}

TEST_F(AnnouncedLength, AndTheDeadlineIsOver) {
  begin(10, {{"grpc-timeout", "20m"}});
  rig.pass(21 * base::kMillisecond_ns);
  expect_reset();
}

TEST_F(AnnouncedLength, AndARuleIsBroken) {
  begin(10);
  rig.upstream(0).is_mute = true;
  rig.say(rig.upstream(0), h2::wire::window_update(1, 0));
  expect_reset();
}

TEST_F(AnnouncedLength, AndTheProxyShutsDown) {
  begin(10);
  rig.proxy->begin_drain(rig.now_ns);
  rig.proxy->end_drain(rig.now_ns);
  rig.run();
  expect_reset();
}

TEST_F(AnnouncedLength, AndKept) {
  begin(100);
  rig.lose(rig.upstream(0), ECONNRESET);
  rig.run();
  const Nghttp2Peer::Message& answer = client.peer->messages.at(id);
  EXPECT_EQ(answer.body.size(), 100u);
  EXPECT_EQ(value_of(answer.trailers, "grpc-status"), "14");
  EXPECT_TRUE(client.peer->complaints.empty());
}

// All of it has come, but the message is too long to be passed on.
TEST(LocalReply, AnAnnouncedLengthWithAMessageBeyondItsLimit) {
  config::Snapshot snapshot = Rig::plain_snapshot(1);
  snapshot.limits.message_bytes = 50;
  Rig rig(snapshot);
  Link& client = rig.add_client();
  const int32_t id = client.peer->send_request(grpc_request(), grpc_message(3), true);
  rig.run();
  PlainList headers = kGrpcResponse;
  headers.push_back({"content-length", "100"});
  Flow& flow = rig.open_response(rig.upstream(0), 1, headers);
  rig.send(flow, grpc_message(10) + grpc_message(80));
  rig.run();
  const Nghttp2Peer::Message& answer = client.peer->messages.at(id);
  EXPECT_EQ(answer.body, grpc_message(10));
  EXPECT_FALSE(answer.has_ended);
  EXPECT_EQ(answer.close_code, uint32_t{NGHTTP2_ENHANCE_YOUR_CALM});
}

class PendingLimit : public testing::TestWithParam<uint32_t> {};

TEST_P(PendingLimit, Holds) {
  constexpr uint32_t kLimit = 3;
  config::Snapshot snapshot = Rig::plain_snapshot(1);
  snapshot.limits.pending_calls = kLimit;
  Rig rig(snapshot);
  rig.connects = false;
  Link& client = rig.add_client();
  int32_t last = 0;
  for (uint32_t i = 0; i < GetParam(); ++i) last = client.peer->send_request(grpc_request(), grpc_message(1), true);
  rig.run();
  const bool is_over = GetParam() > kLimit;
  EXPECT_EQ(replies(rig, LocalReason::kPendingLimit), is_over ? 1u : 0u);
  EXPECT_EQ(client.peer->messages[last].has_headers, is_over);
  if (is_over) {
    EXPECT_EQ(value_of(client.peer->messages[last].headers, "grpc-status"), "14");
    EXPECT_EQ(value_of(client.peer->messages[last].headers, "grpc-message"),
              "3 calls wait for endpoint 127.0.0.1:1001 already (limits.pending_calls)");
  }
  rig.connect(rig.wanted.at(0));
  rig.run();
  EXPECT_EQ(Rig::calls(rig.upstream(0)).size(), std::min(GetParam(), kLimit));
}

INSTANTIATE_TEST_SUITE_P(Around, PendingLimit, testing::Values(2u, 3u, 4u));

TEST(LocalReply, WithoutARoute) {
  config::Snapshot snapshot = Rig::plain_snapshot(1);
  snapshot.listeners[0].routes[0].path_match = config::PathMatch::kPrefix;
  snapshot.listeners[0].routes[0].path = "/shop.Cart/";
  Rig rig(snapshot);
  Link& client = rig.add_client();
  const int32_t grpc_id = client.peer->send_request(grpc_request("/other.Service/Do"), grpc_message(1), true);
  const PlainList get = {{":method", "GET"}, {":scheme", "http"}, {":path", "/index.html"}, {":authority", "shop"}};
  const int32_t http_id = client.peer->send_request(get, "", false);
  rig.run();
  const auto& grpc_answer = client.peer->messages.at(grpc_id);
  EXPECT_EQ(value_of(grpc_answer.headers, "grpc-status"), "12");
  EXPECT_EQ(value_of(grpc_answer.headers, "grpc-message"), "no route for /other.Service/Do");
  const auto& http_answer = client.peer->messages.at(http_id);
  EXPECT_EQ(value_of(http_answer.headers, ":status"), "404");
  EXPECT_EQ(value_of(http_answer.headers, "grpc-status"), "(none)");
  EXPECT_EQ(http_answer.body, "no route for /index.html\n");
  EXPECT_EQ(value_of(http_answer.headers, "content-length"), std::to_string(http_answer.body.size()));
  EXPECT_EQ(replies(rig, LocalReason::kNoRoute), 2u);
  EXPECT_FALSE(rig.has_upstream(0));
}

// A text longer than what a reply can hold must not promise more octets than it sends.
TEST(LocalReply, WithAPathTooLongToRepeat) {
  config::Snapshot snapshot = Rig::plain_snapshot(1);
  snapshot.listeners[0].routes.clear();
  Rig rig(snapshot);
  Link& client = rig.add_client();
  for (const size_t size : {380u, 385u, 386u, 387u, 388u, 400u, 3000u}) {
    const std::string path = "/" + std::string(size, 'p');
    const PlainList get = {{":method", "GET"}, {":scheme", "http"}, {":path", path}, {":authority", "shop"}};
    const int32_t id = client.peer->send_request(get, "", false);
    rig.run();
    const auto& answer = client.peer->messages.at(id);
    EXPECT_TRUE(answer.is_closed && answer.has_ended) << size;
    EXPECT_EQ(value_of(answer.headers, "content-length"), std::to_string(answer.body.size())) << size;
    EXPECT_TRUE(answer.body.ends_with("\n")) << size;
  }
  EXPECT_TRUE(client.peer->complaints.empty()) << client.peer->complaints.front();
}

TEST(LocalReply, AnUploadUnderWayIsStopped) {
  config::Snapshot snapshot = Rig::plain_snapshot(1);
  snapshot.listeners[0].routes.clear();
  Rig rig(snapshot);
  Link& client = rig.add_client();
  Flow& request = rig.open_request(client, grpc_request());
  rig.send(request, grpc_message(10));
  rig.run();
  EXPECT_EQ(value_of(client.peer->messages.at(request.id).headers, "grpc-status"), "12");
  ASSERT_EQ(client.of_type(kRst).size(), 1u);
  EXPECT_EQ(client.of_type(kRst)[0].word, uint32_t{NGHTTP2_NO_ERROR});
  EXPECT_EQ(rig.proxy->exchanges().live_count(), 0u);
}

TEST(LocalReply, ToTooLargeAHeaderList) {
  Rig rig(Rig::plain_snapshot(1));
  Link& client = rig.add_client();
  const PlainList large(2, {"x-large", std::string(8'500, 'x')});
  const int32_t id = client.peer->send_request(grpc_request("/a.B/C", large), grpc_message(1), true);
  rig.run();
  const auto& headers = client.peer->messages.at(id).headers;
  EXPECT_EQ(value_of(headers, "grpc-status"), "8");
  EXPECT_EQ(value_of(headers, "grpc-message"), "request headers exceed the limit of 16384 bytes (limits.header_list)");
  EXPECT_EQ(replies(rig, LocalReason::kHeaderListTooLarge), 1u);
}

TEST(LocalReply, ToTooLargeAField) {
  config::Snapshot snapshot = Rig::plain_snapshot(1);
  snapshot.limits.field_bytes = 5000;
  Rig rig(snapshot);
  Link& client = rig.add_client();
  const auto answer_to = [&](const std::string& name, size_t size) {
    const std::string value(size - h2::kFieldOverhead - name.size(), 'x');
    const int32_t id = client.peer->send_request(grpc_request("/a.B/C", {{name, value}}), grpc_message(1), true);
    rig.run();
    return client.peer->messages[id].headers;
  };
  for (const size_t size : {4999u, 5000u})
    EXPECT_TRUE(answer_to("x-token", size).empty()) << size << ": it waits for the endpoint";
  const PlainList refused = answer_to("x-token", 5001);
  EXPECT_EQ(value_of(refused, "grpc-status"), "8");
  EXPECT_EQ(value_of(refused, "grpc-message"), "request field 'x-token' of 5001 bytes, limits.field is 5000");
  // A name of any length, of which enough is told.
  EXPECT_EQ(value_of(answer_to(std::string(300, 'n'), 6000), "grpc-message"),
            "request field '" + std::string(100, 'n') + "' of 6000 bytes, limits.field is 5000");
  EXPECT_EQ(rig.proxy->limit_hits()[static_cast<size_t>(h2::LimitKind::kField)], 2u);
  EXPECT_EQ(replies(rig, LocalReason::kHeaderListTooLarge), 2u);
}

// What cannot stand in a text is not repeated.
TEST(LocalReply, ToTooLargeAFieldWithoutAProperName) {
  const config::Limits limits = Rig::plain_snapshot(1).limits;
  const std::string value(20'000, 'x');
  for (const std::string_view name : {"Upper", "two\nlines", ""}) {
    const h2::Field field = h2::make_field(name, h2::KnownName::kNone, value);
    EXPECT_EQ(std::string_view(large_field_text("request", field, limits)),
              fmt::format("request field of {} bytes, limits.field is 16384", 20'032 + name.size()));
  }
}

// In one read a request that no route takes, and what ends its stream: the answer has nowhere to go.
class UnroutedAndReset : public testing::Test {
 protected:
  static config::Snapshot snapshot() {
    config::Snapshot made = Rig::plain_snapshot();
    made.listeners[0].routes[0].path_match = config::PathMatch::kExact;
    made.listeners[0].routes[0].path = "/other.Service/Method";
    return made;
  }

  void expect_no_answer_behind(std::string_view frames) {
    client.peer->send_request(grpc_request(), "", true);
    const std::string bytes = client.peer->take_output() + std::string(frames);
    client.frames.clear();
    rig.proxy->receive(*rig.proxy->connections().find(client.handle), h2::octets_of(bytes), rig.now_ns);
    rig.run();
    EXPECT_EQ(replies(rig, LocalReason::kNoRoute), 1u);
    EXPECT_TRUE(client.of_type(kHeaders).empty());
    EXPECT_TRUE(client.of_type(kData).empty());
    EXPECT_FALSE(client.is_gone);
    EXPECT_EQ(rig.proxy->exchanges().live_count(), 0u);
    EXPECT_EQ(rig.proxy->memory().streams.live_count(), 0u);
  }

  Rig rig{snapshot()};
  Link& client{rig.add_client()};
};

TEST_F(UnroutedAndReset, ByTheClient) {
  expect_no_answer_behind(h2::wire::rst_stream(1, h2::ErrorCode::kCancel));
  EXPECT_TRUE(client.of_type(kRst).empty());
}

// An update of zero (section 6.9).
TEST_F(UnroutedAndReset, ByARuleItBroke) {
  expect_no_answer_behind(h2::wire::window_update(1, 0));
  ASSERT_EQ(client.of_type(kRst).size(), 1u);
}

}  // namespace
}  // namespace ringway::proxy
