// The grpc-timeout header (PROTOCOL-HTTP2.md, Timeout): at most eight digits and a unit.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace ringway::grpc {

// Nanoseconds, base::kNever_ns for more than 584 years; nothing when the value is malformed.
std::optional<uint64_t> parse_timeout(std::string_view value) noexcept;

inline constexpr size_t kTimeoutTextMax = 9;

// The finest unit in which `timeout_ns` fits eight digits, rounded up so that no time is lost to rounding. `out` has
// room for kTimeoutTextMax. Returns the size.
size_t format_timeout(uint64_t timeout_ns, std::span<char> out) noexcept;

}  // namespace ringway::grpc
