#include "grpc/timeout.h"

#include "base/copy.h"
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
    const auto digit = static_cast<uint8_t>(c - '0');
    if (digit > 9) return std::nullopt;
    number = number * 10 + digit;
  }
  for (const Unit& unit : kUnits) {
    if (unit.letter != value.back()) continue;
    return number > base::kNever_ns / unit.ns ? base::kNever_ns : number * unit.ns;
  }
  return std::nullopt;
}

size_t format_timeout(uint64_t timeout_ns, std::span<char> out) noexcept {
  const Unit* unit = kUnits;
  uint64_t number = timeout_ns;
  while (number > kValueMax && unit->letter != 'H') {
    ++unit;
    number = timeout_ns / unit->ns + (timeout_ns % unit->ns != 0);
  }
  auto left = static_cast<uint32_t>(number < kValueMax ? number : kValueMax);
  char digits[kTimeoutTextMax];
  char* const end = digits + sizeof digits;
  char* p = end;
  *--p = unit->letter;
  do {
    *--p = static_cast<char>('0' + left % 10);
    left /= 10;
  } while (left != 0);
  const auto size = static_cast<size_t>(end - p);
  base::copy_bytes(out.data(), p, size);
  return size;
}

}  // namespace ringway::grpc
