#include "io/error.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <set>

namespace ringway::io {
namespace {

struct Row {
  int code;
  ErrorKind kind;
};

constexpr Row kRows[] = {
    {ECONNREFUSED, ErrorKind::kRefused},
    {ECONNRESET, ErrorKind::kReset},
    {EPIPE, ErrorKind::kReset},
    {ETIMEDOUT, ErrorKind::kTimedOut},
    {EHOSTUNREACH, ErrorKind::kUnreachable},
    {ENETUNREACH, ErrorKind::kUnreachable},
    {EADDRINUSE, ErrorKind::kAddressInUse},
    {EADDRNOTAVAIL, ErrorKind::kAddressInvalid},
    {ENOENT, ErrorKind::kAddressInvalid},
    {EACCES, ErrorKind::kDenied},
    {EPERM, ErrorKind::kDenied},
    {EMFILE, ErrorKind::kNoDescriptors},
    {ENFILE, ErrorKind::kNoDescriptors},
    {ENOMEM, ErrorKind::kNoMemory},
    {ENOBUFS, ErrorKind::kNoBuffers},
    {EAGAIN, ErrorKind::kWouldBlock},
    {ECANCELED, ErrorKind::kCancelled},
    {ENOSYS, ErrorKind::kUnsupported},
    {EXFULL, ErrorKind::kOther},
    {99'999, ErrorKind::kOther},
};

TEST(Error, DecodesBothSigns) {
  for (const Row& row : kRows) {
    for (const int code : {row.code, -row.code}) {
      const Error error = error_from_errno(code);
      EXPECT_EQ(error.kind, row.kind) << row.code;
      EXPECT_EQ(error.code, row.code);
      EXPECT_TRUE(error);
      EXPECT_FALSE(describe(error).empty());
    }
  }
}

TEST(Error, ZeroIsNoError) {
  EXPECT_FALSE(error_from_errno(0));
  EXPECT_EQ(describe(error_from_errno(0)), "no error");
}

TEST(Error, DescriptionsOfKnownErrorsDiffer) {
  std::set<std::string_view> seen;
  for (const Row& row : kRows) {
    if (row.kind == ErrorKind::kOther) continue;
    EXPECT_TRUE(seen.insert(describe(error_from_errno(row.code))).second) << row.code;
  }
}

}  // namespace
}  // namespace ringway::io
