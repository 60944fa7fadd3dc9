#include "base/line_writer.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

#include "base/units.h"

namespace ringway::base {
namespace {

template <typename Write>
std::string written(size_t room, Write&& write) {
  std::string out(room, '#');
  LineWriter line(out);
  write(line);
  EXPECT_LE(line.size(), room);
  EXPECT_EQ(out.substr(line.size()), std::string(room - line.size(), '#')) << "wrote behind its size";
  out.resize(line.size());
  return out;
}

std::string escaped(std::string_view value, Escape how, size_t bytes_max = 100, size_t room = 200) {
  return written(room, [&](LineWriter& line) { line.escaped(value, how, bytes_max); });
}

TEST(LineWriter, WritesNumbers) {
  EXPECT_EQ(written(100,
                    [](LineWriter& line) {
                      line.number(0);
                      line.text(" ");
                      line.number(UINT64_MAX);
                      line.text(" ");
                      line.padded(7, 2);
                      line.padded(123, 2);
                      line.padded(0, 3);
                    }),
            "0 18446744073709551615 07123000");
}

TEST(LineWriter, CutsWhatDoesNotFit) {
  for (size_t room = 0; room <= 6; ++room) {
    EXPECT_EQ(written(room, [](LineWriter& line) { line.text("abcdef"); }), std::string("abcdef").substr(0, room));
  }
}

TEST(LineWriter, EscapesEachByteThatCouldHarm) {
  EXPECT_EQ(escaped("a\"b\\c\nd\x7f\xff", Escape::kBackslashX), "a\\x22b\\x5Cc\\x0Ad\\x7F\\xFF");
  EXPECT_EQ(escaped("a\"b\\c\nd\x7f\xff", Escape::kProse), "a\"b\\x5Cc\\x0Ad\\x7F\\xFF");
  EXPECT_EQ(escaped("a\"b\\c\nd\x7f\xff", Escape::kJson), "a\\\"b\\\\c\\u000ad\\u007f\\u00ff");
  EXPECT_EQ(escaped(std::string_view("\0", 1), Escape::kBackslashX), "\\x00");
  for (unsigned byte = 0; byte < 256; ++byte) {
    const char value = static_cast<char>(byte);
    const bool is_plain = byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\';
    for (const Escape how : {Escape::kBackslashX, Escape::kJson}) {
      EXPECT_EQ(escaped({&value, 1}, how) == std::string(1, value), is_plain) << byte;
    }
  }
}

TEST(LineWriter, CutsAFieldBetweenEscapes) {
  EXPECT_EQ(escaped("abcdef", Escape::kJson, 6), "abcdef");
  EXPECT_EQ(escaped("abcdef", Escape::kJson, 5), "abcde");
  EXPECT_EQ(escaped("ab\ncd", Escape::kJson, 7), "ab");
  EXPECT_EQ(escaped("ab\ncd", Escape::kJson, 8), "ab\\u000a");
  EXPECT_EQ(escaped("ab\ncd", Escape::kJson, 9), "ab\\u000ac");
  EXPECT_EQ(escaped("ab\ncd", Escape::kBackslashX, 5), "ab");
  EXPECT_EQ(escaped("ab\ncd", Escape::kBackslashX, 6), "ab\\x0A");
  EXPECT_EQ(escaped("\n", Escape::kJson, 0), "");
  EXPECT_EQ(escaped("ab\ncd", Escape::kJson, 100, 7), "ab") << "the room cuts as the limit does";
}

TEST(CivilTime, KnowsTheCalendar) {
  struct Row {
    uint64_t seconds;
    const char* text;
  };
  // The seconds are those of `date -u +%s`.
  constexpr std::array<Row, 6> kRows{{{0, "1970-01-01T00:00:00.007Z"},
                                      {951'782'399, "2000-02-28T23:59:59.007Z"},
                                      {951'782'400, "2000-02-29T00:00:00.007Z"},
                                      {1'620'848'893, "2021-05-12T19:48:13.007Z"},
                                      {1'798'761'599, "2026-12-31T23:59:59.007Z"},
                                      {4'107'542'400, "2100-03-01T00:00:00.007Z"}}};
  for (const Row& row : kRows) {
    const CivilTime time = civil_time(row.seconds * kSecond_ns + 7'999'999);
    EXPECT_EQ(written(100, [&](LineWriter& line) { line.rfc3339(time); }), row.text);
  }
}

}  // namespace
}  // namespace ringway::base
