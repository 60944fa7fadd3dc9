// One HTTP/2 stream of one connection: its state, both its windows and what of it waits to be sent.
#pragma once

#include <cstdint>

#include "base/byte_queue.h"
#include "base/intrusive_list.h"
#include "base/slot_pool.h"

namespace ringway::h2 {

// RFC 9113 section 5.1, from our end. Reserved states do not exist: push is refused.
//
//                 headers sent or received
//        idle ------------------------------> open
//                                  END_STREAM |  | END_STREAM sent
//                                    received |  |
//                  half-closed (remote) <-----+  +-----> half-closed (local)
//                             | END_STREAM sent     | END_STREAM received
//                             +-------> closed <----+      RST_STREAM either way: closed from any state
//
// DATA and HEADERS in half-closed (remote) are a stream error STREAM_CLOSED. In closed they are discarded when they may
// have been sent before our reset was seen, and else a connection error STREAM_CLOSED (ClosedStreams); WINDOW_UPDATE,
// RST_STREAM and PRIORITY are no error in any state but idle (PRIORITY: not even there).
//
// The two halves are independent, so that they are two flags: has_received_end, has_sent_end; is_reset ends both.
struct Stream : base::ListLink {  // the link is in its connection's list of streams with something to send
  // Written out, since otherwise all of it would be zeroed first.
  Stream() noexcept {}  // NOLINT(modernize-use-equals-default)

  uint32_t id = 0;
  uint32_t connection = 0;            // the slot of its connection, for the owner's look-up
  void* owner = nullptr;              // what the connection's owner has joined it to: an exchange
  int32_t send_window = 0;            // may be negative after a SETTINGS change (section 6.9.2)
  int32_t recv_window = 0;            // what the peer may still send
  uint32_t recv_owed = 0;             // received and passed on, not yet given back by WINDOW_UPDATE
  uint32_t drained_bytes = 0;         // taken from `pending` into a send since the owner last asked
  bool is_head_request = false;       // client role: its response has no content
  bool has_received_headers = false;  // final response headers, or the request's
  bool has_received_end = false;
  bool has_sent_headers = false;
  bool has_sent_end = false;
  bool is_reset = false;
  bool ends_after_pending = false;  // END_STREAM, or the trailers below, follow the pending bytes
  bool is_drained_listed = false;
  base::ByteQueue pending;           // DATA that waits for window or for its turn
  base::ByteQueue pending_trailers;  // a stateless header block that follows it

  // Content-length against DATA (section 8.1.1); kNoLength: none was announced.
  static constexpr uint64_t kNoLength = UINT64_MAX;
  uint64_t recv_length_left = kNoLength;
  bool lacks_content() const noexcept { return recv_length_left != kNoLength && recv_length_left != 0; }

  // For the owner, of a request just opened (RFC 9110 section 9.3.2).
  void set_head_request() noexcept {
    is_head_request = true;
    recv_length_left = 0;
  }

  bool is_sendable() const noexcept {
    if (is_reset || has_sent_end) return false;
    return !pending.is_empty() ? send_window > 0 : ends_after_pending;
  }
};

using StreamPool = base::SlotPool<Stream>;

}  // namespace ringway::h2
