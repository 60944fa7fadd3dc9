#include "h2/block_cache.h"

#include <cstdlib>
#include <cstring>
#include <new>

#include "base/assert.h"

namespace ringway::h2 {

BlockCache::BlockCache(FieldInterner& interner) : interner_(interner), entries_(std::make_unique<Entry[]>(kEntries)) {}

BlockCache::~BlockCache() {
  begin_epoch();
  for (uint32_t i = 0; i < kEntries; ++i) {
    if (entries_[i].list != nullptr) release(*entries_[i].list);
  }
}

void BlockCache::store(uint64_t decoder_state, std::span<const uint8_t> block, MessageKind kind,
                       std::span<const Field> fields, const MessageHead& head) {
  ASSERT(block.size() <= kBlockSizeMax);
  Entry& entry = entries_[hash(decoder_state, block) % kEntries];
  // An event of this receive call may name the list that loses its place.
  if (entry.list != nullptr) displaced_.push_back(entry.list);
  void* memory = std::malloc(sizeof(SharedList) + fields.size() * sizeof(Field));
  ASSERT(memory != nullptr);
  auto* list = new (memory) SharedList();
  list->references = 1;
  list->count = static_cast<uint32_t>(fields.size());
  list->kind = kind;
  list->head = head;
  for (uint32_t i = 0; i < list->count; ++i) {
    list->fields[i] = fields[i];
    FieldInterner::retain(*fields[i].record);
  }
  entry.decoder_state = decoder_state;
  entry.list = list;
  entry.size = static_cast<uint32_t>(block.size());
  std::memcpy(entry.octets, block.data(), block.size());
}

void BlockCache::clear() noexcept {
  for (uint32_t i = 0; i < kEntries; ++i) {
    if (entries_[i].list == nullptr) continue;
    displaced_.push_back(entries_[i].list);
    entries_[i].list = nullptr;
    entries_[i].decoder_state = 0;
  }
}

void BlockCache::destroy(SharedList& list) noexcept {
  for (uint32_t i = 0; i < list.count; ++i) interner_.release(*list.fields[i].record);
  std::free(&list);
}

}  // namespace ringway::h2
