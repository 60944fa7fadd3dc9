#include "base/block_pool.h"

#include <bit>
#include <cstdlib>
#include <new>

#include "base/assert.h"

namespace ringway::base {
namespace {

// What is kept beyond this many bytes a class goes back to the allocator, so that a burst does not stay resident.
constexpr size_t kKeptBytesPerClass = 4u << 20;

}  // namespace

BlockPool::~BlockPool() {
  for (Free*& list : free_) {
    while (list != nullptr) {
      Free* next = list->next;
      std::free(list);
      list = next;
    }
  }
}

uint32_t BlockPool::class_of(size_t size) noexcept {
  if (size <= kSmallest) return 0;
  return static_cast<uint32_t>(std::bit_width(size - 1)) - static_cast<uint32_t>(std::bit_width(kSmallest - 1));
}

uint8_t* BlockPool::take(size_t size, size_t& capacity) {
  const uint32_t index = class_of(size);
  ASSERT(index < kClasses);
  capacity = kSmallest << index;
  bytes_in_use_ += capacity;
  if (Free* block = free_[index]) {
    free_[index] = block->next;
    --free_count_[index];
    return reinterpret_cast<uint8_t*>(block);
  }
  bytes_reserved_ += capacity;
  void* fresh = std::malloc(capacity);
  ASSERT(fresh != nullptr);
  return static_cast<uint8_t*>(fresh);
}

void BlockPool::give(uint8_t* block, size_t capacity) noexcept {
  const uint32_t index = class_of(capacity);
  bytes_in_use_ -= capacity;
  if (size_t{free_count_[index]} * capacity >= kKeptBytesPerClass) {
    bytes_reserved_ -= capacity;
    std::free(block);
    return;
  }
  free_[index] = new (block) Free{free_[index]};
  ++free_count_[index];
}

}  // namespace ringway::base
