// The request octets that a call keeps until it is certain that they need not be sent again. A small message lies in
// the exchange itself, a larger one in a block of the shard's pool.
#pragma once

#include <cstdint>
#include <span>

#include "base/block_pool.h"
#include "base/byte_queue.h"
#include "base/copy.h"

namespace ringway::proxy {

class ReplayBody {
 public:
  ReplayBody() noexcept {}  // NOLINT(modernize-use-equals-default): the octets stay as they are

  bool is_empty() const noexcept { return size() == 0; }
  uint32_t size() const noexcept { return small_size_ + large_.size(); }
  std::span<const uint8_t> bytes() const noexcept {
    return small_size_ != 0 ? std::span<const uint8_t>(small_, small_size_) : large_.bytes();
  }

  [[gnu::always_inline]] void append(base::BlockPool& pool, std::span<const uint8_t> octets) {
    if (large_.is_empty() && octets.size() <= kSmallMax - small_size_) [[likely]] {
      base::copy_bytes(small_ + small_size_, octets.data(), octets.size());
      small_size_ += static_cast<uint32_t>(octets.size());
    } else {
      append_large(pool, octets);
    }
  }

  void release(base::BlockPool& pool) noexcept {
    small_size_ = 0;
    large_.release(pool);
  }

 private:
  static constexpr uint32_t kSmallMax = 64;

  [[gnu::noinline]] void append_large(base::BlockPool& pool, std::span<const uint8_t> octets) {
    if (small_size_ != 0) large_.append(pool, {small_, small_size_});
    small_size_ = 0;
    large_.append(pool, octets);
  }

  uint32_t small_size_ = 0;
  uint8_t small_[kSmallMax];
  base::ByteQueue large_;
};

}  // namespace ringway::proxy
