// Sockets and their options: creation is synchronous and rare; what happens on them afterwards goes through a Ring.
#pragma once

#include <cstdint>
#include <expected>
#include <span>
#include <utility>

#include "io/address.h"
#include "io/error.h"

namespace ringway::io {

// Owns one descriptor.
class Fd {
 public:
  Fd() noexcept = default;
  explicit Fd(int fd) noexcept : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      close();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  ~Fd() { close(); }

  int get() const noexcept { return fd_; }
  int release() noexcept { return std::exchange(fd_, -1); }
  bool is_open() const noexcept { return fd_ >= 0; }
  void close() noexcept;

 private:
  int fd_ = -1;
};

struct ListenOptions {
  int backlog = 4096;       // the kernel caps it at net.core.somaxconn
  bool reuse_port = false;  // one socket per shard, the kernel spreads by hash (SO_REUSEPORT, Linux 3.9)
};

// A bound, listening socket. A stale unix socket file that nobody listens on is replaced.
std::expected<Fd, Error> listen_socket(const Address& address, const ListenOptions& options);

// The address a socket is bound to: the real port where port 0 was asked for.
Address local_address(const Fd& socket);
Address peer_address(int fd);

// An unconnected stream socket for `address` with TCP_NODELAY and TCP_USER_TIMEOUT set (0: the kernel's default).
std::expected<Fd, Error> stream_socket(const Address& address, uint32_t user_timeout_ms);

// TCP_NODELAY and TCP_USER_TIMEOUT on an accepted socket; nothing on a unix socket.
void set_stream_options(int fd, uint32_t user_timeout_ms) noexcept;

// A connection that waits on a listening socket; not open when there is none.
Fd accept_waiting(int listening_fd) noexcept;

// At once: what has come, up to the size of `into`, or what there is room for. The octets moved, or a negative errno; 0
// of receive_now() is the peer's end. For the few exchanges before a connection is the ring's.
int32_t receive_now(int fd, std::span<uint8_t> into) noexcept;
int32_t send_now(int fd, std::span<const uint8_t> bytes) noexcept;

// The peer sees our end behind what was sent.
void shutdown_write(int fd) noexcept;
// Nothing is sent or received any more: operations that wait end. A listening socket refuses from here on, and an
// accept that is armed on it ends.
void shutdown_both(int fd) noexcept;

// SO_ERROR, as after a failed connect.
Error take_error(int fd) noexcept;

}  // namespace ringway::io
