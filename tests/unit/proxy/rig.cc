#include "rig.h"

#include <cerrno>

#include "allocations.h"
#include "base/assert.h"
#include "config/limit_fields.h"

namespace ringway::proxy {
namespace {

constexpr uint32_t kFlushBytesMax = 128 * base::kKiB;
constexpr size_t kPrefaceSize = 24;

uint32_t word_at(std::string_view bytes) {
  uint32_t word = 0;
  for (size_t i = 0; i < 4 && i < bytes.size(); ++i) word = word << 8 | static_cast<uint8_t>(bytes[i]);
  return word;
}

// A flush holds whole frames.
void note_frames(Link& link, std::string_view bytes) {
  if (!link.endpoint.empty() && !link.has_skipped_preface) {
    bytes.remove_prefix(kPrefaceSize);
    link.has_skipped_preface = true;
  }
  while (bytes.size() >= 9) {
    const uint32_t size = word_at(bytes) >> 8;
    const SeenFrame frame{static_cast<uint8_t>(bytes[3]), static_cast<uint8_t>(bytes[4]), word_at(bytes.substr(5)),
                          word_at(bytes.substr(9, size))};
    link.frames.push_back(frame);
    link.turn_frames.push_back(frame);
    bytes.remove_prefix(9 + size);
  }
  ASSERT(bytes.empty());
}

io::Address address_of(std::string_view text) {
  return *io::Address::parse(text);
}

ssize_t read_flow(nghttp2_session*, int32_t, uint8_t* out, size_t size, uint32_t* flags, nghttp2_data_source* source,
                  void*) {
  Flow& flow = *static_cast<Flow*>(source->ptr);
  size = std::min(size, flow.bytes.size());
  flow.bytes.copy(reinterpret_cast<char*>(out), size);
  flow.bytes.erase(0, size);
  if (flow.bytes.empty() && flow.is_ended) *flags |= NGHTTP2_DATA_FLAG_EOF;
  if (size == 0 && !flow.is_ended) return NGHTTP2_ERR_DEFERRED;
  return static_cast<ssize_t>(size);
}

std::vector<nghttp2_nv> pairs_of(const PlainList& fields) {
  std::vector<nghttp2_nv> pairs;
  for (const PlainField& field : fields) {
    pairs.push_back({reinterpret_cast<uint8_t*>(const_cast<char*>(field.name.data())),
                     reinterpret_cast<uint8_t*>(const_cast<char*>(field.value.data())), field.name.size(),
                     field.value.size(), NGHTTP2_NV_FLAG_NONE});
  }
  return pairs;
}

}  // namespace

std::vector<SeenFrame> Link::of_type(uint8_t type, uint8_t flags) const {
  std::vector<SeenFrame> found;
  for (const SeenFrame& frame : frames) {
    if (frame.type == type && (frame.flags & flags) == flags) found.push_back(frame);
  }
  return found;
}

config::Snapshot Rig::plain_snapshot(uint32_t endpoints) {
  config::Snapshot made;
  made.limits = config::initial_limits();
  made.limits.header_list_bytes = 16 * base::kKiB;
  made.limits.streams = 100;
  made.limits.connections = 16;
  made.limits.window_bytes = made.limits.upstream_window_bytes = 65'535;
  made.limits.connection_window_bytes = 1 * base::kMiB;
  made.limits.pending_calls = 50;
  config::ClusterConfig cluster;
  cluster.name = "shop";
  for (uint32_t i = 0; i < endpoints; ++i) {
    cluster.endpoints.push_back({address_of("127.0.0.1:" + std::to_string(1001 + i)), 1});
  }
  cluster.connect_timeout_ns = 5 * base::kSecond_ns;
  cluster.keepalive_silence_ns = 10 * base::kSecond_ns;
  cluster.keepalive_interval_ns = 300 * base::kSecond_ns;
  cluster.keepalive_timeout_ns = 20 * base::kSecond_ns;
  made.clusters.push_back(cluster);
  config::ListenerConfig listener;
  listener.address = address_of("127.0.0.1:1000");
  listener.routes.emplace_back().name = "all";
  made.listeners.push_back(listener);
  return made;
}

Rig::Rig(const config::Snapshot& chosen, LogPort* log)
    : snapshot(chosen), proxy(std::make_unique<Proxy>(snapshot, ProxyOptions{0, 7, log, 1}, now_ns)) {}

// As at exit: the proxy is destroyed with what is open.
Rig::~Rig() = default;

Link* Rig::link_of(base::Handle<Connection> handle) {
  for (Link& link : links) {
    if (!link.is_gone && link.handle == handle) return &link;
  }
  return nullptr;
}

Link& Rig::add_client(std::string_view address, const Nghttp2Peer::Options& options) {
  Link& link = links.emplace_back();
  Connection* connection = proxy->accept(0, address_of(address), now_ns);
  ASSERT(connection != nullptr);
  link.handle = connection->handle;
  link.peer = std::make_unique<Nghttp2Peer>(h2::Role::kClient, options);
  run();
  return link;
}

Link* Rig::add_raw_client(std::string_view address) {
  const io::Address peer = address_of(address);
  Connection* connection = proxy->admits(0, peer, now_ns) ? proxy->accept(0, peer, now_ns) : nullptr;
  if (connection == nullptr) return nullptr;
  Link& link = links.emplace_back();
  link.handle = connection->handle;
  return &link;
}

void Rig::say(Link& link, std::string_view bytes) {
  if (Connection* connection = link.is_gone ? nullptr : proxy->connections().find(link.handle)) {
    const AllocationScope counted;
    proxy->receive(*connection, h2::octets_of(bytes), now_ns);
  }
  proxy->validate();
  run();
}

Link& Rig::upstream(uint32_t endpoint) {
  const std::string name = "127.0.0.1:" + std::to_string(1001 + endpoint);
  for (auto link = links.rbegin(); link != links.rend(); ++link) {
    if (link->endpoint == name) return *link;
  }
  ASSERT(false);
  return links.front();
}

bool Rig::has_upstream(uint32_t endpoint) const {
  const std::string name = "127.0.0.1:" + std::to_string(1001 + endpoint);
  for (const Link& link : links) {
    if (link.endpoint == name && !link.is_gone) return true;
  }
  return false;
}

void Rig::connect(base::Handle<Connection> handle) {
  Connection& connection = *proxy->connections().find(handle);
  Link& link = links.emplace_back();
  link.handle = handle;
  link.endpoint = connection.endpoint->name;
  link.peer = std::make_unique<Nghttp2Peer>(h2::Role::kServer, endpoint_options);
  const AllocationScope counted;
  proxy->connected(connection, now_ns);
  proxy->validate();
}

void Rig::refuse(base::Handle<Connection> handle) {
  Connection& connection = *proxy->connections().find(handle);
  Link& link = links.emplace_back();
  link.handle = handle;
  link.endpoint = "refused";
  proxy->connect_failed(connection, io::error_from_errno(ECONNREFUSED), now_ns);
  proxy->validate();
}

void Rig::take_wanted() {
  std::vector<base::Handle<Connection>> made;
  made.swap(proxy->to_connect);
  proxy->to_connect.reserve(made.capacity());
  for (const auto handle : made) {
    if (connects) {
      connect(handle);
    } else {
      wanted.push_back(handle);
    }
  }
}

void Rig::take_output(Connection& connection) {
  if (connection.state == ConnectionState::kConnecting || !connection.is_socket_writable) return;
  base::ByteQueue& output = connection.h2.output();
  if (output.is_empty()) return;
  const auto bytes = output.bytes();
  outputs_.emplace_back(connection.handle, std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  const AllocationScope counted;
  output.release(proxy->memory().blocks);
}

void Rig::turn() {
  for (Link& link : links) link.turn_frames.clear();
  {
    const AllocationScope counted;
    proxy->advance(now_ns);
  }
  if (!proxy->to_connect.empty()) take_wanted();
  flushed_.clear();
  while (!proxy->dirty.is_empty()) {
    Connection& connection = proxy->dirty.pop_front();
    flushed_.push_back(connection.handle);
    const AllocationScope counted;
    proxy->prepare(connection, kFlushBytesMax, now_ns);
  }
  for (const auto handle : flushed_) {
    Connection* connection = proxy->connections().find(handle);
    if (connection == nullptr) continue;
    take_output(*connection);
    // What one flush has no room for goes with the next one.
    const bool wants_flush = connection->h2.wants_gather() || Proxy::has_room_for_waiting(*connection);
    if (wants_flush && connection->is_socket_writable && !static_cast<DirtyLink&>(*connection).is_linked()) {
      proxy->dirty.push_back(*connection);
    }
    if (connection->state != ConnectionState::kClosing) continue;
    if (Link* link = link_of(handle)) {
      link->is_gone = true;
    } else {
      std::erase(wanted, handle);
    }
    proxy->forget(*connection);
  }
  {
    const AllocationScope counted;
    proxy->finish_turn(now_ns);
  }
  for (const auto& [handle, bytes] : outputs_) {
    for (Link& link : links) {
      if (link.handle != handle) continue;
      if (link.peer == nullptr) {
        link.raw += bytes;
        continue;
      }
      note_frames(link, bytes);
      EXPECT_TRUE(link.peer->receive(bytes)) << link.peer->complaints.back();
    }
  }
  outputs_.clear();
  proxy->validate();
}

void Rig::deliver(Link& link) {
  const std::string bytes = link.peer->take_output();
  Connection* connection = link.is_gone ? nullptr : proxy->connections().find(link.handle);
  if (connection != nullptr && !bytes.empty()) {
    const AllocationScope counted;
    proxy->receive(*connection, h2::octets_of(bytes), now_ns);
  }
  proxy->validate();
  turn();
}

void Rig::run() {
  for (bool is_idle = false; !is_idle;) {
    is_idle = true;
    for (size_t i = 0; i < links.size(); ++i) {
      Link& link = links[i];
      if (link.is_gone || link.is_mute || link.peer == nullptr) continue;
      const std::string bytes = link.peer->take_output();
      if (bytes.empty()) continue;
      is_idle = false;
      if (Connection* connection = proxy->connections().find(link.handle)) {
        const AllocationScope counted;
        proxy->receive(*connection, h2::octets_of(bytes), now_ns);
      }
      proxy->validate();
    }
    is_idle = is_idle && proxy->dirty.is_empty() && (proxy->to_connect.empty());
    turn();
  }
}

void Rig::pass(uint64_t duration_ns, uint64_t step_ns) {
  for (const uint64_t end_ns = now_ns + duration_ns; now_ns < end_ns;) {
    now_ns = std::min(end_ns, now_ns + step_ns);
    run();
  }
}

void Rig::lose(Link& link, int code) {
  proxy->lost(*proxy->connections().find(link.handle), code == 0 ? io::Error{} : io::error_from_errno(code), now_ns);
  proxy->validate();
  turn();
}

Flow& Rig::open_request(Link& client, const PlainList& headers) {
  Flow& flow = flows_.emplace_back();
  flow.link = &client;
  nghttp2_data_provider provider{};
  provider.source.ptr = &flow;
  provider.read_callback = read_flow;
  const auto pairs = pairs_of(headers);
  flow.id = nghttp2_submit_request(client.peer->session(), nullptr, pairs.data(), pairs.size(), &provider, nullptr);
  ASSERT(flow.id > 0);
  return flow;
}

Flow& Rig::open_response(Link& link, int32_t id, const PlainList& headers) {
  Flow& flow = flows_.emplace_back();
  flow.link = &link;
  flow.id = id;
  nghttp2_data_provider provider{};
  provider.source.ptr = &flow;
  provider.read_callback = read_flow;
  const auto pairs = pairs_of(headers);
  ASSERT(nghttp2_submit_response(link.peer->session(), id, pairs.data(), pairs.size(), &provider) == 0);
  return flow;
}

void Rig::send(Flow& flow, std::string_view bytes, bool ends) {
  flow.bytes += bytes;
  flow.is_ended = ends;
  // Fails when the headers have not left yet, and then nothing is deferred either.
  nghttp2_session_resume_data(flow.link->peer->session(), flow.id);
}

std::vector<int32_t> Rig::calls(Link& upstream) {
  std::vector<int32_t> ids;
  for (const auto& [id, message] : upstream.peer->messages) {
    if (message.has_headers && !message.is_closed) ids.push_back(id);
  }
  return ids;
}

void Rig::answer(uint32_t endpoint) {
  Link& link = upstream(endpoint);
  for (const int32_t id : calls(link)) link.peer->send_response(id, kGrpcResponse, grpc_message(1), kGrpcOk);
  run();
}

PlainList grpc_request(std::string path, const PlainList& more) {
  PlainList fields = {{":method", "POST"},          {":scheme", "http"},
                      {":path", std::move(path)},   {":authority", "shop.example"},
                      {"te", "trailers"},           {"content-type", "application/grpc"},
                      {"user-agent", "grpc-test/1"}};
  fields.insert(fields.end(), more.begin(), more.end());
  return fields;
}

std::string grpc_message(size_t size, char fill) {
  std::string text(1, '\0');
  for (int shift = 24; shift >= 0; shift -= 8) text += static_cast<char>(size >> shift & 0xff);
  return text + std::string(size, fill);
}

std::string value_of(const PlainList& fields, std::string_view name) {
  for (const PlainField& field : fields) {
    if (field.name == name) return field.value;
  }
  return "(none)";
}

}  // namespace ringway::proxy
