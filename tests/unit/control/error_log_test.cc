#include "control/error_log.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "scratch.h"

namespace ringway::control {
namespace {

using config::LogLevel;

constexpr uint64_t kTime_ns = 1'767'323'045'678'000'000;  // 2026-01-02T03:04:05.678Z

std::string line(LogLevel level, std::string_view text, uint32_t suppressed = 0,
                 size_t room = ErrorLog::kLineBytesMax) {
  std::vector<char> out(room);
  return {out.data(), format_error_line(kTime_ns, level, text, suppressed, out)};
}

TEST(ErrorLog, ALineHasTimeLevelAndText) {
  EXPECT_EQ(line(LogLevel::kWarn, "cluster auth: endpoint 10.0.0.1:50051: connection refused"),
            "2026-01-02T03:04:05.678Z warn  cluster auth: endpoint 10.0.0.1:50051: connection refused\n");
  EXPECT_EQ(line(LogLevel::kDebug, "x"), "2026-01-02T03:04:05.678Z debug x\n");
  EXPECT_EQ(line(LogLevel::kInfo, "x"), "2026-01-02T03:04:05.678Z info  x\n");
  EXPECT_EQ(line(LogLevel::kError, "x"), "2026-01-02T03:04:05.678Z error x\n");
}

TEST(ErrorLog, SaysWhatWasLeftOut) {
  EXPECT_EQ(line(LogLevel::kInfo, "x", 12), "2026-01-02T03:04:05.678Z info  x (12 more like it left out)\n");
}

TEST(ErrorLog, AStrangersTextStaysOnItsLine) {
  EXPECT_EQ(line(LogLevel::kInfo, "a\nb\x1b[2J\"c\""), "2026-01-02T03:04:05.678Z info  a\\x0Ab\\x1B[2J\"c\"\n");
}

TEST(ErrorLog, ALongTextIsCutAndTheLineStillEnds) {
  for (const char byte : {'x', '\n'}) {
    const std::string cut = line(LogLevel::kInfo, std::string(5000, byte), UINT32_MAX);
    EXPECT_LE(cut.size(), ErrorLog::kLineBytesMax);
    EXPECT_TRUE(cut.ends_with("x (4294967295 more like it left out)\n") ||
                cut.ends_with("\\x0A (4294967295 more like it left out)\n"))
        << cut;
  }
}

TEST(ErrorLog, WritesFromItsLevelOn) {
  Pipe pipe;
  ErrorLog log(LogLevel::kWarn, pipe.writing.get());
  log.write(LogLevel::kInfo, "not this");
  log.write(LogLevel::kWarn, "this");
  log.change_level(LogLevel::kError);
  log.write(LogLevel::kWarn, "nor this");
  const std::string text = pipe.read_all();
  constexpr std::string_view kTime = "2026-01-02T03:04:05.678Z";
  ASSERT_EQ(text.size(), kTime.size() + std::string_view(" warn  this\n").size()) << text;
  EXPECT_EQ(text.substr(kTime.size()), " warn  this\n");
  EXPECT_EQ(log.lines_dropped(), 0u);
}

TEST(ErrorLog, APipeThatNobodyReadsCostsLinesNotTime) {
  Pipe pipe;
  pipe.fill();
  ErrorLog log(LogLevel::kInfo, pipe.writing.get());
  log.write(LogLevel::kWarn, "lost");  // a return at all is the test
  EXPECT_EQ(log.lines_dropped(), 1u);
  EXPECT_EQ(pipe.read_all().find("lost"), std::string::npos);
  log.write(LogLevel::kWarn, "seen");
  EXPECT_NE(pipe.read_all().find("seen"), std::string::npos);
  EXPECT_EQ(log.lines_dropped(), 1u);
}

}  // namespace
}  // namespace ringway::control
