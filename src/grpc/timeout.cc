#include "grpc/timeout.h"

#include <array>
#include <bit>
#include <cstring>

#include "base/assert.h"
#include "base/units.h"

namespace ringway::grpc {
namespace {

struct Unit {
  char letter;
  uint64_t ns;
};

constexpr uint64_t kValueMax = 99'999'999;

constexpr std::array<char, 200> make_pairs() noexcept {
  std::array<char, 200> pairs{};
  for (size_t i = 0; i < 100; ++i) {
    pairs[2 * i] = static_cast<char>('0' + i / 10);
    pairs[2 * i + 1] = static_cast<char>('0' + i % 10);
  }
  return pairs;
}

constexpr std::array<char, 200> kPairs = make_pairs();  // "00" to "99"

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
  ASSERT(out.size() >= kTimeoutTextMax);
  const Unit* unit = kUnits;
  uint64_t number = timeout_ns;
  while (number > kValueMax && unit->letter != 'H') {
    ++unit;
    number = timeout_ns / unit->ns + (timeout_ns % unit->ns != 0);
  }
  const auto shown = static_cast<uint32_t>(number < kValueMax ? number : kValueMax);
  // Eight digits, two at a time; the leading zeros are left out.
  char digits[8];
  const uint32_t halves[2] = {shown / 10'000, shown % 10'000};
  for (int i = 0; i < 2; ++i) {
    std::memcpy(digits + 4 * i, kPairs.data() + 2 * (halves[i] / 100), 2);
    std::memcpy(digits + 4 * i + 2, kPairs.data() + 2 * (halves[i] % 100), 2);
  }
  uint64_t word;
  std::memcpy(&word, digits, sizeof word);
  const uint64_t without_zeros = word ^ 0x3030303030303030;
  const auto zeros = without_zeros == 0 ? 7u : static_cast<uint32_t>(std::countr_zero(without_zeros)) / 8;
  word >>= 8 * zeros;
  std::memcpy(out.data(), &word, sizeof word);
  out.data()[8 - zeros] = unit->letter;
  return 9 - zeros;
}

}  // namespace ringway::grpc
