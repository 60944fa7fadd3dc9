// The Huffman code of RFC 7541 section 5.2, decoding only: ringway forwards coded strings as they came and writes its
// own uncoded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace ringway::h2 {

inline constexpr size_t kHuffmanInvalid = SIZE_MAX;

// The shortest code has five bits. The string may end within one, and behind the last symbol the decoder writes two
// octets more that mean nothing.
constexpr size_t huffman_decoded_size_max(size_t encoded_size) noexcept {
  return (encoded_size * 8 + 4) / 5 + 2;
}

// Decodes into `out`, which has room for huffman_decoded_size_max(). Returns the decoded size, or kHuffmanInvalid for
// EOS, padding longer than seven bits or padding that is not all ones.
size_t huffman_decode(std::span<const uint8_t> encoded, char* out) noexcept;

}  // namespace ringway::h2
