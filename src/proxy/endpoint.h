// Clusters and endpoints as one shard knows them: connections, who waits, and when to try again.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/intrusive_list.h"
#include "base/prng.h"
#include "config/snapshot.h"
#include "io/error.h"
#include "proxy/connection.h"
#include "proxy/exchange.h"
#include "routing/round_robin.h"

namespace ringway::proxy {

class Cluster;

class Endpoint {
 public:
  Endpoint(Cluster& owner, const config::EndpointConfig& config);

  Cluster& cluster;
  const io::Address address;
  const std::string name;                // the address as text
  std::vector<Connection*> connections;  // those that take calls or will; one that closes leaves first
  uint32_t connecting_count = 0;
  base::IntrusiveList<Exchange, WaitLink> waiting;  // for a connection or a stream slot, oldest first
  uint32_t waiting_count = 0;

  // After a failed connect the endpoint is passed over until the back-off ends, then the next call tries it.
  uint64_t retry_at_ns = 0;
  uint32_t failures = 0;   // in a row
  std::string last_error;  // "connection refused"; empty when the last attempt succeeded

  bool is_backing_off(uint64_t now_ns) const noexcept { return now_ns < retry_at_ns; }
  void note_failure(uint64_t now_ns, std::string_view error, base::Prng& prng);
  void note_success() noexcept;
};

class Cluster {
 public:
  // `start` is where the round robin begins.
  Cluster(const config::ClusterConfig& cluster_config, uint32_t start);

  const config::ClusterConfig& config;
  std::vector<std::unique_ptr<Endpoint>> endpoints;

  // The endpoint for the next call: one that is not backing off, else null. `not_this` is passed over if there is
  // another.
  Endpoint* pick(uint64_t now_ns, const Endpoint* not_this) noexcept {
    const uint32_t index = round_robin_.pick([&](uint32_t i) {
      const Endpoint* const endpoint = endpoints.data()[i].get();
      return endpoint != not_this && !endpoint->is_backing_off(now_ns);
    });
    if (index != routing::kNoEndpoint) [[likely]]
      return endpoints.data()[index].get();
    return not_this != nullptr ? pick(now_ns, nullptr) : nullptr;
  }

 private:
  routing::RoundRobin round_robin_;
};

}  // namespace ringway::proxy
