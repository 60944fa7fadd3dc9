// Header blocks that were decoded, checked and found to consist of interned fields alone, remembered by their octets
// and the state of the decoder they were for: real calls repeat most of their blocks, and then nothing is decoded at
// all. One per shard; one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "base/copy.h"
#include "base/plain_vector.h"
#include "h2/field.h"
#include "h2/message.h"

namespace ringway::h2 {

// A list of interned fields that may outlive the receive call: shared by the cache, exchanges and events. Blocks of
// different connections that mean the same have the same list.
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
  uint32_t list_bytes = 0;  // RFC 9113 section 6.5.2
  uint32_t content_hash = 0;
  MessageKind kind = MessageKind::kRequest;
  MessageHead head;
  SharedList* next_in_bucket = nullptr;
  Encoded encoded[2];  // most recently written first
  Field fields[1];     // `count` of them
};

class BlockCache {
 public:
  explicit BlockCache(FieldInterner& interner);
  BlockCache(const BlockCache&) = delete;
  BlockCache& operator=(const BlockCache&) = delete;
  ~BlockCache();

  static constexpr uint32_t kBlockSizeMax = 64;
  // Of the list that a remembered block means. A larger one is looked at each time, so that its owner can account for
  // it.
  static constexpr uint32_t kListBytesMax = 8 * 1024;
  // Blocks that may be remembered and found.
  static bool takes(std::span<const uint8_t> block) noexcept { return block.size() - 1 < kBlockSizeMax; }

  // The list that `block`, which is one that takes() allows, means to a decoder in `decoder_state` (see
  // HpackDecoder::state) as a message of this kind, or null. The eight octets before the block are read too: it stands
  // behind its frame's header.
  SharedList* find(uint64_t decoder_state, std::span<const uint8_t> block, MessageKind kind) const noexcept {
    const Key key = key_of(decoder_state, block, kind);
    const Entry* const set = entries_.get() + key.hash() % kSets * kWays;
    for (uint32_t way = 0; way < kWays; ++way) {
      if (set[way].key == key && has_same_middle(set[way], block)) [[likely]]
        return set[way].list;
    }
    return nullptr;
  }

  // Remembers such a block, if it leaves the decoder's state as it is. Its literals are interned, which makes them
  // records in `fields` too, when the same block is met for the second time: a client that does not index its paths
  // repeats them, while what is new in every call would only fill the interner. A request with x-forwarded-client-cert
  // is never remembered: it is not passed on as it came, and those that are need not be asked.
  void store(uint64_t decoder_state, std::span<const uint8_t> block, MessageKind kind, std::span<Field> fields,
             const MessageHead& head);

  // Where a list is kept that requests begin with. Another may take the place, which is then another leading.
  struct Leading {
    uint32_t place = 0;
    uint32_t tenancy = UINT32_MAX;
  };
  static constexpr uint32_t kLeadingMin = 4;  // a request has three pseudo-fields at least
  static constexpr uint32_t kLeadingMax = 8;

  // The list of these records, of which there are kLeadingMin to kLeadingMax, as the beginning of a request whose other
  // fields are not known yet; null when they would not be a request by themselves, or one that store() leaves out.
  // `where` finds it again.
  SharedList* leading_list(std::span<FieldRecord* const> records, Leading& where);
  // The same list, or null when it has lost its place.
  SharedList* leading_list(Leading where) const noexcept {
    const LeadingPlace& place = leading_.get()[where.place];
    return place.tenancy == where.tenancy ? place.list : nullptr;
  }

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
  // 64 connections with 64 methods each find their blocks.
  static constexpr uint32_t kSets = 1024;
  static constexpr uint32_t kWays = 4;
  static constexpr uint32_t kBuckets = 1024;

  // All of a block of up to 16 octets, and both ends of a longer one.
  struct Key {
    uint64_t decoder_state = 0;
    uint64_t first = 0;
    uint64_t last = 0;
    uint64_t shape = 0;  // the size, and the kind above it; 0: nothing is remembered here

    bool operator==(const Key&) const = default;
    uint64_t hash() const noexcept {
      const uint64_t mixed =
          (first ^ (decoder_state * 0x9e3779b97f4a7c15)) * 0xa0761d6478bd642f ^ last * 0xe7037ed1a0b428db;
      return mixed ^ (mixed >> 29);
    }
  };
  static constexpr uint32_t kKeyOctets = 16;

  struct Entry {
    Key key;
    SharedList* list = nullptr;
    uint8_t middle[kBlockSizeMax - kKeyOctets];  // what the key does not hold
  };

  static Key key_of(uint64_t decoder_state, std::span<const uint8_t> block, MessageKind kind) noexcept {
    const size_t size = block.size();
    Key key{decoder_state, 0, 0, size | static_cast<uint64_t>(kind) << 32};
    __builtin_memcpy(&key.last, block.data() + size - 8, 8);
    if (size >= 8) {
      __builtin_memcpy(&key.first, block.data(), 8);
    } else {
      key.last >>= 64 - size * 8;
    }
    return key;
  }
  static bool has_same_middle(const Entry& entry, std::span<const uint8_t> block) noexcept {
    return block.size() <= kKeyOctets ||
           base::are_equal_bytes(entry.middle, block.data() + 8, block.size() - kKeyOctets);
  }

  static constexpr uint32_t kLeadingPlaces = 1024;
  struct LeadingPlace {
    SharedList* list = nullptr;
    uint32_t tenancy = 0;
  };

  bool intern_literals(uint64_t block_hash, std::span<Field> fields);
  SharedList* list_of(MessageKind kind, std::span<const Field> fields, const MessageHead& head);
  void destroy(SharedList& list) noexcept;

  base::PlainVector<SharedList*> displaced_;
  FieldInterner& interner_;
  std::unique_ptr<Entry[]> entries_;         // in sets of kWays
  std::unique_ptr<SharedList*[]> buckets_;   // of all lists, by content
  std::unique_ptr<LeadingPlace[]> leading_;  // by content
  std::unique_ptr<uint32_t[]> seen_;         // hashes of blocks with literals that were met once, by set
  Arena scratch_;
  uint32_t next_way_ = 0;
};

}  // namespace ringway::h2
