// What the HPACK tests hold ours against: nghttp2's deflater and inflater, a Huffman encoder of their own, and header
// lists as plain strings.
#pragma once

#include <nghttp2/nghttp2.h>

#include <cstdint>
#include <optional>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/prng.h"
#include "h2/field.h"

namespace ringway::h2 {

struct PlainField {
  std::string name;
  std::string value;
  bool is_never_indexed = false;
  bool operator==(const PlainField&) const = default;
};
using PlainList = std::vector<PlainField>;
std::ostream& operator<<(std::ostream& out, const PlainField& field);

// Copies of what a decoder gave; the flag is what the encoder would go by.
PlainList plain(std::span<const Field> fields);
// The same list with the flag that ringway adds to sensitive names.
PlainList with_sensitive_marked(PlainList fields);
// Drops the flag everywhere, for comparisons that are not about it.
PlainList without_flags(PlainList fields);

inline std::span<const uint8_t> octets_of(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}
// "82 86" to two octets; white space is passed over.
std::string from_hex(std::string_view hex);

// nghttp2's encoder.
class Deflater {
 public:
  explicit Deflater(size_t table_bytes_max = 4096);
  Deflater(const Deflater&) = delete;
  ~Deflater();
  std::string encode(const PlainList& fields);
  void change_table_size(size_t bytes);

 private:
  nghttp2_hd_deflater* deflater_ = nullptr;
};

// nghttp2's decoder: no list when it rejects the block.
class Inflater {
 public:
  Inflater();
  Inflater(const Inflater&) = delete;
  ~Inflater();
  std::optional<PlainList> decode(std::string_view block);
  void change_table_size(size_t bytes);
  size_t table_bytes() const;

 private:
  nghttp2_hd_inflater* inflater_ = nullptr;
};

// Huffman coding (RFC 7541 section 5.2) from the code lengths alone: the code is canonical.
std::string huffman_encode(std::string_view text);
// The code of one symbol, 256 being EOS.
struct HuffmanCode {
  uint32_t bits;
  uint32_t length;
};
HuffmanCode huffman_code(uint32_t symbol);

// HPACK primitives (sections 5.1 and 5.2) for blocks that an encoder would not write.
std::string hpack_integer(uint8_t pattern, uint32_t prefix_bits, uint64_t value);
std::string hpack_string(std::string_view text, bool huffman = false);
std::string hpack_literal(uint8_t pattern, std::string_view name, std::string_view value, bool huffman = false);
inline constexpr uint8_t kLiteralIncremental = 0x40;
inline constexpr uint8_t kLiteralPlain = 0x00;
inline constexpr uint8_t kLiteralNever = 0x10;

// A header list as peers might send it: some names and values repeat, some are long, some empty.
PlainList random_list(base::Prng& prng, uint32_t fields_max, uint32_t value_max);

}  // namespace ringway::h2
