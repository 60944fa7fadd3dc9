// The header list that an exchange keeps while its request may still have to be sent, or sent again: record handles with
// a reference each, and copies of the literal octets (HPACK bytes cannot be replayed on another connection).
#pragma once

#include <cstdint>
#include <span>

#include "h2/field.h"
#include "h2/memory.h"

namespace ringway::proxy {

class HeaderList {
 public:
  HeaderList() noexcept = default;
  HeaderList(const HeaderList&) = delete;
  HeaderList& operator=(const HeaderList&) = delete;
  ~HeaderList();

  // Keeps all fields (the message rules have refused connection-specific ones). One block of memory for all;
  // `literal_octets` is at least what the names, values and wire forms of the literals take.
  void assign(std::span<const h2::Field> fields, uint32_t literal_octets, h2::Memory& memory);
  void release(h2::Memory& memory) noexcept;

  bool is_empty() const noexcept { return count_ == 0; }
  std::span<const h2::Field> fields() const noexcept { return {reinterpret_cast<const h2::Field*>(block_), count_}; }

  // The first field with this name, or null.
  const h2::Field* find(h2::KnownName name) const noexcept;

 private:
  uint8_t* block_ = nullptr;  // count_ fields, then the octets of literals
  size_t capacity_ = 0;
  uint32_t count_ = 0;
};

}  // namespace ringway::proxy
