// Bytes in one allocation that grows and is kept: appended at the end, taken from the front. One thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>

namespace ringway::session {

class ByteBuffer {
 public:
  size_t size() const noexcept { return end_ - begin_; }
  bool is_empty() const noexcept { return begin_ == end_; }
  std::span<const uint8_t> bytes() const noexcept { return {memory_.get() + begin_, size()}; }

  // `size` bytes at the end, to be written by the caller before anything else is called.
  uint8_t* extend(size_t size) {
    if (capacity_ - end_ < size) make_room(size);
    uint8_t* place = memory_.get() + end_;
    end_ += size;
    return place;
  }
  uint8_t* at(size_t offset) noexcept { return memory_.get() + begin_ + offset; }
  void append(std::span<const uint8_t> added) {
    if (!added.empty()) std::memcpy(extend(added.size()), added.data(), added.size());
  }
  void take_front(size_t size) noexcept {
    begin_ += size;
    if (begin_ == end_) begin_ = end_ = 0;
  }
  void clear() noexcept { begin_ = end_ = 0; }
  // Gives memory beyond `size_max` back, so that one large message does not stay with a pooled object.
  void shrink_to(size_t size_max) noexcept {
    clear();
    if (capacity_ <= size_max) return;
    memory_.reset();
    capacity_ = 0;
  }

 private:
  void make_room(size_t added) {
    const size_t used = size();
    if (used + added <= capacity_ && begin_ >= used) {
      std::memcpy(memory_.get(), memory_.get() + begin_, used);
    } else {
      const size_t capacity = std::max({size_t{64}, capacity_ * 2, used + added});
      auto memory = std::make_unique_for_overwrite<uint8_t[]>(capacity);
      if (used != 0) std::memcpy(memory.get(), memory_.get() + begin_, used);
      memory_ = std::move(memory);
      capacity_ = capacity;
    }
    begin_ = 0;
    end_ = used;
  }

  std::unique_ptr<uint8_t[]> memory_;
  size_t capacity_ = 0;
  size_t begin_ = 0;
  size_t end_ = 0;
};

}  // namespace ringway::session
