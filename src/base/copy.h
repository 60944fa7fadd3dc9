// Copying and comparing the short pieces that calls consist of, without a call of the library's, whose dispatch costs
// more than the work.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace ringway::base {

// What is moved at once: of vectors, not arrays, since a function with an array is given a stack guard.
using Sixteen [[gnu::vector_size(16)]] = uint64_t;

// As memcpy(). Up to 64 bytes are moved as their two ends, which may overlap.
[[gnu::always_inline]] inline void copy_bytes(void* to, const void* from, size_t size) noexcept {
  auto* const out = static_cast<unsigned char*>(to);
  const auto* const in = static_cast<const unsigned char*>(from);
  const auto load = [in](size_t offset, auto word) {
    __builtin_memcpy(&word, in + offset, sizeof word);
    return word;
  };
  const auto store = [out](size_t offset, auto word) { __builtin_memcpy(out + offset, &word, sizeof word); };
  const auto both_ends = [&](auto word) {
    const auto first = load(0, word);
    const auto last = load(size - sizeof word, word);
    store(0, first);
    store(size - sizeof word, last);
  };
  if (size > 64) return static_cast<void>(std::memcpy(to, from, size));
  if (size >= 32) {
    const Sixteen second = load(16, Sixteen{});
    const Sixteen third = load(size - 32, Sixteen{});
    both_ends(Sixteen{});
    store(16, second);
    store(size - 32, third);
    return;
  }
  if (size >= 16) return both_ends(Sixteen{});
  if (size >= 8) return both_ends(uint64_t{});
  if (size >= 4) return both_ends(uint32_t{});
  if (size >= 2) return both_ends(uint16_t{});
  if (size == 1) *out = *in;
}

// As memcmp() == 0. Up to 32 bytes are compared as their two ends, which may overlap.
[[gnu::always_inline]] inline bool are_equal_bytes(const void* a, const void* b, size_t size) noexcept {
  const auto* const first = static_cast<const unsigned char*>(a);
  const auto* const second = static_cast<const unsigned char*>(b);
  const auto difference = [&](size_t offset, auto word) {
    auto other = word;
    __builtin_memcpy(&word, first + offset, sizeof word);
    __builtin_memcpy(&other, second + offset, sizeof other);
    return word ^ other;
  };
  if (size > 32) return std::memcmp(a, b, size) == 0;
  constexpr uint64_t kWord = 0;
  if (size >= 16) {
    return (difference(0, kWord) | difference(8, kWord) | difference(size - 16, kWord) | difference(size - 8, kWord)) ==
           0;
  }
  if (size >= 8) return (difference(0, kWord) | difference(size - 8, kWord)) == 0;
  if (size >= 4) return (difference(0, uint32_t{}) | difference(size - 4, uint32_t{})) == 0;
  for (size_t i = 0; i < size; ++i) {
    if (first[i] != second[i]) return false;
  }
  return true;
}

}  // namespace ringway::base
