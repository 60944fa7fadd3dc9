// Encodes request header lists as grpc-go does: every field that is not in a table yet is inserted into the dynamic
// table, values that never come again too. nghttp2's own deflater cannot play this client: it sends `authorization`
// never-indexed whatever its length and leaves `:path` out of the table. One encoder a connection; the peer's decoder
// is its judge (RFC 7541).
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "byte_buffer.h"

namespace ringway::load {

// The fields that a run's requests are made of, shared by all connections. A field with a value of its own in every
// request is registered by its name only.
class FieldList {
 public:
  // Answers the field's number.
  uint32_t add(std::string name, std::string value);
  uint32_t add_varying(std::string name);

  struct Field {
    std::string name;
    std::string value;
    uint32_t static_index;       // of name and value together; 0: none
    uint32_t static_name_index;  // of the name; 0: none
    bool is_varying;
  };
  const Field& operator[](uint32_t field) const noexcept { return fields_[field]; }
  size_t size() const noexcept { return fields_.size(); }

 private:
  std::vector<Field> fields_;
};

class HeaderEncoder {
 public:
  static constexpr uint32_t kTable_bytes = 4096;  // RFC 9113 section 6.5.2: the initial value; more is never used

  explicit HeaderEncoder(const FieldList& fields) : fields_(fields), inserted_as_(fields.size(), 0) {}

  // The peer's SETTINGS_HEADER_TABLE_SIZE; announced in the next block.
  void limit_table(uint32_t bytes);

  void begin_block(session::ByteBuffer& out);
  void add(session::ByteBuffer& out, uint32_t field);
  void add_varying(session::ByteBuffer& out, uint32_t field, std::string_view value);

 private:
  struct Entry {
    uint32_t field;
    uint32_t size;
  };

  bool is_in_table(uint32_t field) const noexcept { return inserted_as_[field] > evicted_count_; }
  uint32_t table_index(uint32_t field) const noexcept;
  void add_literal(session::ByteBuffer& out, uint32_t field, std::string_view value);
  void insert(uint32_t field, uint32_t size);
  void evict_to(uint32_t bytes);

  const FieldList& fields_;
  std::deque<Entry> table_;            // oldest first
  std::vector<uint64_t> inserted_as_;  // the number of each field's latest insertion, from 1; 0: none
  uint64_t evicted_count_ = 0;
  uint32_t used_bytes_ = 0;
  uint32_t limit_bytes_ = kTable_bytes;
  bool has_new_limit_ = false;
};

}  // namespace ringway::load
