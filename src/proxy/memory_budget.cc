// What the shard does when its peers make it hold more than its share of shards.memory (DESIGN 3.9).
#include <algorithm>
#include <bit>
#include <utility>
#include <vector>

#include "base/units.h"
#include "proxy/proxy.h"
#include "proxy/text.h"

namespace ringway::proxy {
namespace {

// Looking for what to give up takes a pass over all calls: not more often than this.
constexpr uint64_t kPause_ns = 10 * base::kMillisecond_ns;

uint32_t pending_bytes(const h2::Stream* stream) noexcept {
  return stream != nullptr ? stream->pending.size() : 0;
}

// A queue of that size holds a block at least so large.
uint64_t block_bytes(uint32_t size) noexcept {
  return size == 0 ? 0 : std::max<uint64_t>(std::bit_ceil(uint64_t{size}), base::BlockPool::kSmallest);
}

// What the shard would be rid of with a call that waits, or whose octets do; 0 for others, which are served as fast as
// can be.
uint64_t held_bytes(const Exchange& exchange) noexcept {
  const bool is_waiting = static_cast<const WaitLink&>(exchange).is_linked();
  uint64_t bytes = pending_bytes(exchange.downstream_stream) + pending_bytes(exchange.upstream_stream);
  for (const h2::Stream* const stream : {exchange.downstream_stream, exchange.upstream_stream}) {
    if (stream != nullptr) bytes += stream->pending_trailers.size();
  }
  if (bytes == 0 && !is_waiting) return 0;
  return bytes + exchange.body.size() + exchange.headers.own_bytes() + exchange.trailers.own_bytes();
}

}  // namespace

// Connections that have nothing to do give back what they hold, and clients find another proxy, before calls must end.
void Proxy::set_pressure(Pressure pressure, uint64_t now_ns) {
  if (pressure != pressure_) {
    if (pressure_ == Pressure::kNone) count_limit(h2::LimitKind::kProcessMemory);
    pressure_ = pressure;
  }
  if (pressure < Pressure::kDrainIdle) return;
  connections_.for_each([&](Connection& connection) {
    if (!connection.is_upstream() && connection.h2.stream_count() == 0) {
      ask_to_go(connection, h2::LimitKind::kProcessMemory, "idle while memory is short", now_ns);
    }
  });
}

void Proxy::refuse_for_pressure(Exchange& exchange, uint64_t now_ns) {
  end_with(exchange, grpc::Status::kUnavailable, LocalReason::kMemory,
           "the proxy is short of memory (limits.process_memory)", now_ns);
}

// Gives up, until an eighth of the budget is free: first the copies that only a retry would need, then calls whose peer
// takes nothing, of the clients that hold most; then connections that do not read.
void Proxy::relieve_memory(uint64_t now_ns) {
  if (now_ns < next_relief_ns_) return;
  next_relief_ns_ = now_ns + kPause_ns;
  count_leaving_bytes();
  const uint64_t before = staying_bytes();
  if (before <= memory_budget_) return;
  count_limit(h2::LimitKind::kMemory);
  drop_replay_bodies();
  // More than DATA alone makes an output: who is kept that much costs others no call.
  if (is_short_of_memory()) end_blocked_connections(Connection::kBlockedOutputMax, now_ns);
  if (is_short_of_memory()) reset_stalled_calls(now_ns);
  if (is_short_of_memory()) end_blocked_connections(0, now_ns);
  log(config::LogLevel::kWarn, LogKind::kLimit, now_ns,
      "shard {}: {} bytes were buffered for slow peers, {} are now (shards.memory, this shard's part: {})",
      options_.shard, before, staying_bytes(), memory_budget_);
}

// What sends hold cannot be taken from them, but is going to be free: where the kernel has not said yet that it takes
// less than all, and where the connection is being ended.
void Proxy::count_leaving_bytes() {
  leaving_bytes_ = 0;
  connections_.for_each([this](const Connection& connection) {
    const bool is_ending = connection.state == ConnectionState::kClosing && connection.is_linger_over;
    if (connection.is_socket_writable || is_ending) leaving_bytes_ += block_bytes(connection.sending_bytes);
  });
}

void Proxy::drop_replay_bodies() {
  exchanges_.for_each([this](Exchange& exchange) {
    // One that waits has its request nowhere else.
    if (exchange.is_finished || static_cast<WaitLink&>(exchange).is_linked()) return;
    if (!exchange.body.is_empty()) drop_replay_body(exchange, false);
    // Without its list a call is not sent again either; the access log has a use for it to the end.
    const bool is_sent = exchange.upstream_stream != nullptr && !has_access_log_;
    if (is_sent && exchange.headers.own_bytes() != 0) release_list(exchange.headers, exchange);
  });
}

// The client that holds most loses the call that has waited longest, until another holds more: who holds little keeps
// its calls, however long they have waited.
void Proxy::reset_stalled_calls(uint64_t now_ns) {
  struct Stalled {
    Exchange* exchange;
    uint32_t client;
    uint64_t since_ms;
    uint64_t bytes;
  };
  std::vector<Stalled> stalled;
  exchanges_.for_each([&](Exchange& exchange) {
    if (exchange.is_finished) return;
    const uint64_t bytes = held_bytes(exchange);
    if (bytes == 0) return;
    const bool is_waiting = static_cast<WaitLink&>(exchange).is_linked();
    const uint64_t since_ns = is_waiting ? exchange.started_ns : exchange.stalled_since_ns;
    stalled.push_back({&exchange, exchange.client.index, since_ns / base::kMillisecond_ns, bytes});
  });
  std::ranges::sort(stalled, [](const Stalled& a, const Stalled& b) {
    if (a.client != b.client) return a.client < b.client;
    return a.since_ms != b.since_ms ? a.since_ms < b.since_ms : a.bytes > b.bytes;
  });
  struct Client {
    uint64_t bytes;
    size_t next;  // its calls in `stalled`
    size_t end;
  };
  std::vector<Client> clients;
  for (size_t i = 0; i < stalled.size(); ++i) {
    if (i == 0 || stalled[i].client != stalled[i - 1].client) {
      clients.push_back({stalled[i].exchange->downstream->output_bytes(), i, i});
    }
    clients.back().bytes += stalled[i].bytes;
    clients.back().end = i + 1;
  }
  const auto holds_less = [](const Client& a, const Client& b) { return a.bytes < b.bytes; };
  std::ranges::make_heap(clients, holds_less);
  while (!clients.empty() && is_short_of_memory()) {
    std::ranges::pop_heap(clients, holds_less);
    Client& largest = clients.back();
    const Stalled& call = stalled[largest.next++];
    // The end of one may have ended another.
    if (!call.exchange->is_finished) reset_for_memory(*call.exchange, now_ns);
    largest.bytes -= call.bytes;
    if (largest.next == largest.end) {
      clients.pop_back();
    } else {
      std::ranges::push_heap(clients, holds_less);
    }
  }
}

void Proxy::reset_for_memory(Exchange& exchange, uint64_t now_ns) {
  if (pending_bytes(exchange.downstream_stream) == 0) {
    end_with(exchange, grpc::Status::kResourceExhausted, LocalReason::kMemory,
             "the proxy holds too many bytes for slow peers (shards.memory)", now_ns);
    return;
  }
  reset_reader(exchange, now_ns);
}

// Its client takes nothing, so that it cannot be told more.
void Proxy::reset_reader(Exchange& exchange, uint64_t now_ns) {
  leave_endpoint(exchange, LocalReason::kMemory, now_ns);
  exchange.grpc_status = static_cast<int16_t>(grpc::Status::kResourceExhausted);
  reset_downstream(exchange, h2::ErrorCode::kEnhanceYourCalm);
}

// Bytes that wait for one client, beyond what limits.connection_memory allows: the calls that it has left waiting
// longest end, until an eighth is free.
void Proxy::relieve_connection(Connection& connection, uint64_t now_ns) {
  const uint64_t bytes_max = snapshot_.limits.connection_memory;
  std::vector<std::pair<uint64_t, Exchange*>> stalled;
  connection.h2.streams().for_each([&](h2::Stream& stream) {
    if (!stream.pending.is_empty()) stalled.emplace_back(exchange_of(stream).stalled_since_ns, &exchange_of(stream));
  });
  std::ranges::sort(stalled);
  for (const auto& [since_ns, exchange] : stalled) {
    if (connection.h2.pending_bytes() <= bytes_max - bytes_max / 8) break;
    if (exchange->is_finished) continue;
    count_limit(h2::LimitKind::kConnectionMemory);
    reset_for_memory(*exchange, now_ns);
  }
  log(config::LogLevel::kWarn, LogKind::kLimit, now_ns, "client {}: calls reset: more than {} bytes waited for it ({})",
      connection.client_text, bytes_max, h2::key_of(h2::LimitKind::kConnectionMemory));
}

// Header lists and answers that nobody reads lie in the outputs, and in sends that wait. They end at once: the time
// that a peer gets to read what was said last is time in which they would be kept.
void Proxy::end_blocked_connections(uint64_t more_than, uint64_t now_ns) {
  std::vector<Connection*> blocked;
  connections_.for_each([&](Connection& connection) {
    if (connection.is_socket_writable || connection.is_linger_over) return;
    if (connection.output_bytes() > more_than) blocked.push_back(&connection);
  });
  std::ranges::sort(blocked, std::ranges::greater(), &Connection::output_bytes);
  for (Connection* const connection : blocked) {
    if (!is_short_of_memory()) return;
    if (connection->state != ConnectionState::kClosing) {
      end_connection(*connection, "too many bytes wait for it (shards.memory)", now_ns);
    }
    connection->h2.output().release(memory_.blocks);
    connection->is_linger_over = true;
    mark(*connection);
    leaving_bytes_ += block_bytes(connection->sending_bytes);
  }
}

}  // namespace ringway::proxy
