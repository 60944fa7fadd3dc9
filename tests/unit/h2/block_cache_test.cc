#include "h2/block_cache.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace ringway::h2 {
namespace {

constexpr uint32_t kBudget = 4096;

Field interned(FieldInterner& interner, const std::string& value) {
  FieldRecord* record = interner.intern("x-name", KnownName::kNone, value, 0);
  Field field{};
  field.record = record;
  return field;
}

TEST(BlockCache, ClearingLetsTheRecordsGoAfterTheEpoch) {
  FieldInterner interner(1, kBudget);
  BlockCache cache(interner);
  const std::vector<uint8_t> block = {0xbe, 0xbf, 0xc0, 0xc1};
  const Field field = interned(interner, std::string(3000, 'a'));
  ASSERT_NE(field.record, nullptr);
  cache.store(7, block, MessageKind::kRequest, {&field, 1}, {});
  interner.release(*field.record);
  ASSERT_NE(cache.find(7, block), nullptr);
  EXPECT_EQ(interner.intern("x-name", KnownName::kNone, std::string(2000, 'b'), 0), nullptr)
      << "the list pins its record";
  EXPECT_EQ(interner.failure_count(), 1u);
  cache.clear();
  EXPECT_EQ(cache.find(7, block), nullptr);
  cache.begin_epoch();
  interner.begin_epoch();
  FieldRecord* later = interner.intern("x-name", KnownName::kNone, std::string(2000, 'b'), 0);
  ASSERT_NE(later, nullptr);
  interner.release(*later);
}

TEST(BlockCache, AnotherStateOrAnotherBlockIsNotFound) {
  FieldInterner interner(1, kBudget);
  BlockCache cache(interner);
  const std::vector<uint8_t> block = {0xbe, 0xbf};
  const std::vector<uint8_t> other = {0xbe, 0xc0};
  const Field field = interned(interner, "value");
  cache.store(7, block, MessageKind::kTrailers, {&field, 1}, {});
  interner.release(*field.record);
  EXPECT_NE(cache.find(7, block), nullptr);
  EXPECT_EQ(cache.find(8, block), nullptr);
  EXPECT_EQ(cache.find(7, other), nullptr);
  EXPECT_EQ(cache.find(7, {block.data(), 1}), nullptr);
}

}  // namespace
}  // namespace ringway::h2
