// A small, fast, seedable generator (xoshiro256**, Blackman and Vigna, 2018). For jitter, sampling and tests; not for
// secrets.
#pragma once

#include <cstdint>

namespace ringway::base {

class Prng {
 public:
  explicit Prng(uint64_t seed) noexcept {
    // SplitMix64 spreads any seed, zero too, over the state.
    for (uint64_t& word : state_) {
      seed += 0x9e3779b97f4a7c15;
      uint64_t z = seed;
      z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
      z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
      word = z ^ (z >> 31);
    }
  }

  uint64_t next() noexcept {
    const uint64_t result = rotate_left(state_[1] * 5, 7) * 9;
    const uint64_t shifted = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = rotate_left(state_[3], 45);
    return result;
  }

  // Uniform in [0, bound); bound > 0. The bias of the multiply-shift method is below 2^-32 for bounds below 2^32.
  uint32_t below(uint32_t bound) noexcept {
    return static_cast<uint32_t>((static_cast<uint64_t>(static_cast<uint32_t>(next() >> 32)) * bound) >> 32);
  }

  // Uniform in [0, 1).
  double unit() noexcept { return static_cast<double>(next() >> 11) * 0x1.0p-53; }

 private:
  static uint64_t rotate_left(uint64_t x, int k) noexcept { return (x << k) | (x >> (64 - k)); }

  uint64_t state_[4];
};

}  // namespace ringway::base
