// The process around the shards: listening sockets, threads, signals, drain (DESIGN 3.17) and what is told at the end.
#pragma once

#include <atomic>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "config/snapshot.h"
#include "control/credentials_watch.h"
#include "control/error_log.h"
#include "control/log_thread.h"
#include "control/memory_watch.h"
#include "io/socket.h"
#include "shard/mailbox.h"
#include "shard/placement.h"
#include "shard/shard.h"

namespace ringway::control {

class Server {
 public:
  // Opens all that can fail: rings, listening sockets, log files. The error is a sentence that names the cause.
  // `snapshot` outlives the server.
  static std::expected<std::unique_ptr<Server>, std::string> create(const config::Snapshot& snapshot);
  ~Server();

  // Runs until SIGTERM or SIGINT and the drain that follows. Says on standard error when it is ready.
  void run();

  // After run(): one JSON object with the counters of all shards together.
  std::string statistics() const;

 private:
  explicit Server(const config::Snapshot& snapshot) : snapshot_(snapshot), error_log_(snapshot.log_level) {}

  std::expected<void, std::string> open_listeners();
  void plan_kernel_tls();
  std::expected<void, std::string> make_shards();
  void wait_for_signal();
  void on_signal(int signal);
  void begin_drain();
  void post_to_all(shard::MessageKind kind, uint32_t value = 0);
  std::string refusals() const;
  std::string limits_met() const;
  std::string secured() const;
  bool have_all_stopped() const noexcept { return stopped_count_.load() == shards_.size(); }
  void watch_memory(uint64_t now_ns);
  void watch_credentials(uint64_t now_ns, bool is_asked);
  bool tell_credentials(uint32_t shard, CredentialsWatch::Change change);
  uint32_t sockets_max() const;
  int timeout_until(uint64_t deadline_ns) const noexcept;

  const config::Snapshot& snapshot_;
  ErrorLog error_log_;
  std::unique_ptr<LogThread> log_thread_;
  std::optional<CredentialsWatch> credentials_;
  // Per shard: what its mailbox had no room for.
  std::vector<std::vector<CredentialsWatch::Change>> untold_credentials_;
  shard::KernelPlan kernel_tls_;
  std::vector<std::vector<io::Fd>> listeners_;  // per listener: one socket, or one per shard
  std::vector<std::unique_ptr<shard::Mailbox>> mailboxes_;
  std::unique_ptr<shard::Placement> placement_;
  std::vector<std::unique_ptr<shard::Shard>> shards_;
  std::vector<std::thread> threads_;
  std::atomic<uint32_t> stopped_count_{0};
  io::Fd stopped_event_;
  io::Fd signals_;
  std::optional<MemoryWatch> memory_watch_;
  proxy::Pressure pressure_ = proxy::Pressure::kNone;
  uint64_t memory_look_ns_ = 0;
  bool is_draining_ = false;
  uint64_t drain_starts_ns_ = 0;  // the shards are told then; kNever_ns: they have been
  uint64_t drain_ends_ns_ = 0;    // … and cut off then
};

}  // namespace ringway::control
