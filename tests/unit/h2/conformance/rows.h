// The sections of RFC 9113 and RFC 7541 as rows: what a peer sends, on streams in every state, and what has to come of
// it. One row is one case of one role.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "endpoint.h"

namespace ringway::h2::conformance {

// How the streams are when a row begins (see prepare()). As server: the streams of the peer; as client: ours.
inline constexpr uint32_t kOpen = 1;       // client role: the response has not begun
inline constexpr uint32_t kEnded = 3;      // half-closed (remote)
inline constexpr uint32_t kResetByUs = 5;  // closed, as are the next two
inline constexpr uint32_t kOver = 7;       // … by END_STREAM both ways
inline constexpr uint32_t kResetByPeer = 9;
inline constexpr uint32_t kAnswered = 11;    // half-closed (local)
inline constexpr uint32_t kSkipped = 13;     // server role: passed over by the peer, so closed
inline constexpr uint32_t kResponding = 13;  // client role: open, with the final response's header fields
inline constexpr uint32_t kLast = 15;        // as kOpen
inline constexpr uint32_t kIdle = 17;
inline constexpr uint32_t kEvenIdle = 2;

enum class Start : uint8_t {
  kStreams,      // as above
  kFirstOctet,   // nothing has come from the peer
  kFull,         // as kStreams; as many streams are open as we allow
  kHeadRequest,  // client role: as kStreams, kLast being a HEAD request
};

enum class Outcome : uint8_t { kAccepted, kIgnored, kStreamError, kConnectionError };

struct Expected {
  Outcome outcome;
  ErrorCode code = ErrorCode::kNoError;
  uint32_t stream_id = 0;  // of a stream error
};
inline constexpr Expected kAccepted{Outcome::kAccepted};  // it has an effect or an answer
inline constexpr Expected kIgnored{Outcome::kIgnored};    // nothing at all comes of it
constexpr Expected connection_error(ErrorCode code) {
  return {Outcome::kConnectionError, code};
}
constexpr Expected stream_error(ErrorCode code, uint32_t stream_id) {
  return {Outcome::kStreamError, code, stream_id};
}

void prepare(Endpoint& end, Start start);

// A header list, fed as literals and then twice more, on other streams, as references to the decoder's table: the
// second time they are interned. The outcome has to be the same.
struct Message {
  MessageKind kind;
  PlainList fields;
};

struct Row {
  std::string section;  // "9113 5.1.1", "7541 6.1"
  std::string title;
  Role role;
  Start start = Start::kStreams;
  std::string bytes;
  std::optional<Message> message;  // instead of bytes
  Expected expected;
};

// Adds rows of one section and role.
class Section {
 public:
  Section(std::vector<Row>& rows, std::string section, Role role)
      : rows_(rows), section_(std::move(section)), role_(role) {}

  void operator()(std::string title, std::string bytes, Expected expected, Start start = Start::kStreams) {
    rows_.push_back({section_, std::move(title), role_, start, std::move(bytes), {}, expected});
  }
  // A message that is good, or malformed: a stream error PROTOCOL_ERROR (section 8.1.1).
  void message(std::string title, MessageKind kind, PlainList fields, bool is_good) {
    const Expected expected = is_good ? kAccepted : stream_error(ErrorCode::kProtocolError, 0);
    rows_.push_back(
        {section_, std::move(title), role_, Start::kStreams, {}, Message{kind, std::move(fields)}, expected});
  }

 private:
  std::vector<Row>& rows_;
  std::string section_;
  Role role_;
};

void add_opening_and_format(std::vector<Row>& rows, Role role);  // 9113 sections 3.4 and 4
void add_stream_states(std::vector<Row>& rows, Role role);       // 5
void add_message_frames(std::vector<Row>& rows, Role role);      // 6.1 to 6.4, 6.6, 6.10: frames of a stream
void add_connection_frames(std::vector<Row>& rows, Role role);   // 6.5, 6.7 to 6.9, 7
void add_message_sequences(std::vector<Row>& rows, Role role);   // 8.1, 8.4, 8.6
void add_fields(std::vector<Row>& rows, Role role);              // 8.2
void add_pseudo_fields(std::vector<Row>& rows, Role role);       // 8.3, 8.5
void add_hpack(std::vector<Row>& rows, Role role);               // RFC 7541
const std::vector<Row>& all_rows();

// The page that docs/conformance.md is.
std::string page();

// Shorthand that all rows use.
inline std::string raw(uint32_t type, uint8_t flags, uint32_t stream_id, std::string_view payload) {
  return wire::frame(static_cast<FrameType>(type), flags, stream_id, payload);
}
inline std::string octets(size_t size) {
  return std::string(size, 'x');
}
inline const PlainList kTrailerFields{{"grpc-status", "0"}};
inline std::string trailers(uint32_t stream_id, bool end_stream = true) {
  return wire::headers(stream_id, wire::block(kTrailerFields), end_stream);
}
inline std::string request(uint32_t stream_id, bool end_stream = true, const PlainList& more = {}) {
  return wire::headers(stream_id, wire::request_block(more), end_stream);
}
inline std::string response(uint32_t stream_id, bool end_stream = true, std::string_view status = "200",
                            const PlainList& more = {}) {
  return wire::headers(stream_id, wire::response_block(status, more), end_stream);
}
// A stream on which the peer may send DATA.
inline uint32_t data_stream(Role role) {
  return role == Role::kServer ? kOpen : kResponding;
}
// HEADERS that begin a message: a request on an idle stream, or the response on kOpen.
inline uint32_t message_stream(Role role) {
  return role == Role::kServer ? kIdle : kOpen;
}
inline std::string message_block(Role role, const PlainList& more = {}) {
  return role == Role::kServer ? wire::request_block(more) : wire::response_block("200", more);
}
inline std::string message(Role role, bool end_stream, const PlainList& more = {}) {
  return wire::headers(message_stream(role), message_block(role, more), end_stream);
}

}  // namespace ringway::h2::conformance
