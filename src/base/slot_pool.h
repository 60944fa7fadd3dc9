// Fixed-address storage for objects that are named by {index, generation}: a handle kept past its object's life
// resolves to null instead of to the next tenant. Grows by chunks and never shrinks, so that steady state allocates
// nothing. Owned by one shard; one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "base/assert.h"

namespace ringway::base {

// Names an object of a SlotPool<T>. Generation 0 is never alive: a default handle resolves to null.
template <typename T>
struct Handle {
  uint32_t index = 0;
  uint32_t generation = 0;

  explicit operator bool() const noexcept { return generation != 0; }
  bool operator==(const Handle&) const = default;
};

// Names an object like a handle does, by its address: resolving takes one load. For what is kept no longer than a turn.
template <typename T>
struct Reference {
  T* object = nullptr;
  uint64_t generation = 0;  // so wide that there is no padding to clear

  explicit operator bool() const noexcept { return object != nullptr; }
};

template <typename T>
class SlotPool {
 public:
  // At most `capacity` objects live at once; create() answers null beyond it.
  explicit SlotPool(uint32_t capacity) : capacity_(capacity) {}
  SlotPool(const SlotPool&) = delete;
  SlotPool& operator=(const SlotPool&) = delete;

  ~SlotPool() {
    for (uint32_t index = 0; index < slot_count_; ++index) {
      if (slot(index).generation & 1) object(slot(index))->~T();
    }
  }

  // Makes an object in a free slot; null when `capacity` are alive.
  template <typename... Arguments>
  [[gnu::always_inline]] T* create(Arguments&&... arguments) {
    if (free_head_ == nullptr && !grow()) [[unlikely]]
      return nullptr;
    Slot& free = *free_head_;
    free_head_ = free.next_free;
    // Odd generations are alive. Wrap-around after 2^31 reuses of one slot is out of reach of a stale handle.
    ++free.generation;
    ++live_count_;
    return new (free.storage) T(std::forward<Arguments>(arguments)...);
  }

  void destroy(T& object_to_destroy) noexcept {
    Slot& dying = slot_of(object_to_destroy);
    ASSERT(dying.generation & 1);
    object_to_destroy.~T();
    ++dying.generation;
    dying.next_free = free_head_;
    free_head_ = &dying;
    --live_count_;
  }

  Handle<T> handle(const T& object_of_pool) const noexcept {
    const Slot& named = slot_of(object_of_pool);
    return {named.index, named.generation};
  }

  Reference<T> reference(T& object_of_pool) const noexcept {
    return {&object_of_pool, slot_of(object_of_pool).generation};
  }

  // Null when the object has died since.
  T* find(Reference<T> reference) const noexcept {
    if (reference.object == nullptr || slot_of(*reference.object).generation != reference.generation) return nullptr;
    return reference.object;
  }

  T* find(Handle<T> handle) noexcept {
    // A default handle has a generation that nothing alive has.
    if ((handle.generation & 1) == 0 || handle.index >= slot_count_) return nullptr;
    Slot& named = slot(handle.index);
    return named.generation == handle.generation ? object(named) : nullptr;
  }

  // The live object at `index`, for owners that keep indexes no longer than the object lives.
  T& at(uint32_t index) noexcept {
    Slot& named = slot(index);
    ASSERT(named.generation & 1);
    return *object(named);
  }

  uint32_t live_count() const noexcept { return live_count_; }
  uint32_t capacity() const noexcept { return capacity_; }
  size_t reserved_bytes() const noexcept { return chunks_.size() * kChunkSlots * sizeof(Slot); }

  // Visits the live objects; the visited one may be destroyed by the visit.
  template <typename Visit>
  void for_each(Visit&& visit) {
    for (uint32_t index = 0; index < slot_count_; ++index) {
      if (slot(index).generation & 1) visit(*object(slot(index)));
    }
  }

 private:
  static constexpr uint32_t kChunkSlots = 64;

  struct Slot {
    alignas(T) unsigned char storage[sizeof(T)];
    uint32_t index;
    uint32_t generation;
    Slot* next_free;
  };

  static T* object(Slot& of) noexcept { return std::launder(reinterpret_cast<T*>(of.storage)); }
  // The object is the first member of its slot.
  static Slot& slot_of(T& of) noexcept { return *reinterpret_cast<Slot*>(&of); }
  static const Slot& slot_of(const T& of) noexcept { return *reinterpret_cast<const Slot*>(&of); }
  Slot& slot(uint32_t index) noexcept { return chunks_.data()[index / kChunkSlots].get()[index % kChunkSlots]; }

  [[gnu::noinline]] bool grow() {
    if (slot_count_ >= capacity_) return false;
    chunks_.push_back(std::make_unique_for_overwrite<Slot[]>(kChunkSlots));
    const uint32_t end = slot_count_ + kChunkSlots < capacity_ ? slot_count_ + kChunkSlots : capacity_;
    // Linked so that low indexes are handed out first.
    for (uint32_t index = end; index-- > slot_count_;) {
      Slot& fresh = chunks_.back()[index % kChunkSlots];
      fresh.index = index;
      fresh.generation = 0;
      fresh.next_free = free_head_;
      free_head_ = &fresh;
    }
    slot_count_ = end;
    return true;
  }

  std::vector<std::unique_ptr<Slot[]>> chunks_;
  uint32_t capacity_;
  uint32_t slot_count_ = 0;
  uint32_t live_count_ = 0;
  Slot* free_head_ = nullptr;
};

}  // namespace ringway::base
