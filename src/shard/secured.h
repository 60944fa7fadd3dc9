// What one socket has of TLS: the handshake while it is under way, then the records of both directions. Made when the
// connection is, so that calls allocate nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/units.h"
#include "tls/handshake.h"
#include "tls/records.h"

namespace ringway::shard {

struct Secured {
  //   handshaking --> open --> ended (the peer's last record has come, or one that is not in order)
  //        |                     ^
  //        +----- failure -------+
  enum class State : uint8_t { kHandshaking, kOpen, kEnded };

  // A sound peer sends none of these many times in a row; they cost work and bring nothing.
  static constexpr uint32_t kIdleRecordsMax = 32;
  // Changes of keys by the peer in a minute; each costs more than a record.
  static constexpr uint32_t kKeyUpdatesMax = 10;
  static constexpr uint64_t kKeyUpdatesPeriod_ns = 60 * base::kSecond_ns;
  // A message may be cut over records (RFC 8446 section 5.1); what is gathered of one is bounded.
  static constexpr size_t kMessageSizeMax = 32 * 1024;

  State state = State::kHandshaking;
  bool is_kernel_send = false;     // the kernel seals what is written
  bool is_kernel_receive = false;  // … and opens what comes
  uint64_t kernel_records = 0;     // sealed by the kernel under its present keys, at most
  bool are_keys_retired = false;   // they have served long enough, and there can be no others
  bool was_established = false;    // there are keys: what is written is sealed
  bool owes_key_update = false;    // the peer has asked for new keys of ours
  bool has_said_end = false;       // an alert has been written
  tls::Alert closing_alert = tls::Alert::kCloseNotify;
  uint32_t key_updates = 0;  // since key_updates_since_ns
  uint64_t key_updates_since_ns = 0;
  uint32_t idle_records = 0;  // empty ones and key changes in a row
  // Behind the handshake: of a client of TLS 1.3 until a ticket has come, else null.
  std::unique_ptr<tls::Handshake> handshake;
  std::vector<uint8_t> message;  // the part that has come of a handshake message behind the handshake
  tls::RecordReader reader;
  tls::RecordWriter writer;
};

}  // namespace ringway::shard
