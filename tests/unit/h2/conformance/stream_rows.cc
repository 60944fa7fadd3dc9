// RFC 9113 section 5: states, ids, concurrency, priority, errors, extensions.
#include "rows.h"

namespace ringway::h2::conformance {
namespace {

constexpr auto kProtocol = connection_error(ErrorCode::kProtocolError);
constexpr auto kClosed = connection_error(ErrorCode::kStreamClosed);

constexpr Expected closed(uint32_t stream_id) {
  return stream_error(ErrorCode::kStreamClosed, stream_id);
}
constexpr Expected malformed(uint32_t stream_id) {
  return stream_error(ErrorCode::kProtocolError, stream_id);
}

// What may come in any state.
void add_always(Section& add, const std::string& state, uint32_t id, Expected reset, Expected window_update) {
  add("RST_STREAM, " + state, wire::rst_stream(id, ErrorCode::kCancel), reset);
  add("WINDOW_UPDATE, " + state, wire::window_update(id, 1), window_update);
  add("PRIORITY, " + state, raw(2, 0, id, octets(5)), kIgnored);
  add("an unknown frame, " + state, raw(0x77, 0xff, id, "x"), kIgnored);
}

void add_idle(Section& add, Role role) {
  for (const auto& [state, id] : {std::pair{"idle", kIdle}, std::pair{"idle, an even id", kEvenIdle}}) {
    add_always(add, state, id, kProtocol, kProtocol);
    add(std::string("DATA, ") + state, wire::data(id, "x", false), kProtocol);
    add(std::string("empty DATA with END_STREAM, ") + state, wire::data(id, "", true), kProtocol);
    const bool opens = role == Role::kServer && id == kIdle;
    add(std::string("HEADERS, ") + state, wire::headers(id, message_block(role), true), opens ? kAccepted : kProtocol);
    add(std::string("HEADERS in fragments, ") + state, raw(1, 0, id, "") + raw(9, 4, id, message_block(role)),
        opens ? kAccepted : kProtocol);
    add(std::string("CONTINUATION, ") + state, raw(9, 4, id, "\x82"), kProtocol);
  }
}

void add_open(Section& add, Role role) {
  add_always(add, "open", kOpen, kAccepted, kAccepted);
  const uint32_t id = data_stream(role);
  add("DATA, open", wire::data(id, "x", false), kAccepted);
  add("DATA with END_STREAM, open", wire::data(id, "x", true), kAccepted);
  add("trailers, open", trailers(id), kAccepted);
  if (role == Role::kClient) add("a response, open", response(kOpen, false), kAccepted);
  add_always(add, "half-closed (local)", kAnswered, kAccepted, kAccepted);
  if (role == Role::kServer) {
    add("DATA, half-closed (local)", wire::data(kAnswered, "x", false), kAccepted);
    add("trailers, half-closed (local)", trailers(kAnswered), kAccepted);
  } else {
    add("a response, half-closed (local)", response(kAnswered, true), kAccepted);
    add("a response and DATA, half-closed (local)", response(kAnswered, false) + wire::data(kAnswered, "x", true),
        kAccepted);
  }
}

void add_half_closed(Section& add, Role role) {
  const std::string state = "half-closed (remote)";
  add_always(add, state, kEnded, kAccepted, kAccepted);
  add("DATA, " + state, wire::data(kEnded, "x", false), closed(kEnded));
  add("empty DATA, " + state, wire::data(kEnded, "", false), closed(kEnded));
  add("DATA with END_STREAM, " + state, wire::data(kEnded, "x", true), closed(kEnded));
  add("HEADERS, " + state, wire::headers(kEnded, message_block(role), false), closed(kEnded));
  add("trailers, " + state, trailers(kEnded), closed(kEnded));
  add("HEADERS in fragments, " + state, raw(1, 1, kEnded, "") + raw(9, 4, kEnded, message_block(role)), closed(kEnded));
  const uint32_t id = data_stream(role);
  add("DATA behind END_STREAM in the same octets", wire::data(id, "x", true) + wire::data(id, "x", false), closed(id));
  add("all of a wrong DATA sequence is one error",
      wire::data(id, "x", true) + wire::data(id, "x", false) + wire::data(id, "x", true) + trailers(id), closed(id));
  add("DATA behind trailers", trailers(id) + wire::data(id, "x", true), closed(id));
  add("trailers behind trailers", trailers(id) + trailers(id), closed(id));
}

// What a server sends behind its own end is discarded, as section 5.1 allows: its connection is that of many clients.
void add_closed(Section& add, Role role) {
  const Expected too_late = role == Role::kClient ? kIgnored : kClosed;
  const Expected too_late_at_once = role == Role::kClient ? kAccepted : kClosed;
  struct State {
    std::string name;
    uint32_t id;
    bool is_late;  // frames may be under way
  };
  std::vector<State> states = {{"closed by both ends", kOver, false},
                               {"closed by our reset", kResetByUs, true},
                               {"closed by the peer's reset", kResetByPeer, false}};
  if (role == Role::kServer) states.push_back({"closed since passed over", kSkipped, false});
  for (const auto& [name, id, is_late] : states) {
    add_always(add, name, id, kIgnored, kIgnored);
    const Expected expected = is_late ? kIgnored : too_late;
    const Expected of_headers = name == "closed since passed over" ? kProtocol : expected;
    add("DATA, " + name, wire::data(id, "x", false), expected);
    add("empty DATA with END_STREAM, " + name, wire::data(id, "", true), expected);
    add("padded DATA, " + name, wire::padded_data(id, "x", 9, false), expected);
    add("HEADERS, " + name, wire::headers(id, message_block(role), true), of_headers);
    add("trailers, " + name, trailers(id), of_headers);
    add("HEADERS in fragments, " + name, raw(1, 1, id, "") + raw(9, 4, id, message_block(role)), of_headers);
  }
  const uint32_t id = data_stream(role);
  add("DATA behind RST_STREAM in the same octets",
      wire::rst_stream(id, ErrorCode::kCancel) + wire::data(id, "x", false), too_late_at_once);
  add("HEADERS behind RST_STREAM in the same octets", wire::rst_stream(id, ErrorCode::kCancel) + trailers(id),
      too_late_at_once);
  add("RST_STREAM behind RST_STREAM",
      wire::rst_stream(id, ErrorCode::kCancel) + wire::rst_stream(id, ErrorCode::kCancel), kAccepted);
  const std::string end = role == Role::kServer ? wire::data(kAnswered, "x", true) : response(kAnswered);
  add("DATA behind the second END_STREAM", end + wire::data(kAnswered, "x", false), too_late_at_once);
  add("HEADERS behind the second END_STREAM", end + trailers(kAnswered), too_late_at_once);
  add("WINDOW_UPDATE behind the second END_STREAM", end + wire::window_update(kAnswered, 1), kAccepted);
  add("DATA on a stream whose HEADERS were malformed",
      wire::headers(message_stream(role), wire::block({{"x", "y"}}), false) +
          wire::data(message_stream(role), "x", true),
      malformed(message_stream(role)));
  add("trailers on a stream whose HEADERS were malformed",
      wire::headers(message_stream(role), wire::block({{"x", "y"}}), false) + trailers(message_stream(role)),
      malformed(message_stream(role)));
}

void add_ids(std::vector<Row>& rows, Role role) {
  Section add(rows, "9113 5.1.1", role);
  add("PUSH_PROMISE on stream 0", raw(5, 4, 0, wire::u32(2) + "\x82"), kProtocol);
  if (role == Role::kClient) {
    add("HEADERS with the first even id", response(kEvenIdle), kProtocol);
    add("HEADERS with an id of ours that comes next", response(kIdle), kProtocol);
    add("HEADERS with an id of ours far ahead", response(kStreamIdMax), kProtocol);
    return;
  }
  add("the next id", request(kIdle), kAccepted);
  add("an id that passes over others", request(kIdle + 10), kAccepted);
  add("the largest id", request(kStreamIdMax), kAccepted);
  add("an id that was passed over", request(kIdle + 10) + request(kIdle), kProtocol);
  add("the last id that was passed over", request(kIdle + 10) + request(kIdle + 8), kProtocol);
  add("an id passed over earlier", request(kIdle + 10) + request(kIdle + 20) + request(kIdle + 2), kProtocol);
  add("DATA on an id that was passed over", request(kIdle + 10) + wire::data(kIdle, "x", true), kClosed);
  add("an id that is in use", request(kOpen, true), malformed(kOpen));
  add("an even id", request(kIdle + 1), kProtocol);
  add("an even id below the last", request(kEvenIdle), kProtocol);
}

void add_concurrency(std::vector<Row>& rows, Role role) {
  if (role == Role::kClient) return;
  Section add(rows, "9113 5.1.2", role);
  const auto full = Start::kFull;
  const auto refused = [](uint32_t id) { return stream_error(ErrorCode::kRefusedStream, id); };
  add("one stream too many", request(kIdle), refused(kIdle), full);
  add("one stream too many, and its DATA", request(kIdle, false) + wire::data(kIdle, "x", true), refused(kIdle), full);
  add("one stream too many, and its trailers", request(kIdle, false) + trailers(kIdle), refused(kIdle), full);
  add("trailers on a stream that is open", trailers(kOpen), kAccepted, full);
}

void add_priority(std::vector<Row>& rows, Role role) {
  Section add(rows, "9113 5.3.2", role);
  const uint32_t id = message_stream(role);
  const std::string block = message_block(role);
  const auto fields = [](uint32_t on) { return wire::u32(on) + "\x10"; };
  add("HEADERS with priority fields", raw(1, 0x25, id, fields(3) + block), kAccepted);
  add("HEADERS that depend on stream 0", raw(1, 0x25, id, fields(0) + block), kAccepted);
  add("HEADERS with an exclusive dependency", raw(1, 0x25, id, fields(3 | 1u << 31) + block), kAccepted);
  add("HEADERS that depend on themselves", raw(1, 0x25, id, fields(id) + block), kAccepted);
  add("PRIORITY that depends on itself", raw(2, 0, kOpen, fields(kOpen)), kIgnored);
  add("PRIORITY that depends on itself, exclusively", raw(2, 0, kOpen, fields(kOpen | 1u << 31)), kIgnored);
  add("PRIORITY of an idle stream that depends on an idle one", raw(2, 0, kIdle, fields(kIdle + 2)), kIgnored);
  add("PRIORITY does not open a stream", raw(2, 0, kIdle, fields(0)) + wire::data(kIdle, "x", false), kProtocol);
  add("PRIORITY does not move the ids on", raw(2, 0, kIdle + 20, fields(0)) + wire::headers(id, block, true),
      kAccepted);
}

void add_errors_and_extensions(std::vector<Row>& rows, Role role) {
  Section errors(rows, "9113 5.4", role);
  const uint32_t id = data_stream(role);
  errors("a stream error leaves the others alone", wire::window_update(kOpen, 0) + wire::window_update(kLast, 1),
         malformed(kOpen));
  errors("frames behind a stream error are discarded",
         wire::window_update(id, 0) + wire::data(id, "x", false) + trailers(id) + wire::window_update(id, 0),
         malformed(id));
  errors("RST_STREAM is not answered", wire::rst_stream(id, ErrorCode::kProtocolError), kAccepted);
  errors("frames behind a connection error are not looked at",
         wire::data(0, "x", false) + wire::settings({{SettingId::kMaxFrameSize, 1}}), kProtocol);
  Section extensions(rows, "9113 5.5", role);
  for (const uint32_t type : {0x0au, 0x0bu, 0x0cu, 0x0du, 0x0eu, 0x0fu, 0x10u, 0xfeu, 0xffu}) {
    const std::string name = "frame type " + std::to_string(type);
    extensions(name + " on stream 0", raw(type, 0xff, 0, octets(20)), kIgnored);
    extensions(name + " on a stream", raw(type, 0x00, kOpen, ""), kIgnored);
  }
  extensions("a setting nobody knows", wire::settings({{static_cast<SettingId>(0xf0f0), 0xffffffff}}), kAccepted);
}

}  // namespace

void add_stream_states(std::vector<Row>& rows, Role role) {
  Section add(rows, "9113 5.1", role);
  add_idle(add, role);
  add_open(add, role);
  add_half_closed(add, role);
  add_closed(add, role);
  add_ids(rows, role);
  add_concurrency(rows, role);
  add_priority(rows, role);
  add_errors_and_extensions(rows, role);
}

}  // namespace ringway::h2::conformance
