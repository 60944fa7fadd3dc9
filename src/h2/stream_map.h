// Stream id to stream, for one connection: open addressing with Robin Hood probing; ids hash to themselves since they
// grow by two. Holds no memory before the first stream.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>

#include "base/assert.h"
#include "h2/stream.h"

namespace ringway::h2 {

class StreamMap {
 public:
  Stream* find(uint32_t id) const noexcept {
    if (count_ == 0) return nullptr;
    Stream* const* const cells = cells_.get();
    for (uint32_t i = home(id);; i = (i + 1) & mask_) {
      Stream* const stream = cells[i];
      if (stream == nullptr || stream->id == id) return stream;
    }
  }

  void insert(Stream& stream) {
    if (count_ == grow_at_) [[unlikely]]
      grow();
    ++count_;
    place(&stream);
  }

  // Closes the gap by shifting back what was displaced, so that there are no tombstones. Ids that follow each other are
  // all at home, and then there is nothing to shift.
  void erase(const Stream& stream) noexcept {
    Stream** const cells = cells_.get();
    uint32_t i = home(stream.id);
    while (cells[i] != &stream) {
      ASSERT(cells[i] != nullptr);
      i = (i + 1) & mask_;
    }
    --count_;
    for (uint32_t next = (i + 1) & mask_; cells[next] != nullptr && home(cells[next]->id) != next;
         next = (next + 1) & mask_) {
      cells[i] = cells[next];
      i = next;
    }
    cells[i] = nullptr;
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

  // How far the stream in cell `i` is from its home.
  uint32_t distance(uint32_t i) const noexcept { return (i - home(cells_[i]->id)) & mask_; }

  // Who is further from home takes the cell (Robin Hood hashing); this is what lets erase() stop early.
  void place(Stream* stream) noexcept {
    if (Stream*& cell = cells_.get()[home(stream->id)]; cell == nullptr) [[likely]] {
      cell = stream;
      return;
    }
    uint32_t travelled = 0;
    for (uint32_t i = home(stream->id);; i = (i + 1) & mask_, ++travelled) {
      if (cells_[i] == nullptr) {
        cells_[i] = stream;
        return;
      }
      if (const uint32_t other = distance(i); other < travelled) {
        std::swap(stream, cells_[i]);
        travelled = other;
      }
    }
  }

  [[gnu::noinline]] void grow() {
    const uint32_t old_capacity = capacity();
    auto old = std::move(cells_);
    const uint32_t fresh_capacity = old_capacity == 0 ? 16 : old_capacity * 2;
    cells_ = std::make_unique<Stream*[]>(fresh_capacity);
    mask_ = fresh_capacity - 1;
    grow_at_ = fresh_capacity / 2;
    for (uint32_t n = 0; n < old_capacity; ++n) {
      if (old[n] != nullptr) place(old[n]);
    }
  }

  std::unique_ptr<Stream*[]> cells_;
  uint32_t mask_ = 0;
  uint32_t count_ = 0;
  uint32_t grow_at_ = 0;  // half of the cells: probing stays short
};

}  // namespace ringway::h2
