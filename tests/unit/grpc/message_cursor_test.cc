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

constexpr uint8_t kAnyFlag = 0xff;

size_t feed_to_longer(MessageCursor& cursor, std::string_view octets, uint32_t size_max, uint8_t flag_max = kAnyFlag) {
  return cursor.advance_to_longer({reinterpret_cast<const uint8_t*>(octets.data()), octets.size()}, size_max, flag_max);
}

TEST(MessageCursor, StopsAtAPrefixBeyondTheLimit) {
  for (const uint32_t size : {9u, 10u, 11u}) {
    MessageCursor cursor;
    const std::string before = message(3) + message(0);
    const std::string body = before + message(size);
    EXPECT_EQ(feed_to_longer(cursor, body, 10), size <= 10 ? 0 : before.size() + 5) << size;
    EXPECT_EQ(cursor.is_at_boundary(), size <= 10);
    EXPECT_EQ(cursor.message_count(), 3u);
    if (size <= 10) continue;
    EXPECT_EQ(cursor.step_back(), size);
    EXPECT_TRUE(cursor.is_at_boundary());
    EXPECT_EQ(cursor.message_count(), 2u);
  }
  MessageCursor cursor;
  EXPECT_EQ(feed_to_longer(cursor, std::string("\0\xff\xff\xff\xff", 5), 0xffffffff), 0u);
  MessageCursor other;
  EXPECT_EQ(feed_to_longer(other, std::string("\1\xff\xff\xff\xff", 5), 0xfffffffe), 5u);
  EXPECT_EQ(other.step_back(), 0xffffffff);
}

TEST(MessageCursor, StopsThereHoweverTheOctetsAreCut) {
  const std::string before = message(3) + message(10) + message(0);
  const std::string body = before + message(11) + message(2);
  const std::string_view octets = body;
  const size_t stop = before.size() + 5;
  for (size_t split = 0; split <= octets.size(); ++split) {
    MessageCursor cursor;
    const size_t first = feed_to_longer(cursor, octets.substr(0, split), 10);
    ASSERT_EQ(first, split < stop ? 0 : stop) << split;
    if (first == 0) {
      ASSERT_EQ(feed_to_longer(cursor, octets.substr(split), 10), stop - split) << split;
    }
    ASSERT_EQ(cursor.step_back(), 11u);
  }
  MessageCursor cursor;
  for (size_t i = 0; i + 1 < stop; ++i) {
    ASSERT_EQ(feed_to_longer(cursor, octets.substr(i, 1), 10), 0u) << i;
    ASSERT_EQ(cursor.is_at_boundary(), i + 1 == 8 || i + 1 == 23 || i + 1 == 28) << i;
  }
  EXPECT_EQ(cursor.prefix_octets(), 4u);
  EXPECT_EQ(feed_to_longer(cursor, octets.substr(stop - 1), 10), 1u);
}

TEST(MessageCursor, WhatHasAnotherFlagIsNoMessage) {
  MessageCursor cursor;
  EXPECT_EQ(feed_to_longer(cursor, "<html>", 10, 1), 0u);
  EXPECT_FALSE(cursor.is_at_boundary());
  MessageCursor strict;
  EXPECT_EQ(feed_to_longer(strict, "<html>", 10), 5u);
  for (const char flag : {'\0', '\1', '\2'}) {
    MessageCursor each;
    EXPECT_EQ(feed_to_longer(each, message(11, flag), 10, 1), flag <= 1 ? 5 : 0);
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
