#include "memory_pool.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

namespace ringway::session {

MemoryPool::MemoryPool() noexcept {
  allocator_.mem_user_data = this;
  allocator_.malloc = [](size_t size, void* pool) { return static_cast<MemoryPool*>(pool)->take(size); };
  allocator_.free = [](void* block, void* pool) { static_cast<MemoryPool*>(pool)->give_back(block); };
  allocator_.realloc = [](void* block, size_t size, void* pool) {
    return static_cast<MemoryPool*>(pool)->resize(block, size);
  };
  allocator_.calloc = [](size_t count, size_t size, void* pool) -> void* {
    size_t bytes = 0;
    if (__builtin_mul_overflow(count, size, &bytes)) return nullptr;
    void* block = static_cast<MemoryPool*>(pool)->take(bytes);
    return block == nullptr ? nullptr : std::memset(block, 0, bytes);
  };
}

void* MemoryPool::take(size_t size) noexcept {
  if (size > UINT32_MAX - sizeof(Header)) return nullptr;
  const size_t class_index = (std::max<size_t>(size, 1) - 1) / kClass_bytes;
  if (class_index >= kClassCount) {
    void* memory = std::malloc(sizeof(Header) + size);
    if (memory == nullptr) return nullptr;
    return new (memory) Header{kClassCount, static_cast<uint32_t>(size)} + 1;
  }
  if (FreeBlock* block = free_[class_index]) {
    free_[class_index] = block->next;
    return block;
  }
  return carve(static_cast<uint32_t>(class_index));
}

void* MemoryPool::carve(uint32_t class_index) noexcept {
  const size_t capacity = (class_index + 1) * kClass_bytes;
  const size_t needed = sizeof(Header) + capacity;
  if (chunk_left_ < needed) {
    try {
      chunks_.push_back(std::make_unique_for_overwrite<std::byte[]>(kChunk_bytes));
    } catch (const std::bad_alloc&) {
      return nullptr;
    }
    chunk_left_ = kChunk_bytes;
  }
  std::byte* memory = chunks_.back().get() + (kChunk_bytes - chunk_left_);
  chunk_left_ -= needed;
  return new (memory) Header{class_index, static_cast<uint32_t>(capacity)} + 1;
}

void MemoryPool::give_back(void* block) noexcept {
  if (block == nullptr) return;
  Header* header = static_cast<Header*>(block) - 1;
  if (header->class_index == kClassCount) {
    std::free(header);
    return;
  }
  FreeBlock*& head = free_[header->class_index];
  head = new (block) FreeBlock{head};
}

void* MemoryPool::resize(void* block, size_t size) noexcept {
  if (block == nullptr) return take(size);
  const size_t held = (static_cast<Header*>(block) - 1)->size;
  if (size <= held) return block;
  void* larger = take(size);
  if (larger == nullptr) return nullptr;
  std::memcpy(larger, block, held);
  give_back(block);
  return larger;
}

}  // namespace ringway::session
