#include "io/error.h"

#include <cerrno>

namespace ringway::io {
namespace {

struct Row {
  int code;
  ErrorKind kind;
  std::string_view text;
};

constexpr Row kRows[] = {
    {ECONNREFUSED, ErrorKind::kRefused, "connection refused"},
    {ECONNRESET, ErrorKind::kReset, "connection reset by peer"},
    {EPIPE, ErrorKind::kReset, "broken pipe"},
    {ECONNABORTED, ErrorKind::kReset, "connection aborted"},
    {ENOTCONN, ErrorKind::kReset, "not connected"},
    {ETIMEDOUT, ErrorKind::kTimedOut, "timed out"},
    {EHOSTUNREACH, ErrorKind::kUnreachable, "no route to host"},
    {ENETUNREACH, ErrorKind::kUnreachable, "network unreachable"},
    {EHOSTDOWN, ErrorKind::kUnreachable, "host is down"},
    {ENETDOWN, ErrorKind::kUnreachable, "network is down"},
    {EADDRINUSE, ErrorKind::kAddressInUse, "address already in use"},
    {EADDRNOTAVAIL, ErrorKind::kAddressInvalid, "address not available on this host"},
    {ENOENT, ErrorKind::kAddressInvalid, "no such file or directory"},
    {EACCES, ErrorKind::kDenied, "permission denied"},
    {EPERM, ErrorKind::kDenied, "operation not permitted"},
    {EMFILE, ErrorKind::kNoDescriptors, "too many open files in this process"},
    {ENFILE, ErrorKind::kNoDescriptors, "too many open files on this host"},
    {ENOMEM, ErrorKind::kNoMemory, "out of memory"},
    {ENOBUFS, ErrorKind::kNoBuffers, "no buffer space"},
    {EAGAIN, ErrorKind::kWouldBlock, "would block"},
    {EINPROGRESS, ErrorKind::kWouldBlock, "in progress"},
    {ECANCELED, ErrorKind::kCancelled, "cancelled"},
    {ENOSPC, ErrorKind::kOther, "no space left on device"},
    {EFBIG, ErrorKind::kOther, "file too large"},
    {EIO, ErrorKind::kOther, "input or output error"},
    {EROFS, ErrorKind::kOther, "read-only file system"},
    {ENXIO, ErrorKind::kOther, "nobody reads this pipe"},
    {ENOSYS, ErrorKind::kUnsupported, "not implemented by this kernel"},
    {EINVAL, ErrorKind::kUnsupported, "invalid argument"},
    {EOPNOTSUPP, ErrorKind::kUnsupported, "operation not supported"},
};

}  // namespace

Error error_from_errno(int code) noexcept {
  if (code < 0) code = -code;
  if (code == 0) return {};
  for (const Row& row : kRows) {
    if (row.code == code) return {row.kind, code};
  }
  return {ErrorKind::kOther, code};
}

std::string_view describe(Error error) noexcept {
  if (error.code == 0) return "no error";
  for (const Row& row : kRows) {
    if (row.code == error.code) return row.text;
  }
  return "system error";
}

}  // namespace ringway::io
