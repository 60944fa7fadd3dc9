// A downstream or upstream connection as the proxy sees it: its HTTP/2 state, what it is for and what is wanted of its
// socket. The shard keeps the socket itself under the same handle.
#pragma once

#include <cstdint>
#include <string>

#include "base/byte_queue.h"
#include "base/intrusive_list.h"
#include "base/slot_pool.h"
#include "base/timer_wheel.h"
#include "h2/connection.h"
#include "io/address.h"
#include "tls/credentials.h"

namespace ringway::proxy {

class Endpoint;
struct Listener;

struct DirtyLink : base::ListLink {};

// What a timer is for is told by its owner's type; the wheel hands back the timer alone.
enum class TimerOwner : uint8_t { kConnection, kExchange, kEndpoint };

struct OwnedTimer : base::Timer {
  explicit OwnedTimer(TimerOwner owner_kind) noexcept : owner(owner_kind) {}
  const TimerOwner owner;
};

//   connecting --> greeting --+--> open --> draining (no new streams) --> closing (flush, then close) --> gone
//   unrecognised -------------+     |                                        ^
//        |                          |                                        |
//        +--------------------------+------- failure, end of input ----------+
//
// Upstream alone: connecting, and greeting, which waits for the peer's SETTINGS. gRPC servers send them at once; a call
// that went before them might meet a smaller stream limit than it assumed, or a peer that speaks something else. A peer
// that grants no stream at all has not greeted yet.
// Downstream alone: unrecognised. The client has not shown yet that it speaks HTTP/2. The bytes of the last two states
// are no frames: they stand together, so that one comparison tells.
enum class ConnectionState : uint8_t { kConnecting, kGreeting, kOpen, kDraining, kUnrecognised, kClosing };

struct Connection : DirtyLink, OwnedTimer {
  Connection(h2::Role role, const h2::Limits& limits, h2::Memory& memory, uint32_t slot) noexcept
      : OwnedTimer(TimerOwner::kConnection), h2(role, limits, memory, slot) {}
  ~Connection() { first_bytes.release(h2.memory().blocks); }

  bool is_upstream() const noexcept { return h2.role() == h2::Role::kClient; }
  // Upstream: another call may be sent on it. Calls whose header lists do not fit into one flush wait for the next, so
  // that no turn is long and no output large: this is more than DATA alone makes an output, so that calls pass it.
  static constexpr uint32_t kCallOutputMax = 192 * 1024;
  // Nor does a call begin that could send nothing: while it waits it can still go elsewhere.
  bool takes_calls() const noexcept {
    return has_stream_to_give() && h2.send_window() > 0 && h2.output().size() < kCallOutputMax;
  }
  bool has_stream_to_give() const noexcept { return state == ConnectionState::kOpen && h2.can_open_stream(); }
  // To a peer that does not read no more is said than this, unless a window has room for it.
  static constexpr uint32_t kBlockedOutputMax = 1u << 20;

  h2::Connection h2;
  ConnectionState state = ConnectionState::kOpen;
  base::Handle<Connection> handle;
  io::Address peer;
  uint64_t opened_ns = 0;     // accepted; upstream: when it began to take calls
  uint64_t received_ns = 0;   // when bytes last came
  uint64_t ping_sent_ns = 0;  // 0: none is unanswered
  uint64_t last_ping_ns = 0;
  bool is_socket_writable = true;  // false while a send waits for the peer to read
  bool is_linger_over = false;     // closing: the peer has had its time
  uint32_t sending_bytes = 0;      // of its output, what has been handed over to a send and not been released
  // Written for the peer and not taken by it: header lists, which no window bounds, answers, and the DATA of a flush.
  uint64_t output_bytes() const noexcept { return uint64_t{h2.output().size()} + sending_bytes; }
  bool awaits_drain_ping = false;  // downstream drain: the PING between the two GOAWAYs

  // Downstream.
  uint64_t list_bytes = 0;  // of large header lists that are kept for its calls
  bool is_list_limit_told = false;
  uint64_t ends_ns = 0;          // when it is old (limits.connection_age)
  Listener* listener = nullptr;  // of the same shard
  std::string client_text;       // the client's address, as logs and x-forwarded-for show it
  base::ByteQueue first_bytes;   // what has come in state kUnrecognised, where it came in pieces
  bool awaits_proxy_header = false;

  // With TLS.
  bool is_handshaking = false;  // the socket's TLS handshake is under way
  bool is_secure = false;       // … and has ended well
  // Downstream: whose certificate was shown, and the client's, as x-forwarded-client-cert describes it.
  tls::CredentialsRef<tls::ServerCredentials> credentials;
  uint32_t certificate = 0;
  // Downstream, where there are several certificates: the authority that it was last found to be for, as a record.
  uint32_t covered_index = UINT32_MAX;
  uint32_t covered_generation = 0;
  std::string client_certificate;

  // Upstream.
  Endpoint* endpoint = nullptr;    // of the same shard, outlives its connections
  h2::Allowance resets;            // that we may send on it (limits.upstream_resets)
  uint64_t window_awaited_ns = 0;  // since when calls wait for its send window; 0: none since that was last open
};

using ConnectionPool = base::SlotPool<Connection>;

}  // namespace ringway::proxy
