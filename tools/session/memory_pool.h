// Memory for nghttp2's sessions of one thread. A session makes and frees a handful of small objects per call, and with
// a thousand calls in flight that is more than the C library keeps in its thread cache; here every freed block waits in
// the list of its size for the next call.
#pragma once

#include <nghttp2/nghttp2.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace ringway::session {

// One thread; outlives the sessions that use it.
class MemoryPool {
 public:
  MemoryPool() noexcept;
  MemoryPool(const MemoryPool&) = delete;
  MemoryPool& operator=(const MemoryPool&) = delete;

  nghttp2_mem* allocator() noexcept { return &allocator_; }

 private:
  static constexpr size_t kClass_bytes = 64;
  static constexpr size_t kClassCount = 16;  // larger blocks come from the C library
  static constexpr size_t kChunk_bytes = 256 * 1024;

  // Stands before each block; keeps the block aligned as malloc would.
  struct alignas(16) Header {
    uint32_t class_index;  // kClassCount: from the C library
    uint32_t size;
  };
  struct FreeBlock {
    FreeBlock* next;
  };

  void* take(size_t size) noexcept;
  void give_back(void* block) noexcept;
  void* resize(void* block, size_t size) noexcept;
  void* carve(uint32_t class_index) noexcept;

  std::array<FreeBlock*, kClassCount> free_{};
  std::vector<std::unique_ptr<std::byte[]>> chunks_;
  size_t chunk_left_ = 0;
  nghttp2_mem allocator_;
};

}  // namespace ringway::session
