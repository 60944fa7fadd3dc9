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

Endpoint::Endpoint(Cluster& of, const config::EndpointConfig& config)
    : OwnedTimer(TimerOwner::kEndpoint), cluster(of), address(config.address), name(config.address.text()) {}

void Endpoint::back_off(uint32_t doublings, uint64_t now_ns, base::Prng& prng) noexcept {
  const uint64_t backoff_ns = std::min(kBackoffFirst_ns << std::min(doublings, 10u), kBackoffMax_ns);
  retry_at_ns = now_ns + static_cast<uint64_t>(static_cast<double>(backoff_ns) * (0.8 + 0.4 * prng.unit()));
}

Exchange& Endpoint::next_waiting() noexcept {
  const bool is_large = waiting.is_empty() || (!waiting_large.is_empty() && others_in_a_row_ >= kOthersFirst);
  others_in_a_row_ = is_large ? 0 : others_in_a_row_ + 1;
  return is_large ? waiting_large.front() : waiting.front();
}

void Endpoint::note_failure(uint64_t now_ns, std::string_view sentence, base::Prng& prng) {
  back_off(failures, now_ns, prng);
  ++failures;
  failure = sentence;
  is_suspect = !has_open_connection();
}

void Endpoint::note_success() noexcept {
  failures = 0;
  failure.clear();
  is_suspect = false;
}

void Endpoint::note_end(bool is_early, uint64_t now_ns, base::Prng& prng) {
  is_suspect = !has_open_connection();
  if (is_suspect) {
    // What is known of further connections is out of date: one is tried at once.
    failures = 0;
    failure.clear();
    retry_at_ns = 0;
  }
  short_lives = is_early ? short_lives + 1 : 0;
  if (short_lives > kShortLivesFree) back_off(short_lives - kShortLivesFree - 1, now_ns, prng);
}

Cluster::Cluster(const config::ClusterConfig& cluster_config, uint32_t position, uint32_t start)
    : config(cluster_config), number(position), round_robin_(weights_of(cluster_config), start) {
  for (const config::EndpointConfig& endpoint : cluster_config.endpoints) {
    endpoints.push_back(std::make_unique<Endpoint>(*this, endpoint));
  }
}

Endpoint* Cluster::pick_beside(const Endpoint& full) noexcept {
  const uint32_t index = round_robin_.pick([&](uint32_t i) {
    const Endpoint& other = *endpoints[i];
    return &other != &full && !other.is_suspect && (other.failures == 0 || other.has_room());
  });
  return index != routing::kNoEndpoint ? endpoints[index].get() : nullptr;
}

Endpoint* Cluster::pick_suspect(uint64_t now_ns) noexcept {
  const uint32_t index = round_robin_.pick([&](uint32_t i) { return endpoints[i]->may_be_awaited(now_ns); });
  return index != routing::kNoEndpoint ? endpoints[index].get() : nullptr;
}

}  // namespace ringway::proxy
