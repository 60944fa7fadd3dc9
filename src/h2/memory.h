// What all HTTP/2 connections of one shard share: pools, interned fields, and the scratch space of the receive call
// that is under way. One thread.
#pragma once

#include <cstdint>
#include <span>

#include "base/block_pool.h"
#include "base/plain_vector.h"
#include "base/slot_pool.h"
#include "h2/arena.h"
#include "h2/block_cache.h"
#include "h2/fault.h"
#include "h2/field.h"
#include "h2/frame.h"
#include "h2/limits.h"
#include "h2/message.h"
#include "h2/stream.h"

namespace ringway::h2 {

enum class EventKind : uint8_t {
  kRequest,        // server role: a new stream with a checked header list
  kInformational,  // client role: a 1xx response
  kResponse,       // client role: the final header list
  kTrailers,
  kData,          // octets of a DATA frame, or part of them; may be empty with end_stream
  kReset,         // RST_STREAM from the peer
  kStreamFailed,  // the peer broke a rule of this stream: RST_STREAM has been queued
  kConnect,       // server role: a new stream that asks for a tunnel (section 8.5); the owner answers
  kListTooLarge,  // server role: a new stream whose header list is beyond the limit; the owner answers
  kWindowOpened,  // the connection may send more DATA
  kSettings,      // the peer's SETTINGS have changed what the owner may do
  kPingAck,
  kGoaway,     // from the peer: streams above last_stream_id were not processed
  kGlitches,   // server role: the peer does much that a sound one does not; it should go (limits.glitches)
  kFault,      // the peer has done this for the first time on this connection; each time is counted
  kIdsEnding,  // server role: the peer has used half of its stream ids; it should begin anew
};

// Only the members that a kind has are set.
struct Event {
  EventKind kind;
  bool end_stream;
  Fault fault;                     // kStreamFailed, kFault
  bool has_large_field;            // kListTooLarge, kStreamFailed: because of one field, the last of those it has
  ErrorCode code;                  // kReset, kStreamFailed, kGoaway
  base::Reference<Stream> stream;  // none: about the connection
  uint32_t fields_first;           // messages, kStreamFailed with a large field: in Memory::fields
  uint32_t fields_count;
  uint32_t literal_octets;  // messages: of the fields that are not interned
  uint32_t head;            // messages that are not shared: in Memory::heads
  SharedList* shared;       // messages: the list, if it is a shared one; then there is none in Memory::fields
  uint32_t last_stream_id;  // kGoaway
  union {
    uint32_t data_size;   // kData, kGoaway: valid until the next receive call of any connection
    uint32_t list_bytes;  // messages that are not shared: RFC 9113 section 6.5.2
  };
  union {
    const uint8_t* data_octets;
    SharedList* leading;  // messages that are not shared: what precedes those in Memory::fields, or null
  };

  std::span<const uint8_t> data() const noexcept { return {data_octets, data_size}; }
};

struct Memory {
  Memory(uint64_t hash_key, uint32_t stream_count_max, uint32_t interned_bytes_max)
      : streams(stream_count_max), interner(hash_key, interned_bytes_max), block_cache(interner) {}

  StreamPool streams;
  FieldInterner interner;
  BlockCache block_cache;
  base::BlockPool blocks;

  // The owner's clock at the latest receive call; limits that are rates read it.
  uint64_t now_ns = 0;
  uint64_t limit_hits[static_cast<uint32_t>(LimitKind::kCount)] = {};
  // Streams that their peers ended by breaking a rule of them; limits count apart.
  uint64_t malformed_requests = 0;
  uint64_t malformed_responses = 0;

  // Filled by Connection::receive(), read by its caller.
  base::PlainVector<Event> events;
  base::PlainVector<Field> fields;
  base::PlainVector<MessageHead> heads;
  base::PlainVector<Field> joined;
  Arena arena;

  void begin_receive() noexcept {
    events.clear();
    fields.clear();
    heads.clear();
    arena.reset();
    interner.begin_epoch();
    block_cache.begin_epoch();
  }

  const MessageHead& head_of(const Event& event) const noexcept {
    return event.shared != nullptr ? event.shared->head : heads[event.head];
  }
  // What belongs to the message alone, behind its leading list if it has one.
  std::span<Field> own_fields_of(const Event& event) noexcept {
    return {fields.data() + event.fields_first, event.fields_count};
  }
  // The whole list. That of a message with a leading one is put together, and valid until the next call.
  std::span<const Field> fields_of(const Event& event) {
    if (event.shared != nullptr) return {event.shared->fields, event.shared->count};
    if (event.leading != nullptr) return join(event);
    return own_fields_of(event);
  }
  std::span<Field> join(const Event& event) {
    const uint32_t leading_count = event.leading->count;
    joined.clear();
    joined.reserve_more(leading_count + event.fields_count);
    for (uint32_t i = 0; i < leading_count; ++i) joined.add_reserved() = event.leading->fields[i];
    for (const Field& field : own_fields_of(event)) joined.add_reserved() = field;
    return {joined.data(), joined.size()};
  }
};

}  // namespace ringway::h2
