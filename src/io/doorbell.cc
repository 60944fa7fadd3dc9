#include "io/doorbell.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>

namespace ringway::io {

std::expected<std::unique_ptr<Doorbell>, Error> Doorbell::create() {
  Fd event(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!event.is_open()) return std::unexpected(error_from_errno(errno));
  return std::unique_ptr<Doorbell>(new Doorbell(std::move(event)));
}

void Doorbell::announce(Rest rest) noexcept {
  rest_.store(rest, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_seq_cst);
}

void Doorbell::wait(int timeout_ms) noexcept {
  pollfd waited{event_.get(), POLLIN, 0};
  poll(&waited, 1, timeout_ms);
  awake();
  eventfd_t rings = 0;
  // Fails with EAGAIN when the time ran out, which is as good.
  static_cast<void>(eventfd_read(event_.get(), &rings));
}

void Doorbell::ring_if(Rest at_least) noexcept {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  Rest rest = rest_.load(std::memory_order_relaxed);
  if (rest < at_least || rest == Rest::kAwake) return;
  // Of several that see the rest, one rings.
  if (rest_.compare_exchange_strong(rest, Rest::kAwake, std::memory_order_relaxed)) ring();
}

void Doorbell::ring() noexcept {
  ring_count_.fetch_add(1, std::memory_order_relaxed);
  // The only failure is a counter that is full, which means a ring is waiting already.
  static_cast<void>(eventfd_write(event_.get(), 1));
}

}  // namespace ringway::io
