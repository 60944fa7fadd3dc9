#include "placement.h"

#include <gtest/gtest.h>

#include "server.h"

namespace ringway::bench {
namespace {

TEST(Placement, GivesTheProxyACpuOfItsOwn) {
  const CpuPlan two = plan_cpus({0, 1}, Placement::kSplit, true);
  EXPECT_EQ(two.proxy, (std::vector{0}));
  EXPECT_EQ(two.generator, (std::vector{1}));
  EXPECT_EQ(two.origin, (std::vector{1}));
  EXPECT_FALSE(two.is_shared);
  const CpuPlan four = plan_cpus({2, 3, 6, 7}, Placement::kSplit, true);
  EXPECT_EQ(four.proxy, (std::vector{2}));
  EXPECT_EQ(four.generator, (std::vector{3}));
  EXPECT_EQ(four.origin, (std::vector{6}));
}

TEST(Placement, SaysSoWhenThereIsOneCpu) {
  const CpuPlan one = plan_cpus({0}, Placement::kSplit, true);
  EXPECT_TRUE(one.proxy.empty());
  EXPECT_TRUE(one.is_shared);
  EXPECT_NE(one.text.find("only one CPU"), std::string::npos);
}

TEST(Placement, PinsNothingWhenAskedNotTo) {
  const CpuPlan plan = plan_cpus({0, 1}, Placement::kSplit, false);
  EXPECT_TRUE(plan.proxy.empty() && plan.generator.empty() && plan.origin.empty());
  EXPECT_TRUE(plan.is_shared);
}

TEST(Placement, SpreadsEverythingOverAllCpus) {
  const CpuPlan plan = plan_cpus({0, 1}, Placement::kSpread, true);
  EXPECT_EQ(plan.proxy, (std::vector{0, 1}));
  EXPECT_EQ(plan.origin, (std::vector{0, 1}));
}

TEST(AnnouncedAddress, IsReadFromACompleteReadyLine) {
  EXPECT_EQ(announced_address("note\nringway ready: listening on 127.0.0.1:81, 2 shards\n"), "127.0.0.1:81");
  EXPECT_EQ(announced_address("ringway-relay ready: listening on 127.0.0.1:8080\n"), "127.0.0.1:8080");
  EXPECT_EQ(announced_address("ringway-relay ready: listening on 127.0.0.1:80"), std::nullopt);  // the port may go on
  EXPECT_EQ(announced_address("listening on 127.0.0.1:8080\n"), std::nullopt);
}

}  // namespace
}  // namespace ringway::bench
