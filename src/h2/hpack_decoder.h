// HPACK decoding (RFC 7541). One decoder per connection; the field records behind it are the shard's.
//
// An inserted field is first a private copy in this table. When the peer refers to it for the first time it has shown
// that it repeats, and is interned: from then on it is decoded and forwarded as a record.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "base/plain_vector.h"
#include "h2/arena.h"
#include "h2/block_cache.h"
#include "h2/field.h"
#include "h2/frame.h"

namespace ringway::h2 {

struct DecodeLimits {
  uint32_t list_bytes;  // RFC 9113 section 6.5.2: name + value + 32 per field
  uint32_t fields;
  uint32_t field_bytes;  // of one; at least kTableSizeDefault, so that nothing in a table is beyond it
};

struct DecodedBlock {
  bool is_valid = false;             // false: COMPRESSION_ERROR, the connection is lost
  bool is_malformed = false;         // a field with forbidden octets
  bool is_too_large = false;         // beyond a limit: fields were decoded for the table's sake and dropped
  bool has_large_field = false;      // the limit is that of one field, which is the last of those that were appended
  bool dropped_grpc = false;         // among these was a content-type of gRPC
  bool has_too_many_fields = false;  // the limit is that of fields
  uint32_t list_bytes = 0;
  uint32_t literal_octets = 0;    // names, values and wire forms of the fields that are not interned
  SharedList* leading = nullptr;  // what the list begins with; these fields are not among those that were appended
};

class HpackDecoder {
 public:
  explicit HpackDecoder(FieldInterner& interner) noexcept : interner_(&interner), state_(interner.next_table_state()) {}
  HpackDecoder(const HpackDecoder&) = delete;
  HpackDecoder& operator=(const HpackDecoder&) = delete;
  ~HpackDecoder();

  // Decodes a complete header block and appends its fields to `fields`. Literal fields point into `block` and `arena`.
  // With a cache, which is for requests, what the block begins with may be found as a shared list.
  DecodedBlock decode(std::span<const uint8_t> block, const DecodeLimits& limits, base::PlainVector<Field>& fields,
                      Arena& arena, BlockCache* cache = nullptr);

  // A number that changes whenever a block could mean something else than before: which decoder, and which state of its
  // table. Never 0.
  uint64_t state() const noexcept { return state_; }

  uint32_t table_bytes() const noexcept { return table_bytes_; }
  uint32_t entry_count() const noexcept { return entry_count_; }

 private:
  struct Entry {
    FieldRecord* record;  // once it was referred to
    // In the order of Field, so that they are copied at once.
    KnownName known;
    uint8_t flags;
    uint16_t name_size;
    uint32_t value_size;
    uint32_t offset;     // in octets_: of the name, unless it is a known one, and the value behind it
    uint32_t kept_size;  // of the value in octets_: of the string literal as it came, if it is coded; never the larger
    uint64_t copied_in;  // the block for which `copy` was made; 0: none
    const char* copy;    // name and value in the arena, for all fields of that block
  };

  // What the last request began with: indexes of one octet each. With every insertion since, those into the dynamic
  // table have grown by one and mean the same entries, as long as these are there.
  struct Beginning {
    uint64_t octets = 0;       // little-endian, as the others
    uint64_t mask = 0;         // of the octets, and of the bit that tells that the next is no index
    uint64_t dynamic = 0;      // a one for each octet that is an index into the dynamic table
    uint32_t inserted = 0;     // entries till then
    uint32_t age_max = 0;      // of the entries, when it was seen
    BlockCache::Leading list;  // of none at first
  };

  DecodedBlock decode_fields(std::span<const uint8_t> block, const DecodeLimits& limits,
                             base::PlainVector<Field>& fields, Arena& arena, BlockCache* cache);
  SharedList* find_leading(const uint8_t* p, const DecodeLimits& limits, BlockCache& cache);
  SharedList* find_leading_anew(const uint8_t* p, BlockCache& cache);
  FieldRecord* record_of(uint32_t index) noexcept;
  const FieldRecord* record_behind(uint8_t octet, FieldRecord* const* static_records) noexcept;
  FieldRecord* intern(const Entry& entry, Arena& arena);
  const char* copy_of(Entry& entry, Arena& arena);
  bool decode_first_reference(uint32_t index, Arena& arena, Field& field);
  void begin_state() noexcept;
  const uint8_t* decode_other(const uint8_t* p, const uint8_t* end, Arena& arena, Field& field, uint32_t& field_bytes);
  const uint8_t* decode_indexed(const uint8_t* p, const uint8_t* end, Arena& arena, Field& field);
  const uint8_t* decode_literal(const uint8_t* p, const uint8_t* end, Arena& arena, Field& field);
  const uint8_t* decode_value(const uint8_t* p, const uint8_t* end, Arena& arena, Field& field);
  const uint8_t* decode_size_update(const uint8_t* p, const uint8_t* end);
  const uint8_t* decode_name(const uint8_t* p, const uint8_t* end, uint32_t index, Arena& arena, Field& field);
  void insert(const Field& field, uint32_t size);
  void make_room(uint32_t size) noexcept;
  void evict_oldest() noexcept;
  void reserve_octets(uint32_t size);
  void grow_octets(uint32_t size);
  void grow_entries();
  static uint32_t kept_octets(const Entry& entry) noexcept {
    return (entry.known == KnownName::kNone ? entry.name_size : 0) + entry.kept_size;
  }
  std::string_view name_of(const Entry& entry) const noexcept {
    if (entry.known != KnownName::kNone) return text_of(entry.known);
    return {octets_.get() + entry.offset, entry.name_size};
  }
  std::string_view kept_value_of(const Entry& entry) const noexcept {
    return {octets_.get() + entry.offset + kept_octets(entry) - entry.kept_size, entry.kept_size};
  }
  Entry& entry(uint32_t age) noexcept {
    return entries_.get()[(first_entry_ + entry_count_ - 1 - age) & (entry_capacity_ - 1)];
  }

  FieldInterner* interner_;
  std::unique_ptr<Entry[]> entries_;  // a ring, oldest at first_entry_
  std::unique_ptr<char[]> octets_;    // of the entries in order, a ring in which none lies across the end
  uint32_t entry_capacity_ = 0;
  uint32_t first_entry_ = 0;
  uint32_t entry_count_ = 0;
  uint32_t inserted_ = 0;
  bool has_evicted_ = false;  // in this block
  uint64_t block_number_ = 0;
  uint32_t shared_octets_ = 0;  // of this block's literals, what fields have in copies that others have made
  Beginning beginning_;
  uint32_t octets_capacity_ = 0;
  uint32_t octets_tail_ = 0;
  uint32_t table_bytes_ = 0;
  uint64_t state_;
  uint32_t table_bytes_max_ = kTableSizeDefault;  // as the peer has set it, never above what we advertised
};

}  // namespace ringway::h2
