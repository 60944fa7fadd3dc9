#include "control/memory_watch.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <vector>

#include "base/units.h"

namespace ringway::control {
namespace {

using proxy::Pressure;

TEST(Pressure, BeginsAtItsThresholds) {
  constexpr uint64_t kAllowed = 100'000'000;
  const std::pair<uint64_t, Pressure> cases[] = {
      {0, Pressure::kNone},
      {79'999'920, Pressure::kNone},
      {80'000'000, Pressure::kRefuseCalls},
      {91'999'908, Pressure::kRefuseCalls},
      {92'000'000, Pressure::kDrainIdle},
      {94'999'905, Pressure::kDrainIdle},
      {95'000'000, Pressure::kAcceptNone},
      {UINT64_MAX, Pressure::kAcceptNone},
  };
  for (const auto& [resident, expected] : cases) EXPECT_EQ(pressure_of(resident, kAllowed), expected) << resident;
  EXPECT_EQ(pressure_of(UINT64_MAX, 0), Pressure::kNone) << "no limit is known";
}

class MemoryLimit : public testing::Test {
 protected:
  void SetUp() override {
    root_ = std::filesystem::temp_directory_path() / ("ringway-memory-" + std::to_string(::getpid()));
    write("/proc/meminfo", "MemTotal:       1000 kB\nMemFree:        1 kB\n");
  }
  void TearDown() override { std::filesystem::remove_all(root_); }
  void write(const std::string& path, const std::string& text) {
    const auto file = std::filesystem::path(root_.string() + path);
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  std::filesystem::path root_;
};

TEST_F(MemoryLimit, IsThatOfTheMachine) {
  EXPECT_EQ(memory_limit(root_), 1'024'000u);
}

TEST_F(MemoryLimit, IsTheSmallestOfTheGroupsAbove) {
  write("/proc/self/cgroup", "1:name=systemd:/other\n0::/system.slice/ringway.service\n");
  write("/sys/fs/cgroup/system.slice/ringway.service/memory.max", "max\n");
  EXPECT_EQ(memory_limit(root_), 1'024'000u);
  write("/sys/fs/cgroup/system.slice/memory.max", "900000\n");
  EXPECT_EQ(memory_limit(root_), 900'000u);
  write("/sys/fs/cgroup/system.slice/ringway.service/memory.max", "500000\n");
  EXPECT_EQ(memory_limit(root_), 500'000u);
  write("/sys/fs/cgroup/memory.max", "400000\n");
  EXPECT_EQ(memory_limit(root_), 400'000u);
}

TEST_F(MemoryLimit, IsUnknownWithoutFiles) {
  EXPECT_EQ(memory_limit((root_ / "nothing").string()), 0u);
}

TEST(MemoryWatch, ReadsThisProcess) {
  const auto watch = MemoryWatch::create(0);
  ASSERT_TRUE(watch) << watch.error();
  EXPECT_GT(watch->allowed(), 64u * base::kMiB);
  const uint64_t before = watch->resident();
  EXPECT_GT(before, base::kMiB);
  std::vector<char> more(64 * base::kMiB, 'x');
  EXPECT_GE(watch->resident(), before + more.size() / 2);
  EXPECT_EQ(MemoryWatch::create(64 * base::kMiB)->pressure(), Pressure::kAcceptNone);
}

}  // namespace
}  // namespace ringway::control
