#include "shard_rig.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>

#include "base/assert.h"

namespace ringway::shard {
namespace {

constexpr size_t kReceiveSize = 64 * base::kKiB;
// The longest that until() leaves its condition unlooked at when no byte moves.
constexpr int kPollGrain_ms = 5;

io::Fd listen_on_any_port(bool reuse_port = false) {
  return std::move(*io::listen_socket(*io::Address::parse("127.0.0.1:0"), {.reuse_port = reuse_port}));
}

}  // namespace

size_t open_descriptors() {
  size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
  return count;
}

std::string pattern(size_t size) {
  std::string bytes(size, '\0');
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>((i * 131 + i / 251) & 0xff);
  return bytes;
}

void Peer::close(bool resets) {
  if (resets) {
    const linger at_once{1, 0};
    setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  }
  fd.close();
}

ShardRig::ShardRig(uint32_t endpoints)
    : snapshot(proxy::Rig::plain_snapshot(endpoints)),
      bell_(std::move(*io::Doorbell::create())),
      stopped_event_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  snapshot.limits.connections = 1000;
  snapshot.limits.pending_calls = 1000;
  snapshot.shards.recv_buffers = 64;
  for (uint32_t i = 0; i < endpoints; ++i) {
    endpoint_listeners.push_back(listen_on_any_port());
    snapshot.clusters[0].endpoints[i].address = io::local_address(endpoint_listeners.back());
  }
  listeners.push_back(listen_on_any_port());
  snapshot.listeners[0].address = io::local_address(listeners[0]);
}

ShardRig::~ShardRig() {
  clients.clear();
  upstreams.clear();
  if (threads_.empty()) return;
  if (!drain(MessageKind::kEndDrain)) {
    // A thread that does not end cannot be joined, and what it uses must not go.
    std::fprintf(stderr, "a shard does not end\n");
    std::abort();
  }
}

void ShardRig::let_sockets_block(int send_buffer_bytes) {
  snapshot.limits.window_bytes = 64 << 20;
  snapshot.limits.upstream_window_bytes = 64 << 20;
  snapshot.limits.connection_window_bytes = 64 << 20;
  for (const io::Fd& listening : listeners) {
    ASSERT(setsockopt(listening.get(), SOL_SOCKET, SO_SNDBUF, &send_buffer_bytes, sizeof send_buffer_bytes) == 0);
  }
}

void ShardRig::let_endpoints_block(int receive_buffer_bytes) {
  for (const io::Fd& listening : endpoint_listeners) {
    ASSERT(setsockopt(listening.get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes, sizeof receive_buffer_bytes) == 0);
  }
  endpoint_window_bytes = kLargeWindow;
  endpoint_options.settings = {{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, kLargeWindow}};
}

void ShardRig::start_with_shared_port(uint32_t shards) {
  snapshot.shards.accept = config::AcceptMode::kReusePort;
  listeners.clear();
  listeners.push_back(listen_on_any_port(true));
  snapshot.listeners[0].address = io::local_address(listeners[0]);
  while (listeners.size() < shards) {
    listeners.push_back(std::move(*io::listen_socket(snapshot.listeners[0].address, {.reuse_port = true})));
  }
  make(shards);
  run();
}

void ShardRig::make(uint32_t shards) {
  const bool has_shared_port = snapshot.shards.accept == config::AcceptMode::kReusePort;
  snapshot.shards.count = shards;
  placement = std::make_unique<Placement>(shards);
  for (uint32_t i = 0; i < shards; ++i) mailboxes.push_back(std::move(*Mailbox::create(shards + 1)));
  for (uint32_t i = 0; i < shards; ++i) {
    Shard::Options options;
    options.index = i;
    options.snapshot = &snapshot;
    options.listeners = {has_shared_port || i == 0 ? listeners[i].get() : -1};
    for (const auto& mailbox : mailboxes) options.mailboxes.push_back(mailbox.get());
    options.placement = placement.get();
    options.log = &logs_.emplace_back(*bell_, config::LogLevel::kDebug, 0);
    options.seed = i + 1;
    options.sockets_max = sockets_max;
    options.stopped_count = &stopped_count_;
    options.stopped_event = stopped_event_.get();
    auto shard = Shard::create(std::move(options));
    ASSERT(shard);
    shards_.push_back(std::move(*shard));
  }
}

void ShardRig::run() {
  for (uint32_t i = 0; i < shard_count(); ++i) {
    if (!idle_shards.contains(i)) threads_.emplace_back([this, i] { shards_[i]->run(); });
  }
}

Peer& ShardRig::add_client(const ClientOptions& options) {
  io::Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  // Before the handshake, which announces the window that follows from it.
  if (const int bytes = options.receive_buffer_bytes; bytes != 0) {
    ASSERT(setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes) == 0);
  }
  Nghttp2Peer::Options session;
  if (options.window_bytes != 0) session.settings = {{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, options.window_bytes}};
  Peer& client = clients.emplace_back(h2::Role::kClient, std::move(fd), session);
  if (options.window_bytes != 0) {
    nghttp2_session_set_local_window_size(client.session.session(), NGHTTP2_FLAG_NONE, 0,
                                          static_cast<int32_t>(options.window_bytes));
  }
  if (options.connects) connect(client);
  return client;
}

// Completes at once: the kernel takes connections for a listener that nobody serves yet.
void ShardRig::connect(Peer& client) {
  const io::Address& address = snapshot.listeners[0].address;
  ASSERT(::connect(client.fd.get(), address.data(), address.size()) == 0);
  io::set_stream_options(client.fd.get(), 0);
}

int32_t ShardRig::call(Peer& client, std::string body) {
  return client.session.send_request(proxy::grpc_request(), std::move(body), true);
}

bool ShardRig::is_answered(Peer& client, int32_t id, std::string_view body) {
  const auto found = client.session.messages.find(id);
  return found != client.session.messages.end() && found->second.is_closed && status_of(client, id) == "0" &&
         found->second.body == body;
}

std::string ShardRig::status_of(Peer& client, int32_t id) {
  const Nghttp2Peer::Message& message = client.session.messages[id];
  return proxy::value_of(message.trailers.empty() ? message.headers : message.trailers, "grpc-status");
}

bool ShardRig::round_trip(Peer& peer) {
  const uint32_t before = peer.session.ping_ack_count;
  nghttp2_submit_ping(peer.session.session(), NGHTTP2_FLAG_NONE, nullptr);
  return until("the answer to a PING", [&] { return peer.session.ping_ack_count != before; });
}

void ShardRig::move_out(Peer& peer) {
  if (!peer.fd.is_open()) return;
  peer.unsent += std::exchange(peer.raw, {});
  peer.unsent += peer.session.take_output();
  while (!peer.unsent.empty()) {
    const ssize_t sent = send(peer.fd.get(), peer.unsent.data(), peer.unsent.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno != EAGAIN && errno != ENOTCONN) peer.unsent.clear();
      return;
    }
    peer.sent_bytes += static_cast<uint64_t>(sent);
    peer.unsent.erase(0, static_cast<size_t>(sent));
  }
}

void ShardRig::move_in(Peer& peer) {
  std::array<char, kReceiveSize> bytes;
  const ssize_t size = recv(peer.fd.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
  if (size < 0 && (errno == EAGAIN || errno == ENOTCONN)) return;
  if (size <= 0) {
    peer.has_ended = true;
    peer.error = size < 0 ? errno : 0;
    peer.fd.close();
    return;
  }
  peer.received_bytes += static_cast<uint64_t>(size);
  EXPECT_TRUE(peer.session.receive({bytes.data(), static_cast<size_t>(size)})) << peer.session.complaints.back();
  // As programs on nghttp2 do: told to go, and without a stream, they go.
  nghttp2_session* session = peer.session.session();
  if (peer.session.goaway_count != 0 && !nghttp2_session_want_read(session) && !nghttp2_session_want_write(session)) {
    peer.has_ended = true;
    peer.fd.close();
  }
}

void ShardRig::accept_from(io::Fd& listening) {
  io::Fd accepted(accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!accepted.is_open()) return;
  io::set_stream_options(accepted.get(), 0);
  Peer& peer = upstreams.emplace_back(h2::Role::kServer, std::move(accepted), endpoint_options);
  if (endpoint_window_bytes == 0) return;
  nghttp2_session_set_local_window_size(peer.session.session(), NGHTTP2_FLAG_NONE, 0,
                                        static_cast<int32_t>(endpoint_window_bytes));
}

void ShardRig::answer(Peer& peer) {
  for (const auto& [id, message] : peer.session.messages) {
    if (!message.has_ended || message.is_closed || !peer.answered.insert(id).second) continue;
    peer.session.send_response(id, proxy::kGrpcResponse, message.body, proxy::kGrpcOk);
  }
}

// Moves what can be moved, or waits a moment for the sockets.
void ShardRig::pump() {
  std::vector<pollfd> watched;
  std::vector<Peer*> peers;
  for (auto* all : {&clients, &upstreams}) {
    for (Peer& peer : *all) {
      if (all == &upstreams && echoes) answer(peer);
      move_out(peer);
      if (!peer.fd.is_open() || peer.has_ended) continue;
      const short events = static_cast<short>((peer.reads ? POLLIN : 0) | (peer.unsent.empty() ? 0 : POLLOUT));
      if (events == 0) continue;
      watched.push_back({peer.fd.get(), events, 0});
      peers.push_back(&peer);
    }
  }
  for (const io::Fd& listening : endpoint_listeners) {
    if (accepts && listening.is_open()) watched.push_back({listening.get(), POLLIN, 0});
  }
  if (poll(watched.data(), watched.size(), kPollGrain_ms) <= 0) return;
  for (size_t i = 0; i < peers.size(); ++i) {
    if (peers[i]->reads && (watched[i].revents & (POLLIN | POLLHUP | POLLERR)) != 0) move_in(*peers[i]);
  }
  if (!accepts) return;
  for (io::Fd& listening : endpoint_listeners) {
    if (listening.is_open()) accept_from(listening);
  }
}

// What a wait in vain leaves to look at.
std::string ShardRig::describe() {
  has_logged("");
  std::string text;
  for (const std::string& line : log_lines_) text += "\n  log: " + line;
  for (auto* all : {&clients, &upstreams}) {
    for (Peer& peer : *all) {
      size_t closed_count = 0;
      for (const auto& [id, message] : peer.session.messages) closed_count += message.is_closed ? 1 : 0;
      text += fmt::format("\n  {}: {} octets sent, {} wait, {} received, {} of {} streams closed, {} GOAWAY{}{}",
                          all == &clients ? "client" : "endpoint", peer.sent_bytes, peer.unsent.size(),
                          peer.received_bytes, closed_count, peer.session.messages.size(), peer.session.goaway_count,
                          peer.has_ended ? ", ended" : "", peer.fd.is_open() ? "" : ", closed");
    }
  }
  return text;
}

bool ShardRig::drain(MessageKind kind) {
  for (uint32_t i = 0; i < shard_count(); ++i) post(i, kind);
  if (!until("the end of the shards", [this] { return stopped_count_.load() == threads_.size(); })) return false;
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  return true;
}

bool ShardRig::has_logged(std::string_view part, size_t times) {
  for (proxy::LogPort& log : logs_) {
    while (const auto event = log.next_event()) log_lines_.emplace_back(event->view());
  }
  const auto is_it = [part](const std::string& line) { return line.find(part) != std::string::npos; };
  return static_cast<size_t>(std::ranges::count_if(log_lines_, is_it)) >= times;
}

}  // namespace ringway::shard
