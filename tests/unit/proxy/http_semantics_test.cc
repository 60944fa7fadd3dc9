// Methods and statuses that need more than to be passed on: CONNECT, HEAD, OPTIONS of everything, and a grpc-status
// that is none.
#include <gtest/gtest.h>

#include "rig.h"
#include "wire.h"

namespace ringway::proxy {
namespace {

namespace wire = h2::wire;

PlainList plain_request(std::string method, std::string path, const PlainList& more = {}) {
  PlainList fields = {
      {":method", std::move(method)}, {":scheme", "http"}, {":path", std::move(path)}, {":authority", "a"}};
  fields.insert(fields.end(), more.begin(), more.end());
  return fields;
}

// The endpoint is nghttp2, which would not send what these tests need: its bytes are made by hand.
struct Call {
  Rig rig{Rig::plain_snapshot(1)};
  Link& client = rig.add_client();
  int32_t id = 0;

  explicit Call(const PlainList& request) {
    id = client.peer->send_request(request, "", true);
    rig.run();
  }
  const Nghttp2Peer::Message& answer() { return client.peer->messages.at(id); }
  void respond(std::string_view bytes) {
    Link& upstream = rig.upstream(0);
    upstream.is_mute = true;
    rig.proxy->receive(*rig.proxy->connections().find(upstream.handle), h2::octets_of(bytes), rig.now_ns);
    rig.run();
  }
};

// RFC 9110 section 9.1: 501 for a method that is not implemented; never 200, which would open the tunnel.
TEST(HttpSemantics, ConnectIsNotImplemented) {
  for (const PlainList& more : {PlainList{}, PlainList{{"content-type", "application/grpc"}}}) {
    PlainList request = {{":method", "CONNECT"}, {":authority", "a.example:443"}};
    request.insert(request.end(), more.begin(), more.end());
    Call call(request);
    EXPECT_EQ(value_of(call.answer().headers, ":status"), "501");
    EXPECT_EQ(value_of(call.answer().headers, "grpc-status"), "(none)");
    EXPECT_EQ(call.answer().body, "CONNECT is not supported\n");
    EXPECT_TRUE(call.answer().has_ended);
    EXPECT_FALSE(call.rig.has_upstream(0));
    EXPECT_EQ(call.rig.proxy->counters().local_replies[static_cast<size_t>(LocalReason::kConnect)], 1u);
    EXPECT_EQ(call.rig.proxy->exchanges().live_count(), 0u);
  }
}

TEST(HttpSemantics, ConnectWithTooLargeAListGetsNo200Either) {
  Call call({{":method", "CONNECT"}, {":authority", "a:1"}, {"x-large", std::string(17'000, 'x')}});
  EXPECT_EQ(value_of(call.answer().headers, ":status"), "431");
}

// What is asked for is known of the whole list, also of what is beyond the limit.
TEST(HttpSemantics, TooLargeAListIsAnsweredAsItsContentTypeAsks) {
  const PlainField large{"x-large", std::string(17'000, 'x')};
  const PlainField after{"x-after", std::string(100, 'x')};
  const PlainField grpc{"content-type", "application/grpc"};
  const PlainField json{"content-type", "application/json"};
  for (const PlainList& more :
       {PlainList{large, after}, PlainList{json, large, after}, PlainList{large, json, after}}) {
    Call call(plain_request("POST", "/a", more));
    EXPECT_EQ(value_of(call.answer().headers, ":status"), "431");
    EXPECT_EQ(value_of(call.answer().headers, "grpc-status"), "(none)");
    EXPECT_NE(call.answer().body.find("limits.field is 16384"), std::string::npos);
  }
  for (const PlainList& more :
       {PlainList{grpc, large, after}, PlainList{large, grpc, after}, PlainList{large, grpc, json}}) {
    Call call(plain_request("POST", "/a", more));
    EXPECT_EQ(value_of(call.answer().headers, ":status"), "200");
    EXPECT_EQ(value_of(call.answer().headers, "grpc-status"), "8");
  }
  Call head(plain_request("HEAD", "/a", {large, after}));
  EXPECT_EQ(value_of(head.answer().headers, ":status"), "431");
  EXPECT_EQ(head.answer().body, "");
  EXPECT_TRUE(head.client.peer->complaints.empty());
}

// … also where it begins as one before did.
TEST(HttpSemantics, TooLargeAListWithAKnownBeginning) {
  Rig rig(Rig::plain_snapshot(1));
  Link& client = rig.add_client();
  const PlainField te{"te", "trailers"};
  const PlainField user_agent{"user-agent", "u"};
  for (const bool is_grpc : {true, false}) {
    const PlainField type{"content-type", is_grpc ? "application/grpc" : "text/html"};
    for (int use = 0; use < 3; ++use) {
      const std::string large(use == 2 ? 17'000 : 10, 'x');
      const PlainList more{type, te, user_agent, {"x-large", large}, {"x-" + std::to_string(use), "own"}};
      const int32_t id = client.peer->send_request(plain_request("POST", "/a", more), "", true);
      rig.run();
      if (use < 2) continue;
      EXPECT_EQ(value_of(client.peer->messages.at(id).headers, ":status"), is_grpc ? "200" : "431");
    }
  }
}

TEST(HttpSemantics, OptionsOfEverythingIsForwardedWhereAllPathsAre) {
  Call call(plain_request("OPTIONS", "*"));
  ASSERT_TRUE(call.rig.has_upstream(0));
  EXPECT_EQ(value_of(call.rig.upstream(0).peer->messages.at(1).headers, ":path"), "*");
  config::Snapshot snapshot = Rig::plain_snapshot(1);
  snapshot.listeners[0].routes[0].path_match = config::PathMatch::kPrefix;
  snapshot.listeners[0].routes[0].path = "/shop.Cart/";
  Rig rig(snapshot);
  Link& client = rig.add_client();
  const int32_t id = client.peer->send_request(plain_request("OPTIONS", "*"), "", true);
  rig.run();
  EXPECT_EQ(value_of(client.peer->messages.at(id).headers, ":status"), "404");
}

// What a response to HEAD announces is what GET would have got; it has no content (RFC 9113 section 8.1.1).
TEST(HttpSemantics, AResponseToHeadMayAnnounceALength) {
  for (const bool ends_with_headers : {true, false}) {
    Call call(plain_request("HEAD", "/index.html"));
    call.respond(wire::headers(1, wire::response_block("200", {{"content-length", "10"}}), ends_with_headers) +
                 (ends_with_headers ? "" : wire::data(1, "", true)));
    EXPECT_EQ(value_of(call.answer().headers, ":status"), "200");
    EXPECT_EQ(value_of(call.answer().headers, "content-length"), "10");
    EXPECT_TRUE(call.answer().has_ended);
    EXPECT_TRUE(call.client.peer->complaints.empty());
  }
}

TEST(HttpSemantics, AResponseToGetMayNotAnnounceWhatItHasNot) {
  Call call(plain_request("GET", "/index.html"));
  call.respond(wire::headers(1, wire::response_block("200", {{"content-length", "10"}}), true));
  EXPECT_EQ(value_of(call.answer().headers, ":status"), "502");
  EXPECT_EQ(call.rig.proxy->counters().local_replies[static_cast<size_t>(LocalReason::kUpstreamProtocol)], 1u);
}

// … whether it announces it or not; neither have some statuses (RFC 9110 section 6.4.1). DATA is forwarded to nobody.
TEST(HttpSemantics, AResponseWithoutContentMayNotHaveSome) {
  const auto expect_broken = [](std::string method, std::string_view status) {
    Call call(plain_request(std::move(method), "/index.html"));
    call.respond(wire::headers(1, wire::response_block(status), false) + wire::data(1, "content", true));
    EXPECT_EQ(value_of(call.answer().headers, ":status"), status);
    EXPECT_EQ(call.answer().body, "");
    EXPECT_FALSE(call.answer().has_ended) << "must not look like success";
    EXPECT_EQ(call.answer().close_code, uint32_t{NGHTTP2_INTERNAL_ERROR});
    EXPECT_EQ(call.rig.proxy->counters().local_replies[static_cast<size_t>(LocalReason::kUpstreamProtocol)], 1u);
  };
  expect_broken("HEAD", "200");
  expect_broken("HEAD", "404");
  expect_broken("GET", "204");
  expect_broken("GET", "304");
  Call call(plain_request("GET", "/index.html"));
  call.respond(wire::headers(1, wire::response_block("205"), false) + wire::data(1, "content", true));
  EXPECT_EQ(call.answer().body, "content");
}

TEST(HttpSemantics, OurOwnAnswerToHeadHasNoContent) {
  config::Snapshot snapshot = Rig::plain_snapshot(1);
  snapshot.listeners[0].routes.clear();
  Rig rig(snapshot);
  Link& client = rig.add_client();
  const int32_t id = client.peer->send_request(plain_request("HEAD", "/a", {{"grpc-timeout", "soon"}}), "", true);
  const int32_t unrouted = client.peer->send_request(plain_request("HEAD", "/a"), "", true);
  rig.run();
  for (const auto& [each, status] : {std::pair{id, "502"}, std::pair{unrouted, "404"}}) {
    const auto& answer = client.peer->messages.at(each);
    EXPECT_EQ(value_of(answer.headers, ":status"), status);
    EXPECT_NE(value_of(answer.headers, "content-length"), "0");
    EXPECT_EQ(answer.body, "");
    EXPECT_TRUE(answer.has_ended);
  }
  EXPECT_TRUE(client.peer->complaints.empty());
}

struct StatusCase {
  const char* sent;
  const char* seen;
  int16_t logged;
};

constexpr StatusCase kStatuses[] = {{"0", "0", 0},    {"16", "16", 16}, {"17", "17", 17}, {"999", "999", 999},
                                    {"", "2", 2},     {"OK", "2", 2},   {"-1", "2", 2},   {"0x0", "2", 2},
                                    {"1000", "2", 2}, {"0 0", "2", 2},  {"1.0", "2", 2}};

// Clients differ in what they make of a status that is no number; so that it becomes UNKNOWN here.
TEST(HttpSemantics, AGrpcStatusThatIsNoNumberBecomesUnknown) {
  for (const StatusCase& each : kStatuses) {
    const PlainList trailers = {{"x-before", "1"}, {"grpc-status", each.sent}, {"grpc-message", "why"}};
    Call with_body(grpc_request());
    with_body.respond(wire::headers(1, wire::response_block("200", {{"content-type", "application/grpc"}}), false) +
                      wire::data(1, grpc_message(5), false) + wire::headers(1, wire::block(trailers), true));
    EXPECT_EQ(value_of(with_body.answer().trailers, "grpc-status"), each.seen) << each.sent;
    EXPECT_EQ(value_of(with_body.answer().trailers, "grpc-message"), "why");
    EXPECT_EQ(value_of(with_body.answer().trailers, "x-before"), "1");
    EXPECT_EQ(with_body.answer().trailers.size(), 3u);
    EXPECT_EQ(with_body.answer().body, grpc_message(5));
    Call trailers_only(grpc_request());
    trailers_only.respond(wire::headers(1, wire::response_block("200", trailers), true));
    EXPECT_EQ(value_of(trailers_only.answer().headers, "grpc-status"), each.seen) << each.sent;
    EXPECT_EQ(trailers_only.answer().headers.size(), 4u);
    for (Call* call : {&with_body, &trailers_only}) {
      EXPECT_TRUE(call->answer().has_ended);
      EXPECT_EQ(call->rig.proxy->counters().responses, 1u);
      EXPECT_EQ(call->rig.proxy->exchanges().live_count(), 0u);
      EXPECT_TRUE(call->client.peer->complaints.empty());
    }
  }
}

TEST(HttpSemantics, WhatIsNoGrpcKeepsItsTrailers) {
  Call call(plain_request("GET", "/"));
  call.respond(wire::headers(1, wire::response_block("200"), false) +
               wire::headers(1, wire::block({{"grpc-status", "fine"}}), true));
  EXPECT_EQ(value_of(call.answer().trailers, "grpc-status"), "fine");
}

}  // namespace
}  // namespace ringway::proxy
