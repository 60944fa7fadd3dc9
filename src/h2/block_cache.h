// Header blocks that were decoded, checked and found to consist of interned fields alone, remembered by their octets
// and the state of the decoder they were for: real calls repeat most of their blocks, and then nothing is decoded at
// all. One per shard; one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "base/plain_vector.h"
#include "h2/field.h"
#include "h2/message.h"

namespace ringway::h2 {

// A list of interned fields that may outlive the receive call: shared by the cache, exchanges and events.
struct SharedList {
  // The list as one encoder last wrote it; valid while that encoder's table is as it was.
  struct Encoded {
    static constexpr uint32_t kSizeMax = 32;
    // After so many uses the fields are looked up all the same: that is what marks their table entries as in use.
    static constexpr uint8_t kUsesMax = 32;
    uint64_t encoder_state = 0;  // 0: none
    uint8_t size = 0;
    uint8_t uses = 0;
    uint8_t octets[kSizeMax];
  };

  uint32_t references = 0;
  uint32_t count = 0;
  MessageKind kind = MessageKind::kRequest;
  MessageHead head;
  uint32_t route_listener = UINT32_MAX;  // for the owner: what routing found for this list, and for which listener
  uint32_t route = 0;
  Encoded encoded[2];  // most recently written first
  Field fields[1];     // `count` of them
};

class BlockCache {
 public:
  explicit BlockCache(FieldInterner& interner);
  BlockCache(const BlockCache&) = delete;
  BlockCache& operator=(const BlockCache&) = delete;
  ~BlockCache();

  static constexpr uint32_t kBlockSizeMax = 48;

  // The list that `block` means to a decoder in `decoder_state` (see HpackDecoder::state), or null.
  SharedList* find(uint64_t decoder_state, std::span<const uint8_t> block) noexcept {
    Entry& entry = entries_[hash(decoder_state, block) % kEntries];
    if (entry.decoder_state != decoder_state || entry.size != block.size()) return nullptr;
    return __builtin_memcmp(entry.octets, block.data(), block.size()) == 0 ? entry.list : nullptr;
  }

  // Remembers a block of at most kBlockSizeMax octets whose fields are all interned. The list keeps their records.
  void store(uint64_t decoder_state, std::span<const uint8_t> block, MessageKind kind, std::span<const Field> fields,
             const MessageHead& head);

  // Forgets all blocks, so that their records may go: a peer that cycles its table fills the cache with lists that
  // nobody asks for again.
  void clear() noexcept;

  // Lists that lost their place stay readable until the next epoch. Called before each receive call.
  void begin_epoch() noexcept {
    while (!displaced_.empty()) [[unlikely]] {
      release(*displaced_.back());
      displaced_.pop_back();
    }
  }

  static void retain(SharedList& list) noexcept { ++list.references; }
  void release(SharedList& list) noexcept {
    if (--list.references == 0) destroy(list);
  }

 private:
  static constexpr uint32_t kEntries = 1024;

  struct Entry {
    uint64_t decoder_state = 0;
    SharedList* list = nullptr;
    uint32_t size = 0;
    uint8_t octets[kBlockSizeMax];
  };

  // The first and last octets and the state: blocks that differ only in between share an entry, no more.
  static uint32_t hash(uint64_t decoder_state, std::span<const uint8_t> block) noexcept {
    uint64_t first = 0;
    uint64_t last = 0;
    if (block.size() >= 8) {
      __builtin_memcpy(&first, block.data(), 8);
      __builtin_memcpy(&last, block.data() + block.size() - 8, 8);
    } else if (block.size() >= 4) {
      __builtin_memcpy(&first, block.data(), 4);
      __builtin_memcpy(&last, block.data() + block.size() - 4, 4);
    } else if (!block.empty()) {
      first = block.front();
      last = block.back();
    }
    const uint64_t mixed =
        (first ^ (decoder_state * 0x9e3779b97f4a7c15)) * 0xa0761d6478bd642f ^ last * 0xe7037ed1a0b428db;
    return static_cast<uint32_t>((mixed ^ (mixed >> 29)) >> 7);
  }

  void destroy(SharedList& list) noexcept;

  base::PlainVector<SharedList*> displaced_;
  FieldInterner& interner_;
  std::unique_ptr<Entry[]> entries_;
};

}  // namespace ringway::h2
