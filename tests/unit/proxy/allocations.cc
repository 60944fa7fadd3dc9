#include "allocations.h"

#include <cstddef>
#include <cstdlib>
#include <new>

// The linker binds calls of malloc to __wrap_malloc, and __real_malloc to the allocator.
extern "C" {
void* __real_malloc(size_t size);
void* __real_calloc(size_t count, size_t size);
void* __real_realloc(void* block, size_t size);
void* __real_aligned_alloc(size_t alignment, size_t size);
void* __wrap_malloc(size_t size);
void* __wrap_calloc(size_t count, size_t size);
void* __wrap_realloc(void* block, size_t size);
void* __wrap_aligned_alloc(size_t alignment, size_t size);
}

namespace {

using ringway::proxy::AllocationScope;

void note() noexcept {
  if (AllocationScope::depth != 0) ++AllocationScope::count;
}

void* checked(void* block) {
  if (block == nullptr) throw std::bad_alloc();
  return block;
}

}  // namespace

void* __wrap_malloc(size_t size) {
  note();
  return __real_malloc(size);
}

void* __wrap_calloc(size_t count, size_t size) {
  note();
  return __real_calloc(count, size);
}

void* __wrap_realloc(void* block, size_t size) {
  note();
  return __real_realloc(block, size);
}

void* __wrap_aligned_alloc(size_t alignment, size_t size) {
  note();
  return __real_aligned_alloc(alignment, size);
}

void* operator new(size_t size) {
  return checked(std::malloc(size == 0 ? 1 : size));
}

void* operator new(size_t size, std::align_val_t alignment) {
  const auto aligned = static_cast<size_t>(alignment);
  return checked(std::aligned_alloc(aligned, (size + aligned - 1) / aligned * aligned));
}

void operator delete(void* block) noexcept {
  std::free(block);
}

void operator delete(void* block, size_t) noexcept {
  std::free(block);
}

void operator delete(void* block, std::align_val_t) noexcept {
  std::free(block);
}

void operator delete(void* block, size_t, std::align_val_t) noexcept {
  std::free(block);
}
