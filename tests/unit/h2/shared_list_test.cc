// Lists that several encoders write: what one has written is used by those with the same past, and by no other.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "base/prng.h"
#include "h2/block_cache.h"
#include "h2/hpack_encoder.h"
#include "hpack_oracle.h"

namespace ringway::h2 {
namespace {

// An encoder and nghttp2's decoder at its other end.
struct Direction {
  HpackEncoder encoder;
  Inflater inflater;
};

class SharedListTest : public testing::Test {
 protected:
  ~SharedListTest() override { out_.release(pool_); }

  SharedList& list_of(const PlainList& fields) {
    std::vector<Field> interned;
    for (const PlainField& field : fields) {
      Field& added = interned.emplace_back();
      added.known = find_known_name(field.name);
      added.record = interner_.intern(field.name, added.known, field.value, 0);
      added.flags = added.record->flags;
    }
    // The number of the list stands for its block.
    std::vector<uint8_t> framed(8);
    framed.push_back(static_cast<uint8_t>(list_count_++));
    const std::span<const uint8_t> block = std::span(framed).subspan(8);
    cache_.store(1, block, MessageKind::kRequest, interned, {});
    for (const Field& field : interned) interner_.release(*field.record);
    return *cache_.find(1, block, MessageKind::kRequest);
  }

  // As Connection::send_headers does; true when nothing had to be encoded.
  bool write(Direction& to, SharedList& list, std::string& block) {
    if (const SharedList::Encoded* const encoded = to.encoder.encode_as_before(list)) {
      block.assign(reinterpret_cast<const char*>(encoded->octets), encoded->size);
      return true;
    }
    to.encoder.begin_block(out_, pool_);
    to.encoder.encode_shared(list, out_, pool_);
    block.assign(reinterpret_cast<const char*>(out_.data()), out_.size());
    out_.release(pool_);
    return false;
  }

  bool expect_arrives(Direction& to, SharedList& list, const PlainList& fields) {
    std::string block;
    const bool was_remembered = write(to, list, block);
    EXPECT_EQ(to.inflater.decode(block), fields);
    return was_remembered;
  }

  FieldInterner interner_{3, 1 << 22};
  BlockCache cache_{interner_};
  base::BlockPool pool_;
  base::ByteQueue out_;
  uint32_t list_count_ = 0;
};

TEST_F(SharedListTest, EncodersWithTheSamePastUseEachOthersOctets) {
  const PlainList fields = {{":status", "200"}, {"content-type", "application/grpc"}, {"x-tenant", "blue"}};
  SharedList& list = list_of(fields);
  Direction first;
  Direction second;
  EXPECT_FALSE(expect_arrives(first, list, fields));  // inserts
  EXPECT_FALSE(expect_arrives(first, list, fields));  // indexes all
  EXPECT_TRUE(expect_arrives(first, list, fields));
  EXPECT_FALSE(expect_arrives(second, list, fields));  // has its insertions before it
  EXPECT_TRUE(expect_arrives(second, list, fields));
}

// Who inserts nothing uses what others wrote who insert nothing, and never what was written for a table; nor does who
// has a table use theirs, which would leave it empty.
TEST_F(SharedListTest, EncodersWithoutATableAreAmongThemselves) {
  for (const bool is_dynamic_first : {false, true}) {
    const PlainList fields = {{"x-tenant", is_dynamic_first ? "blue" : "green"}};
    SharedList& list = list_of(fields);
    Direction dynamic;
    Direction tableless[2];
    for (Direction& each : tableless) each.encoder.forgo_table();
    const auto write_dynamic = [&] {
      EXPECT_FALSE(expect_arrives(dynamic, list, fields));
      EXPECT_FALSE(expect_arrives(dynamic, list, fields));
      EXPECT_TRUE(expect_arrives(dynamic, list, fields));
    };
    if (is_dynamic_first) write_dynamic();
    EXPECT_FALSE(expect_arrives(tableless[0], list, fields));
    EXPECT_TRUE(expect_arrives(tableless[0], list, fields));
    EXPECT_TRUE(expect_arrives(tableless[1], list, fields));
    if (!is_dynamic_first) write_dynamic();
    EXPECT_EQ(dynamic.encoder.entry_count(), 1u);
    EXPECT_NE(dynamic.inflater.table_bytes(), 0u);
    for (Direction& each : tableless) EXPECT_EQ(each.inflater.table_bytes(), 0u);
  }
}

// A size that is still to be announced is a difference.
TEST_F(SharedListTest, AnAnnouncementIsNotSkipped) {
  const PlainList fields = {{":status", "200"}, {"x-tenant", "blue"}};
  SharedList& list = list_of(fields);
  Direction first;
  Direction second;
  for (Direction* each : {&first, &second}) {
    each->encoder.set_peer_table_size(512);
    each->inflater.change_table_size(512);
    for (int i = 0; i < 3; ++i) expect_arrives(*each, list, fields);
  }
  second.encoder.set_peer_table_size(256);
  second.inflater.change_table_size(256);
  EXPECT_FALSE(expect_arrives(second, list, fields));
  EXPECT_TRUE(expect_arrives(first, list, fields));
}

TEST_F(SharedListTest, ManyEncodersListsAndSizesAreReadByNghttp2) {
  base::Prng prng(11);
  std::vector<PlainList> lists;
  std::vector<SharedList*> shared;
  for (uint32_t i = 0; i < 40; ++i) {
    PlainList& fields = lists.emplace_back(PlainList{{":status", "200"}});
    const uint32_t count = 1 + prng.below(6);
    for (uint32_t k = 0; k < count; ++k) {
      const uint32_t number = prng.below(24);
      fields.push_back(
          {"x-name-" + std::to_string(number % 8), std::string(1 + number * 11, static_cast<char>('a' + number))});
    }
    shared.push_back(&list_of(fields));
  }
  std::vector<std::unique_ptr<Direction>> directions;
  uint32_t remembered = 0;
  for (uint32_t step = 0; step < 20'000; ++step) {
    // Fresh ones come and go, so that pasts part and meet.
    if (directions.size() < 6) directions.push_back(std::make_unique<Direction>());
    if (prng.below(200) == 0)
      directions.erase(directions.begin() + prng.below(static_cast<uint32_t>(directions.size())));
    if (directions.empty()) continue;
    Direction& to = *directions[prng.below(static_cast<uint32_t>(directions.size()))];
    if (prng.below(100) == 0) {
      const uint32_t size = prng.below(3) * 1000;
      to.encoder.set_peer_table_size(size);
      to.inflater.change_table_size(size);
    }
    // Few lists at the beginning of a life, so that there are equal pasts.
    const uint32_t i = prng.below(to.encoder.entry_count() < 4 ? 3 : 40);
    remembered += expect_arrives(to, *shared[i], lists[i]);
    if (HasFailure()) FAIL() << "step " << step;
  }
  EXPECT_GT(remembered, 100u);
}

}  // namespace
}  // namespace ringway::h2
