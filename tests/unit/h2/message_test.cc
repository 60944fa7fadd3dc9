// What checking a header list finds out beside whether it is good (that: conformance/field_rows.cc).
#include "h2/message.h"

#include <gtest/gtest.h>

#include "decoder_bench.h"

namespace ringway::h2 {
namespace {

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

PlainList request(PlainList more = {}, const PlainField& path = {":path", "/a.B/C"}) {
  PlainList fields{{":method", "POST"}, {":scheme", "http"}, path, {":authority", "a.example"}};
  fields.insert(fields.end(), more.begin(), more.end());
  return fields;
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

TEST(Message, WhatContentTypesAreOfGrpc) {
  for (const char* value :
       {"application/grpc", "application/grpc+proto", "application/grpc;charset=x", "application/grpc ;x=1",
        "application/grpc\t;x=1", "Application/GRPC", "APPLICATION/grpc+json", "application/grpc, text/html"}) {
    EXPECT_TRUE(is_grpc_content_type(value)) << value;
  }
  for (const char* value : {"", "application/grpcx", "application/grpc-web", "application/grp", "text/html",
                            "xapplication/grpc", "text/html, application/grpc", "application/grpc_"}) {
    EXPECT_FALSE(is_grpc_content_type(value)) << value;
  }
}

TEST(Message, OfSeveralContentTypesOneOfGrpcCounts) {
  const auto position_of = [](PlainList types) {
    MessageHead head;
    EXPECT_TRUE(is_allowed(MessageKind::kRequest, request(std::move(types)), head));
    return head.content_type;
  };
  const PlainField grpc{"content-type", "application/grpc"};
  const PlainField html{"content-type", "text/html"};
  EXPECT_EQ(position_of({{"a", "b"}}), 0);
  EXPECT_EQ(position_of({html}), 5);
  EXPECT_EQ(position_of({grpc, html}), 5);
  EXPECT_EQ(position_of({html, grpc}), 6);
  EXPECT_EQ(position_of({html, grpc, html}), 6);
}

// Where the fields behind an allowed beginning are called ordinary, the whole list is allowed, and its positions are
// the same.
TEST(Message, OrdinaryFieldsChangeNothing) {
  const PlainList begins{{":method", "POST"}, {":scheme", "http"}, {":path", "/s/m"}, {":authority", "a"}};
  const PlainList others{{"grpc-timeout", "1S"}, {"x-own", "1"},          {"authorization", "b"},
                         {"te", "trailers"},     {"te", "gzip"},          {":path", "/other"},
                         {":unknown", "1"},      {"host", "other"},       {"connection", "close"},
                         {"content-type", ""},   {"content-length", "x"}, {"grpc-accept-encoding", ""},
                         {":status", "200"},     {"upgrade", "h2c"},      {"trailer", "x"}};
  uint32_t ordinary = 0;
  FieldInterner interner(1, 1 << 20);
  DecoderBench bench(interner);
  const auto block_of = [](const PlainList& fields) {
    std::string block;
    for (const PlainField& field : fields) block += hpack_literal(kLiteralPlain, field.name, field.value);
    return block;
  };
  const auto last = static_cast<uint16_t>(begins.size());
  for (const PlainField& first : others) {
    for (const PlainField& second : others) {
      bench.decode(block_of(begins));
      MessageHead head;
      ASSERT_TRUE(check_message(MessageKind::kRequest, {bench.fields.data(), bench.fields.size()}, head));
      bench.decode(block_of({first, second}));
      const std::span<const Field> behind(bench.fields.data(), bench.fields.size());
      if (!check_ordinary(MessageKind::kRequest, behind, last + 1, head)) continue;
      ++ordinary;
      PlainList whole = begins;
      whole.push_back(first), whole.push_back(second);
      bench.decode(block_of(whole));
      MessageHead of_whole;
      EXPECT_TRUE(check_message(MessageKind::kRequest, {bench.fields.data(), bench.fields.size()}, of_whole));
      EXPECT_EQ(head.path, of_whole.path);
      EXPECT_EQ(head.host, of_whole.host);
      EXPECT_EQ(head.grpc_timeout, of_whole.grpc_timeout);
      EXPECT_EQ(head.content_type, of_whole.content_type);
      EXPECT_EQ(head.has_content_length, of_whole.has_content_length);
    }
  }
  EXPECT_EQ(ordinary, 35u);
}

}  // namespace
}  // namespace ringway::h2
