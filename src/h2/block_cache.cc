#include "h2/block_cache.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#include "base/assert.h"

namespace ringway::h2 {
namespace {

uint32_t content_hash_of(MessageKind kind, std::span<const Field> fields) noexcept {
  uint64_t mixed = static_cast<uint64_t>(kind) + 1;
  for (const Field& field : fields) mixed = (mixed ^ field.record->index) * 0x9e3779b97f4a7c15;
  return static_cast<uint32_t>(mixed >> 32);
}

bool has_same_records(const SharedList& list, std::span<const Field> fields) noexcept {
  return std::ranges::equal(std::span(list.fields, list.count), fields, {}, &Field::record, &Field::record);
}

}  // namespace

BlockCache::BlockCache(FieldInterner& interner)
    : interner_(interner),
      entries_(std::make_unique<Entry[]>(kSets * kWays)),
      buckets_(std::make_unique<SharedList*[]>(kBuckets)),
      leading_(std::make_unique<LeadingPlace[]>(kLeadingPlaces)),
      seen_(std::make_unique<uint32_t[]>(kSets)) {}

BlockCache::~BlockCache() {
  clear();
  begin_epoch();
}

// False when the block is met for the first time, or has a field that must not be interned.
bool BlockCache::intern_literals(uint64_t block_hash, std::span<Field> fields) {
  const auto is_literal = [](const Field& field) { return field.record == nullptr; };
  if (std::ranges::none_of(fields, is_literal)) return true;
  uint32_t& seen = seen_[block_hash % kSets];
  const auto rest_of_hash = static_cast<uint32_t>(block_hash >> 32);
  if (seen != rest_of_hash) {
    seen = rest_of_hash;
    return false;
  }
  for (const Field& field : fields) {
    if (is_literal(field) && (field.flags & kFieldNeverIndex) != 0) return false;
  }
  scratch_.reset();
  for (Field& field : fields) {
    if (!is_literal(field)) continue;
    const auto flags = static_cast<uint8_t>(field.flags & ~(kFieldCoded | kFieldTableCopy));
    FieldRecord* const record = interner_.intern(field.name(), field.known, decoded_value(field, scratch_), flags);
    if (record == nullptr) {
      clear();
      return false;
    }
    field.record = record;
    field.flags = record->flags;
    // The list will have its own reference; until then the record stays readable for the epoch.
    interner_.release(*record);
  }
  return true;
}

// The list with these records, with a reference for the caller.
SharedList* BlockCache::list_of(MessageKind kind, std::span<const Field> fields, const MessageHead& head) {
  const uint32_t content_hash = content_hash_of(kind, fields);
  SharedList*& bucket = buckets_[content_hash % kBuckets];
  for (SharedList* list = bucket; list != nullptr; list = list->next_in_bucket) {
    if (list->content_hash != content_hash || list->kind != kind || !has_same_records(*list, fields)) continue;
    retain(*list);
    return list;
  }
  void* memory = std::malloc(sizeof(SharedList) + fields.size() * sizeof(Field));
  ASSERT(memory != nullptr);
  auto* list = new (memory) SharedList();
  list->references = 1;
  list->count = static_cast<uint32_t>(fields.size());
  list->content_hash = content_hash;
  list->kind = kind;
  list->head = head;
  for (uint32_t i = 0; i < list->count; ++i) {
    list->fields[i] = fields[i];
    list->list_bytes += fields[i].record->list_bytes;
    FieldInterner::retain(*fields[i].record);
  }
  list->next_in_bucket = bucket;
  bucket = list;
  return list;
}

void BlockCache::store(uint64_t decoder_state, std::span<const uint8_t> block, MessageKind kind,
                       std::span<Field> fields, const MessageHead& head) {
  ASSERT(takes(block));
  if (kind == MessageKind::kRequest && head.client_cert != 0) return;
  const Key key = key_of(decoder_state, block, kind);
  if (!intern_literals(key.hash(), fields)) return;
  Entry* const set = &entries_[key.hash() % kSets * kWays];
  Entry* entry = std::find_if(set, set + kWays, [](const Entry& way) { return way.key.shape == 0; });
  if (entry == set + kWays) {
    entry = set + next_way_++ % kWays;
    // An event of this receive call may name the list that loses its place.
    displaced_.push_back(entry->list);
  }
  entry->key = key;
  entry->list = list_of(kind, fields, head);
  if (block.size() > kKeyOctets) std::memcpy(entry->middle, block.data() + 8, block.size() - kKeyOctets);
}

SharedList* BlockCache::leading_list(std::span<FieldRecord* const> records, Leading& where) {
  Field fields[kLeadingMax];
  const std::span<Field> list_fields(fields, records.size());
  for (size_t i = 0; i < records.size(); ++i) {
    fields[i] = {.record = records[i], .known = records[i]->known, .flags = records[i]->flags};
  }
  const uint32_t content_hash = content_hash_of(MessageKind::kRequest, list_fields);
  where.place = content_hash % kLeadingPlaces;
  LeadingPlace& place = leading_[where.place];
  where.tenancy = place.tenancy;
  if (place.list != nullptr && place.list->content_hash == content_hash && has_same_records(*place.list, list_fields)) {
    return place.list;
  }
  MessageHead head;
  if (!check_message(MessageKind::kRequest, list_fields, head) || head.client_cert != 0) return nullptr;
  SharedList* const list = list_of(MessageKind::kRequest, list_fields, head);
  if (place.list != nullptr) displaced_.push_back(place.list);
  place.list = list;
  where.tenancy = ++place.tenancy;
  return list;
}

void BlockCache::clear() noexcept {
  for (uint32_t i = 0; i < kLeadingPlaces; ++i) {
    LeadingPlace& place = leading_[i];
    if (place.list == nullptr) continue;
    displaced_.push_back(place.list);
    place.list = nullptr;
    ++place.tenancy;
  }
  for (uint32_t i = 0; i < kSets * kWays; ++i) {
    Entry& entry = entries_[i];
    if (entry.key.shape == 0) continue;
    displaced_.push_back(entry.list);
    entry.key = {};
  }
}

void BlockCache::destroy(SharedList& list) noexcept {
  SharedList** link = &buckets_[list.content_hash % kBuckets];
  while (*link != &list) link = &(*link)->next_in_bucket;
  *link = list.next_in_bucket;
  for (uint32_t i = 0; i < list.count; ++i) interner_.release(*list.fields[i].record);
  std::free(&list);
}

}  // namespace ringway::h2
