#include "io/event.h"

#include <sys/eventfd.h>

#include <cerrno>

namespace ringway::io {

std::expected<Fd, Error> make_event() noexcept {
  Fd event(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!event.is_open()) return std::unexpected(error_from_errno(errno));
  return event;
}

void raise_event(int fd) noexcept {
  // The only failure is a counter that is full, and then it is readable already.
  static_cast<void>(eventfd_write(fd, 1));
}

void clear_event(int fd) noexcept {
  eventfd_t count = 0;
  // Fails with EAGAIN when it was not raised, which is as good.
  static_cast<void>(eventfd_read(fd, &count));
}

}  // namespace ringway::io
