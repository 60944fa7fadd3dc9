#include "endpoint.h"

#include <gtest/gtest.h>

namespace ringway::h2 {

std::ostream& operator<<(std::ostream& out, const Seen& seen) {
  static constexpr std::string_view kNames[] = {
      "request", "informational",  "response",      "trailers", "data",     "reset", "stream failed",
      "connect", "list too large", "window opened", "settings", "ping ack", "goaway"};
  out << kNames[static_cast<size_t>(seen.kind)] << " on " << seen.stream_id << (seen.end_stream ? " (end)" : "") << " "
      << name_of(seen.code) << " " << seen.data.size() << " octets";
  for (const PlainField& field : seen.fields) out << "; " << field;
  return out;
}

std::vector<Seen> joined(const std::vector<Seen>& events) {
  std::vector<Seen> result;
  for (const Seen& seen : events) {
    Seen* const last = result.empty() ? nullptr : &result.back();
    const bool continues = last != nullptr && last->kind == EventKind::kData && seen.kind == EventKind::kData &&
                           last->stream_id == seen.stream_id && !last->end_stream;
    if (!continues) {
      result.push_back(seen);
      continue;
    }
    last->data += seen.data;
    last->end_stream = seen.end_stream;
  }
  return result;
}

Limits test_limits() {
  return {.header_list = {64 * 1024, 100, 64 * 1024},
          .streams = 100,
          .stream_window = 65'536,
          .connection_window = 1 << 20,
          .first_stream_id = 1,
          .continuations = 8,
          .replies = 1000,
          .reply_bytes = 64 * 1024,
          .settings_entries = 32,
          .priorities = 100,
          .resets = {1000, 33},
          .early_resets = {200, 20},
          .settings = {20, 10},
          .pings = {2000, 1},
          .empty_frames = {100, 1},
          .small_data = {1000, 100},
          .glitches = {1000, 33}};
}

Endpoint::Endpoint(Role role, Memory& shared, const Limits& limits)
    : memory(shared), connection(role, limits, shared, 7) {
  connection.start();
}

std::vector<Seen> Endpoint::receive(std::string_view bytes) {
  octets_.reset(new uint8_t[bytes.size()]);
  std::copy(bytes.begin(), bytes.end(), octets_.get());
  connection.receive({octets_.get(), bytes.size()});
  connection.validate();
  std::vector<Seen> seen;
  for (const Event& event : memory.events) {
    if (event.kind == EventKind::kFault) {
      faults.push_back(event.fault);
      continue;
    }
    Seen& copy = seen.emplace_back();
    copy.kind = event.kind;
    copy.end_stream = event.end_stream;
    // Only the members that a kind has are set.
    const bool has_code =
        event.kind == EventKind::kReset || event.kind == EventKind::kStreamFailed || event.kind == EventKind::kGoaway;
    if (has_code) copy.code = event.code;
    if (event.kind == EventKind::kStreamFailed) copy.fault = event.fault;
    if (event.kind == EventKind::kGoaway) copy.last_stream_id = event.last_stream_id;
    if (event.kind == EventKind::kData || event.kind == EventKind::kGoaway) {
      copy.data.assign(event.data().begin(), event.data().end());
    }
    if (Stream* named = memory.streams.find(event.stream)) {
      copy.stream_id = named->id;
      EXPECT_EQ(named->connection, 7u);
    }
    const bool has_list = event.kind == EventKind::kRequest || event.kind == EventKind::kInformational ||
                          event.kind == EventKind::kResponse || event.kind == EventKind::kTrailers ||
                          event.kind == EventKind::kConnect || event.kind == EventKind::kListTooLarge;
    if (event.kind == EventKind::kListTooLarge || event.kind == EventKind::kStreamFailed) {
      copy.has_large_field = event.has_large_field;
    }
    if (copy.has_large_field) copy.fields = plain(memory.own_fields_of(event));
    if (!has_list) continue;
    copy.fields = plain(memory.fields_of(event));
    copy.head = memory.head_of(event);
  }
  events.insert(events.end(), seen.begin(), seen.end());
  return seen;
}

std::vector<Seen> Endpoint::receive_in_pieces(std::string_view bytes, size_t piece_size) {
  std::vector<Seen> seen;
  for (size_t start = 0; start < bytes.size(); start += piece_size) {
    for (Seen& each : receive(bytes.substr(start, piece_size))) seen.push_back(std::move(each));
  }
  return seen;
}

std::string Endpoint::take_output(uint32_t gather_max) {
  base::ByteQueue& output = connection.output();
  while (connection.wants_gather() && output.size() < gather_max) connection.gather(gather_max);
  connection.validate();
  const std::string bytes(reinterpret_cast<const char*>(output.data()), output.size());
  output.release(memory.blocks);
  return bytes;
}

void Endpoint::send_headers(Stream& stream, const PlainList& fields, bool end_stream) {
  connection.begin_headers(stream);
  for (const PlainField& field : fields) {
    Field literal = make_field(field.name, find_known_name(field.name), field.value);
    if (field.is_never_indexed) literal.flags |= kFieldNeverIndex;
    connection.add_field(literal);
  }
  connection.end_headers(stream, end_stream);
}

void Endpoint::send_trailers(Stream& stream, const PlainList& fields) {
  connection.begin_trailers(stream);
  std::vector<Field> literals;
  for (const PlainField& field : fields) {
    literals.push_back(make_field(field.name, find_known_name(field.name), field.value));
  }
  connection.add_trailers(stream, literals);
  connection.end_trailers(stream);
}

void Endpoint::greet(const std::vector<std::pair<SettingId, uint32_t>>& peer_settings) {
  const std::string preface(connection.role() == Role::kServer ? kPreface : std::string_view());
  receive(preface + wire::settings(peer_settings) + wire::settings_ack());
  EXPECT_FALSE(connection.has_failed());
  EXPECT_TRUE(connection.has_received_settings());
  take_output();
  events.clear();
}

}  // namespace ringway::h2
