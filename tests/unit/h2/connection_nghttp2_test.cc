// Our connection joined in memory with an nghttp2 session, in both roles.
#include <gtest/gtest.h>

#include "echo_server.h"
#include "endpoint.h"
#include "nghttp2_peer.h"

namespace ringway::h2 {
namespace {

struct Shape {
  const char* name;
  size_t body_bytes;
  uint32_t calls;
  uint32_t peer_window;  // what nghttp2 advertises
  uint32_t our_window;
  uint32_t padding;
  uint32_t frame_size_max;  // of nghttp2's DATA
  uint32_t piece;           // octets a transfer
  size_t metadata_bytes;
};

constexpr Shape kShapes[] = {
    {"unary", 32, 20, 65'535, 65'535, 0, 0, 1 << 20, 10},
    {"empty", 0, 5, 65'535, 65'535, 0, 0, 1 << 20, 0},
    {"one_octet_at_a_time", 100, 3, 65'535, 65'535, 0, 0, 1, 10},
    {"tiny_windows", 3000, 4, 7, 11, 0, 0, 1 << 20, 10},
    {"tiny_windows_in_pieces", 2000, 4, 100, 50, 0, 0, 13, 10},
    {"big_bodies", 1'500'000, 3, 65'535, 65'535, 0, 0, 1 << 16, 10},
    {"big_bodies_small_windows", 200'000, 4, 1000, 3000, 0, 0, 1 << 16, 10},
    {"padding", 50'000, 4, 20'000, 20'000, 255, 0, 999, 10},
    {"small_frames", 20'000, 4, 65'535, 65'535, 3, 17, 5000, 10},
    {"big_headers", 500, 3, 65'535, 65'535, 0, 0, 7001, 40'000},
    {"many_calls", 200, 90, 4000, 4000, 0, 0, 3000, 100},
};

std::string body_of(uint32_t call, size_t size) {
  base::Prng prng(call + 1);
  std::string body(size, '\0');
  for (char& c : body) c = static_cast<char>(prng.next());
  return body;
}

PlainList metadata(uint32_t call, size_t size) {
  return {{"content-type", "application/grpc"},
          {"user-agent", "joined"},
          {"x-call", std::to_string(call)},
          {"authorization", "Bearer " + std::to_string(call), true},
          {"x-bytes", std::string(size, static_cast<char>('a' + call % 26))}};
}

Nghttp2Peer::Options options_of(const Shape& shape) {
  Nghttp2Peer::Options options;
  options.settings = {{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, shape.peer_window}};
  options.padding = shape.padding;
  options.frame_size_max = shape.frame_size_max;
  return options;
}

Limits limits_of(const Shape& shape) {
  Limits limits = test_limits();
  limits.stream_window = shape.our_window;
  limits.connection_window = std::max(65'535u, shape.our_window * 2);
  return limits;
}

class JoinedTest : public testing::TestWithParam<Shape> {
 protected:
  Memory memory_{1, 1000, 1 << 20};
};

TEST_P(JoinedTest, AnNghttp2ClientCallsOurServer) {
  const Shape& shape = GetParam();
  Endpoint end(Role::kServer, memory_, limits_of(shape));
  EchoServer server(end);
  Nghttp2Peer client(Role::kClient, options_of(shape));
  for (uint32_t call = 0; call < shape.calls; ++call) {
    client.send_request(wire::request_fields(metadata(call, shape.metadata_bytes)), body_of(call, shape.body_bytes),
                        shape.body_bytes != 0);
  }
  const auto step = [&] {
    const std::string to_server = client.take_output();
    for (size_t at = 0; at < to_server.size(); at += shape.piece) server.receive(to_server.substr(at, shape.piece));
    const std::string to_client = end.take_output();
    server.after_output();
    for (size_t at = 0; at < to_client.size(); at += shape.piece) {
      EXPECT_TRUE(client.receive(to_client.substr(at, shape.piece)));
    }
    return !to_server.empty() || !to_client.empty();
  };
  while (step()) {
    ASSERT_FALSE(end.connection.has_failed()) << end.connection.failure_reason();
  }
  EXPECT_EQ(client.complaints, std::vector<std::string>{});
  ASSERT_EQ(client.messages.size(), shape.calls);
  for (uint32_t call = 0; call < shape.calls; ++call) {
    const auto& message = client.messages.at(static_cast<int32_t>(2 * call + 1));
    EXPECT_TRUE(message.is_closed && message.has_ended) << call;
    EXPECT_EQ(message.close_code, 0u);
    EXPECT_EQ(message.body, body_of(call, shape.body_bytes)) << call;
    EXPECT_EQ(message.headers.at(0), (PlainField{":status", "200"}));
    // The server sends the request's own fields back, so that both of our codecs have had them.
    const PlainList sent = metadata(call, shape.metadata_bytes);
    EXPECT_EQ(PlainList(message.headers.begin() + 1, message.headers.end()), sent);
    EXPECT_EQ(message.trailers, (PlainList{{"grpc-status", "0"}, {"x-call", std::to_string(call)}}));
  }
  EXPECT_EQ(end.connection.stream_count(), 0u);
  EXPECT_EQ(end.connection.send_window(), nghttp2_session_get_local_window_size(client.session()));
  EXPECT_EQ(end.connection.recv_window(), nghttp2_session_get_remote_window_size(client.session()));
}

TEST_P(JoinedTest, OurClientCallsAnNghttp2Server) {
  const Shape& shape = GetParam();
  Endpoint client(Role::kClient, memory_, limits_of(shape));
  Nghttp2Peer server(Role::kServer, options_of(shape));
  std::map<uint32_t, Nghttp2Peer::Message> answers;
  uint32_t opened = 0;
  const auto answer_requests = [&] {
    for (auto& [id, message] : server.messages) {
      if (!message.has_ended || !message.trailers.empty() || message.is_closed || message.close_code == 1) continue;
      message.close_code = 1;  // answered
      PlainList headers{{":status", "200"}};
      headers.insert(headers.end(), message.headers.begin() + 4, message.headers.end());
      server.send_response(id, headers, message.body, {{"grpc-status", "0"}});
    }
  };
  const auto act = [&] {
    for (const Seen& seen : client.events) {
      auto& answer = answers[seen.stream_id];
      if (seen.kind == EventKind::kResponse) answer.headers = seen.fields;
      if (seen.kind == EventKind::kTrailers) answer.trailers = seen.fields;
      answer.body += seen.data;
      if (seen.kind == EventKind::kData) {
        client.connection.return_credit(*client.stream(seen.stream_id), static_cast<uint32_t>(seen.data.size()));
      }
      if (seen.end_stream) client.connection.close_stream(*client.stream(seen.stream_id));
    }
    client.events.clear();
  };
  for (bool is_moving = true; is_moving;) {
    // All at the second step, when the server's SETTINGS are known.
    while (client.connection.has_received_settings() && opened < shape.calls && client.connection.can_open_stream()) {
      Stream& stream = *client.connection.open_stream(nullptr);
      client.send_headers(stream, wire::request_fields(metadata(opened, shape.metadata_bytes)), shape.body_bytes == 0);
      if (shape.body_bytes != 0) client.send_data(stream, body_of(opened, shape.body_bytes), true);
      ++opened;
    }
    const std::string to_server = client.take_output();
    for (size_t at = 0; at < to_server.size(); at += shape.piece) {
      EXPECT_TRUE(server.receive(to_server.substr(at, shape.piece)));
    }
    answer_requests();
    const std::string to_client = server.take_output();
    client.receive_in_pieces(to_client, shape.piece);
    act();
    ASSERT_FALSE(client.connection.has_failed()) << client.connection.failure_reason();
    is_moving = !to_server.empty() || !to_client.empty();
  }
  EXPECT_EQ(server.complaints, std::vector<std::string>{});
  EXPECT_EQ(client.connection.stream_count(), 0u);
  for (uint32_t call = 0; call < shape.calls; ++call) {
    const auto& answer = answers[2 * call + 1];
    EXPECT_EQ(answer.body, body_of(call, shape.body_bytes)) << call;
    const PlainList sent = metadata(call, shape.metadata_bytes);
    EXPECT_EQ(PlainList(answer.headers.begin() + 1, answer.headers.end()), sent);
    EXPECT_EQ(answer.trailers, (PlainList{{"grpc-status", "0"}}));
    EXPECT_EQ(server.messages.at(static_cast<int32_t>(2 * call + 1)).headers,
              wire::request_fields(metadata(call, shape.metadata_bytes)));
  }
  EXPECT_EQ(client.connection.send_window(), nghttp2_session_get_local_window_size(server.session()));
  EXPECT_EQ(client.connection.recv_window(), nghttp2_session_get_remote_window_size(server.session()));
}

INSTANTIATE_TEST_SUITE_P(Shapes, JoinedTest, testing::ValuesIn(kShapes),
                         [](const testing::TestParamInfo<Shape>& shape) { return shape.param.name; });

class SettingsChangeTest : public testing::Test {
 protected:
  void exchange() {
    for (bool is_moving = true; is_moving;) {
      const std::string to_server = client_.take_output();
      server_.receive(to_server);
      const std::string to_client = end_.take_output();
      server_.after_output();
      ASSERT_TRUE(client_.receive(to_client));
      is_moving = !to_server.empty() || !to_client.empty();
    }
    ASSERT_FALSE(end_.connection.has_failed());
  }

  int32_t call(const std::string& body) {
    return client_.send_request(wire::request_fields(metadata(1, 20)), body, true);
  }

  Memory memory_{1, 1000, 1 << 20};
  Endpoint end_{Role::kServer, memory_};
  EchoServer server_{end_};
  Nghttp2Peer client_{Role::kClient, {}};
};

TEST_F(SettingsChangeTest, TheWindowGoesUpDownAndBelowZero) {
  Nghttp2Peer::Options options;
  options.returns_credit = false;
  Nghttp2Peer client(Role::kClient, options);
  Endpoint end(Role::kServer, memory_);
  EchoServer server(end);
  const auto exchange_with = [&] {
    for (bool is_moving = true; is_moving;) {
      const std::string to_server = client.take_output();
      server.receive(to_server);
      const std::string to_client = end.take_output();
      ASSERT_TRUE(client.receive(to_client));
      is_moving = !to_server.empty() || !to_client.empty();
    }
  };
  const std::string body(60'000, 'b');
  const int32_t id = client.send_request(wire::request_fields(), body, true);
  client.send_settings({{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 10'000}});
  exchange_with();
  EXPECT_EQ(client.messages[id].body.size(), 10'000u);
  client.send_settings({{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 4'000}});
  exchange_with();
  EXPECT_EQ(end.stream(1)->send_window, -6'000);
  client.send_settings({{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 10'001}});
  exchange_with();
  EXPECT_EQ(client.messages[id].body.size(), 10'001u);
  client.send_settings({{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0}});
  exchange_with();
  // 20,000 more by WINDOW_UPDATE, against a window of -10,001.
  nghttp2_session_consume(client.session(), id, 10'001);
  nghttp2_submit_window_update(client.session(), NGHTTP2_FLAG_NONE, id, 9'999);
  exchange_with();
  EXPECT_EQ(client.messages[id].body.size(), 20'000u);
  client.send_settings({{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1 << 20}});
  exchange_with();
  EXPECT_EQ(client.messages[id].body, body);
  EXPECT_TRUE(client.messages[id].is_closed);
  EXPECT_EQ(client.complaints, std::vector<std::string>{});
}

TEST_F(SettingsChangeTest, TheHeaderTableGoesAwayAndComesBack) {
  for (const uint32_t size : {4096u, 0u, 100u, 4096u, 65'536u, 0u, 4096u}) {
    client_.send_settings({{NGHTTP2_SETTINGS_HEADER_TABLE_SIZE, size}});
    for (int round = 0; round < 5; ++round) {
      const int32_t id = call("body");
      exchange();
      EXPECT_EQ(client_.messages[id].body, "body");
      EXPECT_EQ(PlainList(client_.messages[id].headers.begin() + 1, client_.messages[id].headers.end()),
                metadata(1, 20));
    }
  }
  EXPECT_EQ(client_.complaints, std::vector<std::string>{});
}

TEST_F(SettingsChangeTest, LargerFramesAreUsedForHeadersAlone) {
  client_.send_settings({{NGHTTP2_SETTINGS_MAX_FRAME_SIZE, 1 << 20}});
  const int32_t id = client_.send_request(wire::request_fields({{"x-large", std::string(50'000, 'x')}}),
                                          std::string(50'000, 'b'), true);
  exchange();
  EXPECT_EQ(client_.messages[id].body.size(), 50'000u);
  EXPECT_EQ(client_.messages[id].headers.back().value.size(), 50'000u);
  EXPECT_EQ(client_.complaints, std::vector<std::string>{});
}

TEST_F(SettingsChangeTest, ResetsGoawaysAndPings) {
  const int32_t first = call("one");
  exchange();
  EXPECT_TRUE(client_.messages[first].is_closed);
  // The client gives up in the middle of a body.
  nghttp2_submit_settings(client_.session(), 0, nullptr, 0);
  const int32_t second = call(std::string(500'000, 'x'));
  const std::string some = client_.take_output().substr(0, 30'000);
  server_.receive(some);
  ASSERT_NE(end_.stream(static_cast<uint32_t>(second)), nullptr);
  end_.connection.reset_stream(*end_.stream(static_cast<uint32_t>(second)), ErrorCode::kCancel);
  end_.connection.send_ping(5);
  ASSERT_TRUE(client_.receive(end_.take_output()));
  EXPECT_EQ(client_.messages[second].close_code, static_cast<uint32_t>(NGHTTP2_CANCEL));
  EXPECT_EQ(client_.goaway_count, 0u);
}

TEST_F(SettingsChangeTest, TheClientResets) {
  const int32_t id = client_.send_request(wire::request_fields(), std::string(500'000, 'x'), true);
  server_.receive(client_.take_output());
  nghttp2_submit_rst_stream(client_.session(), NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
  exchange();
  EXPECT_EQ(end_.connection.stream_count(), 0u);
  EXPECT_EQ(server_.reset_codes, std::vector<ErrorCode>{ErrorCode::kCancel});
  // The connection lives.
  const int32_t next = call("after");
  exchange();
  EXPECT_EQ(client_.messages[next].body, "after");
  ASSERT_EQ(nghttp2_submit_ping(client_.session(), NGHTTP2_FLAG_NONE, nullptr), 0);
  exchange();
  EXPECT_EQ(client_.ping_ack_count, 1u);
  end_.connection.send_goaway(end_.connection.last_peer_stream_id(), ErrorCode::kNoError, "drain");
  exchange();
  EXPECT_EQ(client_.goaway_last_id, next);
  EXPECT_EQ(client_.goaway_code, 0u);
}

}  // namespace
}  // namespace ringway::h2
