#include "h2/huffman.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>

#include "hpack_oracle.h"

namespace ringway::h2 {
namespace {

// Input and output live in memory of exactly their size, so that sanitizers see every octet too far.
std::optional<std::string> decode(std::string_view encoded) {
  const std::unique_ptr<uint8_t[]> input(new uint8_t[encoded.size()]);
  std::copy(encoded.begin(), encoded.end(), input.get());
  const std::unique_ptr<char[]> output(new char[huffman_decoded_size_max(encoded.size())]);
  const size_t size = huffman_decode({input.get(), encoded.size()}, output.get());
  if (size == kHuffmanInvalid) return std::nullopt;
  EXPECT_LE(size, huffman_decoded_size_max(encoded.size()));
  return std::string(output.get(), size);
}

// The string literal that nghttp2 writes for `value`, which must be one that it codes.
std::string coded_by_nghttp2(const std::string& value) {
  Deflater deflater;
  const std::string block = deflater.encode({{"x", value, true}});
  // A never-indexed literal, a new name of one plain octet, then the value.
  EXPECT_EQ(block.substr(0, 3), std::string("\x10\x01x"));
  EXPECT_TRUE(static_cast<uint8_t>(block[3]) & 0x80);
  size_t start = 4;
  if ((block[3] & 0x7f) == 0x7f) {
    while (static_cast<uint8_t>(block[start]) & 0x80) ++start;
    ++start;
  }
  return block.substr(start);
}

std::string random_text(base::Prng& prng, uint32_t size, bool printable) {
  std::string text;
  while (text.size() < size) text.push_back(static_cast<char>(printable ? 32 + prng.below(95) : prng.below(256)));
  return text;
}

TEST(Huffman, TheTestsOwnEncoderAgreesWithNghttp2OnEveryOctet) {
  // The zeros have five bits each: with enough of them coding pays whatever octet follows.
  for (uint32_t octet = 0; octet < 256; ++octet) {
    const std::string text = std::string(40, '0') + static_cast<char>(octet) + "0";
    EXPECT_EQ(huffman_encode(text), coded_by_nghttp2(text)) << octet;
  }
}

TEST(Huffman, EveryOctetAtEveryBitOffset) {
  for (uint32_t octet = 0; octet < 256; ++octet) {
    for (uint32_t before = 0; before < 9; ++before) {
      for (const uint32_t after : {0u, 1u, 2u, 9u}) {
        const std::string text =
            std::string(before, '0') + static_cast<char>(octet) + std::string(after, before % 2 == 0 ? 'e' : 'Z');
        EXPECT_EQ(decode(huffman_encode(text)), text) << octet << " after " << before;
      }
    }
  }
}

TEST(Huffman, RandomStringsRoundTrip) {
  base::Prng prng(11);
  for (int round = 0; round < 3000; ++round) {
    const std::string text = random_text(prng, prng.below(round % 50 == 0 ? 3000 : 60), prng.below(2) == 0);
    EXPECT_EQ(decode(huffman_encode(text)), text) << round;
  }
  for (int round = 0; round < 300; ++round) {
    const std::string text = std::string(200, '0') + random_text(prng, prng.below(50), true);
    EXPECT_EQ(decode(coded_by_nghttp2(text)), text) << round;
  }
}

TEST(Huffman, NothingDecodesToNothing) {
  EXPECT_EQ(decode(""), "");
}

// Appends bits to an encoded string, most significant first.
class BitWriter {
 public:
  void put(uint32_t bits, uint32_t length) {
    for (uint32_t i = length; i-- != 0;) put_bit((bits >> i) & 1);
  }
  void put_symbol(uint32_t symbol) { put(huffman_code(symbol).bits, huffman_code(symbol).length); }
  std::string padded(bool with_ones) {
    while (used_ != 0) put_bit(with_ones ? 1 : 0);
    return octets_;
  }
  uint32_t free_bits() const { return used_ == 0 ? 0 : 8 - used_; }

 private:
  void put_bit(uint32_t bit) {
    if (used_ == 0) octets_.push_back('\0');
    octets_.back() = static_cast<char>(octets_.back() | static_cast<char>(bit << (7 - used_)));
    used_ = (used_ + 1) % 8;
  }
  std::string octets_;
  uint32_t used_ = 0;
};

TEST(Huffman, PaddingMustBeOnesAndShorterThanAnOctet) {
  for (uint32_t count = 0; count < 16; ++count) {
    for (const uint32_t symbol : {uint32_t{'0'}, uint32_t{'a'}, uint32_t{'Z'}, 0u, 10u, 255u}) {
      BitWriter ones;
      BitWriter zeros;
      for (uint32_t i = 0; i < count; ++i) ones.put_symbol('0'), zeros.put_symbol('0');
      ones.put_symbol(symbol), zeros.put_symbol(symbol);
      const uint32_t padding = ones.free_bits();
      const std::string text = std::string(count, '0') + static_cast<char>(symbol);
      const std::string good = ones.padded(true);
      EXPECT_EQ(decode(good), text);
      EXPECT_EQ(decode(good + '\xff'), std::nullopt) << "an octet of padding too many";
      // Zeros: five of them are a '0', so that the rest alone decides.
      if (padding % 5 != 0) {
        EXPECT_EQ(decode(zeros.padded(false)), std::nullopt) << padding;
      }
    }
  }
  for (size_t size = 1; size < 20; ++size) EXPECT_EQ(decode(std::string(size, '\xff')), std::nullopt) << size;
}

TEST(Huffman, EosIsAnErrorEverywhere) {
  for (uint32_t before = 0; before < 20; ++before) {
    for (uint32_t after = 0; after < 20; ++after) {
      BitWriter bits;
      for (uint32_t i = 0; i < before; ++i) bits.put_symbol('0');
      bits.put_symbol(256);
      for (uint32_t i = 0; i < after; ++i) bits.put_symbol('e');
      EXPECT_EQ(decode(bits.padded(true)), std::nullopt) << before << " " << after;
    }
  }
}

TEST(Huffman, ACutCodeIsAnError) {
  for (uint32_t symbol = 0; symbol < 256; ++symbol) {
    const HuffmanCode code = huffman_code(symbol);
    if (code.length < 10) continue;
    for (uint32_t before = 0; before < 8; ++before) {
      for (uint32_t kept = 8; kept < code.length; ++kept) {
        BitWriter bits;
        for (uint32_t i = 0; i < before; ++i) bits.put_symbol('0');
        bits.put(code.bits >> (code.length - kept), kept);
        if (bits.free_bits() != 0) continue;
        // A prefix of a long code is never a whole shorter one and longer than padding may be.
        EXPECT_EQ(decode(bits.padded(true)), std::nullopt) << symbol << " cut to " << kept;
      }
    }
  }
}

// What either decoder says about random octets must be the same; nghttp2's is reached through a literal.
TEST(Huffman, RandomOctetsAreJudgedAsNghttp2Does) {
  base::Prng prng(12);
  uint32_t accepted = 0;
  for (int round = 0; round < 60'000; ++round) {
    std::string octets;
    for (uint32_t left = prng.below(round % 2 == 0 ? 3 : 14); left-- != 0;) {
      octets.push_back(static_cast<char>(prng.below(4) == 0 ? 0xff : prng.below(256)));
    }
    Inflater inflater;
    const auto list = inflater.decode(std::string("\x10\x01x") + hpack_integer(0x80, 7, octets.size()) + octets);
    const auto ours = decode(octets);
    ASSERT_EQ(ours.has_value(), list.has_value()) << round;
    if (!ours) continue;
    ++accepted;
    ASSERT_EQ(*ours, list->at(0).value) << round;
  }
  EXPECT_GT(accepted, 1000u);
}

}  // namespace
}  // namespace ringway::h2
