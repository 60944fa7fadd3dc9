// One thread and all it owns: ring, receive buffers, sockets and the proxy that decides. A turn: enter the kernel once,
// copy the completions, read the clock once, act, flush each dirty connection once.
//
// Sockets live under the handles of the proxy's connections. A socket's life:
//
//   connecting --> open --> finishing (output leaves, write side shut, peer's end awaited) --> cancelling --> closed
//        |           |                                                                              ^
//        +-----------+------------------------- failure --------------------------------------------+
//
// It is closed, and its slot freed, only when none of its submissions is untaken and none of its completions unread.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <expected>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/byte_queue.h"
#include "config/snapshot.h"
#include "io/buffer_ring.h"
#include "io/ring.h"
#include "io/socket.h"
#include "proxy/proxy.h"
#include "shard/mailbox.h"
#include "shard/placement.h"
#include "shard/secured.h"
#include "shard/source_table.h"

namespace ringway::shard {

// Which records are the kernel's (--ktls, as far as this kernel goes).
struct KernelPlan {
  bool sends = false;
  bool receives = false;
  bool can_rekey = false;
};

// Why a connection's records stay in user space.
enum class KernelRefusal : uint8_t { kNotPlanned, kVersion, kRefused, kCount };

struct ShardCounters {
  uint64_t turns = 0;
  uint64_t sends = 0;
  uint64_t short_sends = 0;  // sends that had to wait for the socket
  uint64_t recvs = 0;        // receive completions with bytes
  uint64_t recv_bytes = 0;
  uint64_t send_bytes = 0;
  uint64_t accepts = 0;
  uint64_t accept_pauses = 0;  // out of descriptors or slots
  uint64_t no_buffers = 0;     // the receive buffers ran out for a moment
  uint64_t handshakes = 0;     // of TLS, both sides, that ended well
  uint64_t handshakes_resumed = 0;
  uint64_t handshakes_failed = 0;
  uint64_t kernel_send[tls::kCipherCount] = {};     // connections whose records the kernel seals, by cipher
  uint64_t kernel_receive[tls::kCipherCount] = {};  // … opens
  uint64_t kernel_without[static_cast<size_t>(KernelRefusal::kCount)] = {};  // connections without either, by cause
};

class Shard {
 public:
  struct Options {
    uint32_t index = 0;
    const config::Snapshot* snapshot = nullptr;
    std::vector<int> listeners;       // to accept on, by the snapshot's order; -1: not this shard's
    std::vector<io::Address> bound;   // of all listeners, as clients know them
    std::vector<Mailbox*> mailboxes;  // of all shards
    // By the snapshot's order; empty references: without TLS.
    std::vector<tls::CredentialsRef<tls::ServerCredentials>> listener_credentials;
    std::vector<tls::CredentialsRef<tls::ClientCredentials>> cluster_credentials;
    KernelPlan kernel_tls;
    Placement* placement = nullptr;
    proxy::LogPort* log = nullptr;
    uint64_t seed = 0;
    uint32_t sockets_max = UINT32_MAX;               // of all shards: no client is accepted beyond it
    int cpu = -1;                                    // -1: not pinned
    std::atomic<uint32_t>* stopped_count = nullptr;  // raised when run() returns
    int stopped_event = -1;                          // eventfd that is written then
  };

  // Makes the rings; the error is a sentence. On any thread.
  static std::expected<std::unique_ptr<Shard>, std::string> create(Options options);
  ~Shard();

  // The thread's life: returns when a drain has ended.
  void run();

  // After run().
  const ShardCounters& counters() const noexcept { return counters_; }
  const io::RingCounters& ring_counters() const noexcept { return ring_.counters(); }
  const proxy::Proxy& proxy() const noexcept { return *proxy_; }
  proxy::Proxy& proxy() noexcept { return *proxy_; }

  // Between two turns, on the shard's thread: aborts when an invariant does not hold. For tests.
  void validate();

 private:
  enum class Operation : uint8_t { kAccept = 1, kRecv, kSend, kConnect, kCancel, kMailbox, kCancelAccept, kPoll };
  enum class PauseCause : uint8_t { kNone, kNoDescriptors, kDescriptorLimit, kMemory };

  struct Socket {
    io::Fd fd;
    uint32_t generation = 0;    // of the connection's handle
    Source source{};            // whose it is, where that is counted
    bool is_counted = false;    // in Placement::open_sockets()
    bool is_receiving = false;  // a multishot recv is armed
    bool is_connecting = false;
    bool is_polling = false;     // for its TLS handshake
    bool is_cancelling = false;  // cancel_fd has been queued
    bool awaits_cancel = false;  // … and not answered
    bool is_dead = false;        // failed or at its end: nothing can be sent
    bool has_shut_write = false;
    bool is_sending = false;  // a send is with the kernel or queued for it
    bool send_waits = false;  // … and will post a completion (it was short)
    uint32_t send_mark = 0;   // of the queued entry
    uint32_t sent = 0;        // octets of `sending` that are done
    base::ByteQueue sending;
    std::unique_ptr<Secured> secured;  // null: cleartext
  };

  Shard(Options options, io::Ring ring);

  // The loop (shard.cc).
  void turn();
  bool should_spin(uint64_t now_ns) noexcept;
  uint64_t wait_deadline(uint64_t now_ns);
  void take_completions();
  void handle(const io::Completion& completion);
  void settle_sends();
  void flush();
  void flush_socket(proxy::Connection& connection);
  bool is_finished() const noexcept;
  void watch_mailbox();
  void read_mailbox();
  void pin() noexcept;

  void validate_socket(proxy::Connection& connection);

  // Sockets (sockets.cc).
  void start_listening();
  void on_accept(const io::Completion& completion);
  void place(int fd, uint32_t listener);
  void adopt(int fd, uint32_t listener);
  bool admits(uint32_t listener, const io::Address& peer, Source& source);
  void pause_accept(PauseCause cause);
  PauseCause find_pause_cause() const noexcept;
  void resume_accept();
  void begin_drain();
  void tell_the_others();
  void open_wanted_connections();
  void open_connection(proxy::Connection& connection);
  void on_connect(proxy::Connection& connection, Socket& socket, const io::Completion& completion);
  void on_recv(proxy::Connection* connection, const io::Completion& completion);
  void on_send(proxy::Connection& connection, Socket& socket, const io::Completion& completion);
  void arm_recv(proxy::Connection& connection, Socket& socket);
  void submit_send(proxy::Connection& connection, Socket& socket);
  void submit(proxy::Connection& connection, Socket& socket);
  void advance_teardown(proxy::Connection& connection, Socket& socket);
  void fail(proxy::Connection& connection, Socket& socket, io::Error error);
  void close_socket(proxy::Connection& connection, Socket& socket);

  // TLS (tls_sockets.cc).
  void take_credentials(const Message& message);
  void keep_session(proxy::Connection& connection, const tls::Handshake& handshake, tls::Session session);
  void accept_tls(proxy::Connection& connection, Socket& socket, uint32_t listener);
  void connect_tls(proxy::Connection& connection, Socket& socket, uint32_t cluster);
  void begin_handshake(proxy::Connection& connection, Socket& socket, std::unique_ptr<tls::Handshake> handshake);
  void advance_handshakes();
  void advance_handshake(proxy::Connection& connection, Socket& socket);
  void poll_for_handshake(proxy::Connection& connection, Socket& socket, bool for_writing);
  void on_poll(proxy::Connection& connection, Socket& socket);
  size_t read_for_handshake(proxy::Connection& connection, Socket& socket, std::span<uint8_t> into);
  bool read_proxy_header(proxy::Connection& connection, Socket& socket);
  bool send_for_handshake(proxy::Connection& connection, Socket& socket);
  bool hand_over_to_kernel(proxy::Connection& connection, Socket& socket);
  bool on_kernel_record(proxy::Connection& connection, Socket& socket);
  bool give_receive_keys(proxy::Connection& connection, Secured& secured);
  bool has_keys_to_send(proxy::Connection& connection, Socket& socket);
  void bound_use_of_keys(proxy::Connection& connection, Secured& secured, uint64_t served);
  bool update_kernel_keys(proxy::Connection& connection, Socket& socket);
  void finish_handshake(proxy::Connection& connection, Socket& socket);
  void fail_handshake(proxy::Connection& connection, Socket& socket, std::string_view why);
  bool receive_records(proxy::Connection& connection, Secured& secured, std::span<uint8_t> bytes);
  void receive_control(proxy::Connection& connection, Secured& secured, const tls::Opened& opened);
  void receive_alert(proxy::Connection& connection, Secured& secured, std::span<const uint8_t> alert);
  void receive_messages(proxy::Connection& connection, Secured& secured, std::span<const uint8_t> bytes);
  void receive_message(proxy::Connection& connection, Secured& secured, std::span<const uint8_t> message, bool is_last);
  void break_records(proxy::Connection& connection, Secured& secured, tls::Alert alert, std::string_view why);
  // Behind the alert nothing is written, before the handshake nothing can be.
  static bool has_secured_output(const Secured& secured, bool has_output) noexcept {
    return secured.was_established && !secured.has_said_end && (has_output || secured.owes_key_update);
  }
  void seal_output(proxy::Connection& connection, Socket& socket);
  bool say_end(proxy::Connection& connection, Socket& socket);

  template <typename... Arguments>
  void log_limit(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
    if (options_.log == nullptr) return;
    options_.log->event(config::LogLevel::kWarn, proxy::LogKind::kLimit, now_ns_, format,
                        std::forward<Arguments>(arguments)...);
  }

  Socket& socket_of(const proxy::Connection& connection) { return sockets_[connection.handle.index]; }
  io::Token token(Operation operation, const proxy::Connection& connection) const noexcept {
    return {static_cast<uint8_t>(operation), connection.handle.generation, connection.handle.index};
  }
  proxy::Connection* connection_of(io::Token token);

  Options options_;
  const config::Snapshot& snapshot_;
  io::Ring ring_;
  std::unique_ptr<io::BufferRing> buffers_;
  std::unique_ptr<proxy::Proxy> proxy_;
  std::vector<Socket> sockets_;
  std::vector<base::Handle<proxy::Connection>> unsettled_;   // with a send whose outcome is not known yet
  std::vector<base::Handle<proxy::Connection>> settling_;    // scratch of settle_sends()
  std::vector<base::Handle<proxy::Connection>> rearm_;       // whose multishot recv has ended
  std::vector<base::Handle<proxy::Connection>> ready_;       // prepared in this flush
  std::vector<base::Handle<proxy::Connection>> deferred_;    // dirty, but a send of theirs is unsettled
  std::vector<base::Handle<proxy::Connection>> handshakes_;  // that can go on, oldest first
  std::vector<bool> is_accepting_;                           // per listener
  uint64_t now_ns_ = 0;
  uint64_t accept_resumes_ns_ = base::kNever_ns;
  PauseCause pause_cause_ = PauseCause::kNone;
  bool closing_awaits_send_ = false;  // a connection that closes waits for a send whose outcome is not known
  uint64_t spin_until_ns_ = 0;
  size_t completion_count_ = 0;  // of the latest drain
  bool is_draining_ = false;
  bool has_drain_ended_ = false;
  uint32_t told_count_ = 0;                      // shards that know that no connection comes from here any more
  uint32_t draining_count_ = 0;                  // other shards from which none comes
  std::array<io::Completion, 256> completions_;  // copied out before any is acted on
  ShardCounters counters_;
};

}  // namespace ringway::shard
