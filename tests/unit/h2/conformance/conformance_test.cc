// Each row of the table: whole, and one octet at a time.
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>

#include "rows.h"

namespace ringway::h2::conformance {

void PrintTo(const Row& row, std::ostream* out) {
  *out << row.section << ": " << row.title << (row.role == Role::kServer ? " (server role)" : " (client role)");
}

namespace {

using wire::headers;

// What a frame without an event or an answer may still change.
std::string state_of(Endpoint& end) {
  std::ostringstream state;
  const Connection& connection = end.connection;
  state << connection.send_window() << ' ' << connection.peer_stream_limit() << ' ' << connection.last_peer_stream_id();
  end.connection.streams().for_each([&](const Stream& stream) {
    state << '\n'
          << stream.id << ' ' << stream.send_window << ' ' << stream.recv_window << ' ' << stream.has_received_headers
          << stream.has_received_end << stream.is_reset;
  });
  return state.str();
}

void expect_connection_error(Endpoint& end, ErrorCode code) {
  ASSERT_TRUE(end.connection.has_failed()) << "no connection error";
  EXPECT_EQ(name_of(end.connection.failure_code()), name_of(code)) << end.connection.failure_reason();
  const auto frames = end.take_frames();
  ASSERT_FALSE(frames.empty());
  EXPECT_TRUE(frames.back().is(FrameType::kGoaway));
  EXPECT_EQ(frames.back().u32(0), end.connection.last_peer_stream_id());
  EXPECT_EQ(frames.back().u32(4), static_cast<uint32_t>(code));
  // What comes later is not looked at.
  end.events.clear();
  end.receive(wire::ping("12345678"));
  EXPECT_EQ(end.take_output(), "");
  EXPECT_TRUE(end.events.empty());
}

void expect_outcome(Endpoint& end, const Expected& expected, const std::string& state_before) {
  if (expected.outcome == Outcome::kConnectionError) return expect_connection_error(end, expected.code);
  ASSERT_FALSE(end.connection.has_failed())
      << name_of(end.connection.failure_code()) << ": " << end.connection.failure_reason();
  const std::string output = end.take_output();
  std::vector<wire::Frame> resets;
  for (const wire::Frame& frame : wire::parse(output)) {
    EXPECT_FALSE(frame.is(FrameType::kGoaway));
    if (frame.is(FrameType::kRstStream)) resets.push_back(frame);
  }
  if (expected.outcome == Outcome::kStreamError) {
    ASSERT_EQ(resets.size(), 1u) << "RST_STREAM frames";
    EXPECT_EQ(resets[0].stream_id, expected.stream_id);
    EXPECT_EQ(name_of(static_cast<ErrorCode>(resets[0].u32(0))), name_of(expected.code));
  } else {
    ASSERT_TRUE(resets.empty()) << name_of(static_cast<ErrorCode>(resets[0].u32(0))) << " on " << resets[0].stream_id;
    const bool has_effect = !output.empty() || !end.events.empty() || state_of(end) != state_before;
    EXPECT_EQ(has_effect, expected.outcome == Outcome::kAccepted);
  }
  // The parser stands where the next frame begins.
  end.receive(wire::ping("12345678"));
  const auto answer = end.take_frames();
  EXPECT_TRUE(!answer.empty() && answer.back().is(FrameType::kPing) && answer.back().payload == "12345678");
}

void expect_bytes(const Row& row, size_t piece_size) {
  SCOPED_TRACE(piece_size == 1 ? "one octet at a time" : "whole");
  Memory memory(1, 100, 1 << 20);
  Limits limits = test_limits();
  if (row.start == Start::kFull) limits.streams = 4;
  Endpoint end(row.role, memory, limits);
  prepare(end, row.start);
  const std::string before = state_of(end);
  end.receive_in_pieces(row.bytes, piece_size);
  expect_outcome(end, row.expected, before);
}

std::string block_of(const PlainList& fields, bool is_indexed) {
  std::string block;
  for (size_t i = 0; i < fields.size(); ++i) {
    block += is_indexed ? hpack_integer(0x80, 7, kStaticTableSize + fields.size() - i)
                        : hpack_literal(kLiteralIncremental, fields[i].name, fields[i].value);
  }
  return block;
}

void expect_message(const Row& row, size_t piece_size) {
  SCOPED_TRACE(piece_size == 1 ? "one octet at a time" : "whole");
  Memory memory(1, 100, 1 << 20);
  Endpoint end(row.role, memory);
  prepare(end, row.start);
  const bool opens = row.message->kind == MessageKind::kRequest;
  const auto ids = opens ? std::array{kIdle, kIdle + 2, kIdle + 4} : std::array{kOpen, kAnswered, kLast};
  for (const uint32_t id : ids) {
    SCOPED_TRACE(id == ids[0] ? "literals" : "references");
    if (row.message->kind == MessageKind::kTrailers && row.role == Role::kClient) end.receive(response(id, false));
    end.take_output();
    end.events.clear();
    const std::string before = state_of(end);
    end.receive_in_pieces(headers(id, block_of(row.message->fields, id != ids[0]), true), piece_size);
    Expected expected = row.expected;
    expected.stream_id = id;
    expect_outcome(end, expected, before);
  }
}

class Rfc : public testing::TestWithParam<Row> {};

TEST_P(Rfc, Holds) {
  const Row& row = GetParam();
  for (const size_t piece_size : {size_t{1} << 20, size_t{1}}) {
    row.message ? expect_message(row, piece_size) : expect_bytes(row, piece_size);
  }
}

std::string name_of_row(const testing::TestParamInfo<Row>& row) {
  std::string name = std::to_string(row.index) + "_" + row.param.section + "_" + row.param.title +
                     (row.param.role == Role::kServer ? "_server" : "_client");
  for (char& c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  }
  return name;
}

INSTANTIATE_TEST_SUITE_P(Rows, Rfc, testing::ValuesIn(all_rows()), name_of_row);

// h2spec's generic, http2 and hpack groups have 146 cases, all of them for servers.
TEST(RfcTable, IsWide) {
  const auto count = [](Role role) {
    return std::ranges::count_if(all_rows(), [role](const Row& row) { return row.role == role; });
  };
  std::printf("RFC cases: %td server role, %td client role\n", count(Role::kServer), count(Role::kClient));
  EXPECT_GE(count(Role::kServer), 300);
  EXPECT_GE(count(Role::kClient), 240);
}

TEST(RfcTable, HasEachCaseOnce) {
  std::vector<std::string> names;
  for (const Row& row : all_rows()) {
    names.push_back((row.role == Role::kServer ? "server " : "client ") + row.section + " " + row.title);
  }
  std::ranges::sort(names);
  EXPECT_EQ(std::ranges::adjacent_find(names), names.end());
}

TEST(RfcTable, IsThePage) {
  std::ifstream file(RINGWAY_SOURCE_ROOT "/docs/conformance.md");
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_TRUE(text.str() == page()) << "docs/conformance.md is not what `h2_conformance_test --page` prints";
}

}  // namespace
}  // namespace ringway::h2::conformance

int main(int argc, char** argv) {
  if (argc == 2 && std::strcmp(argv[1], "--page") == 0) {
    std::fputs(ringway::h2::conformance::page().c_str(), stdout);
    return 0;
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
