// Endpoints that break the rules of HTTP/2, on one stream or on the whole connection, and what becomes of the calls on
// it and of those that wait for it.
#include <gtest/gtest.h>

#include "rig.h"
#include "wire.h"

namespace ringway::proxy {
namespace {

namespace wire = h2::wire;

constexpr uint8_t kRst = 3;
constexpr uint8_t kGoaway = 7;

uint64_t replies(const Rig& rig, LocalReason reason) {
  return rig.proxy->counters().local_replies[static_cast<size_t>(reason)];
}

// Bytes that no nghttp2 session would send.
void say(Rig& rig, Link& upstream, std::string_view bytes) {
  rig.proxy->receive(*rig.proxy->connections().find(upstream.handle), h2::octets_of(bytes), rig.now_ns);
  rig.proxy->validate();
  rig.run();
}

const std::string kResponseBlock = wire::response_block("200", {{"content-type", "application/grpc"}});
// A header name must be in lower case (RFC 9113 section 8.2.1).
const std::string kMalformedBlock = wire::response_block("200", {{"Upper", "case"}});
// DATA on stream 0 is a connection error (RFC 9113 section 6.1).
const std::string kBadForTheConnection = wire::data(0, "", false);

// One call that an endpoint has got.
class UpstreamProtocol : public testing::Test {
 protected:
  UpstreamProtocol() : client(rig.add_client()) {
    id = client.peer->send_request(grpc_request(), grpc_message(3), true);
    rig.run();
    upstream = &rig.upstream(0);
  }

  const Nghttp2Peer::Message& answer_after(std::string_view bytes) {
    say(rig, *upstream, bytes);
    EXPECT_EQ(replies(rig, LocalReason::kUpstreamProtocol), 1u);
    EXPECT_EQ(upstream->of_type(kRst).size(), 1u) << "the endpoint is told";
    EXPECT_FALSE(upstream->is_gone) << "an error of one stream";
    EXPECT_EQ(rig.proxy->counters().retries, 0u) << "the endpoint has begun the call";
    const Nghttp2Peer::Message& answer = client.peer->messages.at(id);
    EXPECT_TRUE(answer.is_closed);
    return answer;
  }
  void expect_internal(const Nghttp2Peer::Message& answer, h2::Fault fault) {
    EXPECT_EQ(value_of(answer.headers, ":status"), "200");
    EXPECT_EQ(value_of(answer.headers, "grpc-status"), "13");
    const std::string what = h2::is_of_limit(fault) ? "response beyond a limit: " : "malformed response: ";
    EXPECT_EQ(value_of(answer.headers, "grpc-message"),
              "endpoint 127.0.0.1:1001 sent a " + what + std::string(h2::text_of(fault)));
    EXPECT_TRUE(answer.has_ended);
    EXPECT_EQ(answer.close_code, 0u);
  }
  void TearDown() override { EXPECT_EQ(rig.proxy->exchanges().live_count(), 0u); }

  Rig rig{Rig::plain_snapshot()};
  Link& client;
  Link* upstream = nullptr;
  int32_t id = 0;
};

TEST_F(UpstreamProtocol, MalformedHeaders) {
  expect_internal(answer_after(wire::headers(1, kMalformedBlock, false)), h2::Fault::kFieldOctets);
}

TEST_F(UpstreamProtocol, DataBeforeTheHeaders) {
  expect_internal(answer_after(wire::data(1, grpc_message(3), false)), h2::Fault::kEarlyData);
}

TEST_F(UpstreamProtocol, AnInformationalResponseThatEndsTheStream) {
  expect_internal(answer_after(wire::headers(1, wire::response_block("103"), true)), h2::Fault::kInformational);
}

// HTTP/2 has no upgrades (RFC 9113 section 8.6).
TEST_F(UpstreamProtocol, SwitchingProtocols) {
  expect_internal(answer_after(wire::headers(1, wire::response_block("101"), false)), h2::Fault::kSwitching);
}

TEST_F(UpstreamProtocol, HeadersBeyondTheLimit) {
  const PlainList large = {{"x-large", std::string(10'000, 'x')}, {"x-larger", std::string(10'000, 'y')}};
  const std::string block = wire::response_block("200", large);
  const std::string_view octets = block;
  expect_internal(
      answer_after(wire::frame(h2::FrameType::kHeaders, 0, 1, octets.substr(0, 16'000)) +
                   wire::frame(h2::FrameType::kContinuation, h2::kFlagEndHeaders, 1, octets.substr(16'000))),
      h2::Fault::kHeaderList);
}

class LargeResponseField : public UpstreamProtocol, public testing::WithParamInterface<bool> {};
INSTANTIATE_TEST_SUITE_P(InHeadersOrTrailers, LargeResponseField, testing::Bool());

TEST_P(LargeResponseField, EndsTheCallAndIsNamed) {
  const PlainList large = {{"x-large", std::string(16'385 - 7 - h2::kFieldOverhead, 'x')}};
  const std::string begin = GetParam() ? wire::headers(1, kResponseBlock, false) : "";
  const std::string block = GetParam() ? wire::block(large) : wire::response_block("200", large);
  const std::string_view octets = block;
  const auto& answer =
      answer_after(begin + wire::frame(h2::FrameType::kHeaders, h2::kFlagEndStream, 1, octets.substr(0, 16'000)) +
                   wire::frame(h2::FrameType::kContinuation, h2::kFlagEndHeaders, 1, octets.substr(16'000)));
  const PlainList& ending = GetParam() ? answer.trailers : answer.headers;
  EXPECT_EQ(value_of(ending, "grpc-status"), "13");
  EXPECT_EQ(value_of(ending, "grpc-message"),
            "endpoint 127.0.0.1:1001: response field 'x-large' of 16385 bytes, limits.field is 16384");
  EXPECT_EQ(rig.proxy->limit_hits()[static_cast<size_t>(h2::LimitKind::kField)], 1u);
}

TEST_F(UpstreamProtocol, BetweenMessagesItShowsAsTrailers) {
  const std::string begin = wire::headers(1, kResponseBlock, false) + wire::data(1, grpc_message(9), false);
  const auto& answer = answer_after(begin + wire::headers(1, wire::block({{"Upper", "case"}}), true));
  EXPECT_EQ(answer.body, grpc_message(9));
  EXPECT_EQ(value_of(answer.trailers, "grpc-status"), "13");
  EXPECT_EQ(answer.close_code, 0u);
}

TEST_F(UpstreamProtocol, InsideAMessageItShowsAsAReset) {
  const std::string begin =
      wire::headers(1, kResponseBlock, false) + wire::data(1, grpc_message(9).substr(0, 7), false);
  // Trailers must end the stream (RFC 9113 section 8.1).
  const auto& answer = answer_after(begin + wire::headers(1, wire::block({{"grpc-status", "0"}}), false));
  EXPECT_TRUE(answer.trailers.empty());
  EXPECT_FALSE(answer.has_ended) << "must not look like success";
  EXPECT_EQ(answer.close_code, uint32_t{NGHTTP2_INTERNAL_ERROR});
}

TEST_F(UpstreamProtocol, MoreDataThanWasAnnounced) {
  const std::string block = wire::response_block("200", {{"content-type", "text/plain"}, {"content-length", "4"}});
  const auto& answer = answer_after(wire::headers(1, block, false) + wire::data(1, "five!", true));
  EXPECT_FALSE(answer.has_ended) << "must not look like success";
}

TEST_F(UpstreamProtocol, AnotherCallOnTheConnectionGoesOn) {
  // Endpoints alternate: the third call goes where the first went.
  const int32_t second = client.peer->send_request(grpc_request(), grpc_message(3), true);
  const int32_t other = client.peer->send_request(grpc_request(), grpc_message(3), true);
  rig.run();
  rig.upstream(1).peer->send_response(1, kGrpcResponse, grpc_message(4), kGrpcOk);
  rig.run();
  EXPECT_EQ(value_of(client.peer->messages.at(second).trailers, "grpc-status"), "0");
  ASSERT_EQ(Rig::calls(*upstream), (std::vector<int32_t>{1, 3}));
  expect_internal(answer_after(wire::headers(1, kMalformedBlock, true)), h2::Fault::kFieldOctets);
  upstream->peer->send_response(3, kGrpcResponse, grpc_message(4), kGrpcOk);
  rig.run();
  EXPECT_EQ(value_of(client.peer->messages.at(other).trailers, "grpc-status"), "0");
}

// The response is complete for the client; only the upload is cut.
TEST(UpstreamProtocolAfterTheResponse, EndsTheUploadAlone) {
  Rig rig(Rig::plain_snapshot(1));
  Link& client = rig.add_client();
  Flow& request = rig.open_request(client, grpc_request());
  rig.send(request, grpc_message(10));
  rig.run();
  Link& upstream = rig.upstream(0);
  upstream.is_mute = true;
  say(rig, upstream, wire::headers(1, wire::block({{":status", "200"}, {"grpc-status", "8"}}), true));
  EXPECT_TRUE(client.of_type(kRst).empty());
  say(rig, upstream, wire::data(1, "more", false));
  ASSERT_EQ(client.of_type(kRst).size(), 1u);
  EXPECT_EQ(client.of_type(kRst)[0].word, uint32_t{NGHTTP2_NO_ERROR});
  EXPECT_EQ(value_of(client.peer->messages.at(request.id).headers, "grpc-status"), "8");
  EXPECT_EQ(rig.proxy->counters().responses, 1u);
  EXPECT_EQ(replies(rig, LocalReason::kUpstreamProtocol), 0u) << "nothing was left to answer";
  EXPECT_EQ(rig.proxy->exchanges().live_count(), 0u);
}

// An endpoint that breaks a rule of the connection while calls wait for a stream of it. The first call has one.
class BrokenConnection : public testing::Test {
 protected:
  BrokenConnection() : client(rig.add_client()) {
    rig.endpoint_options.settings = {{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 1}};
    first = call("first");
    rig.connects = false;
  }

  int32_t call(std::string_view body) {
    const int32_t id = client.peer->send_request(grpc_request(), std::string(body), true);
    rig.run();
    return id;
  }
  void refuse_wanted() {
    ASSERT_EQ(rig.wanted.size(), 1u);
    rig.refuse(rig.wanted[0]);
    rig.wanted.clear();
    rig.run();
  }
  std::string status_of(int32_t id) { return value_of(client.peer->messages[id].headers, "grpc-status"); }

  Rig rig{Rig::plain_snapshot(1)};
  Link& client;
  int32_t first = 0;
};

TEST_F(BrokenConnection, CallsThatWaitGetAnother) {
  call("second");
  call("third");
  refuse_wanted();
  Link& upstream = rig.upstream(0);
  say(rig, upstream, kBadForTheConnection);
  EXPECT_TRUE(upstream.is_gone);
  EXPECT_EQ(upstream.of_type(kGoaway).size(), 1u);
  EXPECT_EQ(status_of(first), "14");
  ASSERT_EQ(rig.wanted.size(), 1u);
  rig.endpoint_options.settings.clear();
  rig.connect(rig.wanted[0]);
  rig.run();
  Link& next = rig.upstream(0);
  ASSERT_EQ(Rig::calls(next), (std::vector<int32_t>{1, 3}));
  EXPECT_EQ(next.peer->messages.at(1).body, "second");
  EXPECT_EQ(next.peer->messages.at(3).body, "third");
}

// No call is on it whose end could serve the others: the endpoint has lowered its limit to no stream at all.
TEST_F(BrokenConnection, CallsThatWaitGetAnotherWhenNoneIsOnIt) {
  Link& upstream = rig.upstream(0);
  upstream.peer->send_response(1, kGrpcResponse, grpc_message(1), kGrpcOk);
  upstream.peer->send_settings({{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 0}});
  rig.run();
  const int32_t waiting = call("second");
  refuse_wanted();
  EXPECT_EQ(status_of(waiting), "(none)") << "it waits";
  say(rig, upstream, kBadForTheConnection);
  EXPECT_TRUE(upstream.is_gone);
  ASSERT_EQ(rig.wanted.size(), 1u);
  rig.connect(rig.wanted[0]);
  rig.run();
  EXPECT_EQ(rig.upstream(0).peer->messages.at(1).body, "second");
}

// As many connections as the pool makes, each with a call, and one more that waits: the connection that breaks makes
// room for another.
TEST_F(BrokenConnection, ACallThatWaitsBesideAFullPoolGetsAnother) {
  for (int extra = 0; extra < 200; ++extra) {
    call("more");
    if (rig.wanted.empty()) break;
    rig.connect(rig.wanted[0]);
    rig.wanted.clear();
    rig.run();
  }
  ASSERT_TRUE(rig.wanted.empty()) << "the pool has a limit";
  Link& upstream = rig.upstream(0);
  ASSERT_EQ(Rig::calls(upstream).size(), 1u);
  say(rig, upstream, kBadForTheConnection);
  EXPECT_TRUE(upstream.is_gone);
  ASSERT_EQ(rig.wanted.size(), 1u);
  rig.connect(rig.wanted[0]);
  rig.run();
  EXPECT_EQ(Rig::calls(rig.upstream(0)).size(), 1u);
}

}  // namespace
}  // namespace ringway::proxy
