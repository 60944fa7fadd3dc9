// HPACK encoding (RFC 7541). One encoder per connection. Interned fields are written as one or two octets once they are
// in this connection's table; literals are copied as they came. It never Huffman-codes by itself.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "base/block_pool.h"
#include "base/byte_queue.h"
#include "h2/block_cache.h"
#include "h2/field.h"
#include "h2/frame.h"

namespace ringway::h2 {

class HpackEncoder {
 public:
  HpackEncoder() noexcept = default;
  HpackEncoder(const HpackEncoder&) = delete;
  HpackEncoder& operator=(const HpackEncoder&) = delete;

  // The peer's SETTINGS_HEADER_TABLE_SIZE; above 4,096 is not used. Takes effect, and is announced, with the next block
  // (section 4.2).
  void set_peer_table_size(uint32_t bytes) noexcept;

  // Nothing is inserted from here on: fields are indexes into the static table or literals, and never indexes into what
  // others have sent. Before the first block.
  void forgo_table() noexcept;

  // Call before the first field of each block.
  void begin_block(base::ByteQueue& out, base::BlockPool& pool) {
    ++block_number_;
    if (announce_lowest_ != UINT32_MAX) [[unlikely]]
      announce_size(out, pool);
  }

  // Appends one field.
  void encode(const Field& field, base::ByteQueue& out, base::BlockPool& pool) {
    if (field.record != nullptr) [[likely]] {
      const uint32_t index = field.record->static_index != 0 ? field.record->static_index : index_of(*field.record);
      // One octet holds an index below 127.
      if (index - 1 < 126) [[likely]] {
        *out.reserve(pool, 1) = static_cast<uint8_t>(0x80 | index);
        out.commit(1);
        return;
      }
    }
    encode_slowly(field, out, pool);
  }

  // Appends many fields; the same as encode() for each, with the loop's state in registers.
  void encode_all(std::span<const Field> fields, base::ByteQueue& out, base::BlockPool& pool);

  // A whole block: what was written for the list before, if that is still right. Null: begin_block(), then
  // encode_shared().
  const SharedList::Encoded* encode_as_before(SharedList& list) noexcept {
    const SharedList::Encoded* const encoded = use_encoded(list);
    if (encoded != nullptr) [[likely]]
      ++block_number_;
    return encoded;
  }

  // Appends a shared list to a block.
  void append_shared(SharedList& list, base::ByteQueue& out, base::BlockPool& pool) {
    const SharedList::Encoded* const encoded = use_encoded(list);
    if (encoded == nullptr) [[unlikely]]
      return encode_shared(list, out, pool);
    // Whatever the size, the room for the largest is moved.
    __builtin_memcpy(out.reserve(pool, SharedList::Encoded::kSizeMax), encoded->octets, SharedList::Encoded::kSizeMax);
    out.commit(encoded->size);
  }

  // Appends a shared list and remembers how it was written.
  void encode_shared(SharedList& list, base::ByteQueue& out, base::BlockPool& pool);

  uint32_t table_bytes() const noexcept { return table_bytes_; }
  uint32_t entry_count() const noexcept { return inserted_ - oldest_; }

 private:
  const SharedList::Encoded* use_encoded(SharedList& list) noexcept {
    SharedList::Encoded* encoded = &list.encoded[0];
    if (encoded->encoder_state != state_) [[unlikely]] {
      if ((++encoded)->encoder_state != state_) return nullptr;
    }
    if (++encoded->uses >= SharedList::Encoded::kUsesMax) [[unlikely]]
      return nullptr;
    return encoded;
  }

  // The table as the peer sees it: entry number n was the n-th insertion, oldest_ <= n < inserted_.
  struct Entry {
    uint32_t record_index;
    uint32_t bytes;
    uint32_t used_in_block;
  };
  // Where a record is; direct-mapped by the record's index.
  struct Slot {
    uint32_t record_index = UINT32_MAX;
    uint32_t generation = 0;
    uint32_t number = 0;
  };

  enum class TableChange : uint8_t { kInsert, kEvict, kResize, kAnnounce };
  void change_state(TableChange change, uint64_t operand = 0) noexcept;

  // Of a table of the default size to which nothing has happened yet.
  static constexpr uint64_t kFirstState = 1;
  // Of an encoder that inserts nothing: it shares no octets with those that do, which would not insert either then.
  static constexpr uint64_t kTablelessState = 2;
  static constexpr uint32_t kSlotsMax = 256;
  static constexpr uint32_t kIndexedValueMax = 512;  // a longer value costs the others their place
  static constexpr uint32_t kHotBlocks = 64;

  bool is_live(const Slot& slot) const noexcept {
    return slot.record_index != UINT32_MAX && slot.number - oldest_ < inserted_ - oldest_;
  }
  Entry& entry(uint32_t number) noexcept { return entries_[number & (entry_capacity_ - 1)]; }
  // The record's index in the table as the peer counts it; 0 when it is not there.
  uint32_t index_of(const FieldRecord& record) noexcept {
    if (slot_count_ == 0) return 0;
    const Slot& slot = slots_[record.index & (slot_count_ - 1)];
    if (slot.record_index != record.index || slot.generation != record.generation || !is_live(slot)) return 0;
    entry(slot.number).used_in_block = block_number_;
    return kStaticTableSize + (inserted_ - slot.number);
  }
  void announce_size(base::ByteQueue& out, base::BlockPool& pool);
  void encode_slowly(const Field& field, base::ByteQueue& out, base::BlockPool& pool);
  void insert_record(const FieldRecord& record, base::ByteQueue& out, base::BlockPool& pool);
  Slot* slot_for(const FieldRecord& record);
  bool make_room(uint32_t bytes);
  void evict_oldest() noexcept;
  void reserve_entry();

  std::unique_ptr<Entry[]> entries_;
  std::unique_ptr<Slot[]> slots_;
  uint32_t entry_capacity_ = 0;
  uint32_t slot_count_ = 0;
  uint32_t inserted_ = 0;
  uint32_t oldest_ = 0;
  uint32_t table_bytes_ = 0;
  uint32_t table_bytes_max_ = kTableSizeDefault;
  bool inserts_ = true;
  uint32_t announce_lowest_ = UINT32_MAX;  // the smallest size since the last block; UINT32_MAX: nothing to announce
  // Changes with the table, and when a size is to be announced. Encoders of one thread with the same past have the same
  // state, so that what one has written for a list is right for all of them.
  uint64_t state_ = kFirstState;
  uint32_t block_number_ = 0;
  uint32_t hot_eviction_block_ = 0;
};

// Appends one field as a literal without indexing, by name index or name, never by table: such a block may be written
// long before it is sent.
void encode_stateless(const Field& field, base::ByteQueue& out, base::BlockPool& pool);

}  // namespace ringway::h2
