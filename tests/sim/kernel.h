// The kernel as a shard sees it: descriptors, sockets, one ring with its provided buffers, and the time. It keeps the
// rules that src/io/ring.h states and breaks the program's trust in everything else: submissions are taken late,
// completions come in another order, in part and short, buffers run out, multishot operations end. What a shard must
// not do ends the run: use of a descriptor that is closed, closing one that operations or completions still name,
// changing octets that the kernel may read, a second send beside one in flight, a buffer returned twice.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/prng.h"
#include "io/address.h"
#include "io/ring.h"
#include "link.h"
#include "timeline.h"

namespace ringway::sim {

// How far this kernel goes; chances are of 1000.
struct KernelOptions {
  uint32_t completion_entries = 8192;
  uint32_t descriptors = 4096;
  uint32_t untaken = 0;         // an enter takes not all submissions
  uint32_t spurious = 0;        // … returns without a completion
  uint32_t multishot_ends = 0;  // a completion is its operation's last
  uint32_t no_buffers = 0;      // … although there are buffers
  uint32_t short_sends = 0;     // … although there is room
  uint32_t no_memory = 0;       // sends fail
  uint32_t held_back = 0;       // a completion is posted by a later enter
  bool reorders = false;
  uint32_t receive_max = 16 * 1024;  // octets of one receive
  uint64_t gather_ns = 0;            // how long a wake-up takes, at most
};

class Kernel {
 public:
  Kernel(Timeline& timeline, const KernelOptions& options, uint64_t seed);
  Kernel(const Kernel&) = delete;
  ~Kernel();
  // The only one; what io:: asks.
  static Kernel& current();

  // Faults end, what is under way goes on.
  void heal();

  // The outside world.
  int listen();
  int make_event();
  void raise_event(int fd);
  // Null: refused.
  Link* connect_to_shard(int listening_fd, FarEnd& far, const io::Address& peer, const LinkOptions& options);
  // Asked for each connect of the shard: what becomes of it.
  struct ConnectPlan {
    int error = 0;
    uint64_t delay_ns = base::kNever_ns;  // never: no answer
  };
  std::function<ConnectPlan(Link&)> plan_connect;
  // The peer of a connection that the shard has made.
  std::function<void(Link&)> on_established;
  // Before the first enter of each turn of the shard.
  std::function<void()> on_enter;

  // io::socket.
  int open_socket(const io::Address& peer, int& error);
  int accept_waiting(int listening_fd);
  void close(int fd);
  void shutdown_write(int fd);
  void shutdown_both(int fd);
  void clear_event(int fd);
  io::Address peer_of(int fd);

  // io::Ring.
  enum class Kind : uint8_t { kAccept, kReceive, kConnect, kPoll, kSend, kSendWaiting, kCancelFd };
  struct Submission {
    Kind kind;
    int fd;
    io::Token token;
    std::span<const uint8_t> bytes = {};
    io::Address address = {};
    uint64_t file = 0;      // what `fd` named when it was queued
    std::string copy = {};  // of `bytes`, at that time
  };
  void make_ring(uint32_t submission_entries) { submission_entries_ = submission_entries; }
  uint32_t submit(Submission submission);
  void enter(uint64_t now_ns, uint64_t deadline_ns);
  size_t drain(std::span<io::Completion> out);
  bool has_completions() const { return !completions_.empty(); }
  bool has_overflowed() const { return !overflowed_.empty(); }
  bool has_deferred_work() const { return !pending_.empty(); }
  bool is_consumed(uint32_t mark) const { return static_cast<int32_t>(taken_count_ - mark) >= 0; }

  // io::BufferRing.
  uint8_t* make_buffers(uint32_t count, uint32_t size);
  void recycle(uint16_t buffer);
  void publish();

  // Links (called by them).
  void on_arrival(Link& link);
  void on_room(Link& link);
  Link* find(uint64_t id);
  Timeline& timeline() { return timeline_; }
  base::Prng& prng() { return prng_; }

  // For the end of a run.
  uint32_t open_descriptors() const;
  uint32_t armed_sends() const;
  uint32_t buffers_away() const;
  // The owner closes what it has, whatever state that is in.
  void begin_exit() { is_exiting_ = true; }
  // Changes with everything that the shard was told.
  uint64_t digest() const { return digest_; }

 private:
  struct File {
    enum class Kind : uint8_t { kClosed, kLink, kListener, kEvent } kind = Kind::kClosed;
    uint64_t id = 0;
    Link* link = nullptr;
    Link::Armed armed;             // accept, poll
    std::deque<uint64_t> waiting;  // listener: links to accept
    bool is_shut = false;          // listener
    bool is_raised = false;        // event
    uint32_t untaken = 0;          // submissions
    uint32_t unread = 0;           // completions
  };
  struct Posted {
    io::Completion completion;
    uint64_t file;
    int fd;
    bool is_inline;  // must be seen when this enter returns
  };
  enum class Buffer : uint8_t { kFree, kAway, kReturned };

  bool happens(uint32_t chance) { return chance != 0 && prng_.below(1000) < chance; }
  File& file_of(int fd, const char* use);
  int add_file(File::Kind kind);
  void post(int fd, io::Token token, int32_t result, bool has_more = false, std::optional<uint16_t> buffer = {},
            bool is_inline = false);
  bool take_submissions();
  void take(Submission& submission);
  void take_send(Submission& submission, Link& link);
  void cancel_all(const Submission& submission, File& file);
  void pump_receive(Link& link);
  void pump_accept(int fd);
  int32_t send_now(Link& link, std::span<const uint8_t> bytes);
  void pump_sending(Link& link);
  void plan_timeout(Link& link);
  void plan_connecting(Link& link);
  void end_connecting(Link& link, int error);
  void wait(uint64_t deadline_ns);
  void reveal();
  void forget_dead_links();

  Timeline& timeline_;
  KernelOptions options_;
  base::Prng prng_;
  std::vector<File> files_;
  std::map<uint64_t, std::unique_ptr<Link>> links_;
  uint64_t id_count_ = 0;
  uint32_t submission_entries_ = 0;
  std::deque<Submission> submissions_;
  uint32_t queued_count_ = 0;
  uint32_t taken_count_ = 0;
  std::vector<Posted> pending_;
  std::deque<Posted> completions_;
  std::deque<Posted> overflowed_;
  std::vector<uint8_t> buffer_bytes_;
  uint32_t buffer_size_ = 0;
  std::vector<Buffer> buffers_;
  std::deque<uint16_t> free_buffers_;
  std::vector<uint16_t> returned_;
  uint64_t idle_enters_ = 0;
  uint64_t digest_ = 0;
  bool is_exiting_ = false;
};

}  // namespace ringway::sim
