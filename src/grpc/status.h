// gRPC status codes and what HTTP/2 and HTTP mean in them (grpc/doc/statuscodes.md, PROTOCOL-HTTP2.md,
// http-grpc-status-mapping.md). Pure functions.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "h2/frame.h"

namespace ringway::grpc {

enum class Status : uint8_t {
  kOk = 0,
  kCancelled = 1,
  kUnknown = 2,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kAborted = 10,
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kDataLoss = 15,
  kUnauthenticated = 16,
};

// What a client makes of a stream that ended with this RST_STREAM code.
Status status_of_reset(h2::ErrorCode code) noexcept;

// The plain HTTP status for a local reply to a request that is not gRPC.
uint16_t http_status_of(Status status) noexcept;

// The decimal text of a status.
std::string_view text_of(Status status) noexcept;

int parse_long_status(std::string_view value) noexcept;
// The number in a grpc-status value; -1 when it is not one of at most three digits. Nearly all are 0.
inline int parse_status(std::string_view value) noexcept {
  const bool is_digit = value.size() == 1 && value[0] >= '0' && value[0] <= '9';
  return is_digit ? value[0] - '0' : parse_long_status(value);
}

// Percent-encodes octets outside 0x20 to 0x7e, and '%' (PROTOCOL-HTTP2.md, Status-Message). Cuts where `out` is full,
// never inside an escape. Returns the encoded size.
size_t encode_message(std::string_view message, std::span<char> out) noexcept;

}  // namespace ringway::grpc
