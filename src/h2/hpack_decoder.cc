#include "h2/hpack_decoder.h"

#include <algorithm>
#include <cstddef>
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

// A block that is longer has more than a beginning that can be shared, and the octets that are looked at.
constexpr size_t kLeadingBlock_min = 16;
// Of an entry whose index fits one octet.
constexpr uint32_t kOctetAge_max = 0x7e - kStaticTableSize - 1;

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

// A field for which there is no room, in octets or in number.
void drop(const Field& field, bool has_octets_left, DecodedBlock& block) noexcept {
  if (!block.is_too_large) block.has_too_many_fields = has_octets_left;
  block.is_too_large = true;
  block.dropped_grpc |= field.known == KnownName::kContentType && is_grpc_content_type(field);
}

}  // namespace

HpackDecoder::~HpackDecoder() {
  while (entry_count_ != 0) evict_oldest();
}

DecodedBlock HpackDecoder::decode(std::span<const uint8_t> block, const DecodeLimits& limits,
                                  base::PlainVector<Field>& fields, Arena& arena, BlockCache* cache) {
  ++block_number_;
  shared_octets_ = 0;
  DecodedBlock result = decode_fields(block, limits, fields, arena, cache);
  result.literal_octets -= shared_octets_;
  return result;
}

[[gnu::always_inline]] inline DecodedBlock HpackDecoder::decode_fields(std::span<const uint8_t> block,
                                                                       const DecodeLimits& limits,
                                                                       base::PlainVector<Field>& fields, Arena& arena,
                                                                       BlockCache* cache) {
  DecodedBlock result;
  const uint32_t first_field = fields.size();
  const uint32_t inserted_before = inserted_;
  // Every field takes an octet at least.
  const uint32_t fields_max = std::min(limits.fields, static_cast<uint32_t>(block.size()));
  fields.reserve_more(fields_max + 1);
  Field* out = fields.end();
  const Field* out_max = out + fields_max;
  FieldRecord* const* const static_records = interner_->static_records();
  uint32_t list_bytes = 0;
  uint32_t flags_seen = 0;
  bool may_resize = true;  // section 4.2: size updates only at the beginning of a block
  const uint8_t* p = block.data();
  const uint8_t* const end = p + block.size();
  if (cache != nullptr && block.size() > kLeadingBlock_min) result.leading = find_leading(p, limits, *cache);
  if (const SharedList* const list = result.leading) {
    list_bytes = list->list_bytes;
    p += list->count;
    out_max -= list->count;
    may_resize = false;
  }
  while (p != end) {
    const uint8_t first = *p;
    uint32_t field_bytes;
    // The hot path. The loop's state stays in registers.
    const FieldRecord* const record = record_behind(first, static_records);
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
      p = decode_other(p, end, arena, *out, field_bytes);
      if (p == nullptr) return result;
      if (out->record == nullptr) result.literal_octets += field_bytes + out->wire_size;
      // The first limit that is passed is the one that counts. No record is that large.
      if (field_bytes > limits.field_bytes && !result.is_too_large && out != out_max) [[unlikely]] {
        result.is_too_large = result.has_large_field = true;
        list_bytes = limits.list_bytes + 1;
        ++out;
        continue;
      }
    }
    list_bytes += field_bytes;
    flags_seen |= out->flags;
    if (list_bytes > limits.list_bytes || out == out_max) [[unlikely]] {
      // The rest is decoded for the table's sake. The sum cannot wrap: it stops growing here.
      drop(*out, list_bytes <= limits.list_bytes, result);
      list_bytes = limits.list_bytes + 1;
      continue;
    }
    ++out;
  }
  if (inserted_ != inserted_before || has_evicted_) begin_state();
  fields.shrink_to(static_cast<uint32_t>(out - fields.data()));
  ASSERT(fields.size() - first_field <= fields_max);
  result.list_bytes = list_bytes;
  result.is_malformed = (flags_seen & kFieldMalformed) != 0;
  result.is_valid = true;
  return result;
}

// From here on blocks may mean something else.
inline void HpackDecoder::begin_state() noexcept {
  has_evicted_ = false;
  state_ = interner_->next_table_state();
}

// Anything but an index of one octet with a record behind it. `field_bytes` is what it adds to its list.
[[gnu::always_inline]] inline const uint8_t* HpackDecoder::decode_other(const uint8_t* p, const uint8_t* end,
                                                                        Arena& arena, Field& field,
                                                                        uint32_t& field_bytes) {
  const uint8_t first = *p;
  p = (first & 0x80) != 0 ? decode_indexed(p, end, arena, field) : decode_literal(p, end, arena, field);
  if (p == nullptr) return nullptr;
  if (field.record != nullptr) {
    field_bytes = field.record->list_bytes;
    return p;
  }
  field_bytes = field.name_size + field.value_size + kFieldOverhead;
  if ((first & 0xc0) == 0x40) insert(field, field_bytes);
  return p;
}

// The record behind an octet that is a whole index; null for any other, and where there is none yet.
[[gnu::always_inline]] inline const FieldRecord* HpackDecoder::record_behind(
    uint8_t octet, FieldRecord* const* static_records) noexcept {
  const uint32_t index = octet & 0x7fu;
  if ((octet & 0x80) == 0) return nullptr;
  if (index <= kStaticTableSize) return static_records[index];
  const uint32_t age = index - kStaticTableSize - 1;
  return age < entry_count_ && index != 0x7f ? entry(age).record : nullptr;
}

// The list that a request begins with, each of its fields an index of one octet; null when there is none.
[[gnu::always_inline]] inline SharedList* HpackDecoder::find_leading(const uint8_t* p, const DecodeLimits& limits,
                                                                     BlockCache& cache) {
  static_assert(BlockCache::kLeadingMax <= sizeof(uint64_t));
  uint64_t octets;
  std::memcpy(&octets, p, sizeof octets);
  // Where this is small, no octet has grown beyond what one can hold.
  const uint64_t age_max = uint64_t{beginning_.age_max} + (inserted_ - beginning_.inserted);
  const uint64_t expected = beginning_.octets + (inserted_ - beginning_.inserted) * beginning_.dynamic;
  SharedList* list = nullptr;
  if ((octets & beginning_.mask) == expected && age_max < entry_count_ && age_max <= kOctetAge_max) [[likely]]
    list = cache.leading_list(beginning_.list);
  if (list == nullptr) [[unlikely]]
    list = find_leading_anew(p, cache);
  const bool fits = list != nullptr && list->list_bytes <= limits.list_bytes && list->count <= limits.fields;
  return fits ? list : nullptr;
}

[[gnu::noinline]] SharedList* HpackDecoder::find_leading_anew(const uint8_t* p, BlockCache& cache) {
  FieldRecord* records[BlockCache::kLeadingMax];
  Beginning begins;
  begins.inserted = inserted_;
  uint32_t count = 0;
  for (; count < BlockCache::kLeadingMax; ++count) {
    const uint32_t index = p[count] & 0x7fu;
    FieldRecord* const record = (p[count] & 0x80) != 0 && index != 0x7f ? record_of(index) : nullptr;
    if (record == nullptr || (record->flags & kFieldMalformed) != 0) break;
    records[count] = record;
    begins.octets |= uint64_t{p[count]} << (8 * count);
    begins.mask |= uint64_t{0xff} << (8 * count);
    if (index <= kStaticTableSize) continue;
    begins.dynamic |= uint64_t{1} << (8 * count);
    begins.age_max = std::max(begins.age_max, index - kStaticTableSize - 1);
  }
  if (count < BlockCache::kLeadingMin) return nullptr;
  if (count < BlockCache::kLeadingMax) {
    const uint32_t age = (p[count] & 0x7fu) - kStaticTableSize - 1;
    if ((p[count] & 0x80) == 0) {
      begins.mask |= uint64_t{0x80} << (8 * count);
    } else if (age >= entry_count_ || (entry(age).flags & kFieldNeverIndex) == 0) {
      // An index behind these may have a record the next time, and then belongs to them.
      return nullptr;
    }
  }
  SharedList* const list = cache.leading_list({records, count}, begins.list);
  if (list != nullptr) beginning_ = begins;
  return list;
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

// The record of an entry, with a reference for the caller; null when the budget is in use.
FieldRecord* HpackDecoder::intern(const Entry& entry, Arena& arena) {
  const std::string_view kept = kept_value_of(entry);
  Field field = make_field(name_of(entry), entry.known, kept);
  if ((entry.flags & kFieldCoded) != 0) {
    field.flags = kFieldCoded;
    field.value_size = entry.value_size;
    field.wire_value = reinterpret_cast<const uint8_t*>(kept.data());
    field.wire_size = entry.kept_size;
  }
  const auto flags = static_cast<uint8_t>(entry.flags & ~kFieldCoded);
  return interner_->intern(field.name(), entry.known, decoded_value(field, arena), flags);
}

// Name and value of an entry without a record, as long as the block's fields live. An octet of the block may name it,
// so that all who do share one copy.
const char* HpackDecoder::copy_of(Entry& entry, Arena& arena) {
  const std::string_view name = name_of(entry);
  const std::string_view kept = kept_value_of(entry);
  if (entry.copied_in == block_number_) {
    const bool is_coded = (entry.flags & kFieldCoded) != 0;
    // A timeout is kept by itself, since another may be written over it.
    const bool is_shared = entry.known != KnownName::kGrpcTimeout;
    if (is_shared)
      shared_octets_ += entry.name_size + entry.value_size + kFieldOverhead + (is_coded ? entry.kept_size : 0);
    return entry.copy;
  }
  char* const copy = arena.allocate(sizeof(TableCopy) + name.size() + kept.size()) + sizeof(TableCopy);
  const TableCopy unkept;
  std::memcpy(copy - sizeof unkept, &unkept, sizeof unkept);
  base::copy_bytes(copy, name.data(), name.size());
  base::copy_bytes(copy + name.size(), kept.data(), kept.size());
  entry.copied_in = block_number_;
  entry.copy = copy;
  return copy;
}

// An index without a record: the entry's first use, or nothing that exists.
bool HpackDecoder::decode_first_reference(uint32_t index, Arena& arena, Field& field) {
  if (index == 0 || index - kStaticTableSize - 1 >= entry_count_) return false;
  Entry& referred = entry(index - kStaticTableSize - 1);
  // A credential never enters what connections share.
  if ((referred.flags & kFieldNeverIndex) == 0) referred.record = intern(referred, arena);
  field.record = referred.record;
  field.known = referred.known;
  if (referred.record != nullptr) {
    field.flags = referred.record->flags;
    return true;
  }
  const char* const copy = copy_of(referred, arena);
  field.flags = static_cast<uint8_t>(referred.flags | kFieldTableCopy);
  field.name_octets = referred.known != KnownName::kNone ? text_of(referred.known).data() : copy;
  field.name_size = referred.name_size;
  field.value_octets = copy + referred.name_size;
  field.value_size = referred.value_size;
  field.wire_value = nullptr;
  field.wire_size = 0;
  if ((referred.flags & kFieldCoded) != 0) {
    field.wire_value = reinterpret_cast<const uint8_t*>(field.value_octets);
    field.wire_size = referred.kept_size;
    field.value_octets = nullptr;
  }
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
    if (field.known != KnownName::kNone) {
      field.name_octets = text_of(field.known).data();
    } else if (!is_valid_name({name.octets, name.size})) {
      field.flags |= kFieldMalformed;
    }
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

[[gnu::always_inline]] inline const uint8_t* HpackDecoder::decode_literal(const uint8_t* p, const uint8_t* end,
                                                                          Arena& arena, Field& field) {
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
  if (is_sensitive(field.known)) field.flags |= kFieldNeverIndex;
  p = decode_value(p, end, arena, field);
  if (p == nullptr) [[unlikely]]
    return nullptr;
  return p;
}

// The value of a literal whose name is known already.
[[gnu::always_inline]] inline const uint8_t* HpackDecoder::decode_value(const uint8_t* p, const uint8_t* end,
                                                                        Arena& arena, Field& field) {
  if (p == end) return nullptr;
  field.wire_value = p;
  if ((*p & 0x80) != 0 && passes_unread(field.known)) {
    uint32_t size = 0;
    const uint8_t* const code = read_integer(p, end, 0x7f, size);
    if (code == nullptr || size > static_cast<size_t>(end - code)) return nullptr;
    const size_t decoded_size = huffman_walk({code, size});
    field.wire_size = static_cast<uint32_t>(code - p) + size;
    // A code that is longer than its text is nobody's to send, and would need more room than the table counts.
    if (decoded_size != kHuffmanUnclear && decoded_size >= field.wire_size) [[likely]] {
      field.flags |= kFieldCoded;
      field.value_octets = nullptr;
      field.value_size = static_cast<uint32_t>(decoded_size);
      return code + size;
    }
  }
  String value;
  p = read_string(p, end, arena, value);
  if (p == nullptr) [[unlikely]]
    return nullptr;
  field.value_octets = value.octets;
  field.value_size = value.size;
  field.wire_size = static_cast<uint32_t>(p - field.wire_value);
  if (!is_valid_value({value.octets, value.size})) [[unlikely]]
    field.flags |= kFieldMalformed;
  return p;
}

const uint8_t* HpackDecoder::decode_size_update(const uint8_t* p, const uint8_t* end) {
  uint32_t size = 0;
  p = read_integer(p, end, 0x1f, size);
  if (p == nullptr || size > kTableSizeDefault) return nullptr;
  table_bytes_max_ = size;
  begin_state();
  while (table_bytes_ > table_bytes_max_) evict_oldest();
  return p;
}

// `size` is that of section 4.1.
[[gnu::always_inline]] inline void HpackDecoder::insert(const Field& field, uint32_t size) {
  if (table_bytes_ + size > table_bytes_max_) make_room(size);
  // Section 4.4: what does not fit empties the table and is not an error.
  if (size > table_bytes_max_) [[unlikely]]
    return;
  if (entry_count_ == entry_capacity_) [[unlikely]]
    grow_entries();
  const bool is_coded = (field.flags & kFieldCoded) != 0;
  const void* const kept = is_coded ? static_cast<const void*>(field.wire_value) : field.value_octets;
  const uint32_t kept_size = is_coded ? field.wire_size : field.value_size;
  const uint32_t kept_name = field.known == KnownName::kNone ? field.name_size : 0;
  reserve_octets(kept_name + kept_size);
  const uint32_t offset = octets_tail_;
  Entry& added = entries_.get()[(first_entry_ + entry_count_) & (entry_capacity_ - 1)];
  added.record = nullptr;
  added.copied_in = 0;
  // Name, flags and sizes at once.
  constexpr size_t kShape = offsetof(Field, known);
  static_assert(offsetof(Entry, known) == kShape && offsetof(Entry, flags) == offsetof(Field, flags) &&
                offsetof(Entry, name_size) == offsetof(Field, name_size) &&
                offsetof(Entry, value_size) == offsetof(Field, value_size) && offsetof(Entry, offset) == kShape + 8);
  uint64_t shape;
  std::memcpy(&shape, reinterpret_cast<const char*>(&field) + kShape, sizeof shape);
  std::memcpy(reinterpret_cast<char*>(&added) + kShape, &shape, sizeof shape);
  added.offset = offset;
  added.kept_size = kept_size;
  octets_tail_ = offset + kept_name + kept_size;
  table_bytes_ += size;
  ++entry_count_;
  ++inserted_;
  char* p = octets_.get() + offset;
  if (kept_name != 0) {
    base::copy_bytes(p, field.name_octets, kept_name);
    p += kept_name;
  }
  base::copy_bytes(p, kept, kept_size);
}

// Evicts until `size` fits, or all.
[[gnu::always_inline]] inline void HpackDecoder::make_room(uint32_t size) noexcept {
  const Entry* const entries = entries_.get();
  uint32_t first = first_entry_;
  uint32_t count = entry_count_;
  uint32_t bytes = table_bytes_;
  for (; count != 0 && bytes + size > table_bytes_max_; --count) {
    const Entry& oldest = entries[first];
    bytes -= oldest.name_size + oldest.value_size + kFieldOverhead;
    if (oldest.record != nullptr) [[unlikely]]
      interner_->release(*oldest.record);
    first = (first + 1) & (entry_capacity_ - 1);
  }
  first_entry_ = first;
  entry_count_ = count;
  table_bytes_ = bytes;
  if (count == 0) octets_tail_ = 0;
  // Also where nothing is inserted then.
  has_evicted_ = true;
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
