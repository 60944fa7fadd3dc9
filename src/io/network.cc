#include "io/network.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>

namespace ringway::io {
namespace {

constexpr std::string_view kNetworkWords = "allowed: an IPv4 or IPv6 network, as 10.0.0.0/8, fd00::/8 or 192.0.2.7";

constexpr uint8_t kMappedPrefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};  // RFC 4291 section 2.5.5.2
constexpr uint8_t kMappedBits = 96;

std::unexpected<std::string> refuse_network(std::string_view text, std::string_view why) {
  return std::unexpected(fmt::format("'{}': {}, {}", text, why, kNetworkWords));
}

// The octets of an address in network order: 4, 16 or none.
std::span<const uint8_t> octets_of(const Address& address) noexcept {
  if (address.family() == AF_INET) {
    return {reinterpret_cast<const uint8_t*>(&reinterpret_cast<const sockaddr_in*>(address.data())->sin_addr), 4};
  }
  if (address.family() != AF_INET6) return {};
  const auto* const octets = reinterpret_cast<const sockaddr_in6*>(address.data())->sin6_addr.s6_addr;
  if (std::memcmp(octets, kMappedPrefix, sizeof kMappedPrefix) == 0) return {octets + sizeof kMappedPrefix, 4};
  return {octets, 16};
}

// The first `bits` of an octet.
uint8_t mask_of(uint32_t bits) noexcept {
  return static_cast<uint8_t>(0xff00u >> bits);
}

std::optional<uint8_t> parse_prefix_bits(std::string_view text, uint8_t most) noexcept {
  unsigned bits = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), bits);
  if (status != std::errc{} || end != text.data() + text.size() || bits > most) return std::nullopt;
  return static_cast<uint8_t>(bits);
}

}  // namespace

std::expected<Network, std::string> Network::parse(std::string_view text) {
  // inet_pton() ends a text at its first zero byte.
  if (text.find('\0') != std::string_view::npos)
    return refuse_network(text.substr(0, text.find('\0')), "a zero byte follows");
  const size_t slash = text.find('/');
  const std::string host(text.substr(0, slash));
  Network network;
  if (inet_pton(AF_INET, host.c_str(), network.octets_.data()) == 1) {
    network.size_ = 4;
  } else if (inet_pton(AF_INET6, host.c_str(), network.octets_.data()) == 1) {
    network.size_ = 16;
  } else {
    return refuse_network(text, fmt::format("'{}' is not an IP address", host));
  }
  const auto most = static_cast<uint8_t>(8 * network.size_);
  network.prefix_bits_ = most;
  if (slash != std::string_view::npos) {
    const auto bits = parse_prefix_bits(text.substr(slash + 1), most);
    if (!bits)
      return refuse_network(text, fmt::format("'{}' is not a length from 0 to {}", text.substr(slash + 1), most));
    network.prefix_bits_ = *bits;
  }
  Network masked = network;
  for (uint32_t i = 0; i < network.size_; ++i) {
    const auto bits = static_cast<uint32_t>(std::clamp<int>(network.prefix_bits_ - static_cast<int>(8 * i), 0, 8));
    masked.octets_[i] &= mask_of(bits);
  }
  if (masked != network) {
    return refuse_network(
        text, fmt::format("bits are set behind the first {}, '{}' has none", network.prefix_bits_, masked.text()));
  }
  if (network.prefix_bits_ >= kMappedBits &&
      std::equal(kMappedPrefix, std::end(kMappedPrefix), network.octets_.begin()) && network.size_ == 16) {
    Network v4;
    std::copy_n(network.octets_.begin() + sizeof kMappedPrefix, 4, v4.octets_.begin());
    v4.size_ = 4;
    v4.prefix_bits_ = static_cast<uint8_t>(network.prefix_bits_ - kMappedBits);
    return v4;
  }
  return network;
}

bool Network::holds(const Address& address) const noexcept {
  const std::span<const uint8_t> octets = octets_of(address);
  if (octets.size() != size_ || octets.empty()) return false;
  const uint32_t whole = prefix_bits_ / 8;
  if (std::memcmp(octets.data(), octets_.data(), whole) != 0) return false;
  const uint32_t rest = prefix_bits_ % 8;
  return rest == 0 || (octets[whole] & mask_of(rest)) == octets_[whole];
}

std::string Network::text() const {
  char host[INET6_ADDRSTRLEN] = {};
  inet_ntop(size_ == 4 ? AF_INET : AF_INET6, octets_.data(), host, sizeof host);
  return fmt::format("{}/{}", host, prefix_bits_);
}

Source source_of(const Address& peer) noexcept {
  constexpr size_t kOwnOctets = 8;  // of an IPv6 address: the /64
  Source source{};
  const std::span<const uint8_t> octets = octets_of(peer);
  if (octets.size() == 4) {
    std::ranges::copy(kMappedPrefix, source.begin());
    std::ranges::copy(octets, source.begin() + sizeof kMappedPrefix);
  } else if (!octets.empty()) {
    std::ranges::copy(octets.first(kOwnOctets), source.begin());
  }
  return source;
}

bool any_holds(std::span<const Network> networks, const Address& address) noexcept {
  return std::ranges::any_of(networks, [&](const Network& network) { return network.holds(address); });
}

}  // namespace ringway::io
