// The header list that an exchange keeps while its request may still have to be sent, or sent again: record handles
// with a reference each, and copies of the literal octets (HPACK bytes cannot be replayed on another connection).
#pragma once

#include <cstdint>
#include <span>

#include "base/assert.h"
#include "h2/field.h"
#include "h2/memory.h"

namespace ringway::proxy {

class HeaderList {
 public:
  HeaderList() noexcept = default;
  HeaderList(const HeaderList&) = delete;
  HeaderList& operator=(const HeaderList&) = delete;
  ~HeaderList() { ASSERT(block_ == nullptr && shared_ == nullptr); }

  // Keeps all fields of a message that is not shared (the message rules have refused connection-specific ones): a
  // reference to what precedes, and one block of memory for all others. `charge` is what its client is charged for it.
  void assign(const h2::Event& event, h2::Memory& memory, uint32_t charge);
  // Keeps a list that is shared already.
  void share(h2::SharedList& list) noexcept {
    h2::BlockCache::retain(list);
    shared_ = &list;
  }
  void release(h2::Memory& memory) noexcept {
    release_shared(memory);
    if (block_ != nullptr) release_own(memory);
  }
  // In two parts, for who has charged somebody: only a list with fields of its own is charged for.
  void release_shared(h2::Memory& memory) noexcept {
    if (shared_ == nullptr) return;
    memory.block_cache.release(*shared_);
    shared_ = nullptr;
  }
  void release_own(h2::Memory& memory) noexcept;
  uint32_t charge() const noexcept { return charge_; }
  // Memory that it alone holds.
  size_t own_bytes() const noexcept { return block_ != nullptr ? capacity_ : 0; }

  bool is_empty() const noexcept { return shared_ == nullptr && count_ == 0; }
  // A list is what is shared, then what is its own; either may be empty.
  h2::SharedList* shared() const noexcept { return shared_; }
  std::span<const h2::Field> shared_fields() const noexcept {
    if (shared_ == nullptr) return {};
    return {shared_->fields, shared_->count};
  }
  std::span<const h2::Field> own_fields() const noexcept {
    return {reinterpret_cast<const h2::Field*>(block_), count_};
  }
  // Of all fields, as RFC 9113 section 6.5.2 counts them.
  uint32_t list_bytes() const noexcept {
    const uint32_t shared_bytes = shared_ != nullptr ? shared_->list_bytes : 0;
    return block_ == nullptr ? shared_bytes : shared_bytes + own_list_bytes();
  }
  bool is_wholly_shared() const noexcept { return block_ == nullptr; }

  // Writes another timeout over that of an own field, which is a literal.
  void set_timeout(uint32_t own_index, uint64_t timeout_ns) noexcept;

  // The first field with this name, or null.
  const h2::Field* find(h2::KnownName name) const noexcept;

 private:
  uint32_t own_list_bytes() const noexcept;

  h2::SharedList* shared_ = nullptr;
  uint8_t* block_ = nullptr;  // count_ fields, then the octets of literals; null when there are none
  size_t capacity_ = 0;
  uint32_t count_ = 0;
  uint32_t charge_ = 0;
};

}  // namespace ringway::proxy
