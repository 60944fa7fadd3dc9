// Calls that go well, and how they end when one side wants out.
#include <gtest/gtest.h>

#include "proxy/log_port.h"
#include "rig.h"

namespace ringway::proxy {
namespace {

constexpr uint8_t kRst = 3;

TEST(Forwarding, AUnaryCallPassesUnchanged) {
  Rig rig;
  Link& client = rig.add_client();
  const PlainList request = grpc_request("/shop.Cart/Add", {{"x-tenant", "blue"}, {"x-bin-bin", "AAEC"}});
  const int32_t id = client.peer->send_request(request, grpc_message(32, 'q'), true);
  rig.run();
  Link& upstream = rig.upstream(0);
  ASSERT_EQ(Rig::calls(upstream).size(), 1u);
  const auto& received = upstream.peer->messages.at(1);
  EXPECT_EQ(h2::without_flags(received.headers), request);
  EXPECT_EQ(received.body, grpc_message(32, 'q'));
  EXPECT_TRUE(received.has_ended);
  upstream.peer->send_response(1, kGrpcResponse, grpc_message(48, 'a'), {{"grpc-status", "0"}, {"x-cost", "3"}});
  rig.run();
  const auto& answer = client.peer->messages.at(id);
  EXPECT_EQ(answer.headers, kGrpcResponse);
  EXPECT_EQ(answer.body, grpc_message(48, 'a'));
  EXPECT_EQ(answer.trailers, (PlainList{{"grpc-status", "0"}, {"x-cost", "3"}}));
  EXPECT_TRUE(answer.is_closed);
  EXPECT_EQ(answer.close_code, 0u);
  EXPECT_EQ(rig.proxy->counters().responses, 1u);
  EXPECT_EQ(rig.proxy->counters().request_bytes, 37u);
  EXPECT_EQ(rig.proxy->counters().response_bytes, 53u);
  EXPECT_EQ(rig.proxy->exchanges().live_count(), 0u);
}

TEST(Forwarding, CallsGoRoundTheEndpoints) {
  Rig rig;
  Link& client = rig.add_client();
  for (int i = 0; i < 6; ++i) {
    client.peer->send_request(grpc_request(), grpc_message(1), true);
    rig.run();
  }
  EXPECT_EQ(Rig::calls(rig.upstream(0)).size(), 3u);
  EXPECT_EQ(Rig::calls(rig.upstream(1)).size(), 3u);
}

TEST(Forwarding, WaitingCallsAreSentOnceConnected) {
  Rig rig(Rig::plain_snapshot(1));
  rig.connects = false;
  Link& client = rig.add_client();
  for (int i = 0; i < 3; ++i)
    client.peer->send_request(grpc_request(), grpc_message(5, static_cast<char>('a' + i)), true);
  rig.run();
  ASSERT_EQ(rig.wanted.size(), 1u) << "one connection for all that wait";
  rig.connect(rig.wanted.front());
  rig.run();
  Link& upstream = rig.upstream(0);
  ASSERT_EQ(Rig::calls(upstream), (std::vector<int32_t>{1, 3, 5}));
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(upstream.peer->messages.at(1 + 2 * i).body, grpc_message(5, static_cast<char>('a' + i))) << "in order";
  }
}

TEST(Forwarding, AClientsCancelReachesTheEndpointInTheSameTurn) {
  Rig rig(Rig::plain_snapshot(1));
  Link& client = rig.add_client();
  Flow& request = rig.open_request(client, grpc_request());
  rig.send(request, grpc_message(8));
  rig.run();
  Link& upstream = rig.upstream(0);
  ASSERT_EQ(Rig::calls(upstream).size(), 1u);
  nghttp2_submit_rst_stream(client.peer->session(), NGHTTP2_FLAG_NONE, request.id, NGHTTP2_CANCEL);
  rig.deliver(client);
  ASSERT_EQ(upstream.turn_frames.size(), 1u);
  EXPECT_EQ(upstream.turn_frames[0].type, kRst);
  EXPECT_EQ(upstream.turn_frames[0].stream, 1u);
  EXPECT_EQ(upstream.turn_frames[0].word, uint32_t{NGHTTP2_CANCEL});
  EXPECT_EQ(rig.proxy->counters().client_cancels, 1u);
  EXPECT_EQ(rig.proxy->exchanges().live_count(), 0u);
}

TEST(Forwarding, ALostClientCancelsItsCallsInTheSameTurn) {
  Rig rig(Rig::plain_snapshot(1));
  Link& client = rig.add_client();
  for (int i = 0; i < 3; ++i) client.peer->send_request(grpc_request(), grpc_message(8), true);
  rig.run();
  Link& upstream = rig.upstream(0);
  rig.lose(client, 0);
  ASSERT_EQ(upstream.turn_frames.size(), 3u);
  for (const SeenFrame& frame : upstream.turn_frames) {
    EXPECT_EQ(frame.type, kRst);
    EXPECT_EQ(frame.word, uint32_t{NGHTTP2_CANCEL});
  }
  EXPECT_TRUE(client.is_gone);
  EXPECT_EQ(rig.proxy->downstream_count(), 0u);
}

TEST(Forwarding, AnEarlyResponseStopsTheUpload) {
  Rig rig(Rig::plain_snapshot(1));
  Link& client = rig.add_client();
  Flow& request = rig.open_request(client, grpc_request());
  rig.send(request, grpc_message(100));
  rig.run();
  Link& upstream = rig.upstream(0);
  upstream.peer->send_response(1, {{":status", "200"}, {"content-type", "application/grpc"}, {"grpc-status", "8"}}, "");
  upstream.is_mute = true;
  rig.deliver(upstream);
  EXPECT_EQ(value_of(client.peer->messages.at(request.id).headers, "grpc-status"), "8");
  EXPECT_TRUE(client.of_type(kRst).empty()) << "the upload goes on until the endpoint wants no more of it";
  nghttp2_submit_rst_stream(upstream.peer->session(), NGHTTP2_FLAG_NONE, 1, NGHTTP2_NO_ERROR);
  rig.deliver(upstream);
  ASSERT_EQ(client.of_type(kRst).size(), 1u);
  EXPECT_EQ(client.of_type(kRst)[0].word, uint32_t{NGHTTP2_NO_ERROR});
  EXPECT_TRUE(client.peer->messages.at(request.id).is_closed);
  EXPECT_EQ(rig.proxy->counters().responses, 1u);
  EXPECT_EQ(rig.proxy->exchanges().live_count(), 0u);
}

class ForwardedFor : public testing::Test {
 protected:
  static std::string seen_by_endpoint(const PlainList& more) {
    config::Snapshot snapshot = Rig::plain_snapshot(1);
    snapshot.listeners[0].forwarded.x_forwarded_for = true;
    Rig rig(snapshot);
    Link& client = rig.add_client("192.0.2.7:40000");
    client.peer->send_request(grpc_request("/a.B/C", more), grpc_message(1), true);
    rig.run();
    std::string all;
    for (const PlainField& field : rig.upstream(0).peer->messages.at(1).headers) {
      if (field.name == "x-forwarded-for") all += (all.empty() ? "" : ", ") + field.value;
    }
    return all;
  }
};

TEST_F(ForwardedFor, IsMadeOrAppendedTo) {
  EXPECT_EQ(seen_by_endpoint({}), "192.0.2.7");
  EXPECT_EQ(seen_by_endpoint({{"x-forwarded-for", "10.1.1.1"}}), "10.1.1.1, 192.0.2.7");
  EXPECT_EQ(seen_by_endpoint({{"x-forwarded-for", "10.1.1.1"}, {"x-forwarded-for", "10.2.2.2, 10.3.3.3"}}),
            "10.1.1.1, 10.2.2.2, 10.3.3.3, 192.0.2.7");
}

// A client must not be able to push its own address out of the list.
TEST_F(ForwardedFor, ALongListStillEndsWithTheClient) {
  for (const size_t size : {1000u, 4084u, 4085u, 4086u, 4096u, 5000u}) {
    const std::string sent(size, '1');
    EXPECT_TRUE(seen_by_endpoint({{"x-forwarded-for", sent}}) == sent + ", 192.0.2.7") << size;
  }
}

TEST(Forwarding, TheAccessLogHasALineForEachCall) {
  auto bell = std::move(*io::Doorbell::create());
  LogPort port(*bell, config::LogLevel::kInfo, 1 << 16);
  Rig rig(Rig::plain_snapshot(1), &port);
  Link& client = rig.add_client();
  client.peer->send_request(grpc_request("/shop.Cart/Add"), grpc_message(10), true);
  rig.run();
  EXPECT_EQ(port.access_lines().readable().size(), 0u) << "written at the end of a call";
  rig.upstream(0).peer->send_response(1, kGrpcResponse, grpc_message(20), kGrpcOk);
  rig.run();
  const auto readable = port.access_lines().readable();
  const std::string line = std::string(readable.first.begin(), readable.first.end());
  EXPECT_TRUE(line.starts_with("192.0.2.7 - - [")) << line;
  EXPECT_TRUE(line.ends_with("\"POST /shop.Cart/Add HTTP/2.0\" 200 25 \"-\" \"grpc-test/1\"\n")) << line;
}

}  // namespace
}  // namespace ringway::proxy
