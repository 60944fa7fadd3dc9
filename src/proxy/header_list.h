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

  // Keeps all fields (the message rules have refused connection-specific ones). One block of memory for all;
  // `literal_octets` is at least what the names, values and wire forms of the literals take.
  void assign(std::span<const h2::Field> fields, uint32_t literal_octets, h2::Memory& memory);
  // Keeps a list that is shared already.
  void share(h2::SharedList& list) noexcept {
    h2::BlockCache::retain(list);
    shared_ = &list;
  }
  void release(h2::Memory& memory) noexcept {
    if (shared_ != nullptr) {
      memory.block_cache.release(*shared_);
      shared_ = nullptr;
    } else if (block_ != nullptr) {
      release_block(memory);
    }
  }

  bool is_empty() const noexcept { return shared_ == nullptr && count_ == 0; }
  std::span<const h2::Field> fields() const noexcept {
    if (shared_ != nullptr) return {shared_->fields, shared_->count};
    return {reinterpret_cast<const h2::Field*>(block_), count_};
  }
  h2::SharedList* shared() const noexcept { return shared_; }

  // The first field with this name, or null.
  const h2::Field* find(h2::KnownName name) const noexcept;

 private:
  void release_block(h2::Memory& memory) noexcept;

  h2::SharedList* shared_ = nullptr;
  uint8_t* block_ = nullptr;  // count_ fields, then the octets of literals
  size_t capacity_ = 0;
  uint32_t count_ = 0;
};

}  // namespace ringway::proxy
