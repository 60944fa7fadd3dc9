#include "proxy/header_list.h"

#include <type_traits>

#include "base/assert.h"
#include "base/copy.h"

namespace ringway::proxy {
namespace {

static_assert(std::is_trivially_copyable_v<h2::Field>);

bool has_known_static_name(const h2::Field& field) noexcept {
  return field.known != h2::KnownName::kNone;
}

// A plain value lies inside its wire form; a Huffman-coded one is kept besides it.
bool is_value_inside_wire(const h2::Field& field) noexcept {
  return field.wire_value != nullptr && reinterpret_cast<const uint8_t*>(field.value_octets) >= field.wire_value &&
         reinterpret_cast<const uint8_t*>(field.value_octets) <= field.wire_value + field.wire_size;
}

// Copies the octets of a literal to `p` and points the field there; returns the address behind.
uint8_t* adopt(h2::Field& field, uint8_t* p) noexcept {
  const auto copy = [&p](const void* octets, size_t size) {
    base::copy_bytes(p, octets, size);
    p += size;
    return p - size;
  };
  if (!has_known_static_name(field)) {
    field.name_octets = reinterpret_cast<const char*>(copy(field.name_octets, field.name_size));
  } else {
    field.name_octets = h2::text_of(field.known).data();
  }
  if (is_value_inside_wire(field)) {
    const auto offset = reinterpret_cast<const uint8_t*>(field.value_octets) - field.wire_value;
    field.wire_value = copy(field.wire_value, field.wire_size);
    field.value_octets = reinterpret_cast<const char*>(field.wire_value + offset);
    return p;
  }
  if (field.wire_value != nullptr) field.wire_value = copy(field.wire_value, field.wire_size);
  field.value_octets = reinterpret_cast<const char*>(copy(field.value_octets, field.value_size));
  return p;
}

}  // namespace

void HeaderList::assign(std::span<const h2::Field> fields, uint32_t literal_octets, h2::Memory& memory) {
  ASSERT(block_ == nullptr);
  block_ = memory.blocks.take(fields.size() * sizeof(h2::Field) + literal_octets, capacity_);
  auto* copy = reinterpret_cast<h2::Field*>(block_);
  uint8_t* octets = block_ + fields.size() * sizeof(h2::Field);
  for (const h2::Field& field : fields) {
    if (field.record != nullptr) [[likely]] {
      copy->record = field.record;
      copy->known = field.known;
      copy->flags = field.flags;
      h2::FieldInterner::retain(*field.record);
    } else {
      *copy = field;
      octets = adopt(*copy, octets);
    }
    ++copy;
  }
  count_ = static_cast<uint32_t>(copy - reinterpret_cast<h2::Field*>(block_));
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
