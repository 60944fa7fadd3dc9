// limits.message, both ways, at the limit and beside it, however the octets are cut: what the client is told, what each
// end has received of the message, and what the endpoint is told.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "rig.h"
#include "wire.h"

namespace ringway::proxy {
namespace {

namespace wire = h2::wire;

constexpr uint8_t kRst = 3;
constexpr uint32_t kLimit = 100;

config::Snapshot limited(uint32_t limit) {
  config::Snapshot snapshot = Rig::plain_snapshot(1);
  snapshot.limits.message_bytes = limit;
  return snapshot;
}

std::string too_long(const std::string& direction, size_t size) {
  return direction + " message of " + std::to_string(size) + " bytes exceeds the limit of 100 bytes (limits.message)";
}

class MessageLimit : public testing::Test {
 protected:
  Nghttp2Peer::Message& answer(int32_t id) { return client.peer->messages[id]; }
  uint64_t refused() const {
    return rig.proxy->counters().local_replies[static_cast<size_t>(LocalReason::kMessageTooLarge)];
  }
  // A call whose request is complete, at the endpoint, which then says what the test lets it say.
  int32_t call() {
    const int32_t id = client.peer->send_request(grpc_request(), grpc_message(1), true);
    rig.run();
    rig.upstream(0).is_mute = true;
    return id;
  }
  void respond(int32_t id, std::string_view content_type = "application/grpc") {
    const std::string block = wire::response_block("200", {{"content-type", std::string(content_type)}});
    rig.say(rig.upstream(0), wire::headers(static_cast<uint32_t>(id), block, false));
  }
  void say_data(int32_t id, std::string_view body, bool ends = false) {
    rig.say(rig.upstream(0), wire::data(static_cast<uint32_t>(id), body, ends));
  }
  void say_trailers(int32_t id) {
    rig.say(rig.upstream(0), wire::headers(static_cast<uint32_t>(id), wire::block({{"grpc-status", "0"}}), true));
  }
  void expect_cancelled(Link& upstream, size_t times = 1) {
    const auto resets = upstream.of_type(kRst);
    ASSERT_EQ(resets.size(), times);
    if (times != 0) {
      EXPECT_EQ(resets.back().word, uint32_t{NGHTTP2_CANCEL});
    }
  }
  void TearDown() override { EXPECT_EQ(rig.proxy->exchanges().live_count(), 0u); }

  Rig rig{limited(kLimit)};
  Link& client{rig.add_client()};
};

TEST_F(MessageLimit, Requests) {
  for (const size_t size : {kLimit - 1, kLimit, kLimit + 1}) {
    const int32_t id = client.peer->send_request(grpc_request(), grpc_message(size), true);
    rig.run();
    Link& upstream = rig.upstream(0);
    if (size <= kLimit) {
      const int32_t sent = Rig::calls(upstream).at(0);
      EXPECT_EQ(upstream.peer->messages.at(sent).body, grpc_message(size));
      upstream.peer->send_response(sent, kGrpcResponse, grpc_message(size), kGrpcOk);
      rig.run();
      EXPECT_EQ(value_of(answer(id).trailers, "grpc-status"), "0") << size;
      EXPECT_EQ(answer(id).body, grpc_message(size));
      continue;
    }
    EXPECT_EQ(value_of(answer(id).headers, "grpc-status"), "8");
    EXPECT_EQ(value_of(answer(id).headers, "grpc-message"), too_long("request", size));
    EXPECT_TRUE(answer(id).has_ended);
    expect_cancelled(upstream);
    EXPECT_EQ(upstream.peer->messages.at(5).body, "") << "nothing of it was passed on";
  }
  EXPECT_EQ(refused(), 1u);
  EXPECT_EQ(rig.proxy->counters().retries, 0u);
}

// However the client says that it speaks gRPC, as long as some endpoint may read it so.
TEST_F(MessageLimit, RequestsOfAnyContentTypeOfGrpc) {
  const PlainList plain{{":method", "POST"}, {":scheme", "http"}, {":path", "/a.B/C"}, {":authority", "a"}};
  const std::vector<std::vector<std::string>> cases{
      {"Application/grpc"},           {"application/GRPC+proto"},        {"application/grpc ;x=1"},
      {"application/grpc; x=1"},      {"application/grpc", "text/html"}, {"text/html", "application/grpc"},
      {"application/grpc, text/html"}};
  for (const std::vector<std::string>& types : cases) {
    PlainList request = plain;
    for (const std::string& type : types) request.push_back({"content-type", type});
    // A list that is told anew, and then one that is known.
    for (int use = 0; use < 3; ++use) {
      const int32_t id = client.peer->send_request(request, grpc_message(kLimit + 1), true);
      rig.run();
      EXPECT_EQ(value_of(answer(id).headers, "grpc-message"), too_long("request", kLimit + 1)) << types.back();
    }
  }
}

// While the call waits for its endpoint.
TEST_F(MessageLimit, ARequestThatWaits) {
  rig.connects = false;
  const int32_t id = client.peer->send_request(grpc_request(), grpc_message(kLimit + 1), true);
  rig.run();
  EXPECT_EQ(value_of(answer(id).headers, "grpc-message"), too_long("request", kLimit + 1));
}

TEST_F(MessageLimit, ALaterRequestMessageHoweverItIsCut) {
  const std::string before = grpc_message(kLimit) + grpc_message(0);
  const std::string body = before + grpc_message(kLimit + 1);
  for (size_t split = before.size(); split <= before.size() + 6; ++split) {
    Flow& flow = rig.open_request(client, grpc_request());
    rig.send(flow, body.substr(0, split));
    rig.run();
    Link& upstream = rig.upstream(0);
    upstream.frames.clear();
    rig.send(flow, body.substr(split), true);
    rig.run();
    EXPECT_EQ(value_of(answer(flow.id).headers, "grpc-status"), "8") << split;
    EXPECT_EQ(value_of(answer(flow.id).headers, "grpc-message"), too_long("request", kLimit + 1));
    EXPECT_LE(upstream.peer->messages.rbegin()->second.body.size(), before.size() + 4)
        << "no more than a part of its prefix";
  }
}

// The response has begun: it ends between two messages.
TEST_F(MessageLimit, ARequestMessageBehindTheBeginOfTheResponse) {
  Flow& flow = rig.open_request(client, grpc_request());
  rig.send(flow, grpc_message(1));
  rig.run();
  Link& upstream = rig.upstream(0);
  Flow& response = rig.open_response(upstream, 1, kGrpcResponse);
  rig.send(response, grpc_message(7));
  rig.run();
  rig.send(flow, grpc_message(kLimit + 1));
  rig.run();
  EXPECT_EQ(answer(flow.id).body, grpc_message(7));
  EXPECT_EQ(value_of(answer(flow.id).trailers, "grpc-status"), "8");
  EXPECT_EQ(value_of(answer(flow.id).trailers, "grpc-message"), too_long("request", kLimit + 1));
  expect_cancelled(upstream);
}

// … or, inside of one, with the code that means the same.
TEST_F(MessageLimit, ARequestMessageInTheMiddleOfAResponseMessage) {
  Flow& flow = rig.open_request(client, grpc_request());
  rig.run();
  Link& upstream = rig.upstream(0);
  Flow& response = rig.open_response(upstream, 1, kGrpcResponse);
  rig.send(response, grpc_message(7).substr(0, 8));
  rig.run();
  rig.send(flow, grpc_message(kLimit + 1));
  rig.run();
  EXPECT_EQ(answer(flow.id).close_code, uint32_t{NGHTTP2_ENHANCE_YOUR_CALM});
  expect_cancelled(upstream);
}

TEST_F(MessageLimit, ResponsesHoweverTheyAreCut) {
  const std::string before = grpc_message(kLimit, 'a') + grpc_message(0);
  for (const size_t size : {kLimit - 1, kLimit, kLimit + 1}) {
    const std::string body = before + grpc_message(size, 'b') + grpc_message(2, 'c');
    for (size_t split = 0; split <= body.size(); ++split) {
      const int32_t id = call();
      Link& upstream = rig.upstream(0);
      upstream.frames.clear();
      const int32_t sent = upstream.peer->messages.rbegin()->first;
      respond(sent);
      say_data(sent, body.substr(0, split));
      if (size <= kLimit || split < before.size() + 5) say_data(sent, body.substr(split));
      if (size <= kLimit) {
        say_trailers(sent);
        ASSERT_EQ(answer(id).body, body) << split;
        ASSERT_EQ(value_of(answer(id).trailers, "grpc-status"), "0");
        continue;
      }
      ASSERT_EQ(answer(id).body, before) << split;
      ASSERT_EQ(value_of(answer(id).trailers, "grpc-status"), "8");
      ASSERT_EQ(value_of(answer(id).trailers, "grpc-message"), too_long("response", size));
      ASSERT_TRUE(answer(id).has_ended);
      client.peer->messages.erase(id);
    }
  }
}

TEST_F(MessageLimit, AResponseOctetByOctet) {
  const int32_t id = call();
  const std::string body = grpc_message(kLimit) + grpc_message(3);
  respond(1);
  for (const char octet : body) say_data(1, std::string(1, octet));
  EXPECT_EQ(answer(id).body, body);
  for (const char octet : grpc_message(kLimit + 1).substr(0, 5)) say_data(1, std::string(1, octet));
  EXPECT_EQ(answer(id).body, body);
  EXPECT_EQ(value_of(answer(id).trailers, "grpc-status"), "8");
  expect_cancelled(rig.upstream(0));
}

// What an endpoint leaves of a prefix is not hidden, so that a message that was cut does not look like none.
TEST_F(MessageLimit, AResponseThatEndsInsideAPrefix) {
  const int32_t with_trailers = call();
  respond(1);
  say_data(1, grpc_message(3).substr(0, 2));
  say_data(1, grpc_message(3).substr(2, 1));
  EXPECT_EQ(answer(with_trailers).body, "");
  say_trailers(1);
  EXPECT_EQ(answer(with_trailers).body, grpc_message(3).substr(0, 3));
  EXPECT_EQ(value_of(answer(with_trailers).trailers, "grpc-status"), "0");
  const int32_t without = call();
  respond(3);
  say_data(3, grpc_message(3).substr(0, 2));
  say_data(3, grpc_message(3).substr(2, 2), true);
  EXPECT_EQ(answer(without).body, grpc_message(3).substr(0, 4));
  EXPECT_TRUE(answer(without).has_ended);
  const int32_t empty_end = call();
  respond(5);
  say_data(5, grpc_message(3).substr(0, 4));
  say_data(5, "", true);
  EXPECT_EQ(answer(empty_end).body, grpc_message(3).substr(0, 4));
  EXPECT_TRUE(answer(empty_end).has_ended);
}

TEST_F(MessageLimit, WhatIsNoGrpcIsNotMeasured) {
  const std::string page = "<html>" + std::string(kLimit, 'x');
  const int32_t html = call();
  respond(1, "text/html");
  say_data(1, page, true);
  EXPECT_EQ(answer(html).body, page) << "a gRPC request, and something in between answered";
  PlainList fields = grpc_request();
  for (PlainField& field : fields) {
    if (field.name == "content-type") field.value = "text/plain";
  }
  const int32_t plain = client.peer->send_request(fields, grpc_message(kLimit + 1), true);
  rig.run();
  respond(3, "text/plain");
  say_data(3, grpc_message(kLimit + 1), true);
  EXPECT_EQ(answer(plain).body, grpc_message(kLimit + 1));
  EXPECT_EQ(refused(), 0u);
}

TEST(MessageLimitOfNone, LetsAllPass) {
  Rig rig(limited(0));
  Link& client = rig.add_client();
  const int32_t id = client.peer->send_request(grpc_request(), grpc_message(50'000), true);
  rig.run();
  rig.upstream(0).peer->send_response(1, kGrpcResponse, grpc_message(50'000), kGrpcOk);
  rig.run();
  EXPECT_EQ(client.peer->messages.at(id).body, grpc_message(50'000));
  EXPECT_EQ(value_of(client.peer->messages.at(id).trailers, "grpc-status"), "0");
}

}  // namespace
}  // namespace ringway::proxy
