// Decoding waits for memory, not for arithmetic: where a look-up begins is known only when the one before it has come
// back. What decides the time is how many look-ups follow each other, how near their table is, and how little stands
// between a loaded entry and the next index. Measured on tokens and trace identifiers, with and without other work
// between the strings:
// - Twelve bits hold any two digits and most pairs of text. Thirteen or fourteen bits save look-ups, but cost more in
//   cache misses than that as soon as the cache has other work.
// - Steps stand apart from symbols and are an octet each. What is waited for are four kilobytes; nothing waits for the
//   symbols.
// - The window is shifted after each look-up, and refilled from a load whose address has long been known. To load it
//   anew from where the last code ended takes fewer instructions and more time.
#include "h2/huffman.h"

#include <algorithm>
#include <bit>
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
// A step: how many bits a look-up has decoded, and above these six bits how many symbols. Steps are added up, four of
// them to up to 14 bits that were used before.
constexpr uint32_t kCountShift = 6;
constexpr uint64_t kBitsMask = (1u << kCountShift) - 1;
static_assert(14 + 4 * kLookupBits <= kBitsMask);

// What the next twelve bits decode to: two whole symbols, or one, or none when its code is longer (a step of zero).
struct Lookups {
  uint8_t steps[1u << kLookupBits];
  char symbols[1u << kLookupBits][2];
};

// For each index of a table of `bits` bits that begins with a short code: visit(index, step, place, symbol), where the
// step is that of one symbol, at place 0; then, where a second code fits behind it, that of both, at place 1.
template <typename Visit>
constexpr void for_each_step(uint32_t bits, uint32_t symbol_first, Visit&& visit) noexcept {
  for (uint32_t first = symbol_first; first < kEos; ++first) {
    const Code& code = kCodes[first];
    if (code.length > kLookupBits) continue;
    const uint32_t free_bits = bits - code.length;
    const uint32_t begin = code.bits << free_bits;
    for (uint32_t i = begin; i < begin + (1u << free_bits); ++i) {
      visit(i, static_cast<uint8_t>(1u << kCountShift | code.length), 0, static_cast<char>(first));
    }
    for (uint32_t second = symbol_first; second < kEos; ++second) {
      const Code& next = kCodes[second];
      if (next.length > free_bits || next.length > kLookupBits) continue;
      const uint32_t rest_bits = free_bits - next.length;
      const uint32_t next_begin = begin + (next.bits << rest_bits);
      const auto step = static_cast<uint8_t>(2u << kCountShift | static_cast<uint32_t>(code.length + next.length));
      for (uint32_t i = next_begin; i < next_begin + (1u << rest_bits); ++i) {
        visit(i, step, 1, static_cast<char>(second));
      }
    }
  }
}

constexpr Lookups make_lookups() noexcept {
  Lookups lookups{};
  for_each_step(kLookupBits, 0, [&lookups](uint32_t i, uint8_t step, int place, char symbol) {
    lookups.steps[i] = step;
    lookups.symbols[i][place] = symbol;
  });
  return lookups;
}

alignas(64) constexpr Lookups kLookups = make_lookups();

// A code that is too long for a look-up begins with ten ones at least; EOS is thirty. The number of these ones and the
// bits behind the zero that ends them name the code.
constexpr uint32_t kLongOnes_min = 10;
constexpr uint32_t kEosOnes = 30;
constexpr uint32_t kBehindOnes_bits = 6;

struct LongCode {
  uint8_t symbol;
  uint8_t length;  // zero: EOS
};

struct LongCodes {
  LongCode codes[kEosOnes - kLongOnes_min + 1][1u << kBehindOnes_bits];
};

constexpr LongCodes make_long_codes() noexcept {
  LongCodes long_codes{};
  for (uint32_t symbol = 0; symbol < kEos; ++symbol) {
    const Code& code = kCodes[symbol];
    if (code.length <= kLookupBits) continue;
    const uint32_t aligned = code.bits << (32 - code.length);
    const uint32_t ones = static_cast<uint32_t>(std::countl_one(aligned));
    const uint32_t begin = aligned << (ones + 1) >> (32 - kBehindOnes_bits);
    const uint32_t free_bits = kBehindOnes_bits - (code.length - ones - 1);
    for (uint32_t i = begin; i < begin + (1u << free_bits); ++i) {
      long_codes.codes[ones - kLongOnes_min][i] = {static_cast<uint8_t>(symbol), code.length};
    }
  }
  return long_codes;
}

constexpr LongCodes kLongCodes = make_long_codes();

// The code at the top of `window`, which no look-up knows.
inline LongCode find_long(uint64_t window) noexcept {
  const uint32_t ones = std::min(static_cast<uint32_t>(std::countl_one(window)), kEosOnes);
  return kLongCodes.codes[ones - kLongOnes_min][window << (ones + 1) >> (64 - kBehindOnes_bits)];
}

static_assert(std::endian::native == std::endian::little);

template <typename Word>
inline uint64_t load_big_endian(const uint8_t* p) noexcept {
  Word word;
  std::memcpy(&word, p, sizeof word);
  return std::byteswap(word);
}

// One to seven octets, right-aligned: loads that overlap instead of a loop over octets.
inline uint64_t load_short(const uint8_t* p, size_t size) noexcept {
  if (size >= 4) {
    return load_big_endian<uint32_t>(p) << (8 * size - 32) | load_big_endian<uint32_t>(p + size - 4);
  }
  const size_t middle = size / 2;
  return uint64_t{p[0]} << (8 * (size - 1)) | uint64_t{p[middle]} << (8 * (size - 1 - middle)) | p[size - 1];
}

// What is left of a string, given by its end.
struct Rest {
  const uint8_t* end;
  int64_t bits;

  int64_t octets() const noexcept { return (bits + 7) >> 3; }
  const uint8_t* begin() const noexcept { return end - octets(); }
  // How many bits of the first octet are gone.
  int64_t offset() const noexcept { return -bits & 7; }
};

// At least 57 bits of a rest of eight octets or more, left-aligned.
inline uint64_t window_of(Rest rest) noexcept {
  return load_big_endian<uint64_t>(rest.begin()) << rest.offset();
}

// The last `count` of `bits`, 63 at the most, left-aligned and with ones behind them. To a look-up these are padding:
// they complete no code that the string has cut, unless its bits are no padding either.
inline uint64_t padded(uint64_t bits, int64_t count) noexcept {
  return ~(~bits << (63 - count) << 1);
}

// Where look-ups have come to.
struct Run {
  uint64_t window;  // the next bits, left-aligned
  uint64_t sums;    // of the steps
  uint8_t step;     // the last

  uint64_t bits() const noexcept { return sums & kBitsMask; }
  uint64_t count() const noexcept { return sums >> kCountShift; }
  // At a long code look-ups stand still.
  bool is_at_long_code() const noexcept { return step == 0; }
};

// Always writes two octets, as one store costs least. This and what follows is inlined whatever the compiler thinks of
// its size: a call would cost more than a look-up.
[[gnu::always_inline]] inline Run look_up(Run run, char* out) noexcept {
  const uint64_t index = run.window >> (64 - kLookupBits);
  const uint64_t step = kLookups.steps[index];
  std::memcpy(out + run.count(), kLookups.symbols[index], 2);
  return {run.window << (step & kBitsMask), run.sums + step, static_cast<uint8_t>(step)};
}

[[gnu::always_inline]] inline Run look_up_four(uint64_t window, uint64_t sums, char* out) noexcept {
  Run run = look_up({window, sums, 0}, out);
  run = look_up(run, out);
  run = look_up(run, out);
  return look_up(run, out);
}

// Decodes a rest of eight octets or more until fewer than 64 bits are left, or until the next code is a long one: then
// returns false.
[[gnu::always_inline]] inline bool decode_most(Rest& rest, char*& out) noexcept {
  const uint8_t* p = rest.begin();
  const uint8_t* const last = rest.end - 8;
  // The low bits of the sums are what the window lacks of 63 bits, their complement what it has. Whole octets alone
  // count as loaded: what else finds room comes again with the next load.
  Run run{window_of(rest), static_cast<uint64_t>(7 + rest.offset()), 0};
  p += 7;
  for (;;) {
    run = look_up_four(run.window, run.sums, out);
    out += run.count();
    if (p > last || run.is_at_long_code()) break;
    run.window |= load_big_endian<uint64_t>(p) >> (~run.sums & kBitsMask);
    p += run.bits() >> 3;
    run.sums &= 7;
  }
  rest.bits = (rest.end - p) * 8 + 63 - static_cast<int64_t>(run.bits());
  while (rest.bits >= 64 && !run.is_at_long_code()) {
    run = look_up_four(window_of(rest), 0, out);
    out += run.count();
    rest.bits -= static_cast<int64_t>(run.bits());
  }
  return !run.is_at_long_code();
}

// Decodes until nothing but ones is left, or until the next code is a long one: then returns false.
[[gnu::always_inline]] inline bool decode_short_codes(Rest& rest, char*& out) noexcept {
  uint64_t window = 0;
  if (rest.bits > 56) {
    if (!decode_most(rest, out)) [[unlikely]]
      return false;
    window = load_big_endian<uint64_t>(rest.end - 8);
  } else {
    if (rest.bits == 0) return true;
    window = load_short(rest.begin(), static_cast<size_t>(rest.octets()));
  }
  window = padded(window, rest.bits);
  for (;;) {
    const Run run = look_up_four(window, 0, out);
    out += run.count();
    rest.bits -= static_cast<int64_t>(run.bits());
    window = run.window + (uint64_t{1} << run.bits()) - 1;
    if (window == ~uint64_t{0}) return true;
    if (run.is_at_long_code()) [[unlikely]]
      return false;
  }
}

// Section 5.2: padding is the most significant bits of EOS, all ones, and shorter than an octet. A rest below zero
// comes of a code that was cut.
inline bool is_padding(Rest ones) noexcept {
  return static_cast<uint64_t>(ones.bits) < 8;
}

// Decodes a rest that begins with a long code. Not inlined, so that strings without any save no registers for it.
[[gnu::noinline]] size_t decode_long_codes(Rest rest, char* out, const char* out_begin) noexcept {
  bool is_at_end = false;
  while (!is_at_end) {
    const uint64_t window = rest.bits > 56
                                ? window_of(rest)
                                : padded(load_short(rest.begin(), static_cast<size_t>(rest.octets())), rest.bits);
    const LongCode code = find_long(window);
    if (code.length == 0 || code.length > rest.bits) return kHuffmanInvalid;
    *out++ = static_cast<char>(code.symbol);
    rest.bits -= code.length;
    const bool is_next_long = kLookups.steps[window << code.length >> (64 - kLookupBits)] == 0;
    is_at_end = is_next_long ? rest.bits < 8 : decode_short_codes(rest, out);
  }
  return is_padding(rest) ? static_cast<size_t>(out - out_begin) : kHuffmanInvalid;
}

// A walk writes nothing, so its look-ups may be wider than those that decode: steps alone, for which fourteen bits hold
// nearly every pair of letters too. Symbols that a field value must not have or hardly ever has are not known to it.
constexpr uint32_t kWalkBits = 14;
static_assert(7 + 4 * kWalkBits <= kBitsMask);

struct WalkSteps {
  uint8_t steps[1u << kWalkBits];
};

constexpr WalkSteps make_walk_steps() noexcept {
  WalkSteps walk{};
  for_each_step(kWalkBits, 0x20, [&walk](uint32_t i, uint8_t step, int, char) { walk.steps[i] = step; });
  return walk;
}

alignas(64) constexpr WalkSteps kWalk = make_walk_steps();

[[gnu::always_inline]] inline Run walk_four(uint64_t window, uint64_t sums) noexcept {
  uint64_t step = 0;
  for (int i = 0; i < 4; ++i) {
    step = kWalk.steps[window >> (64 - kWalkBits)];
    window <<= step & kBitsMask;
    sums += step;
  }
  return {window, sums, static_cast<uint8_t>(step)};
}

constexpr uint32_t kBlank = kCodes[0x20].bits;
constexpr uint32_t kBlank_bits = kCodes[0x20].length;

// Padding is ones and the code of a blank ends in zero: without all the ones at the end it would be the last code. It
// may also be part of another; then the string is decoded in vain.
inline bool may_have_blank_at_end(const uint8_t* end) noexcept {
  const auto last = load_big_endian<uint32_t>(end - 4);
  return (last >> (std::countr_one(last) & 31) & ((1u << kBlank_bits) - 1)) == kBlank;
}

}  // namespace

size_t huffman_walk(std::span<const uint8_t> encoded) noexcept {
  if (encoded.size() < 8) return kHuffmanUnclear;
  const uint8_t* p = encoded.data();
  const uint8_t* const end = p + encoded.size();
  if (*p >> (8 - kBlank_bits) == kBlank || may_have_blank_at_end(end)) [[unlikely]]
    return kHuffmanUnclear;
  // The low bits of the sums are how many bits of the octets at `p` are gone.
  uint64_t sums = 0;
  do {
    const Run run = walk_four(load_big_endian<uint64_t>(p) << (sums & kBitsMask), sums);
    if (run.is_at_long_code()) [[unlikely]]
      return kHuffmanUnclear;
    p += run.bits() >> 3;
    sums = run.sums & ~(kBitsMask & ~uint64_t{7});
  } while (p <= end - 8);
  int64_t left = (end - p) * 8 - static_cast<int64_t>(sums & kBitsMask);
  size_t count = sums >> kCountShift;
  if (left > 0) {
    uint64_t window = padded(load_big_endian<uint64_t>(end - 8), left);
    for (;;) {
      const Run run = walk_four(window, 0);
      count += run.count();
      left -= static_cast<int64_t>(run.bits());
      window = run.window + (uint64_t{1} << run.bits()) - 1;
      if (window == ~uint64_t{0}) break;
      if (run.is_at_long_code()) [[unlikely]]
        return kHuffmanUnclear;
    }
  }
  return static_cast<uint64_t>(left) < 8 ? count : kHuffmanUnclear;
}

bool is_huffman_code_of(std::span<const uint8_t> encoded, std::string_view text) noexcept {
  const uint8_t* p = encoded.data();
  const uint8_t* const end = p + encoded.size();
  uint64_t window = 0;
  uint32_t bits = 0;
  const auto has_next = [&](uint64_t octet) { return p != end && *p++ == static_cast<uint8_t>(octet); };
  for (const char c : text) {
    const Code& code = kCodes[static_cast<uint8_t>(c)];
    window = window << code.length | code.bits;
    for (bits += code.length; bits >= 8; bits -= 8) {
      if (!has_next(window >> (bits - 8))) return false;
    }
  }
  if (bits != 0 && !has_next(window << (8 - bits) | 0xffu >> bits)) return false;
  return p == end;
}

size_t huffman_decode(std::span<const uint8_t> encoded, char* out) noexcept {
  char* const begin = out;
  Rest rest{encoded.data() + encoded.size(), static_cast<int64_t>(encoded.size()) * 8};
  if (!decode_short_codes(rest, out)) [[unlikely]]
    return decode_long_codes(rest, out, begin);
  return is_padding(rest) ? static_cast<size_t>(out - begin) : kHuffmanInvalid;
}

}  // namespace ringway::h2
