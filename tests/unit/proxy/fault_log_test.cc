// Streams that end because their peer broke a rule: a line in the log for the first of each kind on a connection.
#include <gtest/gtest.h>

#include "io/doorbell.h"
#include "rig.h"
#include "wire.h"

namespace ringway::proxy {
namespace {

namespace wire = h2::wire;

class FaultLog : public testing::Test {
 protected:
  FaultLog() : bell(std::move(*io::Doorbell::create())), log(*bell, config::LogLevel::kInfo, 1 << 16) {}

  std::vector<std::string> lines() {
    std::vector<std::string> all;
    while (const auto event = log.next_event()) all.emplace_back(event->view());
    return all;
  }
  Link& client_of(std::string_view address) {
    Link* const link = rig.add_raw_client(address);
    rig.say(*link, std::string(h2::kPreface) + wire::settings() + wire::settings_ack());
    return *link;
  }

  std::unique_ptr<io::Doorbell> bell;
  LogPort log;
  Rig rig{Rig::plain_snapshot(1), &log};
};

TEST_F(FaultLog, OfRequests) {
  for (const char* address : {"192.0.2.1:1", "192.0.2.2:1"}) {
    Link& client = client_of(address);
    const std::string name = "client " + std::string(address, 9) + ": ";
    std::string bytes;
    for (uint32_t id = 1; id < 40; id += 2) bytes += wire::headers(id, wire::request_block({{"Upper", "x"}}), true);
    rig.say(client, bytes);
    EXPECT_EQ(lines(), std::vector<std::string>{
                           name + "request malformed: a field name or value with forbidden octets (RFC 9113 section "
                                  "8.2.1)"});
    rig.say(client, wire::headers(41, wire::request_block({{"Upper", "x"}}), true) +
                        wire::headers(43, wire::request_block({{"connection", "x"}}), true));
    EXPECT_EQ(lines().size(), 1u) << "of another kind";
    rig.say(client, wire::headers(45, wire::request_block(PlainList(200, {"a", "b"})), true));
    EXPECT_EQ(lines(), std::vector<std::string>{
                           name + "request beyond a limit: header list of too many fields (limits.header_fields)"});
  }
  EXPECT_EQ(rig.proxy->memory().malformed_requests, 44u);
}

TEST_F(FaultLog, OfResponses) {
  Link& client = rig.add_client();
  for (int i = 0; i < 3; ++i) client.peer->send_request(grpc_request(), "", true);
  rig.run();
  Link& upstream = rig.upstream(0);
  upstream.is_mute = true;
  lines();
  std::string bytes;
  for (uint32_t id = 1; id < 6; id += 2) bytes += wire::window_update(id, 0);
  rig.say(upstream, bytes);
  EXPECT_EQ(lines(), std::vector<std::string>{
                         "endpoint 127.0.0.1:1001: response malformed: WINDOW_UPDATE of zero (RFC 9113 section 6.9)"});
  EXPECT_EQ(rig.proxy->memory().malformed_responses, 3u);
}

}  // namespace
}  // namespace ringway::proxy
