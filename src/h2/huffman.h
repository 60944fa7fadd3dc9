// The Huffman code of RFC 7541 section 5.2. Ringway forwards coded strings as they came and writes its own uncoded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

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

inline constexpr size_t kHuffmanUnclear = SIZE_MAX;

// The decoded size of a string that is known, without decoding it, to be well coded and to hold printable text that has
// no blank at either end: a valid field value (is_valid_value). Any other, and what is rare or short, is unclear: it
// has to be decoded to be judged.
size_t huffman_walk(std::span<const uint8_t> encoded) noexcept;

// Whether a string that is well coded decodes to this text. Each text has one code.
bool is_huffman_code_of(std::span<const uint8_t> encoded, std::string_view text) noexcept;

}  // namespace ringway::h2
