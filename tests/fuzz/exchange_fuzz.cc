// Forwarding, without sockets and in time that passes when told: clients and endpoints of which every byte, every loss
// and every delay comes from the input. After each step the proxy's invariants hold; what it sends is well formed; in
// the end every slot, block and timer has come back, and nobody holds a field.
//
// The input: one octet of configuration, then commands of one octet each, with operands.
#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <vector>

#include "base/units.h"
#include "config/limit_fields.h"
#include "config/snapshot.h"
#include "io/doorbell.h"
#include "proxy/proxy.h"
#include "wire_peer.h"

namespace ringway::proxy {
namespace {

// A connection of the proxy's, as the shard and the other end see it.
struct Link {
  base::Handle<Connection> handle;
  h2::SentFrames sent;
  std::string arriving;  // what the other end has sent and the proxy has not received
};

config::Snapshot snapshot_of(uint8_t choice) {
  static const auto address = [](const char* text) { return *io::Address::parse(text); };
  const bool is_tight = (choice & 1) != 0;
  config::Snapshot made;
  made.limits = config::initial_limits();
  made.limits.header_list_bytes = is_tight ? 400u : 16 * base::kKiB;
  made.limits.header_fields = is_tight ? 10u : 100u;
  made.limits.streams = choice & 2 ? 2u : 100u;
  made.limits.connections = 4;
  made.limits.window_bytes = choice & 4 ? 100u : 65'535u;
  made.limits.connection_window_bytes = choice & 4 ? 65'535u : base::kMiB;
  made.limits.upstream_window_bytes = choice & 8 ? 100u : 65'535u;
  made.limits.pending_calls = is_tight ? 1u : 50u;
  made.limits.replay_bytes = choice & 16 ? 0 : 4 * base::kKiB;
  made.shards.memory_bytes = choice & 32 ? 64 * base::kKiB : 512 * base::kMiB;
  config::ClusterConfig cluster;
  cluster.name = "shop";
  for (const char* text : {"127.0.0.1:1001", "127.0.0.1:1002"}) cluster.endpoints.push_back({address(text), 1});
  cluster.connections_per_shard = choice & 64 ? 2 : 1;
  cluster.connect_timeout_ns = 5 * base::kSecond_ns;
  cluster.keepalive_silence_ns = 10 * base::kSecond_ns;
  cluster.keepalive_interval_ns = choice & 64 ? 0 : 20 * base::kSecond_ns;
  cluster.keepalive_timeout_ns = 5 * base::kSecond_ns;
  made.clusters.push_back(cluster);
  config::ListenerConfig& listener = made.listeners.emplace_back();
  listener.address = address("127.0.0.1:1000");
  listener.forwarded = {(choice & 128) != 0, (choice & 128) != 0};
  config::RouteConfig& route = listener.routes.emplace_back();
  route.name = "shop";
  route.path_match = config::PathMatch::kPrefix;
  route.path = "/shop.";
  return made;
}

// What the log thread would read; one for all inputs, emptied behind each.
LogPort& log_port() {
  static const std::unique_ptr<io::Doorbell> bell = *io::Doorbell::create();
  static LogPort port(*bell, config::LogLevel::kDebug, 1 << 16);
  return port;
}

void check_log() {
  LogPort& port = log_port();
  const auto lines = port.access_lines().readable();
  const std::span<const char> last = lines.second.empty() ? lines.first : lines.second;
  require(last.empty() || last.back() == '\n', "a cut line in the access log");
  port.access_lines().consume(lines.first.size() + lines.second.size());
  while (port.next_event()) continue;
}

class ExchangeDriver {
 public:
  explicit ExchangeDriver(std::span<const uint8_t> input)
      : input_(input),
        is_thorough_(input.size() % 16 == 0),
        snapshot_(snapshot_of(take())),
        proxy_(snapshot_, {0, 7, &log_port(), 1}, now_ns_) {}

  void run() {
    accept();
    while (!input_.empty()) {
      step(take());
      proxy_.validate();
    }
    finish();
  }

 private:
  uint8_t take() { return take_octet(input_); }

  void step(uint8_t command) {
    switch (command % 16) {
      default: say(command); break;
      case 8: deliver(any_link(take()), take()); break;
      case 9:
      case 10: turn(); break;
      case 11: pass_time(take()); break;
      case 12: command & 16 ? accept() : settle_connect(take()); break;
      case 13: lose(any_link(take()), command & 16 ? 0 : ECONNRESET); break;
      case 14: block(any_link(take()), (command & 16) != 0); break;
      case 15: drain(command); break;
    }
  }

  Link* any_link(uint8_t choice) { return links_.empty() ? nullptr : links_[choice % links_.size()].get(); }

  Connection* connection_of(const Link* link) {
    return link == nullptr ? nullptr : proxy_.connections().find(link->handle);
  }

  // One frame of a peer; with the fourth bit clear it arrives at once, with the fifth a turn follows.
  void say(uint8_t command) {
    Link* const link = any_link(take());
    if (link == nullptr) return;
    if (link->arriving.size() < 1 << 20) h2::take_frame(input_, link->arriving);
    if (command & 16) return;
    deliver(link, 0);
    if (command & 32) turn();
  }

  // The first octets of what has arrived, or with 0 all of them.
  void deliver(Link* link, uint8_t size) {
    Connection* const connection = connection_of(link);
    if (connection == nullptr || connection->state == ConnectionState::kConnecting) return;
    const ExactCopy bytes(std::string_view(link->arriving).substr(0, size == 0 ? std::string::npos : size));
    link->arriving.erase(0, bytes.octets().size());
    proxy_.receive(*connection, bytes.octets(), now_ns_);
  }

  void add_link(base::Handle<Connection> handle, bool is_upstream) {
    auto link = std::make_unique<Link>(handle, h2::SentFrames(is_upstream), std::string());
    if (!is_upstream) link->arriving = h2::kPreface;
    h2::put_frame(link->arriving, h2::FrameType::kSettings, 0, 0, {});
    links_.push_back(std::move(link));
  }

  void accept() {
    static const io::Address peer = *io::Address::parse("192.0.2.7:40000");
    if (const Connection* const connection = proxy_.accept(0, peer, now_ns_)) add_link(connection->handle, false);
  }

  void settle_connect(uint8_t choice) {
    if (wanted_.empty()) return;
    const auto handle = wanted_.front();
    wanted_.erase(wanted_.begin());
    Connection* const connection = proxy_.connections().find(handle);
    if (connection == nullptr || connection->state != ConnectionState::kConnecting) return;
    if (choice % 4 == 0) return proxy_.connect_failed(*connection, io::error_from_errno(ECONNREFUSED), now_ns_);
    proxy_.connected(*connection, now_ns_);
    add_link(handle, true);
  }

  void lose(Link* link, int code) {
    Connection* const connection = connection_of(link);
    if (connection == nullptr) return;
    proxy_.lost(*connection, code == 0 ? io::Error{} : io::error_from_errno(code), now_ns_);
  }

  // As the shard does when a send waits for its peer to read.
  void block(Link* link, bool is_blocked) {
    Connection* const connection = connection_of(link);
    if (connection == nullptr) return;
    connection->is_socket_writable = !is_blocked;
    connection->h2.set_write_blocked(is_blocked);
    if (!is_blocked && !static_cast<DirtyLink&>(*connection).is_linked()) proxy_.dirty.push_back(*connection);
  }

  void pass_time(uint8_t choice) {
    static constexpr std::array<uint64_t, 8> kSteps_ms = {1, 2, 50, 300, 1'000, 5'000, 10'000, 70'000};
    now_ns_ += kSteps_ms[choice % kSteps_ms.size()] * base::kMillisecond_ns;
    turn();
  }

  void drain(uint8_t command) {
    if ((command & 0xe0) != 0) return turn();  // rarely
    if (proxy_.is_draining()) {
      proxy_.end_drain(now_ns_);
    } else {
      proxy_.begin_drain(now_ns_);
    }
  }

  // As Shard::turn(): time, flush, the end of exchanges.
  void turn() {
    proxy_.advance(now_ns_);
    for (const auto handle : proxy_.to_connect) wanted_.push_back(handle);
    proxy_.to_connect.clear();
    std::vector<base::Handle<Connection>> flushed;
    while (!proxy_.dirty.is_empty()) {
      Connection& connection = proxy_.dirty.pop_front();
      flushed.push_back(connection.handle);
      proxy_.prepare(connection, 128 * base::kKiB, now_ns_);
    }
    for (const auto handle : flushed) {
      if (Connection* const connection = proxy_.connections().find(handle)) flush(*connection);
    }
    proxy_.finish_turn(now_ns_);
  }

  void flush(Connection& connection) {
    const auto link = std::ranges::find(links_, connection.handle, [](const auto& each) { return each->handle; });
    base::ByteQueue& output = connection.h2.output();
    if (connection.is_socket_writable && link != links_.end()) {
      (*link)->sent.read(output.bytes());
      output.release(proxy_.memory().blocks);
    }
    if (connection.state != ConnectionState::kClosing) return;
    // Blocked, it keeps its socket until its time is over.
    if (!connection.is_socket_writable && !connection.is_linger_over) return;
    if (link != links_.end()) links_.erase(link);
    proxy_.forget(connection);
  }

  // Everybody leaves.
  void finish() {
    turn();
    proxy_.connections().for_each([this](Connection& connection) {
      connection.is_socket_writable = true;
      connection.is_linger_over = true;
      proxy_.lost(connection, {}, now_ns_);
      if (!static_cast<DirtyLink&>(connection).is_linked()) proxy_.dirty.push_back(connection);
    });
    turn();
    // Calls whose client stayed a moment longer than their endpoint may have asked for another connection.
    for (const auto handle : wanted_) {
      if (Connection* const connection = proxy_.connections().find(handle)) proxy_.lost(*connection, {}, now_ns_);
    }
    turn();
    proxy_.validate();
    require(proxy_.connections().live_count() == 0, "a connection is left");
    require(proxy_.exchanges().live_count() == 0, "an exchange is left");
    require(proxy_.memory().streams.live_count() == 0, "a stream is left");
    require(proxy_.memory().blocks.bytes_in_use() == 0, "bytes are left");
    require(proxy_.downstream_count() == 0, "a client is counted");
    // Each of the endpoints may have one, for its next connection.
    require(proxy_.armed_timers() <= 2, "a timer is left");
    if (is_thorough_) check_records();
    check_log();
  }

  // A field as large as the interner evicts all others, if nobody holds one.
  void check_records() {
    h2::Memory& memory = proxy_.memory();
    memory.block_cache.clear();
    // Lists that are given up stay readable for an epoch, and so, after them, do their fields.
    memory.begin_receive();
    memory.begin_receive();
    const std::string value((4u << 20) - h2::kFieldOverhead - 1, 'v');
    h2::FieldRecord* const record = memory.interner.intern("x", h2::KnownName::kNone, value, 0);
    require(record != nullptr && memory.interner.record_count() == 1, "somebody holds a field");
    memory.interner.release(*record);
  }

  std::span<const uint8_t> input_;
  bool is_thorough_;
  uint64_t now_ns_ = base::kSecond_ns;
  config::Snapshot snapshot_;
  Proxy proxy_;
  std::vector<std::unique_ptr<Link>> links_;
  std::vector<base::Handle<Connection>> wanted_;
};

}  // namespace
}  // namespace ringway::proxy

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ringway::proxy::ExchangeDriver({data, size}).run();
  return 0;
}
