// A bounded queue between exactly one producer thread and one consumer thread; the only way control crosses threads.
// try_push fails when full: the producer decides what that means, it never blocks.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>
#include <utility>

#include "base/assert.h"

namespace ringway::base {

template <typename T>
class SpscQueue {
 public:
  // `capacity` is a power of two.
  explicit SpscQueue(size_t capacity) : mask_(capacity - 1), cells_(std::make_unique<T[]>(capacity)) {
    ASSERT(capacity != 0 && (capacity & mask_) == 0);
  }

  // Producer thread only.
  bool try_push(T value) noexcept {
    const size_t tail = tail_.load(std::memory_order_relaxed);
    if (tail - head_.load(std::memory_order_acquire) > mask_) return false;
    cells_[tail & mask_] = std::move(value);
    tail_.store(tail + 1, std::memory_order_release);
    return true;
  }

  // Consumer thread only.
  std::optional<T> try_pop() noexcept {
    const size_t head = head_.load(std::memory_order_relaxed);
    if (head == tail_.load(std::memory_order_acquire)) return std::nullopt;
    std::optional<T> value(std::move(cells_[head & mask_]));
    head_.store(head + 1, std::memory_order_release);
    return value;
  }

  bool is_empty() const noexcept {
    return head_.load(std::memory_order_acquire) == tail_.load(std::memory_order_acquire);
  }

 private:
  // The producer's and the consumer's index live on cache lines of their own.
  alignas(64) std::atomic<size_t> head_{0};
  alignas(64) std::atomic<size_t> tail_{0};
  alignas(64) size_t mask_;
  std::unique_ptr<T[]> cells_;
};

}  // namespace ringway::base
