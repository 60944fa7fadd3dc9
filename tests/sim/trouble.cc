// What goes wrong, and when: drawn while calls are still begun, over when the run comes to its end.
#include <algorithm>

#include "report.h"
#include "world.h"

namespace ringway::sim {
namespace {

template <typename P>
P* draw_alive(const std::vector<std::unique_ptr<P>>& peers, base::Prng& prng) {
  std::vector<P*> alive;
  for (const auto& peer : peers) {
    if (peer->is_alive()) alive.push_back(peer.get());
  }
  return alive.empty() ? nullptr : alive[prng.below(static_cast<uint32_t>(alive.size()))];
}

}  // namespace

void World::trouble_later() {
  if (profile_.weather == Weather::kCalm) return;
  timeline_.in(1 + prng_.next() % (2 * profile_.trouble_gap_ns), [this] {
    if (healed_ns_ != 0) return;
    make_trouble();
    trouble_later();
  });
}

void World::make_trouble() {
  const uint32_t kind = prng_.below(10);
  if (kind < 5) {
    if (Client* client = draw_alive(clients_, prng_)) trouble_a_client(*client);
  } else if (kind < 9) {
    if (Backend* backend = draw_alive(backends_, prng_)) trouble_a_backend(*backend);
  } else {
    trouble_a_host();
  }
}

void World::trouble_a_client(Client& client) {
  const uint64_t pause_ns = prng_.below(700'000'000);
  const uint32_t kind = prng_.below(profile_.is_stormy() ? 8 : 2);
  trace("trouble {} for a client with {} calls", kind, client.open_calls());
  switch (kind) {
    case 0: return client.stall(pause_ns);
    case 1: return client.change_settings();
    case 2: return client.break_off(true);
    case 3: return client.break_off(false);
    case 4: return client.end();
    case 5: return client.half_close();
    case 6: return client.freeze();
    default:
      if (prng_.below(4) == 0) client.vanish();
  }
}

void World::trouble_a_backend(Backend& backend) {
  const uint64_t pause_ns = prng_.below(700'000'000);
  const uint32_t kind = prng_.below(profile_.is_stormy() ? 11 : 2);
  trace("trouble {} for a backend", kind);
  switch (kind) {
    case 0: return backend.stall(pause_ns);
    case 1: return backend.change_settings();
    case 2: return backend.break_off(true);
    case 3: return backend.break_off(false);
    case 4: return backend.end();
    case 5: return backend.half_close();
    case 6: return backend.go_away(true);
    case 7:
    case 8: return backend.go_away(false);
    case 9: return backend.freeze();
    default:
      if (prng_.below(4) == 0) backend.vanish();
  }
}

// A host that is gone for a while, or does not answer.
void World::trouble_a_host() {
  if (!profile_.is_stormy()) return;
  Host& host = hosts_[prng_.below(static_cast<uint32_t>(hosts_.size()))];
  (prng_.below(3) == 0 ? host.is_silent : host.is_up) ^= true;
  timeline_.in(prng_.below(2'000'000'000), [&host] { host = Host{}; });
}

}  // namespace ringway::sim
