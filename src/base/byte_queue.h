// Bytes in, bytes out, contiguous: what waits to be sent, or what has arrived of a frame. Holds no memory while empty;
// takes blocks from the shard's pool and gives them back. One thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>
#include <utility>

#include "base/assert.h"
#include "base/block_pool.h"
#include "base/copy.h"

namespace ringway::base {

class ByteQueue {
 public:
  ByteQueue() noexcept = default;
  ByteQueue(ByteQueue&& other) noexcept
      : block_(std::exchange(other.block_, nullptr)),
        capacity_(std::exchange(other.capacity_, 0)),
        head_(std::exchange(other.head_, 0)),
        tail_(std::exchange(other.tail_, 0)) {}
  // Into an empty queue only.
  ByteQueue& operator=(ByteQueue&& other) noexcept {
    ASSERT(block_ == nullptr);
    swap(other);
    return *this;
  }
  // The owner releases first: a queue does not know its pool, which would cost every stream a pointer.
  ~ByteQueue() { ASSERT(block_ == nullptr); }

  bool is_empty() const noexcept { return head_ == tail_; }
  uint32_t size() const noexcept { return tail_ - head_; }
  uint32_t capacity() const noexcept { return capacity_; }
  const uint8_t* data() const noexcept { return block_ + head_; }
  uint8_t* mutable_data() noexcept { return block_ + head_; }
  std::span<const uint8_t> bytes() const noexcept { return {block_ + head_, size()}; }

  // Room for `size` more bytes at the returned address; append by commit(). The address holds until the next call that
  // is not const.
  uint8_t* reserve(BlockPool& pool, uint32_t size) {
    if (capacity_ - tail_ < size) [[unlikely]]
      make_room(pool, size);
    return block_ + tail_;
  }
  // How much room there is at the address that reserve() has given.
  uint32_t room() const noexcept { return capacity_ - tail_; }
  void commit(uint32_t size) noexcept {
    ASSERT(size <= capacity_ - tail_);
    tail_ += size;
  }

  void append(BlockPool& pool, std::span<const uint8_t> bytes) {
    if (bytes.empty()) return;
    copy_bytes(reserve(pool, static_cast<uint32_t>(bytes.size())), bytes.data(), bytes.size());
    tail_ += static_cast<uint32_t>(bytes.size());
  }

  // Drops `size` bytes from the front; an emptied queue gives its block back.
  void consume(BlockPool& pool, uint32_t size) noexcept {
    ASSERT(size <= this->size());
    head_ += size;
    if (head_ == tail_) release(pool);
  }

  void release(BlockPool& pool) noexcept {
    if (block_ == nullptr) return;
    pool.give(block_, capacity_);
    block_ = nullptr;
    capacity_ = head_ = tail_ = 0;
  }

  // Exchanges the bytes. Each queue then expects to hold as many again as it gave away lately.
  void swap(ByteQueue& other) noexcept {
    expect(size());
    other.expect(other.size());
    std::swap(block_, other.block_);
    std::swap(capacity_, other.capacity_);
    std::swap(head_, other.head_);
    std::swap(tail_, other.tail_);
  }

 private:
  void expect(uint32_t size) noexcept { expected_ = std::min(std::max(size, expected_ - expected_ / 8), kExpectedMax); }
  [[gnu::noinline]] void make_room(BlockPool& pool, uint32_t size) {
    const uint32_t used = this->size();
    if (block_ != nullptr && capacity_ - used >= size && head_ >= used) {
      std::memcpy(block_, block_ + head_, used);
    } else {
      size_t capacity = 0;
      uint8_t* block = pool.take(std::max(size_t{used} + size, size_t{expected_}), capacity);
      if (used != 0) std::memcpy(block, block_ + head_, used);
      if (block_ != nullptr) pool.give(block_, capacity_);
      block_ = block;
      capacity_ = static_cast<uint32_t>(capacity);
    }
    head_ = 0;
    tail_ = used;
  }

  uint8_t* block_ = nullptr;
  uint32_t capacity_ = 0;
  uint32_t head_ = 0;
  uint32_t tail_ = 0;
  // What it held before, so that it does not grow step by step each time.
  static constexpr uint32_t kExpectedMax = 256 * 1024;
  uint32_t expected_ = 0;
};

}  // namespace ringway::base
