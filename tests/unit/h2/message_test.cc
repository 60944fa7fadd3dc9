// The rules of RFC 9113 section 8 on header lists.
#include "h2/message.h"

#include <gtest/gtest.h>

#include "decoder_bench.h"

namespace ringway::h2 {
namespace {

struct Case {
  const char* what;
  PlainList fields;
  bool is_allowed;
};

bool judge(MessageKind kind, DecoderBench& bench, const std::string& block, MessageHead& head) {
  const DecodedBlock decoded = bench.decode(block);
  EXPECT_TRUE(decoded.is_valid);
  return !decoded.is_malformed && check_message(kind, {bench.fields.data(), bench.fields.size()}, head);
}

// Both as literals and as records, whose meaning was looked at when they were interned.
bool is_allowed(MessageKind kind, const PlainList& fields, MessageHead& head) {
  FieldInterner interner(1, 1 << 20);
  DecoderBench bench(interner);
  std::string literals;
  std::string indexes;
  for (size_t i = 0; i < fields.size(); ++i) {
    literals += hpack_literal(kLiteralIncremental, fields[i].name, fields[i].value);
    indexes += hpack_integer(0x80, 7, kStaticTableSize + fields.size() - i);
  }
  const bool is_allowed_literally = judge(kind, bench, literals, head);
  for (int use = 0; use < 2; ++use) {
    MessageHead again;
    EXPECT_EQ(judge(kind, bench, indexes, again), is_allowed_literally);
    EXPECT_EQ(plain({bench.fields.data(), bench.fields.size()}), with_sensitive_marked(fields));
    EXPECT_EQ(again.status, head.status);
    EXPECT_EQ(again.path, head.path);
  }
  return is_allowed_literally;
}

void expect_judged(MessageKind kind, const std::vector<Case>& cases) {
  for (const Case& each : cases) {
    MessageHead head;
    EXPECT_EQ(is_allowed(kind, each.fields, head), each.is_allowed) << each.what;
  }
}

PlainList request(PlainList more = {}, const PlainField& path = {":path", "/a.B/C"}) {
  PlainList fields{{":method", "POST"}, {":scheme", "http"}, path, {":authority", "a.example"}};
  fields.insert(fields.end(), more.begin(), more.end());
  return fields;
}

PlainList without(PlainList fields, std::string_view name) {
  std::erase_if(fields, [&](const PlainField& field) { return field.name == name; });
  return fields;
}

PlainList with_method(std::string_view method, PlainList fields = request()) {
  fields[0].value = method;
  return fields;
}

TEST(Message, PseudoFieldsOfRequests) {
  expect_judged(
      MessageKind::kRequest,
      {
          {"a gRPC request", request({{"te", "trailers"}, {"content-type", "application/grpc"}}), true},
          {"pseudo-fields in any order",
           {{":path", "/"}, {":authority", "a"}, {":scheme", "x"}, {":method", "M"}},
           true},
          {"no fields at all", {}, false},
          {"no method", without(request(), ":method"), false},
          {"no scheme", without(request(), ":scheme"), false},
          {"no path", without(request(), ":path"), false},
          {"no authority is allowed", without(request(), ":authority"), true},
          {"host in its place",
           [] {
             PlainList fields = without(request(), ":authority");
             fields.push_back({"host", "a.example"});
             return fields;
           }(),
           true},
          {"two methods", request({{":method", "POST"}}), false},
          {"method twice in front",
           {{":method", "POST"}, {":method", "POST"}, {":scheme", "a"}, {":path", "/"}},
           false},
          {"path twice", {{":method", "POST"}, {":path", "/"}, {":scheme", "a"}, {":path", "/"}}, false},
          {"scheme twice", {{":method", "POST"}, {":scheme", "a"}, {":scheme", "a"}, {":path", "/"}}, false},
          {"authority twice",
           {{":authority", "a"}, {":method", "M"}, {":scheme", "a"}, {":path", "/"}, {":authority", "a"}},
           false},
          {"a pseudo-field behind a regular one",
           {{":method", "POST"}, {"x", "y"}, {":scheme", "a"}, {":path", "/"}},
           false},
          {"status in a request", {{":method", "M"}, {":scheme", "a"}, {":path", "/"}, {":status", "200"}}, false},
          {"an unknown pseudo-field", {{":method", "M"}, {":scheme", "a"}, {":path", "/"}, {":protocol", "x"}}, false},
          {"an empty method", with_method(""), false},
          {"an empty scheme", {{":method", "M"}, {":scheme", ""}, {":path", "/"}}, false},
          {"CONNECT with a path", with_method("CONNECT"), false},
          {"CONNECT as it should be is refused too", {{":method", "CONNECT"}, {":authority", "a:1"}}, false},
      });
}

TEST(Message, PathsOfRequests) {
  expect_judged(MessageKind::kRequest,
                {
                    {"root", request({}, {":path", "/"}), true},
                    {"query", request({}, {":path", "/a?b=c&d=%20"}), true},
                    {"octets above ASCII", request({}, {":path", "/\xc3\xa4"}), true},
                    {"empty", request({}, {":path", ""}), false},
                    {"relative", request({}, {":path", "a/b"}), false},
                    {"absolute", request({}, {":path", "http://a/b"}), false},
                    {"fragment", request({}, {":path", "/a#b"}), false},
                    {"space", request({}, {":path", "/a b"}), false},
                    {"control", request({}, {":path", "/a\x01"}), false},
                    {"delete", request({}, {":path", "/a\x7f"}), false},
                    {"asterisk of OPTIONS", with_method("OPTIONS", request({}, {":path", "*"})), true},
                    {"asterisk of another method", request({}, {":path", "*"}), false},
                    {"asterisk and more", with_method("OPTIONS", request({}, {":path", "*a"})), false},
                });
}

TEST(Message, RegularFieldsOfRequests) {
  expect_judged(
      MessageKind::kRequest,
      {
          {"connection", request({{"connection", "close"}}), false},
          {"keep-alive", request({{"keep-alive", "1"}}), false},
          {"proxy-connection", request({{"proxy-connection", "close"}}), false},
          {"upgrade", request({{"upgrade", "h2c"}}), false},
          {"transfer-encoding", request({{"transfer-encoding", "chunked"}}), false},
          {"http2-settings", request({{"http2-settings", "AAMAAABkAAQ"}}), false},
          {"te: trailers", request({{"te", "trailers"}}), true},
          {"te: gzip", request({{"te", "gzip"}}), false},
          {"te with a list", request({{"te", "trailers, gzip"}}), false},
          {"te empty", request({{"te", ""}}), false},
          {"upper case", request({{"X-Name", "v"}}), false},
          {"host equal to authority", request({{"host", "a.example"}}), true},
          {"host unlike authority", request({{"host", "b.example"}}), false},
          {"two hosts, the last as authority", request({{"host", "b.example"}, {"host", "a.example"}}), false},
          {"two equal hosts", request({{"host", "a.example"}, {"host", "a.example"}}), false},
          {"content-length", request({{"content-length", "12"}}), true},
          {"content-length zero", request({{"content-length", "0"}}), true},
          {"content-length empty", request({{"content-length", ""}}), false},
          {"content-length negative", request({{"content-length", "-1"}}), false},
          {"content-length plus", request({{"content-length", "+1"}}), false},
          {"content-length hex", request({{"content-length", "0x1"}}), false},
          {"content-length list", request({{"content-length", "1, 1"}}), false},
          {"content-length twice", request({{"content-length", "1"}, {"content-length", "1"}}), false},
          {"content-length of 18 digits", request({{"content-length", "999999999999999999"}}), true},
          {"content-length of 19 digits", request({{"content-length", "9999999999999999999"}}), false},
          {"many cookies", request({{"cookie", "a"}, {"cookie", "b"}}), true},
      });
}

TEST(Message, Responses) {
  expect_judged(
      MessageKind::kResponse,
      {
          {"just a status", {{":status", "200"}}, true},
          {"fields", {{":status", "200"}, {"content-type", "application/grpc"}, {"grpc-status", "0"}}, true},
          {"nothing", {}, false},
          {"no status", {{"content-type", "a"}}, false},
          {"status late", {{"content-type", "a"}, {":status", "200"}}, false},
          {"status twice", {{":status", "200"}, {":status", "200"}}, false},
          {"lowest", {{":status", "100"}}, true},
          {"below", {{":status", "099"}}, false},
          {"highest", {{":status", "999"}}, true},
          {"two digits", {{":status", "20"}}, false},
          {"four digits", {{":status", "2000"}}, false},
          {"letters", {{":status", "2oo"}}, false},
          {"empty", {{":status", ""}}, false},
          {"a request's pseudo-field", {{":status", "200"}, {":path", "/"}}, false},
          {"connection", {{":status", "200"}, {"connection", "close"}}, false},
          {"content-length twice", {{":status", "200"}, {"content-length", "1"}, {"content-length", "2"}}, false},
      });
}

TEST(Message, Trailers) {
  expect_judged(MessageKind::kTrailers,
                {
                    {"grpc", {{"grpc-status", "0"}, {"grpc-message", ""}, {"x-bin", "AA"}}, true},
                    {"nothing", {}, true},
                    {"status", {{":status", "200"}}, false},
                    {"path", {{"grpc-status", "0"}, {":path", "/"}}, false},
                    {"connection", {{"connection", "close"}}, false},
                    {"content-length is not looked at", {{"content-length", "x"}}, true},
                });
}

TEST(Message, TheHeadTellsWhereFieldsAre) {
  MessageHead head;
  ASSERT_TRUE(is_allowed(MessageKind::kRequest,
                         request({{"user-agent", "u"},
                                  {"te", "trailers"},
                                  {"grpc-timeout", "1S"},
                                  {"content-type", "application/grpc"},
                                  {"host", "a.example"},
                                  {"content-length", "7"}}),
                         head));
  EXPECT_EQ(head.method, 1);
  EXPECT_EQ(head.scheme, 2);
  EXPECT_EQ(head.path, 3);
  EXPECT_EQ(head.authority, 4);
  EXPECT_EQ(head.grpc_timeout, 7);
  EXPECT_EQ(head.content_type, 8);
  EXPECT_EQ(head.host, 9);
  EXPECT_TRUE(head.has_content_length);
  EXPECT_EQ(head.content_length, 7u);
  MessageHead response;
  ASSERT_TRUE(
      is_allowed(MessageKind::kResponse, {{":status", "404"}, {"grpc-status", "5"}, {"grpc-message", "m"}}, response));
  EXPECT_EQ(response.status, 404);
  EXPECT_EQ(response.grpc_status, 2);
  EXPECT_EQ(response.grpc_message, 3);
  EXPECT_FALSE(response.has_content_length);
}

}  // namespace
}  // namespace ringway::h2
