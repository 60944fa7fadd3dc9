#include "h2/hpack_encoder.h"

#include <cstring>
#include <utility>

#include "base/assert.h"
#include "base/copy.h"

namespace ringway::h2 {
namespace {

constexpr uint32_t kIntegerSizeMax = 6;

// Section 5.1. `pattern` holds the bits above the prefix.
[[gnu::always_inline]] inline uint8_t* write_integer(uint8_t* p, uint8_t pattern, uint32_t prefix_bits,
                                                     uint32_t value) noexcept {
  const uint32_t mask = (1u << prefix_bits) - 1;
  if (value < mask) {
    *p++ = static_cast<uint8_t>(pattern | value);
    return p;
  }
  *p++ = static_cast<uint8_t>(pattern | mask);
  value -= mask;
  while (value >= 0x80) {
    *p++ = static_cast<uint8_t>(value | 0x80);
    value >>= 7;
  }
  *p++ = static_cast<uint8_t>(value);
  return p;
}

[[gnu::always_inline]] inline uint8_t* write_string(uint8_t* p, std::string_view octets) noexcept {
  p = write_integer(p, 0, 7, static_cast<uint32_t>(octets.size()));
  base::copy_bytes(p, octets.data(), octets.size());
  return p + octets.size();
}

uint32_t literal_size_max(const Field& field) noexcept {
  return static_cast<uint32_t>(sizeof(LiteralStart)) + 3 * kIntegerSizeMax + field.name_size +
         (field.wire_value != nullptr ? field.wire_size : field.value_size);
}

[[gnu::always_inline]] inline uint8_t* write_value(uint8_t* p, const Field& field) noexcept {
  if (field.wire_value == nullptr) return write_string(p, {field.value_octets, field.value_size});
  base::copy_bytes(p, field.wire_value, field.wire_size);
  return p + field.wire_size;
}

// A literal (not a record) whose first octet has `pattern` above `prefix_bits` bits of name index.
[[gnu::always_inline]] inline uint8_t* write_literal(uint8_t* p, uint8_t pattern, uint32_t prefix_bits,
                                                     const Field& field) noexcept {
  const uint8_t name_index = static_index_of(field.known);
  p = write_integer(p, pattern, prefix_bits, name_index);
  if (name_index == 0) p = write_string(p, {field.name_octets, field.name_size});
  return write_value(p, field);
}

// The same without indexing, for the fields of most blocks.
[[gnu::always_inline]] inline uint8_t* write_unindexed(uint8_t* p, uint8_t pattern, const Field& field) noexcept {
  if (field.known == KnownName::kNone) return write_literal(p, pattern, 4, field);
  const LiteralStart& start = kLiteralStarts.rows[static_cast<size_t>(field.known)];
  std::memcpy(p, start.octets, sizeof start.octets);
  *p |= pattern;
  return write_value(p + start.size, field);
}

constexpr uint8_t kIncremental = 0x40;
constexpr uint8_t kNeverIndexed = 0x10;
constexpr uint8_t kWithoutIndexing = 0x00;

uint8_t pattern_of(const Field& field) noexcept {
  return (field.flags & kFieldNeverIndex) != 0 ? kNeverIndexed : kWithoutIndexing;
}

Field literal_of(const FieldRecord& record) noexcept {
  Field literal = make_field(record.name(), record.known, record.value());
  literal.flags = record.flags;
  return literal;
}

void append_literal(const Field& field, base::ByteQueue& out, base::BlockPool& pool) {
  uint8_t* const begin = out.reserve(pool, literal_size_max(field));
  out.commit(static_cast<uint32_t>(write_literal(begin, pattern_of(field), 4, field) - begin));
}

void append_indexed(uint32_t index, base::ByteQueue& out, base::BlockPool& pool) {
  uint8_t* const begin = out.reserve(pool, kIntegerSizeMax);
  if (index < 127) [[likely]] {
    *begin = static_cast<uint8_t>(0x80 | index);
    out.commit(1);
    return;
  }
  out.commit(static_cast<uint32_t>(write_integer(begin, 0x80, 7, index) - begin));
}

}  // namespace

void encode_stateless(const Field& field, base::ByteQueue& out, base::BlockPool& pool) {
  if (field.record != nullptr && field.record->static_index != 0) {
    append_indexed(field.record->static_index, out, pool);
    return;
  }
  append_literal(field.record != nullptr ? literal_of(*field.record) : field, out, pool);
}

// The state after a change is remembered for the next encoder that makes the same change in the same state. Where two
// changes compete for a place, the loser gets a state of its own: that costs memory of lists, and is never wrong.
void HpackEncoder::change_state(TableChange change, uint64_t operand) noexcept {
  struct Step {
    uint64_t state;
    uint64_t operand;
    TableChange change;
    uint64_t next;
  };
  static constexpr uint32_t kSteps = 256;
  static thread_local Step steps[kSteps] = {};
  static thread_local uint64_t latest = kTablelessState;  // 2^64 outlast any process
  const uint64_t mixed = (state_ * 0x9e3779b97f4a7c15 ^ operand) * 0xa0761d6478bd642f + static_cast<uint64_t>(change);
  Step& step = steps[(mixed >> 32) % kSteps];
  if (step.state != state_ || step.operand != operand || step.change != change) {
    step = {state_, operand, change, ++latest};
  }
  state_ = step.next;
}

void HpackEncoder::forgo_table() noexcept {
  ASSERT(inserted_ == 0 && block_number_ == 0);
  inserts_ = false;
  state_ = kTablelessState;
}

void HpackEncoder::set_peer_table_size(uint32_t bytes) noexcept {
  const uint32_t size = bytes < kTableSizeDefault ? bytes : kTableSizeDefault;
  if (size == table_bytes_max_ && announce_lowest_ == UINT32_MAX) return;
  if (size < announce_lowest_) announce_lowest_ = size;
  table_bytes_max_ = size;
  change_state(TableChange::kResize, size);
}

void HpackEncoder::announce_size(base::ByteQueue& out, base::BlockPool& pool) {
  // The peer evicts down to the lowest size that it announced in between, so the same is done here.
  const uint32_t final_size = table_bytes_max_;
  uint8_t* const begin = out.reserve(pool, 2 * kIntegerSizeMax);
  uint8_t* p = begin;
  if (announce_lowest_ < final_size) p = write_integer(p, 0x20, 5, announce_lowest_);
  p = write_integer(p, 0x20, 5, final_size);
  out.commit(static_cast<uint32_t>(p - begin));
  while (table_bytes_ > announce_lowest_) evict_oldest();
  announce_lowest_ = UINT32_MAX;
  change_state(TableChange::kAnnounce);
}

void HpackEncoder::encode_all(std::span<const Field> fields, base::ByteQueue& out, base::BlockPool& pool) {
  const auto count = static_cast<uint32_t>(fields.size());
  uint8_t* begin = out.reserve(pool, count);
  uint8_t* p = begin;
  const uint8_t* end = begin + out.room();
  const Slot* slots = slots_.get();
  Entry* entries = entries_.get();
  const auto reload = [&](uint32_t size) {
    out.commit(static_cast<uint32_t>(p - begin));
    begin = p = out.reserve(pool, size);
    end = begin + out.room();
  };
  for (const Field& field : fields) {
    const FieldRecord* const record = field.record;
    if (record == nullptr) {
      // Beside the literal there is always room for an octet of each field.
      const uint32_t size = literal_size_max(field) + count;
      if (static_cast<size_t>(end - p) < size) [[unlikely]]
        reload(size);
      p = write_unindexed(p, pattern_of(field), field);
      continue;
    }
    uint32_t index = record->static_index;
    if (index == 0 && slots != nullptr) {
      const Slot& slot = slots[record->index & (slot_count_ - 1)];
      if (slot.record_index == record->index && slot.generation == record->generation && is_live(slot)) {
        entries[slot.number & (entry_capacity_ - 1)].used_in_block = block_number_;
        index = kStaticTableSize + (inserted_ - slot.number);
      }
    }
    // One octet holds an index below 127.
    if (index - 1 < 126) [[likely]] {
      *p++ = static_cast<uint8_t>(0x80 | index);
      continue;
    }
    out.commit(static_cast<uint32_t>(p - begin));
    begin = p;
    encode_slowly(field, out, pool);
    slots = slots_.get();
    entries = entries_.get();
    reload(count);
  }
  out.commit(static_cast<uint32_t>(p - begin));
}

void HpackEncoder::encode_shared(SharedList& list, base::ByteQueue& out, base::BlockPool& pool) {
  const uint64_t state = state_;
  const uint32_t begin = out.size();
  encode_all({list.fields, list.count}, out, pool);
  const uint32_t size = out.size() - begin;
  if (state != state_ || size > SharedList::Encoded::kSizeMax) return;
  SharedList::Encoded& slot = list.encoded[list.encoded[0].encoder_state == state ? 0 : 1];
  slot.encoder_state = state;
  slot.uses = 0;
  slot.size = static_cast<uint8_t>(size);
  std::memcpy(slot.octets, out.data() + begin, size);
  std::swap(list.encoded[0], slot);
}

void HpackEncoder::encode_slowly(const Field& field, base::ByteQueue& out, base::BlockPool& pool) {
  if (field.record == nullptr) return append_literal(field, out, pool);
  if (const uint32_t index = index_of(*field.record)) return append_indexed(index, out, pool);
  insert_record(*field.record, out, pool);
}

void HpackEncoder::insert_record(const FieldRecord& record, base::ByteQueue& out, base::BlockPool& pool) {
  const Field literal = literal_of(record);
  Slot* slot = nullptr;
  if (inserts_ && (record.flags & kFieldNeverIndex) == 0 && record.value_size <= kIndexedValueMax &&
      make_room(record.hpack_size())) {
    slot = slot_for(record);
  }
  if (slot == nullptr) return append_literal(literal, out, pool);
  reserve_entry();
  entry(inserted_) = {record.index, record.hpack_size(), block_number_};
  *slot = {record.index, record.generation, inserted_};
  ++inserted_;
  change_state(TableChange::kInsert, uint64_t{record.index} << 32 | record.generation);
  table_bytes_ += record.hpack_size();
  uint8_t* const begin = out.reserve(pool, literal_size_max(literal));
  out.commit(static_cast<uint32_t>(write_literal(begin, kIncremental, 6, literal) - begin));
}

// A free slot for a record that is to be inserted; null when its place is taken by a live one and the map is at its
// largest: that field then stays a literal.
HpackEncoder::Slot* HpackEncoder::slot_for(const FieldRecord& record) {
  for (;;) {
    if (slot_count_ != 0) {
      Slot& slot = slots_[record.index & (slot_count_ - 1)];
      if (!is_live(slot) || slot.record_index == record.index) return &slot;
      if (slot_count_ == kSlotsMax) return nullptr;
    }
    const uint32_t count = slot_count_ == 0 ? 16 : slot_count_ * 2;
    auto grown = std::make_unique<Slot[]>(count);
    for (uint32_t i = 0; i < slot_count_; ++i) {
      if (is_live(slots_[i])) grown[slots_[i].record_index & (count - 1)] = slots_[i];
    }
    slots_ = std::move(grown);
    slot_count_ = count;
  }
}

// Evicts until `bytes` fit. The table is a queue: with more repeating fields than fit, each insertion would push out
// one that is still in use, and nothing would ever be found again. So an entry that recent blocks used is pushed out at
// most once in kHotBlocks blocks, and the new field stays a literal meanwhile.
bool HpackEncoder::make_room(uint32_t bytes) {
  if (bytes > table_bytes_max_) return false;
  while (table_bytes_ + bytes > table_bytes_max_) {
    const bool is_hot = block_number_ - entry(oldest_).used_in_block < kHotBlocks;
    if (is_hot && block_number_ - hot_eviction_block_ < kHotBlocks) return false;
    if (is_hot) hot_eviction_block_ = block_number_;
    evict_oldest();
  }
  return true;
}

void HpackEncoder::evict_oldest() noexcept {
  ASSERT(oldest_ != inserted_);
  table_bytes_ -= entry(oldest_).bytes;
  ++oldest_;
  change_state(TableChange::kEvict);
}

void HpackEncoder::reserve_entry() {
  if (inserted_ - oldest_ < entry_capacity_) return;
  const uint32_t capacity = entry_capacity_ == 0 ? 8 : entry_capacity_ * 2;
  auto grown = std::make_unique_for_overwrite<Entry[]>(capacity);
  for (uint32_t number = oldest_; number != inserted_; ++number) grown[number & (capacity - 1)] = entry(number);
  entries_ = std::move(grown);
  entry_capacity_ = capacity;
}

}  // namespace ringway::h2
