#include "io/ring.h"

#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <cerrno>

#include "loopback.h"

namespace ringway::io {
namespace {

TEST(Ring, CanBeMadeHere) {
  const auto able = can_make_ring();
  EXPECT_TRUE(able) << (able ? "" : able.error());
}

// Lets io_uring_setup fail with `code` in this process, as a container's profile or an old kernel would.
void refuse_io_uring(int code) {
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0 /* seccomp_data.nr */),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<uint32_t>(code)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{static_cast<unsigned short>(std::size(filter)), filter};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
    std::perror("seccomp");
    _exit(2);
  }
}

[[noreturn]] void report_creation(int code) {
  refuse_io_uring(code);
  const auto ring = Ring::create({});
  std::fprintf(stderr, "%s\n", ring ? "made" : ring.error().c_str());
  _exit(ring ? 1 : 0);
}

TEST(RingDeathTest, NamesTheCauseOfARefusal) {
  const auto well = testing::ExitedWithCode(0);
  EXPECT_EXIT(report_creation(EPERM), well, "a seccomp profile forbids it .containers: allow io_uring_setup");
  EXPECT_EXIT(report_creation(EACCES), well, "a seccomp profile forbids it");
  EXPECT_EXIT(report_creation(ENOSYS), well, "has no io_uring; Linux 6.1 or newer is needed");
  EXPECT_EXIT(report_creation(EINVAL), well, "lacks SINGLE_ISSUER and DEFER_TASKRUN rings; Linux 6.1");
  EXPECT_EXIT(report_creation(ENOMEM), well, "RLIMIT_MEMLOCK is [0-9]+ KiB .raise it");
  EXPECT_EXIT(report_creation(EMFILE), well, "too many open files in this process .errno 24");
}

TEST(Ring, MovesWithItsWork) {
  Ring first = make_ring();
  SocketPair pair = unix_pair();
  first.poll_readable_multishot(pair.near.get(), {.slot = 5});
  Ring ring = std::move(first);
  ASSERT_EQ(send(pair.far.get(), "x", 1, 0), 1);
  const auto completions = wait_for(ring, 1);
  ASSERT_EQ(completions.size(), 1u);
  EXPECT_EQ(completions[0].token.slot, 5u);
  EXPECT_TRUE(completions[0].has_more);
}

TEST(Ring, WaitsNoLongerThanTheDeadline) {
  Ring ring = make_ring();
  const uint64_t start = base::monotonic_ns();
  ring.enter(start, start + 5 * base::kMillisecond_ns);
  const uint64_t waited = base::monotonic_ns() - start;
  EXPECT_GE(waited, 4 * base::kMillisecond_ns);
  EXPECT_LT(waited, 2 * base::kSecond_ns);
  std::vector<Completion> completions;
  drain_into(ring, completions);
  EXPECT_TRUE(completions.empty());
}

TEST(Ring, ADeadlineThatIsPastDoesNotWait) {
  Ring ring = make_ring();
  ring.enter(1000, 0);
  ring.enter(1000, 1000);
  ring.enter(1000, 10);  // a return at all is the test: waiting would hang
  EXPECT_EQ(ring.counters().enters, 3u);
}

TEST(Ring, MinWaitGathersAndStillEnds) {
  Ring ring = make_ring();
  SocketPair pair = unix_pair();
  ring.poll_readable_multishot(pair.near.get(), {.slot = 1});
  ASSERT_EQ(send(pair.far.get(), "x", 1, 0), 1);
  const uint64_t now = base::monotonic_ns();
  ring.enter(now, now + 5 * base::kSecond_ns, 100 * base::kMicrosecond_ns);
  std::vector<Completion> completions;
  drain_into(ring, completions);
  EXPECT_EQ(completions.size(), 1u);
  EXPECT_LT(base::monotonic_ns() - now, 4 * base::kSecond_ns) << "one completion ends the wait after min_wait";
}

TEST(Ring, AcceptGoesOnForEveryConnection) {
  Ring ring = make_ring();
  auto listening = listen_socket(*Address::parse("127.0.0.1:0"), {});
  ASSERT_TRUE(listening);
  const Token accepted{.operation = 1, .slot = 9};
  ring.accept_multishot(listening->get(), accepted);
  ring.enter(1, 0);
  const Address address = local_address(*listening);
  std::vector<Fd> kept;
  for (int round = 0; round < 3; ++round) {
    auto client = stream_socket(address, 0);
    ASSERT_TRUE(client);
    ring.connect(client->get(), address, {.operation = 2});
    for (const Completion& completion : wait_for(ring, 2)) {
      if (completion.token.operation == 2) {
        EXPECT_EQ(completion.result, 0);
        continue;
      }
      EXPECT_EQ(completion.token.packed(), accepted.packed());
      EXPECT_TRUE(completion.has_more);
      ASSERT_GE(completion.result, 0);
      kept.emplace_back(completion.result);
      EXPECT_EQ(peer_address(kept.back().get()), local_address(*client));
    }
    kept.push_back(std::move(*client));
  }
  EXPECT_EQ(kept.size(), 6u);
  ring.cancel_fd(listening->get(), {.operation = 9});
  bool ended = false;
  for (const Completion& completion : wait_for(ring, 2)) {
    if (completion.token.operation == 1) {
      ended = !completion.has_more && error_from_errno(completion.result).kind == ErrorKind::kCancelled;
    }
  }
  EXPECT_TRUE(ended);
}

TEST(Ring, ConnectReportsARefusal) {
  Address address;
  {
    // A port that was free a moment ago and that nobody listens on.
    auto listening = listen_socket(*Address::parse("127.0.0.1:0"), {});
    ASSERT_TRUE(listening);
    address = local_address(*listening);
  }
  Ring ring = make_ring();
  auto client = stream_socket(address, 0);
  ASSERT_TRUE(client);
  ring.connect(client->get(), address, {.operation = 2});
  const auto completions = wait_for(ring, 1);
  ASSERT_EQ(completions.size(), 1u);
  EXPECT_EQ(error_from_errno(completions[0].result).kind, ErrorKind::kRefused);
}

TEST(Ring, ShutdownEndsTheWritingSideAlone) {
  Ring ring = make_ring();
  SocketPair pair = unix_pair();
  ring.shutdown_write(pair.near.get(), {.operation = 4});
  ASSERT_EQ(wait_for(ring, 1).size(), 1u);
  char byte = 0;
  EXPECT_EQ(recv(pair.far.get(), &byte, 1, 0), 0);
  EXPECT_EQ(send(pair.far.get(), "x", 1, 0), 1);
  EXPECT_EQ(recv(pair.near.get(), &byte, 1, 0), 1);
}

TEST(Ring, DrainTakesNoMoreThanAsked) {
  Ring ring = make_ring();
  SocketPair pair = unix_pair();
  pair.far.close();
  const auto bytes = pattern(1);
  for (uint32_t slot = 0; slot < 5; ++slot) ring.send_or_report(pair.near.get(), bytes, {.slot = slot});
  ring.enter(1, 0);
  std::array<Completion, 2> some{};
  EXPECT_EQ(ring.drain(some), 2u);
  EXPECT_EQ(some[1].token.slot, 1u);
  EXPECT_FALSE(ring.settled());
  EXPECT_EQ(ring.drain(some), 2u);
  EXPECT_EQ(ring.drain(some), 1u);
  EXPECT_EQ(ring.drain(some), 0u);
  EXPECT_TRUE(ring.settled());
  EXPECT_EQ(ring.counters().completions, 5u);
  EXPECT_EQ(ring.counters().submissions, 5u);
}

}  // namespace
}  // namespace ringway::io
