#include "shard/source_table.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "base/prng.h"

namespace ringway::shard {
namespace {

Source source_of(const std::string& text) {
  return io::source_of(*io::Address::parse(text));
}

TEST(SourceTableTest, WhatIsOneSource) {
  EXPECT_EQ(source_of("192.0.2.1:1000"), source_of("192.0.2.1:2000"));
  EXPECT_NE(source_of("192.0.2.1:1000"), source_of("192.0.2.2:1000"));
  EXPECT_EQ(source_of("192.0.2.1:1000"), source_of("[::ffff:192.0.2.1]:1000")) << "as a dual-stack socket shows it";
  EXPECT_EQ(source_of("[2001:db8:1:2::1]:1"), source_of("[2001:db8:1:2:ffff::9]:1")) << "one /64";
  EXPECT_NE(source_of("[2001:db8:1:2::1]:1"), source_of("[2001:db8:1:3::1]:1"));
  EXPECT_EQ(source_of("unix:/tmp/x"), Source{});
}

TEST(SourceTableTest, AtItsLimit) {
  SourceTable table;
  const Source source = source_of("192.0.2.1:1");
  EXPECT_TRUE(table.add(source, 3));
  EXPECT_TRUE(table.add(source, 3));
  EXPECT_TRUE(table.add(source, 3));
  EXPECT_FALSE(table.add(source, 3));
  EXPECT_TRUE(table.add(source_of("192.0.2.2:1"), 3));
  table.remove(source);
  EXPECT_TRUE(table.add(source, 3));
  EXPECT_FALSE(table.add(source, 3));
  EXPECT_EQ(table.size(), 2u);
}

TEST(SourceTableTest, WithoutAddressesNothingIsCounted) {
  SourceTable table;
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(table.add(Source{}, 1));
  table.remove(Source{});
  EXPECT_EQ(table.size(), 0u);
}

// Against a map, with few enough addresses that they meet, come and go.
TEST(SourceTableTest, AsAMapDoesIt) {
  SourceTable table;
  std::map<Source, uint32_t> expected;
  base::Prng prng(11);
  for (int step = 0; step < 200'000; ++step) {
    Source source{};
    source[0] = 0x20;
    source[7] = static_cast<uint8_t>(prng.below(200));
    uint32_t& count = expected[source];
    // In waves, so that the table fills and empties.
    if (prng.below(100) < (step / 5000 % 2 == 0 ? 65u : 35u)) {
      const bool is_added = table.add(source, 4);
      ASSERT_EQ(is_added, count < 4) << step;
      count += is_added;
    } else if (count != 0) {
      table.remove(source);
      --count;
    }
  }
  uint32_t used = 0;
  for (const auto& [source, count] : expected) {
    used += count != 0;
    for (uint32_t i = 0; i < count; ++i) table.remove(source);
  }
  EXPECT_GT(used, 0u);
  EXPECT_EQ(table.size(), 0u);
}

}  // namespace
}  // namespace ringway::shard
