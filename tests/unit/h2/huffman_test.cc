#include "h2/huffman.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <memory>
#include <optional>

#include "h2/field.h"
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

// A page between two that nobody may touch: one octet too far on either side ends the test, in every build.
class GuardedPage {
 public:
  GuardedPage() : size_(static_cast<size_t>(sysconf(_SC_PAGESIZE))) {
    pages_ = static_cast<char*>(mmap(nullptr, 3 * size_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (pages_ == MAP_FAILED || mprotect(begin(), size_, PROT_READ | PROT_WRITE) != 0) std::abort();
  }
  GuardedPage(const GuardedPage&) = delete;
  ~GuardedPage() { munmap(pages_, 3 * size_); }

  char* begin() { return pages_ + size_; }
  char* end() { return begin() + size_; }

 private:
  size_t size_;
  char* pages_ = nullptr;
};

// Decodes `encoded` at the beginning and at the end of a page, into just as much room as is asked for.
std::optional<std::string> decode_between_guards(std::string_view encoded) {
  static GuardedPage input;
  static GuardedPage output;
  std::optional<std::string> results[2];
  for (const bool at_end : {false, true}) {
    char* const place = at_end ? input.end() - encoded.size() : input.begin();
    if (!encoded.empty()) std::memcpy(place, encoded.data(), encoded.size());
    char* const out = output.end() - huffman_decoded_size_max(encoded.size());
    const size_t size = huffman_decode({reinterpret_cast<const uint8_t*>(place), encoded.size()}, out);
    if (size != kHuffmanInvalid) results[at_end] = std::string(out, size);
  }
  EXPECT_EQ(results[0], results[1]);
  return results[0];
}

// Section 5.2 to the letter: follows the code's tree bit by bit.
class BitByBit {
 public:
  BitByBit() {
    for (uint32_t symbol = 0; symbol <= kEos; ++symbol) {
      const HuffmanCode code = huffman_code(symbol);
      uint32_t node = 0;
      for (uint32_t i = code.length; i-- != 0;) {
        uint32_t& child = nodes_[node].children[(code.bits >> i) & 1];
        if (child == 0) child = node_count_++;
        node = child;
      }
      nodes_[node].symbol = symbol;
    }
  }

  std::optional<std::string> decode(std::string_view encoded) const {
    std::string text;
    uint32_t node = 0;
    uint32_t pending_bits = 0;
    bool are_ones = true;
    for (size_t bit = 0; bit < encoded.size() * 8; ++bit) {
      const uint32_t value = (static_cast<uint8_t>(encoded[bit / 8]) >> (7 - bit % 8)) & 1;
      node = nodes_[node].children[value];
      ++pending_bits;
      are_ones &= value == 1;
      const uint32_t symbol = nodes_[node].symbol;
      if (symbol == kEos) return std::nullopt;
      if (symbol == kNone) continue;
      text.push_back(static_cast<char>(symbol));
      node = 0;
      pending_bits = 0;
      are_ones = true;
    }
    if (pending_bits >= 8 || !are_ones) return std::nullopt;
    return text;
  }

 private:
  static constexpr uint32_t kEos = 256;
  static constexpr uint32_t kNone = UINT32_MAX;
  struct Node {
    uint32_t children[2] = {0, 0};
    uint32_t symbol = kNone;
  };
  std::array<Node, 2 * (kEos + 1) - 1> nodes_;
  uint32_t node_count_ = 1;
};

// A text of `size` octets of one kind: what identifiers, tokens and names are made of, or anything.
std::string text_of(base::Prng& prng, uint32_t kind, size_t size) {
  static constexpr std::string_view kAlphabets[] = {
      "0123456789abcdef", "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/=", "aceiost012",
      "{\"key\": [\"a@b.org\", 'x|y', $5 <~> ^`\\]}"};
  std::string text;
  while (text.size() < size) {
    const uint32_t octet = prng.below(256);
    if (kind < std::size(kAlphabets)) {
      text.push_back(kAlphabets[kind][octet % kAlphabets[kind].size()]);
    } else {
      text.push_back(static_cast<char>(kind == 4 || prng.below(12) == 0 ? octet : 'a' + octet % 26));
    }
  }
  return text;
}
constexpr uint32_t kTextKinds = 6;

TEST(Huffman, StringsOfEveryLengthDecodeBetweenGuards) {
  base::Prng prng(13);
  const BitByBit reference;
  for (size_t size = 0; size <= 80; ++size) {
    for (uint32_t round = 0; round < 20 * kTextKinds; ++round) {
      const std::string text = text_of(prng, round % kTextKinds, size);
      const std::string encoded = huffman_encode(text);
      ASSERT_EQ(reference.decode(encoded), text);
      ASSERT_EQ(decode_between_guards(encoded), text) << size << " " << round;
    }
  }
}

TEST(Huffman, EveryOctetAmongOthersDecodesBetweenGuards) {
  for (uint32_t octet = 0; octet < 256; ++octet) {
    for (uint32_t before = 0; before < 24; ++before) {
      for (const uint32_t after : {0u, 1u, 3u, 5u, 8u, 13u, 21u}) {
        const std::string text = std::string(before, before % 2 == 0 ? '0' : '7') + static_cast<char>(octet) +
                                 std::string(after, after % 2 == 0 ? 'e' : 'Z');
        ASSERT_EQ(decode_between_guards(huffman_encode(text)), text) << octet << " after " << before;
      }
    }
  }
}

TEST(Huffman, CutAndCorruptedStringsAreJudgedAsBitByBit) {
  base::Prng prng(14);
  const BitByBit reference;
  uint32_t refused = 0;
  uint32_t accepted = 0;
  for (uint32_t round = 0; round < 25 * kTextKinds; ++round) {
    const std::string encoded = huffman_encode(text_of(prng, round % kTextKinds, prng.below(60)));
    for (size_t size = 0; size < encoded.size(); ++size) {
      const std::string_view cut = std::string_view(encoded).substr(0, size);
      ASSERT_EQ(decode_between_guards(cut), reference.decode(cut)) << round << " cut to " << size;
    }
    for (size_t bit = 0; bit < encoded.size() * 8; ++bit) {
      std::string corrupted = encoded;
      corrupted[bit / 8] = static_cast<char>(corrupted[bit / 8] ^ (1 << bit % 8));
      const auto expected = reference.decode(corrupted);
      ASSERT_EQ(decode_between_guards(corrupted), expected) << round << " bit " << bit;
      ++(expected ? accepted : refused);
    }
  }
  EXPECT_GT(accepted, 1000u);
  EXPECT_GT(refused, 1000u);
}

TEST(Huffman, RandomOctetsAreJudgedAsBitByBit) {
  base::Prng prng(15);
  const BitByBit reference;
  for (uint32_t round = 0; round < 40'000; ++round) {
    std::string octets;
    const uint32_t ones = prng.below(8);  // octets of ones lead to long codes and to EOS
    for (size_t size = round % 81; octets.size() < size;) {
      octets.push_back(static_cast<char>(prng.below(16) < ones ? 0xff : prng.below(256)));
    }
    ASSERT_EQ(decode_between_guards(octets), reference.decode(octets)) << round;
  }
}

// The most symbols that a string can have, whole and cut: the guard behind the output is what tests.
TEST(Huffman, TheDecodedSizeMaxIsRoomEnough) {
  const BitByBit reference;
  for (size_t size = 0; size <= 80; ++size) {
    for (uint32_t last = 0; last < 256; ++last) {
      std::string octets(size, '\0');
      if (size != 0) octets.back() = static_cast<char>(last);
      ASSERT_EQ(decode_between_guards(octets), reference.decode(octets)) << size << " " << last;
    }
  }
}

// What a walk says must be what decoding finds. True when it says anything.
bool expect_walk_agrees(std::string_view encoded) {
  // In memory of exactly its size, so that the sanitizers see a look beyond it.
  const std::unique_ptr<uint8_t[]> input(new uint8_t[encoded.size()]);
  std::copy(encoded.begin(), encoded.end(), input.get());
  const size_t size = huffman_walk({input.get(), encoded.size()});
  if (size == kHuffmanUnclear) return false;
  const auto text = decode(encoded);
  EXPECT_TRUE(text.has_value()) << testing::PrintToString(encoded);
  if (!text) return true;
  EXPECT_EQ(text->size(), size) << testing::PrintToString(*text);
  EXPECT_TRUE(is_valid_value(*text)) << testing::PrintToString(*text);
  EXPECT_TRUE(is_huffman_code_of({input.get(), encoded.size()}, *text));
  return true;
}

TEST(HuffmanWalk, AgreesWithDecodingAtEveryBeginningAndEnd) {
  for (const size_t middle : {4u, 5u, 9u, 20u}) {
    const std::string text(middle + 3, 'a');
    const std::string coded = huffman_encode(text);
    for (uint32_t octets = 0; octets < 0x10000; ++octets) {
      const std::string two{static_cast<char>(octets >> 8), static_cast<char>(octets)};
      expect_walk_agrees(coded + two);
      expect_walk_agrees(two + coded);
    }
  }
}

TEST(HuffmanWalk, AgreesWithDecodingOfAnyOctets) {
  base::Prng prng(12);
  uint32_t clear = 0;
  for (int round = 0; round < 200'000; ++round) {
    std::string octets(8 + prng.below(24), '\0');
    for (char& octet : octets) octet = static_cast<char>(prng.below(256));
    clear += expect_walk_agrees(octets);
  }
  EXPECT_GT(clear, 1000u);
}

TEST(HuffmanWalk, AgreesWithDecodingOfAnyText) {
  base::Prng prng(13);
  for (int round = 0; round < 20'000; ++round) {
    expect_walk_agrees(huffman_encode(random_text(prng, 8 + prng.below(60), prng.below(2) == 0)));
  }
}

// Blanks and control octets at each place of texts of each length.
TEST(HuffmanWalk, FindsWhatAValueMustNotHave) {
  for (size_t size = 8; size < 40; ++size) {
    for (const char letter : {'0', 'a', 'w', 'Z', '&'}) {
      for (size_t place = 0; place < size; ++place) {
        for (const char octet : {' ', '\t', '\0', '\r', '\n', '\x7f', '\x80', 'X'}) {
          std::string text(size, letter);
          text[place] = octet;
          expect_walk_agrees(huffman_encode(text));
        }
      }
    }
  }
}

// Else nothing would be gained.
TEST(HuffmanWalk, IsClearAboutTokensAndIdentifiers) {
  base::Prng prng(14);
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=/ ";
  uint32_t clear = 0;
  for (int round = 0; round < 2000; ++round) {
    std::string text = "Bearer ";
    for (uint32_t i = 8 + prng.below(60); i-- != 0;) text.push_back(kAlphabet[prng.below(kAlphabet.size() - 1)]);
    clear += expect_walk_agrees(huffman_encode(text));
  }
  EXPECT_GT(clear, 1900u);
}

TEST(HuffmanWalk, ACodeIsThatOfOneText) {
  const std::string coded = huffman_encode("one-value/1");
  const auto is_code_of = [&](std::string_view text) { return is_huffman_code_of(octets_of(coded), text); };
  EXPECT_TRUE(is_code_of("one-value/1"));
  for (const std::string_view other : {"one-value/2", "one-value/", "one-value/11", "0ne-value/1", ""}) {
    EXPECT_FALSE(is_code_of(other)) << other;
  }
}

}  // namespace
}  // namespace ringway::h2
