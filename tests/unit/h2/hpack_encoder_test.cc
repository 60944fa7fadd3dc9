#include "h2/hpack_encoder.h"

#include <gtest/gtest.h>

#include <deque>

#include "base/block_pool.h"
#include "base/byte_queue.h"
#include "decoder_bench.h"

namespace ringway::h2 {
namespace {

class HpackEncoderTest : public testing::Test {
 protected:
  Field interned(std::string_view name, std::string_view value, uint8_t flags = 0) {
    Field field{};
    field.known = find_known_name(name);
    field.record = interner_.intern(name, field.known, value, flags);
    field.flags = flags;
    return field;
  }

  std::string encode(std::span<const Field> fields) {
    encoder_.begin_block(out_, pool_);
    encoder_.encode_all(fields, out_, pool_);
    const std::string at_once = take();
    twin_.begin_block(out_, pool_);
    for (const Field& field : fields) twin_.encode(field, out_, pool_);
    EXPECT_EQ(at_once, take()) << "encode_all() writes what encode() does";
    return at_once;
  }

  void set_peer_table_size(uint32_t bytes) {
    encoder_.set_peer_table_size(bytes);
    twin_.set_peer_table_size(bytes);
  }

  std::string take() {
    const std::string block(reinterpret_cast<const char*>(out_.data()), out_.size());
    out_.release(pool_);
    return block;
  }

  // What nghttp2 reads from the block must be what went in; the block is handed back.
  std::string expect_inflates(const std::vector<Field>& fields) {
    const std::string block = encode(fields);
    EXPECT_EQ(inflater_.decode(block), plain(fields));
    return block;
  }

  FieldInterner interner_{3, 1 << 22};
  base::BlockPool pool_;
  base::ByteQueue out_;
  HpackEncoder encoder_;
  HpackEncoder twin_;
  Inflater inflater_;
};

TEST_F(HpackEncoderTest, StaticRecordsAreOneOctet) {
  for (uint32_t index = 1; index <= kStaticTableSize; ++index) {
    Field field{};
    field.record = interner_.static_record(index);
    field.known = field.record->known;
    EXPECT_EQ(expect_inflates({field}), hpack_integer(0x80, 7, index));
  }
  EXPECT_EQ(encoder_.entry_count(), 0u);
}

TEST_F(HpackEncoderTest, ARecordIsInsertedOnceAndThenIndexed) {
  const Field field = interned("x-tenant", "blue");
  EXPECT_EQ(expect_inflates({field}), hpack_literal(kLiteralIncremental, "x-tenant", "blue"));
  EXPECT_EQ(encoder_.table_bytes(), field.record->hpack_size());
  EXPECT_EQ(expect_inflates({field}), hpack_integer(0x80, 7, 62));
  EXPECT_EQ(expect_inflates({field, field}), std::string(2, *hpack_integer(0x80, 7, 62).data()));
  EXPECT_EQ(encoder_.entry_count(), 1u);
}

TEST_F(HpackEncoderTest, LiteralsAreNeverInserted) {
  const Field known = make_field(KnownName::kGrpcTimeout, "10S");
  const Field named = make_field(KnownName::kAuthority, "here");
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(expect_inflates({known, named}),
              hpack_literal(kLiteralPlain, "grpc-timeout", "10S") + "\x01" + hpack_string("here"));
  }
  EXPECT_EQ(encoder_.entry_count(), 0u);
}

TEST_F(HpackEncoderTest, NeverIndexedStaysSo) {
  Field literal = make_field(KnownName::kAuthorization, "Bearer x");
  literal.flags = kFieldNeverIndex;
  const Field record = interned("x-token", "t", kFieldNeverIndex);
  EXPECT_EQ(expect_inflates({literal, record}),
            hpack_integer(0x10, 4, 23) + hpack_string("Bearer x") + hpack_literal(kLiteralNever, "x-token", "t"));
  EXPECT_EQ(encoder_.entry_count(), 0u);
}

TEST_F(HpackEncoderTest, WithoutATableNothingIsInserted) {
  encoder_.forgo_table();
  twin_.forgo_table();
  Field post{};
  post.record = interner_.static_record(3);
  post.known = post.record->known;
  const Field tenant = interned("x-tenant", "blue");
  const Field path = interned(":path", "/a.B/C");
  const Field literal = make_field(KnownName::kGrpcTimeout, "10S");
  const std::string expected = hpack_integer(0x80, 7, 3) + hpack_literal(kLiteralPlain, "x-tenant", "blue") +
                               hpack_integer(kLiteralPlain, 4, 4) + hpack_string("/a.B/C") +
                               hpack_literal(kLiteralPlain, "grpc-timeout", "10S");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(expect_inflates({post, tenant, path, literal}), expected);
  // A size that the peer sets is announced all the same (section 4.2).
  for (const uint32_t size : {0u, 4096u}) {
    set_peer_table_size(size);
    inflater_.change_table_size(size);
    EXPECT_EQ(expect_inflates({post, tenant, path, literal}), hpack_integer(0x20, 5, size) + expected);
  }
  EXPECT_EQ(encoder_.entry_count(), 0u);
  EXPECT_EQ(inflater_.table_bytes(), 0u);
}

// A literal goes on with the octets of its value as they came, Huffman coded or not.
TEST_F(HpackEncoderTest, TheWireFormOfAValueIsCopied) {
  base::Prng prng(8);
  DecoderBench bench(interner_);
  for (int round = 0; round < 300; ++round) {
    const std::string value(prng.below(round % 20 == 0 ? 3000 : 200), static_cast<char>('0' + prng.below(10)));
    const bool huffman = prng.below(2) == 0;
    const uint8_t pattern = prng.below(2) == 0 ? kLiteralNever : kLiteralPlain;
    const std::string block = hpack_literal(pattern, "x-some-name", value, huffman);
    ASSERT_TRUE(bench.decode(block).is_valid);
    const std::string again = encode({bench.fields.data(), bench.fields.size()});
    EXPECT_EQ(again, static_cast<char>(pattern) + hpack_string("x-some-name") + hpack_string(value, huffman));
    EXPECT_EQ(inflater_.decode(again), plain({bench.fields.data(), bench.fields.size()}));
  }
}

TEST_F(HpackEncoderTest, StatelessBlocksDoNotTouchTheTable) {
  const Field record = interned("x-tenant", "blue");
  expect_inflates({record});
  Field status = make_field(KnownName::kGrpcStatus, "0");
  Field stat{};
  stat.record = interner_.static_record(8);
  stat.known = KnownName::kStatus;
  for (const Field& field : {record, status, stat}) encode_stateless(field, out_, pool_);
  const std::string block = take();
  EXPECT_EQ(block, hpack_literal(kLiteralPlain, "x-tenant", "blue") + hpack_literal(kLiteralPlain, "grpc-status", "0") +
                       "\x88");
  EXPECT_EQ(Inflater().decode(block)->size(), 3u) << "any decoder reads it, whatever its table holds";
}

TEST_F(HpackEncoderTest, LongValuesAreNotInserted) {
  expect_inflates({interned("x-long", std::string(512, 'v'))});
  EXPECT_EQ(encoder_.entry_count(), 1u);
  expect_inflates({interned("x-long", std::string(513, 'v'))});
  EXPECT_EQ(encoder_.entry_count(), 1u);
}

TEST_F(HpackEncoderTest, TableSizesAreAnnounced) {
  const Field field = interned("x-tenant", "blue");
  expect_inflates({field});
  // Nothing changes: nothing is announced. 4,096 is the most that is used.
  set_peer_table_size(4096);
  set_peer_table_size(65'536);
  EXPECT_EQ(expect_inflates({field}), hpack_integer(0x80, 7, 62));
  // Down to nothing: everything is a literal.
  set_peer_table_size(0);
  inflater_.change_table_size(0);
  EXPECT_EQ(expect_inflates({field}), hpack_integer(0x20, 5, 0) + hpack_literal(kLiteralPlain, "x-tenant", "blue"));
  EXPECT_EQ(expect_inflates({field}), hpack_literal(kLiteralPlain, "x-tenant", "blue"));
  EXPECT_EQ(encoder_.table_bytes(), 0u);
  // And back.
  set_peer_table_size(4096);
  inflater_.change_table_size(4096);
  EXPECT_EQ(expect_inflates({field}),
            hpack_integer(0x20, 5, 4096) + hpack_literal(kLiteralIncremental, "x-tenant", "blue"));
  EXPECT_EQ(expect_inflates({field}), hpack_integer(0x80, 7, 62));
}

// Section 4.2: of several changes between two blocks the smallest and the last are announced.
TEST_F(HpackEncoderTest, TheSmallestSizeInBetweenIsAnnounced) {
  const Field field = interned("x-tenant", "blue");
  expect_inflates({field});
  for (const uint32_t size : {2000u, 0u, 50u, 3000u}) {
    set_peer_table_size(size);
    inflater_.change_table_size(size);
  }
  EXPECT_EQ(expect_inflates({field}), hpack_integer(0x20, 5, 0) + hpack_integer(0x20, 5, 3000) +
                                          hpack_literal(kLiteralIncremental, "x-tenant", "blue"));
  // Shrinks and grows back to where it was: still announced, since the peer has evicted.
  set_peer_table_size(10);
  set_peer_table_size(3000);
  inflater_.change_table_size(10);
  inflater_.change_table_size(3000);
  EXPECT_EQ(expect_inflates({field}), hpack_integer(0x20, 5, 10) + hpack_integer(0x20, 5, 3000) +
                                          hpack_literal(kLiteralIncremental, "x-tenant", "blue"));
}

TEST_F(HpackEncoderTest, MoreThan128EntriesAreIndexedInTwoOctets) {
  std::vector<Field> fields;
  // 34 octets each: 120 fit; 66 and more of them have indexes of two octets.
  for (int i = 0; i < 120; ++i) fields.push_back(interned("n", std::string(1, static_cast<char>(' ' + 1 + i % 94))));
  for (int i = 94; i < 120; ++i)
    fields[static_cast<size_t>(i)] = interned("m", std::string(1, static_cast<char>('A' + i - 94)));
  expect_inflates(fields);
  EXPECT_EQ(encoder_.entry_count(), 120u);
  const std::string block = expect_inflates(fields);
  EXPECT_EQ(block.size(), 65u + 55 * 2);
}

// Records whose indexes collide in the map of slots: it grows to 256 and then the later record stays a literal.
TEST_F(HpackEncoderTest, ConflictingSlots) {
  std::deque<Field> records;
  for (int i = 0; i < 1100; ++i) records.push_back(interned("x-" + std::to_string(i), "v"));
  const auto with_index = [&](uint32_t index) {
    for (const Field& field : records) {
      if (field.record->index == index) return field;
    }
    ADD_FAILURE() << index;
    return records.front();
  };
  // 16 apart: found again after each growth.
  std::vector<Field> apart;
  for (uint32_t i = 0; i < 10; ++i) apart.push_back(with_index(100 + 16 * i));
  expect_inflates(apart);
  EXPECT_EQ(expect_inflates(apart).size(), apart.size());
  // 256 apart: only the first can have the slot.
  const Field first = with_index(300);
  const Field second = with_index(556);
  const Field third = with_index(812);
  expect_inflates({first, second, third});
  const std::string block = expect_inflates({first, second, third});
  EXPECT_EQ(block.size(), 1 + hpack_literal(0, second.record->name(), "v").size() +
                              hpack_literal(0, third.record->name(), "v").size());
  // When the first has left the table the slot is free for another.
  set_peer_table_size(0);
  set_peer_table_size(4096);
  inflater_.change_table_size(0);
  inflater_.change_table_size(4096);
  expect_inflates({second});
  EXPECT_EQ(expect_inflates({second}).size(), 1u);
}

// More repeating fields than fit: the hot ones keep their place, and most of what is sent stays indexed.
TEST_F(HpackEncoderTest, HotEntriesAreNotPushedOutByAScan) {
  std::vector<Field> hot;
  for (int i = 0; i < 60; ++i) hot.push_back(interned("hot-" + std::to_string(i), std::string(20, 'h')));
  size_t octets = 0;
  for (int round = 0; round < 200; ++round) {
    std::vector<Field> block = hot;
    block.push_back(interned("scan-" + std::to_string(round), std::string(100, 's')));
    const size_t size = expect_inflates(block).size();
    if (round >= 100) octets += size;
  }
  // 60 octets of indexes and one literal of about 110 a block, and a share for what a rare eviction costs.
  EXPECT_LT(octets / 100, 300u);
  EXPECT_GT(encoder_.entry_count(), 50u);
}

// Entries that no block has used for a while go as soon as there is need.
TEST_F(HpackEncoderTest, ColdEntriesMakeRoom) {
  for (int i = 0; i < 200; ++i) expect_inflates({interned("cold-" + std::to_string(i), std::string(200, 'c'))});
  const Field fresh = interned("fresh", "value");
  for (int i = 0; i < 70; ++i) expect_inflates({interned("x", "y")});
  expect_inflates({fresh});
  EXPECT_EQ(expect_inflates({fresh}).size(), 1u);
}

TEST_F(HpackEncoderTest, RandomBlocksAndSettingsAreReadByNghttp2) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    base::Prng prng(seed);
    FieldInterner interner(seed, seed % 4 == 0 ? 3000u : 1u << 20);
    DecoderBench bench(interner);
    Deflater deflater;
    HpackEncoder encoder;
    Inflater inflater;
    for (int round = 0; round < 300; ++round) {
      const PlainList list = random_list(prng, round % 30 == 0 ? 150 : 20, round % 10 == 0 ? 3000 : 60);
      // Through a decoder, so that literals and records mix as they do in a proxy.
      ASSERT_EQ(bench.list(deflater.encode(list)), with_sensitive_marked(list));
      if (prng.below(20) == 0) {
        for (uint32_t changes = 1 + prng.below(3); changes-- != 0;) {
          const uint32_t size = prng.below(3) == 0 ? 0 : prng.below(6000);
          encoder.set_peer_table_size(size);
          inflater.change_table_size(size);
        }
      }
      encoder.begin_block(out_, pool_);
      if (prng.below(2) == 0) {
        encoder.encode_all({bench.fields.data(), bench.fields.size()}, out_, pool_);
      } else {
        for (const Field& field : bench.fields) encoder.encode(field, out_, pool_);
      }
      ASSERT_EQ(inflater.decode(take()), plain({bench.fields.data(), bench.fields.size()}))
          << "seed " << seed << " round " << round;
      ASSERT_LE(encoder.table_bytes(), 4096u);
    }
  }
}

}  // namespace
}  // namespace ringway::h2
