// Shards on threads of their own and real sockets over loopback; the test's thread plays every client and endpoint,
// each an nghttp2 session behind a socket. Nothing waits for a fixed time: until() moves bytes until a condition holds.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "../proxy/rig.h"
#include "base/units.h"
#include "io/doorbell.h"
#include "io/socket.h"
#include "nghttp2_peer.h"
#include "proxy/log_port.h"
#include "shard/mailbox.h"
#include "shard/placement.h"
#include "shard/shard.h"

namespace ringway::shard {

using h2::Nghttp2Peer;

// How many descriptors this process has open.
size_t open_descriptors();

// One end of a connection with a shard. What a test does to `fd` itself is its own affair.
struct Peer {
  Peer(h2::Role role, io::Fd socket, const Nghttp2Peer::Options& options)
      : fd(std::move(socket)), session(role, options) {}

  // Closes the socket; with `resets` the shard sees a reset instead of an end.
  void close(bool resets = false);
  bool has_sent_all() const { return unsent.empty(); }

  io::Fd fd;
  Nghttp2Peer session;
  bool reads = true;       // false: what arrives stays in the kernel
  bool has_ended = false;  // by the shard's end, its reset or its GOAWAY; closed then
  int error = 0;           // the errno of a reset
  std::string raw;         // sent before the next octets of the session
  std::string unsent;
  uint64_t sent_bytes = 0;
  uint64_t received_bytes = 0;
  std::set<int32_t> answered;
};

struct ClientOptions {
  int receive_buffer_bytes = 0;  // 0: the kernel's own
  uint32_t window_bytes = 0;     // of streams and of the connection; 0: HTTP/2's own
  bool connects = true;          // false: later, by ShardRig::connect()
};

class ShardRig {
 public:
  static constexpr uint64_t kPatience_ns = 30 * base::kSecond_ns;
  static constexpr uint32_t kLargeWindow = 1 << 30;

  explicit ShardRig(uint32_t endpoints = 1);
  ShardRig(const ShardRig&) = delete;
  ShardRig& operator=(const ShardRig&) = delete;
  // Closes all peers and cuts the shards off.
  ~ShardRig();

  // Before start(). The addresses are real already, so that clients may connect and be served later.
  config::Snapshot snapshot;
  uint32_t sockets_max = UINT32_MAX;  // see Shard::Options
  // Windows that hold everything and sockets towards clients that hold little, so that sockets alone hold anything up.
  void let_sockets_block(int send_buffer_bytes);
  // The same for what goes to the endpoints, of those connections that are made from now on.
  void let_endpoints_block(int receive_buffer_bytes);
  void start(uint32_t shards = 1) {
    make(shards);
    run();
  }
  // With one socket for each shard, as --accept reuseport has it.
  void start_with_shared_port(uint32_t shards);
  // The two steps of start(): between them the shards are there and nobody uses them.
  void make(uint32_t shards);
  void run();

  Peer& add_client(const ClientOptions& options = {});
  void connect(Peer& client);
  // The newest connection that an endpoint has accepted.
  Peer& upstream() { return upstreams.back(); }
  std::deque<Peer> clients;
  std::deque<Peer> upstreams;
  bool accepts = true;  // the endpoints do
  bool echoes = true;   // each complete request is answered with its own body
  Nghttp2Peer::Options endpoint_options;
  uint32_t endpoint_window_bytes = 0;

  // A call whose request is complete.
  static int32_t call(Peer& client, std::string body = "hello");
  // Its response has come and is `body` with status 0.
  static bool is_answered(Peer& client, int32_t id, std::string_view body = "hello");
  static std::string status_of(Peer& client, int32_t id);
  // A PING round trip: what the peer sent before it has been worked off, and a flush has followed.
  [[nodiscard]] bool round_trip(Peer& peer);

  template <typename Condition>
  [[nodiscard]] bool until(std::string_view what, Condition&& condition) {
    const uint64_t deadline_ns = base::monotonic_ns() + kPatience_ns;
    while (!condition()) {
      if (base::monotonic_ns() > deadline_ns) {
        ADD_FAILURE() << "waited in vain: " << what << describe();
        return false;
      }
      pump();
    }
    return true;
  }

  // Tells all shards how short of memory the process is.
  void press(proxy::Pressure pressure) {
    for (const auto& mailbox : mailboxes) {
      mailbox->post(shard_count(), {MessageKind::kPressure, -1, static_cast<uint32_t>(pressure)});
    }
  }
  void post(uint32_t shard, MessageKind kind) { mailboxes[shard]->post(shard_count(), {kind, -1, 0}); }
  // Ends all shards and their threads; their counters may be read then.
  [[nodiscard]] bool drain(MessageKind kind = MessageKind::kDrain);
  Shard& shard(uint32_t index = 0) { return *shards_[index]; }
  uint32_t shard_count() const { return static_cast<uint32_t>(mailboxes.size()); }
  // So many times, as far as the shards' logs have come.
  bool has_logged(std::string_view part, size_t times = 1);

  std::unique_ptr<Placement> placement;
  std::vector<std::unique_ptr<Mailbox>> mailboxes;
  std::vector<io::Fd> listeners;           // of the shards
  std::vector<io::Fd> endpoint_listeners;  // by the snapshot's order
  std::set<uint32_t> idle_shards;          // are made but never run

 private:
  void pump();
  std::string describe();
  void move_out(Peer& peer);
  void move_in(Peer& peer);
  void accept_from(io::Fd& listening);
  void answer(Peer& upstream_peer);

  std::vector<std::unique_ptr<Shard>> shards_;
  std::vector<std::thread> threads_;
  std::unique_ptr<io::Doorbell> bell_;
  std::deque<proxy::LogPort> logs_;
  std::vector<std::string> log_lines_;
  std::atomic<uint32_t> stopped_count_{0};
  io::Fd stopped_event_;
};

// A body whose every position tells itself apart from its neighbours, so that a gap or a repeat shows.
std::string pattern(size_t size);

}  // namespace ringway::shard
