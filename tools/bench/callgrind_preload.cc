// Loaded into ringway (LD_PRELOAD) when it runs under callgrind. Valgrind runs one thread of a program at a time and
// lets the others go on while one is in a system call that it knows may block. Of io_uring_enter it does not know that,
// so a shard that waits there would keep every other thread from running. Here the waiting is done in poll(), which
// valgrind does know; what is submitted and completed is the same.
#include <liburing.h>
#include <poll.h>
#include <sys/eventfd.h>

namespace {

constexpr int kForEver_ms = -1;

// The kernel signals an eventfd when deferred work arrives (DEFER_TASKRUN), which it does not do for a poll of the
// ring.
int event_of(io_uring* ring) {
  thread_local const int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  io_uring_register_eventfd(ring, event);  // EBUSY from the second time on
  return event;
}

int submit_then_poll(io_uring* ring, int timeout_ms) {
  const int event = event_of(ring);
  const int submitted = io_uring_submit_and_get_events(ring);
  if (submitted < 0) return submitted;
  while (io_uring_cq_ready(ring) == 0) {
    pollfd polled{.fd = event, .events = POLLIN, .revents = 0};
    if (poll(&polled, 1, timeout_ms) <= 0) break;
    eventfd_t count = 0;
    eventfd_read(event, &count);
    // The completions are made here, by the thread that asks for them. What was signalled may have been seen before:
    // then there is none, and an empty turn would be counted as ringway's work.
    io_uring_get_events(ring);
  }
  return submitted;
}

int milliseconds(const __kernel_timespec* timeout) {
  if (timeout == nullptr) return kForEver_ms;
  constexpr long long kDay_s = 86'400;
  const long long seconds = timeout->tv_sec < kDay_s ? timeout->tv_sec : kDay_s;
  // Rounded up, so that a wait for less than a millisecond does not become a spin.
  return static_cast<int>(seconds * 1000 + (timeout->tv_nsec + 999'999) / 1'000'000);
}

}  // namespace

extern "C" {

__attribute__((visibility("default"))) int io_uring_submit_and_wait(io_uring* ring, unsigned) {
  return submit_then_poll(ring, kForEver_ms);
}

__attribute__((visibility("default"))) int io_uring_submit_and_wait_timeout(io_uring* ring, io_uring_cqe** cqe,
                                                                            unsigned, __kernel_timespec* timeout,
                                                                            sigset_t*) {
  const int submitted = submit_then_poll(ring, milliseconds(timeout));
  if (cqe != nullptr) io_uring_peek_cqe(ring, cqe);
  return submitted;
}
}
