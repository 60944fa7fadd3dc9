// Units of time and size, and the overflow-free arithmetic on them that peers' numbers need.
#pragma once

#include <cstdint>

namespace ringway::base {

inline constexpr uint64_t kMicrosecond_ns = 1'000;
inline constexpr uint64_t kMillisecond_ns = 1'000'000;
inline constexpr uint64_t kSecond_ns = 1'000'000'000;
inline constexpr uint32_t kKiB = 1024;
inline constexpr uint32_t kMiB = 1024 * 1024;

// "Never", as a point in time or a duration.
inline constexpr uint64_t kNever_ns = UINT64_MAX;

// a + b, or kNever_ns where that does not fit.
constexpr uint64_t saturating_add(uint64_t a, uint64_t b) noexcept {
  return b > UINT64_MAX - a ? UINT64_MAX : a + b;
}

// Nanoseconds of CLOCK_MONOTONIC; the one clock that decides anything.
uint64_t monotonic_ns() noexcept;

// Nanoseconds of CLOCK_REALTIME since 1970, for what people read: log lines, never a decision.
uint64_t wall_ns() noexcept;

}  // namespace ringway::base
