#include "header_encoder.h"

#include <algorithm>
#include <array>

namespace ringway::load {
namespace {

using session::ByteBuffer;

struct StaticField {
  uint32_t index;
  std::string_view name;
  std::string_view value;
};
// What gRPC requests use of RFC 7541 appendix A.
constexpr StaticField kStatic[] = {
    {1, ":authority", ""},   {3, ":method", "POST"},    {4, ":path", "/"},        {6, ":scheme", "http"},
    {7, ":scheme", "https"}, {23, "authorization", ""}, {31, "content-type", ""}, {58, "user-agent", ""},
};
constexpr uint32_t kStaticCount = 61;
constexpr uint32_t kEntryOverhead_bytes = 32;

struct HuffmanCode {
  uint8_t code = 0;
  uint8_t bits = 0;  // 0: longer than 8 bits, which no field of ours needs
};

// The Huffman code of RFC 7541 appendix B is canonical: codes of one length are consecutive in the order of their
// symbols, and the first code of a length follows from the last shorter one.
constexpr std::array<HuffmanCode, 256> make_huffman_codes() {
  constexpr std::string_view kByLength[] = {"012aceiost", " %-./3456789=A_bdfghlmnpru",
                                            ":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz", "&*,;XZ"};
  std::array<HuffmanCode, 256> codes{};
  uint32_t next = 0;
  for (uint32_t i = 0; i < std::size(kByLength); ++i) {
    for (const char symbol : kByLength[i]) {
      codes[static_cast<uint8_t>(symbol)] = {static_cast<uint8_t>(next++), static_cast<uint8_t>(5 + i)};
    }
    next <<= 1;
  }
  return codes;
}
constexpr std::array<HuffmanCode, 256> kHuffman = make_huffman_codes();
static_assert(kHuffman['a'].code == 0x3 && kHuffman['r'].code == 0x2c && kHuffman[':'].code == 0x5c &&
              kHuffman['&'].code == 0xf8);

void put_integer(ByteBuffer& out, uint8_t pattern, uint32_t prefix_bits, uint32_t value) {
  const uint32_t full = (1u << prefix_bits) - 1;
  uint8_t bytes[6];
  size_t size = 0;
  if (value < full) {
    bytes[size++] = static_cast<uint8_t>(pattern | value);
  } else {
    bytes[size++] = static_cast<uint8_t>(pattern | full);
    for (value -= full; value >= 128; value >>= 7) bytes[size++] = static_cast<uint8_t>(value | 128);
    bytes[size++] = static_cast<uint8_t>(value);
  }
  out.append({bytes, size});
}

// Huffman where that is shorter, as grpc-go and nghttp2 do.
void put_string(ByteBuffer& out, std::string_view text) {
  size_t bits = 0;
  bool is_codable = true;
  for (const char symbol : text) {
    const uint32_t length = kHuffman[static_cast<uint8_t>(symbol)].bits;
    is_codable &= length != 0;
    bits += length;
  }
  const size_t coded_size = (bits + 7) / 8;
  if (!is_codable || coded_size >= text.size()) {
    put_integer(out, 0, 7, static_cast<uint32_t>(text.size()));
    out.append({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
    return;
  }
  put_integer(out, 0x80, 7, static_cast<uint32_t>(coded_size));
  uint8_t* place = out.extend(coded_size);
  uint64_t gathered = 0;
  uint32_t gathered_bits = 0;
  for (const char symbol : text) {
    const HuffmanCode code = kHuffman[static_cast<uint8_t>(symbol)];
    gathered = gathered << code.bits | code.code;
    gathered_bits += code.bits;
    if (gathered_bits >= 8) {
      gathered_bits -= 8;
      *place++ = static_cast<uint8_t>(gathered >> gathered_bits);
    }
  }
  // The rest is filled with ones, the start of the end-of-string code.
  if (gathered_bits != 0) *place = static_cast<uint8_t>(gathered << (8 - gathered_bits) | (0xffu >> gathered_bits));
}

}  // namespace

uint32_t FieldList::add(std::string name, std::string value) {
  Field field{std::move(name), std::move(value), 0, 0, false};
  for (const StaticField& known : kStatic) {
    if (known.name != field.name) continue;
    field.static_name_index = known.index;
    if (known.value == field.value && !field.value.empty()) field.static_index = known.index;
  }
  fields_.push_back(std::move(field));
  return static_cast<uint32_t>(fields_.size() - 1);
}

uint32_t FieldList::add_varying(std::string name) {
  const uint32_t field = add(std::move(name), "");
  fields_[field].is_varying = true;
  return field;
}

void HeaderEncoder::limit_table(uint32_t bytes) {
  const uint32_t limit = std::min(bytes, kTable_bytes);
  if (limit == limit_bytes_) return;
  limit_bytes_ = limit;
  has_new_limit_ = true;
  evict_to(limit);
}

void HeaderEncoder::begin_block(ByteBuffer& out) {
  if (!has_new_limit_) return;
  has_new_limit_ = false;
  put_integer(out, 0x20, 5, limit_bytes_);
}

uint32_t HeaderEncoder::table_index(uint32_t field) const noexcept {
  const uint64_t inserted_count = evicted_count_ + table_.size();
  return kStaticCount + 1 + static_cast<uint32_t>(inserted_count - inserted_as_[field]);
}

void HeaderEncoder::add(ByteBuffer& out, uint32_t field) {
  if (fields_[field].static_index != 0) {
    put_integer(out, 0x80, 7, fields_[field].static_index);
  } else if (is_in_table(field)) {
    put_integer(out, 0x80, 7, table_index(field));
  } else {
    add_literal(out, field, fields_[field].value);
  }
}

void HeaderEncoder::add_varying(ByteBuffer& out, uint32_t field, std::string_view value) {
  add_literal(out, field, value);
}

void HeaderEncoder::add_literal(ByteBuffer& out, uint32_t field, std::string_view value) {
  const FieldList::Field& known = fields_[field];
  const auto size = static_cast<uint32_t>(known.name.size() + value.size()) + kEntryOverhead_bytes;
  const bool is_indexed = size <= limit_bytes_;
  uint32_t name_index = known.static_name_index;
  if (name_index == 0 && is_in_table(field)) name_index = table_index(field);
  if (is_indexed) {
    put_integer(out, 0x40, 6, name_index);
  } else {
    put_integer(out, 0x00, 4, name_index);
  }
  if (name_index == 0) put_string(out, known.name);
  put_string(out, value);
  if (is_indexed) insert(field, size);
}

void HeaderEncoder::insert(uint32_t field, uint32_t size) {
  evict_to(limit_bytes_ - size);
  table_.push_back({field, size});
  used_bytes_ += size;
  inserted_as_[field] = evicted_count_ + table_.size();
}

void HeaderEncoder::evict_to(uint32_t bytes) {
  while (used_bytes_ > bytes) {
    used_bytes_ -= table_.front().size;
    table_.pop_front();
    ++evicted_count_;
  }
}

}  // namespace ringway::load
