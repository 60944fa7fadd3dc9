// What one shard has done, in plain numbers that only its thread writes.
#pragma once

#include <cstdint>

#include "proxy/exchange.h"

namespace ringway::proxy {

struct Counters {
  uint64_t requests = 0;        // accepted: an exchange was made
  uint64_t responses = 0;       // ended with the response complete, local replies included
  uint64_t resets = 0;          // ended by RST_STREAM towards the client, or by the loss of its connection
  uint64_t client_cancels = 0;  // ended by the client
  uint64_t retries = 0;         // further attempts, each provably unprocessed before
  uint64_t retries_denied = 0;  // it was, but the request could not be replayed
  uint64_t local_replies[static_cast<uint32_t>(LocalReason::kCount)] = {};
  uint64_t downstream_connections = 0;
  uint64_t upstream_connections = 0;
  uint64_t sources_refused = 0;    // by `allow` and `deny`
  uint64_t proxy_headers = 0;      // PROXY headers that were good
  uint64_t bad_proxy_headers = 0;  // malformed, or missing where one is required
  uint64_t tls_clients = 0;        // on a cleartext listener
  uint64_t tls_failures = 0;       // handshakes and records, both sides
  uint64_t cleartext_clients = 0;  // of these: HTTP where TLS belongs
  uint64_t http1_clients = 0;      // likewise, without those that ask for /healthz
  uint64_t health_checks = 0;      // GET /healthz over HTTP/1
  uint64_t unknown_clients = 0;    // that speak something else
  uint64_t foreign_endpoints = 0;  // to endpoints that did not speak HTTP/2, or not at all
  uint64_t connect_failures = 0;
  uint64_t request_bytes = 0;  // DATA
  uint64_t response_bytes = 0;
};

}  // namespace ringway::proxy
