#include "grpc/timeout.h"

#include <charconv>

#include "base/units.h"

namespace ringway::grpc {
namespace {

struct Unit {
  char letter;
  uint64_t ns;
};

constexpr uint64_t kValueMax = 99'999'999;

// Finest first.
constexpr Unit kUnits[] = {
    {'n', 1},
    {'u', base::kMicrosecond_ns},
    {'m', base::kMillisecond_ns},
    {'S', base::kSecond_ns},
    {'M', 60 * base::kSecond_ns},
    {'H', 3600 * base::kSecond_ns},
};

}  // namespace

std::optional<uint64_t> parse_timeout(std::string_view value) noexcept {
  if (value.size() < 2 || value.size() > kTimeoutTextMax) return std::nullopt;
  uint64_t number = 0;
  for (const char c : value.substr(0, value.size() - 1)) {
    if (c < '0' || c > '9') return std::nullopt;
    number = number * 10 + static_cast<uint64_t>(c - '0');
  }
  for (const Unit& unit : kUnits) {
    if (unit.letter != value.back()) continue;
    return number > base::kNever_ns / unit.ns ? base::kNever_ns : number * unit.ns;
  }
  return std::nullopt;
}

size_t format_timeout(uint64_t timeout_ns, std::span<char> out) noexcept {
  for (const Unit& unit : kUnits) {
    const uint64_t number = timeout_ns / unit.ns + (timeout_ns % unit.ns != 0);
    if (number > kValueMax && unit.letter != 'H') continue;
    const auto [end, status] =
        std::to_chars(out.data(), out.data() + out.size() - 1, number < kValueMax ? number : kValueMax);
    *end = unit.letter;
    return static_cast<size_t>(end - out.data()) + 1;
  }
  return 0;
}

}  // namespace ringway::grpc
