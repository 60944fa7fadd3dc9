#include "h2/block_cache.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/prng.h"

namespace ringway::h2 {
namespace {

constexpr uint32_t kBudget = 4096;

Field interned(FieldInterner& interner, const std::string& value) {
  FieldRecord* record = interner.intern("x-name", KnownName::kNone, value, 0);
  Field field{};
  field.record = record;
  return field;
}

// A block behind what stands for its frame's header.
struct Block {
  explicit Block(std::vector<uint8_t> octets) : framed(8, 0xaa) {
    framed.insert(framed.end(), octets.begin(), octets.end());
  }
  operator std::span<const uint8_t>() const { return std::span(framed).subspan(8); }
  std::vector<uint8_t> framed;
};

struct BlockCacheTest : testing::Test {
  FieldInterner interner{1, kBudget};
  BlockCache cache{interner};

  void store(uint64_t state, const Block& block, MessageKind kind, const std::string& value) {
    Field field = interned(interner, value);
    cache.store(state, block, kind, {&field, 1}, {});
    interner.release(*field.record);
  }
};

TEST_F(BlockCacheTest, ClearingLetsTheRecordsGoAfterTheEpoch) {
  const Block block({0xbe, 0xbf, 0xc0, 0xc1});
  store(7, block, MessageKind::kRequest, std::string(3000, 'a'));
  ASSERT_NE(cache.find(7, block, MessageKind::kRequest), nullptr);
  EXPECT_EQ(interner.intern("x-name", KnownName::kNone, std::string(2000, 'b'), 0), nullptr)
      << "the list pins its record";
  EXPECT_EQ(interner.failure_count(), 1u);
  cache.clear();
  EXPECT_EQ(cache.find(7, block, MessageKind::kRequest), nullptr);
  cache.begin_epoch();
  interner.begin_epoch();
  FieldRecord* later = interner.intern("x-name", KnownName::kNone, std::string(2000, 'b'), 0);
  ASSERT_NE(later, nullptr);
  interner.release(*later);
}

TEST_F(BlockCacheTest, AnotherStateBlockOrKindIsNotFound) {
  const Block block({0xbe, 0xbf});
  store(7, block, MessageKind::kTrailers, "value");
  EXPECT_NE(cache.find(7, block, MessageKind::kTrailers), nullptr);
  EXPECT_EQ(cache.find(8, block, MessageKind::kTrailers), nullptr);
  EXPECT_EQ(cache.find(7, block, MessageKind::kResponse), nullptr);
  EXPECT_EQ(cache.find(7, Block({0xbe, 0xc0}), MessageKind::kTrailers), nullptr);
  EXPECT_EQ(cache.find(7, Block({0xbe}), MessageKind::kTrailers), nullptr);
}

// Sizes around those at which the key is made up differently, and every octet that could differ.
TEST_F(BlockCacheTest, EveryOctetCounts) {
  for (const size_t size : {1u, 2u, 3u, 4u, 7u, 8u, 9u, 15u, 16u, 17u, 31u, 32u, 33u, 47u, 48u, 49u, 63u, 64u}) {
    std::vector<uint8_t> octets(size);
    for (size_t i = 0; i < size; ++i) octets[i] = static_cast<uint8_t>(i * 7 + size);
    store(size, Block(octets), MessageKind::kRequest, "value");
    EXPECT_NE(cache.find(size, Block(octets), MessageKind::kRequest), nullptr) << size;
    for (size_t i = 0; i < size; ++i) {
      octets[i] ^= 0x10;
      EXPECT_EQ(cache.find(size, Block(octets), MessageKind::kRequest), nullptr) << size << " at " << i;
      octets[i] ^= 0x10;
    }
  }
  EXPECT_FALSE(BlockCache::takes(std::vector<uint8_t>(BlockCache::kBlockSizeMax + 1)));
  EXPECT_FALSE(BlockCache::takes({}));
}

TEST_F(BlockCacheTest, BlocksThatMeanTheSameShareTheirList) {
  const Block first({0xbe, 0xbf});
  const Block second({0xc0, 0xc1});
  store(7, first, MessageKind::kRequest, "value");
  store(8, second, MessageKind::kRequest, "value");
  store(9, second, MessageKind::kTrailers, "value");
  store(10, second, MessageKind::kRequest, "another");
  const SharedList* const list = cache.find(7, first, MessageKind::kRequest);
  ASSERT_NE(list, nullptr);
  EXPECT_EQ(cache.find(8, second, MessageKind::kRequest), list);
  EXPECT_EQ(list->references, 2u);
  EXPECT_NE(cache.find(9, second, MessageKind::kTrailers), list);
  EXPECT_NE(cache.find(10, second, MessageKind::kRequest), list);
}

// What is said once may be new in every call; what is said twice is remembered.
TEST_F(BlockCacheTest, LiteralsAreInternedWhenTheirBlockComesBack) {
  const Block block({0x04, 0x02, '/', 'a'});
  const auto literal = [] { return make_field(KnownName::kPath, "/a"); };
  Field field = literal();
  cache.store(7, block, MessageKind::kRequest, {&field, 1}, {});
  EXPECT_EQ(field.record, nullptr);
  EXPECT_EQ(cache.find(7, block, MessageKind::kRequest), nullptr);
  cache.store(7, block, MessageKind::kRequest, {&field, 1}, {});
  ASSERT_NE(field.record, nullptr);
  const SharedList* const list = cache.find(7, block, MessageKind::kRequest);
  ASSERT_NE(list, nullptr);
  EXPECT_EQ(list->fields[0].value(), "/a");
  EXPECT_EQ(list->fields[0].record->references, 1u) << "the list's alone";
}

TEST_F(BlockCacheTest, WhatMustNotBeIndexedIsNeverInterned) {
  const Block block({0x14, 0x02, '/', 'a'});
  for (int i = 0; i < 3; ++i) {
    Field field = make_field(KnownName::kAuthorization, "secret");
    field.flags = kFieldNeverIndex;
    cache.store(7, block, MessageKind::kRequest, {&field, 1}, {});
    EXPECT_EQ(field.record, nullptr);
    EXPECT_EQ(cache.find(7, block, MessageKind::kRequest), nullptr);
  }
  EXPECT_EQ(interner.record_count(), 0u);
}

// Many more blocks than there are places: the lists that go stay readable for the epoch, and all goes in the end.
TEST_F(BlockCacheTest, ManyBlocksReplaceEachOther) {
  base::Prng prng(3);
  for (uint32_t round = 0; round < 40; ++round) {
    cache.begin_epoch();
    interner.begin_epoch();
    for (uint32_t i = 0; i < 500; ++i) {
      const auto number = static_cast<uint16_t>(prng.below(30'000));
      const Block block({0xbe, static_cast<uint8_t>(number >> 8), static_cast<uint8_t>(number)});
      if (const SharedList* const list = cache.find(1, block, MessageKind::kRequest)) {
        ASSERT_EQ(list->fields[0].value(), std::to_string(number % 20));
      } else {
        store(1, block, MessageKind::kRequest, std::to_string(number % 20));
      }
    }
  }
  EXPECT_EQ(interner.record_count(), 20u);
}

}  // namespace
}  // namespace ringway::h2
