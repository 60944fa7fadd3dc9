// Header fields on their way through. A field is either interned (a record that the shard shares: compared, counted and
// forwarded as a handle) or literal (octets that live until the end of the receive call).
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/assert.h"
#include "base/intrusive_list.h"
#include "h2/arena.h"
#include "h2/known_names.h"

namespace ringway::h2 {

// RFC 7541 section 4.1.
inline constexpr uint32_t kFieldOverhead = 32;

// What validation found, once, when the field was decoded or interned.
inline constexpr uint8_t kFieldNeverIndex = 0x1;  // the peer said so, or the name is sensitive
inline constexpr uint8_t kFieldMalformed = 0x2;   // octets that RFC 9113 section 8.2.1 forbids
inline constexpr uint8_t kFieldIsValid = 0x4;     // interned: the value is what this name allows (see is_valid_meaning)
inline constexpr uint8_t kFieldIsGrpc = 0x8;      // interned: a content-type of gRPC
// Literal: the value is there in Huffman code alone (wire_value), of which it is known that it decodes to a valid value
// of value_size octets. For names that passes_unread() allows.
inline constexpr uint8_t kFieldCoded = 0x10;
// Literal: name and value lie together in the arena, as a TableCopy that all fields of the block with that entry share.
inline constexpr uint8_t kFieldTableCopy = 0x20;

struct FieldRecord : base::ListLink {
  uint32_t index;       // dense, reused
  uint32_t generation;  // of this use of the index
  uint32_t references;
  uint32_t hash;
  FieldRecord* next_in_bucket;
  const char* octets;  // name, then value
  uint32_t value_size;
  uint16_t name_size;
  KnownName known;
  uint8_t flags;
  uint8_t static_index;  // 1 to 61 for the records of the static table, else 0
  uint16_t status;       // the number in a :status, else 0
  uint32_t list_bytes;   // name + value + 32 (RFC 9113 section 6.5.2)
  bool is_idle;          // in the list of records nobody refers to
  uint32_t idle_epoch;   // when it came there

  std::string_view name() const noexcept { return {octets, name_size}; }
  std::string_view value() const noexcept { return {octets + name_size, value_size}; }
  // As the peer's block or our validation set them when the field was interned.
  uint8_t peer_flags() const noexcept { return flags & (kFieldNeverIndex | kFieldMalformed); }
  uint32_t hpack_size() const noexcept { return list_bytes; }
};

// Trivial: lists of fields are made and dropped for every message.
struct Field {
  FieldRecord* record;  // interned, or null
  KnownName known;
  uint8_t flags;
  uint16_t name_size;  // from here on: of a literal, and indeterminate for an interned field
  uint32_t value_size;
  const char* name_octets;  // of a known name: text that is there for ever
  const char* value_octets;
  const uint8_t* wire_value;  // the string literal as it came (length and Huffman bit included), or null
  uint32_t wire_size;

  std::string_view name() const noexcept { return record ? record->name() : std::string_view(name_octets, name_size); }
  // Of a field that is not coded.
  std::string_view value() const noexcept {
    if (record) [[likely]]
      return record->value();
    ASSERT((flags & kFieldCoded) == 0);
    return std::string_view(value_octets, value_size);
  }
  bool is_coded() const noexcept { return record == nullptr && (flags & kFieldCoded) != 0; }
};

// For fields that may be coded. The value, decoded into the arena if it is; and whether it is this one.
std::string_view decoded_value(const Field& field, Arena& arena);
bool has_value(const Field& field, std::string_view value) noexcept;

// What stands before such octets.
struct TableCopy {
  const uint8_t* kept = nullptr;  // where its fields' owner has them, once there is one

  // Of a field with kFieldTableCopy: its octets, name first, of which a known name is not read.
  static const char* octets_of(const Field& field) noexcept {
    if (field.known == KnownName::kNone) return field.name_octets;
    const char* const value =
        (field.flags & kFieldCoded) != 0 ? reinterpret_cast<const char*>(field.wire_value) : field.value_octets;
    return value - field.name_size;
  }
};

// A literal field of ours; `name` and `value` must outlive its use.
inline Field make_field(std::string_view name, KnownName known, std::string_view value) noexcept {
  return {.record = nullptr,
          .known = known,
          .flags = 0,
          .name_size = static_cast<uint16_t>(name.size()),
          .value_size = static_cast<uint32_t>(value.size()),
          .name_octets = name.data(),
          .value_octets = value.data(),
          .wire_value = nullptr,
          .wire_size = 0};
}
inline Field make_field(KnownName known, std::string_view value) noexcept {
  return make_field(text_of(known), known, value);
}

// The shard's interned fields. Records live while something refers to them and, beyond that, until the budget needs
// their place; an index is reused with a new generation, so that encoders notice.
class FieldInterner {
 public:
  // `hash_key` is secret and random per process, so that peers cannot aim at one bucket. `bytes_max` bounds names,
  // values and overhead of all records but the static ones.
  FieldInterner(uint64_t hash_key, uint32_t bytes_max);
  FieldInterner(const FieldInterner&) = delete;
  FieldInterner& operator=(const FieldInterner&) = delete;
  ~FieldInterner();

  // The record of this field, with a reference for the caller; null when the budget is in use.
  FieldRecord* intern(std::string_view name, KnownName known, std::string_view value, uint8_t flags);

  FieldRecord* static_record(uint32_t index) noexcept { return static_records_[index]; }
  // By index 0 to 61; number 0 is null.
  FieldRecord* const* static_records() const noexcept { return static_records_.data(); }

  // Also of a record that lost its last reference in this epoch, as by an eviction later in the block that names it.
  static void retain(FieldRecord& record) noexcept {
    if (record.is_idle) [[unlikely]] {
      record.unlink();
      record.is_idle = false;
    }
    ++record.references;
  }
  void release(FieldRecord& record) noexcept {
    if (--record.references == 0) become_idle(record);
  }

  // Records that become idle stay readable until the next epoch: decoded lists may still name them. Called before each
  // receive call.
  void begin_epoch() noexcept { ++epoch_; }

  // A fresh number for the state of a decoder's table, never 0 and never used before.
  uint64_t next_table_state() noexcept { return ++table_state_; }

  // How often intern() found the budget in use.
  uint32_t failure_count() const noexcept { return failure_count_; }

  uint32_t bytes() const noexcept { return bytes_; }
  uint32_t record_count() const noexcept { return record_count_; }

 private:
  uint32_t hash_of(std::string_view name, std::string_view value) const noexcept;
  FieldRecord* make(std::string_view name, std::string_view value);
  static void annotate(FieldRecord& record, KnownName known, uint8_t flags) noexcept;
  void become_idle(FieldRecord& record) noexcept;
  void evict(FieldRecord& record) noexcept;
  void grow_buckets();

  uint64_t hash_key_;
  uint32_t bytes_max_;
  uint32_t bytes_ = 0;
  uint32_t record_count_ = 0;
  std::vector<FieldRecord*> buckets_;
  std::vector<FieldRecord*> unused_;  // evicted records, kept for their index and generation
  std::vector<FieldRecord*> static_records_;
  base::IntrusiveList<FieldRecord> idle_;  // oldest first
  uint32_t next_index_ = 0;
  uint32_t epoch_ = 0;
  uint32_t failure_count_ = 0;
  uint64_t table_state_ = 0;  // 2^64 outlast any process
};

// True when a value means something under its name: a path begins with '/', te is "trailers", :status has three digits
// … (RFC 9113 sections 8.2.2 and 8.3). Always true for names without such a rule.
bool is_valid_meaning(KnownName name, std::string_view value) noexcept;

// Content-Type is application/grpc in letters of either case (RFC 9110 section 8.3.1), alone or followed by '+'
// (PROTOCOL-HTTP2.md, Content-Type) or by what ends a media type: ';', ',', a space or a tab.
bool is_grpc_content_type(std::string_view value) noexcept;
bool is_grpc_content_type(const Field& content_type) noexcept;

// 100 to 999, or 0.
uint16_t parse_status(std::string_view value) noexcept;

// True when the octets are allowed: lower-case token characters, with a leading ':' for pseudo-fields (RFC 9113 8.2.1).
bool is_valid_name(std::string_view name) noexcept;
// True when there is no NUL, CR or LF and no space or tab at either end.
bool is_valid_value(std::string_view value) noexcept;

}  // namespace ringway::h2
