// The one table from errno to what it means for a proxy. Kernel results are decoded here and nowhere else.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace ringway::io {

enum class ErrorKind : uint8_t {
  kNone,
  kRefused,      // nobody listens there
  kReset,        // the peer, or the path to it, ended the connection
  kTimedOut,     // no answer in time (connect, TCP_USER_TIMEOUT)
  kUnreachable,  // no route, host or network down
  kAddressInUse,
  kAddressInvalid,  // not an address of this host, or a path that does not exist
  kDenied,          // permissions, seccomp, sysctl
  kNoDescriptors,   // EMFILE, ENFILE
  kNoMemory,        // ENOMEM, ENOBUFS on a socket
  kNoBuffers,       // the provided-buffer ring was empty: normal, re-arm
  kWouldBlock,
  kCancelled,  // by us
  kUnsupported,
  kOther,
};

struct Error {
  ErrorKind kind = ErrorKind::kNone;
  int code = 0;  // the positive errno

  explicit operator bool() const noexcept { return kind != ErrorKind::kNone; }
};

// `code` is a positive errno or a negative completion result.
Error error_from_errno(int code) noexcept;

// A short lower-case description of the errno, as in "connection refused". Never empty.
std::string_view describe(Error error) noexcept;

}  // namespace ringway::io
