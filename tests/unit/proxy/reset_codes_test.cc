// An endpoint's RST_STREAM: the client gets the same code, and the access log the status that gRPC gives it
// (PROTOCOL-HTTP2.md, Errors). Never OK, wherever in the response it comes. REFUSED_STREAM, which ringway answers
// itself, is in retry_test.cc.
#include <gtest/gtest.h>

#include <string>
#include <tuple>

#include "grpc/status.h"
#include "rig.h"

namespace ringway::proxy {
namespace {

struct Row {
  uint32_t code;
  grpc::Status status;
};

constexpr Row kRows[] = {
    {NGHTTP2_NO_ERROR, grpc::Status::kInternal},
    {NGHTTP2_PROTOCOL_ERROR, grpc::Status::kInternal},
    {NGHTTP2_INTERNAL_ERROR, grpc::Status::kInternal},
    {NGHTTP2_FLOW_CONTROL_ERROR, grpc::Status::kInternal},
    {NGHTTP2_SETTINGS_TIMEOUT, grpc::Status::kInternal},
    {NGHTTP2_STREAM_CLOSED, grpc::Status::kInternal},
    {NGHTTP2_FRAME_SIZE_ERROR, grpc::Status::kInternal},
    {NGHTTP2_CANCEL, grpc::Status::kCancelled},
    {NGHTTP2_COMPRESSION_ERROR, grpc::Status::kInternal},
    {NGHTTP2_CONNECT_ERROR, grpc::Status::kInternal},
    {NGHTTP2_ENHANCE_YOUR_CALM, grpc::Status::kResourceExhausted},
    {NGHTTP2_INADEQUATE_SECURITY, grpc::Status::kPermissionDenied},
    {NGHTTP2_HTTP_1_1_REQUIRED, grpc::Status::kInternal},
    {0x63, grpc::Status::kInternal},  // unknown ones are treated as INTERNAL_ERROR (RFC 9113 section 7)
};

enum class Place { kBeforeHeaders, kBehindHeaders, kInsideAMessage, kBehindAMessage };

class ResetCodes : public testing::TestWithParam<std::tuple<Row, Place>> {};

TEST_P(ResetCodes, ReachTheClient) {
  const auto& [row, place] = GetParam();
  auto bell = std::move(*io::Doorbell::create());
  LogPort log(*bell, config::LogLevel::kInfo, 1 << 16);
  config::Snapshot snapshot = Rig::plain_snapshot(1);
  snapshot.access_log.format = config::AccessLogFormat::kJson;
  Rig rig(snapshot, &log);
  Link& client = rig.add_client();
  const int32_t id = client.peer->send_request(grpc_request(), grpc_message(3), true);
  rig.run();
  Link& upstream = rig.upstream(0);
  if (place != Place::kBeforeHeaders) {
    Flow& response = rig.open_response(upstream, 1, kGrpcResponse);
    rig.run();
    if (place == Place::kInsideAMessage) rig.send(response, grpc_message(9).substr(0, 7));
    if (place == Place::kBehindAMessage) rig.send(response, grpc_message(9));
    rig.run();
  }
  nghttp2_submit_rst_stream(upstream.peer->session(), NGHTTP2_FLAG_NONE, 1, row.code);
  rig.run();
  EXPECT_TRUE(client.peer->messages[id].is_closed);
  const auto& answer = client.peer->messages.at(id);
  EXPECT_EQ(answer.close_code, row.code);
  EXPECT_FALSE(answer.has_ended);
  EXPECT_TRUE(answer.trailers.empty());
  const std::span<const char> readable = log.access_lines().readable().first;
  const std::string line(readable.begin(), readable.end());
  const std::string status(grpc::text_of(row.status));
  EXPECT_NE(line.find("\"grpc_status\":" + status + ","), std::string::npos) << line;
}

INSTANTIATE_TEST_SUITE_P(All, ResetCodes,
                         testing::Combine(testing::ValuesIn(kRows),
                                          testing::Values(Place::kBeforeHeaders, Place::kBehindHeaders,
                                                          Place::kInsideAMessage, Place::kBehindAMessage)));

}  // namespace
}  // namespace ringway::proxy
