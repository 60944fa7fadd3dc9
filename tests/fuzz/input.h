// What the targets share: reading their input, and saying what went wrong.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>

namespace ringway::h2 {

inline void require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "fuzz: %s\n", what);
  std::abort();
}

// The next octet of the input; zeros behind its end.
inline uint8_t take_octet(std::span<const uint8_t>& input) {
  if (input.empty()) return 0;
  const uint8_t octet = input.front();
  input = input.subspan(1);
  return octet;
}

}  // namespace ringway::h2
