// One call as all ends of it know it: what is going to be sent and done, drawn when it begins, and what came of it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/prng.h"
#include "base/units.h"

namespace ringway::sim {

struct Profile;

enum class Answer : uint8_t {
  kWhole,         // when the request is complete
  kEarly,         // before it is, and the rest of the request is taken
  kEarlyNoError,  // … and the rest is refused: RST_STREAM(NO_ERROR) behind the answer
  kStatusOnly,    // HEADERS with the status and nothing else
  kReset,         // in the middle of the response, or instead of it
  kNone,          // the backend hangs
};

struct Plan {
  bool is_grpc = true;
  bool has_request_trailers = false;
  uint32_t request_bytes = 0;
  uint32_t response_bytes = 0;
  uint32_t message_bytes = 100;  // of one gRPC message
  uint32_t metadata_bytes = 0;   // a field of that size
  uint32_t request_chunk = 0;    // octets sent at a time; 0: all at once
  uint32_t response_chunk = 0;
  uint64_t pause_ns = 0;         // between chunks
  uint64_t think_ns = 0;         // of the backend
  uint64_t credit_delay_ns = 0;  // the client's, for what it has received on the stream
  uint64_t deadline_ns = 0;      // grpc-timeout, 0: none
  uint64_t cancel_after_ns = 0;  // 0: never
  Answer answer = Answer::kWhole;
  uint32_t informational = 0;
  uint32_t status = 0;  // grpc-status
  uint32_t reset_code = 0;
  uint32_t reset_at = 0;  // octets of the response
  uint32_t refusals = 0;  // REFUSED_STREAM to so many attempts
};

Plan draw_plan(const Profile& profile, base::Prng& prng);

enum class Outcome : uint8_t {
  kOpen,
  kComplete,   // END_STREAM was seen
  kReset,      // RST_STREAM
  kRefused,    // GOAWAY says that it was not taken
  kLost,       // the connection ended, whoever ended it
  kCancelled,  // by the client
};

struct Call {
  Call(uint32_t number, const Plan& drawn);

  uint32_t id;
  Plan plan;
  std::string request;
  std::string response;

  // The client.
  uint64_t started_ns = 0;  // when its headers left, 0: not yet
  Outcome outcome = Outcome::kOpen;
  size_t sent = 0;
  size_t sendable = 0;
  size_t received = 0;
  uint32_t http_status = 0;
  int32_t grpc_status = -1;
  bool has_backend_headers = false;  // the answer is a backend's, not the proxy's
  bool has_backend_end = false;      // … and so is its end
  bool has_ended = false;
  bool is_cancelled = false;

  // The backends.
  uint32_t attempts = 0;
  uint32_t taken = 0;  // attempts that a backend has begun to work on

  // Octets that came to one of the two ends are those that the other sent; ends the run if not.
  void check_octets(std::string_view part, size_t offset, bool is_response) const;
  bool is_at_boundary(size_t size) const;
};

}  // namespace ringway::sim
