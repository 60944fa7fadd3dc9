// An eventfd as a thread's call to another: raised any number of times, seen once.
#pragma once

#include <expected>

#include "io/error.h"
#include "io/socket.h"

namespace ringway::io {

std::expected<Fd, Error> make_event() noexcept;

// Any thread: it becomes readable.
void raise_event(int fd) noexcept;

// Its reader: it is not readable any more. Look for what it announced behind this.
void clear_event(int fd) noexcept;

}  // namespace ringway::io
