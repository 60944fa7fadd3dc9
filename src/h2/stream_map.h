// Stream id to stream, for one connection: open addressing, linear probing, ids hash to themselves since they grow by
// two. Holds no memory before the first stream.
#pragma once

#include <cstdint>
#include <memory>

#include "base/assert.h"
#include "h2/stream.h"

namespace ringway::h2 {

class StreamMap {
 public:
  Stream* find(uint32_t id) const noexcept {
    if (count_ == 0) return nullptr;
    for (uint32_t i = home(id);; i = (i + 1) & mask_) {
      if (cells_[i] == nullptr) return nullptr;
      if (cells_[i]->id == id) return cells_[i];
    }
  }

  void insert(Stream& stream) {
    if ((count_ + 1) * 2 > capacity()) grow();
    ++count_;
    uint32_t i = home(stream.id);
    while (cells_[i] != nullptr) i = (i + 1) & mask_;
    cells_[i] = &stream;
  }

  // Closes the gap by shifting back what was displaced, so that there are no tombstones.
  void erase(const Stream& stream) noexcept {
    uint32_t i = home(stream.id);
    while (cells_[i] != &stream) {
      ASSERT(cells_[i] != nullptr);
      i = (i + 1) & mask_;
    }
    --count_;
    for (uint32_t next = (i + 1) & mask_; cells_[next] != nullptr; next = (next + 1) & mask_) {
      const uint32_t wanted = home(cells_[next]->id);
      if (((next - wanted) & mask_) >= ((next - i) & mask_)) {
        cells_[i] = cells_[next];
        i = next;
      }
    }
    cells_[i] = nullptr;
  }

  uint32_t count() const noexcept { return count_; }

  // Visits all; the visit must not insert or erase.
  template <typename Visit>
  void for_each(Visit&& visit) {
    for (uint32_t i = 0; i < capacity(); ++i) {
      if (cells_[i] != nullptr) visit(*cells_[i]);
    }
  }

  // Any stream, null when empty: for emptying the map with erase().
  Stream* any() noexcept {
    for (uint32_t i = 0; i < capacity(); ++i) {
      if (cells_[i] != nullptr) return cells_[i];
    }
    return nullptr;
  }

 private:
  uint32_t capacity() const noexcept { return cells_ ? mask_ + 1 : 0; }
  uint32_t home(uint32_t id) const noexcept { return (id >> 1) & mask_; }

  void grow() {
    const uint32_t old_capacity = capacity();
    auto old = std::move(cells_);
    const uint32_t fresh_capacity = old_capacity == 0 ? 16 : old_capacity * 2;
    cells_ = std::make_unique<Stream*[]>(fresh_capacity);
    mask_ = fresh_capacity - 1;
    for (uint32_t n = 0; n < old_capacity; ++n) {
      if (old[n] == nullptr) continue;
      uint32_t i = home(old[n]->id);
      while (cells_[i] != nullptr) i = (i + 1) & mask_;
      cells_[i] = old[n];
    }
  }

  std::unique_ptr<Stream*[]> cells_;
  uint32_t mask_ = 0;
  uint32_t count_ = 0;
};

}  // namespace ringway::h2
