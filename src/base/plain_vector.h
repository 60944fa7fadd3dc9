// A vector of trivial elements for the scratch lists of the hot path: growing does not construct, add() gives an
// element whose members the caller sets. One thread.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <type_traits>

#include "base/assert.h"

namespace ringway::base {

template <typename T>
class PlainVector {
  static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);

 public:
  PlainVector() noexcept = default;
  PlainVector(const PlainVector&) = delete;
  PlainVector& operator=(const PlainVector&) = delete;
  ~PlainVector() { std::free(elements_); }

  // Room for `count` more, so that as many add_reserved() need no check.
  void reserve_more(uint32_t count) {
    if (capacity_ - size_ < count) [[unlikely]]
      grow(size_ + count);
  }
  T& add_reserved() noexcept { return elements_[size_++]; }

  // An element with indeterminate members.
  [[gnu::always_inline]] T& add() {
    if (size_ == capacity_) [[unlikely]]
      grow(size_ + 1);
    return elements_[size_++];
  }
  void push_back(const T& element) { add() = element; }

  void pop_back() noexcept { --size_; }
  void clear() noexcept { size_ = 0; }
  void shrink_to(uint32_t size) noexcept { size_ = size; }

  bool empty() const noexcept { return size_ == 0; }
  uint32_t size() const noexcept { return size_; }
  T* data() noexcept { return elements_; }
  const T* data() const noexcept { return elements_; }
  T* begin() noexcept { return elements_; }
  T* end() noexcept { return elements_ + size_; }
  const T* begin() const noexcept { return elements_; }
  const T* end() const noexcept { return elements_ + size_; }
  T& operator[](uint32_t index) noexcept { return elements_[index]; }
  const T& operator[](uint32_t index) const noexcept { return elements_[index]; }
  const T& at(uint32_t index) const noexcept {
    ASSERT(index < size_);
    return elements_[index];
  }
  T& back() noexcept { return elements_[size_ - 1]; }

 private:
  [[gnu::noinline, gnu::cold]] void grow(uint32_t wanted) {
    uint32_t capacity = capacity_ == 0 ? 64 : capacity_;
    while (capacity < wanted) capacity *= 2;
    void* grown = std::realloc(static_cast<void*>(elements_), capacity * sizeof(T));
    ASSERT(grown != nullptr);
    elements_ = static_cast<T*>(grown);
    capacity_ = capacity;
  }

  T* elements_ = nullptr;
  uint32_t size_ = 0;
  uint32_t capacity_ = 0;
};

}  // namespace ringway::base
