#include "io/buffer_ring.h"

#include <fmt/format.h>
#include <liburing.h>
#include <sys/mman.h>

#include <utility>

#include "io/error.h"
#include "io/ring.h"

namespace ringway::io {

std::expected<BufferRing, std::string> BufferRing::create(Ring& ring, uint16_t group, uint32_t count,
                                                          uint32_t buffer_size) {
  BufferRing made(ring.native(), group, count, buffer_size);
  void* memory = mmap(nullptr, size_t{count} * buffer_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    return std::unexpected(fmt::format("no memory for {} receive buffers of {} bytes", count, buffer_size));
  }
  made.memory_ = static_cast<uint8_t*>(memory);
  int result = 0;
  made.entries_ = io_uring_setup_buf_ring(ring.native(), count, group, 0, &result);
  if (made.entries_ == nullptr) {
    return std::unexpected(
        fmt::format("the kernel refused a ring of {} receive buffers: {}", count, describe(error_from_errno(result))));
  }
  for (uint32_t buffer = 0; buffer < count; ++buffer) made.recycle(static_cast<uint16_t>(buffer));
  made.publish();
  return made;
}

BufferRing::BufferRing(BufferRing&& other) noexcept
    : ring_(other.ring_),
      entries_(std::exchange(other.entries_, nullptr)),
      memory_(std::exchange(other.memory_, nullptr)),
      group_(other.group_),
      count_(other.count_),
      buffer_size_(other.buffer_size_),
      unpublished_(std::exchange(other.unpublished_, 0)) {}

BufferRing::~BufferRing() {
  if (entries_ != nullptr) io_uring_free_buf_ring(ring_, entries_, count_, group_);
  if (memory_ != nullptr) munmap(memory_, size_t{count_} * buffer_size_);
}

void BufferRing::recycle(uint16_t buffer) noexcept {
  io_uring_buf_ring_add(entries_, memory_ + size_t{buffer} * buffer_size_, buffer_size_, buffer,
                        io_uring_buf_ring_mask(count_), unpublished_);
  ++unpublished_;
}

void BufferRing::publish() noexcept {
  if (unpublished_ == 0) return;
  io_uring_buf_ring_advance(entries_, unpublished_);
  unpublished_ = 0;
}

}  // namespace ringway::io
