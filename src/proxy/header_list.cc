#include "proxy/header_list.h"

#include <cstring>
#include <type_traits>

#include "base/assert.h"
#include "base/copy.h"

namespace ringway::proxy {
namespace {

static_assert(std::is_trivially_copyable_v<h2::Field>);

uint8_t* copy_to(uint8_t* p, const void* octets, size_t size) noexcept {
  base::copy_bytes(p, octets, size);
  return p + size;
}

// Copies the octets of a literal to `p` and points the field there; returns the address behind.
[[gnu::always_inline]] inline uint8_t* adopt(h2::Field& field, uint8_t* p) noexcept {
  if (field.known == h2::KnownName::kNone) {
    const uint8_t* const name = p;
    p = copy_to(p, field.name_octets, field.name_size);
    field.name_octets = reinterpret_cast<const char*>(name);
  } else {
    field.name_octets = h2::text_of(field.known).data();
  }
  if (field.wire_value == nullptr) {
    const uint8_t* const value = p;
    p = copy_to(p, field.value_octets, field.value_size);
    field.value_octets = reinterpret_cast<const char*>(value);
    return p;
  }
  const uint8_t* const wire = p;
  p = copy_to(p, field.wire_value, field.wire_size);
  const uintptr_t offset =
      reinterpret_cast<uintptr_t>(field.value_octets) - reinterpret_cast<uintptr_t>(field.wire_value);
  field.wire_value = wire;
  if (offset <= field.wire_size) {
    // A plain value lies inside its wire form.
    field.value_octets = reinterpret_cast<const char*>(wire + offset);
    return p;
  }
  const uint8_t* const value = p;
  p = copy_to(p, field.value_octets, field.value_size);
  field.value_octets = reinterpret_cast<const char*>(value);
  return p;
}

}  // namespace

void HeaderList::assign(std::span<const h2::Field> fields, uint32_t literal_octets, h2::Memory& memory) {
  ASSERT(block_ == nullptr);
  block_ = memory.blocks.take(fields.size_bytes() + literal_octets, capacity_);
  std::memcpy(block_, fields.data(), fields.size_bytes());
  count_ = static_cast<uint32_t>(fields.size());
  uint8_t* octets = block_ + fields.size_bytes();
  for (h2::Field& field : std::span(reinterpret_cast<h2::Field*>(block_), count_)) {
    if (field.record != nullptr) [[likely]] {
      h2::FieldInterner::retain(*field.record);
    } else {
      octets = adopt(field, octets);
    }
  }
}

void HeaderList::release_block(h2::Memory& memory) noexcept {
  for (const h2::Field& field : fields()) {
    if (field.record != nullptr) memory.interner.release(*field.record);
  }
  memory.blocks.give(block_, capacity_);
  block_ = nullptr;
  count_ = 0;
}

const h2::Field* HeaderList::find(h2::KnownName name) const noexcept {
  for (const h2::Field& field : fields()) {
    if (field.known == name) return &field;
  }
  return nullptr;
}

}  // namespace ringway::proxy
