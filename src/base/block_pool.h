// Memory blocks in power-of-two sizes, kept for reuse so that steady state allocates nothing, and counted so that a
// shard knows what its connections hold. Owned by one shard; one thread.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ringway::base {

class BlockPool {
 public:
  static constexpr size_t kSmallest = 512;
  static constexpr uint32_t kClasses = 23;  // 512 B … 2 GiB: the largest window there is

  BlockPool() noexcept = default;
  BlockPool(const BlockPool&) = delete;
  BlockPool& operator=(const BlockPool&) = delete;
  ~BlockPool();

  // A block of at least `size` bytes; `capacity` receives its real size, which give() wants back. Aborts when the
  // process is out of memory: budgets above this decide long before.
  uint8_t* take(size_t size, size_t& capacity);
  void give(uint8_t* block, size_t capacity) noexcept;

  size_t bytes_in_use() const noexcept { return bytes_in_use_; }
  size_t bytes_reserved() const noexcept { return bytes_reserved_; }

 private:
  struct Free {
    Free* next;
  };

  static uint32_t class_of(size_t size) noexcept;

  Free* free_[kClasses] = {};
  uint32_t free_count_[kClasses] = {};
  size_t bytes_in_use_ = 0;
  size_t bytes_reserved_ = 0;
};

}  // namespace ringway::base
