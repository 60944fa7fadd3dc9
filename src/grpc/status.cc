#include "grpc/status.h"

namespace ringway::grpc {

Status status_of_reset(h2::ErrorCode code) noexcept {
  switch (code) {
    case h2::ErrorCode::kRefusedStream: return Status::kUnavailable;
    case h2::ErrorCode::kCancel: return Status::kCancelled;
    case h2::ErrorCode::kEnhanceYourCalm: return Status::kResourceExhausted;
    case h2::ErrorCode::kInadequateSecurity: return Status::kPermissionDenied;
    default: return Status::kInternal;
  }
}

uint16_t http_status_of(Status status) noexcept {
  switch (status) {
    case Status::kOk: return 200;
    case Status::kUnimplemented: return 404;
    case Status::kDeadlineExceeded: return 504;
    case Status::kResourceExhausted: return 429;
    case Status::kUnavailable: return 503;
    case Status::kInvalidArgument: return 400;
    case Status::kPermissionDenied: return 403;
    case Status::kUnauthenticated: return 401;
    default: return 502;
  }
}

std::string_view text_of(Status status) noexcept {
  static constexpr std::string_view kTexts[] = {"0", "1",  "2",  "3",  "4",  "5",  "6",  "7", "8",
                                                "9", "10", "11", "12", "13", "14", "15", "16"};
  return kTexts[static_cast<uint8_t>(status)];
}

int parse_long_status(std::string_view value) noexcept {
  if (value.empty() || value.size() > 3) return -1;
  int number = 0;
  for (const char c : value) {
    if (c < '0' || c > '9') return -1;
    number = number * 10 + (c - '0');
  }
  return number;
}

size_t encode_message(std::string_view message, std::span<char> out) noexcept {
  static constexpr char kHex[] = "0123456789ABCDEF";
  size_t size = 0;
  for (const char c : message) {
    const auto octet = static_cast<unsigned char>(c);
    if (octet >= 0x20 && octet <= 0x7e && octet != '%') {
      if (size + 1 > out.size()) break;
      out[size++] = c;
      continue;
    }
    if (size + 3 > out.size()) break;
    out[size++] = '%';
    out[size++] = kHex[octet >> 4];
    out[size++] = kHex[octet & 15];
  }
  return size;
}

}  // namespace ringway::grpc
