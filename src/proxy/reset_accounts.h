// What clients have left of limits.early_resets when they go is what they come back with: who connects anew for each
// burst of resets has no more of them than who stays. By io::Source, of one shard.
//
// A few hundred addresses, whatever comes: a new one takes the place of another, which then begins afresh. What an
// address has used up costs its next connection no more than their burst (h2::Connection::inherit_early_resets), so
// that clients who share it with an attacker stay connected.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>

#include "h2/limits.h"
#include "io/network.h"

namespace ringway::proxy {

class ResetAccounts {
 public:
  void leave(const io::Address& peer, h2::Allowance left, uint64_t now_ns) noexcept {
    const io::Source source = io::source_of(peer);
    if (source == io::Source{} || left.is_whole(now_ns)) return;
    Entry& entry = entries_[place_of(source)];
    if (entry.source != source || left.has_less_than(entry.left)) entry = {source, left};
  }

  // Whole for an address that is not known.
  h2::Allowance come_back(const io::Address& peer) const noexcept {
    const io::Source source = io::source_of(peer);
    const Entry& entry = entries_[place_of(source)];
    return source != io::Source{} && entry.source == source ? entry.left : h2::Allowance();
  }

 private:
  static constexpr size_t kPlaces = 256;
  struct Entry {
    io::Source source{};  // all zero: free
    h2::Allowance left;
  };

  static size_t place_of(const io::Source& source) noexcept {
    static_assert(kPlaces == 1u << 8);
    uint64_t halves[2];
    std::memcpy(halves, source.data(), sizeof halves);
    return ((halves[0] ^ halves[1]) * 0x9e3779b97f4a7c15) >> 56;
  }

  std::array<Entry, kPlaces> entries_;
};

}  // namespace ringway::proxy
