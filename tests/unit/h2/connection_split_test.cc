// What nghttp2 sends, recorded and then fed whole, one octet at a time and cut in two at every place: the events must
// be the same.
#include <gtest/gtest.h>

#include "endpoint.h"
#include "nghttp2_peer.h"

namespace ringway::h2 {
namespace {

constexpr uint32_t kCalls = 6;

PlainList metadata(uint32_t call) {
  PlainList fields{{"te", "trailers"},
                   {"content-type", "application/grpc"},
                   {"x-call", std::to_string(call)},
                   {"authorization", "Bearer abc", true}};
  // Beyond one frame, so that there is a CONTINUATION.
  if (call == 2) fields.push_back({"x-large", std::string(17'000, 'l')});
  return fields;
}

void open_calls(Endpoint& client) {
  client.take_output();
  for (uint32_t call = 0; call < kCalls; ++call) {
    client.send_headers(*client.connection.open_stream(nullptr), wire::request_fields(metadata(call)), true);
  }
}

// The bytes of a client that makes calls of every kind.
std::string record_client() {
  Nghttp2Peer::Options options;
  options.settings = {{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 100'000}, {NGHTTP2_SETTINGS_ENABLE_PUSH, 0}};
  options.padding = 20;
  options.frame_size_max = 300;
  Nghttp2Peer client(Role::kClient, options);
  Memory memory(1, 100, 1 << 20);
  Endpoint server(Role::kServer, memory);
  client.receive(server.take_output());
  std::string bytes = client.take_output();
  for (uint32_t call = 0; call < kCalls; ++call) {
    const PlainList trailers = call == 1 ? PlainList{{"x-tail", "t"}} : PlainList{};
    client.send_request(wire::request_fields(metadata(call)), std::string(call * 200, 'b'), call != 3, trailers);
    if (call == 4) nghttp2_submit_ping(client.session(), NGHTTP2_FLAG_NONE, nullptr);
    bytes += client.take_output();
  }
  nghttp2_submit_rst_stream(client.session(), NGHTTP2_FLAG_NONE, 9, NGHTTP2_CANCEL);
  client.send_settings({{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 5}, {NGHTTP2_SETTINGS_HEADER_TABLE_SIZE, 0}});
  nghttp2_submit_goaway(client.session(), NGHTTP2_FLAG_NONE, 0, NGHTTP2_NO_ERROR, nullptr, 0);
  return bytes + client.take_output();
}

// The bytes of a server that answers the same calls.
std::string record_server() {
  Nghttp2Peer::Options options;
  options.settings = {{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 50}};
  options.padding = 7;
  options.frame_size_max = 250;
  Nghttp2Peer server(Role::kServer, options);
  std::string bytes = server.take_output();
  Memory memory(1, 100, 1 << 20);
  Endpoint client(Role::kClient, memory);
  std::string requests = client.take_output();
  open_calls(client);
  requests += client.take_output();
  EXPECT_TRUE(server.receive(requests));
  for (auto& [id, message] : server.messages) {
    const auto call = static_cast<uint32_t>(id / 2);
    if (call == 5) {
      nghttp2_submit_rst_stream(server.session(), NGHTTP2_FLAG_NONE, id, NGHTTP2_REFUSED_STREAM);
      continue;
    }
    PlainList headers{{":status", "200"}, {"content-type", "application/grpc"}};
    if (call == 2) headers.push_back({"x-large", std::string(17'000, 'l')});
    server.send_response(id, headers, std::string(call * 200, 'b'), {{"grpc-status", std::to_string(call)}});
    nghttp2_submit_ping(server.session(), NGHTTP2_FLAG_NONE, nullptr);
    bytes += server.take_output();
  }
  nghttp2_submit_goaway(server.session(), NGHTTP2_FLAG_NONE, 11, NGHTTP2_NO_ERROR, nullptr, 0);
  return bytes + server.take_output();
}

struct Outcome {
  std::vector<Seen> events;
  std::string output;
  bool operator==(const Outcome&) const = default;
};

Outcome replay(Role role, const std::vector<std::string_view>& pieces) {
  Memory memory(1, 100, 1 << 20);
  Endpoint end(role, memory);
  if (role == Role::kClient) open_calls(end);
  end.take_output();
  for (const std::string_view piece : pieces) end.receive(piece);
  EXPECT_FALSE(end.connection.has_failed()) << end.connection.failure_reason();
  return {joined(end.events), end.take_output()};
}

void expect_same_however_cut(Role role, const std::string& bytes) {
  const Outcome whole = replay(role, {bytes});
  ASSERT_GT(whole.events.size(), 15u);
  std::vector<std::string_view> octets;
  for (size_t i = 0; i < bytes.size(); ++i) octets.push_back(std::string_view(bytes).substr(i, 1));
  EXPECT_EQ(replay(role, octets), whole);
  for (size_t cut = 1; cut < bytes.size(); ++cut) {
    // The inside of a large value or body repeats itself: every fiftieth place will do there.
    const bool is_repeating = cut >= 12 && cut + 12 < bytes.size() &&
                              bytes.compare(cut - 12, 12, bytes, cut - 9, 12) == 0 &&
                              bytes.compare(cut, 9, bytes, cut + 3, 9) == 0;
    if (is_repeating && cut % 50 != 0) continue;
    const std::string_view view(bytes);
    ASSERT_EQ(replay(role, {view.substr(0, cut), view.substr(cut)}), whole) << cut;
  }
}

TEST(ConnectionSplit, TheServersSide) {
  const std::string bytes = record_client();
  const auto events = replay(Role::kServer, {bytes}).events;
  const auto count = [&](EventKind kind) {
    return std::count_if(events.begin(), events.end(), [kind](const Seen& seen) { return seen.kind == kind; });
  };
  EXPECT_EQ(count(EventKind::kRequest), kCalls);
  EXPECT_EQ(count(EventKind::kTrailers), 1);
  EXPECT_EQ(count(EventKind::kReset), 1);
  EXPECT_EQ(count(EventKind::kGoaway), 1);
  expect_same_however_cut(Role::kServer, bytes);
}

TEST(ConnectionSplit, TheClientsSide) {
  const std::string bytes = record_server();
  const auto events = replay(Role::kClient, {bytes}).events;
  const auto count = [&](EventKind kind) {
    return std::count_if(events.begin(), events.end(), [kind](const Seen& seen) { return seen.kind == kind; });
  };
  EXPECT_EQ(count(EventKind::kResponse), kCalls - 1);
  EXPECT_EQ(count(EventKind::kTrailers), kCalls - 1);
  EXPECT_EQ(count(EventKind::kReset), 1);
  EXPECT_EQ(count(EventKind::kGoaway), 1);
  expect_same_however_cut(Role::kClient, bytes);
}

}  // namespace
}  // namespace ringway::h2
