#include "h2/hpack_decoder.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "base/copy.h"
#include "h2/huffman.h"

namespace ringway::h2 {

namespace {

// Section 5.1, at most five octets: enough for 2^28 and above any limit here. `mask` is the prefix. The address behind;
// null when it is cut or too large.
[[gnu::always_inline]] inline const uint8_t* read_integer(const uint8_t* p, const uint8_t* end, uint8_t mask,
                                                          uint32_t& value) noexcept {
  value = *p++ & mask;
  if (value != mask) [[likely]]
    return p;
  for (uint32_t shift = 0; shift <= 21; shift += 7) {
    if (p == end) return nullptr;
    const uint8_t octet = *p++;
    value += uint32_t{octet & 0x7fu} << shift;
    if ((octet & 0x80) == 0) return p;
  }
  return nullptr;
}

struct String {
  const char* octets;
  uint32_t size;
};

// Section 5.2. A Huffman string is decoded into the arena, a plain one stays where it is. The address behind; null when
// it is cut or no Huffman code.
[[gnu::always_inline]] inline const uint8_t* read_string(const uint8_t* p, const uint8_t* end, Arena& arena,
                                                         String& string) noexcept {
  if (p == end) return nullptr;
  const bool is_huffman = (*p & 0x80) != 0;
  p = read_integer(p, end, 0x7f, string.size);
  if (p == nullptr || string.size > static_cast<size_t>(end - p)) return nullptr;
  const uint8_t* const behind = p + string.size;
  string.octets = reinterpret_cast<const char*>(p);
  if (is_huffman) {
    char* const decoded = arena.allocate(huffman_decoded_size_max(string.size));
    const size_t decoded_size = huffman_decode({p, string.size}, decoded);
    if (decoded_size == kHuffmanInvalid) return nullptr;
    arena.shrink_to(decoded + decoded_size);
    string = {decoded, static_cast<uint32_t>(decoded_size)};
  }
  return behind;
}

}  // namespace

HpackDecoder::~HpackDecoder() {
  while (entry_count_ != 0) evict_oldest();
}

DecodedBlock HpackDecoder::decode(std::span<const uint8_t> block, const DecodeLimits& limits,
                                  base::PlainVector<Field>& fields, Arena& arena) {
  DecodedBlock result;
  const uint32_t first_field = fields.size();
  // Every field takes an octet at least; beyond the limit none is kept.
  const uint32_t fields_max = std::min(limits.fields, static_cast<uint32_t>(block.size()));
  fields.reserve_more(fields_max + 1);
  Field* out = fields.end();
  const Field* const out_max = out + fields_max;
  FieldRecord* const* const static_records = interner_->static_records();
  uint32_t list_bytes = 0;
  uint32_t flags_seen = 0;
  bool may_resize = true;  // section 4.2: size updates only at the beginning of a block
  const uint8_t* p = block.data();
  const uint8_t* const end = p + block.size();
  while (p != end) {
    const uint8_t first = *p;
    uint32_t field_bytes;
    // The hot path: an index of one octet with a record behind it. The loop's state stays in registers.
    const FieldRecord* record = nullptr;
    if (const uint32_t index = first & 0x7fu; first & 0x80) {
      if (index <= kStaticTableSize) {
        record = static_records[index];
      } else if (index - kStaticTableSize - 1 < entry_count_ && index != 0x7f) {
        record = entry(index - kStaticTableSize - 1).record;
      }
    }
    if (record != nullptr) [[likely]] {
      ++p;
      out->record = const_cast<FieldRecord*>(record);
      out->known = record->known;
      out->flags = record->flags;
      field_bytes = record->list_bytes;
      may_resize = false;
    } else if ((first & 0xe0) == 0x20) {
      if (!may_resize) return result;
      p = decode_size_update(p, end);
      if (p == nullptr) return result;
      continue;
    } else {
      may_resize = false;
      p = (first & 0x80) != 0 ? decode_indexed(p, end, arena, *out) : decode_literal(p, end, arena, *out);
      if (p == nullptr) return result;
      if (out->record != nullptr) {
        field_bytes = out->record->list_bytes;
      } else {
        field_bytes = out->name_size + out->value_size + kFieldOverhead;
        result.literal_octets += field_bytes + out->wire_size;
      }
    }
    list_bytes += field_bytes;
    flags_seen |= out->flags;
    if (list_bytes > limits.list_bytes || out == out_max) [[unlikely]] {
      // The rest is decoded for the table's sake. The sum cannot wrap: it stops growing here.
      result.is_too_large = true;
      list_bytes = limits.list_bytes + 1;
      continue;
    }
    ++out;
  }
  fields.shrink_to(static_cast<uint32_t>(out - fields.data()));
  ASSERT(fields.size() - first_field <= fields_max);
  result.list_bytes = list_bytes;
  result.is_malformed = (flags_seen & kFieldMalformed) != 0;
  result.is_valid = true;
  return result;
}

// An index of several octets, or one without a record yet. The address behind, null for COMPRESSION_ERROR; as in the
// functions below.
const uint8_t* HpackDecoder::decode_indexed(const uint8_t* p, const uint8_t* end, Arena& arena, Field& field) {
  uint32_t index = 0;
  p = read_integer(p, end, 0x7f, index);
  if (p == nullptr) return nullptr;
  FieldRecord* const record = record_of(index);
  if (record == nullptr) return decode_first_reference(index, arena, field) ? p : nullptr;
  field.record = record;
  field.known = record->known;
  field.flags = record->flags;
  return p;
}

// The record behind an index; null when there is none yet, or no such entry.
inline FieldRecord* HpackDecoder::record_of(uint32_t index) noexcept {
  if (index <= kStaticTableSize) return interner_->static_record(index);
  const uint32_t age = index - kStaticTableSize - 1;
  return age < entry_count_ ? entry(age).record : nullptr;
}

// An index without a record: the entry's first use, or nothing that exists.
bool HpackDecoder::decode_first_reference(uint32_t index, Arena& arena, Field& field) {
  if (index == 0 || index - kStaticTableSize - 1 >= entry_count_) return false;
  Entry& referred = entry(index - kStaticTableSize - 1);
  const std::string_view name = name_of(referred);
  const std::string_view value = value_of(referred);
  // A credential never enters what connections share.
  if ((referred.flags & kFieldNeverIndex) == 0) {
    referred.record = interner_->intern(name, referred.known, value, referred.flags);
  }
  field.record = referred.record;
  field.known = referred.known;
  if (referred.record != nullptr) {
    field.flags = referred.record->flags;
    return true;
  }
  char* copy = arena.allocate(name.size() + value.size());
  base::copy_bytes(copy, name.data(), name.size());
  base::copy_bytes(copy + name.size(), value.data(), value.size());
  field.flags = referred.flags;
  field.name_octets = copy;
  field.name_size = referred.name_size;
  field.value_octets = copy + referred.name_size;
  field.value_size = referred.value_size;
  field.wire_value = nullptr;
  field.wire_size = 0;
  return true;
}

// A name that is spelt out, or that of an entry in the dynamic table.
[[gnu::noinline]] const uint8_t* HpackDecoder::decode_name(const uint8_t* p, const uint8_t* end, uint32_t index,
                                                           Arena& arena, Field& field) {
  if (index == 0) {
    String name;
    p = read_string(p, end, arena, name);
    if (p == nullptr || name.size > UINT16_MAX) return nullptr;
    field.name_octets = name.octets;
    field.name_size = static_cast<uint16_t>(name.size);
    field.known = find_known_name({name.octets, name.size});
    if (field.known == KnownName::kNone && !is_valid_name({name.octets, name.size})) field.flags |= kFieldMalformed;
    return p;
  }
  const uint32_t age = index - kStaticTableSize - 1;
  if (age >= entry_count_) return nullptr;
  const Entry& named = entry(age);
  ASSERT(named.known == KnownName::kNone);
  // The entry may be evicted or moved while the field is in use.
  char* copy = arena.allocate(named.name_size);
  base::copy_bytes(copy, octets_.get() + named.offset, named.name_size);
  field.known = KnownName::kNone;
  field.name_octets = copy;
  field.name_size = named.name_size;
  if (!is_valid_name({copy, named.name_size})) field.flags |= kFieldMalformed;
  return p;
}

const uint8_t* HpackDecoder::decode_literal(const uint8_t* p, const uint8_t* end, Arena& arena, Field& field) {
  const uint8_t first = *p;
  const bool is_inserted = (first & 0x40) != 0;
  uint32_t index = 0;
  p = read_integer(p, end, is_inserted ? 0x3f : 0x0f, index);
  if (p == nullptr) [[unlikely]]
    return nullptr;
  field.record = nullptr;
  field.flags = !is_inserted && (first & 0x10) != 0 ? kFieldNeverIndex : 0;
  const FieldRecord* const static_name = index <= kStaticTableSize ? interner_->static_records()[index] : nullptr;
  const uint32_t age = index - kStaticTableSize - 1;
  if (static_name != nullptr) {
    field.name_octets = static_name->octets;
    field.name_size = static_name->name_size;
    field.known = static_name->known;
  } else if (age < entry_count_ && entry(age).known != KnownName::kNone) [[likely]] {
    const Entry& named = entry(age);
    field.name_octets = text_of(named.known).data();
    field.name_size = named.name_size;
    field.known = named.known;
  } else {
    p = decode_name(p, end, index, arena, field);
    if (p == nullptr) return nullptr;
  }
  const uint8_t* const wire = p;
  String value;
  p = read_string(p, end, arena, value);
  if (p == nullptr) [[unlikely]]
    return nullptr;
  field.value_octets = value.octets;
  field.value_size = value.size;
  field.wire_value = wire;
  field.wire_size = static_cast<uint32_t>(p - wire);
  if (is_sensitive(field.known)) field.flags |= kFieldNeverIndex;
  if (!is_valid_value({value.octets, value.size})) [[unlikely]]
    field.flags |= kFieldMalformed;
  if (is_inserted) insert(field);
  return p;
}

const uint8_t* HpackDecoder::decode_size_update(const uint8_t* p, const uint8_t* end) {
  uint32_t size = 0;
  p = read_integer(p, end, 0x1f, size);
  if (p == nullptr || size > kTableSizeDefault) return nullptr;
  table_bytes_max_ = size;
  state_ = interner_->next_table_state();
  while (table_bytes_ > table_bytes_max_) evict_oldest();
  return p;
}

[[gnu::always_inline]] inline void HpackDecoder::insert(const Field& field) {
  state_ = interner_->next_table_state();
  const uint32_t size = field.name_size + field.value_size + kFieldOverhead;
  // Section 4.4: what does not fit empties the table and is not an error.
  while (entry_count_ != 0 && table_bytes_ + size > table_bytes_max_) evict_oldest();
  if (size > table_bytes_max_) [[unlikely]]
    return;
  if (entry_count_ == entry_capacity_) [[unlikely]]
    grow_entries();
  Entry added{nullptr, 0, field.value_size, field.name_size, field.known, field.flags};
  reserve_octets(kept_octets(added));
  added.offset = octets_tail_;
  char* p = octets_.get() + octets_tail_;
  if (field.known == KnownName::kNone) {
    base::copy_bytes(p, field.name_octets, field.name_size);
    p += field.name_size;
  }
  base::copy_bytes(p, field.value_octets, field.value_size);
  octets_tail_ += kept_octets(added);
  table_bytes_ += size;
  entries_.get()[(first_entry_ + entry_count_) & (entry_capacity_ - 1)] = added;
  ++entry_count_;
}

inline void HpackDecoder::evict_oldest() noexcept {
  Entry& oldest = entries_.get()[first_entry_];
  table_bytes_ -= oldest.name_size + oldest.value_size + kFieldOverhead;
  if (oldest.record != nullptr) interner_->release(*oldest.record);
  first_entry_ = (first_entry_ + 1) & (entry_capacity_ - 1);
  --entry_count_;
  if (entry_count_ == 0) octets_tail_ = 0;
}

void HpackDecoder::grow_entries() {
  const uint32_t capacity = entry_capacity_ == 0 ? 8 : entry_capacity_ * 2;
  auto grown = std::make_unique_for_overwrite<Entry[]>(capacity);
  for (uint32_t i = 0; i < entry_count_; ++i) grown[i] = entries_[(first_entry_ + i) & (entry_capacity_ - 1)];
  entries_ = std::move(grown);
  entry_capacity_ = capacity;
  first_entry_ = 0;
}

// Room for `size` octets at octets_tail_: behind the newest entry, or at the beginning once there is none before the
// end. The tail stays short of the oldest entry, so that they meet in an empty table alone.
inline void HpackDecoder::reserve_octets(uint32_t size) {
  const uint32_t head = entry_count_ != 0 ? entries_.get()[first_entry_].offset : octets_tail_;
  const bool is_wrapped = octets_tail_ < head;
  // There are octets even when names and values are empty, so that no pointer to an entry's is ever null.
  if (octets_tail_ + size < (is_wrapped ? head : octets_capacity_)) [[likely]]
    return;
  if (!is_wrapped && size < head) {
    octets_tail_ = 0;
    return;
  }
  grow_octets(size);
}

// Twice the largest table always has room: behind its newest entry, or else before its oldest.
void HpackDecoder::grow_octets(uint32_t size) {
  uint32_t live = 0;
  for (uint32_t i = 0; i < entry_count_; ++i) live += kept_octets(entry(i));
  uint32_t capacity = octets_capacity_ == 0 ? 256 : octets_capacity_;
  while (capacity < 2 * (live + size) + 1 && capacity < 2 * kTableSizeDefault) capacity *= 2;
  auto grown = std::make_unique_for_overwrite<char[]>(capacity);
  octets_tail_ = 0;
  for (uint32_t i = 0; i < entry_count_; ++i) {
    Entry& moved = entries_[(first_entry_ + i) & (entry_capacity_ - 1)];
    base::copy_bytes(grown.get() + octets_tail_, octets_.get() + moved.offset, kept_octets(moved));
    moved.offset = octets_tail_;
    octets_tail_ += kept_octets(moved);
  }
  octets_ = std::move(grown);
  octets_capacity_ = capacity;
  ASSERT(octets_tail_ + size < octets_capacity_);
}

}  // namespace ringway::h2
