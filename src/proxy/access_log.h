// The lines of the access log, one for each exchange: the line that NGINX calls "combined", or JSON. Pure: memory of
// the caller in, bytes out; nothing is allocated. Request headers that carry credentials are never part of a record.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace ringway::proxy {

// What is known about an exchange when it has ended. The texts live until the formatting call returns.
struct AccessRecord {
  uint64_t wall_time_ns = 0;  // of the end, since 1970
  std::string_view client;    // the peer's address without its port
  std::string_view method;
  std::string_view path;
  std::string_view authority;
  std::string_view user_agent;
  std::string_view referer;
  uint16_t status = 0;
  int grpc_status = -1;         // -1: the response carried none
  uint64_t bytes_sent = 0;      // response body
  uint64_t bytes_received = 0;  // request body
  std::string_view cluster;
  std::string_view endpoint;
  uint32_t attempts = 0;
  uint64_t duration_ns = 0;
  uint64_t hop_ns = 0;  // the part of the duration that passed on our side
};

// Formats lines; keeps the text of the current second, which is the dear part. One to a shard.
class AccessFormatter {
 public:
  // A field's written bytes, escapes included; a longer value is cut.
  static constexpr size_t kFieldBytesMax = 1024;
  // A line's bytes, line end included: what every buffer below must hold.
  static constexpr size_t kLineBytesMax = 8192;

  // 192.0.2.1 - - [12/May/2021:19:48:13 +0000] "POST /pkg.Service/Method HTTP/2.0" 200 43 "-" "grpc-go/1.37.0"
  // Escapes as NGINX does: \xHH. `out` holds kLineBytesMax; returns the size of the line, which ends in a line feed.
  size_t format_combined(const AccessRecord& record, std::span<char> out) noexcept;

  // One JSON object with the keys time, client, method, path, authority, status, grpc_status (null when there is none),
  // bytes_sent, bytes_received, user_agent, cluster, endpoint, attempts, duration_us, hop_us. A byte outside ASCII is
  // written as the character of that number, so that each line is valid JSON whatever a peer sent.
  size_t format_json(const AccessRecord& record, std::span<char> out) noexcept;

 private:
  static constexpr size_t kCombinedTimeBytes = 26;  // 12/May/2021:19:48:13 +0000
  static constexpr size_t kJsonSecondBytes = 19;    // 2021-05-12T19:48:13

  void remember_second(uint64_t second) noexcept;

  uint64_t second_ = UINT64_MAX;
  char combined_time_[kCombinedTimeBytes];
  char json_second_[kJsonSecondBytes];
};

}  // namespace ringway::proxy
