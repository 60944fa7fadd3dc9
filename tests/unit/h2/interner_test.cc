// Interned fields: when a field becomes a record, who shares it, how long it lives.
#include <gtest/gtest.h>

#include "base/block_pool.h"
#include "base/byte_queue.h"
#include "decoder_bench.h"
#include "h2/hpack_encoder.h"

namespace ringway::h2 {
namespace {

const std::string kNewest = hpack_integer(0x80, 7, 62);

TEST(Interner, AFieldIsInternedAtItsFirstReference) {
  FieldInterner interner(1, 1 << 20);
  DecoderBench bench(interner);
  bench.decode(hpack_literal(kLiteralIncremental, "x-tenant", "blue"));
  EXPECT_EQ(bench.fields.at(0).record, nullptr);
  EXPECT_EQ(interner.record_count(), 0u);
  bench.decode(kNewest);
  FieldRecord* const record = bench.fields.at(0).record;
  ASSERT_NE(record, nullptr);
  EXPECT_EQ(record->name(), "x-tenant");
  EXPECT_EQ(record->value(), "blue");
  EXPECT_EQ(record->references, 1u);
  EXPECT_EQ(interner.bytes(), 8u + 4 + 32);
  bench.decode(kNewest);
  EXPECT_EQ(bench.fields.at(0).record, record);
  EXPECT_EQ(record->references, 1u);
}

TEST(Interner, TwoConnectionsShareARecord) {
  FieldInterner interner(1, 1 << 20);
  DecoderBench one(interner);
  FieldRecord* record = nullptr;
  {
    DecoderBench other(interner);
    for (DecoderBench* bench : {&one, &other}) {
      bench->decode(hpack_literal(kLiteralIncremental, "x-tenant", "blue"));
      bench->decode(kNewest);
      if (record == nullptr) record = bench->fields.at(0).record;
      EXPECT_EQ(bench->fields.at(0).record, record);
    }
    EXPECT_EQ(record->references, 2u);
    EXPECT_EQ(interner.record_count(), 1u);
  }
  EXPECT_EQ(record->references, 1u);
  one.decode(hpack_integer(0x20, 5, 0));
  EXPECT_EQ(record->references, 0u);
  EXPECT_TRUE(record->is_idle);
  EXPECT_EQ(interner.record_count(), 1u) << "idle records stay until their place is needed";
}

TEST(Interner, SensitiveAndNeverIndexedFieldsStayPrivate) {
  FieldInterner interner(1, 1 << 20);
  DecoderBench bench(interner);
  for (const std::string_view name : {"authorization", "cookie", "proxy-authorization"}) {
    EXPECT_EQ(bench.list(hpack_literal(kLiteralIncremental, name, "secret")),
              (PlainList{{std::string(name), "secret", true}}));
    EXPECT_EQ(bench.list(kNewest), (PlainList{{std::string(name), "secret", true}}));
    EXPECT_EQ(bench.fields.at(0).record, nullptr);
  }
  EXPECT_EQ(bench.list(hpack_literal(kLiteralNever, "x-token", "t")), (PlainList{{"x-token", "t", true}}));
  EXPECT_EQ(interner.record_count(), 0u);
}

TEST(Interner, AFullBudgetLeavesFieldsPrivate) {
  for (const uint32_t budget : {39u, 40u, 41u}) {
    FieldInterner interner(1, budget);
    DecoderBench bench(interner);
    bench.decode(hpack_literal(kLiteralIncremental, "name", "four"));
    EXPECT_EQ(bench.list(kNewest), (PlainList{{"name", "four"}}));
    EXPECT_EQ(bench.fields.at(0).record != nullptr, budget >= 40);
    // In use it is not evicted: the next stays private.
    bench.decode(hpack_literal(kLiteralIncremental, "next", "four"));
    EXPECT_EQ(bench.list(kNewest), (PlainList{{"next", "four"}}));
    EXPECT_EQ(bench.fields.at(0).record, nullptr);
    EXPECT_LE(interner.bytes(), budget);
  }
}

TEST(Interner, IdleRecordsMakeRoomOldestFirstButNotInTheirEpoch) {
  FieldInterner interner(1, 3 * 40);
  FieldRecord* records[3];
  for (int i = 0; i < 3; ++i) {
    records[i] = interner.intern("name", KnownName::kNone, "val" + std::to_string(i), 0);
    ASSERT_NE(records[i], nullptr);
  }
  for (FieldRecord* record : records) interner.release(*record);
  // Decoded lists of this call may still name them.
  EXPECT_EQ(interner.intern("name", KnownName::kNone, "new1", 0), nullptr);
  EXPECT_EQ(records[0]->value(), "val0");
  interner.begin_epoch();
  // One that is used again is out of danger.
  EXPECT_EQ(interner.intern("name", KnownName::kNone, "val0", 0), records[0]);
  const uint32_t index = records[1]->index;
  const uint32_t generation = records[1]->generation;
  FieldRecord* const fresh = interner.intern("name", KnownName::kNone, "new1", 0);
  ASSERT_NE(fresh, nullptr);
  EXPECT_EQ(fresh->index, index) << "the oldest idle one gave its index";
  EXPECT_NE(fresh->generation, generation);
  EXPECT_EQ(interner.record_count(), 3u);
  EXPECT_EQ(interner.intern("name", KnownName::kNone, "val2", 0), records[2]);
}

TEST(Interner, FlagsTellRecordsApart) {
  FieldInterner interner(1, 1 << 20);
  FieldRecord* const plain_record = interner.intern("name", KnownName::kNone, "value", 0);
  FieldRecord* const marked = interner.intern("name", KnownName::kNone, "value", kFieldMalformed);
  EXPECT_NE(plain_record, marked);
  // The border between name and value belongs to the key.
  EXPECT_NE(interner.intern("namev", KnownName::kNone, "alue", 0), plain_record);
}

TEST(Interner, ManyRecordsAreFoundAgain) {
  FieldInterner interner(0, 1 << 24);
  std::vector<FieldRecord*> records;
  for (int i = 0; i < 5000; ++i) records.push_back(interner.intern("x", KnownName::kNone, std::to_string(i), 0));
  for (int i = 0; i < 5000; ++i) {
    EXPECT_EQ(interner.intern("x", KnownName::kNone, std::to_string(i), 0), records[static_cast<size_t>(i)]);
  }
  EXPECT_EQ(interner.record_count(), 5000u);
}

// An encoder remembers {index, generation}: when the index gets another field it must not write the old one's place.
TEST(Interner, AnEncoderNoticesThatARecordWasReplaced) {
  FieldInterner interner(1, 40);
  base::BlockPool pool;
  base::ByteQueue out;
  HpackEncoder encoder;
  Inflater inflater;
  const auto encode = [&](const FieldRecord& record) {
    Field field{};
    field.record = const_cast<FieldRecord*>(&record);
    encoder.begin_block(out, pool);
    encoder.encode(field, out, pool);
    const std::string block(reinterpret_cast<const char*>(out.data()), out.size());
    out.release(pool);
    return inflater.decode(block);
  };
  for (int i = 0; i < 10; ++i) {
    const std::string value = "val" + std::to_string(i);
    FieldRecord* const record = interner.intern("name", KnownName::kNone, value, 0);
    ASSERT_NE(record, nullptr);
    EXPECT_EQ(record->index, kStaticTableSize) << "the only index beyond the static ones, reused each time";
    for (int use = 0; use < 3; ++use) EXPECT_EQ(encode(*record), (PlainList{{"name", value}}));
    interner.release(*record);
    interner.begin_epoch();
  }
}

// Connections come and go with random tables under a budget that always binds; every list must come out right.
TEST(Interner, ChurnUnderATightBudget) {
  FieldInterner interner(7, 2000);
  base::Prng prng(5);
  struct Side {
    explicit Side(FieldInterner& shared) : bench(shared) {}
    DecoderBench bench;
    Deflater deflater;
  };
  std::vector<std::unique_ptr<Side>> sides(4);
  for (int round = 0; round < 4000; ++round) {
    auto& side = sides[prng.below(4)];
    if (side == nullptr || prng.below(50) == 0) side = std::make_unique<Side>(interner);
    const PlainList list = random_list(prng, 10, 60);
    ASSERT_EQ(side->bench.list(side->deflater.encode(list)), with_sensitive_marked(list)) << round;
    ASSERT_LE(interner.bytes(), 2000u);
  }
  sides.clear();
  EXPECT_GT(interner.record_count(), 0u);
}

}  // namespace
}  // namespace ringway::h2
