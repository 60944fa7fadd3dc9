// The simulated kernel keeps the rules that src/io/ring.h states, and notices when a program breaks them: what it does
// not notice, no run of the simulation can find.
#include "kernel.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <string>
#include <vector>

#include "io/buffer_ring.h"
#include "io/event.h"
#include "io/ring.h"
#include "io/socket.h"

namespace ringway::sim {
namespace {

constexpr uint32_t kBuffers = 4;
constexpr uint32_t kBufferSize = 16;
constexpr uint64_t kLatency_ns = 50'000;

std::span<const uint8_t> octets_of(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

struct QuietEnd : FarEnd {
  void on_readable() override {}
  void on_writable() override {}
};

class KernelTest : public testing::Test {
 protected:
  explicit KernelTest(const KernelOptions& options = {})
      : kernel_(timeline_, options, 7),
        ring_(std::move(*io::Ring::create({.submission_entries = 8}))),
        buffers_(std::move(*io::BufferRing::create(ring_, 0, kBuffers, kBufferSize))),
        listener_(io::Fd(kernel_.listen())) {}

  // A connection of `far_` that the program has accepted.
  int connect(size_t send_buffer = 100) {
    link_ = kernel_.connect_to_shard(listener_.get(), far_, *io::Address::parse("10.0.0.1:1"),
                                     {.send_buffer = send_buffer, .latency_ns = kLatency_ns});
    io::Fd accepted = io::accept_waiting(listener_.get());
    fds_.push_back(std::move(accepted));
    return fds_.back().get();
  }

  // One enter that may wait for `wait_ns`.
  std::vector<io::Completion> enter(uint64_t wait_ns = 0) {
    const uint64_t now_ns = timeline_.now_ns();
    ring_.enter(now_ns, wait_ns == 0 ? 0 : now_ns + wait_ns);
    std::vector<io::Completion> completions(64);
    completions.resize(ring_.drain(completions));
    return completions;
  }

  std::string text_of(const io::Completion& completion) {
    const auto bytes = buffers_.bytes(completion.buffer, static_cast<size_t>(completion.result));
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

  void exit() { kernel_.begin_exit(); }
  void TearDown() override { exit(); }

  Timeline timeline_;
  Kernel kernel_;
  io::Ring ring_;
  io::BufferRing buffers_;
  io::Fd listener_;
  QuietEnd far_;
  Link* link_ = nullptr;
  std::vector<io::Fd> fds_;
};

using KernelDeathTest = KernelTest;

TEST_F(KernelTest, BytesTravelAndComeInOrder) {
  const int fd = connect();
  ring_.recv_multishot(fd, 0, {1, 1, 1});
  link_->write("hello ");
  link_->write("world");
  link_->finish();
  EXPECT_TRUE(enter().empty()) << "they are still on their way";
  std::string got;
  io::Completion last{};
  while (last.has_more || last.token.operation == 0) {
    for (const io::Completion& completion : enter(10 * kLatency_ns)) {
      last = completion;
      if (completion.result > 0) got += text_of(completion);
      if (completion.has_buffer) buffers_.recycle(completion.buffer);
    }
    buffers_.publish();
  }
  EXPECT_EQ(got, "hello world");
  EXPECT_EQ(last.result, 0) << "the end";
}

TEST_F(KernelTest, WithoutABufferAReceiveEnds) {
  const int fd = connect();
  ring_.recv_multishot(fd, 0, {1, 1, 1});
  link_->write(std::string(kBuffers * kBufferSize + 1, 'x'));
  std::vector<io::Completion> all;
  while (all.empty() || all.back().has_more) {
    for (const io::Completion& completion : enter(10 * kLatency_ns)) all.push_back(completion);
  }
  EXPECT_EQ(all.back().result, -ENOBUFS);
  EXPECT_EQ(kernel_.buffers_away(), kBuffers);
}

TEST_F(KernelTest, DataComesBeforeAResetAndThatOnlyOnce) {
  const int fd = connect();
  link_->write("last words");
  link_->reset(false);
  enter(10 * kLatency_ns);
  ring_.recv_multishot(fd, 0, {1, 1, 1});
  const auto first = enter(1'000'000);
  ASSERT_EQ(first.back().result, -ECONNRESET);
  ring_.recv_multishot(fd, 0, {1, 1, 1});
  EXPECT_EQ(enter(1'000'000).back().result, 0);
  const std::string bytes = "x";
  ring_.send_or_report(fd, octets_of(bytes), {2, 1, 1});
  EXPECT_EQ(enter().back().result, -EPIPE);
}

TEST_F(KernelTest, ASendPostsOnlyWhatWasShort) {
  const int fd = connect(10);
  const std::string bytes(8, 'x');
  const uint32_t mark = ring_.send_or_report(fd, octets_of(bytes), {2, 1, 1});
  EXPECT_FALSE(ring_.is_consumed(mark));
  EXPECT_TRUE(enter().empty()) << "success is not told";
  EXPECT_TRUE(ring_.is_consumed(mark));
  ring_.send_or_report(fd, octets_of(bytes), {2, 1, 1});
  EXPECT_EQ(enter().back().result, 2);
  ring_.send_or_report(fd, octets_of(bytes), {2, 1, 1});
  EXPECT_EQ(enter().back().result, -EAGAIN);
}

TEST_F(KernelTest, AWaitingSendEndsWhenAllHasLeft) {
  const int fd = connect(10);
  const std::string bytes = "0123456789abcdef";
  ring_.send_waiting(fd, octets_of(bytes), {2, 1, 1});
  EXPECT_TRUE(enter().empty());
  EXPECT_EQ(link_->read(100), "0123456789");
  const auto done = enter();
  ASSERT_EQ(done.size(), 1u);
  EXPECT_EQ(done[0].result, 16);
}

TEST_F(KernelTest, ACancelledSendTellsWhatHadLeft) {
  const int fd = connect(10);
  const std::string bytes = "0123456789abcdef";
  ring_.send_waiting(fd, octets_of(bytes), {2, 1, 1});
  ring_.cancel_fd(fd, {3, 1, 1});
  const auto done = enter();
  ASSERT_EQ(done.size(), 2u);
  EXPECT_EQ(done[0].result, 10);
  EXPECT_EQ(done[1].result, 1) << "one operation was found";
}

TEST_F(KernelTest, AVanishedPeerTimesOutOnceSomethingIsSent) {
  const int fd = connect();
  ring_.recv_multishot(fd, 0, {1, 1, 1});
  link_->vanish();
  EXPECT_TRUE(enter(3600 * base::kSecond_ns).empty());
  const std::string bytes = "x";
  ring_.send_or_report(fd, octets_of(bytes), {2, 1, 1});
  const uint64_t before_ns = timeline_.now_ns();
  EXPECT_EQ(enter(3600 * base::kSecond_ns).back().result, -ETIMEDOUT);
  EXPECT_GE(timeline_.now_ns() - before_ns, 20 * base::kSecond_ns);
}

TEST_F(KernelDeathTest, ClosingUnderAnOperation) {
  const int fd = connect();
  ring_.recv_multishot(fd, 0, {1, 1, 1});
  EXPECT_DEATH(kernel_.close(fd), "is closed with 1 submissions untaken");
  enter();
  EXPECT_DEATH(kernel_.close(fd), "is closed with an operation in flight");
}

TEST_F(KernelDeathTest, ClosingWithACompletionUnread) {
  const int fd = connect(1);
  const std::string bytes = "xy";
  ring_.send_or_report(fd, octets_of(bytes), {2, 1, 1});
  ring_.enter(timeline_.now_ns(), 0);
  EXPECT_DEATH(kernel_.close(fd), "is closed with 1 completions unread");
}

TEST_F(KernelDeathTest, UsingAClosedDescriptor) {
  const int fd = connect();
  fds_.clear();
  EXPECT_DEATH(kernel_.close(fd), "close on descriptor . which is closed|closed");
  EXPECT_DEATH(ring_.recv_multishot(fd, 0, {1, 1, 1}), "a submission on descriptor");
}

TEST_F(KernelDeathTest, ChangingOctetsThatAreStillToBeSent) {
  const int fd = connect(1);
  std::string bytes = "xyz";
  ring_.send_or_report(fd, octets_of(bytes), {2, 1, 1});
  EXPECT_DEATH((bytes[2] = '!', enter()), "have changed before they were taken");
  enter();
  bytes = "xyz";
  ring_.send_waiting(fd, octets_of(bytes), {2, 1, 1});
  enter();
  EXPECT_DEATH((bytes[2] = '!', link_->read(100)), "of a waiting send on descriptor . have changed");
}

TEST_F(KernelDeathTest, ASecondSendBesideOneThatWaits) {
  const int fd = connect(1);
  const std::string bytes = "xy";
  ring_.send_waiting(fd, octets_of(bytes), {2, 1, 1});
  ring_.send_or_report(fd, octets_of(bytes), {2, 1, 1});
  EXPECT_DEATH(enter(), "beside one that waits");
}

TEST_F(KernelDeathTest, ReturningABufferTwice) {
  const int fd = connect();
  ring_.recv_multishot(fd, 0, {1, 1, 1});
  link_->write("x");
  const auto got = enter(10 * kLatency_ns);
  ASSERT_TRUE(got.back().has_buffer);
  buffers_.recycle(got.back().buffer);
  EXPECT_DEATH(buffers_.recycle(got.back().buffer), "returned without having been given");
}

TEST_F(KernelDeathTest, WaitingForWhatCannotCome) {
  EXPECT_DEATH(ring_.enter(timeline_.now_ns(), base::kNever_ns), "nothing will ever happen again");
}

KernelOptions unruly() {
  KernelOptions options;
  options.completion_entries = 2;
  options.held_back = 300;
  options.untaken = 300;
  options.reorders = true;
  options.receive_max = 3;
  options.no_buffers = 100;
  options.multishot_ends = 200;
  return options;
}

class UnrulyKernelTest : public KernelTest {
 protected:
  UnrulyKernelTest() : KernelTest(unruly()) {}
};

// Whatever becomes of the completions: those of one operation keep their order, and none is lost.
TEST_F(UnrulyKernelTest, EachConnectionHasItsBytesInOrder) {
  constexpr uint32_t kCount = 3;
  std::vector<int> fds;
  std::vector<Link*> links;
  std::string sent;
  for (int i = 0; i < 200; ++i) sent += static_cast<char>('a' + i % 26);
  for (uint32_t i = 0; i < kCount; ++i) {
    fds.push_back(connect());
    links.push_back(link_);
    link_->write(sent);
    ring_.recv_multishot(fds[i], 0, {1, 1, i});
  }
  std::vector<std::string> got(kCount);
  uint32_t overflows = 0;
  uint32_t starved = 0;
  for (int turn = 0; turn < 10'000 && (got[0].size() + got[1].size() + got[2].size()) < kCount * sent.size(); ++turn) {
    for (const io::Completion& completion : enter(10 * kLatency_ns)) {
      const uint32_t slot = completion.token.slot;
      if (completion.result > 0) got[slot] += text_of(completion);
      if (completion.has_buffer) buffers_.recycle(completion.buffer);
      starved += completion.result == -ENOBUFS ? 1 : 0;
      if (!completion.has_more) ring_.recv_multishot(fds[slot], 0, {1, 1, slot});
    }
    overflows += ring_.has_overflowed() ? 1 : 0;
    buffers_.publish();
  }
  for (const std::string& each : got) EXPECT_EQ(each, sent);
  EXPECT_GT(overflows, 0u);
  EXPECT_GT(starved, 0u);
}

}  // namespace
}  // namespace ringway::sim
