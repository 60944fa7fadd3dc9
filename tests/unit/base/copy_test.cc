#include "base/copy.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

namespace ringway::base {
namespace {

// Every size around those at which the way of copying changes; what lies beside must stay as it is.
TEST(Copy, CopiesExactlySoManyBytes) {
  for (size_t size = 0; size <= 200; ++size) {
    std::vector<uint8_t> from(size);
    for (size_t i = 0; i < size; ++i) from[i] = static_cast<uint8_t>(i * 31 + size);
    std::vector<uint8_t> to(size + 2, 0xee);
    copy_bytes(to.data() + 1, from.data(), size);
    EXPECT_EQ(std::vector<uint8_t>(to.begin() + 1, to.end() - 1), from) << size;
    EXPECT_EQ(to.front(), 0xee) << size;
    EXPECT_EQ(to.back(), 0xee) << size;
  }
}

TEST(Copy, EveryByteIsCompared) {
  for (size_t size = 0; size <= 100; ++size) {
    std::vector<uint8_t> a(size, 7);
    std::vector<uint8_t> b(size, 7);
    EXPECT_TRUE(are_equal_bytes(a.data(), b.data(), size)) << size;
    for (size_t i = 0; i < size; ++i) {
      b[i] = 6;
      EXPECT_FALSE(are_equal_bytes(a.data(), b.data(), size)) << size << " at " << i;
      b[i] = 7;
    }
  }
}

}  // namespace
}  // namespace ringway::base
