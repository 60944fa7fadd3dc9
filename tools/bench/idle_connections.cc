#include "idle_connections.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "base/units.h"
#include "failure.h"
#include "io/address.h"

namespace ringway::bench {

namespace {

using namespace std::string_view_literals;

// Connections that are opened before the server's answers are awaited: fewer than its accept backlog holds.
constexpr uint32_t kBatch = 200;
constexpr uint64_t kBatchTimeout_ns = 10 * base::kSecond_ns;
// RFC 9113 sections 3.4 and 6.5: the preface with an empty SETTINGS frame, and the acknowledgement of the peer's.
constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"sv;
constexpr std::string_view kSettingsAck = "\0\0\0\4\1\0\0\0\0"sv;
constexpr size_t kFrameHeader_bytes = 9;
constexpr char kSettingsType = 4;
constexpr char kAckFlag = 1;

void send_all(int fd, std::string_view bytes) {
  // A few bytes into an empty socket: they always fit.
  if (send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(bytes.size())) {
    throw Failure(fmt::format("send on an idle connection: {}", std::strerror(errno)));
  }
}

void send_output(int fd, tls::LibraryStream& stream) {
  const std::span<const uint8_t> records = stream.output();
  if (records.empty()) return;
  send_all(fd, {reinterpret_cast<const char*>(records.data()), records.size()});
  stream.consume_output(records.size());
}

}  // namespace

IdleConnections::IdleConnections(const std::string& address, uint32_t count, Trust trust) : trust_(std::move(trust)) {
  connections_.reserve(count);
  while (connections_.size() < count) {
    const size_t first = connections_.size();
    open_batch(address, std::min<uint32_t>(kBatch, count - static_cast<uint32_t>(first)));
    await_settings(first);
  }
}

IdleConnections::~IdleConnections() {
  for (const Connection& connection : connections_) close(connection.fd);
}

uint32_t IdleConnections::open_count() const {
  uint32_t count = 0;
  for (const Connection& connection : connections_) {
    char byte = 0;
    const ssize_t got = recv(connection.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    count += got > 0 || (got < 0 && errno == EAGAIN) ? 1 : 0;
  }
  return count;
}

void IdleConnections::open_batch(const std::string& address, uint32_t count) {
  const auto parsed = io::Address::parse(address);
  if (!parsed) throw Failure(parsed.error());
  for (uint32_t index = 0; index < count; ++index) {
    const int fd = socket(parsed->family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
      throw Failure(fmt::format("socket number {}: {} (raise the limit of open files)", connections_.size(),
                                std::strerror(errno)));
    connections_.push_back({.fd = fd});
    if (connect(fd, parsed->data(), parsed->size()) != 0) {
      throw Failure(fmt::format("connection number {} to {}: {}", connections_.size(), address, std::strerror(errno)));
    }
    if (!trust_) {
      send_all(fd, kPreface);
      continue;
    }
    Connection& made = connections_.back();
    made.stream = tls::LibraryStream::connect(trust_, parsed->host_text(), {}, {});
    made.stream->start();
    send_output(fd, *made.stream);
  }
}

void IdleConnections::await_settings(size_t first) {
  const uint64_t deadline_ns = base::monotonic_ns() + kBatchTimeout_ns;
  std::vector<pollfd> polled;
  while (true) {
    polled.clear();
    for (size_t index = first; index < connections_.size(); ++index) {
      if (!connections_[index].has_settings)
        polled.push_back({.fd = connections_[index].fd, .events = POLLIN, .revents = 0});
    }
    if (polled.empty()) return;
    if (poll(polled.data(), polled.size(), 100) < 0 && errno != EINTR)
      throw Failure(fmt::format("poll: {}", std::strerror(errno)));
    if (base::monotonic_ns() > deadline_ns) throw Failure(fmt::format("{} connections got no SETTINGS", polled.size()));
    for (size_t index = first; index < connections_.size(); ++index) {
      if (!connections_[index].has_settings) read_frames(connections_[index]);
    }
  }
}

void IdleConnections::send_frames(Connection& connection, std::string_view frames) {
  if (!connection.stream) {
    send_all(connection.fd, frames);
    return;
  }
  connection.stream->write({reinterpret_cast<const uint8_t*>(frames.data()), frames.size()});
  send_output(connection.fd, *connection.stream);
}

// The preface follows the handshake.
void IdleConnections::take_records(Connection& connection, std::span<const char> bytes) {
  tls::LibraryStream& stream = *connection.stream;
  const bool was_open = stream.is_open();
  stream.receive({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
  if (stream.is_open() && !was_open) send_frames(connection, kPreface);
  std::array<uint8_t, 1024> plain;
  while (const size_t size = stream.read(plain))
    connection.input.append(reinterpret_cast<const char*>(plain.data()), size);
  send_output(connection.fd, stream);
  if (stream.state() == tls::LibraryStream::State::kFailed)
    throw Failure(fmt::format("TLS on an idle connection: {}", stream.failure()));
}

void IdleConnections::read_frames(Connection& connection) {
  std::array<char, 4096> buffer;
  const ssize_t got = recv(connection.fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (got < 0 && errno == EAGAIN) return;
  if (got <= 0) throw Failure("an idle connection was closed before its SETTINGS");
  std::string& input = connection.input;
  const std::span<const char> bytes(buffer.data(), static_cast<size_t>(got));
  if (connection.stream) {
    take_records(connection, bytes);
  } else {
    input.append(bytes.data(), bytes.size());
  }
  while (input.size() >= kFrameHeader_bytes) {
    const auto octet = [&](size_t index) { return static_cast<size_t>(static_cast<unsigned char>(input[index])); };
    const size_t frame_bytes = kFrameHeader_bytes + (octet(0) << 16 | octet(1) << 8 | octet(2));
    if (input.size() < frame_bytes) return;
    if (input[3] == kSettingsType && (input[4] & kAckFlag) == 0) {
      send_frames(connection, kSettingsAck);
      connection.has_settings = true;
    }
    input.erase(0, frame_bytes);
  }
  if (connection.has_settings) std::string().swap(input);
}

}  // namespace ringway::bench
