// What the targets share: reading their input, and saying what went wrong.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace ringway {

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

// The next so many octets, or what is left.
inline std::span<const uint8_t> take_octets(std::span<const uint8_t>& input, size_t size) {
  const auto taken = input.first(size < input.size() ? size : input.size());
  input = input.subspan(taken.size());
  return taken;
}

inline std::string_view characters_of(std::span<const uint8_t> octets) {
  return {reinterpret_cast<const char*>(octets.data()), octets.size()};
}

// Octets in memory of exactly their size, so that a read beyond them is seen.
class ExactCopy {
 public:
  explicit ExactCopy(std::span<const uint8_t> octets) : octets_(new uint8_t[octets.size()]), size_(octets.size()) {
    if (size_ != 0) std::memcpy(octets_.get(), octets.data(), size_);
  }
  explicit ExactCopy(std::string_view text)
      : ExactCopy(std::span(reinterpret_cast<const uint8_t*>(text.data()), text.size())) {}

  std::span<const uint8_t> octets() const { return {octets_.get(), size_}; }
  std::string_view text() const { return characters_of(octets()); }

 private:
  std::unique_ptr<uint8_t[]> octets_;
  size_t size_;
};

}  // namespace ringway
