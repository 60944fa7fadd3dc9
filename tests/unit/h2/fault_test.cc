// What is told and counted of streams whose peer broke a rule of them or went beyond a limit.
#include "h2/fault.h"

#include <gtest/gtest.h>

#include "endpoint.h"

namespace ringway::h2 {
namespace {

struct Case {
  Fault fault;
  Role role;
  // On streams 1, 3 and so on, which in the client role are open.
  std::string (*bytes)(uint32_t id);
};

std::string request(uint32_t id, const PlainList& more, bool end_stream = true) {
  return wire::headers(id, wire::request_block(more), end_stream);
}
std::string response(uint32_t id, const PlainList& more, bool end_stream = true) {
  return wire::headers(id, wire::response_block("200", more), end_stream);
}
std::string bare(uint32_t id, const PlainList& fields) {
  return wire::headers(id, wire::block(fields), true);
}

const Case kCases[] = {
    {Fault::kFieldOctets, Role::kServer, [](uint32_t id) { return request(id, {{"X-Upper", "x"}}); }},
    {Fault::kPseudoField, Role::kServer, [](uint32_t id) { return request(id, {{":path", "/again"}}); }},
    {Fault::kPseudoField, Role::kServer, [](uint32_t id) { return request(id, {{":unknown", ""}}); }},
    {Fault::kPseudoField, Role::kClient, [](uint32_t id) { return response(id, {{":method", "GET"}}); }},
    {Fault::kMissingField, Role::kServer, [](uint32_t id) { return bare(id, {{":method", "GET"}}); }},
    {Fault::kMissingField, Role::kServer, [](uint32_t id) { return bare(id, {{"a", "b"}}); }},
    {Fault::kMissingField, Role::kClient, [](uint32_t id) { return bare(id, {{"a", "b"}}); }},
    {Fault::kConnectionField, Role::kServer, [](uint32_t id) { return request(id, {{"connection", "close"}}); }},
    {Fault::kConnectionField, Role::kClient, [](uint32_t id) { return response(id, {{"te", "trailers"}}); }},
    {Fault::kHost, Role::kServer, [](uint32_t id) { return request(id, {{"host", "b.example"}}); }},
    {Fault::kConnect, Role::kServer, [](uint32_t id) { return bare(id, {{":method", "CONNECT"}}); }},
    {Fault::kContentLength, Role::kServer, [](uint32_t id) { return request(id, {{"content-length", "x"}}); }},
    {Fault::kLength, Role::kServer, [](uint32_t id) { return request(id, {{"content-length", "1"}}); }},
    {Fault::kLength, Role::kClient, [](uint32_t id) { return response(id, {{"content-length", "1"}}); }},
    {Fault::kLength, Role::kClient,
     [](uint32_t id) { return response(id, {{"content-length", "9"}}, false) + wire::data(id, "12345", true); }},
    {Fault::kOpenTrailers, Role::kClient,
     [](uint32_t id) { return response(id, {}, false) + wire::headers(id, wire::block({{"a", "b"}}), false); }},
    {Fault::kInformational, Role::kClient,
     [](uint32_t id) { return wire::headers(id, wire::response_block("103"), true); }},
    {Fault::kSwitching, Role::kClient,
     [](uint32_t id) { return wire::headers(id, wire::response_block("101"), false); }},
    {Fault::kEarlyData, Role::kClient, [](uint32_t id) { return wire::data(id, "12345", false); }},
    {Fault::kBehindEnd, Role::kServer, [](uint32_t id) { return request(id, {}) + wire::data(id, "12345", false); }},
    {Fault::kPriorityLength, Role::kServer,
     [](uint32_t id) { return request(id, {}) + wire::frame(FrameType::kPriority, 0, id, "1234"); }},
    {Fault::kZeroUpdate, Role::kServer, [](uint32_t id) { return request(id, {}) + wire::window_update(id, 0); }},
    {Fault::kZeroUpdate, Role::kClient, [](uint32_t id) { return wire::window_update(id, 0); }},
    {Fault::kUpdateOverflow, Role::kClient, [](uint32_t id) { return wire::window_update(id, 0x7fffffff); }},
    {Fault::kWindow, Role::kServer,
     [](uint32_t id) { return request(id, {}, false) + wire::data(id, std::string(1001, 'x'), false); }},
    {Fault::kUpstreamWindow, Role::kClient,
     [](uint32_t id) { return response(id, {}, false) + wire::data(id, std::string(1001, 'x'), false); }},
    {Fault::kField, Role::kServer, [](uint32_t id) { return request(id, {{"x-a", std::string(5000, 'x')}}); }},
    {Fault::kField, Role::kClient, [](uint32_t id) { return response(id, {{"x-a", std::string(5000, 'x')}}); }},
    {Fault::kHeaderList, Role::kServer, [](uint32_t id) { return request(id, {{"x-a", std::string(5000, 'x')}}); }},
    {Fault::kHeaderList, Role::kClient, [](uint32_t id) { return response(id, {{"x-a", std::string(5000, 'x')}}); }},
    {Fault::kHeaderFields, Role::kServer, [](uint32_t id) { return request(id, PlainList(20, {"a", "b"})); }},
    {Fault::kHeaderFields, Role::kClient, [](uint32_t id) { return response(id, PlainList(20, {"a", "b"})); }},
    {Fault::kStreams, Role::kServer, [](uint32_t id) { return id == 1 ? "" : request(id, {}); }},
};

class FaultTest : public testing::TestWithParam<Case> {
 protected:
  static Limits limits() {
    Limits made = test_limits();
    made.header_list = {4096, 20, 8192};
    if (GetParam().fault == Fault::kField) made.header_list = {8192, 20, 4096};
    made.stream_window = 1000;
    if (GetParam().fault == Fault::kStreams) made.streams = 0;
    return made;
  }
  uint64_t hits(LimitKind kind) const { return memory_.limit_hits[static_cast<size_t>(kind)]; }
  Memory memory_{1, 100, 1 << 20};
};

TEST_P(FaultTest, IsCountedEachTimeAndToldOnce) {
  const Case& c = GetParam();
  for (uint64_t connection = 1; connection <= 2; ++connection) {
    Endpoint end(c.role, memory_, limits());
    end.greet();
    const uint64_t before = memory_.malformed_requests + memory_.malformed_responses;
    for (uint32_t id = 1; id <= 7; id += 2) {
      if (c.role == Role::kClient) {
        end.send_headers(*end.connection.open_stream(nullptr), wire::request_fields(), true);
      }
      end.receive(c.bytes(id));
      ASSERT_FALSE(end.connection.has_failed()) << end.connection.failure_reason();
    }
    EXPECT_EQ(end.faults, std::vector<Fault>{c.fault}) << text_of(c.fault);
    const uint64_t counted = memory_.malformed_requests + memory_.malformed_responses - before;
    EXPECT_EQ(counted, is_of_limit(c.fault) ? 0u : 4u);
    for (const Seen& seen : end.events) {
      EXPECT_EQ(seen.fault, seen.kind == EventKind::kStreamFailed ? c.fault : Fault::kNone);
    }
  }
  EXPECT_EQ(c.role == Role::kServer ? memory_.malformed_responses : memory_.malformed_requests, 0u);
  EXPECT_EQ(hits(LimitKind::kWindow), c.fault == Fault::kWindow ? 8u : 0u);
  EXPECT_EQ(hits(LimitKind::kUpstreamWindow), c.fault == Fault::kUpstreamWindow ? 8u : 0u);
  EXPECT_EQ(hits(LimitKind::kField), c.fault == Fault::kField ? 8u : 0u);
  EXPECT_EQ(hits(LimitKind::kHeaderList), c.fault == Fault::kHeaderList ? 8u : 0u);
  EXPECT_EQ(hits(LimitKind::kHeaderFields), c.fault == Fault::kHeaderFields ? 8u : 0u);
  EXPECT_EQ(hits(LimitKind::kStreams), c.fault == Fault::kStreams ? 6u : 0u);
}

INSTANTIATE_TEST_SUITE_P(Kinds, FaultTest, testing::ValuesIn(kCases));

TEST(Fault, EachNamesItsSectionOrItsLimit) {
  for (uint8_t i = 1; i < static_cast<uint8_t>(Fault::kCount); ++i) {
    const auto fault = static_cast<Fault>(i);
    const std::string_view text = text_of(fault);
    EXPECT_TRUE(text.ends_with(")"));
    EXPECT_NE(text.find(is_of_limit(fault) ? "(limits." : "(RFC 91"), std::string_view::npos) << text;
    EXPECT_TRUE(std::ranges::any_of(kCases, [&](const Case& c) { return c.fault == fault; })) << text;
  }
}

}  // namespace
}  // namespace ringway::h2
