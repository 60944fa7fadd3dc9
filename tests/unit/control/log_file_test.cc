#include "control/log_file.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <filesystem>

#include "scratch.h"

namespace ringway::control {
namespace {

TEST(LogFile, AppendsToWhatIsThere) {
  Folder folder;
  const std::string path = folder.file("access.log");
  for (const char* line : {"one\n", "two\n"}) {
    auto file = LogFile::open(path);
    ASSERT_TRUE(file) << file.error();
    const auto written = file->append(std::string_view(line), {}, 0);
    EXPECT_FALSE(written.error);
    EXPECT_EQ(written.lines, 1u);
    EXPECT_EQ(written.lines_lost, 0u);
  }
  EXPECT_EQ(content(path), "one\ntwo\n");
  struct stat found{};
  ASSERT_EQ(stat(path.c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0007, 0u) << "others may not read it";
}

TEST(LogFile, ALineMayLieInTwoPieces) {
  Folder folder;
  auto file = LogFile::open(folder.file("log"));
  ASSERT_TRUE(file);
  const auto written = file->append(std::string_view("one\ntw"), std::string_view("o\nthree\n"), 0);
  EXPECT_EQ(written.lines, 3u);
  EXPECT_EQ(file->append(std::string_view("four\n"), {}, 0).lines, 1u);
  EXPECT_EQ(content(folder.file("log")), "one\ntwo\nthree\nfour\n");
}

TEST(LogFile, SaysWhyItCannotBeOpened) {
  const auto file = LogFile::open("/nonexistent/access.log");
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error(), "access log '/nonexistent/access.log' cannot be opened: no such file or directory");
}

TEST(LogFile, ReopensAfterARotation) {
  Folder folder;
  const std::string path = folder.file("log");
  auto file = LogFile::open(path);
  ASSERT_TRUE(file);
  file->append(std::string_view("one\n"), {}, 0);
  std::filesystem::rename(path, folder.file("log.1"));
  file->append(std::string_view("two\n"), {}, 0);
  ASSERT_TRUE(file->reopen());
  file->append(std::string_view("three\n"), {}, 0);
  EXPECT_EQ(content(folder.file("log.1")), "one\ntwo\n");
  EXPECT_EQ(content(path), "three\n");
}

TEST(LogFile, KeepsTheOldFileWhenTheNewOneFails) {
  Folder folder;
  const std::string inner = folder.file("inner");
  std::filesystem::create_directory(inner);
  auto file = LogFile::open(inner + "/log");
  ASSERT_TRUE(file);
  std::filesystem::rename(inner, folder.file("moved"));
  EXPECT_FALSE(file->reopen());
  EXPECT_EQ(file->append(std::string_view("one\n"), {}, 0).lines, 1u);
  EXPECT_EQ(content(folder.file("moved") + "/log"), "one\n");
}

TEST(LogFile, AFullDiskLosesLinesAndSaysSo) {
  auto file = LogFile::open("/dev/full");
  ASSERT_TRUE(file) << file.error();
  const auto written = file->append(std::string_view("one\ntwo\n"), std::string_view("three\n"), 0);
  EXPECT_EQ(written.lines, 0u);
  EXPECT_EQ(written.lines_lost, 3u);
  EXPECT_EQ(written.error.code, ENOSPC);
  EXPECT_EQ(describe(written.error), "no space left on device");
}

// A limit on the size of files cuts a write in its middle, as a disk does that becomes full.
TEST(LogFile, ALineThatWasCutIsEndedBeforeTheNext) {
  Folder folder;
  const std::string path = folder.file("log");
  auto file = LogFile::open(path);
  ASSERT_TRUE(file);
  const auto ignored = std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit small{10, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const auto cut = file->append(std::string_view("123\n567\n9abc\nx\n"), {}, 0);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, ignored);
  EXPECT_EQ(cut.lines, 2u);
  EXPECT_EQ(cut.lines_lost, 2u);
  EXPECT_EQ(cut.error.code, EFBIG);
  EXPECT_EQ(file->append(std::string_view("next\n"), {}, 0).lines, 1u);
  EXPECT_EQ(file->append(std::string_view("last\n"), {}, 0).lines, 1u);
  EXPECT_EQ(content(path), "123\n567\n9a\nnext\nlast\n");
}

TEST(LogFile, APipeThatNobodyReadsIsGivenUp) {
  Folder folder;
  const std::string path = folder.file("pipe");
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  io::Fd reading(open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  auto file = LogFile::open(path);
  ASSERT_TRUE(file) << file.error();
  std::string lines;
  while (lines.size() < 1 << 20) lines += "a line that nobody reads\n";
  const auto written = file->append(lines, {}, 0);
  EXPECT_GT(written.lines, 0u) << "what the pipe holds";
  EXPECT_GT(written.lines_lost, 0u);
  EXPECT_EQ(written.error.kind, io::ErrorKind::kWouldBlock);
  reading.close();
}

}  // namespace
}  // namespace ringway::control
