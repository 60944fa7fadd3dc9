#include "tls/kernel.h"

#include <gtest/gtest.h>

namespace ringway::tls {
namespace {

TEST(IsReleaseAtLeast, ComparesNumberByNumber) {
  EXPECT_TRUE(is_release_at_least("6.12.44", 6, 12, 44));
  EXPECT_FALSE(is_release_at_least("6.12.43", 6, 12, 44));
  EXPECT_TRUE(is_release_at_least("6.12.45", 6, 12, 44));
  EXPECT_FALSE(is_release_at_least("6.9.100", 6, 12, 44));
  EXPECT_TRUE(is_release_at_least("6.13.0", 6, 12, 44));
  EXPECT_TRUE(is_release_at_least("7.0.1", 6, 12, 44));
  EXPECT_FALSE(is_release_at_least("5.19.99", 6, 12, 44));
}

TEST(IsReleaseAtLeast, PassesOverWhatDistributionsAdd) {
  EXPECT_TRUE(is_release_at_least("6.12.95+deb12-cloud-amd64", 6, 12, 44));
  EXPECT_FALSE(is_release_at_least("6.1.0-50-cloud-amd64", 6, 12, 44));
  EXPECT_TRUE(is_release_at_least("6.12.44-generic", 6, 12, 44));
}

TEST(IsReleaseAtLeast, WhatIsNotThereCountsAsZero) {
  EXPECT_TRUE(is_release_at_least("6.13-rc1", 6, 13, 0));
  EXPECT_TRUE(is_release_at_least("6.13-rc1", 6, 12, 44));
  EXPECT_FALSE(is_release_at_least("6.12", 6, 12, 44));
  EXPECT_TRUE(is_release_at_least("7", 6, 12, 44));
  EXPECT_FALSE(is_release_at_least("6", 6, 12, 44));
}

TEST(IsReleaseAtLeast, TextThatIsNoVersionIsNone) {
  EXPECT_FALSE(is_release_at_least("", 6, 12, 44));
  EXPECT_FALSE(is_release_at_least("linux", 6, 12, 44));
  EXPECT_FALSE(is_release_at_least(".12.44", 6, 12, 44));
  EXPECT_FALSE(is_release_at_least("99999999999999999999.1.1", 6, 12, 44));
}

// Whatever this machine's kernel can do, the parts of the answer agree.
TEST(FindKernelSupport, IsConsistent) {
  const KernelSupport found = find_kernel_support();
  EXPECT_FALSE(found.release.empty());
  EXPECT_EQ(found.can_send, found.cause.empty()) << found.cause;
  EXPECT_EQ(found.can_send, found.send_ciphers[static_cast<size_t>(Cipher::kAes128Gcm)]);
  EXPECT_EQ(found.can_receive, found.receive_ciphers[static_cast<size_t>(Cipher::kAes128Gcm)]);
  EXPECT_TRUE(found.can_send || !found.can_rekey);
}

}  // namespace
}  // namespace ringway::tls
