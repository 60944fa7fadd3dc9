// What happens to a shard's sockets: accepting, connecting, receiving, sending, and the way out.
#include <algorithm>

#include "base/assert.h"
#include "base/units.h"
#include "shard/shard.h"

namespace ringway::shard {
namespace {

// A peer that does not acknowledge for this long is gone (DESIGN 3.14).
constexpr uint32_t kUserTimeout_ms = 20'000;
// Out of descriptors: accepting again at once would spin.
constexpr uint64_t kAcceptPause_ns = 100 * base::kMillisecond_ns;

}  // namespace

void Shard::start_listening() {
  for (uint32_t listener = 0; listener < options_.listeners.size(); ++listener) {
    const int fd = options_.listeners[listener];
    if (fd < 0 || is_accepting_[listener]) continue;
    ring_.accept_multishot(fd, {static_cast<uint8_t>(Operation::kAccept), 0, listener});
    is_accepting_[listener] = true;
  }
}

void Shard::on_accept(const io::Completion& completion) {
  const uint32_t listener = completion.token.slot;
  if (!completion.has_more) is_accepting_[listener] = false;
  if (completion.result >= 0) {
    ++counters_.accepts;
    place(completion.result, listener);
    if (options_.placement->open_sockets() >= options_.sockets_max) pause_accept(PauseCause::kDescriptorLimit);
  } else {
    const io::Error error = io::error_from_errno(completion.result);
    if (error.kind == io::ErrorKind::kNoDescriptors || error.kind == io::ErrorKind::kNoMemory) {
      pause_accept(PauseCause::kNoDescriptors);
    }
  }
  if (!is_accepting_[listener] && !is_draining_ && accept_resumes_ns_ == base::kNever_ns) start_listening();
}

// Clients wait in the listeners' backlogs; whether the cause is gone is looked at ten times a second. Said once.
void Shard::pause_accept(PauseCause cause) {
  if (is_draining_) return;
  ++counters_.accept_pauses;
  accept_resumes_ns_ = now_ns_ + kAcceptPause_ns;
  for (uint32_t listener = 0; listener < is_accepting_.size(); ++listener) {
    if (!is_accepting_[listener]) continue;
    ring_.cancel_fd(options_.listeners[listener], {static_cast<uint8_t>(Operation::kCancelAccept), 0, listener});
  }
  if (pause_cause_ == cause) return;
  pause_cause_ = cause;
  std::string_view why = "out of descriptors, accepting again when there are some (ulimit -n)";
  if (cause == PauseCause::kDescriptorLimit) {
    proxy_->count_limit(h2::LimitKind::kDescriptors);
    why = "no further clients are accepted until some have gone (limits.descriptors)";
  } else if (cause == PauseCause::kMemory) {
    why = "no clients are accepted until memory is free (limits.process_memory)";
  }
  log_limit("shard {}: {} connections are open: {}", options_.index, options_.placement->open_sockets(), why);
}

Shard::PauseCause Shard::find_pause_cause() const noexcept {
  if (options_.placement->open_sockets() >= options_.sockets_max) return PauseCause::kDescriptorLimit;
  if (proxy_->pressure() == proxy::Pressure::kAcceptNone) return PauseCause::kMemory;
  return PauseCause::kNone;
}

void Shard::resume_accept() {
  accept_resumes_ns_ = base::kNever_ns;
  if (is_draining_) return;
  if (const PauseCause cause = find_pause_cause(); cause != PauseCause::kNone) return pause_accept(cause);
  // Without descriptors the next accept says so again.
  if (pause_cause_ != PauseCause::kNoDescriptors) pause_cause_ = PauseCause::kNone;
  start_listening();
}

// Hands a fresh connection to the shard that has the fewest.
void Shard::place(int fd, uint32_t listener) {
  uint32_t chosen = options_.index;
  if (snapshot_.shards.accept == config::AcceptMode::kBalanced && !is_draining_) {
    chosen = options_.placement->choose(options_.index);
  } else {
    options_.placement->charge(chosen);
  }
  if (chosen != options_.index) {
    if (options_.mailboxes[chosen]->post(options_.index, {MessageKind::kAdopt, fd, listener})) return;
    // Its mailbox is full: it is busier than it looks.
    options_.placement->discharge(chosen);
    options_.placement->charge(options_.index);
  }
  adopt(fd, listener);
}

void Shard::adopt(int fd, uint32_t listener) {
  io::Fd owned(fd);
  io::set_stream_options(fd, kUserTimeout_ms);
  const io::Address peer = io::peer_address(fd);
  Source source{};
  if (!proxy_->admits(listener, peer, now_ns_) || !admits(listener, peer, source)) {
    return options_.placement->discharge(options_.index);
  }
  proxy::Connection* const connection = proxy_->accept(listener, peer, now_ns_);
  if (connection == nullptr) {
    if (source != Source{}) options_.placement->sources.remove(source);
    return options_.placement->discharge(options_.index);
  }
  if (sockets_.size() <= connection->handle.index) sockets_.resize(connection->handle.index + 1);
  Socket& socket = socket_of(*connection);
  socket.fd = std::move(owned);
  socket.source = source;
  socket.is_counted = true;
  options_.placement->opened();
  if (pause_cause_ == PauseCause::kNoDescriptors) pause_cause_ = PauseCause::kNone;
  socket.generation = connection->handle.generation;
  if (options_.listener_credentials[listener]) return accept_tls(*connection, socket, listener);
  arm_recv(*connection, socket);
}

// Within the limits of connections, of all and of its source. It is charged already.
bool Shard::admits(uint32_t listener, const io::Address& peer, Source& source) {
  const uint32_t open_count = options_.placement->total() - 1;
  if (open_count >= snapshot_.limits.connections) {
    proxy_->count_limit(h2::LimitKind::kConnections);
    log_limit("connection refused: {} are open (limits.connections)", open_count);
    return false;
  }
  // Behind a PROXY header all clients come from one address.
  const bool has_own_address = snapshot_.listeners[listener].sources.proxy_protocol == config::ProxyProtocol::kOff;
  const uint32_t most = snapshot_.limits.per_source;
  if (most == 0 || !has_own_address) return true;
  source = io::source_of(peer);
  if (options_.placement->sources.add(source, most)) return true;
  proxy_->count_limit(h2::LimitKind::kPerSource);
  log_limit("client {}: connection refused: {} are open from this address (limits.per_source)", peer.host_text(), most);
  return false;
}

// New connections are not accepted any more; those that the kernel has taken already are served.
void Shard::begin_drain() {
  if (is_draining_) return;
  is_draining_ = true;
  for (uint32_t listener = 0; listener < options_.listeners.size(); ++listener) {
    const int fd = options_.listeners[listener];
    if (fd < 0) continue;
    for (;;) {
      io::Fd accepted = io::accept_waiting(fd);
      if (!accepted.is_open()) break;
      options_.placement->charge(options_.index);
      adopt(accepted.release(), listener);
    }
    // From here on the kernel refuses; the armed accept ends by itself.
    io::shutdown_both(fd);
  }
  proxy_->begin_drain(now_ns_);
}

// In the same lane as the connections that were handed over, so that it comes behind the last of them. A lane that is
// full is tried again in the next turn.
void Shard::tell_the_others() {
  for (; told_count_ < options_.mailboxes.size(); ++told_count_) {
    if (told_count_ == options_.index) continue;
    if (!options_.mailboxes[told_count_]->post(options_.index, {MessageKind::kDraining, -1, 0})) return;
  }
}

void Shard::open_wanted_connections() {
  // Connecting may fail at once and so ask for further connections.
  for (size_t i = 0; i < proxy_->to_connect.size(); ++i) {
    proxy::Connection* connection = proxy_->connections().find(proxy_->to_connect[i]);
    if (connection != nullptr) open_connection(*connection);
  }
  proxy_->to_connect.clear();
}

void Shard::open_connection(proxy::Connection& connection) {
  if (sockets_.size() <= connection.handle.index) sockets_.resize(connection.handle.index + 1);
  Socket& socket = socket_of(connection);
  socket.generation = connection.handle.generation;
  // The end of a drain may end calls for which it is wanted, and then itself.
  if (connection.state != proxy::ConnectionState::kConnecting) {
    socket.is_dead = true;
    return;
  }
  auto fd = io::stream_socket(connection.peer, kUserTimeout_ms);
  if (!fd) {
    socket.is_dead = true;
    proxy_->connect_failed(connection, fd.error(), now_ns_);
    return;
  }
  socket.fd = std::move(*fd);
  socket.is_counted = true;
  options_.placement->opened();
  socket.is_connecting = true;
  ring_.connect(socket.fd.get(), connection.peer, token(Operation::kConnect, connection));
}

void Shard::on_connect(proxy::Connection& connection, Socket& socket, const io::Completion& completion) {
  socket.is_connecting = false;
  if (connection.state != proxy::ConnectionState::kConnecting) return advance_teardown(connection, socket);
  if (completion.result < 0) {
    socket.is_dead = true;
    proxy_->connect_failed(connection, io::error_from_errno(completion.result), now_ns_);
    return;
  }
  const uint32_t cluster = connection.endpoint->cluster.number;
  if (options_.cluster_credentials[cluster]) return connect_tls(connection, socket, cluster);
  arm_recv(connection, socket);
  proxy_->connected(connection, now_ns_);
}

void Shard::arm_recv(proxy::Connection& connection, Socket& socket) {
  ring_.recv_multishot(socket.fd.get(), buffers_->group(), token(Operation::kRecv, connection));
  socket.is_receiving = true;
}

void Shard::on_recv(proxy::Connection* connection, const io::Completion& completion) {
  if (connection == nullptr) {
    if (completion.has_buffer) buffers_->recycle(completion.buffer);
    return;
  }
  // Adopting or opening a connection may move the sockets: they are looked up where they are needed.
  bool has_ended = false;
  if (completion.result > 0) {
    ++counters_.recvs;
    const auto size = static_cast<size_t>(completion.result);
    counters_.recv_bytes += size;
    Secured* const secured = socket_of(*connection).secured.get();
    if (secured == nullptr || (secured->is_kernel_receive && secured->state == Secured::State::kOpen)) [[likely]] {
      proxy_->receive(*connection, buffers_->bytes(completion.buffer, size), now_ns_);
    } else {
      const bool was_open = secured->state == Secured::State::kOpen;
      has_ended = !receive_records(*connection, *secured, buffers_->mutable_bytes(completion.buffer, size)) && was_open;
    }
  }
  if (completion.has_buffer) buffers_->recycle(completion.buffer);
  Socket& socket = socket_of(*connection);
  if (!completion.has_more) socket.is_receiving = false;
  // close_notify: its calls end, and it gets ours (RFC 8446 section 6.1). Behind a failure the connection closes
  // already.
  if (has_ended && !socket.is_dead) proxy_->lost(*connection, {}, now_ns_);
  if (completion.has_more) return;
  const bool is_record = completion.result == -EIO && socket.secured != nullptr && socket.secured->is_kernel_receive;
  if (is_record && !socket.is_dead) {
    if (on_kernel_record(*connection, socket)) rearm_.push_back(connection->handle);
    return;
  }
  if (completion.result == 0) return fail(*connection, socket, {});
  if (completion.result < 0) {
    const io::Error error = io::error_from_errno(completion.result);
    if (error.kind == io::ErrorKind::kNoBuffers) {
      ++counters_.no_buffers;
    } else if (error.kind != io::ErrorKind::kWouldBlock) {
      return fail(*connection, socket, error);
    }
  }
  if (socket.is_cancelling || socket.is_dead) return advance_teardown(*connection, socket);
  rearm_.push_back(connection->handle);
}

// The peer's end (no error) or a failure: nothing more comes, and what is queued has nobody to read it.
void Shard::fail(proxy::Connection& connection, Socket& socket, io::Error error) {
  socket.is_dead = true;
  if (connection.state == proxy::ConnectionState::kClosing) return advance_teardown(connection, socket);
  proxy_->lost(connection, error, now_ns_);
}

void Shard::submit_send(proxy::Connection& connection, Socket& socket) {
  if (socket.secured == nullptr) [[likely]] {
    socket.sending.swap(connection.h2.output());
  } else {
    seal_output(connection, socket);
  }
  submit(connection, socket);
}

void Shard::submit(proxy::Connection& connection, Socket& socket) {
  socket.is_sending = true;
  socket.send_waits = false;
  socket.sent = 0;
  connection.sending_bytes = socket.sending.size();
  ++counters_.sends;
  counters_.send_bytes += socket.sending.size();
  if (socket.secured != nullptr && socket.secured->is_kernel_send) {
    // The kernel refuses MSG_WAITALL on such a socket: each send posts its completion, and we go on where it stopped.
    // Each send makes one for every 16 KiB, and one for the rest.
    socket.secured->kernel_records += socket.sending.size() / tls::kPlaintextSizeMax + 1;
    socket.send_waits = true;
    return ring_.send_some(socket.fd.get(), socket.sending.bytes(), token(Operation::kSend, connection));
  }
  socket.send_mark = ring_.send_or_report(socket.fd.get(), socket.sending.bytes(), token(Operation::kSend, connection));
  unsettled_.push_back(connection.handle);
}

// A send that did not go out whole: the rest waits for the socket, and everything else gathers behind it.
void Shard::on_send(proxy::Connection& connection, Socket& socket, const io::Completion& completion) {
  if (!socket.is_sending) return;
  if (completion.result > 0) socket.sent += static_cast<uint32_t>(completion.result);
  const io::Error error = completion.result < 0 ? io::error_from_errno(completion.result) : io::Error{};
  const bool is_over = (error && error.kind != io::ErrorKind::kWouldBlock) || socket.is_dead || socket.is_cancelling;
  if (!is_over && socket.sent < socket.sending.size()) {
    ++counters_.short_sends;
    socket.send_waits = true;
    connection.is_socket_writable = false;
    connection.h2.set_write_blocked(true);
    const std::span<const uint8_t> rest = socket.sending.bytes().subspan(socket.sent);
    const bool is_kernel_send = socket.secured != nullptr && socket.secured->is_kernel_send;
    if (is_kernel_send) return ring_.send_some(socket.fd.get(), rest, token(Operation::kSend, connection));
    ring_.send_waiting(socket.fd.get(), rest, token(Operation::kSend, connection));
    return;
  }
  socket.is_sending = socket.send_waits = false;
  connection.sending_bytes = 0;
  socket.sending.release(proxy_->memory().blocks);
  connection.is_socket_writable = true;
  connection.h2.set_write_blocked(false);
  if (is_over) return fail(connection, socket, error);
  if (!static_cast<proxy::DirtyLink&>(connection).is_linked()) proxy_->dirty.push_back(connection);
}

// The steps of a connection in state kClosing, each as soon as the one before allows.
void Shard::advance_teardown(proxy::Connection& connection, Socket& socket) {
  if (connection.state != proxy::ConnectionState::kClosing) return;
  // Its outcome is known once the kernel has taken it; nothing else may come to wake the shard.
  if (socket.is_sending && !socket.send_waits) closing_awaits_send_ = true;
  const bool may_send = !socket.is_dead && !connection.is_linger_over && socket.fd.is_open() && !socket.is_connecting &&
                        (socket.secured == nullptr || socket.secured->state != Secured::State::kHandshaking);
  if (may_send) {
    const bool can_be_sealed = socket.secured == nullptr || socket.secured->was_established;
    if (socket.is_sending || (can_be_sealed && !connection.h2.output().is_empty())) return;
    if (socket.secured != nullptr && say_end(connection, socket)) return;
    if (!socket.has_shut_write) {
      // The peer reads what we said last, and answers with its own end.
      io::shutdown_write(socket.fd.get());
      socket.has_shut_write = true;
    }
    // Its end has not come, or it would be dead: also where the receive has ended and is to be armed again.
    return;
  }
  if (socket.fd.is_open() && !socket.is_cancelling &&
      (socket.is_receiving || socket.send_waits || socket.is_connecting || socket.is_polling)) {
    // Once the peer has sent its end, the kernel moves a send that waits to a worker thread, and on its way there the
    // cancel does not find it; without this it would wait until TCP gives up.
    if (socket.send_waits) io::shutdown_both(socket.fd.get());
    socket.is_cancelling = socket.awaits_cancel = true;
    ring_.cancel_fd(socket.fd.get(), token(Operation::kCancel, connection));
  }
  // DESIGN 3.5d: nothing untaken, nothing unread.
  if (socket.is_receiving || socket.is_sending || socket.is_connecting || socket.is_polling || socket.awaits_cancel) {
    return;
  }
  close_socket(connection, socket);
}

void Shard::close_socket(proxy::Connection& connection, Socket& socket) {
  if (!connection.is_upstream()) options_.placement->discharge(options_.index);
  if (socket.is_counted) options_.placement->closed();
  if (socket.source != Source{}) options_.placement->sources.remove(socket.source);
  socket.sending.release(proxy_->memory().blocks);
  if (socket.secured != nullptr) socket.secured->reader.release(proxy_->memory().blocks);
  socket = Socket{};
  proxy_->forget(connection);
}

}  // namespace ringway::shard
