// What a request's metadata asks of the echo origin: faults, fixed answers, its own headers back.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http2_connection.h"

namespace ringway::echo {

enum class Answer : uint8_t {
  kEcho,         // every DATA byte comes back as it arrives
  kFixed,        // one gRPC message of a given size
  kHealthCheck,  // grpc.health.v1.Health/Check: SERVING
  kHealthWatch,  // grpc.health.v1.Health/Watch: SERVING, then the stream stays open
};

// The rare part of a request: made only when metadata asks for something.
struct Wishes {
  uint64_t delay_ns = 0;     // x-echo-delay-ms
  uint32_t grpc_status = 0;  // x-echo-status
  std::string grpc_message;  // x-echo-message, sent as it is given (percent-encoded by the caller)
  uint32_t reset_code = 0;   // x-echo-reset-code
  bool has_reset_code = false;
  bool is_trailers_only = false;                             // x-echo-trailers-only
  bool wants_headers = false;                                // x-echo-headers
  uint64_t response_bytes = 0;                               // x-echo-response-bytes
  std::vector<std::pair<std::string, std::string>> headers;  // to be sent back, names with their "echo-" prefix
  std::string status_text;                                   // of grpc_status, referred to by the frame
};

// Collects one request's header list as nghttp2 decodes it; reused from request to request of a connection.
class RequestReader {
 public:
  RequestReader() = default;
  RequestReader(const RequestReader&) = delete;
  RequestReader& operator=(const RequestReader&) = delete;
  ~RequestReader() { drop_fields(); }

  void begin() noexcept;
  void add(nghttp2_rcbuf* name, nghttp2_rcbuf* value);
  // The list is complete. The wishes are null where there are none.
  Answer finish(std::unique_ptr<Wishes>& wishes);

 private:
  void read_wish(std::string_view name, std::string_view value);
  void drop_fields() noexcept;
  Wishes& wishes();

  Answer answer_ = Answer::kEcho;
  std::unique_ptr<Wishes> wishes_;
  // Fields that x-echo-headers would return. They are held by reference until the list is complete, because that wish
  // may come last.
  std::vector<std::pair<nghttp2_rcbuf*, nghttp2_rcbuf*>> fields_;
};

}  // namespace ringway::echo
