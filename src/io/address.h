// Socket addresses as the command line and the config file write them: HOST:PORT, [v6]:PORT, unix:PATH.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace ringway::io {

// A value: copyable, comparable, never a name that still has to be resolved.
class Address {
 public:
  Address() noexcept = default;
  Address(const sockaddr* address, socklen_t size) noexcept;

  // HOST is an IPv4 or IPv6 address or "localhost"; port 0 asks the kernel for a free one when listening. Names of
  // other hosts are refused. The error is a sentence that names `text` and what is allowed.
  static std::expected<Address, std::string> parse(std::string_view text);

  const sockaddr* data() const noexcept { return reinterpret_cast<const sockaddr*>(&storage_); }
  socklen_t size() const noexcept { return size_; }
  int family() const noexcept { return storage_.ss_family; }
  bool is_unix() const noexcept { return storage_.ss_family == AF_UNIX; }
  uint16_t port() const noexcept;  // 0 for unix sockets

  std::string text() const;       // as parse() reads it
  std::string host_text() const;  // without port; "unix" for unix sockets, whose peers have no name

  bool operator==(const Address& other) const noexcept;

 private:
  sockaddr_storage storage_{};
  socklen_t size_ = 0;
};

}  // namespace ringway::io
