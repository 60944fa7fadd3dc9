// A bounded ring of bytes between exactly one writer thread and one reader thread, for whole lines of text: a line is
// there completely or not at all, and a line that finds no room is dropped and counted. The writer never waits.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>

#include "base/assert.h"

namespace ringway::base {

class ByteRing {
 public:
  // What is readable, in order; the second part is what lies behind the ring's seam and is often empty.
  struct Readable {
    std::span<const char> first;
    std::span<const char> second;
    size_t size() const noexcept { return first.size() + second.size(); }
  };

  // `capacity` is a power of two. The memory is taken now and never again.
  explicit ByteRing(size_t capacity) : mask_(capacity - 1), bytes_(std::make_unique_for_overwrite<char[]>(capacity)) {
    ASSERT(capacity != 0 && (capacity & mask_) == 0);
  }

  // Writer thread only. False: there is no room for all of `line`; nothing was written and the drop is counted.
  bool try_append(std::span<const char> line) noexcept {
    const size_t tail = tail_.load(std::memory_order_relaxed);
    if (line.size() > capacity() - (tail - head_seen_)) {
      // The reader's index is looked at only when the ring seems full: its cache line stays with the reader.
      head_seen_ = head_.load(std::memory_order_acquire);
      if (line.size() > capacity() - (tail - head_seen_)) {
        dropped_count_.store(dropped_count_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
        return false;
      }
    }
    const size_t start = tail & mask_;
    const size_t before_seam = line.size() < capacity() - start ? line.size() : capacity() - start;
    if (before_seam != 0) std::memcpy(bytes_.get() + start, line.data(), before_seam);
    if (before_seam != line.size()) std::memcpy(bytes_.get(), line.data() + before_seam, line.size() - before_seam);
    tail_.store(tail + line.size(), std::memory_order_release);
    return true;
  }

  // Writer thread only: is more than half of the ring waiting, as far as the writer has seen?
  bool is_past_half() noexcept {
    const size_t tail = tail_.load(std::memory_order_relaxed);
    if (tail - head_seen_ <= capacity() / 2) return false;
    head_seen_ = head_.load(std::memory_order_acquire);
    return tail - head_seen_ > capacity() / 2;
  }

  // Reader thread only. The bytes stay in place until consume().
  Readable readable() const noexcept {
    const size_t head = head_.load(std::memory_order_relaxed);
    const size_t size = tail_.load(std::memory_order_acquire) - head;
    const size_t start = head & mask_;
    const size_t before_seam = size < capacity() - start ? size : capacity() - start;
    return {{bytes_.get() + start, before_seam}, {bytes_.get(), size - before_seam}};
  }

  // Reader thread only; at most what readable() showed.
  void consume(size_t size) noexcept {
    const size_t head = head_.load(std::memory_order_relaxed);
    ASSERT(size <= tail_.load(std::memory_order_relaxed) - head);
    head_.store(head + size, std::memory_order_release);
  }

  bool is_empty() const noexcept {
    return head_.load(std::memory_order_acquire) == tail_.load(std::memory_order_acquire);
  }

  // Lines that found no room, from the start. Any thread.
  uint64_t dropped_count() const noexcept { return dropped_count_.load(std::memory_order_relaxed); }
  size_t capacity() const noexcept { return mask_ + 1; }

 private:
  // The reader's and the writer's words live on cache lines of their own. Indexes run on; the mask finds the place.
  alignas(64) std::atomic<size_t> head_{0};
  alignas(64) std::atomic<size_t> tail_{0};
  size_t head_seen_ = 0;
  std::atomic<uint64_t> dropped_count_{0};
  alignas(64) size_t mask_;
  std::unique_ptr<char[]> bytes_;
};

}  // namespace ringway::base
