// One connection under test, fed with strings; its events are copied out so that tests may look at them at leisure.
#pragma once

#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "h2/connection.h"
#include "hpack_oracle.h"
#include "wire.h"

namespace ringway::h2 {

struct Seen {
  EventKind kind{};
  bool end_stream = false;
  ErrorCode code{};
  Fault fault{};  // of a stream that has failed
  uint32_t stream_id = 0;
  uint32_t last_stream_id = 0;
  bool has_large_field = false;
  PlainList fields;
  MessageHead head;
  std::string data;
  bool operator==(const Seen& other) const {
    return kind == other.kind && end_stream == other.end_stream && code == other.code && stream_id == other.stream_id &&
           last_stream_id == other.last_stream_id && fields == other.fields && data == other.data;
  }
};
std::ostream& operator<<(std::ostream& out, const Seen& seen);

// Neighbouring pieces of one stream's body as one, since a frame may come in any number of them.
std::vector<Seen> joined(const std::vector<Seen>& events);

Limits test_limits();

class Endpoint {
 public:
  explicit Endpoint(Role role, Memory& memory, const Limits& limits = test_limits());

  // Feeds octets in memory of exactly their size, checks all invariants, and copies the events. They are appended to
  // `events` too.
  std::vector<Seen> receive(std::string_view bytes);
  std::vector<Seen> receive_in_pieces(std::string_view bytes, size_t piece_size);

  // What the owner would send: all DATA that may go, then the whole output.
  std::string take_output(uint32_t gather_max = UINT32_MAX);
  std::vector<wire::Frame> take_frames() { return wire::parse(take_output()); }

  Stream* stream(uint32_t id) { return connection.streams().find(id); }
  void send_headers(Stream& stream, const PlainList& fields, bool end_stream);
  void send_trailers(Stream& stream, const PlainList& fields);
  uint32_t send_data(Stream& stream, std::string_view body, bool end_stream) {
    return connection.send_data(stream, octets_of(body), end_stream);
  }

  // Brings the connection to where streams can be opened: the peer's preface, SETTINGS and acknowledgement have come,
  // our first output has gone.
  void greet(const std::vector<std::pair<SettingId, uint32_t>>& peer_settings = {});

  Memory& memory;
  Connection connection;
  std::vector<Seen> events;
  std::vector<Fault> faults;  // that were told; not among the events

 private:
  std::unique_ptr<uint8_t[]> octets_;  // what events point into, until the next receive()
};

}  // namespace ringway::h2
