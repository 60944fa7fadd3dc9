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

namespace {

// Nanoseconds of a unit; zero for a letter that is none.
constexpr uint64_t ns_of(char letter) noexcept {
  switch (letter) {
    case 'n': return 1;
    case 'u': return base::kMicrosecond_ns;
    case 'm': return base::kMillisecond_ns;
    case 'S': return base::kSecond_ns;
    case 'M': return 60 * base::kSecond_ns;
    case 'H': return 3600 * base::kSecond_ns;
    default: return 0;
  }
}

// One to eight octets, right-aligned in memory order, with digits of zero before them.
uint64_t load_digits(const char* p, size_t size) noexcept {
  uint64_t word = 0;
  if (size >= 4) {
    uint32_t first;
    uint32_t last;
    std::memcpy(&first, p, 4);
    std::memcpy(&last, p + size - 4, 4);
    word = uint64_t{first} << (8 * (8 - size)) | uint64_t{last} << 32;
  } else {
    for (size_t i = 0; i < size; ++i) word = word >> 8 | uint64_t{static_cast<uint8_t>(p[i])} << 56;
  }
  return size == 8 ? word : word | 0x3030303030303030 >> (8 * size);
}

// The number in eight decimal digits, all at once: neighbours are put together to pairs, pairs to fours, fours to all.
// False when one is no digit.
bool parse_digits(uint64_t word, uint64_t& number) noexcept {
  const uint64_t digits = word ^ 0x3030303030303030;
  if (((digits | (digits + 0x7676767676767676)) & 0x8080808080808080) != 0) return false;
  const uint64_t pairs = digits * 10 + (digits >> 8);
  const uint64_t fours = (pairs & 0x00ff00ff00ff00ff) * 100 + (pairs >> 16 & 0x000000ff000000ff);
  number = (fours & 0xffff) * 10'000 + (fours >> 32 & 0xffff);
  return true;
}

}  // namespace

std::optional<uint64_t> parse_timeout(std::string_view value) noexcept {
  if (value.size() < 2 || value.size() > kTimeoutTextMax) return std::nullopt;
  uint64_t number;
  const uint64_t unit_ns = ns_of(value.data()[value.size() - 1]);
  if (!parse_digits(load_digits(value.data(), value.size() - 1), number) || unit_ns == 0) return std::nullopt;
  uint64_t timeout_ns;
  return __builtin_mul_overflow(number, unit_ns, &timeout_ns) ? base::kNever_ns : timeout_ns;
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
