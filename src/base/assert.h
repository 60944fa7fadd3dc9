// Checks that hold in every build. An ASSERT states what only a bug of ours can break: never what a peer, the kernel
// or a configuration can cause (those are values, see errors in each folder).
#pragma once

namespace ringway::base {

// Prints the failed condition and its place on standard error and aborts.
[[noreturn]] void assertion_failed(const char* condition, const char* file, int line) noexcept;

}  // namespace ringway::base

#define ASSERT(condition)                                                \
  do {                                                                   \
    if (!(condition)) [[unlikely]]                                       \
      ::ringway::base::assertion_failed(#condition, __FILE__, __LINE__); \
  } while (false)
