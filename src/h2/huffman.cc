#include "h2/huffman.h"

#include <cstring>

namespace ringway::h2 {
namespace {

struct Code {
  uint32_t bits;  // right-aligned
  uint8_t length;
};

// RFC 7541 appendix B; the last entry is EOS.
constexpr Code kCodes[257] = {
    {0x1ff8, 13},    {0x7fffd8, 23},   {0xfffffe2, 28}, {0xfffffe3, 28}, {0xfffffe4, 28},  {0xfffffe5, 28},
    {0xfffffe6, 28}, {0xfffffe7, 28},  {0xfffffe8, 28}, {0xffffea, 24},  {0x3ffffffc, 30}, {0xfffffe9, 28},
    {0xfffffea, 28}, {0x3ffffffd, 30}, {0xfffffeb, 28}, {0xfffffec, 28}, {0xfffffed, 28},  {0xfffffee, 28},
    {0xfffffef, 28}, {0xffffff0, 28},  {0xffffff1, 28}, {0xffffff2, 28}, {0x3ffffffe, 30}, {0xffffff3, 28},
    {0xffffff4, 28}, {0xffffff5, 28},  {0xffffff6, 28}, {0xffffff7, 28}, {0xffffff8, 28},  {0xffffff9, 28},
    {0xffffffa, 28}, {0xffffffb, 28},  {0x14, 6},       {0x3f8, 10},     {0x3f9, 10},      {0xffa, 12},
    {0x1ff9, 13},    {0x15, 6},        {0xf8, 8},       {0x7fa, 11},     {0x3fa, 10},      {0x3fb, 10},
    {0xf9, 8},       {0x7fb, 11},      {0xfa, 8},       {0x16, 6},       {0x17, 6},        {0x18, 6},
    {0x0, 5},        {0x1, 5},         {0x2, 5},        {0x19, 6},       {0x1a, 6},        {0x1b, 6},
    {0x1c, 6},       {0x1d, 6},        {0x1e, 6},       {0x1f, 6},       {0x5c, 7},        {0xfb, 8},
    {0x7ffc, 15},    {0x20, 6},        {0xffb, 12},     {0x3fc, 10},     {0x1ffa, 13},     {0x21, 6},
    {0x5d, 7},       {0x5e, 7},        {0x5f, 7},       {0x60, 7},       {0x61, 7},        {0x62, 7},
    {0x63, 7},       {0x64, 7},        {0x65, 7},       {0x66, 7},       {0x67, 7},        {0x68, 7},
    {0x69, 7},       {0x6a, 7},        {0x6b, 7},       {0x6c, 7},       {0x6d, 7},        {0x6e, 7},
    {0x6f, 7},       {0x70, 7},        {0x71, 7},       {0x72, 7},       {0xfc, 8},        {0x73, 7},
    {0xfd, 8},       {0x1ffb, 13},     {0x7fff0, 19},   {0x1ffc, 13},    {0x3ffc, 14},     {0x22, 6},
    {0x7ffd, 15},    {0x3, 5},         {0x23, 6},       {0x4, 5},        {0x24, 6},        {0x5, 5},
    {0x25, 6},       {0x26, 6},        {0x27, 6},       {0x6, 5},        {0x74, 7},        {0x75, 7},
    {0x28, 6},       {0x29, 6},        {0x2a, 6},       {0x7, 5},        {0x2b, 6},        {0x76, 7},
    {0x2c, 6},       {0x8, 5},         {0x9, 5},        {0x2d, 6},       {0x77, 7},        {0x78, 7},
    {0x79, 7},       {0x7a, 7},        {0x7b, 7},       {0x7ffe, 15},    {0x7fc, 11},      {0x3ffd, 14},
    {0x1ffd, 13},    {0xffffffc, 28},  {0xfffe6, 20},   {0x3fffd2, 22},  {0xfffe7, 20},    {0xfffe8, 20},
    {0x3fffd3, 22},  {0x3fffd4, 22},   {0x3fffd5, 22},  {0x7fffd9, 23},  {0x3fffd6, 22},   {0x7fffda, 23},
    {0x7fffdb, 23},  {0x7fffdc, 23},   {0x7fffdd, 23},  {0x7fffde, 23},  {0xffffeb, 24},   {0x7fffdf, 23},
    {0xffffec, 24},  {0xffffed, 24},   {0x3fffd7, 22},  {0x7fffe0, 23},  {0xffffee, 24},   {0x7fffe1, 23},
    {0x7fffe2, 23},  {0x7fffe3, 23},   {0x7fffe4, 23},  {0x1fffdc, 21},  {0x3fffd8, 22},   {0x7fffe5, 23},
    {0x3fffd9, 22},  {0x7fffe6, 23},   {0x7fffe7, 23},  {0xffffef, 24},  {0x3fffda, 22},   {0x1fffdd, 21},
    {0xfffe9, 20},   {0x3fffdb, 22},   {0x3fffdc, 22},  {0x7fffe8, 23},  {0x7fffe9, 23},   {0x1fffde, 21},
    {0x7fffea, 23},  {0x3fffdd, 22},   {0x3fffde, 22},  {0xfffff0, 24},  {0x1fffdf, 21},   {0x3fffdf, 22},
    {0x7fffeb, 23},  {0x7fffec, 23},   {0x1fffe0, 21},  {0x1fffe1, 21},  {0x3fffe0, 22},   {0x1fffe2, 21},
    {0x7fffed, 23},  {0x3fffe1, 22},   {0x7fffee, 23},  {0x7fffef, 23},  {0xfffea, 20},    {0x3fffe2, 22},
    {0x3fffe3, 22},  {0x3fffe4, 22},   {0x7ffff0, 23},  {0x3fffe5, 22},  {0x3fffe6, 22},   {0x7ffff1, 23},
    {0x3ffffe0, 26}, {0x3ffffe1, 26},  {0xfffeb, 20},   {0x7fff1, 19},   {0x3fffe7, 22},   {0x7ffff2, 23},
    {0x3fffe8, 22},  {0x1ffffec, 25},  {0x3ffffe2, 26}, {0x3ffffe3, 26}, {0x3ffffe4, 26},  {0x7ffffde, 27},
    {0x7ffffdf, 27}, {0x3ffffe5, 26},  {0xfffff1, 24},  {0x1ffffed, 25}, {0x7fff2, 19},    {0x1fffe3, 21},
    {0x3ffffe6, 26}, {0x7ffffe0, 27},  {0x7ffffe1, 27}, {0x3ffffe7, 26}, {0x7ffffe2, 27},  {0xfffff2, 24},
    {0x1fffe4, 21},  {0x1fffe5, 21},   {0x3ffffe8, 26}, {0x3ffffe9, 26}, {0xffffffd, 28},  {0x7ffffe3, 27},
    {0x7ffffe4, 27}, {0x7ffffe5, 27},  {0xfffec, 20},   {0xfffff3, 24},  {0xfffed, 20},    {0x1fffe6, 21},
    {0x3fffe9, 22},  {0x1fffe7, 21},   {0x1fffe8, 21},  {0x7ffff3, 23},  {0x3fffea, 22},   {0x3fffeb, 22},
    {0x1ffffee, 25}, {0x1ffffef, 25},  {0xfffff4, 24},  {0xfffff5, 24},  {0x3ffffea, 26},  {0x7ffff4, 23},
    {0x3ffffeb, 26}, {0x7ffffe6, 27},  {0x3ffffec, 26}, {0x3ffffed, 26}, {0x7ffffe7, 27},  {0x7ffffe8, 27},
    {0x7ffffe9, 27}, {0x7ffffea, 27},  {0x7ffffeb, 27}, {0xffffffe, 28}, {0x7ffffec, 27},  {0x7ffffed, 27},
    {0x7ffffee, 27}, {0x7ffffef, 27},  {0x7fffff0, 27}, {0x3ffffee, 26}, {0x3fffffff, 30},
};

constexpr uint32_t kEos = 256;
constexpr uint32_t kLookupBits = 12;

// What the next twelve bits decode to: one or two whole symbols, or nothing (a code longer than twelve bits).
struct Lookup {
  uint8_t first;
  uint8_t second;
  uint8_t bits;        // of all symbols in here; 0: the code is longer
  uint8_t first_bits;  // of the first symbol alone
};

// Codes longer than twelve bits, in canonical order: per length, the first code left-aligned to 32 bits and where its
// symbols begin.
struct LongCodes {
  uint32_t limit[31];  // left-aligned codes below this have at most this length
  uint32_t first_code[31];
  uint16_t first_symbol[31];
  uint16_t symbols[257];
};

struct Tables {
  Lookup lookup[1u << kLookupBits];
  LongCodes longer;
};

uint32_t find_short(uint32_t window, uint32_t bits_available) noexcept {
  for (uint32_t symbol = 0; symbol < kEos; ++symbol) {
    const Code& code = kCodes[symbol];
    if (code.length <= bits_available && window >> (kLookupBits - code.length) == code.bits) return symbol;
  }
  return kEos;
}

Tables make_tables() noexcept {
  Tables tables{};
  for (uint32_t window = 0; window < (1u << kLookupBits); ++window) {
    Lookup& entry = tables.lookup[window];
    const uint32_t first = find_short(window, kLookupBits);
    if (first == kEos) continue;
    const uint32_t first_bits = kCodes[first].length;
    entry.first = static_cast<uint8_t>(first);
    entry.bits = entry.first_bits = static_cast<uint8_t>(first_bits);
    const uint32_t rest = (window << first_bits) & ((1u << kLookupBits) - 1);
    const uint32_t second = find_short(rest, kLookupBits - first_bits);
    if (second == kEos) continue;
    entry.second = static_cast<uint8_t>(second);
    entry.bits = static_cast<uint8_t>(first_bits + kCodes[second].length);
  }
  uint16_t position = 0;
  for (uint32_t length = 1; length <= 30; ++length) {
    LongCodes& longer = tables.longer;
    longer.first_symbol[length] = position;
    uint64_t end = 0;
    bool has_any = false;
    for (uint32_t symbol = 0; symbol <= kEos; ++symbol) {
      if (kCodes[symbol].length != length) continue;
      const uint32_t aligned = kCodes[symbol].bits << (32 - length);
      if (!has_any) longer.first_code[length] = aligned;
      has_any = true;
      longer.symbols[position++] = static_cast<uint16_t>(symbol);
      end = uint64_t{aligned} + (uint64_t{1} << (32 - length));
    }
    longer.limit[length] = has_any ? static_cast<uint32_t>(end > UINT32_MAX ? UINT32_MAX : end) : 0;
  }
  return tables;
}

const Tables kTables = make_tables();

// The symbol whose code is longer than twelve bits at the top of `window`, and its length; kEos when there is none.
uint32_t find_long(uint32_t window, uint32_t& length) noexcept {
  const LongCodes& longer = kTables.longer;
  for (length = kLookupBits + 1; length <= 30; ++length) {
    if (longer.limit[length] == 0 || window >= longer.limit[length]) {
      if (length < 30) continue;
    }
    const uint32_t offset = (window - longer.first_code[length]) >> (32 - length);
    return longer.symbols[longer.first_symbol[length] + offset];
  }
  return kEos;
}

}  // namespace

size_t huffman_decode(std::span<const uint8_t> encoded, char* out) noexcept {
  const uint8_t* p = encoded.data();
  const uint8_t* const end = p + encoded.size();
  char* const begin = out;
  uint64_t window = 0;  // the next bits, left-aligned
  uint32_t bits = 0;
  for (;;) {
    if (end - p >= 8) {
      uint64_t next;
      std::memcpy(&next, p, sizeof next);
      window |= __builtin_bswap64(next) >> bits;
      const uint32_t taken = (63 - bits) >> 3;
      p += taken;
      bits += taken * 8;
    } else {
      while (bits <= 56 && p != end) {
        window |= uint64_t{*p++} << (56 - bits);
        bits += 8;
      }
    }
    while (bits >= 32 || (p == end && bits >= kLookupBits)) {
      const Lookup entry = kTables.lookup[window >> (64 - kLookupBits)];
      if (entry.bits == 0) [[unlikely]] {
        uint32_t length = 0;
        const uint32_t symbol = find_long(static_cast<uint32_t>(window >> 32), length);
        if (symbol == kEos || length > bits) {
          // EOS itself is an error; so is a cut code, unless it is padding, which is looked at below.
          if (p == end && bits < 32) goto tail;
          return kHuffmanInvalid;
        }
        *out++ = static_cast<char>(symbol);
        window <<= length;
        bits -= length;
        continue;
      }
      out[0] = static_cast<char>(entry.first);
      out[1] = static_cast<char>(entry.second);
      out += entry.bits == entry.first_bits ? 1 : 2;
      window <<= entry.bits;
      bits -= entry.bits;
    }
    if (p == end) break;
  }
tail:
  while (bits != 0) {
    const Lookup entry = kTables.lookup[window >> (64 - kLookupBits)];
    if (entry.first_bits == 0 || entry.first_bits > bits) break;
    *out++ = static_cast<char>(entry.first);
    window <<= entry.first_bits;
    bits -= entry.first_bits;
  }
  // Section 5.2: padding is the most significant bits of EOS, all ones, and shorter than an octet.
  if (bits >= 8) return kHuffmanInvalid;
  if (bits != 0 && window >> (64 - bits) != (uint64_t{1} << bits) - 1) return kHuffmanInvalid;
  return static_cast<size_t>(out - begin);
}

}  // namespace ringway::h2
