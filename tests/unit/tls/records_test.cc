// Records alone: their edges, and what is refused.
#include "tls/records.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "base/block_pool.h"

namespace ringway::tls {
namespace {

struct Setting {
  Version version;
  Cipher cipher;
};

TrafficKeys keys_for(Setting setting) {
  TrafficKeys keys = keys_of_secret(setting.cipher, std::vector<uint8_t>(secret_size(setting.cipher), 42));
  keys.version = setting.version;
  return keys;
}

class RecordsTest : public testing::TestWithParam<Setting> {
 protected:
  RecordsTest() {
    writer.start(keys_for(GetParam()));
    reader.start(keys_for(GetParam()));
  }
  ~RecordsTest() override { reader.release(pool); }

  std::vector<uint8_t> sealed(size_t size, ContentType type = ContentType::kData) {
    const std::vector<uint8_t> plain(size, 'x');
    base::ByteQueue out;
    writer.write(type, plain, out, pool);
    std::vector<uint8_t> bytes(out.bytes().begin(), out.bytes().end());
    out.release(pool);
    return bytes;
  }

  base::BlockPool pool;
  RecordWriter writer;
  RecordReader reader;
};

INSTANTIATE_TEST_SUITE_P(All, RecordsTest,
                         testing::Values(Setting{Version::kTls13, Cipher::kAes128Gcm},
                                         Setting{Version::kTls13, Cipher::kAes256Gcm},
                                         Setting{Version::kTls13, Cipher::kChaCha20Poly1305},
                                         Setting{Version::kTls12, Cipher::kAes128Gcm},
                                         Setting{Version::kTls12, Cipher::kChaCha20Poly1305}));

TEST_P(RecordsTest, AreOpenedHoweverTheyAreCut) {
  for (const size_t size : {1u, 100u, 3000u}) {
    const std::vector<uint8_t> record = sealed(size);
    std::vector<uint8_t> two = record;
    for (const uint8_t octet : sealed(7)) two.push_back(octet);
    for (size_t cut = 0; cut <= two.size(); cut += size > 1000 ? 101 : 1) {
      RecordReader fresh;
      TrafficKeys keys = keys_for(GetParam());
      keys.sequence = writer.keys().sequence - 2;
      fresh.start(keys);
      std::vector<uint8_t> first(two.begin(), two.begin() + static_cast<std::ptrdiff_t>(cut));
      std::vector<uint8_t> second(two.begin() + static_cast<std::ptrdiff_t>(cut), two.end());
      std::vector<size_t> sizes;
      for (auto* piece : {&first, &second}) {
        std::span<uint8_t> input(*piece);
        for (Opened opened = fresh.next(input, pool); opened.kind != Opened::Kind::kNothing;
             opened = fresh.next(input, pool)) {
          ASSERT_EQ(opened.kind, Opened::Kind::kRecord);
          ASSERT_TRUE(std::ranges::all_of(opened.plain, [](uint8_t octet) { return octet == 'x'; }));
          sizes.push_back(opened.plain.size());
        }
        EXPECT_TRUE(input.empty());
      }
      EXPECT_EQ(sizes, (std::vector<size_t>{size, 7}));
      fresh.release(pool);
    }
  }
  EXPECT_EQ(pool.bytes_in_use(), 0u);
}

TEST_P(RecordsTest, ManySmallOnesHoldNoMemory) {
  std::vector<uint8_t> bytes;
  for (int i = 0; i < 100; ++i) {
    const auto record = sealed(10);
    bytes.insert(bytes.end(), record.begin(), record.end());
  }
  std::span<uint8_t> input(bytes);
  for (int i = 0; i < 100; ++i) ASSERT_EQ(reader.next(input, pool).kind, Opened::Kind::kRecord);
  EXPECT_EQ(reader.next(input, pool).kind, Opened::Kind::kNothing);
  EXPECT_EQ(pool.bytes_in_use(), 0u);
}

TEST_P(RecordsTest, AnOctetChangedAnywhereIsFound) {
  const std::vector<uint8_t> record = sealed(20);
  for (size_t at = 0; at < record.size(); ++at) {
    if (at == 3 || at == 4) continue;  // the length: another record, or none yet
    if (at == 2) continue;             // the minor version says nothing (RFC 8446 section 5.1), but is authenticated
    RecordReader fresh;
    fresh.start(keys_for(GetParam()));
    std::vector<uint8_t> changed = record;
    changed[at] ^= 1;
    std::span<uint8_t> input(changed);
    EXPECT_EQ(fresh.next(input, pool).kind, Opened::Kind::kBroken) << at;
    fresh.release(pool);
  }
}

TEST_P(RecordsTest, TheLengthIsBounded) {
  const bool is_13 = GetParam().version == Version::kTls13;
  const size_t most = is_13 ? 16'384 + 256 : 16'384 + 256 + 1024;
  for (const size_t size : {most, most + 1}) {
    RecordReader fresh;
    fresh.start(keys_for(GetParam()));
    std::vector<uint8_t> header = {23, 3, 3, static_cast<uint8_t>(size >> 8), static_cast<uint8_t>(size)};
    std::span<uint8_t> input(header);
    const Opened opened = fresh.next(input, pool);
    EXPECT_EQ(opened.kind, size > most ? Opened::Kind::kBroken : Opened::Kind::kNothing);
    if (size > most) {
      EXPECT_EQ(opened.alert, Alert::kRecordOverflow);
    }
    fresh.release(pool);
  }
}

TEST_P(RecordsTest, ARecordTooShortIsBroken) {
  std::vector<uint8_t> bytes = {23, 3, 3, 0, 5, 1, 2, 3, 4, 5};
  std::span<uint8_t> input(bytes);
  EXPECT_EQ(reader.next(input, pool).kind, Opened::Kind::kBroken);
}

TEST_P(RecordsTest, ControlRecordsKeepTheirType) {
  base::ByteQueue out;
  writer.write_alert(Alert::kCloseNotify, out, pool);
  std::vector<uint8_t> bytes(out.bytes().begin(), out.bytes().end());
  out.release(pool);
  std::span<uint8_t> input(bytes);
  const Opened opened = reader.next(input, pool);
  ASSERT_EQ(opened.kind, Opened::Kind::kRecord);
  EXPECT_EQ(opened.type, ContentType::kAlert);
  EXPECT_EQ(std::vector<uint8_t>(opened.plain.begin(), opened.plain.end()), (std::vector<uint8_t>{1, 0}));
}

TEST(Records, NewKeysBeginWithTheirFirstRecord) {
  base::BlockPool pool;
  TrafficKeys keys = keys_for({Version::kTls13, Cipher::kAes128Gcm});
  keys.sequence = 1000;
  RecordWriter writer;
  RecordReader reader;
  writer.start(keys);
  reader.start(keys);
  base::ByteQueue out;
  const uint8_t plain[] = {'a'};
  writer.write(ContentType::kData, plain, out, pool);
  writer.update_keys(out, pool);
  writer.write(ContentType::kData, plain, out, pool);
  std::vector<uint8_t> bytes(out.bytes().begin(), out.bytes().end());
  out.release(pool);
  std::span<uint8_t> input(bytes);
  EXPECT_EQ(reader.next(input, pool).type, ContentType::kData);
  const Opened update = reader.next(input, pool);
  EXPECT_EQ(update.type, ContentType::kHandshake);
  reader.update_keys();
  EXPECT_EQ(reader.next(input, pool).type, ContentType::kData);
  EXPECT_EQ(writer.keys().sequence, 1u);
}

TEST(Records, PaddingIsTakenOff) {
  base::BlockPool pool;
  const TrafficKeys keys = keys_for({Version::kTls13, Cipher::kAes128Gcm});
  // The type stands behind the plaintext, and the padding behind that: a record of "hi", type 23 and ten zeros is one
  // of type 0 with the eleven octets before.
  RecordCipher cipher;
  cipher.start(keys);
  const std::vector<uint8_t> inner = {'h', 'i', 23, 0, 0, 0, 0};
  std::vector<uint8_t> record(inner.size() + cipher.overhead());
  record.resize(cipher.seal(static_cast<ContentType>(0), inner, record.data()));
  RecordReader reader;
  reader.start(keys);
  std::span<uint8_t> input(record);
  const Opened opened = reader.next(input, pool);
  ASSERT_EQ(opened.kind, Opened::Kind::kRecord);
  EXPECT_EQ(opened.type, ContentType::kData);
  EXPECT_EQ(opened.plain.size(), 2u);
  // Nothing but zeros has no type (RFC 8446 section 5.4).
  record.assign(5 + cipher.overhead(), 0);
  const std::vector<uint8_t> zeros(5, 0);
  record.resize(cipher.seal(static_cast<ContentType>(0), zeros, record.data()));
  std::span<uint8_t> second(record);
  const Opened empty = reader.next(second, pool);
  EXPECT_EQ(empty.kind, Opened::Kind::kBroken);
  EXPECT_EQ(empty.alert, Alert::kUnexpectedMessage);
}

}  // namespace
}  // namespace ringway::tls
