#include "base/units.h"

#include <ctime>

namespace ringway::base {

namespace {

uint64_t clock_ns(clockid_t clock) noexcept {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<uint64_t>(now.tv_sec) * kSecond_ns + static_cast<uint64_t>(now.tv_nsec);
}

}  // namespace

uint64_t monotonic_ns() noexcept {
  return clock_ns(CLOCK_MONOTONIC);
}
uint64_t wall_ns() noexcept {
  return clock_ns(CLOCK_REALTIME);
}

}  // namespace ringway::base
