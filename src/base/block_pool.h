// Memory blocks in power-of-two sizes, kept for reuse so that steady state allocates nothing, and counted so that a
// shard knows what its connections hold. Owned by one shard; one thread.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <new>

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
  uint8_t* take(size_t size, size_t& capacity) {
    const uint32_t index = class_of(size);
    capacity = kSmallest << index;
    Free* const block = index < kClasses ? free_[index] : nullptr;
    if (block == nullptr) [[unlikely]]
      return allocate(index);
    bytes_in_use_ += capacity;
    free_[index] = block->next;
    --free_count_[index];
    return reinterpret_cast<uint8_t*>(block);
  }
  void give(uint8_t* block, size_t capacity) noexcept {
    const uint32_t index = class_of(capacity);
    bytes_in_use_ -= capacity;
    if ((size_t{free_count_[index]} + 1) * capacity > kKeptBytesPerClass) [[unlikely]]
      return deallocate(block, capacity);
    free_[index] = new (block) Free{free_[index]};
    ++free_count_[index];
  }

  size_t bytes_in_use() const noexcept { return bytes_in_use_; }
  size_t bytes_reserved() const noexcept { return bytes_reserved_; }

 private:
  struct Free {
    Free* next;
  };

  // What is kept beyond this many bytes a class goes back to the allocator, so that a burst does not stay resident.
  static constexpr size_t kKeptBytesPerClass = 4u << 20;

  static uint32_t class_of(size_t size) noexcept {
    if (size <= kSmallest) return 0;
    return static_cast<uint32_t>(std::bit_width(size - 1)) - static_cast<uint32_t>(std::bit_width(kSmallest - 1));
  }
  uint8_t* allocate(uint32_t index);
  void deallocate(uint8_t* block, size_t capacity) noexcept;

  Free* free_[kClasses] = {};
  uint32_t free_count_[kClasses] = {};
  size_t bytes_in_use_ = 0;
  size_t bytes_reserved_ = 0;
};

}  // namespace ringway::base
