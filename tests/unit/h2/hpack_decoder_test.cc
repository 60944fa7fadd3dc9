#include "h2/hpack_decoder.h"

#include <gtest/gtest.h>

#include "decoder_bench.h"

namespace ringway::h2 {
namespace {

class HpackDecoderTest : public testing::Test {
 protected:
  FieldInterner interner_{42, 1 << 20};
  DecoderBench bench_{interner_};

  bool rejects(const std::string& block) { return !bench_.decode(block).is_valid; }
};

TEST_F(HpackDecoderTest, TheStaticTableIsNghttp2s) {
  for (uint32_t index = 1; index <= kStaticTableSize; ++index) {
    const std::string block = hpack_integer(0x80, 7, index);
    EXPECT_EQ(bench_.list(block), Inflater().decode(block)) << index;
    EXPECT_EQ(bench_.fields.at(0).record, interner_.static_record(index));
    EXPECT_EQ(bench_.fields.at(0).known, find_known_name(bench_.fields.at(0).name()));
    EXPECT_EQ(interner_.static_record(index)->static_index, index);
  }
}

// A credential is not interned. An octet may name it all the same, and then costs an octet, not another copy.
TEST_F(HpackDecoderTest, ReferencesToACredentialShareACopy) {
  const std::string value(1000, 'v');
  for (const bool is_coded : {false, true}) {
    bench_.list(hpack_literal(kLiteralIncremental, "authorization", value, is_coded) +
                hpack_literal(kLiteralIncremental, "cookie", value, is_coded));
    std::string block;
    for (int i = 0; i < 500; ++i) block += "\xbe\xbf";
    const DecodedBlock decoded = bench_.decode(block);
    ASSERT_TRUE(decoded.is_valid);
    EXPECT_EQ(decoded.list_bytes, 500u * (1013 + 32) + 500u * (1006 + 32));
    EXPECT_LE(decoded.literal_octets, 2u * 2 * 1045);
    PlainList expected;
    for (int i = 0; i < 500; ++i) {
      expected.push_back({"cookie", value, true});
      expected.push_back({"authorization", value, true});
    }
    EXPECT_EQ(plain(bench_.fields), expected);
    for (const Field& field : bench_.fields) {
      const Field& first = bench_.fields.at(field.known == KnownName::kCookie ? 0 : 1);
      EXPECT_TRUE(field.value_octets == first.value_octets && field.wire_value == first.wire_value);
    }
  }
}

TEST_F(HpackDecoderTest, AnEmptyBlockIsAnEmptyList) {
  EXPECT_EQ(bench_.list(""), PlainList{});
}

TEST_F(HpackDecoderTest, IntegersThatAreTooLongAreRejected) {
  // Section 5.1 lets an implementation bound length and value.
  EXPECT_TRUE(rejects(from_hex("ff ff ff ff ff 0f")));
  EXPECT_TRUE(rejects(from_hex("ff 80 80 80 80 80 80 80 80 80 00")));
  EXPECT_TRUE(rejects(from_hex("ff ff ff ff ff ff ff ff ff ff ff")));
  EXPECT_TRUE(rejects(from_hex("00 7f ff ff ff ff 0f")));
  EXPECT_TRUE(rejects(from_hex("3f ff ff ff ff 0f")));
  // Superfluous zeros within the bound are no error: 61 again, and 62 - 61 = 1 octet of name.
  EXPECT_EQ(bench_.list(from_hex("bd")), bench_.list(hpack_integer(0x80, 7, 61)));
  EXPECT_EQ(bench_.list(from_hex("0f 80 80 00 00")), (PlainList{{"accept-charset", ""}}));
}

TEST_F(HpackDecoderTest, EveryCutOfABlockIsRejected) {
  const std::string block = hpack_literal(kLiteralNever, std::string(200, 'n'), std::string(300, 'v')) +
                            hpack_literal(kLiteralPlain, "coded", "0000000", true);
  ASSERT_EQ(bench_.list(block).size(), 2u);
  const size_t first = 1 + 2 + 200 + 3 + 300;
  for (size_t size = 0; size < block.size(); ++size) {
    EXPECT_EQ(bench_.decode(block.substr(0, size)).is_valid, size == 0 || size == first) << size;
  }
}

TEST_F(HpackDecoderTest, SizeUpdatesEvictAtOnce) {
  for (int i = 0; i < 5; ++i) bench_.list(hpack_literal(kLiteralIncremental, "n" + std::to_string(i), "v"));
  EXPECT_EQ(bench_.decoder.table_bytes(), 5u * 35);
  for (const uint32_t size : {5u * 35, 5u * 35 - 1, 2u * 35 + 34, 35u, 34u, 0u}) {
    bench_.list(hpack_integer(0x20, 5, size));
    EXPECT_EQ(bench_.decoder.entry_count(), size / 35) << size;
    EXPECT_EQ(bench_.decoder.table_bytes(), size / 35 * 35) << size;
  }
  // A table of size zero takes nothing, and that is no error.
  EXPECT_EQ(bench_.list(hpack_literal(kLiteralIncremental, "a", "b")), (PlainList{{"a", "b"}}));
  EXPECT_EQ(bench_.decoder.entry_count(), 0u);
  // Grown again it works again.
  bench_.list(hpack_integer(0x20, 5, 4096) + hpack_literal(kLiteralIncremental, "a", "b"));
  EXPECT_EQ(bench_.list(hpack_integer(0x80, 7, 62)), (PlainList{{"a", "b"}}));
}

// Section 4.4: the name of the new entry may be that of an entry which its insertion evicts.
TEST_F(HpackDecoderTest, ANameMayComeFromTheEntryThatIsEvicted) {
  const std::string name(100, 'n');
  bench_.list(hpack_literal(kLiteralIncremental, name, std::string(3900, 'v')));
  ASSERT_EQ(bench_.decoder.entry_count(), 1u);
  const std::string value(3500, 'w');
  EXPECT_EQ(bench_.list(hpack_integer(0x40, 6, 62) + hpack_string(value)), (PlainList{{name, value}}));
  EXPECT_EQ(bench_.decoder.entry_count(), 1u);
  EXPECT_EQ(bench_.list(hpack_integer(0x80, 7, 62)), (PlainList{{name, value}}));
}

// Fields stay readable to the end of the call though their entries are evicted and the octets moved within it.
TEST_F(HpackDecoderTest, FieldsOutliveTheirEntriesWithinABlock) {
  std::string block = hpack_literal(kLiteralIncremental, "early", "bird");
  block += hpack_integer(0x80, 7, 62);
  block += hpack_integer(0x40, 6, 62) + hpack_string("name from the table");
  PlainList expected{{"early", "bird"}, {"early", "bird"}, {"early", "name from the table"}};
  for (int i = 0; i < 300; ++i) {
    const std::string value(static_cast<size_t>(i) + 100, static_cast<char>('a' + i % 26));
    block += hpack_literal(kLiteralIncremental, "x-" + std::to_string(i), value, i % 2 == 0);
    expected.push_back({"x-" + std::to_string(i), value});
    if (i % 7 != 0) continue;
    block += hpack_integer(0x80, 7, 63);
    expected.push_back(i == 0 ? PlainField{"early", "name from the table"} : expected[expected.size() - 2]);
  }
  EXPECT_EQ(bench_.list(block), expected);
}

TEST_F(HpackDecoderTest, AManyEntryTableIsIndexedInOrder) {
  // 4096 / 34 = 120 entries of the smallest size with a one-octet name and value.
  for (int i = 0; i < 1000; ++i) {
    const std::string value(1, static_cast<char>('a' + i % 26));
    bench_.list(hpack_literal(kLiteralIncremental, "n", value));
    const int newest = std::min(i, 119);
    for (const int age : {0, newest / 2, newest}) {
      const std::string expected(1, static_cast<char>('a' + (i - age) % 26));
      ASSERT_EQ(bench_.list(hpack_integer(0x80, 7, 62u + static_cast<uint32_t>(age))), (PlainList{{"n", expected}}));
    }
  }
  EXPECT_EQ(bench_.decoder.entry_count(), 120u);
}

TEST_F(HpackDecoderTest, RandomListsFromNghttp2) {
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    base::Prng prng(seed);
    DecoderBench bench(interner_);
    const size_t table_max = seed % 3 == 0 ? 300 : 4096;
    Deflater deflater(table_max);
    for (int round = 0; round < 150; ++round) {
      // A list is decoded after nghttp2's own rules; its names are not checked there.
      const PlainList list = random_list(prng, 25, round % 10 == 0 ? 6000 : 120);
      if (prng.below(12) == 0) deflater.change_table_size(prng.below(static_cast<uint32_t>(table_max) + 1));
      if (prng.below(12) == 0) deflater.change_table_size(table_max);
      ASSERT_EQ(bench.list(deflater.encode(list)), with_sensitive_marked(list))
          << "seed " << seed << " round " << round;
    }
  }
}

TEST_F(HpackDecoderTest, DamagedBlocksAreJudgedAsNghttp2Does) {
  base::Prng prng(77);
  uint32_t both = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string block = Deflater().encode(random_list(prng, 6, 30));
    for (uint32_t left = 1 + prng.below(3); left-- != 0 && !block.empty();) {
      block[prng.below(static_cast<uint32_t>(block.size()))] = static_cast<char>(prng.below(256));
    }
    const auto theirs = Inflater().decode(block);
    DecoderBench bench(interner_);
    const bool is_valid = bench.decode(block).is_valid;
    ASSERT_EQ(is_valid, theirs.has_value()) << round;
    if (!is_valid) continue;
    ++both;
    ASSERT_EQ(without_flags(plain(bench.fields)), without_flags(*theirs)) << round;
  }
  EXPECT_GT(both, 2000u);
}

TEST_F(HpackDecoderTest, ListBytesAreLimited) {
  // name 4 + value 6 + overhead 32.
  const std::string block = hpack_literal(kLiteralPlain, "name", "values") + "\x82";
  const uint32_t size = 42 + 7 + 3 + 32;
  for (const uint32_t limit : {size - 1, size, size + 1}) {
    const DecodedBlock decoded = bench_.decode(block, {limit, 100, 4096});
    EXPECT_TRUE(decoded.is_valid);
    EXPECT_EQ(decoded.is_too_large, limit < size) << limit;
    EXPECT_EQ(bench_.fields.size(), limit < size ? 1u : 2u);
    if (limit >= size) {
      EXPECT_EQ(decoded.list_bytes, size);
    }
  }
}

TEST_F(HpackDecoderTest, FieldCountIsLimited) {
  for (const uint32_t limit : {9u, 10u, 11u}) {
    const DecodedBlock decoded = bench_.decode(std::string(10, '\x82'), {1u << 20, limit, 4096});
    EXPECT_TRUE(decoded.is_valid);
    EXPECT_EQ(decoded.is_too_large, limit < 10) << limit;
    EXPECT_EQ(bench_.fields.size(), std::min(limit, 10u));
  }
}

// Each way to write a literal, a name of its own among them, and a code that is not read.
TEST_F(HpackDecoderTest, OneFieldIsLimited) {
  for (const auto& [limit, kind, name, is_coded] : {std::tuple{4096u, kLiteralPlain, "x-own", false},
                                                    {4096u, kLiteralIncremental, "x-own", false},
                                                    {4096u, kLiteralNever, "authorization", false},
                                                    {5000u, kLiteralPlain, "cookie", true},
                                                    {20'000u, kLiteralIncremental, "x-own", true},
                                                    {20'000u, kLiteralPlain, "traceparent", true}}) {
    const auto overhead = static_cast<uint32_t>(std::string_view(name).size() + kFieldOverhead);
    for (const uint32_t size : {limit - 1, limit, limit + 1}) {
      const std::string block =
          "\x82" + hpack_literal(kind, name, std::string(size - overhead, 'a'), is_coded) + "\x86";
      const DecodedBlock decoded = bench_.decode(block, {1u << 20, 100, limit});
      EXPECT_TRUE(decoded.is_valid);
      EXPECT_EQ(decoded.has_large_field, size > limit) << name << " " << size;
      EXPECT_EQ(decoded.is_too_large, size > limit) << name << " " << size;
      // It is the last; what follows is dropped.
      ASSERT_EQ(bench_.fields.size(), size > limit ? 2u : 3u) << name << " " << size;
      const Field& field = bench_.fields[1];
      EXPECT_EQ(field.name(), name);
      EXPECT_EQ(field.name_size + field.value_size + kFieldOverhead, size);
    }
  }
}

// A name alone may be too much, and is not known by its index then.
TEST_F(HpackDecoderTest, ALongNameIsPartOfItsField) {
  for (const uint32_t size : {5000u, 5001u}) {
    const std::string block = hpack_literal(kLiteralPlain, std::string(size - kFieldOverhead, 'n'), "");
    EXPECT_EQ(bench_.decode(block, {1u << 20, 100, 5000}).has_large_field, size > 5000);
  }
}

// The limit that was passed first is told, also where there is no room for one more field.
TEST_F(HpackDecoderTest, AFieldTooLargeBehindAListTooLarge) {
  const std::string large = hpack_literal(kLiteralPlain, "x-own", std::string(5000, 'a'));
  const std::string small = hpack_literal(kLiteralPlain, "x-own", std::string(50, 'a'));
  for (const auto& [block, limits, has_large_field] :
       {std::tuple{small + small + large, DecodeLimits{100, 100, 4096}, false},
        {small + large, DecodeLimits{100, 100, 4096}, true},
        {small + large, DecodeLimits{1u << 20, 1, 4096}, false},
        {small + large, DecodeLimits{1u << 20, 2, 4096}, true},
        {large + large, DecodeLimits{1u << 20, 1, 4096}, true}}) {
    const DecodedBlock decoded = bench_.decode(block, limits);
    EXPECT_TRUE(decoded.is_valid && decoded.is_too_large);
    EXPECT_EQ(decoded.has_large_field, has_large_field);
  }
}

// What is behind it still moves the table, and it empties the table itself (section 4.4).
TEST_F(HpackDecoderTest, ATooLargeFieldIsDecodedForTheTablesSake) {
  bench_.decode(hpack_literal(kLiteralIncremental, "old", "goes"));
  const std::string large = hpack_literal(kLiteralIncremental, "x-own", std::string(5000, 'a'));
  const std::string kept = hpack_literal(kLiteralIncremental, "kept", "in the table");
  EXPECT_TRUE(bench_.decode(large + kept, {1u << 20, 100, 4096}).has_large_field);
  EXPECT_EQ(bench_.list(hpack_integer(0x80, 7, 62)), (PlainList{{"kept", "in the table"}}));
  EXPECT_TRUE(rejects(hpack_integer(0x80, 7, 63)));
}

// A list that is too large still moves the table, else every later block of the connection would be misread.
TEST_F(HpackDecoderTest, ATooLargeListIsDecodedToItsEnd) {
  const std::string block = hpack_literal(kLiteralPlain, "big", std::string(500, 'x')) +
                            hpack_literal(kLiteralIncremental, "kept", "in the table");
  EXPECT_TRUE(bench_.decode(block, {100, 100, 4096}).is_too_large);
  EXPECT_TRUE(bench_.fields.empty());
  EXPECT_EQ(bench_.list(hpack_integer(0x80, 7, 62)), (PlainList{{"kept", "in the table"}}));
  // An invalid index in the part that is only decoded for the table's sake is still an error.
  EXPECT_FALSE(bench_.decode(block + hpack_integer(0x80, 7, 99), {100, 100, 4096}).is_valid);
  // A field that alone would fit does not slip in behind one that did not.
  const std::string tail = hpack_literal(kLiteralPlain, "big", std::string(500, 'x')) + "\x82";
  EXPECT_TRUE(bench_.decode(tail, {100, 100, 4096}).is_too_large);
  EXPECT_TRUE(bench_.fields.empty());
}

TEST_F(HpackDecoderTest, ForbiddenOctetsMarkTheBlock) {
  const auto malformed = [&](std::string_view name, std::string_view value) {
    const DecodedBlock decoded = bench_.decode(hpack_literal(kLiteralPlain, name, value));
    EXPECT_TRUE(decoded.is_valid);
    return decoded.is_malformed;
  };
  EXPECT_FALSE(malformed("x-good_name.1!#$%&'*+-^`|~", "any \t value \x80\xff\x01\x7f"));
  EXPECT_FALSE(malformed(":pseudo", "v"));
  EXPECT_TRUE(malformed("", "v"));
  EXPECT_TRUE(malformed(":", "v"));
  EXPECT_TRUE(malformed("a:b", "v"));
  EXPECT_TRUE(malformed("X-upper", "v"));
  EXPECT_TRUE(malformed("with space", "v"));
  EXPECT_TRUE(malformed("octet\x80", "v"));
  for (const std::string_view bad :
       {std::string_view("a\0b", 3), std::string_view("a\rb"), std::string_view("a\nb"), std::string_view(" a"),
        std::string_view("a "), std::string_view("\ta"), std::string_view("a\t"), std::string_view("01234567\n"),
        std::string_view("0123456\n89abcdef"), std::string_view("\n0123456789")}) {
    EXPECT_TRUE(malformed("x", bad)) << bad;
  }
}

// What is malformed stays so when it is referred to from the table, as a whole field or as a name.
TEST_F(HpackDecoderTest, MalformedEntriesStayMalformed) {
  EXPECT_TRUE(bench_.decode(hpack_literal(kLiteralIncremental, "UPPER", "v")).is_malformed);
  EXPECT_TRUE(bench_.decode(hpack_integer(0x80, 7, 62)).is_malformed);
  EXPECT_TRUE(bench_.decode(hpack_integer(0x80, 7, 62)).is_malformed);
  EXPECT_TRUE(bench_.decode(hpack_integer(0x00, 4, 62) + hpack_string("v")).is_malformed);
  bench_.decode(hpack_literal(kLiteralIncremental, "good", "bad\n"));
  EXPECT_TRUE(bench_.decode(hpack_integer(0x80, 7, 62)).is_malformed);
  // The name alone is not to blame for the value.
  EXPECT_FALSE(bench_.decode(hpack_integer(0x00, 4, 62) + hpack_string("v")).is_malformed);
}

// Malformed, but the table must take it: the sanitizers watch that nothing is copied from or to null.
TEST_F(HpackDecoderTest, AnEntryWithoutAnyOctets) {
  const std::string nothing = hpack_literal(kLiteralIncremental, "", "");
  const std::string newest = hpack_integer(0x80, 7, 62);
  EXPECT_EQ(bench_.list(nothing + newest + hpack_integer(0x40, 6, 62) + hpack_string("") + newest),
            PlainList(4, PlainField{"", ""}));
  EXPECT_EQ(bench_.list(newest), (PlainList{{"", ""}}));
  FieldInterner full(1, 0);
  DecoderBench bench(full);
  EXPECT_EQ(bench.list(nothing + newest + newest), PlainList(3, PlainField{"", ""}));
}

TEST_F(HpackDecoderTest, TheWireFormOfALiteralValueIsKept) {
  const std::string coded = hpack_string("0123456789", true);
  bench_.decode(std::string("\x10") + hpack_string("x") + coded);
  ASSERT_EQ(bench_.fields.size(), 1u);
  const Field& field = bench_.fields[0];
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(field.wire_value), field.wire_size), coded);
}

// A value that is only passed on stays as it came until the peer refers to its entry; sizes count what it decodes to.
TEST_F(HpackDecoderTest, ACodedValueIsDecodedAtItsFirstReference) {
  const std::string text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const DecodedBlock decoded = bench_.decode(hpack_literal(kLiteralIncremental, "traceparent", text, true));
  ASSERT_EQ(bench_.fields.size(), 1u);
  EXPECT_TRUE(bench_.fields[0].is_coded());
  EXPECT_EQ(bench_.fields[0].value_size, text.size());
  EXPECT_EQ(decoded.list_bytes, 11 + text.size() + 32);
  EXPECT_EQ(bench_.decoder.table_bytes(), 11 + text.size() + 32);
  EXPECT_TRUE(has_value(bench_.fields[0], text));
  EXPECT_FALSE(has_value(bench_.fields[0], "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"));
  EXPECT_EQ(bench_.list(hpack_integer(0x80, 7, 62)), (PlainList{{"traceparent", text}}));
  ASSERT_NE(bench_.fields[0].record, nullptr);
  EXPECT_EQ(bench_.fields[0].value(), text);
}

// A credential never becomes a record: it is passed on coded each time.
TEST_F(HpackDecoderTest, ACodedCredentialStaysPrivate) {
  const std::string text = "Bearer abcdefghijklmnopqrstuvwxyz0123456789";
  const std::string block = hpack_integer(0x40, 6, 23) + hpack_string(text, true);
  bench_.decode(block);
  EXPECT_TRUE(bench_.fields[0].is_coded());
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(bench_.list(hpack_integer(0x80, 7, 62)), (PlainList{{"authorization", text, true}}));
    EXPECT_EQ(bench_.fields[0].record, nullptr);
    const Field& field = bench_.fields[0];
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(field.wire_value), field.wire_size), hpack_string(text, true));
  }
}

TEST_F(HpackDecoderTest, WhatRingwayReadsIsDecodedAtOnce) {
  for (const std::string_view name : {":path", "grpc-timeout", "te", "user-agent", "x-forwarded-for", "host"}) {
    bench_.decode(hpack_literal(kLiteralPlain, name, "0123456789012345", true));
    EXPECT_EQ(bench_.fields[0].value(), "0123456789012345") << name;
  }
}

TEST_F(HpackDecoderTest, ForbiddenOctetsInACodedValueMarkTheBlock) {
  for (const std::string_view bad : {std::string_view("0123456789 "), std::string_view(" 0123456789"),
                                     std::string_view("0123456789\t"), std::string_view("\t0123456789"),
                                     std::string_view("01234\0"
                                                      "56789",
                                                      11),
                                     std::string_view("01234\r56789"), std::string_view("0123456789\n")}) {
    for (const std::string_view name : {"x-own", "authorization", "traceparent"}) {
      EXPECT_TRUE(bench_.decode(hpack_literal(kLiteralIncremental, name, bad, true)).is_malformed) << bad;
      EXPECT_TRUE(bench_.decode(hpack_integer(0x80, 7, 62)).is_malformed) << bad;
    }
  }
}

// More octets than the table counts for it would not find room there.
TEST_F(HpackDecoderTest, ACodeLongerThanItsTextIsDecoded) {
  const std::string text(1000, '&');
  for (int i = 0; i < 20; ++i) {
    bench_.decode(hpack_literal(kLiteralIncremental, "x-own", text, true));
    EXPECT_EQ(bench_.fields[0].value(), text);
    EXPECT_EQ(bench_.list(hpack_integer(0x80, 7, 62)), (PlainList{{"x-own", text}}));
  }
}

// Requests as clients send them: the same fields first, others behind. (Paths of the static table: nghttp2 indexes no
// other.) What is found as a shared list and what is not
// are together what nghttp2's decoder reads, whatever happens to the table.
TEST_F(HpackDecoderTest, WhatRequestsBeginWithIsFoundAgain) {
  uint32_t found = 0;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    base::Prng prng(seed);
    BlockCache cache(interner_);
    DecoderBench bench(interner_);
    Deflater deflater;
    Inflater inflater;
    for (int call = 0; call < 300; ++call) {
      if (call % 50 == 49) cache.clear();
      if (prng.below(40) == 0) deflater.change_table_size(prng.below(4097));
      if (prng.below(20) == 0) deflater.change_table_size(4096);
      PlainList list{{":method", "POST"},
                     {":scheme", "http"},
                     {":path", prng.below(8) == 0 ? "/index.html" : "/"},
                     {":authority", "example"},
                     {"content-type", "application/grpc"},
                     {"te", "trailers"}};
      for (uint32_t i = 0; i < seed % 5; ++i) list.push_back({"x-fixed-" + std::to_string(i), "value"});
      if (prng.below(3) != 0) list.push_back({"grpc-timeout", std::to_string(prng.below(90'000'000)) + "u"});
      list.push_back({"traceparent", "00-" + std::to_string(prng.next()) + std::to_string(prng.next()) + "-01"});
      if (prng.below(2) == 0) list.push_back({"x-tenant", "blue"});
      list.push_back({"authorization", "Bearer " + std::to_string(prng.next()), prng.below(4) == 0});
      const std::string block = deflater.encode(list);
      cache.begin_epoch();
      const DecodedBlock decoded = bench.decode(block, kWideLimits, &cache);
      ASSERT_TRUE(decoded.is_valid);
      PlainList ours;
      uint32_t list_bytes = 0;
      if (decoded.leading != nullptr) {
        ++found;
        ours = plain({decoded.leading->fields, decoded.leading->count});
      }
      for (PlainField& field : plain({bench.fields.data(), bench.fields.size()})) ours.push_back(std::move(field));
      for (const PlainField& field : list)
        list_bytes += static_cast<uint32_t>(field.name.size() + field.value.size()) + 32;
      ASSERT_EQ(ours, with_sensitive_marked(list)) << "seed " << seed << " call " << call;
      ASSERT_EQ(decoded.list_bytes, list_bytes);
      ASSERT_EQ(inflater.decode(block).has_value(), true);
    }
  }
  EXPECT_GT(found, 2000u);
}

// Limits hold for both parts together.
TEST_F(HpackDecoderTest, WhatRequestsBeginWithCountsAgainstTheLimits) {
  BlockCache cache(interner_);
  DecoderBench bench(interner_);
  Deflater deflater;
  const PlainList begins{{":method", "POST"}, {":scheme", "http"}, {":path", "/"}, {":authority", "example"}};
  const uint32_t size = 43 + 43 + 38 + 49 + (11 + 20 + 32);
  const auto decode = [&](const DecodeLimits& limits) {
    PlainList list = begins;
    list.push_back({"traceparent", std::string(20, static_cast<char>('a' + bench.decoder.entry_count() % 26))});
    return bench.decode(deflater.encode(list), limits, &cache);
  };
  for (int i = 0; i < 3; ++i) decode(kWideLimits);
  EXPECT_NE(decode(kWideLimits).leading, nullptr);
  EXPECT_FALSE(decode({size, 5, 4096}).is_too_large);
  EXPECT_NE(decode({size, 5, 4096}).leading, nullptr);
  EXPECT_TRUE(decode({size - 1, 5, 4096}).is_too_large);
  EXPECT_TRUE(decode({size, 4, 4096}).is_too_large);
  EXPECT_TRUE(decode({size, 3, 4096}).is_too_large);
  EXPECT_TRUE(decode({100, 5, 4096}).is_too_large);
  EXPECT_FALSE(decode(kWideLimits).is_too_large);
}

}  // namespace
}  // namespace ringway::h2
