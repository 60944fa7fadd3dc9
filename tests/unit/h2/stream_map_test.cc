#include "h2/stream_map.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "base/prng.h"

namespace ringway::h2 {
namespace {

class StreamMapTest : public testing::Test {
 protected:
  Stream& add(uint32_t id) {
    Stream* stream = pool_.create();
    stream->id = id;
    map_.insert(*stream);
    expected_[id] = stream;
    return *stream;
  }

  void remove(uint32_t id) {
    Stream* stream = expected_.at(id);
    map_.erase(*stream);
    pool_.destroy(*stream);
    expected_.erase(id);
  }

  void expect_equal() {
    ASSERT_EQ(map_.count(), expected_.size());
    for (const auto& [id, stream] : expected_) ASSERT_EQ(map_.find(id), stream) << id;
    std::set<uint32_t> visited;
    map_.for_each([&](Stream& stream) { ASSERT_TRUE(visited.insert(stream.id).second); });
    ASSERT_EQ(visited.size(), expected_.size());
  }

  StreamPool pool_{10'000};
  StreamMap map_;
  std::map<uint32_t, Stream*> expected_;
};

TEST_F(StreamMapTest, Empty) {
  EXPECT_EQ(map_.find(1), nullptr);
  EXPECT_EQ(map_.any(), nullptr);
  EXPECT_EQ(map_.count(), 0u);
  map_.for_each([](Stream&) { ADD_FAILURE(); });
}

TEST_F(StreamMapTest, GrowingIdsWithAWindowOfLiveStreams) {
  for (uint32_t id = 1; id < 20'000; id += 2) {
    add(id);
    if (id > 200) remove(id - 200);
    if (id % 501 == 0) expect_equal();
  }
  expect_equal();
}

TEST_F(StreamMapTest, RandomIdsAgainstStdMap) {
  base::Prng prng(4);
  for (int step = 0; step < 60'000; ++step) {
    // A small range makes runs of neighbours and wrap-around at the table's end; a wide one makes collisions.
    const uint32_t id = (prng.below(2) == 0 ? prng.below(400) : prng.below(1u << 31)) | 1;
    // Grows and shrinks in turn.
    const bool grows = step / 3000 % 2 == 0;
    if (!expected_.contains(id) && (grows || prng.below(4) == 0)) {
      add(id);
    } else if (!expected_.empty()) {
      const auto at = expected_.lower_bound(prng.below(2) == 0 ? id : 0);
      remove(at == expected_.end() ? expected_.begin()->first : at->first);
    }
    ASSERT_EQ(map_.find(id), expected_.contains(id) ? expected_[id] : nullptr);
    if (step % 500 == 0) expect_equal();
  }
  expect_equal();
  while (Stream* stream = map_.any()) remove(stream->id);
  EXPECT_EQ(map_.count(), 0u);
}

TEST_F(StreamMapTest, CollidingIdsAreErasedInAnyOrder) {
  // All of these have the same home in a table of 16, and some wrap around its end.
  std::vector<uint32_t> ids;
  for (uint32_t i = 0; i < 7; ++i) ids.push_back(29 + 32 * i);
  for (uint32_t first = 0; first < ids.size(); ++first) {
    for (const uint32_t id : ids) add(id);
    for (uint32_t i = 0; i < ids.size(); ++i) {
      remove(ids[(first + i * 3) % ids.size()]);
      expect_equal();
    }
  }
}

}  // namespace
}  // namespace ringway::h2
