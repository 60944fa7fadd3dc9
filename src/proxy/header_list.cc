#include "proxy/header_list.h"

#include <cstring>
#include <type_traits>

#include "base/assert.h"
#include "base/copy.h"
#include "grpc/timeout.h"

namespace ringway::proxy {
namespace {

static_assert(std::is_trivially_copyable_v<h2::Field>);

[[gnu::always_inline]] inline uint8_t* copy_to(uint8_t* p, const void* octets, size_t size) noexcept {
  base::copy_bytes(p, octets, size);
  return p + size;
}

// Of several fields that share their octets the first brings them along.
uint8_t* adopt_shared(h2::Field& field, uint8_t* p) noexcept {
  const char* const octets = h2::TableCopy::octets_of(field);
  auto* const header = const_cast<char*>(octets) - sizeof(h2::TableCopy);
  h2::TableCopy copy;
  std::memcpy(&copy, header, sizeof copy);
  const bool is_coded = (field.flags & h2::kFieldCoded) != 0;
  if (copy.kept == nullptr) {
    copy.kept = p;
    std::memcpy(header, &copy, sizeof copy);
    p = copy_to(p, octets, size_t{field.name_size} + (is_coded ? field.wire_size : field.value_size));
  }
  if (field.known == h2::KnownName::kNone) field.name_octets = reinterpret_cast<const char*>(copy.kept);
  const uint8_t* const value = copy.kept + field.name_size;
  if (is_coded) {
    field.wire_value = value;
  } else {
    field.value_octets = reinterpret_cast<const char*>(value);
  }
  return p;
}

[[gnu::noinline]] uint8_t* adopt_other(h2::Field& field, uint8_t* p) noexcept {
  if ((field.flags & h2::kFieldTableCopy) != 0 && field.known != h2::KnownName::kGrpcTimeout) {
    return adopt_shared(field, p);
  }
  if (field.known == h2::KnownName::kNone) {
    const uint8_t* const name = p;
    p = copy_to(p, field.name_octets, field.name_size);
    field.name_octets = reinterpret_cast<const char*>(name);
  }
  // Not as it came, and with room for another (set_timeout). It may be shorter than that: what is counted for a field
  // is more than its octets by kFieldOverhead.
  const bool is_timeout = field.known == h2::KnownName::kGrpcTimeout;
  static_assert(grpc::kTimeoutTextMax <= h2::kFieldOverhead);
  if (field.wire_value == nullptr || is_timeout) {
    field.wire_value = nullptr;
    const uint8_t* const value = p;
    p = copy_to(p, field.value_octets, field.value_size);
    field.value_octets = reinterpret_cast<const char*>(value);
    return is_timeout ? p + grpc::kTimeoutTextMax : p;
  }
  const uint8_t* const wire = p;
  p = copy_to(p, field.wire_value, field.wire_size);
  if ((field.flags & h2::kFieldCoded) != 0) {
    field.wire_value = wire;
    return p;
  }
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

// Copies the octets of a literal to `p` and points the field there; returns the address behind.
[[gnu::always_inline]] inline uint8_t* adopt(h2::Field& field, uint8_t* p) noexcept {
  constexpr uint8_t kHow = h2::kFieldCoded | h2::kFieldTableCopy;
  if ((field.flags & kHow) == h2::kFieldCoded && field.known != h2::KnownName::kNone) [[likely]] {
    base::copy_bytes(p, field.wire_value, field.wire_size);
    field.wire_value = p;
    return p + field.wire_size;
  }
  return adopt_other(field, p);
}

}  // namespace

void HeaderList::assign(const h2::Event& event, h2::Memory& memory, uint32_t charge) {
  ASSERT(block_ == nullptr && shared_ == nullptr);
  if (event.leading != nullptr) share(*event.leading);
  const std::span<const h2::Field> fields = memory.own_fields_of(event);
  count_ = static_cast<uint32_t>(fields.size());
  charge_ = charge;
  block_ = memory.blocks.take(fields.size_bytes() + event.literal_octets, capacity_);
  auto* kept = reinterpret_cast<h2::Field*>(block_);
  uint8_t* octets = block_ + fields.size_bytes();
  for (const h2::Field& field : fields) {
    *kept = field;
    if (field.record != nullptr) [[likely]] {
      h2::FieldInterner::retain(*field.record);
    } else {
      octets = adopt(*kept, octets);
    }
    ++kept;
  }
}

uint32_t HeaderList::own_list_bytes() const noexcept {
  uint32_t bytes = 0;
  for (const h2::Field& field : own_fields()) {
    bytes +=
        field.record != nullptr ? field.record->list_bytes : field.name_size + field.value_size + h2::kFieldOverhead;
  }
  return bytes;
}

void HeaderList::release_own(h2::Memory& memory) noexcept {
  for (const h2::Field& field : own_fields()) {
    if (field.record != nullptr) memory.interner.release(*field.record);
  }
  memory.blocks.give(block_, capacity_);
  block_ = nullptr;
  count_ = charge_ = 0;
}

void HeaderList::set_timeout(uint32_t own_index, uint64_t timeout_ns) noexcept {
  h2::Field& field = reinterpret_cast<h2::Field*>(block_)[own_index];
  ASSERT(field.record == nullptr && field.known == h2::KnownName::kGrpcTimeout);
  char* const text = const_cast<char*>(field.value_octets);
  field.value_size = static_cast<uint32_t>(grpc::format_timeout(timeout_ns, {text, grpc::kTimeoutTextMax}));
}

const h2::Field* HeaderList::find(h2::KnownName name) const noexcept {
  for (const std::span<const h2::Field> part : {shared_fields(), own_fields()}) {
    for (const h2::Field& field : part) {
      if (field.known == name) return &field;
    }
  }
  return nullptr;
}

}  // namespace ringway::proxy
