#include "io/buffer_ring.h"

#include <gtest/gtest.h>

#include "loopback.h"

namespace ringway::io {
namespace {

constexpr uint16_t kGroup = 1;
constexpr Token kRecv{.operation = 3, .generation = 1, .slot = 2};

void put(const Fd& fd, std::span<const uint8_t> bytes) {
  ASSERT_EQ(send(fd.get(), bytes.data(), bytes.size(), MSG_DONTWAIT), static_cast<ssize_t>(bytes.size()));
}

TEST(BufferRing, OneRecvBringsEveryArrival) {
  Ring ring = make_ring();
  auto buffers = BufferRing::create(ring, kGroup, 4, 64);
  ASSERT_TRUE(buffers) << buffers.error();
  SocketPair pair = unix_pair();
  ring.recv_multishot(pair.near.get(), buffers->group(), kRecv);
  ring.enter(1, 0);
  const auto bytes = pattern(50);
  for (int round = 0; round < 20; ++round) {
    put(pair.far, bytes);
    const auto completions = wait_for(ring, 1);
    ASSERT_EQ(completions.size(), 1u);
    ASSERT_EQ(completions[0].result, 50) << round;
    EXPECT_TRUE(completions[0].has_more);
    ASSERT_TRUE(completions[0].has_buffer);
    const auto received = buffers->bytes(completions[0].buffer, 50);
    EXPECT_TRUE(std::equal(received.begin(), received.end(), bytes.begin(), bytes.end()));
    buffers->recycle(completions[0].buffer);
    buffers->publish();
  }
}

TEST(BufferRing, AnEmptyRingEndsTheRecvAndARecycledBufferLetsItGoOn) {
  Ring ring = make_ring();
  auto buffers = BufferRing::create(ring, kGroup, 2, 64);
  ASSERT_TRUE(buffers) << buffers.error();
  SocketPair pair = unix_pair();
  const auto bytes = pattern(64 * 5);
  put(pair.far, bytes);
  ring.recv_multishot(pair.near.get(), kGroup, kRecv);
  auto completions = wait_for(ring, 3);
  ASSERT_EQ(completions.size(), 3u);
  std::vector<uint8_t> received;
  std::vector<uint16_t> held;
  const auto take = [&](const Completion& completion) {
    ASSERT_TRUE(completion.has_buffer);
    const auto part = buffers->bytes(completion.buffer, static_cast<size_t>(completion.result));
    received.insert(received.end(), part.begin(), part.end());
    held.push_back(completion.buffer);
  };
  take(completions[0]);
  take(completions[1]);
  EXPECT_NE(held[0], held[1]);
  EXPECT_EQ(error_from_errno(completions[2].result).kind, ErrorKind::kNoBuffers);
  EXPECT_FALSE(completions[2].has_more);
  EXPECT_FALSE(completions[2].has_buffer);

  // A recycled buffer is no use before it is published.
  buffers->recycle(held[0]);
  ring.recv_multishot(pair.near.get(), kGroup, kRecv);
  completions = wait_for(ring, 1);
  ASSERT_EQ(completions.size(), 1u);
  EXPECT_EQ(error_from_errno(completions[0].result).kind, ErrorKind::kNoBuffers);

  buffers->publish();
  ring.recv_multishot(pair.near.get(), kGroup, kRecv);
  completions = wait_for(ring, 2);
  ASSERT_EQ(completions.size(), 2u);
  take(completions[0]);
  EXPECT_EQ(held.back(), held[0]) << "the one that was given back";
  EXPECT_EQ(error_from_errno(completions[1].result).kind, ErrorKind::kNoBuffers);

  buffers->recycle(held[1]);
  buffers->recycle(held[2]);
  buffers->publish();
  ring.recv_multishot(pair.near.get(), kGroup, kRecv);
  completions = wait_for(ring, 2);
  ASSERT_GE(completions.size(), 2u);
  take(completions[0]);
  take(completions[1]);
  EXPECT_EQ(received, bytes) << "nothing lost, nothing twice";
}

TEST(BufferRing, EveryBufferIsItsOwn) {
  Ring ring = make_ring();
  constexpr uint32_t kCount = 64;
  auto buffers = BufferRing::create(ring, kGroup, kCount, 16);
  ASSERT_TRUE(buffers) << buffers.error();
  SocketPair pair = unix_pair();
  const auto bytes = pattern(16 * kCount);
  // The buffers come back in another order than they went, round after round.
  for (int round = 0; round < 5; ++round) {
    put(pair.far, bytes);
    ring.recv_multishot(pair.near.get(), kGroup, kRecv);
    auto completions = wait_for(ring, kCount);
    std::vector<uint16_t> seen;
    std::vector<uint8_t> received;
    for (const Completion& completion : completions) {
      if (!completion.has_buffer) continue;
      seen.push_back(completion.buffer);
      const auto part = buffers->bytes(completion.buffer, static_cast<size_t>(completion.result));
      received.insert(received.end(), part.begin(), part.end());
    }
    EXPECT_EQ(received, bytes);
    ASSERT_EQ(seen.size(), kCount);
    for (size_t index = 0; index < kCount; ++index) buffers->recycle(seen[(index * 37) % kCount]);
    buffers->publish();
    std::sort(seen.begin(), seen.end());
    EXPECT_EQ(std::adjacent_find(seen.begin(), seen.end()), seen.end());
    // Ends the multishot, so that the next round arms it anew.
    ring.cancel_fd(pair.near.get(), {.operation = 9});
    settle(ring, completions);
  }
}

TEST(BufferRing, TheEndOfAStreamTakesNoBuffer) {
  Ring ring = make_ring();
  auto buffers = BufferRing::create(ring, kGroup, 2, 64);
  ASSERT_TRUE(buffers);
  SocketPair pair = unix_pair();
  ring.recv_multishot(pair.near.get(), kGroup, kRecv);
  ring.enter(1, 0);
  pair.far.close();
  const auto completions = wait_for(ring, 1);
  ASSERT_EQ(completions.size(), 1u);
  EXPECT_EQ(completions[0].result, 0);
  EXPECT_FALSE(completions[0].has_more);
  EXPECT_FALSE(completions[0].has_buffer);
}

TEST(BufferRing, RefusesACountThatTheKernelCannotTake) {
  Ring ring = make_ring();
  for (const uint32_t count : {3u, 65536u}) {
    const auto buffers = BufferRing::create(ring, kGroup, count, 16);
    ASSERT_FALSE(buffers) << count;
    EXPECT_NE(buffers.error().find(std::to_string(count)), std::string::npos) << buffers.error();
  }
}

TEST(BufferRing, StaysWithARingThatMoves) {
  Ring first = make_ring();
  auto buffers = BufferRing::create(first, kGroup, 2, 64);
  ASSERT_TRUE(buffers);
  Ring second = std::move(first);
  SocketPair pair = unix_pair();
  put(pair.far, pattern(10));
  second.recv_multishot(pair.near.get(), kGroup, kRecv);
  const auto completions = wait_for(second, 1);
  ASSERT_EQ(completions.size(), 1u);
  EXPECT_TRUE(completions[0].has_buffer);
}

TEST(BufferRing, AGroupIsTakenOnce) {
  Ring ring = make_ring();
  auto first = BufferRing::create(ring, kGroup, 2, 16);
  ASSERT_TRUE(first);
  EXPECT_FALSE(BufferRing::create(ring, kGroup, 2, 16));
  EXPECT_TRUE(BufferRing::create(ring, kGroup + 1, 2, 16));
}

}  // namespace
}  // namespace ringway::io
