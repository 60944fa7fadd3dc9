// Forwarding, for one shard: requests from downstream connections become exchanges, are given an endpoint, and are
// joined to a stream of one of its connections. No descriptors here: the shard feeds bytes and time in, and does what
// the lists at the end of the public part ask for.
//
// Nothing is acted upon inside a completion or a parser: receive() parses first, then the events are worked off.
#pragma once

#include <fmt/core.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "base/intrusive_list.h"
#include "base/plain_vector.h"
#include "base/prng.h"
#include "base/timer_wheel.h"
#include "config/snapshot.h"
#include "h2/memory.h"
#include "io/error.h"
#include "proxy/access_log.h"
#include "proxy/connection.h"
#include "proxy/counters.h"
#include "proxy/endpoint.h"
#include "proxy/exchange.h"
#include "proxy/listener.h"
#include "proxy/log_port.h"
#include "proxy/reset_accounts.h"
#include "stats/histogram.h"

namespace ringway::proxy {

struct ProxyOptions {
  uint32_t shard = 0;
  uint64_t seed = 0;       // for jitter and the field hash
  LogPort* log = nullptr;  // null: nothing is logged
  uint32_t shards = 1;     // that share shards.memory
  // The listeners' addresses as they were bound, where port 0 has become another; none: as configured.
  std::span<const io::Address> bound = {};
};

// How short of memory the process is (limits.process_memory); each includes those before it.
enum class Pressure : uint8_t { kNone, kRefuseCalls, kDrainIdle, kAcceptNone };

class Proxy {
 public:
  // `snapshot` outlives the proxy.
  Proxy(const config::Snapshot& snapshot, const ProxyOptions& options, uint64_t now_ns);
  Proxy(const Proxy&) = delete;
  Proxy& operator=(const Proxy&) = delete;
  ~Proxy();

  // Whether the listener takes clients from this address, as far as the address of the socket tells; logged and counted
  // when it does not. Before accept().
  bool admits(uint32_t listener, const io::Address& peer, uint64_t now_ns);
  // What happened to sockets. Every call may add to the lists below.
  Connection* accept(uint32_t listener, const io::Address& peer, uint64_t now_ns);  // null: no slot
  void connected(Connection& connection, uint64_t now_ns);
  void connect_failed(Connection& connection, io::Error error, uint64_t now_ns);
  void receive(Connection& connection, std::span<const uint8_t> bytes, uint64_t now_ns);
  // A client's first bytes, where TLS follows them: how many more decide whether a PROXY header comes, and where it
  // ends. 0: that is over, and the connection is at its end if it was refused. `rest` is then what follows, until the
  // next call.
  size_t receive_proxy_header(Connection& connection, std::span<const uint8_t> bytes, std::span<const uint8_t>& rest,
                              uint64_t now_ns);
  // TLS with a client is established: what it says from here on is HTTP/2.
  void secured(Connection& connection, uint64_t now_ns);
  // No connection to the cluster resumes an earlier one.
  void forget_tls_sessions(uint32_t cluster) noexcept;
  // The keys of its TLS connection have served long enough, and there can be no others: its calls end, others go
  // elsewhere.
  void retire_keys(Connection& connection, uint64_t now_ns);
  // A client began with HTTP where TLS belongs: what it is told in clear, before the connection ends as failed.
  std::span<const uint8_t> answer_cleartext(tls::Cleartext speech) noexcept;
  // TLS failed, in the handshake or behind it; `why` is a sentence without a period.
  void secure_failed(Connection& connection, std::string_view why, uint64_t now_ns);
  // The end of the peer's bytes (no error), or a failure: every call on it is ended, the connection is to be closed.
  void lost(Connection& connection, io::Error error, uint64_t now_ns);
  // The socket is gone; the connection dies.
  void forget(Connection& connection);

  void advance(uint64_t now_ns);
  uint64_t next_timer_ns() noexcept { return timers_.next_ns(); }

  // A flush: for each connection of `dirty`, prepare() moves what may be sent into its output, and credit that this
  // frees may make others dirty. Then the shard sends.
  void prepare(Connection& connection, uint32_t bytes_max, uint64_t now_ns);
  // Its output has left: calls that waited for that go with the next flush, for which it is to be dirty.
  static bool has_room_for_waiting(const Connection& connection) noexcept {
    return connection.endpoint != nullptr && connection.endpoint->waiting_count != 0 && connection.takes_calls() &&
           !static_cast<const DirtyLink&>(connection).is_linked();
  }
  // After the outputs of a turn were handed over: hop times, log lines, the end of exchanges.
  void finish_turn(uint64_t now_ns);

  // Said again and again while there is any.
  void set_pressure(Pressure pressure, uint64_t now_ns);
  Pressure pressure() const noexcept { return pressure_; }

  // From here on /healthz says that no client should be sent here; calls go on.
  void begin_unready() noexcept { is_ready_ = false; }
  // Drain (DESIGN 3.17): GOAWAY(2^31-1) and PING on every downstream connection, the real id after the answer or 1 s.
  void begin_drain(uint64_t now_ns);
  // The time is up: what is left ends now, each call with a reason.
  void end_drain(uint64_t now_ns);
  bool is_draining() const noexcept { return is_draining_; }
  uint32_t downstream_count() const noexcept { return downstream_count_; }

  // Wants. `dirty`: connections with something to send, or to close (state kClosing). `to_connect`: made, without
  // socket.
  base::IntrusiveList<Connection, DirtyLink> dirty;
  std::vector<base::Handle<Connection>> to_connect;

  ConnectionPool& connections() noexcept { return connections_; }
  ExchangePool& exchanges() noexcept { return exchanges_; }
  h2::Memory& memory() noexcept { return memory_; }
  const h2::Memory& memory() const noexcept { return memory_; }
  const Counters& counters() const noexcept { return counters_; }
  // What is in use now; behind the end of a drain nothing is (connections to endpoints are not waited for).
  struct InUse {
    uint64_t clients = 0;
    uint64_t streams = 0;
    uint64_t exchanges = 0;
    uint64_t block_bytes = 0;
  };
  InUse in_use() const noexcept {
    return {downstream_count_, memory_.streams.live_count(), exchanges_.live_count(), memory_.blocks.bytes_in_use()};
  }
  // How often each limit was met, by h2::LimitKind.
  std::span<const uint64_t> limit_hits() const noexcept { return memory_.limit_hits; }
  // The shard's own: connections that it does not hand over.
  void count_limit(h2::LimitKind kind) noexcept { ++memory_.limit_hits[static_cast<uint32_t>(kind)]; }
  uint32_t armed_timers() const noexcept { return timers_.armed_count(); }
  // Adds this shard's hop times, all routes together.
  void add_hop_times(stats::Histogram& sum) const;
  const config::Snapshot& snapshot() const noexcept { return snapshot_; }

  // Aborts when an invariant does not hold (validate.cc). For tests.
  void validate();

 private:
  // Connections and time (proxy.cc).
  void mark(Connection& connection) {
    if (!static_cast<DirtyLink&>(connection).is_linked()) dirty.push_back(connection);
  }
  // Acts on what a receive call has brought. No event is added meanwhile: nothing that acts calls receive().
  template <typename Act>
  [[gnu::always_inline]] void work_off_events(Connection& connection, uint64_t now_ns, Act&& act_on_stream) {
    for (const h2::Event& event : memory_.events) {
      if (h2::Stream* const stream = memory_.streams.find(event.stream)) [[likely]] {
        act_on_stream(*stream, event);
      } else if (!event.stream) {
        on_connection_event(connection, event, now_ns);
      }  // else its stream was ended by an earlier event
    }
  }
  void on_connection_failed(Connection& connection, uint64_t now_ns);
  void begin_closing(Connection& connection, uint64_t now_ns);
  void end_connection(Connection& connection, std::string_view cause, uint64_t now_ns);
  void on_connection_event(Connection& connection, const h2::Event& event, uint64_t now_ns);
  void on_fault(const Connection& connection, h2::Fault fault, uint64_t now_ns);
  void on_connection_timer(Connection& connection, uint64_t now_ns);
  void on_goaway(Connection& connection, const h2::Event& event, uint64_t now_ns);
  void begin_drain_step(Connection& connection, std::string_view why, uint64_t now_ns);
  void finish_drain_step(Connection& connection, uint64_t now_ns);
  void close_if_drained(Connection& connection, uint64_t now_ns);
  void lose_upstream(Connection& connection, std::string_view cause, uint64_t now_ns);
  void withdraw_unsent(Connection& connection);
  void end_exchanges_of(Connection& connection, std::string_view cause, uint64_t now_ns);
  void finish_exchange(Exchange& exchange, uint64_t now_ns);
  static Exchange& exchange_of(h2::Stream& stream) noexcept { return *static_cast<Exchange*>(stream.owner); }
  template <typename... Arguments>
  void log(config::LogLevel level, LogKind kind, uint64_t now_ns, fmt::format_string<Arguments...> format,
           Arguments&&... arguments) {
    if (options_.log != nullptr) {
      options_.log->event(level, kind, now_ns, format, std::forward<Arguments>(arguments)...);
    }
  }

  // What a client's connection owes while it is open (downstream_watch.cc).
  uint64_t age_limit_ns() noexcept;
  void begin_watch(Connection& connection, uint64_t now_ns);
  void end_silent(Connection& connection, uint64_t now_ns);
  void watch_frame(Connection& connection);
  void watch_open(Connection& connection, uint64_t now_ns);
  void look_by(Connection& connection, uint64_t due_ns);
  uint64_t frame_due_ns(const Connection& connection) const noexcept;
  void watch_downstream(Connection& connection, uint64_t now_ns);
  void watch_further(Connection& connection, uint64_t now_ns);
  uint64_t next_look_ns(const Connection& connection, uint64_t now_ns) const noexcept;
  void note_overdue(const Connection& connection, h2::LimitKind kind, std::string_view what, uint64_t now_ns);
  void end_overdue(Connection& connection, h2::LimitKind kind, std::string_view what, uint64_t now_ns);
  void ask_to_go(Connection& connection, h2::LimitKind kind, std::string_view why, uint64_t now_ns);
  void reset_stalled_of(Connection& connection, uint64_t now_ns);

  // Before a client is known to speak HTTP/2 (first_bytes.cc).
  void receive_first_bytes(Connection& connection, std::span<const uint8_t> bytes, uint64_t now_ns);
  enum class HeaderVerdict : uint8_t { kGoOn, kAwait, kRefused };
  HeaderVerdict take_proxy_header(Connection& connection, std::span<const uint8_t>& bytes, uint64_t now_ns);
  void begin_http2(Connection& connection, std::span<const uint8_t> bytes, uint64_t now_ns);
  void refuse_tls(Connection& connection, uint64_t now_ns);
  void answer_http1(Connection& connection, std::span<const uint8_t> bytes, uint64_t now_ns);
  void refuse_unknown(Connection& connection, std::span<const uint8_t> bytes, uint64_t now_ns);
  void keep_first_bytes(Connection& connection, std::span<const uint8_t> bytes);
  void note_refused_source(const Listener& listener, const io::Address& client, uint64_t now_ns);

  // Requests (proxy_request.cc). Of the pairs start and pick_and_attempt, attempt and send_request, here, and
  // release_upstream and close_upstream_stream, release_if_ended and end_streams, below, the second is inlined where
  // every call passes, the first is for everywhere else.
  void work_off_downstream_events(Connection& downstream, uint64_t now_ns);
  void on_downstream_event(Connection& downstream, h2::Stream& stream, const h2::Event& event, uint64_t now_ns);
  void on_request(Connection& downstream, h2::Stream& stream, const h2::Event& event, uint64_t now_ns);
  bool read_request(Exchange& exchange, const h2::Event& event, uint64_t now_ns);
  bool set_deadline(Exchange& exchange, std::string_view timeout, uint64_t now_ns);
  void refuse_request(Exchange& exchange, const h2::Event& event, uint64_t now_ns);
  static uint32_t find_route(Connection& downstream, const h2::Field& path, const h2::Field* authority,
                             std::span<const h2::Field> all_fields) noexcept;
  static bool is_misdirected(Connection& downstream, const h2::Field& authority) noexcept;
  void refuse_unrouted(Exchange& exchange, const h2::Field& path, const h2::Field* authority, uint64_t now_ns);
  void on_request_data(Connection& downstream, h2::Stream& stream, Exchange& exchange, const h2::Event& event,
                       uint64_t now_ns);
  void on_request_trailers(Exchange& exchange, const h2::Event& event, uint64_t now_ns);
  void on_client_gone(Exchange& exchange, h2::ErrorCode code, uint64_t now_ns);
  void start(Exchange& exchange, const Endpoint* not_this, uint64_t now_ns);
  void pick_and_attempt(Exchange& exchange, const Endpoint* not_this, uint64_t now_ns);
  void fail_unreachable(Exchange& exchange, uint64_t now_ns);
  void wait(Exchange& exchange, Endpoint& endpoint, uint64_t now_ns);
  void give_to(Exchange& exchange, Endpoint& endpoint, uint64_t now_ns);
  void stop_waiting(Exchange& exchange) noexcept;
  void attempt(Exchange& exchange, Connection& upstream, uint64_t now_ns);
  void send_request(Exchange& exchange, Connection& upstream, uint64_t now_ns);
  bool fits_endpoint(Exchange& exchange, const Connection& upstream, uint64_t now_ns);
  void write_request_headers(Exchange& exchange, Connection& upstream, h2::Stream& stream, bool end, uint64_t now_ns);
  bool read_own_request(Exchange& exchange, const h2::Event& event, uint64_t now_ns);
  template <typename FieldAt>
  bool route_request(Exchange& exchange, const h2::Event& event, const FieldAt& field_at,
                     std::span<const h2::Field> all_fields, uint64_t now_ns);
  void write_own_headers(Exchange& exchange, Connection& upstream, h2::Stream& stream, bool end, uint64_t timeout_ns);
  void write_changed_fields(Exchange& exchange, Connection& upstream, uint64_t timeout_ns);
  void write_request_trailers(Exchange& exchange, Connection& upstream, h2::Stream& stream);
  static void write_request_fields(const Exchange& exchange, std::span<const h2::Field> fields, Connection& upstream);
  static void write_forwarded(Exchange& exchange, Connection& upstream);
  void drop_replay_body(Exchange& exchange, bool is_over_budget);
  void write_request_body(Exchange& exchange, Connection& upstream, h2::Stream& stream);
  static void write_joined(const Exchange& exchange, h2::KnownName name, std::string_view separator,
                           std::string_view last, Connection& upstream);
  void note_request_sent(Exchange& exchange, uint32_t bytes);
  bool can_retry(const Exchange& exchange) const noexcept;
  void retry(Exchange& exchange, uint64_t now_ns);

  // The upstream pool (upstream_pool.cc).
  Connection* usable_connection(Endpoint& endpoint) noexcept {
    if (endpoint.connections.empty()) [[unlikely]]
      return nullptr;
    Connection* const first = *endpoint.connections.data();
    return endpoint.cluster.config.connections_per_shard == 1 && first->takes_calls() ? first
                                                                                      : usable_of_several(endpoint);
  }
  Connection* usable_of_several(Endpoint& endpoint) noexcept;
  bool await_room(Endpoint& endpoint, uint64_t now_ns);
  void open_another(Endpoint& endpoint, uint64_t now_ns);
  void on_window_opened(Connection& connection, uint64_t now_ns);
  void restore(Endpoint& endpoint, uint64_t now_ns);
  void open_connections(Endpoint& endpoint, size_t count, uint64_t now_ns);
  void serve_waiting(Endpoint& endpoint, uint64_t now_ns);
  void drop_from_endpoint(Connection& connection, uint64_t now_ns);
  void make_up_for(Endpoint& endpoint, uint64_t now_ns);
  void restart_waiting(Endpoint& endpoint, uint16_t failures, uint64_t now_ns);
  void spread_waiting(Endpoint& endpoint, uint64_t now_ns);
  void fail_overdue(Endpoint& endpoint, uint64_t now_ns);
  void on_endpoint_timer(Endpoint& endpoint, uint64_t now_ns);
  void greeted(Connection& connection, uint64_t now_ns);
  void on_connect_timeout(Connection& connection, uint64_t now_ns);
  void on_greeting_failed(Connection& connection, uint64_t now_ns);
  void fail_to_open(Connection& connection, std::string_view sentence, uint64_t now_ns);
  void retire(Connection& connection, uint64_t now_ns);
  static void begin_draining(Connection& connection) noexcept;
  void arm_keepalive(Connection& connection, uint64_t now_ns);
  void check_keepalive(Connection& connection, uint64_t now_ns);
  void watch_endpoint_frame(Connection& upstream) noexcept;
  void watch_upstream(Connection& upstream, uint64_t now_ns);

  // What clients reset, on connections that all share (upstream_resets.cc).
  h2::Rate reset_rate(const Endpoint& endpoint) const noexcept;
  bool is_worn(const Connection& upstream, uint64_t now_ns) const noexcept;
  bool is_provoked(const Connection& upstream, uint64_t now_ns) const noexcept;
  void learn_reset_burst(Connection& upstream, uint64_t now_ns) noexcept;
  void reset_upstream(Connection& upstream, h2::Stream& stream, h2::ErrorCode code, uint64_t now_ns);
  void send_withheld_resets(Connection& upstream, uint64_t now_ns);
  void look_after_withheld(Connection& upstream, uint64_t now_ns);
  void replace_worn(Connection& upstream, uint64_t now_ns);
  void retire_worn_of(Endpoint& endpoint, uint64_t now_ns);
  void retire_worn(Connection& upstream, uint64_t now_ns);
  // Header lists that calls keep until their response (list_budget.cc). False: its client must not make us keep
  // another, which is counted and logged.
  bool keep_list(HeaderList& list, Exchange& exchange, const h2::Event& event, uint64_t now_ns) {
    if (event.list_bytes > h2::BlockCache::kListBytesMax) [[unlikely]]
      return keep_large_list(list, exchange, event, now_ns);
    list.assign(event, memory_, 0);
    return true;
  }
  bool keep_large_list(HeaderList& list, Exchange& exchange, const h2::Event& event, uint64_t now_ns);
  void refuse_for_lists(Exchange& exchange);
  void refuse_for_trailers(Exchange& exchange, uint64_t now_ns);
  bool has_room_for_list(Exchange& exchange, uint64_t now_ns);
  void release_list(HeaderList& list, const Exchange& exchange) noexcept {
    list.release_shared(memory_);
    if (!list.is_wholly_shared()) [[unlikely]]
      release_own_list(list, exchange);
  }
  void release_own_list(HeaderList& list, const Exchange& exchange) noexcept;

  // The budget of memory (memory_budget.cc).
  void relieve_memory(uint64_t now_ns);
  void refuse_for_pressure(Exchange& exchange, uint64_t now_ns);
  void drop_replay_bodies();
  void reset_stalled_calls(uint64_t now_ns);
  void reset_for_memory(Exchange& exchange, uint64_t now_ns);
  void reset_reader(Exchange& exchange, uint64_t now_ns);
  void relieve_connection(Connection& connection, uint64_t now_ns);
  void end_blocked_connections(uint64_t more_than, uint64_t now_ns);
  void count_leaving_bytes();
  uint64_t staying_bytes() const noexcept {
    const uint64_t bytes = memory_.blocks.bytes_in_use();
    return bytes - std::min(bytes, leaving_bytes_);
  }
  bool is_short_of_memory() const noexcept { return staying_bytes() > memory_budget_ - memory_budget_ / 8; }
  static void note_stall(Exchange& exchange, uint64_t now_ns) noexcept {
    if (exchange.stalled_since_ns == 0) exchange.stalled_since_ns = now_ns;
  }

  // The limit of messages (message_limit.cc).
  bool admit_request_data(Exchange& exchange, const h2::Event& event, uint64_t now_ns);
  void on_bounded_response_data(Exchange& exchange, const h2::Event& event, uint64_t now_ns);
  void pass_response_octets(Exchange& exchange, std::span<const uint8_t> octets, bool end, uint64_t now_ns);
  void pass_held_prefix(Exchange& exchange, uint64_t now_ns);
  void end_for_message_size(Exchange& exchange, std::string_view direction, uint32_t size, uint64_t now_ns);

  // Responses and ends (proxy_response.cc).
  void work_off_upstream_events(Connection& upstream, uint64_t now_ns);
  void on_upstream_event(Connection& upstream, h2::Stream& stream, const h2::Event& event, uint64_t now_ns);
  void on_response(Exchange& exchange, const h2::Event& event, uint64_t now_ns);
  void on_informational(Exchange& exchange, const h2::Event& event, uint64_t now_ns);
  void on_response_data(Connection& upstream, h2::Stream& stream, Exchange& exchange, const h2::Event& event,
                        uint64_t now_ns);
  void on_response_trailers(Exchange& exchange, const h2::Event& event, uint64_t now_ns);
  void on_response_end(Exchange& exchange, uint64_t now_ns);
  bool note_grpc_status(Exchange& exchange, const h2::Event& event) noexcept;
  void end_with_unknown_status(Exchange& exchange, const h2::Event& event, uint64_t now_ns);
  void on_upstream_reset(Exchange& exchange, h2::ErrorCode code, uint64_t now_ns);
  void on_refused(Exchange& exchange, uint64_t now_ns);
  void on_upstream_broken(Exchange& exchange, const h2::Event& event, uint64_t now_ns);
  void on_upstream_lost(Exchange& exchange, std::string_view cause, uint64_t now_ns);
  void on_deadline(Exchange& exchange, uint64_t now_ns);
  void on_drained(Exchange& exchange, h2::Stream& stream, uint64_t now_ns);
  void leave_endpoint(Exchange& exchange, LocalReason reason, uint64_t now_ns);
  void end_with(Exchange& exchange, grpc::Status status, LocalReason reason, std::string_view message, uint64_t now_ns);
  void reply_locally(Exchange& exchange, grpc::Status status, std::string_view message);
  void cancel_upstream(Exchange& exchange, h2::ErrorCode code, uint64_t now_ns);
  void reset_downstream(Exchange& exchange, h2::ErrorCode code);
  void release_upstream(Exchange& exchange, uint64_t now_ns);
  void close_upstream_stream(Exchange& exchange, uint64_t now_ns);
  void release_if_ended(Exchange& exchange, uint64_t now_ns);
  void end_streams(Exchange& exchange, uint64_t now_ns);
  void finish(Exchange& exchange) noexcept;
  void write_access_log(const Exchange& exchange, uint64_t now_ns);

  const config::Snapshot& snapshot_;
  ProxyOptions options_;
  h2::Limits downstream_limits_;
  h2::Limits upstream_limits_;
  base::Prng prng_;
  h2::Memory memory_;
  base::TimerWheel timers_;
  ConnectionPool connections_;
  ExchangePool exchanges_;
  std::vector<Listener> listeners_;  // by the snapshot's order; complete before the first connection
  std::vector<std::unique_ptr<Cluster>> clusters_;
  Counters counters_;
  AccessFormatter access_formatter_;
  ResetAccounts reset_accounts_;

  Pressure pressure_ = Pressure::kNone;
  ReplayStore replay_;
  uint64_t memory_budget_;      // this shard's part
  uint32_t message_bytes_max_;  // of one gRPC message; 0: no limit
  uint64_t list_bytes_ = 0;     // of large header lists, those of all clients' calls
  uint64_t leaving_bytes_ = 0;  // that sends hold and give back without further ado, as of the latest relief
  uint64_t next_relief_ns_ = 0;
  uint64_t turn_ = 0;
  uint32_t downstream_count_ = 0;
  bool is_draining_ = false;
  bool is_ready_ = true;  // as /healthz tells it
  bool has_access_log_ = false;
  base::PlainVector<Exchange*> forwarded_;  // sent upstream in this turn: their first leg ends with it
  base::PlainVector<Exchange*> finished_;   // ended in this turn; their slots go with its end, not before
  std::vector<Exchange*> ending_;           // scratch: of the streams of a connection that goes
};

}  // namespace ringway::proxy
