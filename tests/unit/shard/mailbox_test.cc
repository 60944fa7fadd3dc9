// The mailbox: one bounded lane a sender, in order, and a descriptor that wakes.
#include "shard/mailbox.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <thread>
#include <vector>

#include "base/units.h"

namespace ringway::shard {
namespace {

std::unique_ptr<Mailbox> make_mailbox(uint32_t senders) {
  auto made = Mailbox::create(senders);
  EXPECT_TRUE(made);
  return std::move(*made);
}

bool is_readable(const Mailbox& mailbox, int timeout_ms = 0) {
  pollfd watched{mailbox.fd(), POLLIN, 0};
  return poll(&watched, 1, timeout_ms) == 1;
}

std::vector<Message> drained(Mailbox& mailbox) {
  std::vector<Message> messages;
  mailbox.drain([&](const Message& message) { messages.push_back(message); });
  return messages;
}

// Messages that tell themselves apart; their descriptors are numbers only.
Message numbered(int number, uint32_t lane = 0) {
  return {MessageKind::kAdopt, number, lane};
}

TEST(Mailbox, CarriesMessagesWholeAndInOrder) {
  const auto mailbox = make_mailbox(1);
  EXPECT_TRUE(mailbox->post(0, {MessageKind::kAdopt, 7, 3}));
  EXPECT_TRUE(mailbox->post(0, {MessageKind::kDrain, -1, 0}));
  EXPECT_TRUE(mailbox->post(0, {MessageKind::kEndDrain, -1, 0}));
  const auto messages = drained(*mailbox);
  ASSERT_EQ(messages.size(), 3u);
  EXPECT_EQ(messages[0].kind, MessageKind::kAdopt);
  EXPECT_EQ(messages[0].fd, 7);
  EXPECT_EQ(messages[0].listener, 3u);
  EXPECT_EQ(messages[1].kind, MessageKind::kDrain);
  EXPECT_EQ(messages[2].kind, MessageKind::kEndDrain);
  EXPECT_TRUE(drained(*mailbox).empty());
}

TEST(Mailbox, AFullLaneAnswersFalse) {
  const auto mailbox = make_mailbox(1);
  const auto count = static_cast<int>(Mailbox::kMessagesMax);
  for (int i = 0; i < count; ++i) EXPECT_TRUE(mailbox->post(0, numbered(i))) << i;
  EXPECT_FALSE(mailbox->post(0, numbered(count)));
  const auto messages = drained(*mailbox);
  ASSERT_EQ(messages.size(), Mailbox::kMessagesMax);
  for (int i = 0; i < count; ++i) EXPECT_EQ(messages[static_cast<size_t>(i)].fd, i);
  EXPECT_TRUE(mailbox->post(0, numbered(0))) << "there is room again";
}

TEST(Mailbox, AFullLaneDoesNotHinderTheOthers) {
  const auto mailbox = make_mailbox(3);
  while (mailbox->post(1, numbered(1, 1))) {}
  EXPECT_TRUE(mailbox->post(0, numbered(1, 0)));
  EXPECT_TRUE(mailbox->post(2, numbered(1, 2)));
  EXPECT_FALSE(mailbox->post(1, numbered(1, 1)));
  std::vector<size_t> counts(3);
  for (const Message& message : drained(*mailbox)) ++counts[message.listener];
  EXPECT_EQ(counts, (std::vector<size_t>{1, Mailbox::kMessagesMax, 1}));
}

TEST(Mailbox, WakesOnceForAnyNumberOfMessages) {
  const auto mailbox = make_mailbox(2);
  EXPECT_FALSE(is_readable(*mailbox));
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(mailbox->post(static_cast<uint32_t>(i) % 2, numbered(i)));
  EXPECT_TRUE(is_readable(*mailbox));
  mailbox->acknowledge();
  EXPECT_FALSE(is_readable(*mailbox));
  EXPECT_EQ(drained(*mailbox).size(), 10u) << "acknowledging takes none";
}

TEST(Mailbox, AMessageBehindTheAcknowledgementWakesAgain) {
  const auto mailbox = make_mailbox(1);
  EXPECT_TRUE(mailbox->post(0, numbered(1)));
  mailbox->acknowledge();
  EXPECT_TRUE(mailbox->post(0, numbered(2)));
  EXPECT_EQ(drained(*mailbox).size(), 2u);
  EXPECT_TRUE(is_readable(*mailbox)) << "once too often is allowed, never once too few";
  mailbox->acknowledge();
  EXPECT_TRUE(drained(*mailbox).empty());
}

TEST(Mailbox, AcknowledgingWithoutAMessageDoesNotWait) {
  const auto mailbox = make_mailbox(1);
  mailbox->acknowledge();
  mailbox->acknowledge();
  EXPECT_FALSE(is_readable(*mailbox));
}

TEST(Mailbox, AMessageThatFindsNoRoomDoesNotWake) {
  const auto mailbox = make_mailbox(1);
  while (mailbox->post(0, numbered(1))) {}
  mailbox->acknowledge();
  EXPECT_FALSE(mailbox->post(0, numbered(2)));
  EXPECT_FALSE(is_readable(*mailbox));
}

// The eventfd refuses what would overflow it; it is readable then, which is all that a post wants.
TEST(Mailbox, APostIsGoodWhenTheCounterIsAtItsEnd) {
  const auto mailbox = make_mailbox(1);
  const uint64_t all = UINT64_MAX - 1;
  ASSERT_EQ(write(mailbox->fd(), &all, sizeof all), static_cast<ssize_t>(sizeof all));
  EXPECT_TRUE(mailbox->post(0, numbered(1)));
  EXPECT_TRUE(is_readable(*mailbox));
  EXPECT_EQ(drained(*mailbox).size(), 1u);
}

TEST(Mailbox, ThreadsWithALaneEachLoseNothingAndKeepTheirOrder) {
  constexpr uint32_t kSenders = 4;
  constexpr int kEach = 5000;  // more than a lane holds
  const auto mailbox = make_mailbox(kSenders);
  std::vector<std::thread> senders;
  for (uint32_t lane = 0; lane < kSenders; ++lane) {
    senders.emplace_back([&mailbox, lane] {
      for (int i = 0; i < kEach; ++i) {
        while (!mailbox->post(lane, numbered(i, lane))) std::this_thread::yield();
      }
    });
  }
  // As the shard does: sleep on the descriptor, acknowledge, look.
  std::vector<int> next(kSenders);
  int received = 0;
  int misplaced = 0;
  while (received < kEach * static_cast<int>(kSenders)) {
    if (!is_readable(*mailbox, 20'000)) {
      ADD_FAILURE() << "nobody woke us after " << received << " messages";
      break;
    }
    mailbox->acknowledge();
    mailbox->drain([&](const Message& message) {
      ++received;
      if (message.fd != next[message.listener]++) ++misplaced;
    });
  }
  EXPECT_EQ(misplaced, 0);
  while (received < kEach * static_cast<int>(kSenders) && testing::Test::HasFailure()) {
    received += static_cast<int>(drained(*mailbox).size());
  }
  for (std::thread& sender : senders) sender.join();
  EXPECT_TRUE(drained(*mailbox).empty());
}

}  // namespace
}  // namespace ringway::shard
