#include "io/probe.h"

#include <fmt/format.h>
#include <liburing.h>
#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/sysinfo.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <iterator>
#include <optional>
#include <utility>

#include "io/error.h"
#include "io/ring.h"
#include "io/socket.h"

namespace ringway::io {
namespace {

constexpr unsigned kRingFlags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
constexpr uint64_t kFirst = 1;   // user_data of the operation on trial
constexpr uint64_t kSecond = 2;  // and of the one beside it
constexpr int kSilent = ETIME;   // the operation was taken and never answered

// The first line of a small file; empty where there is none.
std::string first_line(const char* path) {
  char text[512] = {};
  if (std::FILE* file = std::fopen(path, "re")) {
    if (std::fgets(text, sizeof text, file) == nullptr) text[0] = 0;
    std::fclose(file);
  }
  std::string line(text);
  while (!line.empty() && (line.back() == '\n' || line.back() == ' ')) line.pop_back();
  return line;
}

std::optional<uint64_t> number_in(const char* path) {
  const std::string line = first_line(path);
  uint64_t value = 0;
  const auto [end, status] = std::from_chars(line.data(), line.data() + line.size(), value);
  if (status != std::errc{} || end != line.data() + line.size()) return std::nullopt;
  return value;
}

// A completion, copied.
struct Answer {
  uint64_t user_data;
  int32_t res;
  uint32_t flags;
};

// A ring of its own for each trial, so that no trial sees another's leavings. Where the kernel lacks the flags of our
// rings it is a plain one, so that the table still says what else is there.
class TrialRing {
 public:
  TrialRing() {
    result_ = io_uring_queue_init(8, &ring_, kRingFlags);
    if (result_ == -EINVAL) result_ = io_uring_queue_init(8, &ring_, 0);
  }
  TrialRing(const TrialRing&) = delete;
  TrialRing& operator=(const TrialRing&) = delete;
  ~TrialRing() {
    if (is_open()) io_uring_queue_exit(&ring_);
  }

  bool is_open() const { return result_ == 0; }
  int error() const { return -result_; }
  io_uring* native() { return &ring_; }
  io_uring_sqe* entry() { return io_uring_get_sqe(&ring_); }  // eight entries: never full here

  // Submits what is queued; the next answer, or nothing after a second.
  std::optional<Answer> next() {
    __kernel_timespec timeout{1, 0};
    io_uring_cqe* cqe = nullptr;
    io_uring_submit_and_wait_timeout(&ring_, &cqe, 1, &timeout, nullptr);
    if (io_uring_peek_cqe(&ring_, &cqe) != 0 || cqe == nullptr) return std::nullopt;
    const Answer copy{cqe->user_data, cqe->res, cqe->flags};
    io_uring_cqe_seen(&ring_, cqe);
    return copy;
  }

 private:
  io_uring ring_{};
  int result_ = 0;
};

// Both ends of a connection.
struct SocketPair {
  Fd ends[2];

  SocketPair() {
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) return;
    ends[0] = Fd(fds[0]);
    ends[1] = Fd(fds[1]);
  }
  bool is_open() const { return ends[0].is_open(); }
};

// A multishot operation works when its answer is good and says that more will follow.
int multishot_verdict(const std::optional<Answer>& answer) {
  if (!answer) return kSilent;
  if (answer->res < 0) return -answer->res;
  return (answer->flags & IORING_CQE_F_MORE) != 0 ? 0 : EOPNOTSUPP;
}

// Each trial answers 0, or the errno that says why not.
int try_ring_flags() {
  io_uring ring{};
  const int result = io_uring_queue_init(8, &ring, kRingFlags);
  if (result == 0) io_uring_queue_exit(&ring);
  return -result;
}

int try_buffer_ring() {
  TrialRing ring;
  if (!ring.is_open()) return ring.error();
  int result = 0;
  io_uring_buf_ring* buffers = io_uring_setup_buf_ring(ring.native(), 4, 0, 0, &result);
  if (buffers == nullptr) return -result;
  io_uring_free_buf_ring(ring.native(), buffers, 4, 0);
  return 0;
}

int try_multishot_recv() {
  static constexpr uint32_t kBuffers = 4;
  static constexpr uint32_t kBufferSize = 64;
  uint8_t memory[kBuffers * kBufferSize];  // outlives the ring, which is made after it
  TrialRing ring;
  SocketPair pair;
  if (!ring.is_open()) return ring.error();
  if (!pair.is_open()) return EMFILE;
  int result = 0;
  io_uring_buf_ring* buffers = io_uring_setup_buf_ring(ring.native(), kBuffers, 0, 0, &result);
  if (buffers == nullptr) return -result;
  for (uint32_t i = 0; i < kBuffers; ++i) {
    io_uring_buf_ring_add(buffers, memory + size_t{i} * kBufferSize, kBufferSize, static_cast<uint16_t>(i),
                          io_uring_buf_ring_mask(kBuffers), static_cast<int>(i));
  }
  io_uring_buf_ring_advance(buffers, static_cast<int>(kBuffers));
  io_uring_sqe* sqe = ring.entry();
  io_uring_prep_recv_multishot(sqe, pair.ends[0].get(), nullptr, 0, 0);
  sqe->flags |= IOSQE_BUFFER_SELECT;
  sqe->user_data = kFirst;
  const ssize_t sent = send(pair.ends[1].get(), "x", 1, MSG_NOSIGNAL);
  const int verdict = sent == 1 ? multishot_verdict(ring.next()) : errno;
  // The end of the stream ends the operation, so that the buffers can go.
  pair.ends[1].close();
  if (verdict == 0) ring.next();
  io_uring_free_buf_ring(ring.native(), buffers, kBuffers, 0);
  return verdict;
}

int try_multishot_accept() {
  TrialRing ring;
  if (!ring.is_open()) return ring.error();
  const Fd listener(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const Fd client(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  socklen_t size = sizeof(sa_family_t);  // no path: the kernel picks an abstract one
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (bind(listener.get(), generic, size) != 0 || listen(listener.get(), 1) != 0) return errno;
  size = sizeof address;
  if (getsockname(listener.get(), generic, &size) != 0) return errno;
  io_uring_sqe* sqe = ring.entry();
  io_uring_prep_multishot_accept(sqe, listener.get(), nullptr, nullptr, SOCK_CLOEXEC);
  sqe->user_data = kFirst;
  if (connect(client.get(), generic, size) != 0) return errno;
  const auto answer = ring.next();
  if (answer && answer->res >= 0) Fd(answer->res).close();
  return multishot_verdict(answer);
}

int try_msg_ring() {
  TrialRing sender;
  TrialRing receiver;
  if (!sender.is_open() || !receiver.is_open()) return sender.is_open() ? receiver.error() : sender.error();
  io_uring_sqe* sqe = sender.entry();
  io_uring_prep_msg_ring(sqe, receiver.native()->ring_fd, 0, kSecond, 0);
  sqe->user_data = kFirst;
  const auto sent = sender.next();
  if (!sent) return kSilent;
  if (sent->res < 0) return -sent->res;
  const auto arrived = receiver.next();
  return arrived && arrived->user_data == kSecond ? 0 : kSilent;
}

int try_min_wait() {
  TrialRing ring;
  if (!ring.is_open()) return ring.error();
  __kernel_timespec timeout{0, 1'000'000};
  io_uring_cqe* cqe = nullptr;
  const int result = io_uring_submit_and_wait_min_timeout(ring.native(), &cqe, 1, &timeout, 100, nullptr);
  // Nothing was queued, so running out of time is what a working wait does.
  return result == -ETIME || result >= 0 ? 0 : -result;
}

int try_cqe_skip() {
  TrialRing ring;
  if (!ring.is_open()) return ring.error();
  io_uring_sqe* skipped = ring.entry();
  io_uring_prep_nop(skipped);
  skipped->flags |= IOSQE_CQE_SKIP_SUCCESS;
  skipped->user_data = kFirst;
  io_uring_sqe* seen = ring.entry();
  io_uring_prep_nop(seen);
  seen->user_data = kSecond;
  const auto answer = ring.next();
  if (!answer) return kSilent;
  if (answer->user_data == kSecond) return 0;
  return answer->res < 0 ? -answer->res : EOPNOTSUPP;
}

int try_cancel_fd() {
  TrialRing ring;
  SocketPair pair;
  if (!ring.is_open()) return ring.error();
  if (!pair.is_open()) return EMFILE;
  io_uring_sqe* poll = ring.entry();
  io_uring_prep_poll_add(poll, pair.ends[0].get(), POLLIN);
  poll->user_data = kFirst;
  io_uring_sqe* cancel = ring.entry();
  io_uring_prep_cancel_fd(cancel, pair.ends[0].get(), IORING_ASYNC_CANCEL_ALL);
  cancel->user_data = kSecond;
  for (int answers = 0; answers < 2; ++answers) {
    const auto answer = ring.next();
    if (!answer) return kSilent;
    if (answer->user_data == kFirst) return answer->res == -ECANCELED ? 0 : EOPNOTSUPP;
    if (answer->res < 0) return -answer->res;
  }
  return kSilent;
}

int try_napi() {
  TrialRing ring;
  if (!ring.is_open()) return ring.error();
  io_uring_napi napi{};
  napi.busy_poll_to = 10;
  return -io_uring_register_napi(ring.native(), &napi);
}

struct Feature {
  std::string_view subject;
  int (*attempt)();
  bool is_required;
  std::string_view advice;
};

constexpr Feature kFeatures[] = {
    {"SINGLE_ISSUER, DEFER_TASKRUN", try_ring_flags, true, "needs Linux 6.1"},
    {"provided buffer ring", try_buffer_ring, true, "needs Linux 5.19"},
    {"multishot recv", try_multishot_recv, true, "needs Linux 6.0"},
    {"multishot accept", try_multishot_accept, true, "needs Linux 5.19"},
    {"CQE skip", try_cqe_skip, true, "needs Linux 5.17"},
    {"cancel by fd", try_cancel_fd, true, "needs Linux 5.19"},
    {"MSG_RING", try_msg_ring, false, "needs Linux 5.18; not used by this version"},
    {"min-wait time-outs", try_min_wait, false, "needs Linux 6.12; --min-wait-us does nothing here"},
    {"NAPI busy poll", try_napi, false, "needs Linux 6.9 with CONFIG_NET_RX_BUSY_POLL; --napi-us does nothing here"},
};

void add_features(Probe& found) {
  const bool has_any_ring = TrialRing().is_open();
  for (const Feature& feature : kFeatures) {
    if (!has_any_ring) {
      // The line of io_uring says why; advice about each feature would only distract from it.
      found.findings.push_back({feature.subject, Verdict::kInformation, "not tried", ""});
      continue;
    }
    const int code = feature.attempt();
    if (code == 0) {
      found.findings.push_back({feature.subject, Verdict::kGood, "works", ""});
      continue;
    }
    if (feature.is_required) found.can_run = false;
    found.findings.push_back({feature.subject, feature.is_required ? Verdict::kMissing : Verdict::kAdvice,
                              code == kSilent ? "no answer" : fmt::format("no ({})", describe(error_from_errno(code))),
                              std::string(feature.advice)});
  }
}

Finding kernel_finding() {
  utsname kernel{};
  uname(&kernel);
  return {"kernel", Verdict::kInformation, kernel.release, ""};
}

Finding disabled_finding() {
  const std::string value = first_line("/proc/sys/kernel/io_uring_disabled");
  if (value.empty()) return {"kernel.io_uring_disabled", Verdict::kInformation, "not there (before Linux 6.6)", ""};
  if (value == "0") return {"kernel.io_uring_disabled", Verdict::kGood, value, ""};
  // Whether it hits this process, the line of io_uring itself says.
  return {"kernel.io_uring_disabled", Verdict::kAdvice, value,
          value == "1" ? "only for members of kernel.io_uring_group and privileged processes"
                       : "set it to 0: sysctl kernel.io_uring_disabled=0"};
}

std::string limit_text(rlim_t value, rlim_t unit, std::string_view unit_name) {
  return value == RLIM_INFINITY ? "unlimited" : fmt::format("{}{}", value / unit, unit_name);
}

Finding memlock_finding() {
  static constexpr rlim_t kEnough = 8u << 20;
  rlimit limit{};
  getrlimit(RLIMIT_MEMLOCK, &limit);
  const bool is_enough = limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= kEnough;
  return {"RLIMIT_MEMLOCK", is_enough ? Verdict::kGood : Verdict::kAdvice, limit_text(limit.rlim_cur, 1024, " KiB"),
          is_enough ? "" : "8 MiB is safe: ulimit -l 8192, or LimitMEMLOCK=8M in the unit"};
}

Finding nofile_finding() {
  static constexpr rlim_t kEnough = 65536;
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  const bool is_enough = limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= kEnough;
  return {"RLIMIT_NOFILE", is_enough ? Verdict::kGood : Verdict::kAdvice, limit_text(limit.rlim_cur, 1, ""),
          is_enough ? "" : "twice limits.connections or more: ulimit -n 65536, or LimitNOFILE=65536 in the unit"};
}

Finding somaxconn_finding() {
  const auto value = number_in("/proc/sys/net/core/somaxconn");
  if (!value) return {"net.core.somaxconn", Verdict::kInformation, "not visible", ""};
  const auto backlog = static_cast<uint64_t>(ListenOptions{}.backlog);
  const bool is_enough = *value >= backlog;
  return {"net.core.somaxconn", is_enough ? Verdict::kGood : Verdict::kAdvice, fmt::format("{}", *value),
          is_enough ? "" : fmt::format("bursts of connections are lost: sysctl net.core.somaxconn={}", backlog)};
}

void add_cpus(Probe& found) {
  const std::vector<uint32_t> cpus = allowed_cpus();
  found.findings.push_back(
      {"CPUs", Verdict::kInformation, fmt::format("{} of {} allowed", cpus.size(), get_nprocs()), ""});
  const std::string path =
      fmt::format("/sys/devices/system/cpu/cpu{}/cpufreq/scaling_governor", cpus.empty() ? 0 : cpus[0]);
  const std::string governor = first_line(path.c_str());
  if (governor.empty()) {
    found.findings.push_back({"CPU governor", Verdict::kInformation, "not visible", ""});
    return;
  }
  const bool is_fast = governor == "performance";
  found.findings.push_back({"CPU governor", is_fast ? Verdict::kGood : Verdict::kAdvice, governor,
                            is_fast ? "" : "for steady latency: cpupower frequency-set -g performance"});
}

Finding congestion_finding() {
  const std::string value = first_line("/proc/sys/net/ipv4/tcp_congestion_control");
  return {"TCP congestion control", Verdict::kInformation, value.empty() ? "not visible" : value, ""};
}

}  // namespace

Probe probe() {
  Probe found;
  found.findings.push_back(kernel_finding());
  found.findings.push_back(disabled_finding());
  const auto ring = can_make_ring();
  found.can_run = ring.has_value();
  found.findings.push_back({"io_uring", ring ? Verdict::kGood : Verdict::kMissing, ring ? "works" : "no",
                            ring ? std::string() : ring.error()});
  add_features(found);
  found.findings.push_back(memlock_finding());
  found.findings.push_back(nofile_finding());
  found.findings.push_back(somaxconn_finding());
  add_cpus(found);
  found.findings.push_back(congestion_finding());
  return found;
}

std::vector<uint32_t> allowed_cpus() {
  std::vector<uint32_t> cpus;
  // The kernel refuses a set smaller than its own, which nobody tells in advance.
  for (size_t bits = 1024; bits <= 1u << 20; bits *= 2) {
    cpu_set_t* set = CPU_ALLOC(bits);
    if (set == nullptr) return cpus;
    const size_t size = CPU_ALLOC_SIZE(bits);
    CPU_ZERO_S(size, set);
    const bool is_read = sched_getaffinity(0, size, set) == 0;
    for (size_t cpu = 0; is_read && cpu < bits; ++cpu) {
      if (CPU_ISSET_S(cpu, size, set)) cpus.push_back(static_cast<uint32_t>(cpu));
    }
    CPU_FREE(set);
    if (is_read || errno != EINVAL) return cpus;
  }
  return cpus;
}

}  // namespace ringway::io
