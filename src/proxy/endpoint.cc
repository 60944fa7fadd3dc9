#include "proxy/endpoint.h"

#include <algorithm>

#include "base/units.h"

namespace ringway::proxy {
namespace {

// 50 ms doubling to 2 s, each spread over +-20 %: a backend that restarts is found again within two seconds, and a
// thousand shards do not knock at once.
constexpr uint64_t kBackoffFirst_ns = 50 * base::kMillisecond_ns;
constexpr uint64_t kBackoffMax_ns = 2 * base::kSecond_ns;

std::vector<uint32_t> weights_of(const config::ClusterConfig& config) {
  std::vector<uint32_t> weights;
  for (const config::EndpointConfig& endpoint : config.endpoints) weights.push_back(endpoint.weight);
  return weights;
}

}  // namespace

Endpoint::Endpoint(Cluster& owner, const config::EndpointConfig& config)
    : cluster(owner), address(config.address), name(config.address.text()) {}

void Endpoint::note_failure(uint64_t now_ns, std::string_view error, base::Prng& prng) {
  const uint64_t backoff_ns = std::min(kBackoffFirst_ns << std::min(failures, 10u), kBackoffMax_ns);
  retry_at_ns = now_ns + static_cast<uint64_t>(static_cast<double>(backoff_ns) * (0.8 + 0.4 * prng.unit()));
  ++failures;
  last_error = error;
}

void Endpoint::note_success() noexcept {
  failures = 0;
  retry_at_ns = 0;
  last_error.clear();
}

Cluster::Cluster(const config::ClusterConfig& cluster_config, uint32_t start)
    : config(cluster_config), round_robin_(weights_of(cluster_config), start) {
  for (const config::EndpointConfig& endpoint : cluster_config.endpoints) {
    endpoints.push_back(std::make_unique<Endpoint>(*this, endpoint));
  }
}

}  // namespace ringway::proxy
