// RFC 9113 section 8.1: the order of a message's frames, and its length; 8.4 and 8.6.
#include "rows.h"

namespace ringway::h2::conformance {
namespace {

Expected malformed(uint32_t stream_id) {
  return stream_error(ErrorCode::kProtocolError, stream_id);
}

void add_order(std::vector<Row>& rows, Role role) {
  Section add(rows, "9113 8.1", role);
  const uint32_t id = message_stream(role);
  const std::string begun = message(role, false);
  const std::string body = wire::data(id, "body", false);
  const auto closed = stream_error(ErrorCode::kStreamClosed, id);
  add("headers alone", message(role, true), kAccepted);
  add("headers and DATA", begun + body + wire::data(id, "", true), kAccepted);
  add("headers, DATA and trailers", begun + body + trailers(id), kAccepted);
  add("headers and trailers", begun + trailers(id), kAccepted);
  add("empty trailers", begun + body + wire::headers(id, "", true), kAccepted);
  add("trailers without END_STREAM", begun + body + trailers(id, false), malformed(id));
  add("trailers without END_STREAM or DATA", begun + trailers(id, false), malformed(id));
  add("empty trailers without END_STREAM", begun + wire::headers(id, "", false), malformed(id));
  add("trailers twice", begun + trailers(id) + trailers(id), closed);
  add("DATA behind trailers", begun + trailers(id) + wire::data(id, "x", false), closed);
  add("trailers with the pseudo-fields of a request", begun + wire::headers(id, wire::request_block(), true),
      malformed(id));
  add("trailers with :status", begun + wire::headers(id, wire::response_block(), true), malformed(id));
  add("the same headers again", begun + message(role, false), malformed(id));
  add("no fields at all", wire::headers(id, "", true), malformed(id));
  if (role == Role::kServer) return;
  const auto status = [id](std::string_view code, bool end = false) { return response(id, end, code); };
  add("an informational response", status("103"), kAccepted);
  add("informational responses and the final one", status("100") + status("103") + status("103") + status("200", true),
      kAccepted);
  add("an informational response with END_STREAM", status("100", true), malformed(id));
  add("an informational response with END_STREAM behind another", status("100") + status("103", true), malformed(id));
  add("an informational response behind the final one", begun + status("100"), malformed(id));
  add("trailers behind an informational response", status("100") + trailers(id), malformed(id));
  add("DATA before the response", wire::data(id, "x", false), malformed(id));
  add("empty DATA with END_STREAM before the response", wire::data(id, "", true), malformed(id));
  add("DATA behind an informational response", status("100") + wire::data(id, "x", false), malformed(id));
  add("trailers before the response", trailers(id), malformed(id));
}

void add_lengths(std::vector<Row>& rows, Role role) {
  Section add(rows, "9113 8.1.1", role);
  const uint32_t id = message_stream(role);
  const auto begun = [&](std::string_view length, bool end = false) {
    return message(role, end, {{"content-length", std::string(length)}});
  };
  const auto body = [id](std::string_view octets, bool end) { return wire::data(id, octets, end); };
  add("4 announced, 4 sent", begun("4") + body("1234", true), kAccepted);
  add("4 announced, 4 sent in pieces", begun("4") + body("1", false) + body("", false) + body("234", true), kAccepted);
  add("4 announced, 4 sent and an empty end", begun("4") + body("1234", false) + body("", true), kAccepted);
  add("4 announced, 4 sent with padding", begun("4") + wire::padded_data(id, "1234", 200, true), kAccepted);
  add("4 announced, 4 sent and trailers", begun("4") + body("1234", false) + trailers(id), kAccepted);
  add("4 announced, 3 sent", begun("4") + body("123", true), malformed(id));
  add("4 announced, 3 sent and an empty end", begun("4") + body("123", false) + body("", true), malformed(id));
  add("4 announced, 3 sent and padding", begun("4") + wire::padded_data(id, "123", 1, true), malformed(id));
  add("4 announced, 3 sent and trailers", begun("4") + body("123", false) + trailers(id), malformed(id));
  add("4 announced, 5 sent", begun("4") + body("12345", true), malformed(id));
  add("4 announced, 5 sent and no end", begun("4") + body("12345", false), malformed(id));
  add("4 announced, 5 sent in pieces", begun("4") + body("1234", false) + body("5", true), malformed(id));
  add("4 announced, END_STREAM on HEADERS", begun("4", true), malformed(id));
  add("4 announced, an empty end", begun("4") + body("", true), malformed(id));
  add("4 announced, trailers alone", begun("4") + trailers(id), malformed(id));
  add("0 announced, END_STREAM on HEADERS", begun("0", true), kAccepted);
  add("0 announced, an empty end", begun("0") + body("", true), kAccepted);
  add("0 announced, trailers alone", begun("0") + trailers(id), kAccepted);
  add("0 announced, 1 sent", begun("0") + body("1", true), malformed(id));
  add("18 digits announced", begun("999999999999999999"), kAccepted);
  for (const char* length :
       {"", "-1", "+1", "0x1", "1 2", "1, 1", "1.0", "9999999999999999999", "18446744073709551617"}) {
    add(std::string("content-length '") + length + "'", begun(length), malformed(id));
  }
  add("content-length twice, equal", message(role, false, {{"content-length", "4"}, {"content-length", "4"}}),
      malformed(id));
  add("content-length twice, not equal", message(role, false, {{"content-length", "4"}, {"content-length", "5"}}),
      malformed(id));
  if (role == Role::kServer) return;
  const PlainList four{{"content-length", "4"}};
  for (const char* status : {"204", "304"}) {
    const std::string of = std::string(status) + ", 4 announced, ";
    add(of + "END_STREAM on HEADERS", response(id, true, status, four), kAccepted);
    add(of + "an empty end", response(id, false, status, four) + body("", true), kAccepted);
    add(of + "4 sent", response(id, false, status, four) + body("1234", true), malformed(id));
    const std::string unannounced = std::string(status) + ", nothing announced, ";
    add(unannounced + "END_STREAM on HEADERS", response(id, true, status), kAccepted);
    add(unannounced + "an empty end", response(id, false, status) + body("", true), kAccepted);
    add(unannounced + "trailers alone", response(id, false, status) + trailers(id), kAccepted);
    add(unannounced + "4 sent", response(id, false, status) + body("1234", true), malformed(id));
    add(unannounced + "5 sent and no end", response(id, false, status) + body("12345", false), malformed(id));
  }
  add("205, nothing announced, 5 sent", response(id, false, "205") + body("12345", true), kAccepted);
  const auto head = Start::kHeadRequest;
  add("to HEAD, 4 announced, END_STREAM on HEADERS", response(kLast, true, "200", four), kAccepted, head);
  add("to HEAD, 4 announced, an empty end", response(kLast, false, "200", four) + wire::data(kLast, "", true),
      kAccepted, head);
  add("to HEAD, 4 announced, trailers alone", response(kLast, false, "200", four) + trailers(kLast), kAccepted, head);
  add("to HEAD, 4 announced, 4 sent", response(kLast, false, "200", four) + wire::data(kLast, "1234", true),
      malformed(kLast), head);
  add("to HEAD, nothing announced, END_STREAM on HEADERS", response(kLast, true), kAccepted, head);
  add("to HEAD, nothing announced, an empty end", response(kLast, false) + wire::data(kLast, "", true), kAccepted,
      head);
  add("to HEAD, nothing announced, trailers alone", response(kLast, false) + trailers(kLast), kAccepted, head);
  add("to HEAD, nothing announced, 4 sent", response(kLast, false) + wire::data(kLast, "1234", true), malformed(kLast),
      head);
  add("to HEAD, nothing announced, 5 sent behind an informational response",
      response(kLast, false, "103") + response(kLast, false) + wire::data(kLast, "12345", false), malformed(kLast),
      head);
  add("the length of an informational response is not that of the final one",
      response(id, false, "103", four) + response(id, false) + body("12345", true), kAccepted);
}

void add_push_and_upgrade(std::vector<Row>& rows, Role role) {
  Section push(rows, "9113 8.4", role);
  push("a push",
       raw(5, 4, kOpen, wire::u32(2) + wire::request_block()) + wire::headers(2, wire::response_block(), true),
       connection_error(ErrorCode::kProtocolError));
  if (role == Role::kServer) return;
  Section upgrade(rows, "9113 8.6", role);
  const uint32_t id = message_stream(role);
  upgrade("status 101", response(id, false, "101"), malformed(id));
  upgrade("status 101 with END_STREAM", response(id, true, "101"), malformed(id));
}

}  // namespace

void add_message_sequences(std::vector<Row>& rows, Role role) {
  add_order(rows, role);
  add_lengths(rows, role);
  add_push_and_upgrade(rows, role);
}

}  // namespace ringway::h2::conformance
