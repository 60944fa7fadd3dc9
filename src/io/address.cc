#include "io/address.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <charconv>
#include <cstring>

namespace ringway::io {
namespace {

constexpr std::string_view kAllowed = "allowed: HOST:PORT with an IP address or localhost, [IPV6]:PORT, unix:PATH";

std::unexpected<std::string> refuse(std::string_view text, std::string_view why) {
  return std::unexpected(fmt::format("'{}': {} ({})", text, why, kAllowed));
}

std::expected<Address, std::string> parse_unix(std::string_view text, std::string_view path) {
  sockaddr_un un{};
  un.sun_family = AF_UNIX;
  if (path.empty()) return refuse(text, "the path is empty");
  if (path.size() >= sizeof un.sun_path) {
    return refuse(text, fmt::format("the path is longer than {} bytes", sizeof un.sun_path - 1));
  }
  std::memcpy(un.sun_path, path.data(), path.size());
  const size_t size = offsetof(sockaddr_un, sun_path) + path.size() + 1;
  return Address(reinterpret_cast<const sockaddr*>(&un), static_cast<socklen_t>(size));
}

}  // namespace

Address::Address(const sockaddr* address, socklen_t size) noexcept : size_(size) {
  if (size_ > sizeof storage_) size_ = sizeof storage_;
  std::memcpy(&storage_, address, size_);
}

std::expected<Address, std::string> Address::parse(std::string_view text) {
  // The functions below end a text at its first zero byte.
  if (text.find('\0') != std::string_view::npos) return refuse(text.substr(0, text.find('\0')), "a zero byte follows");
  if (text.starts_with("unix:")) return parse_unix(text, text.substr(5));
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return refuse(text, "there is no port");
  const std::string_view port_text = text.substr(colon + 1);
  unsigned port = 0;
  const auto [end, status] = std::from_chars(port_text.data(), port_text.data() + port_text.size(), port);
  if (status != std::errc{} || end != port_text.data() + port_text.size() || port > 65535) {
    return refuse(text, fmt::format("'{}' is not a port from 0 to 65535", port_text));
  }
  std::string host(text.substr(0, colon));
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(static_cast<uint16_t>(port));
    if (inet_pton(AF_INET6, host.c_str(), &v6.sin6_addr) != 1) {
      return refuse(text, fmt::format("'{}' is not an IPv6 address", host));
    }
    return Address(reinterpret_cast<const sockaddr*>(&v6), sizeof v6);
  }
  if (host.empty()) return refuse(text, "there is no host");
  if (host == "localhost") host = "127.0.0.1";
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_port = htons(static_cast<uint16_t>(port));
  if (inet_pton(AF_INET, host.c_str(), &v4.sin_addr) != 1) {
    if (host.find(':') != std::string::npos) return refuse(text, "an IPv6 address stands in brackets");
    return refuse(text, fmt::format("'{}' is not an IP address", host));
  }
  return Address(reinterpret_cast<const sockaddr*>(&v4), sizeof v4);
}

uint16_t Address::port() const noexcept {
  if (family() == AF_INET) return ntohs(reinterpret_cast<const sockaddr_in*>(&storage_)->sin_port);
  if (family() == AF_INET6) return ntohs(reinterpret_cast<const sockaddr_in6*>(&storage_)->sin6_port);
  return 0;
}

std::string Address::host_text() const {
  char host[INET6_ADDRSTRLEN] = {};
  if (family() == AF_INET) {
    inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(&storage_)->sin_addr, host, sizeof host);
  } else if (family() == AF_INET6) {
    inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6*>(&storage_)->sin6_addr, host, sizeof host);
  } else {
    return "unix";
  }
  return host;
}

std::string Address::text() const {
  if (family() == AF_INET) return fmt::format("{}:{}", host_text(), port());
  if (family() == AF_INET6) return fmt::format("[{}]:{}", host_text(), port());
  if (family() == AF_UNIX && size_ > offsetof(sockaddr_un, sun_path)) {
    return fmt::format("unix:{}", reinterpret_cast<const sockaddr_un*>(&storage_)->sun_path);
  }
  return "unix:";
}

bool Address::operator==(const Address& other) const noexcept {
  return size_ == other.size_ && std::memcmp(&storage_, &other.storage_, size_) == 0;
}

}  // namespace ringway::io
