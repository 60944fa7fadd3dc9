// The shard's provided receive buffers (io_uring_setup_buf_ring, Linux 5.19): the kernel picks one when bytes are
// there, so that idle connections hold none. A buffer belongs to the owner from its completion until recycle().
#pragma once

#include <cstdint>
#include <expected>
#include <span>
#include <string>

struct io_uring;
struct io_uring_buf_ring;

namespace ringway::io {

class Ring;

class BufferRing {
 public:
  // `count` is a power of two up to 32,768. The ring may move but must outlive this. The error names what the kernel
  // refused.
  static std::expected<BufferRing, std::string> create(Ring& ring, uint16_t group, uint32_t count,
                                                       uint32_t buffer_size);
  BufferRing(BufferRing&& other) noexcept;
  BufferRing& operator=(BufferRing&&) = delete;
  ~BufferRing();

  // The first `size` bytes of a buffer that a completion named.
  std::span<const uint8_t> bytes(uint16_t buffer, size_t size) const noexcept {
    return {memory_ + size_t{buffer} * buffer_size_, size};
  }

  // … to be written over.
  std::span<uint8_t> mutable_bytes(uint16_t buffer, size_t size) noexcept {
    return {memory_ + size_t{buffer} * buffer_size_, size};
  }

  // Gives a buffer back; the kernel sees it after publish().
  void recycle(uint16_t buffer) noexcept;
  void publish() noexcept;

  uint16_t group() const noexcept { return group_; }
  uint32_t count() const noexcept { return count_; }
  uint32_t buffer_size() const noexcept { return buffer_size_; }

 private:
  BufferRing(io_uring* ring, uint16_t group, uint32_t count, uint32_t buffer_size) noexcept
      : ring_(ring), group_(group), count_(count), buffer_size_(buffer_size) {}

  io_uring* ring_;
  io_uring_buf_ring* entries_ = nullptr;
  uint8_t* memory_ = nullptr;
  uint16_t group_;
  uint32_t count_;
  uint32_t buffer_size_;
  int unpublished_ = 0;
};

}  // namespace ringway::io
