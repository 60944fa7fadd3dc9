#include "h2/hpack_decoder.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "h2/huffman.h"

namespace ringway::h2 {

struct HpackDecoder::Reader {
  const uint8_t* p;
  const uint8_t* end;

  // Section 5.1, at most five octets: enough for 2^28 and above any limit here. False: cut or too large.
  bool read_integer(uint32_t prefix_bits, uint32_t& value) noexcept {
    const uint32_t mask = (1u << prefix_bits) - 1;
    value = *p++ & mask;
    if (value != mask) return true;
    for (uint32_t shift = 0; shift <= 21; shift += 7) {
      if (p == end) return false;
      const uint8_t octet = *p++;
      value += uint32_t{octet & 0x7fu} << shift;
      if ((octet & 0x80) == 0) return true;
    }
    return false;
  }

  struct String {
    const char* octets;
    uint32_t size;
    const uint8_t* wire;
    uint32_t wire_size;
  };

  // Section 5.2. A Huffman string is decoded into the arena, a plain one stays where it is.
  bool read_string(Arena& arena, String& string) noexcept {
    if (p == end) return false;
    const uint8_t* const start = p;
    const bool is_huffman = (*p & 0x80) != 0;
    uint32_t size = 0;
    if (!read_integer(7, size) || size > static_cast<size_t>(end - p)) return false;
    string.octets = reinterpret_cast<const char*>(p);
    string.size = size;
    if (is_huffman) {
      char* decoded = arena.allocate(huffman_decoded_size_max(size));
      const size_t decoded_size = huffman_decode({p, size}, decoded);
      if (decoded_size == kHuffmanInvalid) return false;
      arena.shrink_to(decoded + decoded_size);
      string.octets = decoded;
      string.size = static_cast<uint32_t>(decoded_size);
    }
    p += size;
    string.wire = start;
    string.wire_size = static_cast<uint32_t>(p - start);
    return true;
  }
};

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
      Reader reader{p, end};
      if (!may_resize || !decode_size_update(reader)) return result;
      p = reader.p;
      continue;
    } else {
      Reader reader{p, end};
      may_resize = false;
      if (!decode_slowly(reader, arena, *out)) return result;
      p = reader.p;
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

// Everything but an index of one octet with a record behind it, and size updates.
bool HpackDecoder::decode_slowly(Reader& reader, Arena& arena, Field& field) {
  const uint8_t first = *reader.p;
  if (first & 0x80) {
    uint32_t index = 0;
    if (!reader.read_integer(7, index)) return false;
    FieldRecord* const record = record_of(index);
    if (record == nullptr) return decode_first_reference(index, arena, field);
    field.record = record;
    field.known = record->known;
    field.flags = record->flags;
    return true;
  }
  if (!decode_literal(reader, (first & 0x40) != 0 ? 6 : 4, arena, field)) return false;
  if ((first & 0x40) != 0) {
    insert(field);
  } else if ((first & 0x10) != 0) {
    field.flags |= kFieldNeverIndex;
  }
  return true;
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
  const char* name = octets_.get() + referred.offset;
  const std::string_view value(name + referred.name_size, referred.value_size);
  // A credential never enters what connections share.
  if ((referred.flags & kFieldNeverIndex) == 0) {
    referred.record = interner_->intern({name, referred.name_size}, referred.known, value, referred.flags);
  }
  field.record = referred.record;
  field.known = referred.known;
  if (referred.record != nullptr) {
    field.flags = referred.record->flags;
    return true;
  }
  char* copy = arena.allocate(size_t{referred.name_size} + referred.value_size);
  std::memcpy(copy, name, size_t{referred.name_size} + referred.value_size);
  field.flags = referred.flags;
  field.name_octets = copy;
  field.name_size = referred.name_size;
  field.value_octets = copy + referred.name_size;
  field.value_size = referred.value_size;
  field.wire_value = nullptr;
  field.wire_size = 0;
  return true;
}

bool HpackDecoder::decode_name(Reader& reader, uint32_t index, Arena& arena, Field& field) {
  if (index == 0) {
    Reader::String name;
    if (!reader.read_string(arena, name) || name.size > UINT16_MAX) return false;
    field.name_octets = name.octets;
    field.name_size = static_cast<uint16_t>(name.size);
    field.known = find_known_name({name.octets, name.size});
    if (field.known == KnownName::kNone && !is_valid_name({name.octets, name.size})) field.flags |= kFieldMalformed;
    return true;
  }
  if (index <= kStaticTableSize) {
    const StaticField& named = static_field(index);
    field.name_octets = named.name.data();
    field.name_size = static_cast<uint16_t>(named.name.size());
    field.known = named.known;
    return true;
  }
  const uint32_t age = index - kStaticTableSize - 1;
  if (age >= entry_count_) return false;
  const Entry& named = entry(age);
  field.known = named.known;
  field.name_size = named.name_size;
  if (named.known != KnownName::kNone) {
    field.name_octets = text_of(named.known).data();
  } else {
    // The entry may be evicted or moved while the field is in use.
    char* copy = arena.allocate(named.name_size);
    std::memcpy(copy, octets_.get() + named.offset, named.name_size);
    field.name_octets = copy;
    if (!is_valid_name({copy, named.name_size})) field.flags |= kFieldMalformed;
  }
  return true;
}

bool HpackDecoder::decode_literal(Reader& reader, uint8_t prefix_bits, Arena& arena, Field& field) {
  uint32_t index = 0;
  field.record = nullptr;
  field.flags = 0;
  if (!reader.read_integer(prefix_bits, index)) return false;
  if (!decode_name(reader, index, arena, field)) return false;
  Reader::String value;
  if (!reader.read_string(arena, value)) return false;
  field.value_octets = value.octets;
  field.value_size = value.size;
  field.wire_value = value.wire;
  field.wire_size = value.wire_size;
  if (is_sensitive(field.known)) field.flags |= kFieldNeverIndex;
  if (!is_valid_value({value.octets, value.size})) field.flags |= kFieldMalformed;
  return true;
}

bool HpackDecoder::decode_size_update(Reader& reader) {
  uint32_t size = 0;
  if (!reader.read_integer(5, size) || size > kTableSizeDefault) return false;
  table_bytes_max_ = size;
  state_ = next_codec_state();
  while (table_bytes_ > table_bytes_max_) evict_oldest();
  return true;
}

void HpackDecoder::insert(const Field& field) {
  state_ = next_codec_state();
  const uint32_t octets = field.name_size + field.value_size;
  const uint32_t size = octets + kFieldOverhead;
  // Section 4.4: what does not fit empties the table and is not an error.
  while (entry_count_ != 0 && table_bytes_ + size > table_bytes_max_) evict_oldest();
  if (size > table_bytes_max_) return;
  reserve_entry();
  reserve_octets(octets);
  Entry& added = entries_[(first_entry_ + entry_count_) & (entry_capacity_ - 1)];
  ++entry_count_;
  added = {nullptr, octets_tail_, field.value_size, field.name_size, field.known, field.flags};
  std::memcpy(octets_.get() + octets_tail_, field.name_octets, field.name_size);
  if (field.value_size != 0) {
    std::memcpy(octets_.get() + octets_tail_ + field.name_size, field.value_octets, field.value_size);
  }
  octets_tail_ += octets;
  table_bytes_ += size;
}

void HpackDecoder::evict_oldest() noexcept {
  Entry& oldest = entries_[first_entry_];
  table_bytes_ -= oldest.name_size + oldest.value_size + kFieldOverhead;
  if (oldest.record != nullptr) interner_->release(*oldest.record);
  first_entry_ = (first_entry_ + 1) & (entry_capacity_ - 1);
  --entry_count_;
  if (entry_count_ == 0) octets_tail_ = 0;
}

void HpackDecoder::reserve_entry() {
  if (entry_count_ < entry_capacity_) return;
  const uint32_t capacity = entry_capacity_ == 0 ? 8 : entry_capacity_ * 2;
  auto grown = std::make_unique_for_overwrite<Entry[]>(capacity);
  for (uint32_t i = 0; i < entry_count_; ++i) grown[i] = entries_[(first_entry_ + i) & (entry_capacity_ - 1)];
  entries_ = std::move(grown);
  entry_capacity_ = capacity;
  first_entry_ = 0;
}

// Room for `size` octets at octets_tail_. Live octets never exceed the table's size, so that twice that always has room
// after compaction, and each octet moves at most once on average.
void HpackDecoder::reserve_octets(uint32_t size) {
  // There are octets even when names and values are empty, so that no pointer to an entry's is ever null.
  if (octets_tail_ + size <= octets_capacity_ && octets_capacity_ != 0) [[likely]]
    return;
  const uint32_t begin = entry_count_ != 0 ? entries_[first_entry_].offset : octets_tail_;
  const uint32_t live = octets_tail_ - begin;
  uint32_t capacity = octets_capacity_ == 0 ? 256 : octets_capacity_;
  while (capacity < 2 * (live + size) && capacity < 2 * kTableSizeDefault) capacity *= 2;
  if (capacity != octets_capacity_) {
    auto grown = std::make_unique_for_overwrite<char[]>(capacity);
    if (live != 0) std::memcpy(grown.get(), octets_.get() + begin, live);
    octets_ = std::move(grown);
    octets_capacity_ = capacity;
  } else if (live != 0) {
    std::memmove(octets_.get(), octets_.get() + begin, live);
  }
  for (uint32_t i = 0; i < entry_count_; ++i) entries_[(first_entry_ + i) & (entry_capacity_ - 1)].offset -= begin;
  octets_tail_ = live;
  ASSERT(octets_tail_ + size <= octets_capacity_);
}

}  // namespace ringway::h2
