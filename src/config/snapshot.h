// The validated configuration: what the file and the flags mean, with every default applied. Immutable once built;
// shards build their own routing and pool objects from it and never point into it from a stream (DESIGN 3.16).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "io/address.h"
#include "io/network.h"
#include "tls/options.h"

namespace ringway::config {

enum class AcceptMode : uint8_t { kBalanced, kReusePort };
enum class Policy : uint8_t { kRoundRobin };
// Whether the header tables of endpoints take in what clients send (RFC 7541 section 2.3.2).
enum class HeaderCompression : uint8_t { kDynamic, kStatic };
enum class LogLevel : uint8_t { kDebug, kInfo, kWarn, kError };
// Whether a listener's clients come with a header that says who they are (proxy/proxy_header.h).
enum class ProxyProtocol : uint8_t { kOff, kOptional, kRequire };
enum class AccessLogFormat : uint8_t { kCombined, kJson };
// Which directions of a TLS connection the kernel encrypts: none, what is sent, both, or what suits the kernel.
enum class KtlsMode : uint8_t { kOff, kTx, kRxTx, kAuto };
using tls::CertificateFiles;
using tls::ClientCertificate;
// What becomes of x-forwarded-client-cert, with Envoy's names. All but the first concern requests of clients that have
// shown a valid certificate; from the others the field is dropped in every mode.
enum class ClientCertHeader : uint8_t {
  kSanitize,       // an incoming one is dropped, none is written
  kSanitizeSet,    // an incoming one is dropped, one about this client is written
  kAppendForward,  // one about this client is written behind what came
  kForwardOnly,    // what came is passed on
};

// Bounds on what one peer may ask of us. One table of them, with default, reason and range, is in config/limits.cc.
struct Limits {
  uint32_t header_list_bytes;        // decoded: name + value + 32 each (RFC 9113 section 6.5.2)
  uint32_t header_fields;            // in one list
  uint32_t field_bytes;              // of one field in it, counted likewise; at most header_list_bytes
  uint32_t streams;                  // concurrent, per downstream connection
  uint32_t connections;              // downstream, all listeners and shards
  uint32_t window_bytes;             // flow control, per downstream stream
  uint32_t connection_window_bytes;  // flow control, per connection, both sides
  uint32_t upstream_window_bytes;    // flow control, per upstream stream
  uint32_t pending_calls;            // waiting for an upstream connection or stream slot, per endpoint and shard
  uint32_t replay_bytes;             // request DATA kept by a waiting or replayable call
  uint32_t message_bytes;            // of one gRPC message, either way; 0: no limit
  uint64_t replay_total_bytes;       // … by those of one shard together
  uint32_t per_source;               // downstream connections of one address; 0: no limit
  uint32_t continuations;            // frames of one header block behind the first
  uint32_t replies;                  // acknowledgements and resets that wait for a peer to read
  uint32_t reply_bytes;
  uint32_t settings_entries;  // in one frame
  uint32_t priorities;        // PRIORITY frames beyond one a stream
  uint32_t resets;            // the next seven at once; they come back, see refill_s
  uint32_t early_resets;
  uint32_t settings;
  uint32_t pings;
  uint32_t empty_frames;
  uint32_t small_data;
  uint32_t glitches;
  uint32_t descriptors;           // 0: a part of RLIMIT_NOFILE
  uint32_t upstream_resets;       // of one connection at once; they come back, see refill_s
  uint32_t records_per_key;       // of TLS, that we seal
  uint64_t handshake_timeout_ns;  // of TLS; the next five are of downstream connections
  uint64_t preface_timeout_ns;
  uint64_t header_timeout_ns;
  uint64_t idle_timeout_ns;     // 0: none
  uint64_t connection_age_ns;   // 0: none
  uint64_t stall_timeout_ns;    // 0: none
  uint64_t connection_memory;   // bytes that wait for one client
  uint64_t connection_headers;  // bytes of large header lists that it has made us keep
  uint64_t process_memory;      // resident bytes; 0: what the control group or the machine has

  bool operator==(const Limits&) const = default;
};

// In how many seconds all of an allowance is there again.
namespace refill_s {
inline constexpr uint32_t kResets = 30;
inline constexpr uint32_t kEarlyResets = 10;
inline constexpr uint32_t kSettings = 2;
inline constexpr uint32_t kPings = 100;
inline constexpr uint32_t kEmptyFrames = 100;
inline constexpr uint32_t kSmallData = 10;
inline constexpr uint32_t kGlitches = 30;
inline constexpr uint32_t kUpstreamResets = 30;
}  // namespace refill_s

struct ShardOptions {
  uint32_t count = 1;          // resolved: never 0
  std::vector<uint32_t> cpus;  // one per shard; empty: not pinned
  AcceptMode accept = AcceptMode::kBalanced;
  uint64_t busy_poll_ns = 0;
  uint64_t min_wait_ns = 0;
  uint64_t napi_ns = 0;
  uint32_t ring_entries = 1024;
  uint32_t recv_buffers = 128;         // of 16 KiB, a power of two
  uint64_t memory_bytes = 512u << 20;  // budget for buffered bytes, all shards together
  KtlsMode ktls = KtlsMode::kAuto;

  bool operator==(const ShardOptions&) const = default;
};

enum class PathMatch : uint8_t { kAny, kPrefix, kExact };

struct RouteConfig {
  PathMatch path_match = PathMatch::kAny;
  std::string path;       // a service match is a prefix "/pkg.Service/", service + method an exact path
  std::string authority;  // empty: any; compared without case, port ignored unless given
  std::vector<std::pair<std::string, std::string>>
      headers;           // all must be there with exactly this value; names lower case
  uint32_t cluster = 0;  // index into Snapshot::clusters
  std::string name;      // for logs and statistics: the match as written

  bool operator==(const RouteConfig&) const = default;
};

struct ForwardedOptions {
  bool x_forwarded_for = false;    // append the peer's address
  bool x_forwarded_proto = false;  // set to http or https
  ClientCertHeader client_cert = ClientCertHeader::kSanitize;

  // Something is written.
  bool has_any() const noexcept {
    return x_forwarded_for || x_forwarded_proto || client_cert == ClientCertHeader::kSanitizeSet ||
           client_cert == ClientCertHeader::kAppendForward;
  }
  bool operator==(const ForwardedOptions&) const = default;
};

// Who may come, and who says so.
struct SourceOptions {
  ProxyProtocol proxy_protocol = ProxyProtocol::kOff;
  std::vector<io::Network> allow;  // empty: everybody
  std::vector<io::Network> deny;   // wins over `allow`

  // Of the socket's peer, or of who was announced in its place.
  bool admits(const io::Address& client) const noexcept {
    return !io::any_holds(deny, client) && (allow.empty() || io::any_holds(allow, client));
  }
  bool operator==(const SourceOptions&) const = default;
};

using ListenerTls = tls::ServerOptions;

using ClusterTls = tls::ClientOptions;

struct ListenerConfig {
  io::Address address;
  std::optional<ListenerTls> tls;  // nothing: cleartext
  SourceOptions sources;
  ForwardedOptions forwarded;
  std::vector<RouteConfig> routes;  // the first that matches wins

  bool operator==(const ListenerConfig&) const = default;
};

struct EndpointConfig {
  io::Address address;
  uint32_t weight = 1;

  bool operator==(const EndpointConfig&) const = default;
};

struct ClusterConfig {
  std::string name;
  Policy policy = Policy::kRoundRobin;
  HeaderCompression header_compression = HeaderCompression::kDynamic;
  std::vector<EndpointConfig> endpoints;
  uint32_t connections_per_shard = 1;  // to each endpoint, at first; more are opened at the peer's stream limit
  uint64_t connect_timeout_ns = 0;
  uint64_t keepalive_silence_ns = 0;   // on a connection with calls, before a PING
  uint64_t keepalive_interval_ns = 0;  // between two; 0: none is sent
  uint64_t keepalive_timeout_ns = 0;
  std::optional<ClusterTls> tls;  // nothing: cleartext

  bool operator==(const ClusterConfig&) const = default;
};

struct AccessLogOptions {
  std::string path;  // empty: off; "-": standard output
  AccessLogFormat format = AccessLogFormat::kCombined;

  bool operator==(const AccessLogOptions&) const = default;
};

struct DrainOptions {
  uint64_t delay_ns = 0;  // between saying "not ready" and closing the listeners
  uint64_t timeout_ns = 0;

  bool operator==(const DrainOptions&) const = default;
};

struct Snapshot {
  uint64_t version = 0;
  ShardOptions shards;
  Limits limits{};
  std::vector<ListenerConfig> listeners;
  std::vector<ClusterConfig> clusters;
  AccessLogOptions access_log;
  DrainOptions drain;
  LogLevel log_level = LogLevel::kInfo;
  bool stats_at_exit = false;  // print the counters when the drain has ended; a flag without a key

  bool operator==(const Snapshot&) const = default;
};

}  // namespace ringway::config
