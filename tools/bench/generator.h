// The load generators: their command lines, and their reports brought into one form.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "scenario.h"

namespace ringway::bench {

// Microseconds. What a generator does not report is absent.
struct Latency {
  double mean = 0;
  std::optional<double> p50;
  std::optional<double> p90;
  std::optional<double> p99;
  std::optional<double> p999;
  std::optional<double> max;
};

// What the connections of a run agreed on.
struct TlsReport {
  std::string kind;  // as in "TLSv1.3 AES-128-GCM X25519"; of several, all
  uint64_t handshakes = 0;
  uint64_t resumed = 0;
};

struct Report {
  uint64_t requests = 0;   // that were due, however they ended
  uint64_t succeeded = 0;  // what costs are divided by: a call that never left costs the proxy nothing
  double duration_s = 0;
  double rate_offered = 0;  // 0: closed loop
  double rate_achieved = 0;
  std::map<std::string, uint64_t> errors;    // by kind
  std::optional<Latency> latency;            // from the intended start where the generator knows it
  std::optional<Latency> latency_from_send;  // the difference to `latency` is what the generator itself was late
  std::optional<Latency> schedule_lag;
  double cpu_s = 0;
  bool is_bottleneck = false;  // by its own account
  std::string bottleneck_reason;
  uint64_t bytes = 0;  // sent and received
  std::optional<TlsReport> tls;

  uint64_t error_count() const;
};

// One run of a generator.
struct Load {
  GeneratorKind generator = GeneratorKind::kRingwayLoad;
  std::string target;  // HOST:PORT
  uint32_t connections = 1;
  uint32_t streams = 1;
  uint64_t requests = 0;  // 0: for duration_s
  double duration_s = 0;
  double rate = 0;  // 0: closed loop
  uint32_t message_bytes = 32;
  uint32_t stream_messages = 1;
  bool is_pipelined = false;
  bool vary_metadata = false;
  uint32_t paths = 1;
  std::string ca;  // of the target's certificate; empty: cleartext
  Handshakes handshakes = Handshakes::kNone;
};

inline constexpr const char* kPath = "/ringway.bench.Echo/Call";

// `program` is the generator's file; `body_file` holds h2load's request body (see grpc_body).
// h2load counts requests only; `load.requests` must not be zero for it.
std::vector<std::string> generator_arguments(const Load& load, const std::string& program,
                                             const std::string& body_file);

// One gRPC message of that many zero bytes, with its five-byte prefix.
std::string grpc_body(uint32_t message_bytes);

// The report in what the generator printed. Throws Failure when it is not there.
Report parse_ringway_load(const std::string& text);
Report parse_h2load(const std::string& text);

}  // namespace ringway::bench
