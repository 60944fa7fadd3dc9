// The rules of RFC 9113 section 8 for the header lists of requests, responses and trailers: what breaks them is
// rejected, never repaired. Finding the fields that routing and gRPC need is part of the same pass.
#pragma once

#include <cstdint>
#include <span>

#include "h2/fault.h"
#include "h2/field.h"

namespace ringway::h2 {

// Positions in the list, one-based; 0: not there.
struct MessageHead {
  uint16_t none = 0;  // where fields without a meaning here leave their position
  uint16_t method = 0;
  uint16_t path = 0;
  uint16_t scheme = 0;
  uint16_t authority = 0;
  uint16_t status_position = 0;
  uint16_t host = 0;
  uint16_t content_type = 0;  // of several one of gRPC, if there is one
  uint16_t grpc_timeout = 0;
  uint16_t grpc_status = 0;
  uint16_t grpc_message = 0;
  uint16_t client_cert = 0;         // x-forwarded-client-cert: of several the last
  uint16_t status = 0;              // the number of a response, 100 to 999
  bool has_content_length = false;  // also of a response that never has content, whatever it announces: 204, 304
  bool is_head = false;             // a request whose response has no content
  bool is_grpc = false;  // of a list beyond the limit: a content-type of gRPC is in it, or was in what is left out
  Fault fault = Fault::kNone;  // of a message that is refused: why
  uint64_t content_length = 0;
};

// Whatever the request was (RFC 9110 sections 15.3.5 and 15.4.5).
constexpr bool has_no_content(uint16_t status) noexcept {
  return status == 204 || status == 304;
}

enum class MessageKind : uint8_t { kRequest, kResponse, kTrailers };

// False: malformed (section 8.1.1), a stream error PROTOCOL_ERROR, and `head.fault` says why. A request without a path
// is a CONNECT (section 8.5).
[[nodiscard]] bool check_message(MessageKind kind, std::span<const Field> fields, MessageHead& head) noexcept;

// For a list that begins as one that check_message() allows, whose positions are in `head`: true when the fields behind
// it, from the one-based `position` on, leave it allowed whatever they hold; their positions are then added. False: the
// whole list has to be checked.
[[nodiscard]] bool check_ordinary(MessageKind kind, std::span<const Field> fields, uint16_t position,
                                  MessageHead& head) noexcept;

}  // namespace ringway::h2
