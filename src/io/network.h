// A network of source addresses, as lists of them in the configuration write it: 10.0.0.0/8, fd00::/8, 192.0.2.7.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <string_view>

#include "io/address.h"

namespace ringway::io {

// A value. IPv4 addresses that arrive on an IPv6 socket (::ffff:10.0.0.1) are IPv4 here, in networks as in addresses;
// no IPv6 network holds an IPv4 address.
class Network {
 public:
  Network() noexcept = default;

  // An address, alone or with the length of its prefix; behind the prefix no bit may be set. The error is a sentence
  // that names `text` and what is allowed.
  static std::expected<Network, std::string> parse(std::string_view text);

  // Unix sockets are in no network.
  bool holds(const Address& address) const noexcept;

  std::string text() const;  // as parse() reads it, always with the length
  bool operator==(const Network& other) const noexcept = default;

 private:
  std::array<uint8_t, 16> octets_{};
  uint8_t size_ = 0;  // of the address: 4 or 16; 0: holds nothing
  uint8_t prefix_bits_ = 0;
};

// An IPv4 address, or the /64 of an IPv6 one, which is what one client may call its own; as an IPv6 address.
using Source = std::array<uint8_t, 16>;

// All zero for a Unix socket, whose clients have no addresses to tell them apart.
Source source_of(const Address& peer) noexcept;

bool any_holds(std::span<const Network> networks, const Address& address) noexcept;

}  // namespace ringway::io
