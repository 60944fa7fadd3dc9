// One run: a shard in its simulated kernel, clients and backends around it, what goes wrong and when, and what must
// hold at each turn and at the end.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "backend.h"
#include "base/prng.h"
#include "client.h"
#include "io/doorbell.h"
#include "kernel.h"
#include "profile.h"
#include "proxy/log_port.h"
#include "shard/mailbox.h"
#include "shard/placement.h"
#include "shard/shard.h"
#include "timeline.h"

namespace ringway::sim {

struct RunResult {
  uint64_t digest = 0;  // of all that the shard was told: the same for the same seed
  uint64_t exchanges = 0;
  uint64_t turns = 0;
  uint64_t virtual_ns = 0;
  uint64_t outcomes[6] = {};
  uint64_t retries = 0;
  uint64_t short_sends = 0;
  uint64_t no_buffers = 0;
  uint64_t local_replies[static_cast<size_t>(proxy::LocalReason::kCount)] = {};

  RunResult& operator+=(const RunResult& other) {
    exchanges += other.exchanges;
    turns += other.turns;
    virtual_ns += other.virtual_ns;
    retries += other.retries;
    short_sends += other.short_sends;
    no_buffers += other.no_buffers;
    for (size_t i = 0; i < std::size(local_replies); ++i) local_replies[i] += other.local_replies[i];
    for (size_t i = 0; i < std::size(outcomes); ++i) outcomes[i] += other.outcomes[i];
    return *this;
  }
};

class World {
 public:
  World(uint64_t seed, uint32_t exchanges);
  World(const World&) = delete;
  ~World();

  RunResult run();

  // For those who live in it.
  Timeline& timeline() { return timeline_; }
  base::Prng& prng() { return prng_; }
  const Profile& profile() const { return profile_; }
  Call& call(uint32_t id) { return *calls_.at(id); }
  // A backend has refused a stream before it knew of which call it is.
  int on_unseen_refusal() { return has_unseen_refusals_ = true, 0; }
  bool has_unseen_refusals() const { return has_unseen_refusals_; }
  void on_call_end(const Call& call);
  // The shard has been told to stop: what is refused from here on was to be refused.
  // Nothing goes wrong any more.
  bool is_healed() const { return healed_ns_ != 0; }
  bool is_draining() const { return drained_ns_ != 0; }
  // … and its time is up.
  bool is_ending() const { return is_ending_; }

 private:
  struct Host {
    bool is_up = true;
    bool is_silent = false;
  };

  void make_shard();
  void validate_turn();
  void tick();
  void launch();
  void launch_later();
  Client* pick_client();
  Client* connect_client();
  Kernel::ConnectPlan plan_connect(const Link& link);
  Host& host_of(const io::Address& address);
  LinkOptions draw_link_options();

  // What goes wrong (trouble.cc).
  void trouble_later();
  void make_trouble();
  void trouble_a_client(Client& client);
  void trouble_a_backend(Backend& backend);
  void trouble_a_host();

  // The end (ending.cc).
  void heal();
  void report_hanging();
  bool is_quiet();
  void close_clients();
  void post_drain();
  void check_rest();
  void check_end();
  void count_access_lines();

  Profile profile_;
  base::Prng prng_;
  Timeline timeline_;
  Kernel kernel_;
  uint32_t exchanges_;
  std::vector<std::unique_ptr<Call>> calls_;
  uint32_t open_calls_ = 0;
  RunResult result_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::vector<std::unique_ptr<Backend>> backends_;
  std::vector<Host> hosts_;

  int listener_ = -1;
  int stopped_event_ = -1;
  std::unique_ptr<shard::Placement> placement_;
  std::unique_ptr<shard::Mailbox> mailbox_;
  std::unique_ptr<io::Doorbell> bell_;
  std::unique_ptr<proxy::LogPort> log_;
  std::atomic<uint32_t> stopped_count_ = 0;
  std::unique_ptr<shard::Shard> shard_;

  uint64_t access_lines_ = 0;
  uint64_t validated_turn_ = 0;
  uint64_t healed_ns_ = 0;  // 0: not yet
  uint64_t closed_ns_ = 0;
  uint64_t emptied_ns_ = 0;
  bool was_woken_ = false;
  uint64_t drained_ns_ = 0;
  bool is_ending_ = false;
  bool has_unseen_refusals_ = false;
};

}  // namespace ringway::sim
