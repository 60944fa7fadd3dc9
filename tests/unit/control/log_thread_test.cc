#include "control/log_thread.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <sstream>
#include <thread>

#include "scratch.h"

namespace ringway::control {
namespace {

using config::LogLevel;
using proxy::LogKind;

// The error log goes into a pipe that each test can read.
struct Logs {
  explicit Logs(const std::string& path, size_t access_bytes = LogThread::kAccessBytes) {
    auto made = LogThread::create(path, errors, access_bytes);
    EXPECT_TRUE(made) << (made ? "" : made.error());
    thread = std::move(*made);
  }

  Pipe pipe;
  ErrorLog errors{LogLevel::kInfo, pipe.writing.get()};
  std::unique_ptr<LogThread> thread;
};

void say(proxy::LogPort& port, const std::string& line) {
  port.access_line(line);
  port.end_turn();
}

size_t occurrences(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

TEST(LogThread, WritesWhatWasLoggedBeforeItStops) {
  Folder folder;
  Logs logs(folder.file("log"));
  proxy::LogPort& port = logs.thread->add_port();
  EXPECT_TRUE(port.has_access_log());
  logs.thread->start();
  say(port, "one\n");
  say(port, "two\n");
  port.event(LogLevel::kWarn, LogKind::kEndpoint, 0, "cluster {}: gone", "auth");
  port.end_turn();
  logs.thread->stop();
  EXPECT_EQ(content(folder.file("log")), "one\ntwo\n");
  EXPECT_NE(logs.pipe.read_all().find(" warn  cluster auth: gone\n"), std::string::npos);
  const LogCounters counters = logs.thread->counters();
  EXPECT_EQ(counters.access_lines_written, 2u);
  EXPECT_EQ(counters.access_lines_dropped, 0u);
  EXPECT_EQ(counters.error_lines_dropped, 0u);
  logs.thread->stop();  // is allowed
}

// Waits for a state that another thread brings about; the test's own time limit is what ends it otherwise.
template <typename Condition>
void await(Condition&& condition) {
  while (!condition()) std::this_thread::yield();
}

TEST(LogThread, WakesForALineWhenItSleeps) {
  Folder folder;
  Logs logs(folder.file("log"));
  proxy::LogPort& port = logs.thread->add_port();
  logs.thread->start();
  for (uint64_t count = 1; count <= 3; ++count) {
    say(port, "line\n");
    await([&] { return logs.thread->counters().access_lines_written == count; });
  }
  logs.thread->stop();
}

TEST(LogThread, WithoutAnAccessLogItStillWritesEvents) {
  Logs logs("");
  proxy::LogPort& port = logs.thread->add_port();
  EXPECT_FALSE(port.has_access_log());
  logs.thread->start();
  port.event(LogLevel::kError, LogKind::kShard, 0, "something");
  port.end_turn();
  logs.thread->reopen();
  logs.thread->stop();
  EXPECT_NE(logs.pipe.read_all().find("something"), std::string::npos);
}

TEST(LogThread, RefusesAPathThatCannotBeOpened) {
  ErrorLog errors(LogLevel::kInfo);
  const auto made = LogThread::create("/nonexistent/log", errors);
  ASSERT_FALSE(made);
  EXPECT_NE(made.error().find("/nonexistent/log"), std::string::npos);
}

TEST(LogThread, LinesOfSeveralShardsDoNotMix) {
  Folder folder;
  Logs logs(folder.file("log"), 1 << 16);
  constexpr size_t kShards = 3;
  constexpr size_t kLines = 20'000;
  std::vector<proxy::LogPort*> ports;
  for (size_t shard = 0; shard < kShards; ++shard) ports.push_back(&logs.thread->add_port());
  logs.thread->start();
  std::vector<std::thread> shards;
  for (size_t shard = 0; shard < kShards; ++shard) {
    shards.emplace_back([&, shard] {
      const std::string line(20 + shard, static_cast<char>('a' + shard));
      for (size_t count = 0; count < kLines; ++count) say(*ports[shard], line + "\n");
    });
  }
  for (std::thread& shard : shards) shard.join();
  logs.thread->stop();
  std::istringstream text(content(folder.file("log")));
  uint64_t lines = 0;
  for (std::string line; std::getline(text, line); ++lines) {
    ASSERT_FALSE(line.empty());
    const auto shard = static_cast<size_t>(line[0] - 'a');
    ASSERT_LT(shard, kShards);
    ASSERT_EQ(line, std::string(20 + shard, line[0]));
  }
  const LogCounters counters = logs.thread->counters();
  EXPECT_EQ(counters.access_lines_written, lines);
  EXPECT_EQ(lines + counters.access_lines_dropped, kShards * kLines);
}

TEST(LogThread, ReopensForRotation) {
  Folder folder;
  const std::string path = folder.file("log");
  Logs logs(path);
  proxy::LogPort& port = logs.thread->add_port();
  logs.thread->start();
  say(port, "before\n");
  await([&] { return logs.thread->counters().access_lines_written == 1; });
  std::filesystem::rename(path, folder.file("log.1"));
  logs.thread->reopen();
  logs.thread->await_reopen(0);
  say(port, "after\n");
  logs.thread->stop();
  EXPECT_EQ(content(folder.file("log.1")), "before\n");
  EXPECT_EQ(content(path), "after\n");
  EXPECT_EQ(logs.thread->counters().reopens, 1u);
}

TEST(LogThread, AFailedReopenIsSaidAndTheOldFileStays) {
  Folder folder;
  std::filesystem::create_directory(folder.file("inner"));
  Logs logs(folder.file("inner/log"));
  proxy::LogPort& port = logs.thread->add_port();
  logs.thread->start();
  std::filesystem::rename(folder.file("inner"), folder.file("moved"));
  logs.thread->reopen();
  logs.thread->await_reopen(0);
  say(port, "after\n");
  logs.thread->stop();
  EXPECT_EQ(content(folder.file("moved/log")), "after\n");
  EXPECT_NE(logs.pipe.read_all().find("the old file stays in use"), std::string::npos);
}

TEST(LogThread, AFullDiskDropsCountsAndSaysSoOnce) {
  Logs logs("/dev/full");
  proxy::LogPort& port = logs.thread->add_port();
  logs.thread->start();
  for (uint64_t count = 1; count <= 3; ++count) {
    say(port, "line\n");
    await([&] { return logs.thread->counters().access_lines_dropped == count; });
  }
  logs.thread->stop();
  EXPECT_EQ(logs.thread->counters().access_lines_written, 0u);
  EXPECT_EQ(occurrences(logs.pipe.read_all(), "access log /dev/full: no space left on device"), 1u);
}

TEST(LogThread, SaysWhenTheFileCanBeWrittenAgain) {
  Folder folder;
  const std::string link = folder.file("log");
  std::filesystem::create_symlink("/dev/full", link);
  Logs logs(link);
  proxy::LogPort& port = logs.thread->add_port();
  logs.thread->start();
  say(port, "lost\n");
  await([&] { return logs.thread->counters().access_lines_dropped == 1; });
  std::filesystem::remove(link);
  logs.thread->reopen();
  logs.thread->await_reopen(0);
  say(port, "kept\n");
  logs.thread->stop();
  EXPECT_EQ(content(link), "kept\n");
  EXPECT_NE(logs.pipe.read_all().find("can be written again; 1 lines were dropped"), std::string::npos);
}

TEST(LogThread, AFullRingDropsAndIsReported) {
  Folder folder;
  Logs logs(folder.file("log"), 64);
  proxy::LogPort& port = logs.thread->add_port();
  // Nobody empties the ring before the thread starts.
  for (int count = 0; count < 10; ++count) say(port, "0123456789abcde\n");
  logs.thread->start();
  logs.thread->stop();
  EXPECT_EQ(logs.thread->counters().access_lines_written, 4u);
  EXPECT_EQ(logs.thread->counters().access_lines_dropped, 6u);
  EXPECT_NE(logs.pipe.read_all().find("6 lines were dropped because they came faster"), std::string::npos);
}

}  // namespace
}  // namespace ringway::control
