// The turn of a shard. What a completion means for a socket is in sockets.cc.
#include "shard/shard.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "base/assert.h"
#include "base/units.h"
#include "io/event.h"

namespace ringway::shard {
namespace {

constexpr uint32_t kRecvBufferSize = 16 * 1024;  // a default HTTP/2 frame, a TLS record
constexpr uint16_t kBufferGroup = 0;
constexpr uint32_t kFlushBytesMax = 128 * 1024;
// Short timers in the wait cost more than they give (an armed hrtimer that is the CPU's next event): timers are served
// at the next turn, or at this grain.
constexpr uint64_t kTimerGrain_ns = 10 * base::kMillisecond_ns;
// How often the queue is looked at again before a flush while new work keeps coming in.
constexpr int kSettleRounds = 4;
// … which is worth a system call of its own only in a turn that has brought many completions already.
constexpr size_t kBusyCompletions = 8;

}  // namespace

std::expected<std::unique_ptr<Shard>, std::string> Shard::create(Options options) {
  const config::ShardOptions& config = options.snapshot->shards;
  auto ring = io::Ring::create({config.ring_entries, std::max(8192u, config.ring_entries * 4)});
  if (!ring) return std::unexpected(ring.error());
  std::unique_ptr<Shard> shard(new Shard(std::move(options), std::move(*ring)));
  return shard;
}

Shard::Shard(Options options, io::Ring ring)
    : options_(std::move(options)), snapshot_(*options_.snapshot), ring_(std::move(ring)) {
  is_accepting_.resize(options_.listeners.size());
  options_.listener_credentials.resize(snapshot_.listeners.size());
  options_.cluster_credentials.resize(snapshot_.clusters.size());
}

Shard::~Shard() {
  for (Mailbox* const mailbox : options_.mailboxes) {
    if (mailbox == options_.mailboxes[options_.index]) mailbox->drain(drop_credentials);
  }
  if (!proxy_) return;
  for (Socket& socket : sockets_) {
    socket.sending.release(proxy_->memory().blocks);
    if (socket.secured != nullptr) socket.secured->reader.release(proxy_->memory().blocks);
  }
}

void Shard::pin() noexcept {
  if (options_.cpu < 0) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<size_t>(options_.cpu), &set);
  if (pthread_setaffinity_np(pthread_self(), sizeof set, &set) != 0 && options_.log != nullptr) {
    options_.log->event(config::LogLevel::kWarn, proxy::LogKind::kShard, base::monotonic_ns(),
                        "shard {} cannot be pinned to CPU {}", options_.index, options_.cpu);
  }
}

void Shard::run() {
  pin();
  now_ns_ = base::monotonic_ns();
  if (auto enabled = ring_.enable(); !enabled) {
    std::fprintf(stderr, "ringway: shard %u: %s\n", options_.index, enabled.error().c_str());
    std::exit(1);
  }
  // The memory below belongs to this thread's CPU, so it is touched first here.
  auto buffers = io::BufferRing::create(ring_, kBufferGroup, snapshot_.shards.recv_buffers, kRecvBufferSize);
  if (!buffers) {
    std::fprintf(stderr, "ringway: shard %u: %s\n", options_.index, buffers.error().c_str());
    std::exit(1);
  }
  buffers_ = std::make_unique<io::BufferRing>(std::move(*buffers));
  const proxy::ProxyOptions options{options_.index, options_.seed, options_.log,
                                    static_cast<uint32_t>(options_.mailboxes.size()), options_.bound};
  proxy_ = std::make_unique<proxy::Proxy>(snapshot_, options, now_ns_);
  if (snapshot_.shards.napi_ns != 0) ring_.busy_poll_napi(snapshot_.shards.napi_ns);
  watch_mailbox();
  start_listening();
  spin_until_ns_ = base::saturating_add(now_ns_, snapshot_.shards.busy_poll_ns);
  while (!is_finished()) turn();
  options_.stopped_count->fetch_add(1);
  io::raise_event(options_.stopped_event);
}

bool Shard::is_finished() const noexcept {
  // A shard that does not know of the drain yet may still hand a connection over.
  const size_t shards = options_.mailboxes.size();
  const bool is_alone = told_count_ == shards && draining_count_ == shards - 1;
  return is_draining_ && (is_alone || has_drain_ended_) && proxy_->downstream_count() == 0 &&
         proxy_->dirty.is_empty() && unsettled_.empty();
}

void Shard::turn() {
  ++counters_.turns;
  const bool has_work = !proxy_->dirty.is_empty() || !rearm_.empty() || !deferred_.empty() || !handshakes_.empty() ||
                        closing_awaits_send_ ||
                        (is_draining_ && told_count_ < options_.mailboxes.size() && !has_drain_ended_);
  ring_.enter(now_ns_, has_work || should_spin(now_ns_) ? 0 : wait_deadline(now_ns_), snapshot_.shards.min_wait_ns);
  now_ns_ = base::monotonic_ns();
  // Before a flush nothing may be hidden: an unseen failed send would leave a gap in its stream (DESIGN 3.5c). Work
  // that comes in meanwhile is taken along, which makes fuller sends.
  take_completions();
  for (int round = 0; round < kSettleRounds; ++round) {
    const bool is_worth_it = completion_count_ >= kBusyCompletions && ring_.has_deferred_work();
    if (ring_.settled() && !is_worth_it) break;
    ring_.enter(now_ns_, 0);
    take_completions();
  }
  settle_sends();
  if (now_ns_ >= accept_resumes_ns_) resume_accept();
  if (is_draining_) tell_the_others();
  proxy_->advance(now_ns_);
  if (!handshakes_.empty()) [[unlikely]]
    advance_handshakes();
  flush();
  proxy_->finish_turn(base::monotonic_ns());
  if (options_.log != nullptr) options_.log->end_turn();
}

// With --busy-poll-us the ring is asked again and again for a while before the thread goes to sleep.
bool Shard::should_spin(uint64_t now_ns) noexcept {
  return snapshot_.shards.busy_poll_ns != 0 && now_ns < spin_until_ns_;
}

uint64_t Shard::wait_deadline(uint64_t now_ns) {
  const uint64_t next_ns = std::min(proxy_->next_timer_ns(), accept_resumes_ns_);
  if (next_ns == base::kNever_ns) return base::kNever_ns;
  return std::max(next_ns, now_ns + kTimerGrain_ns);
}

void Shard::take_completions() {
  completion_count_ = 0;
  while (const size_t count = ring_.drain(completions_)) {
    completion_count_ += count;
    for (size_t i = 0; i < count; ++i) handle(completions_[i]);
    buffers_->publish();
    if (count < completions_.size()) break;
  }
  if (completion_count_ != 0) spin_until_ns_ = base::saturating_add(now_ns_, snapshot_.shards.busy_poll_ns);
}

proxy::Connection* Shard::connection_of(io::Token token) {
  if (token.slot >= sockets_.size()) return nullptr;
  const uint32_t generation = sockets_[token.slot].generation;
  if ((generation & io::Token::kGenerationMask) != token.generation) return nullptr;
  return proxy_->connections().find({token.slot, generation});
}

void Shard::handle(const io::Completion& completion) {
  const auto operation = static_cast<Operation>(completion.token.operation);
  switch (operation) {
    case Operation::kAccept: return on_accept(completion);
    case Operation::kCancelAccept: return;
    case Operation::kMailbox:
      if (!completion.has_more) watch_mailbox();
      return read_mailbox();
    case Operation::kRecv: return on_recv(connection_of(completion.token), completion);
    default: break;
  }
  proxy::Connection* connection = connection_of(completion.token);
  if (connection == nullptr) return;
  Socket& socket = socket_of(*connection);
  if (operation == Operation::kSend) {
    on_send(*connection, socket, completion);
  } else if (operation == Operation::kConnect) {
    on_connect(*connection, socket, completion);
  } else if (operation == Operation::kPoll) {
    on_poll(*connection, socket);
  } else {
    socket.awaits_cancel = false;
    advance_teardown(*connection, socket);
  }
}

// Sends without a completion by now have succeeded, if the kernel has taken them and nothing is hidden.
void Shard::settle_sends() {
  if ((unsettled_.empty() && deferred_.empty()) || !ring_.settled()) return;
  closing_awaits_send_ = false;
  // What a connection that closes says last is a send of its own, which comes to the list meanwhile.
  settling_.swap(unsettled_);
  for (const auto handle : settling_) {
    proxy::Connection* connection = proxy_->connections().find(handle);
    if (connection == nullptr) continue;
    Socket& socket = socket_of(*connection);
    if (!socket.is_sending || socket.send_waits) continue;  // it was short, its own completion ends it
    if (!ring_.is_consumed(socket.send_mark)) {
      unsettled_.push_back(handle);
      continue;
    }
    socket.is_sending = false;
    connection->sending_bytes = 0;
    socket.sending.release(proxy_->memory().blocks);
    if (connection->state == proxy::ConnectionState::kClosing) advance_teardown(*connection, socket);
  }
  settling_.clear();
  for (const auto handle : deferred_) {
    proxy::Connection* connection = proxy_->connections().find(handle);
    if (connection != nullptr && !static_cast<proxy::DirtyLink&>(*connection).is_linked()) {
      proxy_->dirty.push_back(*connection);
    }
  }
  deferred_.clear();
}

// One send for each dirty connection. Preparing one may free credit on another and so make it dirty: all are prepared
// before the first send is queued.
void Shard::flush() {
  open_wanted_connections();
  ready_.clear();
  while (!proxy_->dirty.is_empty()) {
    proxy::Connection& connection = proxy_->dirty.pop_front();
    proxy_->prepare(connection, kFlushBytesMax, now_ns_);
    ready_.push_back(connection.handle);
    if (!proxy_->to_connect.empty()) open_wanted_connections();
  }
  for (const auto handle : ready_) {
    proxy::Connection* connection = proxy_->connections().find(handle);
    if (connection != nullptr) flush_socket(*connection);
  }
  for (const auto handle : rearm_) {
    proxy::Connection* connection = proxy_->connections().find(handle);
    if (connection == nullptr) continue;
    Socket& socket = socket_of(*connection);
    if (!socket.is_receiving && !socket.is_dead && !socket.is_cancelling) arm_recv(*connection, socket);
  }
  rearm_.clear();
}

void Shard::flush_socket(proxy::Connection& connection) {
  if (connection.state == proxy::ConnectionState::kConnecting) return;
  Socket& socket = socket_of(connection);
  const bool has_output = !connection.h2.output().is_empty();
  const bool may_send = !socket.is_sending && !socket.is_dead && !socket.has_shut_write;
  if (may_send && (socket.secured == nullptr ? has_output : has_secured_output(*socket.secured, has_output))) {
    if (socket.secured != nullptr && !has_keys_to_send(connection, socket)) return;
    submit_send(connection, socket);
    // What the flush had no room for goes with the next one.
    if (connection.h2.wants_gather()) deferred_.push_back(connection.handle);
    if (proxy_->has_room_for_waiting(connection)) proxy_->dirty.push_back(connection);
  } else if (socket.is_sending && !socket.send_waits) {
    deferred_.push_back(connection.handle);
  }
  if (connection.state == proxy::ConnectionState::kClosing) advance_teardown(connection, socket);
}

void Shard::watch_mailbox() {
  ring_.poll_readable_multishot(options_.mailboxes[options_.index]->fd(),
                                {static_cast<uint8_t>(Operation::kMailbox), 0, 0});
}

void Shard::read_mailbox() {
  Mailbox& mailbox = *options_.mailboxes[options_.index];
  mailbox.acknowledge();
  mailbox.drain([this](const Message& message) {
    switch (message.kind) {
      case MessageKind::kAdopt: adopt(message.fd, message.listener); break;
      case MessageKind::kUnready: proxy_->begin_unready(); break;
      case MessageKind::kDrain: begin_drain(); break;
      case MessageKind::kDraining: ++draining_count_; break;
      case MessageKind::kPressure:
        proxy_->set_pressure(static_cast<proxy::Pressure>(message.listener), now_ns_);
        if (proxy_->pressure() == proxy::Pressure::kAcceptNone) pause_accept(PauseCause::kMemory);
        break;
      case MessageKind::kCredentials: take_credentials(message); break;
      case MessageKind::kEndDrain:
        begin_drain();
        has_drain_ended_ = true;
        proxy_->end_drain(now_ns_);
        break;
    }
  });
}

}  // namespace ringway::shard
