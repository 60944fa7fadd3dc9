// 1xx responses are forwarded as they come, before the final one, and change nothing about it.
#include <gtest/gtest.h>

#include <array>

#include "rig.h"
#include "wire.h"

namespace ringway::proxy {
namespace {

namespace wire = h2::wire;

constexpr uint8_t kHeaders = 1;

class Informational : public testing::Test {
 protected:
  Informational() : client(rig.add_client()) {
    id = client.peer->send_request(grpc_request(), grpc_message(3), true);
    rig.run();
    upstream = &rig.upstream(0);
  }

  void inform(const PlainList& fields) {
    std::vector<nghttp2_nv> pairs;
    for (const PlainField& field : fields) {
      pairs.push_back({reinterpret_cast<uint8_t*>(const_cast<char*>(field.name.data())),
                       reinterpret_cast<uint8_t*>(const_cast<char*>(field.value.data())), field.name.size(),
                       field.value.size(), NGHTTP2_NV_FLAG_NONE});
    }
    ASSERT_EQ(nghttp2_submit_headers(upstream->peer->session(), NGHTTP2_FLAG_NONE, 1, nullptr, pairs.data(),
                                     pairs.size(), nullptr),
              0);
  }
  const Nghttp2Peer::Message& answer() { return client.peer->messages.at(id); }
  void expect_the_final_response() {
    EXPECT_EQ(answer().headers, kGrpcResponse);
    EXPECT_EQ(answer().body, grpc_message(4));
    EXPECT_EQ(value_of(answer().trailers, "grpc-status"), "0");
    EXPECT_TRUE(answer().is_closed);
    EXPECT_TRUE(client.peer->complaints.empty());
    EXPECT_EQ(rig.proxy->counters().responses, 1u);
    EXPECT_EQ(rig.proxy->exchanges().live_count(), 0u);
  }
  // The final response comes in a turn of its own.
  void finish() {
    rig.run();
    upstream->peer->send_response(1, kGrpcResponse, grpc_message(4), kGrpcOk);
    rig.run();
    expect_the_final_response();
  }

  Rig rig{Rig::plain_snapshot(1)};
  Link& client;
  Link* upstream = nullptr;
  int32_t id = 0;
};

TEST_F(Informational, PassesAtOnceWithAllItsFields) {
  const PlainList hints = {{":status", "103"}, {"link", "</style.css>; rel=preload"}, {"x-hint", "early"}};
  inform(hints);
  Connection& downstream = *rig.proxy->connections().find(client.handle);
  rig.proxy->receive(*rig.proxy->connections().find(upstream->handle), h2::octets_of(upstream->peer->take_output()),
                     rig.now_ns);
  const auto bytes = downstream.h2.output().bytes();
  const auto frames = wire::parse({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0].type, kHeaders);
  EXPECT_EQ(frames[0].flags, h2::kFlagEndHeaders) << "the stream goes on";
  h2::Inflater inflater;
  const auto fields = inflater.decode(frames[0].payload);
  ASSERT_TRUE(fields);
  EXPECT_EQ(*fields, hints);
  finish();
  EXPECT_EQ(answer().informational_count, 1u);
}

TEST_F(Informational, SeveralPassInOrderBeforeTheFinalResponse) {
  for (const char* status : {"100", "102", "103", "199"}) inform({{":status", status}});
  rig.run();
  EXPECT_EQ(answer().informational_count, 4u);
  EXPECT_FALSE(answer().has_headers);
  finish();
  EXPECT_EQ(answer().informational_count, 4u);
  EXPECT_EQ(client.of_type(kHeaders).size(), 6u) << "four, the response and its trailers";
}

TEST_F(Informational, AndTheFinalResponseInOneGo) {
  inform({{":status", "103"}, {"link", "</style.css>"}});
  upstream->peer->send_response(1, kGrpcResponse, grpc_message(4), kGrpcOk);
  rig.run();
  expect_the_final_response();
  EXPECT_EQ(answer().informational_count, 1u);
}

TEST_F(Informational, EightPassAndTheNinthEndsTheCall) {
  for (int i = 0; i < 8; ++i) inform({{":status", "103"}});
  rig.run();
  EXPECT_EQ(answer().informational_count, 8u);
  EXPECT_FALSE(answer().is_closed);
  inform({{":status", "103"}});
  rig.run();
  EXPECT_TRUE(answer().is_closed);
  EXPECT_EQ(value_of(answer().headers, "grpc-status"), "13");
  EXPECT_EQ(value_of(answer().headers, "grpc-message"),
            "endpoint 127.0.0.1:1001 sent more than 8 informational responses");
  EXPECT_EQ(rig.proxy->exchanges().live_count(), 0u);
}

// A 1xx is no response yet: nothing has been committed, and the call is told what happened in the usual form.
TEST_F(Informational, ALocalReplyMayFollow) {
  inform({{":status", "103"}});
  rig.run();
  rig.lose(*upstream, 0);
  rig.run();
  EXPECT_EQ(answer().informational_count, 1u);
  EXPECT_EQ(value_of(answer().headers, ":status"), "200");
  EXPECT_EQ(value_of(answer().headers, "grpc-status"), "14");
}

TEST_F(Informational, AnUploadGoesOnBehindIt) {
  Flow& request = rig.open_request(client, grpc_request());
  rig.send(request, "before,");
  rig.run();
  ASSERT_EQ(Rig::calls(*upstream), (std::vector<int32_t>{1, 3}));
  const std::array<nghttp2_nv, 1> go_on = {
      {{reinterpret_cast<uint8_t*>(const_cast<char*>(":status")), reinterpret_cast<uint8_t*>(const_cast<char*>("100")),
        7, 3, NGHTTP2_NV_FLAG_NONE}}};
  nghttp2_submit_headers(upstream->peer->session(), NGHTTP2_FLAG_NONE, 3, nullptr, go_on.data(), go_on.size(), nullptr);
  rig.run();
  EXPECT_EQ(client.peer->messages.at(request.id).informational_count, 1u);
  rig.send(request, "after", true);
  rig.run();
  EXPECT_EQ(upstream->peer->messages.at(3).body, "before,after");
}

// To a client that has gone nothing is forwarded.
TEST_F(Informational, AfterTheClientsCancelItVanishes) {
  upstream->is_mute = true;
  inform({{":status", "103"}});
  nghttp2_submit_rst_stream(client.peer->session(), NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
  rig.deliver(client);
  upstream->is_mute = false;
  rig.deliver(*upstream);
  EXPECT_TRUE(client.of_type(kHeaders).empty());
  EXPECT_EQ(rig.proxy->exchanges().live_count(), 0u);
}

}  // namespace
}  // namespace ringway::proxy
