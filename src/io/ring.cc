#include "io/ring.h"

#include <fmt/format.h>
#include <liburing.h>
#include <sys/resource.h>
#include <sys/utsname.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "base/assert.h"
#include "base/units.h"

namespace ringway::io {
namespace {

std::string sysctl_text(const char* path) {
  char text[64] = {};
  if (std::FILE* file = std::fopen(path, "re")) {
    if (std::fgets(text, sizeof text, file) == nullptr) text[0] = 0;
    std::fclose(file);
  }
  std::string trimmed(text);
  while (!trimmed.empty() && trimmed.back() == '\n') trimmed.pop_back();
  return trimmed;
}

// Why io_uring_setup failed, in words that say what to do about it.
std::string explain_setup_failure(int code) {
  utsname kernel{};
  uname(&kernel);
  const std::string disabled = sysctl_text("/proc/sys/kernel/io_uring_disabled");
  if (code == EPERM && (disabled == "1" || disabled == "2")) {
    return fmt::format(
        "io_uring is switched off: kernel.io_uring_disabled is {} (set it to 0, or to 1 and put this user's group in "
        "kernel.io_uring_group)",
        disabled);
  }
  if (code == EPERM || code == EACCES) {
    return "io_uring_setup was refused: a seccomp profile forbids it (containers: allow io_uring_setup, io_uring_enter "
           "and io_uring_register)";
  }
  if (code == ENOSYS)
    return fmt::format("this kernel ({}) has no io_uring; Linux 6.1 or newer is needed", kernel.release);
  if (code == EINVAL) {
    return fmt::format("this kernel ({}) lacks SINGLE_ISSUER and DEFER_TASKRUN rings; Linux 6.1 or newer is needed",
                       kernel.release);
  }
  if (code == ENOMEM) {
    rlimit memlock{};
    getrlimit(RLIMIT_MEMLOCK, &memlock);
    return fmt::format(
        "no memory for the ring: RLIMIT_MEMLOCK is {} KiB (raise it: ulimit -l, or LimitMEMLOCK= in the unit)",
        memlock.rlim_cur / 1024);
  }
  return fmt::format("io_uring_setup failed: {} (errno {})", describe(error_from_errno(code)), code);
}

}  // namespace

Ring::Ring() : ring_(std::make_unique<io_uring>()) {}
Ring::Ring(Ring&&) noexcept = default;
Ring& Ring::operator=(Ring&&) noexcept = default;

Ring::~Ring() {
  if (ring_) io_uring_queue_exit(ring_.get());
}

std::expected<Ring, std::string> Ring::create(const RingOptions& options) {
  Ring ring;
  io_uring_params parameters{};
  parameters.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL |
                     IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_R_DISABLED;
  // The kernel refuses a completion queue that is smaller than the submission queue.
  parameters.cq_entries = std::max(options.completion_entries, options.submission_entries);
  const int result = io_uring_queue_init_params(options.submission_entries, ring.ring_.get(), &parameters);
  if (result < 0) {
    ring.ring_.reset();
    return std::unexpected(explain_setup_failure(-result));
  }
  ring.has_min_wait_ = (parameters.features & IORING_FEAT_MIN_TIMEOUT) != 0;
  return ring;
}

std::expected<void, std::string> Ring::enable() {
  if (const int result = io_uring_enable_rings(ring_.get()); result < 0) {
    return std::unexpected(fmt::format("io_uring: enabling the ring failed: {}", describe(error_from_errno(result))));
  }
  // Saves a descriptor look-up in every enter; harmless where it fails.
  io_uring_register_ring_fd(ring_.get());
  return {};
}

io_uring_sqe* Ring::entry(Token token) {
  io_uring_sqe* sqe = io_uring_get_sqe(ring_.get());
  while (sqe == nullptr) [[unlikely]] {
    // The queue is full: hand over what is in it. The kernel takes everything (SUBMIT_ALL) unless it is out of memory.
    ++counters_.submission_full;
    ++counters_.enters;
    io_uring_submit(ring_.get());
    sqe = io_uring_get_sqe(ring_.get());
  }
  ++counters_.submissions;
  sqe->user_data = token.packed();
  return sqe;
}

// The prep functions of liburing clear user_data's neighbours only, so the token is set first and survives; it is set
// again where a prep function resets it.
void Ring::accept_multishot(int listening_fd, Token token) {
  io_uring_sqe* sqe = entry(token);
  io_uring_prep_multishot_accept(sqe, listening_fd, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  sqe->user_data = token.packed();
}

void Ring::recv_multishot(int fd, uint16_t buffer_group, Token token) {
  io_uring_sqe* sqe = entry(token);
  io_uring_prep_recv_multishot(sqe, fd, nullptr, 0, 0);
  sqe->flags |= IOSQE_BUFFER_SELECT;
  sqe->buf_group = buffer_group;
  sqe->user_data = token.packed();
}

void Ring::connect(int fd, const Address& address, Token token) {
  io_uring_sqe* sqe = entry(token);
  io_uring_prep_connect(sqe, fd, address.data(), address.size());
  sqe->user_data = token.packed();
}

void Ring::poll_readable_multishot(int fd, Token token) {
  io_uring_sqe* sqe = entry(token);
  io_uring_prep_poll_multishot(sqe, fd, 0x001 /* POLLIN */);
  sqe->user_data = token.packed();
}

void Ring::shutdown_write(int fd, Token token) {
  io_uring_sqe* sqe = entry(token);
  io_uring_prep_shutdown(sqe, fd, SHUT_WR);
  sqe->user_data = token.packed();
}

void Ring::cancel_fd(int fd, Token token) {
  io_uring_sqe* sqe = entry(token);
  io_uring_prep_cancel_fd(sqe, fd, IORING_ASYNC_CANCEL_ALL);
  sqe->user_data = token.packed();
}

void Ring::cancel(Token target, Token token) {
  io_uring_sqe* sqe = entry(token);
  io_uring_prep_cancel64(sqe, target.packed(), 0);
  sqe->user_data = token.packed();
}

uint32_t Ring::send_or_report(int fd, std::span<const uint8_t> bytes, Token token) {
  io_uring_sqe* sqe = entry(token);
  io_uring_prep_send(sqe, fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_WAITALL | MSG_DONTWAIT);
  sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
  sqe->user_data = token.packed();
  return ring_->sq.sqe_tail;
}

void Ring::poll_once(int fd, bool for_writing, Token token) {
  io_uring_sqe* sqe = entry(token);
  io_uring_prep_poll_add(sqe, fd, for_writing ? 0x004 /* POLLOUT */ : 0x001 /* POLLIN */);
  sqe->user_data = token.packed();
}

void Ring::send_waiting(int fd, std::span<const uint8_t> bytes, Token token) {
  io_uring_sqe* sqe = entry(token);
  io_uring_prep_send(sqe, fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_WAITALL);
  sqe->user_data = token.packed();
}

void Ring::send_some(int fd, std::span<const uint8_t> bytes, Token token) {
  io_uring_sqe* sqe = entry(token);
  io_uring_prep_send(sqe, fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  sqe->user_data = token.packed();
}

void Ring::busy_poll_napi(uint64_t duration_ns) noexcept {
  io_uring_napi napi{};
  napi.busy_poll_to = static_cast<uint32_t>(duration_ns / base::kMicrosecond_ns);
  napi.prefer_busy_poll = 1;
  io_uring_register_napi(ring_.get(), &napi);
}

bool Ring::is_consumed(uint32_t mark) const noexcept {
  const uint32_t head = __atomic_load_n(ring_->sq.khead, __ATOMIC_ACQUIRE);
  return static_cast<int32_t>(head - mark) >= 0;
}

void Ring::enter(uint64_t now_ns, uint64_t deadline_ns, uint64_t min_wait_ns) {
  ++counters_.enters;
  if (has_overflowed()) [[unlikely]]
    ++counters_.overflows;
  if (deadline_ns == 0 || deadline_ns <= now_ns) {
    io_uring_submit_and_get_events(ring_.get());
    return;
  }
  // Interrupted or out-of-resource enters (EINTR, EAGAIN, EBUSY) are retried by the next turn; whatever completed is in
  // the queue, whatever was not taken stays queued.
  if (deadline_ns == base::kNever_ns && min_wait_ns == 0) {
    io_uring_submit_and_wait(ring_.get(), 1);
    return;
  }
  const uint64_t wait_ns = deadline_ns == base::kNever_ns ? base::kSecond_ns * 3600 : deadline_ns - now_ns;
  __kernel_timespec timeout{static_cast<int64_t>(wait_ns / base::kSecond_ns),
                            static_cast<long long>(wait_ns % base::kSecond_ns)};
  io_uring_cqe* unused = nullptr;
  if (min_wait_ns != 0 && has_min_wait_) {
    io_uring_submit_and_wait_min_timeout(ring_.get(), &unused, 32, &timeout,
                                         static_cast<unsigned>(min_wait_ns / base::kMicrosecond_ns), nullptr);
  } else {
    io_uring_submit_and_wait_timeout(ring_.get(), &unused, 1, &timeout, nullptr);
  }
}

size_t Ring::drain(std::span<Completion> out) {
  io_uring_cq& queue = ring_->cq;
  const uint32_t mask = queue.ring_mask;
  const uint32_t tail = __atomic_load_n(queue.ktail, __ATOMIC_ACQUIRE);
  uint32_t head = *queue.khead;
  size_t count = 0;
  for (; head != tail && count < out.size(); ++head) {
    const io_uring_cqe& cqe = queue.cqes[head & mask];
    out[count++] = {Token::unpack(cqe.user_data), cqe.res, (cqe.flags & IORING_CQE_F_MORE) != 0,
                    (cqe.flags & IORING_CQE_F_BUFFER) != 0,
                    static_cast<uint16_t>(cqe.flags >> IORING_CQE_BUFFER_SHIFT)};
  }
  __atomic_store_n(queue.khead, head, __ATOMIC_RELEASE);
  counters_.completions += count;
  return count;
}

bool Ring::settled() const noexcept {
  return !has_overflowed() && *ring_->cq.khead == __atomic_load_n(ring_->cq.ktail, __ATOMIC_ACQUIRE);
}

bool Ring::has_deferred_work() const noexcept {
  return (__atomic_load_n(ring_->sq.kflags, __ATOMIC_ACQUIRE) & IORING_SQ_TASKRUN) != 0;
}

bool Ring::has_overflowed() const noexcept {
  return (__atomic_load_n(ring_->sq.kflags, __ATOMIC_ACQUIRE) & IORING_SQ_CQ_OVERFLOW) != 0;
}

std::expected<void, std::string> can_make_ring() {
  auto ring = Ring::create({8, 16});
  if (!ring) return std::unexpected(ring.error());
  return {};
}

}  // namespace ringway::io
