// What the header lists of calls may make a shard keep and send. An octet of a block may stand for a field of 4 KB,
// which ringway writes out for the endpoint: so the decoded size counts, whatever the list takes here (CVE-2026-49975
// and its kin). Small lists are free, since calls of them are bounded by limits.streams.
#include <algorithm>
#include <utility>

#include "base/units.h"
#include "proxy/proxy.h"

namespace ringway::proxy {
namespace {

// Of a shard's part of shards.memory; the rest is for what slow peers leave waiting.
constexpr uint64_t kListShare = 2;

// Of what is written for a client and has not left; limits.connection_memory is never less.
constexpr uint64_t kFreeOutput = 64 * base::kKiB;

}  // namespace

// A client may have what limits.connection_headers says, and no more than is left for all: the more there are who take
// much, the less each of them gets, and something is always left for the next.
bool Proxy::keep_large_list(HeaderList& list, Exchange& exchange, const h2::Event& event, uint64_t now_ns) {
  Connection& client = *exchange.downstream;
  const uint32_t charge = event.list_bytes;
  const uint64_t bytes = client.list_bytes + charge;
  const uint64_t all_max = memory_budget_ / kListShare;
  const bool is_over_own = client.list_bytes != 0 && bytes > snapshot_.limits.connection_headers;
  const bool is_over_all = list_bytes_ != 0 && bytes > all_max - std::min(all_max, list_bytes_);
  if (!is_over_own && !is_over_all) {
    list.assign(event, memory_, charge);
    client.list_bytes = bytes;
    list_bytes_ += charge;
    return true;
  }
  const h2::LimitKind kind = is_over_own ? h2::LimitKind::kConnectionHeaders : h2::LimitKind::kMemory;
  count_limit(kind);
  if (!std::exchange(client.is_list_limit_told, true)) {
    log(config::LogLevel::kWarn, LogKind::kLimit, now_ns,
        "client {}: calls refused: with {} bytes of header lists kept for it and {} for all, no room for {} more ({})",
        client.client_text, client.list_bytes, list_bytes_, charge, h2::key_of(kind));
  }
  return false;
}

// Nothing of the call was kept or sent.
void Proxy::refuse_for_lists(Exchange& exchange) {
  exchange.reason = LocalReason::kMemory;
  exchange.grpc_status = static_cast<int16_t>(grpc::Status::kUnavailable);
  ++counters_.local_replies[static_cast<uint32_t>(LocalReason::kMemory)];
  exchange.downstream->h2.charge_refusal();
  reset_downstream(exchange, h2::ErrorCode::kRefusedStream);
}

// Of a call that an endpoint has, or will have: its reset is what servers bound, on a connection that all clients share
// (limits.upstream_resets). So it counts as one that came early.
void Proxy::refuse_for_trailers(Exchange& exchange, uint64_t now_ns) {
  Connection& client = *exchange.downstream;
  client.h2.charge_early_reset();
  client.h2.charge_refusal();
  end_with(exchange, grpc::Status::kResourceExhausted, LocalReason::kMemory,
           "the header lists of the client's calls are too large together (limits.connection_headers)", now_ns);
}

void Proxy::release_own_list(HeaderList& list, const Exchange& exchange) noexcept {
  const uint32_t charge = list.charge();
  list_bytes_ -= charge;
  if (charge != 0) {
    if (Connection* const client = connections_.find(exchange.client)) client->list_bytes -= charge;
  }
  list.release_own(memory_);
}

// No window bounds what an endpoint says in header lists; a client is kept no more of them than of bodies, and no more
// than is left of shards.memory: the more there is for all, the less for each, and most within one turn too, before the
// shard could be relieved of anything. False: its call has been reset.
bool Proxy::has_room_for_list(Exchange& exchange, uint64_t now_ns) {
  Connection& client = *exchange.downstream;
  const uint64_t waiting = client.output_bytes();
  if (waiting < kFreeOutput) [[likely]]
    return true;
  const uint64_t left = memory_budget_ - std::min<uint64_t>(memory_budget_, memory_.blocks.bytes_in_use());
  const bool is_over_own = waiting >= snapshot_.limits.connection_memory;
  if (!is_over_own && waiting <= left) return true;
  const h2::LimitKind kind = is_over_own ? h2::LimitKind::kConnectionMemory : h2::LimitKind::kMemory;
  count_limit(kind);
  log(config::LogLevel::kWarn, LogKind::kLimit, now_ns,
      "client {}: call reset: {} bytes of header lists wait for it, and {} are left for all ({})", client.client_text,
      waiting, left, h2::key_of(kind));
  reset_reader(exchange, now_ns);
  return false;
}

}  // namespace ringway::proxy
