#include "grpc/timeout.h"

#include <gtest/gtest.h>

#include <string>

#include "base/prng.h"
#include "base/units.h"

namespace ringway::grpc {
namespace {

constexpr uint64_t kHour_ns = 3600 * base::kSecond_ns;

std::string formatted(uint64_t timeout_ns) {
  char text[kTimeoutTextMax];
  return {text, format_timeout(timeout_ns, text)};
}

TEST(Timeout, EveryUnitIsRead) {
  EXPECT_EQ(parse_timeout("7n"), 7u);
  EXPECT_EQ(parse_timeout("7u"), 7 * base::kMicrosecond_ns);
  EXPECT_EQ(parse_timeout("7m"), 7 * base::kMillisecond_ns);
  EXPECT_EQ(parse_timeout("7S"), 7 * base::kSecond_ns);
  EXPECT_EQ(parse_timeout("7M"), 7 * 60 * base::kSecond_ns);
  EXPECT_EQ(parse_timeout("7H"), 7 * kHour_ns);
  EXPECT_EQ(parse_timeout("0n"), 0u);
  EXPECT_EQ(parse_timeout("00000010m"), 10 * base::kMillisecond_ns);
}

TEST(Timeout, EightDigitsAreTheMost) {
  EXPECT_EQ(parse_timeout("9999999n"), 9'999'999u);
  EXPECT_EQ(parse_timeout("99999999n"), 99'999'999u);
  EXPECT_EQ(parse_timeout("100000000n"), std::nullopt);
  EXPECT_EQ(parse_timeout("000000001n"), std::nullopt);
}

TEST(Timeout, WhatDoesNotFitIsNever) {
  // 2^64 ns are a little more than 5,124,095 hours or 307,445,734 minutes, which eight digits cannot say.
  EXPECT_EQ(parse_timeout("5124095H"), 5'124'095 * kHour_ns);
  EXPECT_EQ(parse_timeout("5124096H"), base::kNever_ns);
  EXPECT_EQ(parse_timeout("99999999H"), base::kNever_ns);
  EXPECT_EQ(parse_timeout("99999999M"), 99'999'999 * (60 * base::kSecond_ns));
}

TEST(Timeout, MalformedValuesAreRefused) {
  for (const std::string_view value :
       {"", "S", "5", "5s", "5h", "5x", "-5S", "+5S", " 5S", "5S ", "5 S", "5.0S", "0x1S", "S5", "5SS", "5\xb5"}) {
    EXPECT_EQ(parse_timeout(value), std::nullopt) << value;
  }
  EXPECT_EQ(parse_timeout(std::string_view("5\0", 2)), std::nullopt);
}

// The digits are read all at once: every octet at every place, against reading them one by one.
TEST(Timeout, EveryOctetAtEveryPlace) {
  for (size_t size = 1; size <= 8; ++size) {
    for (size_t place = 0; place < size; ++place) {
      for (int octet = 0; octet < 256; ++octet) {
        std::string digits = std::string("98273645").substr(0, size);
        digits[place] = static_cast<char>(octet);
        uint64_t number = 0;
        bool is_number = true;
        for (const char c : digits) {
          is_number &= c >= '0' && c <= '9';
          number = number * 10 + static_cast<uint64_t>(c - '0');
        }
        const auto parsed = parse_timeout(digits + "n");
        ASSERT_EQ(parsed.has_value(), is_number) << size << " digits, octet " << octet << " at " << place;
        if (is_number) {
          ASSERT_EQ(*parsed, number) << digits;
        }
      }
    }
  }
}

TEST(Timeout, TheFinestUnitThatFitsIsWritten) {
  EXPECT_EQ(formatted(0), "0n");
  EXPECT_EQ(formatted(99'999'999), "99999999n");
  EXPECT_EQ(formatted(100'000'000), "100000u");
  EXPECT_EQ(formatted(99'999'999 * base::kMicrosecond_ns), "99999999u");
  EXPECT_EQ(formatted(100'000'000 * base::kMicrosecond_ns), "100000m");
  EXPECT_EQ(formatted(100'000'000 * base::kMillisecond_ns), "100000S");
  EXPECT_EQ(formatted(100'000'000 * base::kSecond_ns), "1666667M");
  EXPECT_EQ(formatted(base::kNever_ns), "5124096H");
}

TEST(Timeout, FormattingRoundsUp) {
  EXPECT_EQ(formatted(100'000'001), "100001u");
  EXPECT_EQ(formatted(100'000'999), "100001u");
  EXPECT_EQ(formatted(100'001'000), "100001u");
  // Rounding up may itself need a ninth digit.
  EXPECT_EQ(formatted(99'999'999 * base::kMicrosecond_ns + 1), "100000m");
}

TEST(Timeout, WhatIsWrittenReadsBackAsNoLessAndHardlyMore) {
  base::Prng prng(20'260'101);
  for (int round = 0; round < 20'000; ++round) {
    const uint64_t timeout_ns = prng.next() >> prng.below(64);
    const std::string text = formatted(timeout_ns);
    ASSERT_LE(text.size(), kTimeoutTextMax);
    const auto read_ns = parse_timeout(text);
    ASSERT_TRUE(read_ns) << text;
    EXPECT_GE(*read_ns, timeout_ns) << text;
    // At least six digits are kept of what is too large to be exact, but for hours (60 minutes make one).
    EXPECT_LE(static_cast<double>(*read_ns - timeout_ns), static_cast<double>(timeout_ns) * 1e-5) << text;
  }
}

}  // namespace
}  // namespace ringway::grpc
