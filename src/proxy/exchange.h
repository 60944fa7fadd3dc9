// One request joined across two streams.
#pragma once

#include <cstdint>

#include "base/byte_queue.h"
#include "base/intrusive_list.h"
#include "base/slot_pool.h"
#include "grpc/message_cursor.h"
#include "grpc/status.h"
#include "h2/memory.h"
#include "proxy/connection.h"
#include "proxy/header_list.h"
#include "proxy/replay_body.h"

namespace ringway::proxy {

class Endpoint;
struct Route;

struct WaitLink : base::ListLink {};

// Why ringway itself ended or answered a call; counted, and named in the access log.
enum class LocalReason : uint8_t {
  kNone,
  kNoRoute,
  kNoEndpoint,    // all endpoints of the cluster fail to connect
  kPendingLimit,  // too many calls wait for a connection
  kDeadline,
  kHeaderListTooLarge,
  kUpstreamLost,      // the connection broke while the call was on it
  kUpstreamProtocol,  // the endpoint broke a rule of HTTP/2
  kUpstreamRefused,   // REFUSED_STREAM, and no further attempt
  kDraining,
  kShardFull,  // no slot for another exchange or stream
  kMalformed,  // grpc-timeout that is none
  kConnect,    // a tunnel was asked for
  kMessageTooLarge,
  kMisdirected,  // its authority is not what the connection's certificate is for
  kMemory,       // its peer takes nothing, and the shard holds too much for such peers
  kCount,
};

// Two streams, each open until both its halves are closed or it is reset. The downstream stream goes last unless the
// client resets; the exchange ends when both are gone.
//
//   waiting (no upstream stream: connection or slot is awaited)
//      |  attempt: stream opened, headers and the kept body sent
//      v
//   sent --> committed (response headers passed on; no retry from here) --> ended
struct Exchange : WaitLink, OwnedTimer {
  Exchange() noexcept : OwnedTimer(TimerOwner::kExchange) {}

  // Its request is on a stream of this connection.
  bool is_on(const Connection& connection) const noexcept {
    return upstream_stream != nullptr && upstream == &connection;
  }

  // Both streams are closed by this exchange alone, which then forgets them, and name it as their owner till then; a
  // connection outlives its streams. So a connection is valid exactly as long as the stream beside it is not null.
  Connection* downstream = nullptr;
  Connection* upstream = nullptr;
  h2::Stream* downstream_stream = nullptr;
  h2::Stream* upstream_stream = nullptr;
  base::Handle<Connection> client;  // the downstream connection, for the access log's last look
  Route* route = nullptr;           // null: none was found
  Endpoint* endpoint = nullptr;     // of the current or last attempt

  HeaderList headers;             // the request's
  ReplayBody body;                // request DATA received so far, while it may have to be sent (again)
  HeaderList trailers;            // the request's, should it have any; they follow the body
  uint64_t attempt_bytes = 0;     // of the body, what has left for the endpoint in the current attempt
  uint64_t credited_bytes = 0;    // of the body, what credit was returned for: the most any attempt has sent
  bool is_body_complete = false;  // the client's END_STREAM was received
  bool is_body_dropped = false;   // beyond the replay limit: no further attempt is possible

  bool is_grpc = false;
  bool has_client_cert = false;  // x-forwarded-client-cert is among its headers
  bool is_head = false;          // the response has no content, whatever length it announces
  bool is_committed = false;     // response headers went downstream
  bool is_finished = false;      // both streams are gone; the slot goes at the end of the turn
  bool has_response_ended = false;
  bool is_content_cut = false;  // of the response: octets of an announced content-length have not come, and will not
  bool is_unsent = false;       // the attempt's connection broke before its HEADERS left
  bool rst_after_end = false;   // tell the client to stop sending once the response has left
  uint8_t attempts = 0;
  uint8_t informational_count = 0;  // 1xx responses so far
  uint16_t failed_connects = 0;     // it waited for
  uint16_t timeout_position = 0;    // of grpc-timeout in `headers`, one-based; 0: none
  LocalReason reason = LocalReason::kNone;
  uint16_t http_status = 0;
  int16_t grpc_status = -1;

  grpc::MessageCursor response_cursor;
  grpc::MessageCursor request_cursor;  // moved only with limits.message
  uint8_t held_prefix[4] = {};         // of the response, as long as response_cursor says: not passed on yet
  uint64_t started_ns = 0;             // turn time of the request's arrival
  uint64_t deadline_ns = UINT64_MAX;
  uint64_t stalled_since_ns = 0;  // when octets began to wait for a peer that took none since; 0: none wait
  uint64_t arrived_ns = 0;        // turn time of the bytes whose hop is being measured
  uint64_t hop_ns = 0;            // both legs: bytes in to bytes out on our side
  uint64_t bytes_received = 0;    // request DATA
  uint64_t bytes_sent = 0;        // response DATA
};

using ExchangePool = base::SlotPool<Exchange>;

}  // namespace ringway::proxy
