// The four rules under which success completions of sends may be skipped: a report on anything short, bytes free only
// when their submission was consumed, nothing hidden before a flush, and late completions told apart by generation.
#include <gtest/gtest.h>

#include "loopback.h"

namespace ringway::io {
namespace {

constexpr Token kSend{.operation = 1, .generation = 7, .slot = 3};
constexpr Token kRest{.operation = 2, .generation = 7, .slot = 3};

TEST(RingSend, ACompleteSuccessPostsNothing) {
  Ring ring = make_ring();
  SocketPair pair = unix_pair();
  const auto bytes = pattern(1000);
  ring.send_or_report(pair.near.get(), bytes, kSend);
  std::vector<Completion> completions;
  ring.enter(1, 0);
  settle(ring, completions);
  EXPECT_TRUE(completions.empty());
  std::vector<uint8_t> received;
  read_available(pair.far, received);
  EXPECT_EQ(received, bytes);
}

// Sends `size` bytes into a socket that holds only a part, lets send_waiting bring the rest, and reads it all.
void short_send_then_rest(SocketPair pair, size_t size) {
  Ring ring = make_ring();
  const auto bytes = pattern(size);
  ring.send_or_report(pair.near.get(), bytes, kSend);
  const auto first = wait_for(ring, 1);
  ASSERT_EQ(first.size(), 1u);
  EXPECT_EQ(first[0].token.packed(), kSend.packed());
  ASSERT_GT(first[0].result, 0) << "some bytes fit";
  const auto done = static_cast<size_t>(first[0].result);
  ASSERT_LT(done, size) << "the socket took more than this test expects";

  ring.send_waiting(pair.near.get(), std::span(bytes).subspan(done), kRest);
  ring.enter(1, 0);
  std::vector<Completion> completions;
  settle(ring, completions);
  EXPECT_TRUE(completions.empty()) << "nobody has read yet, so the rest cannot be done";
  std::vector<uint8_t> received;
  for (int round = 0; completions.empty() && round < 10'000; ++round) {
    read_available(pair.far, received);
    const uint64_t now = base::monotonic_ns();
    ring.enter(now, now + base::kMillisecond_ns);
    drain_into(ring, completions);
  }
  ASSERT_EQ(completions.size(), 1u);
  EXPECT_EQ(completions[0].token.packed(), kRest.packed());
  EXPECT_EQ(completions[0].result, static_cast<int32_t>(size - done));
  // Loopback hands over within the send, but the last segments may still wait for the window to open.
  ASSERT_EQ(shutdown(pair.near.get(), SHUT_WR), 0);
  Ring reader = make_ring();
  while (received.size() < size) {
    const size_t before = received.size();
    reader.poll_readable_multishot(pair.far.get(), {});
    wait_for(reader, 1);
    read_available(pair.far, received);
    ASSERT_GT(received.size(), before);
  }
  EXPECT_EQ(received, bytes);
}

TEST(RingSend, AShortSendIsReportedAndTheRestFollowsInOrderTcp) {
  short_send_then_rest(tcp_pair(), 1'000'000);
}

TEST(RingSend, AShortSendIsReportedAndTheRestFollowsInOrderUnix) {
  SocketPair pair = unix_pair();
  const int size = 8192;
  setsockopt(pair.near.get(), SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
  short_send_then_rest(std::move(pair), 1'000'000);
}

TEST(RingSend, AFullSocketReportsWouldBlock) {
  Ring ring = make_ring();
  SocketPair pair = tcp_pair();
  const auto bytes = pattern(1'000'000);
  ring.send_or_report(pair.near.get(), bytes, kSend);
  ASSERT_EQ(wait_for(ring, 1).size(), 1u);
  // The first send may have left room as its segments moved on to the receiver, so it is filled up until it says no.
  for (int round = 0; round < 1000; ++round) {
    ring.send_or_report(pair.near.get(), bytes, kRest);
    const auto completions = wait_for(ring, 1);
    ASSERT_EQ(completions.size(), 1u);
    if (completions[0].result > 0) continue;
    EXPECT_EQ(error_from_errno(completions[0].result).kind, ErrorKind::kWouldBlock);
    return;
  }
  FAIL() << "a socket that nobody reads from never became full";
}

TEST(RingSend, ASendToAPeerThatIsGoneReportsTheErrorWithoutASignal) {
  Ring ring = make_ring();
  SocketPair pair = unix_pair();
  pair.far.close();
  const auto bytes = pattern(10);
  ring.send_or_report(pair.near.get(), bytes, kSend);
  const auto completions = wait_for(ring, 1);
  ASSERT_EQ(completions.size(), 1u);
  EXPECT_EQ(error_from_errno(completions[0].result).kind, ErrorKind::kReset);
}

TEST(RingSend, SendSomeSendsWhatFitsAndAlwaysReports) {
  Ring ring = make_ring();
  SocketPair pair = tcp_pair();
  const auto few = pattern(10);
  ring.send_some(pair.near.get(), few, kSend);
  auto completions = wait_for(ring, 1);
  ASSERT_EQ(completions.size(), 1u);
  EXPECT_EQ(completions[0].result, 10);
  const auto bytes = pattern(1'000'000);
  ring.send_some(pair.near.get(), bytes, kRest);
  completions = wait_for(ring, 1);
  ASSERT_EQ(completions.size(), 1u);
  EXPECT_GT(completions[0].result, 0);
  EXPECT_LT(completions[0].result, 1'000'000);
}

TEST(RingSend, BytesAreBorrowedUntilTheirSubmissionIsConsumed) {
  Ring ring = make_ring();
  SocketPair pair = unix_pair();
  const auto bytes = pattern(10);
  const uint32_t first = ring.send_or_report(pair.near.get(), bytes, kSend);
  const uint32_t second = ring.send_or_report(pair.near.get(), bytes, kSend);
  EXPECT_FALSE(ring.is_consumed(first));
  EXPECT_FALSE(ring.is_consumed(second));
  ring.enter(1, 0);
  EXPECT_TRUE(ring.is_consumed(first));
  EXPECT_TRUE(ring.is_consumed(second));
  const uint32_t third = ring.send_or_report(pair.near.get(), bytes, kSend);
  EXPECT_TRUE(ring.is_consumed(second)) << "an older mark stays consumed";
  EXPECT_FALSE(ring.is_consumed(third));
}

TEST(RingSend, MarksOutliveTheSubmissionQueue) {
  // A queue of eight entries is full after eight sends; the ninth hands them over by itself.
  Ring ring = make_ring({8, 64});
  SocketPair pair = unix_pair();
  const auto bytes = pattern(10);
  std::vector<uint32_t> marks;
  for (int count = 0; count < 9; ++count) marks.push_back(ring.send_or_report(pair.near.get(), bytes, kSend));
  EXPECT_EQ(ring.counters().submission_full, 1u);
  for (int count = 0; count < 8; ++count) EXPECT_TRUE(ring.is_consumed(marks[static_cast<size_t>(count)])) << count;
  EXPECT_FALSE(ring.is_consumed(marks[8]));
  ring.enter(1, 0);
  EXPECT_TRUE(ring.is_consumed(marks[8]));
  std::vector<uint8_t> received;
  read_available(pair.far, received);
  EXPECT_EQ(received.size(), 90u);
}

TEST(RingSend, AnOverflowedCompletionQueueIsNotSettled) {
  Ring ring = make_ring({8, 8});
  SocketPair pair = unix_pair();
  pair.far.close();
  const auto bytes = pattern(10);
  // More failed sends than the completion queue has entries: the last ones hide in the kernel.
  constexpr uint32_t kCount = 32;
  for (uint32_t slot = 0; slot < kCount; ++slot) ring.send_or_report(pair.near.get(), bytes, {1, 1, slot});
  ring.enter(1, 0);
  EXPECT_TRUE(ring.has_overflowed());
  EXPECT_FALSE(ring.settled());
  std::vector<Completion> completions;
  drain_into(ring, completions);
  EXPECT_LT(completions.size(), kCount);
  EXPECT_FALSE(ring.settled()) << "the queue is empty, but failures are still hidden";
  settle(ring, completions);
  EXPECT_TRUE(ring.settled());
  EXPECT_FALSE(ring.has_overflowed());
  ASSERT_EQ(completions.size(), kCount);
  for (uint32_t slot = 0; slot < kCount; ++slot) EXPECT_EQ(completions[slot].token.slot, slot) << "out of order";
  EXPECT_GT(ring.counters().overflows, 0u) << "an overflow is counted";
}

// What waits in the kernel is news of other operations; a send that failed inside an enter() is told by that enter(),
// even while such work waits. The owner's rule for flushing leans on it.
TEST(RingSend, AFailedSendIsToldAtOnceWhileOtherWorkIsDeferred) {
  Ring ring = make_ring();
  SocketPair watched = unix_pair();
  SocketPair full = tcp_pair();
  const auto bytes = pattern(1'000'000);
  ring.poll_readable_multishot(watched.near.get(), {.operation = 2});
  ring.enter(1, 0);
  ASSERT_EQ(::send(watched.far.get(), "x", 1, 0), 1);
  EXPECT_TRUE(ring.has_deferred_work()) << "the poll's completion waits for the next enter";
  EXPECT_TRUE(ring.settled());
  ring.send_or_report(full.near.get(), bytes, kSend);
  ring.enter(1, 0);
  std::array<Completion, 8> completions;
  const size_t count = ring.drain(completions);
  EXPECT_TRUE(ring.settled());
  const auto is_send = [](const Completion& each) { return each.token.packed() == kSend.packed(); };
  ASSERT_EQ(std::count_if(completions.begin(), completions.begin() + count, is_send), 1);
  EXPECT_EQ(count, 2u) << "and the deferred work was done by the same enter";
}

TEST(RingSend, ACompletionThatOutlivesItsSlotIsTold) {
  Ring ring = make_ring();
  SocketPair pair = tcp_pair();
  const auto bytes = pattern(1'000'000);
  const Token first_tenant{.operation = 1, .generation = 1, .slot = 5};
  const Token second_tenant{.operation = 1, .generation = 2, .slot = 5};
  const Token cancel{.operation = 9, .generation = 1, .slot = 5};
  ring.send_waiting(pair.near.get(), bytes, first_tenant);
  ring.enter(1, 0);
  ring.cancel_fd(pair.near.get(), cancel);
  auto completions = wait_for(ring, 2);
  ASSERT_EQ(completions.size(), 2u);
  std::sort(completions.begin(), completions.end(),
            [](const Completion& one, const Completion& two) { return one.token.operation < two.token.operation; });
  // A send that had moved some bytes reports those, an untouched one ECANCELED: either way under its own token.
  EXPECT_EQ(completions[0].token.packed(), first_tenant.packed());
  EXPECT_NE(completions[0].token.packed(), second_tenant.packed());
  EXPECT_LT(completions[0].result, 1'000'000);
  EXPECT_EQ(completions[1].token.packed(), cancel.packed());
  EXPECT_EQ(completions[1].result, 1) << "one operation was cancelled";
}

TEST(RingSend, CancelEndsOneOperationAndLeavesTheOthers) {
  Ring ring = make_ring();
  SocketPair pair = unix_pair();
  const Token kept{.operation = 1, .generation = 1, .slot = 1};
  const Token ended{.operation = 2, .generation = 1, .slot = 1};
  ring.poll_readable_multishot(pair.near.get(), kept);
  ring.poll_readable_multishot(pair.near.get(), ended);
  ring.cancel(ended, {.operation = 9});
  const auto completions = wait_for(ring, 2);
  ASSERT_EQ(completions.size(), 2u);
  for (const Completion& completion : completions) {
    EXPECT_NE(completion.token.operation, kept.operation);
    if (completion.token.operation == ended.operation) {
      EXPECT_EQ(error_from_errno(completion.result).kind, ErrorKind::kCancelled);
      EXPECT_FALSE(completion.has_more);
    }
  }
  ASSERT_EQ(::send(pair.far.get(), "x", 1, 0), 1);
  const auto alive = wait_for(ring, 1);
  ASSERT_EQ(alive.size(), 1u);
  EXPECT_EQ(alive[0].token.packed(), kept.packed());
}

TEST(Token, SurvivesPacking) {
  for (const Token token :
       {Token{}, Token{255, 0xffffff, UINT32_MAX}, Token{1, 2, 3}, Token{128, 0x800000, 0x80000000}}) {
    const Token unpacked = Token::unpack(token.packed());
    EXPECT_EQ(unpacked.operation, token.operation);
    EXPECT_EQ(unpacked.generation, token.generation);
    EXPECT_EQ(unpacked.slot, token.slot);
  }
  EXPECT_EQ(Token::unpack(Token{1, 0x1000005, 2}.packed()).generation, 5u) << "the low 24 bits count";
}

}  // namespace
}  // namespace ringway::io
