#include "config/values.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace ringway::config {
namespace {

using Maybe = std::optional<uint64_t>;

struct NumberCase {
  std::string text;
  Maybe value;
};

TEST(Values, Counts) {
  const NumberCase cases[] = {{"0", 0},
                              {"007", 7},
                              {"18446744073709551615", UINT64_MAX},
                              {"99999999999999999999999", UINT64_MAX},
                              {"", {}},
                              {"-1", {}},
                              {"+1", {}},
                              {" 1", {}},
                              {"1 ", {}},
                              {"0x10", {}},
                              {"1e3", {}},
                              {"1.0", {}},
                              {"1_000", {}}};
  for (const auto& [text, value] : cases) EXPECT_EQ(parse_count(text), value) << text;
}

TEST(Values, Bytes) {
  const NumberCase cases[] = {{"0", 0},
                              {"512", 512},
                              {"64KiB", 65536},
                              {"4MiB", 4u << 20},
                              {"2GiB", uint64_t{2} << 30},
                              {"64kib", {}},
                              {"64KB", {}},
                              {"64K", {}},
                              {"64 KiB", {}},
                              {"KiB", {}},
                              {"1.5MiB", {}},
                              {"-1KiB", {}},
                              {"20000000000GiB", UINT64_MAX}};
  for (const auto& [text, value] : cases) EXPECT_EQ(parse_bytes(text), value) << text;
}

TEST(Values, Durations) {
  const NumberCase cases[] = {{"0", 0},
                              {"0s", 0},
                              {"10ns", 10},
                              {"50us", 50'000},
                              {"300ms", 300'000'000},
                              {"5s", 5'000'000'000},
                              {"5m", 300'000'000'000},
                              {"1h", 3'600'000'000'000},
                              {"5", {}},
                              {"5 s", {}},
                              {"1.5s", {}},
                              {"-1s", {}},
                              {"s", {}},
                              {"", {}},
                              {"1d", {}},
                              {"1h30m", {}},
                              {"9999999999999999h", UINT64_MAX}};
  for (const auto& [text, value] : cases) EXPECT_EQ(parse_duration(text), value) << text;
}

TEST(Values, Percentages) {
  EXPECT_EQ(parse_percent("0%"), 0u);
  EXPECT_EQ(parse_percent("100%"), 100u);
  for (const char* text : {"101%", "20", "%", "-1%", "1.5%", "20 %"}) EXPECT_FALSE(parse_percent(text)) << text;
}

TEST(Values, Booleans) {
  for (const char* text : {"true", "yes", "on"}) EXPECT_EQ(parse_boolean(text), true) << text;
  for (const char* text : {"false", "no", "off"}) EXPECT_EQ(parse_boolean(text), false) << text;
  for (const char* text : {"", "1", "TRUE", "maybe"}) EXPECT_FALSE(parse_boolean(text)) << text;
}

TEST(Values, CpuLists) {
  using Cpus = std::vector<uint32_t>;
  EXPECT_EQ(parse_cpu_list("3"), (Cpus{3}));
  EXPECT_EQ(parse_cpu_list("2-4,9"), (Cpus{2, 3, 4, 9}));
  EXPECT_EQ(parse_cpu_list("9,2-4"), (Cpus{9, 2, 3, 4})) << "the order is the order of the shards";
  EXPECT_EQ(parse_cpu_list("5-5"), (Cpus{5}));
  EXPECT_EQ(parse_cpu_list("65535"), (Cpus{65535}));
  for (const char* text : {"", ",", "1,", ",1", "1,,2", "4-2", "1-", "-1", "a", "1-2-3", "1,1", "1-3,2", "65536",
                           "0-4294967295", "1 ,2", "0-99999999999999999999"}) {
    EXPECT_FALSE(parse_cpu_list(text)) << text;
  }
}

TEST(Values, PrintedInTheLargestExactUnit) {
  EXPECT_EQ(format_bytes(0), "0");
  EXPECT_EQ(format_bytes(65535), "65535");
  EXPECT_EQ(format_bytes(65536), "64KiB");
  EXPECT_EQ(format_bytes(uint64_t{1} << 30), "1GiB");
  EXPECT_EQ(format_duration(0), "0");
  EXPECT_EQ(format_duration(1), "1ns");
  EXPECT_EQ(format_duration(1'500'000), "1500us");
  EXPECT_EQ(format_duration(90'000'000'000), "90s");
  EXPECT_EQ(format_duration(3'600'000'000'000), "1h");
}

TEST(Values, PrintedValuesReadBack) {
  for (uint64_t value = 0; value < uint64_t{1} << 62; value = value * 3 + 1) {
    EXPECT_EQ(parse_bytes(format_bytes(value)), value);
    EXPECT_EQ(parse_duration(format_duration(value)), value);
    EXPECT_EQ(parse_bytes(format_bytes(value << 1)), value << 1);
  }
  for (const std::vector<uint32_t>& cpus : {std::vector<uint32_t>{0}, {0, 1, 2}, {7, 3, 4, 1}, {5, 4, 3}}) {
    EXPECT_EQ(parse_cpu_list(format_cpu_list(cpus)), cpus);
  }
  EXPECT_EQ(format_cpu_list(std::vector<uint32_t>{2, 3, 4, 9}), "2-4,9");
}

TEST(Values, QuotedTextStaysOnOneShortLine) {
  EXPECT_EQ(quote("plain"), "'plain'");
  EXPECT_EQ(quote("a\nb\x7f"), "'a\\x0ab\\x7f'");
  EXPECT_EQ(quote("ä€😀"), "'ä€😀'");
  EXPECT_EQ(quote("a\xff\xfe"
                  "b"),
            "'a\\xff\\xfeb'")
      << "no UTF-8";
  EXPECT_EQ(quote("\xe2\x82"), "'\\xe2\\x82'") << "the beginning of a character";
  EXPECT_EQ(quote("\xc0\xaf"), "'\\xc0\\xaf'") << "longer than it need be";
  EXPECT_EQ(quote("\xed\xa0\x80"), "'\\xed\\xa0\\x80'") << "half of a pair";
  EXPECT_EQ(quote("\xf4\x90\x80\x80"), "'\\xf4\\x90\\x80\\x80'") << "beyond the last character";
  EXPECT_EQ(quote("\xc2\x9b"), "'\\xc2\\x9b'") << "a terminal may take it for a command";
  EXPECT_EQ(quote(std::string(80, 'x')), "'" + std::string(80, 'x') + "'");
  EXPECT_EQ(quote(std::string(81, 'x')), "'" + std::string(80, 'x') + "…'");
  EXPECT_EQ(quote(std::string(79, 'x') + "äz"), "'" + std::string(79, 'x') + "…'") << "not inside a character";
}

}  // namespace
}  // namespace ringway::config
