// The caller's deadline, held by the proxy at each stage of a call.
#include <gtest/gtest.h>

#include "grpc/timeout.h"
#include "rig.h"

namespace ringway::proxy {
namespace {

constexpr uint8_t kRst = 3;

PlainList with_timeout(std::string value) {
  return grpc_request("/shop.Cart/Add", {{"grpc-timeout", std::move(value)}});
}

TEST(Deadline, OverBeforeItBegan) {
  Rig rig(Rig::plain_snapshot(1));
  Link& client = rig.add_client();
  const int32_t id = client.peer->send_request(with_timeout("0m"), grpc_message(1), true);
  rig.run();
  EXPECT_EQ(value_of(client.peer->messages.at(id).headers, "grpc-status"), "4");
  EXPECT_FALSE(rig.has_upstream(0)) << "no endpoint is troubled with it";
  EXPECT_EQ(rig.proxy->counters().local_replies[static_cast<size_t>(LocalReason::kDeadline)], 1u);
}

TEST(Deadline, MalformedIsAnError) {
  Rig rig(Rig::plain_snapshot(1));
  Link& client = rig.add_client();
  const int32_t id = client.peer->send_request(with_timeout("5 sec"), grpc_message(1), true);
  rig.run();
  EXPECT_EQ(value_of(client.peer->messages.at(id).headers, "grpc-status"), "13");
  EXPECT_NE(value_of(client.peer->messages.at(id).headers, "grpc-message").find("'5 sec'"), std::string::npos);
}

TEST(Deadline, PassesWhileWaitingForAConnection) {
  Rig rig(Rig::plain_snapshot(1));
  rig.connects = false;
  Link& client = rig.add_client();
  const int32_t id = client.peer->send_request(with_timeout("50m"), grpc_message(1), true);
  rig.run();
  rig.pass(49 * base::kMillisecond_ns);
  EXPECT_FALSE(client.peer->messages[id].has_headers);
  rig.pass(2 * base::kMillisecond_ns);
  const auto& answer = client.peer->messages.at(id);
  EXPECT_EQ(value_of(answer.headers, "grpc-status"), "4");
  EXPECT_NE(value_of(answer.headers, "grpc-message").find("waiting for a connection"), std::string::npos);
  rig.connect(rig.wanted.at(0));
  rig.run();
  EXPECT_TRUE(Rig::calls(rig.upstream(0)).empty()) << "and is not sent after all";
}

// The turn in which the connection comes is later than the deadline, and timers run at its end.
TEST(Deadline, PassesInTheTurnInWhichTheConnectionComes) {
  Rig rig(Rig::plain_snapshot(1));
  rig.connects = false;
  Link& client = rig.add_client();
  const int32_t late = client.peer->send_request(with_timeout("50m"), grpc_message(1), true);
  client.peer->send_request(with_timeout("5S"), grpc_message(1), true);
  rig.run();
  rig.now_ns += 70 * base::kMillisecond_ns;
  rig.connect(rig.wanted.at(0));
  rig.run();
  EXPECT_EQ(value_of(client.peer->messages.at(late).headers, "grpc-status"), "4");
  Link& upstream = rig.upstream(0);
  ASSERT_EQ(Rig::calls(upstream).size(), 1u);
  EXPECT_EQ(value_of(upstream.peer->messages.at(1).headers, "grpc-timeout"), "4930000u");
}

TEST(Deadline, PassesInFlight) {
  Rig rig(Rig::plain_snapshot(1));
  Link& client = rig.add_client();
  const int32_t id = client.peer->send_request(with_timeout("50m"), grpc_message(1), true);
  rig.run();
  Link& upstream = rig.upstream(0);
  ASSERT_EQ(Rig::calls(upstream).size(), 1u);
  rig.pass(49 * base::kMillisecond_ns);
  EXPECT_TRUE(upstream.of_type(kRst).empty());
  rig.now_ns += 2 * base::kMillisecond_ns;
  rig.turn();
  ASSERT_EQ(upstream.turn_frames.size(), 1u) << "cancelled in the same turn";
  EXPECT_EQ(upstream.turn_frames[0].type, kRst);
  EXPECT_EQ(upstream.turn_frames[0].word, uint32_t{NGHTTP2_CANCEL});
  EXPECT_EQ(value_of(client.peer->messages.at(id).headers, "grpc-status"), "4");
  EXPECT_EQ(value_of(client.peer->messages.at(id).headers, "grpc-message"),
            "deadline of 0.050 s exceeded at the proxy");
  EXPECT_EQ(rig.proxy->exchanges().live_count(), 0u);
}

TEST(Deadline, TheEndpointIsToldWhatIsLeft) {
  Rig rig(Rig::plain_snapshot(1));
  rig.connects = false;
  Link& client = rig.add_client();
  client.peer->send_request(with_timeout("1S"), grpc_message(1), true);
  rig.run();
  rig.pass(400 * base::kMillisecond_ns);
  rig.connect(rig.wanted.at(0));
  rig.run();
  const auto left_ns = grpc::parse_timeout(value_of(rig.upstream(0).peer->messages.at(1).headers, "grpc-timeout"));
  EXPECT_EQ(left_ns, 600 * base::kMillisecond_ns);
}

// A timeout that the client repeats becomes an entry of its table, then part of a list that calls share. It goes on as
// it came where no time has passed, and as what is left of it in an attempt that is made later.
TEST(Deadline, TheEndpointIsToldWhatIsLeftOfARepeatedTimeout) {
  Rig rig;
  Link& client = rig.add_client();
  for (int call = 0; call < 12; ++call) {
    // The same fields each time, or others behind the timeout, or before it.
    PlainList more{{"grpc-timeout", "20S"}};
    if (call >= 4) more.push_back({"x-own", "a value of call " + std::to_string(call)});
    if (call >= 8) more.insert(more.begin(), {"x-first", "another value of call " + std::to_string(call)});
    const PlainList sent = grpc_request("/shop.Cart/Add", more);
    const int32_t id = client.peer->send_request(sent, grpc_message(3), true);
    rig.run();
    for (const std::string_view timeout : {"20S", "19000000u"}) {
      Link& upstream = rig.has_upstream(0) && !Rig::calls(rig.upstream(0)).empty() ? rig.upstream(0) : rig.upstream(1);
      ASSERT_EQ(Rig::calls(upstream).size(), 1u);
      const int32_t stream = Rig::calls(upstream)[0];
      PlainList expected = sent;
      for (PlainField& field : expected) {
        if (field.name == "grpc-timeout") field.value = timeout;
      }
      EXPECT_EQ(upstream.peer->messages.at(stream).headers, expected) << call;
      if (timeout == "20S") {
        rig.pass(base::kSecond_ns, base::kSecond_ns / 4);
        nghttp2_submit_rst_stream(upstream.peer->session(), NGHTTP2_FLAG_NONE, stream, NGHTTP2_REFUSED_STREAM);
      } else {
        upstream.peer->send_response(stream, kGrpcResponse, grpc_message(3), kGrpcOk);
      }
      rig.run();
    }
    EXPECT_EQ(value_of(client.peer->messages.at(id).trailers, "grpc-status"), "0");
  }
}

TEST(Deadline, AnAnswerInTimeEndsIt) {
  Rig rig(Rig::plain_snapshot(1));
  Link& client = rig.add_client();
  const int32_t id = client.peer->send_request(with_timeout("50m"), grpc_message(1), true);
  rig.run();
  rig.upstream(0).peer->send_response(1, kGrpcResponse, grpc_message(1), kGrpcOk);
  rig.run();
  rig.pass(100 * base::kMillisecond_ns);
  EXPECT_EQ(value_of(client.peer->messages.at(id).trailers, "grpc-status"), "0");
  EXPECT_TRUE(client.of_type(kRst).empty());
  EXPECT_EQ(rig.proxy->counters().local_replies[static_cast<size_t>(LocalReason::kDeadline)], 0u);
}

}  // namespace
}  // namespace ringway::proxy
