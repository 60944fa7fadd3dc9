// Clusters and endpoints as one shard knows them: connections, who waits, and when to try again.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/intrusive_list.h"
#include "base/prng.h"
#include "config/snapshot.h"
#include "proxy/connection.h"
#include "proxy/exchange.h"
#include "routing/round_robin.h"
#include "tls/handshake.h"

namespace ringway::proxy {

class Cluster;

//   untried --> up (a connection takes calls) <--> suspect (the last one went, or none could be made)
//      |                                              ^
//      +----------------------------------------------+
//
// A suspect endpoint is connected to again without a call that waits for it; calls go to others while there are others.
// Its timer runs while a connection is wanted and may not be opened yet.
class Endpoint : public OwnedTimer {
 public:
  Endpoint(Cluster& of, const config::EndpointConfig& config);

  Cluster& cluster;
  const io::Address address;
  const std::string name;                // the address as text
  std::vector<Connection*> connections;  // those that take calls or will; one that closes or drains leaves first
  uint32_t connecting_count = 0;         // of them, those that do not take calls yet
  uint32_t draining_count = 0;           // of those that have left, the ones that still have calls
  // Calls that wait for a connection, a stream slot or room in an output, oldest first. Those with large header lists
  // wait apart: they are what fills outputs, and who sends many of them is not to keep the others waiting.
  base::IntrusiveList<Exchange, WaitLink> waiting;
  base::IntrusiveList<Exchange, WaitLink> waiting_large;
  uint32_t waiting_count = 0;  // in both

  void enlist(Exchange& exchange) noexcept {
    (exchange.headers.charge() == 0 ? waiting : waiting_large).push_back(exchange);
    ++waiting_count;
  }
  // Whose turn it is of those who wait, of which there are.
  Exchange& next_waiting() noexcept;

  bool is_suspect = false;
  uint64_t retry_at_ns = 0;           // no connection is opened before
  uint32_t failures = 0;              // to open one, in a row
  uint32_t short_lives = 0;           // of connections, in a row
  uint64_t replace_at_ns = 0;         // no connection is replaced for its resets before
  uint32_t reset_burst = UINT32_MAX;  // resets that it takes on one connection, where it has shown that
  uint64_t reset_burst_until_ns = 0;  // when that is forgotten
  std::string failure;  // the latest, as a sentence that names the endpoint; empty: the latest attempt succeeded

  tls::Session tls_session;  // the latest, to resume

  bool has_open_connection() const noexcept { return connections.size() > connecting_count; }
  // A call would find a stream at once.
  bool has_room() const noexcept {
    return waiting_count == 0 && std::ranges::any_of(connections, &Connection::takes_calls);
  }
  // What it has shown calls for care: connections are opened one by one.
  bool is_unsteady() const noexcept { return failures != 0 || short_lives > kShortLivesFree; }
  // A call that has no better endpoint may wait for this suspect one.
  bool may_be_awaited(uint64_t now_ns) const noexcept {
    return connecting_count != 0 || now_ns >= retry_at_ns || failures == 0;
  }

  // No connection could be opened.
  void note_failure(uint64_t now_ns, std::string_view sentence, base::Prng& prng);
  // A connection takes calls.
  void note_success() noexcept;
  // A connection that took calls takes none any more, and has left the list. `is_early`: the endpoint has ended it
  // soon.
  void note_end(bool is_early, uint64_t now_ns, base::Prng& prng);

 private:
  // A server that restarts or sheds load ends a few connections early; one that ends each after a call or two has no
  // use for the next one at once.
  static constexpr uint32_t kShortLivesFree = 10;

  // A large one goes after so many others at the latest.
  static constexpr uint32_t kOthersFirst = 8;
  uint32_t others_in_a_row_ = 0;

  void back_off(uint32_t doublings, uint64_t now_ns, base::Prng& prng) noexcept;
};

class Cluster {
 public:
  // `start` is where the round robin begins.
  // `position` is its place in the snapshot.
  Cluster(const config::ClusterConfig& cluster_config, uint32_t position, uint32_t start);

  const config::ClusterConfig& config;
  const uint32_t number;
  std::vector<std::unique_ptr<Endpoint>> endpoints;

  // The endpoint for the next call; null: none can be reached. `not_this` is passed over if there is another.
  Endpoint* pick(uint64_t now_ns, const Endpoint* not_this) noexcept {
    const uint32_t index = round_robin_.pick([&](uint32_t i) {
      const Endpoint* const endpoint = endpoints.data()[i].get();
      return endpoint != not_this && !endpoint->is_suspect;
    });
    if (index != routing::kNoEndpoint) [[likely]]
      return endpoints.data()[index].get();
    return not_this != nullptr ? pick(now_ns, nullptr) : pick_suspect(now_ns);
  }
  // Another for a call for which `full` has neither a stream nor a further connection: one that has a stream, or to
  // which connections can be had, as far as is known. Null: there is none.
  Endpoint* pick_beside(const Endpoint& full) noexcept;

 private:
  Endpoint* pick_suspect(uint64_t now_ns) noexcept;

  routing::RoundRobin round_robin_;
};

}  // namespace ringway::proxy
