// The request octets that a call keeps until it is certain that they need not be sent again. A small message lies in
// the exchange itself, a larger one in a block of the shard's pool.
#pragma once

#include <cstdint>
#include <span>
#include <utility>

#include "base/block_pool.h"
#include "base/byte_queue.h"
#include "base/copy.h"

namespace ringway::proxy {

// What the calls of one shard keep in blocks, and how much that may be.
struct ReplayStore {
  base::BlockPool& blocks;
  uint64_t bytes_max;
  uint64_t bytes = 0;

  bool is_over() const noexcept { return bytes > bytes_max; }
};

class ReplayBody {
 public:
  ReplayBody() noexcept {}  // NOLINT(modernize-use-equals-default): the octets stay as they are

  bool is_empty() const noexcept { return size() == 0; }
  uint32_t size() const noexcept { return small_size_ + large_.size(); }
  std::span<const uint8_t> bytes() const noexcept {
    return small_size_ != 0 ? std::span<const uint8_t>(small_, small_size_) : large_.bytes();
  }

  bool is_in_block() const noexcept { return !large_.is_empty(); }

  // For a call that has its request nowhere else.
  void append(ReplayStore& store, std::span<const uint8_t> octets) {
    if (!append_small(octets)) append_large(store, octets);
  }
  // False, and nothing is kept, where the store has no room.
  [[gnu::always_inline]] bool try_append(ReplayStore& store, std::span<const uint8_t> octets) {
    return append_small(octets) || try_append_large(store, octets);
  }

  void release(ReplayStore& store) noexcept {
    small_size_ = 0;
    if (large_.capacity() == 0) [[likely]]
      return;
    store.bytes -= large_.size();
    large_.release(store.blocks);
  }

 private:
  static constexpr uint32_t kSmallMax = 64;

  [[gnu::always_inline]] bool append_small(std::span<const uint8_t> octets) noexcept {
    // An invariant that the compiler's warnings of overflow need.
    if (small_size_ > kSmallMax) std::unreachable();
    if (!large_.is_empty() || octets.size() > kSmallMax - small_size_) [[unlikely]]
      return false;
    base::copy_bytes(small_ + small_size_, octets.data(), octets.size());
    small_size_ += static_cast<uint32_t>(octets.size());
    return true;
  }

  [[gnu::noinline]] void append_large(ReplayStore& store, std::span<const uint8_t> octets) {
    store.bytes += small_size_ + octets.size();
    if (small_size_ != 0) large_.append(store.blocks, {small_, small_size_});
    small_size_ = 0;
    large_.append(store.blocks, octets);
  }

  [[gnu::noinline]] bool try_append_large(ReplayStore& store, std::span<const uint8_t> octets) {
    if (store.bytes + small_size_ + octets.size() > store.bytes_max) return false;
    append_large(store, octets);
    return true;
  }

  uint32_t small_size_ = 0;
  uint8_t small_[kSmallMax];
  base::ByteQueue large_;
};

}  // namespace ringway::proxy
