// Answers every request with its own fields and body as they come, then trailers: an unbuffered echo.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "endpoint.h"

namespace ringway::h2 {

class EchoServer {
 public:
  explicit EchoServer(Endpoint& end) : end_(end) {}

  // The events of these bytes are acted upon at once, while fields are still what the decoder gave: records go on as
  // records, literals as literals.
  void receive(std::string_view bytes) {
    end_.receive(bytes);
    const std::vector<Event> events(end_.memory.events.begin(), end_.memory.events.end());
    for (const Event& event : events) act(event);
    after_output();
  }

  // Credit comes back when octets have left; called after the output was taken too.
  void after_output() {
    while (Stream* stream = end_.connection.pop_drained()) {
      end_.connection.return_credit(*stream, std::exchange(stream->drained_bytes, 0));
    }
    std::vector<Stream*> done;
    end_.connection.streams().for_each([&](Stream& stream) {
      if (stream.is_reset || (stream.has_received_end && stream.has_sent_end)) done.push_back(&stream);
    });
    for (Stream* stream : done) end_.connection.close_stream(*stream);
  }

  std::vector<ErrorCode> reset_codes;

 private:
  void act(const Event& event) {
    Stream* const stream = end_.memory.streams.find(event.stream);
    if (event.kind == EventKind::kReset || event.kind == EventKind::kStreamFailed) reset_codes.push_back(event.code);
    if (stream == nullptr || stream->is_reset) return;
    if (event.kind == EventKind::kRequest) {
      end_.connection.begin_headers(*stream);
      end_.connection.add_field(make_field(KnownName::kStatus, "200"));
      for (const Field& field : end_.memory.fields_of(event)) {
        if (!is_pseudo(field.known)) end_.connection.add_field(field);
        if (field.name() == "x-call") calls_[stream->id] = decoded_value(field, end_.memory.arena);
      }
      end_.connection.end_headers(*stream, false);
    }
    if (event.kind == EventKind::kData) {
      const uint32_t left = end_.connection.send_data(*stream, event.data(), false);
      end_.connection.return_credit(*stream, left);
    }
    if (!event.end_stream) return;
    end_.connection.begin_trailers(*stream);
    const Field trailers[] = {make_field(KnownName::kGrpcStatus, "0"),
                              make_field("x-call", KnownName::kNone, calls_[stream->id])};
    end_.connection.add_trailers(*stream, trailers);
    end_.connection.end_trailers(*stream);
  }

  Endpoint& end_;
  std::map<uint32_t, std::string> calls_;
};

}  // namespace ringway::h2
