#include "grpc/message_cursor.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/prng.h"

namespace ringway::grpc {
namespace {

std::string message(size_t size, char flag = 0) {
  std::string text(1, flag);
  for (int shift = 24; shift >= 0; shift -= 8) text += static_cast<char>(size >> shift & 0xff);
  return text + std::string(size, '\xff');
}

void feed(MessageCursor& cursor, std::string_view octets) {
  cursor.advance({reinterpret_cast<const uint8_t*>(octets.data()), octets.size()});
}

// A body with the offsets at which a message has just ended.
struct Body {
  std::string octets;
  std::vector<bool> is_boundary{true};
  std::vector<uint32_t> begun{0};  // a message has begun when its prefix is complete

  void add(size_t size, char flag = 0) {
    octets += message(size, flag);
    const uint32_t before = begun.back();
    for (size_t i = 1; i <= size + 5; ++i) {
      is_boundary.push_back(i == size + 5);
      begun.push_back(before + (i >= 5));
    }
  }
};

Body sample() {
  Body body;
  for (const size_t size : {3u, 0u, 0u, 1u, 300u, 5u, 0u}) body.add(size, size == 5 ? 1 : 0);
  return body;
}

TEST(MessageCursor, StartsAtABoundaryAndStaysThereWithoutOctets) {
  MessageCursor cursor;
  EXPECT_TRUE(cursor.is_at_boundary());
  feed(cursor, "");
  EXPECT_TRUE(cursor.is_at_boundary());
  EXPECT_EQ(cursor.message_count(), 0u);
}

TEST(MessageCursor, WholeBody) {
  const Body body = sample();
  MessageCursor cursor;
  feed(cursor, body.octets);
  EXPECT_TRUE(cursor.is_at_boundary());
  EXPECT_EQ(cursor.message_count(), 7u);
}

TEST(MessageCursor, ByteByByte) {
  const Body body = sample();
  MessageCursor cursor;
  for (size_t i = 0; i < body.octets.size(); ++i) {
    feed(cursor, std::string_view(body.octets).substr(i, 1));
    ASSERT_EQ(cursor.is_at_boundary(), body.is_boundary[i + 1]) << i;
    ASSERT_EQ(cursor.message_count(), body.begun[i + 1]) << i;
  }
}

TEST(MessageCursor, SplitAtEveryOffset) {
  const Body body = sample();
  const std::string_view octets = body.octets;
  for (size_t split = 0; split <= octets.size(); ++split) {
    MessageCursor cursor;
    feed(cursor, octets.substr(0, split));
    ASSERT_EQ(cursor.is_at_boundary(), body.is_boundary[split]) << split;
    ASSERT_EQ(cursor.message_count(), body.begun[split]) << split;
    feed(cursor, octets.substr(split));
    ASSERT_TRUE(cursor.is_at_boundary()) << split;
    ASSERT_EQ(cursor.message_count(), 7u) << split;
  }
}

TEST(MessageCursor, RandomPieces) {
  base::Prng prng(5);
  for (int round = 0; round < 200; ++round) {
    Body body;
    const uint32_t count = 1 + prng.below(8);
    for (uint32_t i = 0; i < count; ++i) body.add(prng.below(12), static_cast<char>(prng.below(2)));
    MessageCursor cursor;
    for (size_t at = 0; at < body.octets.size();) {
      const size_t size = std::min<size_t>(1 + prng.below(17), body.octets.size() - at);
      feed(cursor, std::string_view(body.octets).substr(at, size));
      at += size;
      ASSERT_EQ(cursor.is_at_boundary(), body.is_boundary[at]) << "round " << round;
      ASSERT_EQ(cursor.message_count(), body.begun[at]) << "round " << round;
    }
  }
}

TEST(MessageCursor, TheLargestLengthIsCountedWithoutBeingReached) {
  MessageCursor cursor;
  feed(cursor, std::string("\0\xff\xff\xff\xff", 5) + std::string(100, 'x'));
  EXPECT_FALSE(cursor.is_at_boundary());
  EXPECT_EQ(cursor.message_count(), 1u);
}

}  // namespace
}  // namespace ringway::grpc
