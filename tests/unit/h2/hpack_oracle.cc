#include "hpack_oracle.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>
#include <numeric>
#include <utility>

#include "base/assert.h"

namespace ringway::h2 {
namespace {

// RFC 7541 appendix B, lengths only.
constexpr std::array<uint8_t, 257> kCodeLengths = {
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28,
    28, 28, 28, 6,  10, 10, 12, 13, 6,  8,  11, 10, 10, 8,  11, 8,  6,  6,  6,  5,  5,  5,  6,  6,  6,  6,  6,  6,  6,
    7,  8,  15, 6,  12, 10, 13, 6,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,
    7,  8,  7,  8,  13, 19, 13, 14, 6,  15, 5,  6,  5,  6,  5,  6,  6,  6,  5,  7,  7,  6,  6,  6,  5,  6,  7,  6,  5,
    5,  6,  7,  7,  7,  7,  7,  15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24,
    24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22,
    23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26,
    27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23,
    22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
};

std::array<HuffmanCode, 257> make_codes() {
  std::array<uint32_t, 257> order;
  std::iota(order.begin(), order.end(), 0u);
  std::sort(order.begin(), order.end(),
            [](uint32_t a, uint32_t b) { return std::pair(kCodeLengths[a], a) < std::pair(kCodeLengths[b], b); });
  std::array<HuffmanCode, 257> codes{};
  uint32_t next = 0;
  uint32_t length = kCodeLengths[order[0]];
  for (const uint32_t symbol : order) {
    next <<= kCodeLengths[symbol] - length;
    length = kCodeLengths[symbol];
    codes[symbol] = {next++, length};
  }
  return codes;
}

}  // namespace

std::ostream& operator<<(std::ostream& out, const PlainField& field) {
  return out << field.name << ": " << field.value.substr(0, 60) << (field.is_never_indexed ? " (never indexed)" : "");
}

PlainList plain(std::span<const Field> fields) {
  PlainList list;
  Arena arena;
  for (const Field& field : fields) {
    list.push_back(
        {std::string(field.name()), std::string(decoded_value(field, arena)), (field.flags & kFieldNeverIndex) != 0});
  }
  return list;
}

PlainList with_sensitive_marked(PlainList fields) {
  for (PlainField& field : fields) {
    if (is_sensitive(find_known_name(field.name))) field.is_never_indexed = true;
  }
  return fields;
}

PlainList without_flags(PlainList fields) {
  for (PlainField& field : fields) field.is_never_indexed = false;
  return fields;
}

std::string from_hex(std::string_view hex) {
  std::string digits;
  std::copy_if(hex.begin(), hex.end(), std::back_inserter(digits), [](char c) { return !std::isspace(c); });
  std::string octets;
  for (size_t i = 0; i + 1 < digits.size(); i += 2) {
    octets.push_back(static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16)));
  }
  return octets;
}

Deflater::Deflater(size_t table_bytes_max) {
  ASSERT(nghttp2_hd_deflate_new(&deflater_, table_bytes_max) == 0);
}
Deflater::~Deflater() {
  nghttp2_hd_deflate_del(deflater_);
}

std::string Deflater::encode(const PlainList& fields) {
  std::vector<nghttp2_nv> pairs;
  for (const PlainField& field : fields) {
    auto* name = reinterpret_cast<uint8_t*>(const_cast<char*>(field.name.data()));
    auto* value = reinterpret_cast<uint8_t*>(const_cast<char*>(field.value.data()));
    const uint8_t flags = field.is_never_indexed ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE;
    pairs.push_back({name, value, field.name.size(), field.value.size(), flags});
  }
  std::string block(nghttp2_hd_deflate_bound(deflater_, pairs.data(), pairs.size()), '\0');
  const ssize_t size = nghttp2_hd_deflate_hd(deflater_, reinterpret_cast<uint8_t*>(block.data()), block.size(),
                                             pairs.data(), pairs.size());
  ASSERT(size >= 0);
  block.resize(static_cast<size_t>(size));
  return block;
}

void Deflater::change_table_size(size_t bytes) {
  ASSERT(nghttp2_hd_deflate_change_table_size(deflater_, bytes) == 0);
}

Inflater::Inflater() {
  ASSERT(nghttp2_hd_inflate_new(&inflater_) == 0);
}
Inflater::~Inflater() {
  nghttp2_hd_inflate_del(inflater_);
}

std::optional<PlainList> Inflater::decode(std::string_view block) {
  PlainList list;
  const auto* p = reinterpret_cast<const uint8_t*>(block.data());
  size_t left = block.size();
  for (;;) {
    nghttp2_nv pair;
    int flags = 0;
    const ssize_t taken = nghttp2_hd_inflate_hd2(inflater_, &pair, &flags, p, left, 1);
    if (taken < 0) return std::nullopt;
    p += taken;
    left -= static_cast<size_t>(taken);
    if (flags & NGHTTP2_HD_INFLATE_EMIT) {
      list.push_back({std::string(reinterpret_cast<const char*>(pair.name), pair.namelen),
                      std::string(reinterpret_cast<const char*>(pair.value), pair.valuelen),
                      (pair.flags & NGHTTP2_NV_FLAG_NO_INDEX) != 0});
    }
    if (flags & NGHTTP2_HD_INFLATE_FINAL) break;
    if ((flags & NGHTTP2_HD_INFLATE_EMIT) == 0 && left == 0) break;
  }
  nghttp2_hd_inflate_end_headers(inflater_);
  return list;
}

void Inflater::change_table_size(size_t bytes) {
  ASSERT(nghttp2_hd_inflate_change_table_size(inflater_, bytes) == 0);
}

size_t Inflater::table_bytes() const {
  return nghttp2_hd_inflate_get_dynamic_table_size(inflater_);
}

HuffmanCode huffman_code(uint32_t symbol) {
  static const std::array<HuffmanCode, 257> codes = make_codes();
  return codes[symbol];
}

std::string huffman_encode(std::string_view text) {
  std::string encoded;
  uint64_t window = 0;
  uint32_t bits = 0;
  for (const char c : text) {
    const HuffmanCode code = huffman_code(static_cast<unsigned char>(c));
    window = (window << code.length) | code.bits;
    for (bits += code.length; bits >= 8; bits -= 8) encoded.push_back(static_cast<char>(window >> (bits - 8)));
  }
  if (bits != 0) encoded.push_back(static_cast<char>((window << (8 - bits)) | (0xffu >> bits)));
  return encoded;
}

std::string hpack_integer(uint8_t pattern, uint32_t prefix_bits, uint64_t value) {
  const uint64_t mask = (1u << prefix_bits) - 1;
  if (value < mask) return {static_cast<char>(pattern | value)};
  std::string text{static_cast<char>(pattern | mask)};
  for (value -= mask; value >= 0x80; value >>= 7) text.push_back(static_cast<char>(value | 0x80));
  text.push_back(static_cast<char>(value));
  return text;
}

std::string hpack_string(std::string_view text, bool huffman) {
  const std::string octets = huffman ? huffman_encode(text) : std::string(text);
  return hpack_integer(huffman ? 0x80 : 0, 7, octets.size()) + octets;
}

std::string hpack_literal(uint8_t pattern, std::string_view name, std::string_view value, bool huffman) {
  return static_cast<char>(pattern) + hpack_string(name, huffman) + hpack_string(value, huffman);
}

PlainList random_list(base::Prng& prng, uint32_t fields_max, uint32_t value_max) {
  static constexpr std::string_view kNames[] = {
      ":path",        ":authority",  "content-type",  "user-agent",
      "grpc-timeout", "traceparent", "authorization", "cookie",
      "x-request-id", "x-tenant",    "accept",        "te",
      "grpc-status",  "trace-bin",   "content-type",  "x-long-header-name-that-nobody-knows-about"};
  PlainList list;
  const uint32_t count = prng.below(fields_max + 1);
  for (uint32_t i = 0; i < count; ++i) {
    PlainField field;
    field.name = kNames[prng.below(std::size(kNames))];
    if (prng.below(8) == 0) field.name = "x-" + std::to_string(prng.below(1000));
    switch (prng.below(4)) {
      case 0: field.value = "value-" + std::to_string(prng.below(6)); break;
      case 1: field.value = std::to_string(prng.next()); break;
      case 2: field.value = std::string(prng.below(value_max + 1), static_cast<char>('a' + prng.below(26))); break;
      default:
        for (uint32_t left = prng.below(40); left-- != 0;)
          field.value.push_back(static_cast<char>(33 + prng.below(94)));
    }
    // With an empty value these are entries of the static table, which are public.
    if (field.value.empty() && is_sensitive(find_known_name(field.name))) field.value = "secret";
    field.is_never_indexed = prng.below(10) == 0;
    list.push_back(std::move(field));
  }
  return list;
}

}  // namespace ringway::h2
