// The header in which a balancer in front announces whose connection it passes on: the PROXY protocol, versions 1 and 2
// (haproxy.org, proxy-protocol.txt). Pure: octets in, an address out. Senders speak for their clients, so that the port
// is to be protected from everybody else.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "io/address.h"

namespace ringway::proxy {

// Of a whole header. Version 1 is bounded by its definition; of version 2 what ringway takes, address and TLVs.
inline constexpr size_t kProxyHeaderV1Max = 107;
inline constexpr size_t kProxyHeaderV2Max = 16 + 4096;

struct ProxyHeader {
  enum class State : uint8_t {
    kIncomplete,  // more octets are needed
    kAbsent,      // the octets begin something else
    kComplete,
    kMalformed,
  };

  State state = State::kIncomplete;
  // Complete: no address was announced (UNKNOWN, LOCAL, UNSPEC); the connection speaks for itself.
  bool is_local = false;
  uint32_t size = 0;   // of a complete header
  io::Address client;  // that was announced; of a unix socket without its path
  // Malformed: what is wrong, and which part of the octets it is about.
  std::string_view problem;  // static text
  std::span<const uint8_t> culprit;
};

// `octets` are all that has come so far on a connection.
ProxyHeader parse_proxy_header(std::span<const uint8_t> octets) noexcept;

// How many octets behind these can be taken without taking any that is not a header's, or without which it cannot be
// told whether there is one: for connections on which something else reads what follows. 0: a header is whole, or there
// is none. Of twelve octets that are no header's, more than that begins everything that may come instead.
size_t proxy_header_wants(std::span<const uint8_t> octets) noexcept;

// CRC-32C (RFC 3720 appendix B.4), which version 2 may carry over the whole header.
uint32_t crc32c(std::span<const uint8_t> octets) noexcept;

}  // namespace ringway::proxy
