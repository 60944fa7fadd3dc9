// What an endpoint takes of a header list (SETTINGS_MAX_HEADER_LIST_SIZE) is never exceeded; at that limit and beside
// it, for lists that are told anew, those that are known, and those to which something is added.
#include <gtest/gtest.h>

#include "rig.h"
#include "wire.h"

namespace ringway::proxy {
namespace {

constexpr uint8_t kHeaders = 1;

uint32_t list_bytes(const PlainList& fields) {
  uint32_t bytes = 0;
  for (const auto& field : fields) bytes += static_cast<uint32_t>(field.name.size() + field.value.size()) + 32;
  return bytes;
}

// The calls come three times, so that the list is interned, and its written form remembered.
void expect_bounded(const PlainList& request, const config::ForwardedOptions& forwarded, uint32_t added,
                    uint32_t allowance) {
  const uint32_t size = list_bytes(request) + added;
  for (const uint32_t limit : {size - 1, size + allowance, size + allowance + 1, UINT32_MAX}) {
    config::Snapshot snapshot = Rig::plain_snapshot(1);
    snapshot.listeners[0].forwarded = forwarded;
    Rig rig(snapshot);
    rig.endpoint_options.settings = {{NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, limit}};
    Link& client = rig.add_client();
    for (int use = 0; use < 3; ++use) {
      const int32_t id = client.peer->send_request(request, "", true);
      rig.run();
      Link& upstream = rig.upstream(0);
      if (limit >= size) {
        ASSERT_EQ(Rig::calls(upstream).size(), 1u) << limit;
        const int32_t call = Rig::calls(upstream)[0];
        EXPECT_LE(list_bytes(upstream.peer->messages.at(call).headers), limit);
        upstream.peer->send_response(call, kGrpcResponse, "", kGrpcOk);
        rig.run();
        continue;
      }
      EXPECT_TRUE(upstream.of_type(kHeaders).empty());
      const auto& answer = client.peer->messages.at(id);
      EXPECT_EQ(value_of(answer.headers, "grpc-status"), "8");
      EXPECT_EQ(value_of(answer.headers, "grpc-message"),
                "request headers of " + std::to_string(size + allowance) + " bytes exceed the " +
                    std::to_string(limit) +
                    " bytes that endpoint 127.0.0.1:1001 takes (its SETTINGS_MAX_HEADER_LIST_SIZE)");
      EXPECT_TRUE(answer.has_ended);
      EXPECT_EQ(rig.proxy->exchanges().live_count(), 0u);
    }
  }
}

TEST(EndpointListLimit, OfWhatThePeerSent) {
  expect_bounded(grpc_request(), {}, 0, 0);
  expect_bounded(grpc_request("/a.B/C", {{"x-own", std::string(9000, 'v')}}), {}, 0, 0);
}

TEST(EndpointListLimit, OfWhatIsAdded) {
  config::ForwardedOptions forwarded;
  forwarded.x_forwarded_for = forwarded.x_forwarded_proto = true;
  const uint32_t added = list_bytes({{"x-forwarded-for", "192.0.2.7"}, {"x-forwarded-proto", "http"}});
  // A list and its separator may be in the way, and the other scheme is longer.
  expect_bounded(grpc_request(), forwarded, added, 2 + 1);
}

TEST(EndpointListLimit, OfAPlainRequest) {
  Rig rig(Rig::plain_snapshot(1));
  rig.endpoint_options.settings = {{NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, 0}};
  Link& client = rig.add_client();
  const PlainList get = {{":method", "GET"}, {":scheme", "http"}, {":path", "/"}, {":authority", "shop"}};
  const int32_t id = client.peer->send_request(get, "", false);
  rig.run();
  EXPECT_EQ(value_of(client.peer->messages.at(id).headers, ":status"), "431");
}

}  // namespace
}  // namespace ringway::proxy
