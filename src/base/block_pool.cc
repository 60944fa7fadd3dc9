#include "base/block_pool.h"

#include <cstdlib>

#include "base/assert.h"

namespace ringway::base {

BlockPool::~BlockPool() {
  for (Free*& list : free_) {
    while (list != nullptr) {
      Free* next = list->next;
      std::free(list);
      list = next;
    }
  }
}

uint8_t* BlockPool::allocate(uint32_t index) {
  ASSERT(index < kClasses);
  const size_t capacity = kSmallest << index;
  bytes_in_use_ += capacity;
  bytes_reserved_ += capacity;
  void* fresh = std::malloc(capacity);
  ASSERT(fresh != nullptr);
  return static_cast<uint8_t*>(fresh);
}

void BlockPool::deallocate(uint8_t* block, size_t capacity) noexcept {
  bytes_reserved_ -= capacity;
  std::free(block);
}

}  // namespace ringway::base
