// What holds between any two turns of a shard. For tests and simulation.
#include <algorithm>

#include "base/assert.h"
#include "shard/shard.h"

namespace ringway::shard {

void Shard::validate() {
  if (!proxy_) return;
  proxy_->validate();
  proxy_->connections().for_each([this](proxy::Connection& connection) { validate_socket(connection); });
  for (uint32_t slot = 0; slot < sockets_.size(); ++slot) {
    const Socket& socket = sockets_[slot];
    if (proxy_->connections().find({slot, socket.generation}) != nullptr) continue;
    ASSERT(!socket.fd.is_open() && socket.sending.is_empty());
    ASSERT(!socket.is_receiving && !socket.is_sending && !socket.is_connecting && !socket.awaits_cancel);
    ASSERT(!socket.is_polling && socket.secured == nullptr);
  }
  for (uint32_t listener = 0; listener < options_.listeners.size(); ++listener) {
    const bool is_ours = options_.listeners[listener] >= 0;
    ASSERT(!is_ours || is_accepting_[listener] || is_draining_ || accept_resumes_ns_ != base::kNever_ns);
  }
}

void Shard::validate_socket(proxy::Connection& connection) {
  const auto is_in = [&connection](const std::vector<base::Handle<proxy::Connection>>& handles) {
    return std::ranges::find(handles, connection.handle) != handles.end();
  };
  if (is_in(proxy_->to_connect)) return;
  ASSERT(connection.handle.index < sockets_.size());
  const Socket& socket = socket_of(connection);
  ASSERT(socket.generation == connection.handle.generation);
  ASSERT(socket.fd.is_open() || socket.is_dead);
  ASSERT(socket.is_sending == !socket.sending.is_empty());
  ASSERT(!socket.send_waits || socket.is_sending);
  ASSERT(connection.sending_bytes == socket.sending.size());
  // The outcome of a send is looked for until it is known.
  ASSERT(!socket.is_sending || socket.send_waits || is_in(unsettled_));
  const bool is_listed = static_cast<proxy::DirtyLink&>(connection).is_linked() || is_in(deferred_);
  switch (connection.state) {
    case proxy::ConnectionState::kConnecting: ASSERT(socket.is_connecting && !socket.is_dead); return;
    case proxy::ConnectionState::kClosing: {
      // Something brings it on.
      const bool has_completions =
          socket.is_receiving || socket.is_sending || socket.is_connecting || socket.awaits_cancel;
      ASSERT(!connection.is_linger_over || has_completions || is_listed);
      return;
    }
    default: break;
  }
  ASSERT(!socket.is_dead && !socket.is_connecting && !socket.is_cancelling && !socket.has_shut_write);
  ASSERT(socket.is_receiving || is_in(rearm_));
  // The kernel's TLS posts a completion for every send.
  const bool is_kernel_send = socket.secured != nullptr && socket.secured->is_kernel_send;
  ASSERT(connection.is_socket_writable == !socket.send_waits || is_kernel_send);
  // What can be sent is going to be: by a flush, or behind the send that waits.
  const bool has_output = !connection.h2.output().is_empty() || connection.h2.wants_gather();
  ASSERT(!has_output || is_listed || socket.send_waits);
}

}  // namespace ringway::shard
