// What clients have left of limits.early_resets when they go is what they come back with: who connects anew for each
// burst of resets has no more of them than who stays. By address (of IPv6, one /64), of one shard.
//
// A few hundred addresses, whatever comes: a new one takes the place of another, which then begins afresh. What an
// address has used up costs its next connection no more than their burst (h2::Connection::inherit_early_resets), so
// that clients who share it with an attacker stay connected.
#pragma once

#include <netinet/in.h>

#include <array>
#include <cstdint>
#include <cstring>

#include "h2/limits.h"
#include "io/address.h"

namespace ringway::proxy {

class ResetAccounts {
 public:
  void leave(const io::Address& peer, h2::Allowance left, uint64_t now_ns) noexcept {
    const uint64_t source = source_of(peer);
    if (source == 0 || left.is_whole(now_ns)) return;
    Entry& entry = entries_[place_of(source)];
    if (entry.source != source || left.has_less_than(entry.left)) entry = {source, left};
  }

  // Whole for an address that is not known.
  h2::Allowance come_back(const io::Address& peer) const noexcept {
    const uint64_t source = source_of(peer);
    const Entry& entry = entries_[place_of(source)];
    return source != 0 && entry.source == source ? entry.left : h2::Allowance();
  }

 private:
  static constexpr size_t kPlaces = 256;
  struct Entry {
    uint64_t source = 0;  // 0: free
    h2::Allowance left;
  };

  // The network part of an IPv6 address, or an IPv4 address, which begins no such part; 0 for a Unix socket, whose
  // clients cannot be told apart.
  static uint64_t source_of(const io::Address& peer) noexcept {
    if (peer.family() == AF_INET) return reinterpret_cast<const sockaddr_in*>(peer.data())->sin_addr.s_addr;
    if (peer.family() != AF_INET6) return 0;
    const in6_addr& address = reinterpret_cast<const sockaddr_in6*>(peer.data())->sin6_addr;
    uint64_t source = 0;
    const bool is_mapped = IN6_IS_ADDR_V4MAPPED(&address);
    std::memcpy(&source, address.s6_addr + (is_mapped ? 12 : 0), is_mapped ? 4 : 8);
    return source;
  }
  static size_t place_of(uint64_t source) noexcept {
    static_assert(kPlaces == 1u << 8);
    return (source * 0x9e3779b97f4a7c15) >> 56;
  }

  std::array<Entry, kPlaces> entries_;
};

}  // namespace ringway::proxy
