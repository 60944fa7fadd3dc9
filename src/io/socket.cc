#include "io/socket.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <string>

namespace ringway::io {
namespace {

void set_option(int fd, int level, int name, int value) noexcept {
  setsockopt(fd, level, name, &value, sizeof value);
}

// A socket file that refuses connections is left over from a process that is gone. Connecting to a file of another kind
// is refused too, so its kind is looked at first.
void remove_stale_unix_socket(const Address& address) {
  const char* path = reinterpret_cast<const sockaddr_un*>(address.data())->sun_path;
  struct stat found{};
  if (lstat(path, &found) != 0 || !S_ISSOCK(found.st_mode)) return;
  Fd probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!probe.is_open()) return;
  if (connect(probe.get(), address.data(), address.size()) == -1 && errno == ECONNREFUSED) {
    unlink(path);
  }
}

}  // namespace

void Fd::close() noexcept {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

std::expected<Fd, Error> listen_socket(const Address& address, const ListenOptions& options) {
  Fd fd(socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.is_open()) return std::unexpected(error_from_errno(errno));
  if (address.is_unix()) {
    remove_stale_unix_socket(address);
  } else {
    set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
    if (options.reuse_port) set_option(fd.get(), SOL_SOCKET, SO_REUSEPORT, 1);
    if (address.family() == AF_INET6) set_option(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, 1);
  }
  if (bind(fd.get(), address.data(), address.size()) != 0) return std::unexpected(error_from_errno(errno));
  if (listen(fd.get(), options.backlog) != 0) return std::unexpected(error_from_errno(errno));
  return fd;
}

Address local_address(const Fd& socket) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  if (getsockname(socket.get(), reinterpret_cast<sockaddr*>(&storage), &size) != 0) return {};
  return Address(reinterpret_cast<const sockaddr*>(&storage), size);
}

Address peer_address(int fd) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&storage), &size) != 0) return {};
  return Address(reinterpret_cast<const sockaddr*>(&storage), size);
}

std::expected<Fd, Error> stream_socket(const Address& address, uint32_t user_timeout_ms) {
  Fd fd(socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.is_open()) return std::unexpected(error_from_errno(errno));
  if (!address.is_unix()) set_stream_options(fd.get(), user_timeout_ms);
  return fd;
}

void set_stream_options(int fd, uint32_t user_timeout_ms) noexcept {
  // Both fail harmlessly on a unix socket.
  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  if (user_timeout_ms != 0) set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, static_cast<int>(user_timeout_ms));
}

Fd accept_waiting(int listening_fd) noexcept {
  return Fd(accept4(listening_fd, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
}

int32_t receive_now(int fd, std::span<uint8_t> into) noexcept {
  for (;;) {
    const ssize_t size = recv(fd, into.data(), into.size(), MSG_DONTWAIT);
    if (size >= 0) return static_cast<int32_t>(size);
    if (errno != EINTR) return -errno;
  }
}

int32_t send_now(int fd, std::span<const uint8_t> bytes) noexcept {
  for (;;) {
    const ssize_t size = send(fd, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (size >= 0) return static_cast<int32_t>(size);
    if (errno != EINTR) return -errno;
  }
}

void shutdown_write(int fd) noexcept {
  shutdown(fd, SHUT_WR);
}

void shutdown_both(int fd) noexcept {
  shutdown(fd, SHUT_RDWR);
}

Error take_error(int fd) noexcept {
  int code = 0;
  socklen_t size = sizeof code;
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &size) != 0) code = errno;
  return error_from_errno(code);
}

}  // namespace ringway::io
