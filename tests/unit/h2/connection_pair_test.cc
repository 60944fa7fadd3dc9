// A client and a server connection of ours joined in memory, driven by random commands. After every step all invariants
// hold; at rest both ends agree about every window, and every body is what was sent.
#include <gtest/gtest.h>

#include <map>

#include "endpoint.h"

namespace ringway::h2 {
namespace {

// One end and the bytes on their way to it.
struct Side {
  Side(Role role, Memory& memory, const Limits& limits) : end(role, memory, limits) {}
  Endpoint end;
  std::string inbound;
};

// One direction of a stream, as its two ends see it.
struct Body {
  std::string sent;
  std::string received;
  PlainList headers_sent;
  PlainList headers_received;
  PlainList trailers_sent;
  PlainList trailers_received;
  bool has_sent_headers = false;
  bool has_sent_end = false;
  bool has_received_end = false;
  uint32_t credit_owed = 0;  // received, and not yet returned by the receiver
};

struct Call {
  Body up;  // client to server
  Body down;
  bool is_reset = false;
};

class Exchange {
 public:
  explicit Exchange(uint64_t seed)
      : prng_(seed),
        memory_(seed, 200, seed % 3 == 0 ? 2000u : 1u << 20),
        client_(Role::kClient, memory_, random_limits()),
        server_(Role::kServer, memory_, random_limits()) {}

  void run(uint32_t steps) {
    for (uint32_t i = 0; i < steps && !testing::Test::HasFatalFailure(); ++i) step();
    finish();
  }

 private:
  Limits random_limits() {
    Limits limits = test_limits();
    static constexpr uint32_t kWindows[] = {1, 100, 5000, 65'535, 200'000};
    limits.stream_window = kWindows[prng_.below(std::size(kWindows))];
    limits.connection_window = kWindows[prng_.below(std::size(kWindows))];
    limits.streams = 1 + prng_.below(20);
    return limits;
  }

  Body& outgoing(Side& side, Call& call) { return &side == &client_ ? call.up : call.down; }
  Body& incoming(Side& side, Call& call) { return &side == &client_ ? call.down : call.up; }
  Side& other(Side& side) { return &side == &client_ ? server_ : client_; }

  // A call whose stream lives at this side, or null.
  Call* random_call(Side& side, uint32_t& id) {
    if (calls_.empty()) return nullptr;
    id = 1 + 2 * prng_.below(static_cast<uint32_t>(calls_.size()));
    return side.end.stream(id) != nullptr ? &calls_.at(id) : nullptr;
  }

  void step() {
    Side& side = prng_.below(2) == 0 ? client_ : server_;
    switch (prng_.below(16)) {
      case 0: open_call(); break;
      case 1: begin_answer(); break;
      case 2:
      case 3:
      case 4: send_body(side); break;
      case 5: send_end(side); break;
      case 6:
      case 7: return_credit(side, prng_.below(4000)); break;
      case 8:
        if (prng_.below(10) == 0) reset(side);
        break;
      case 9:
        if (prng_.below(4) == 0) side.end.connection.send_ping(prng_.next());
        break;
      case 10: side.end.connection.set_write_blocked(prng_.below(3) == 0); break;
      case 11: side.end.connection.gather(prng_.below(40'000)); break;
      case 12:
      case 13: collect(side); break;
      default: deliver(side, prng_.below(3) == 0 ? prng_.below(40) : prng_.below(60'000)); break;
    }
    side.end.connection.validate();
    other(side).end.connection.validate();
  }

  void open_call() {
    Stream* stream = client_.end.connection.open_stream(nullptr);
    if (stream == nullptr) return;
    ASSERT_EQ(stream->id, 1 + 2 * calls_.size());
    Call& call = calls_[stream->id];
    call.up.headers_sent = wire::request_fields(random_list_without_pseudo());
    call.up.has_sent_headers = true;
    call.up.has_sent_end = prng_.below(6) == 0;
    client_.end.send_headers(*stream, call.up.headers_sent, call.up.has_sent_end);
  }

  void begin_answer() {
    uint32_t id = 0;
    Call* call = random_call(server_, id);
    if (call == nullptr || call->down.has_sent_headers || server_.end.stream(id)->is_reset) return;
    call->down.headers_sent = random_list_without_pseudo();
    call->down.headers_sent.insert(call->down.headers_sent.begin(), {":status", "200"});
    call->down.has_sent_headers = true;
    server_.end.send_headers(*server_.end.stream(id), call->down.headers_sent, false);
  }

  void send_body(Side& side) {
    uint32_t id = 0;
    Call* call = random_call(side, id);
    if (call == nullptr) return;
    Body& body = outgoing(side, *call);
    Stream& stream = *side.end.stream(id);
    if (!body.has_sent_headers || body.has_sent_end || stream.is_reset || stream.pending.size() > 100'000) return;
    std::string more(prng_.below(10) == 0 ? prng_.below(70'000) : prng_.below(300), '\0');
    for (char& c : more) c = static_cast<char>(prng_.next());
    body.sent += more;
    body.has_sent_end = prng_.below(12) == 0;
    side.end.send_data(stream, more, body.has_sent_end);
    close_if_done(side, id);
  }

  void send_end(Side& side) {
    uint32_t id = 0;
    Call* call = random_call(side, id);
    if (call == nullptr) return;
    Body& body = outgoing(side, *call);
    if (!body.has_sent_headers || body.has_sent_end || side.end.stream(id)->is_reset || prng_.below(4) != 0) return;
    end_body(side, id, body);
  }

  void end_body(Side& side, uint32_t id, Body& body) {
    body.has_sent_end = true;
    if (prng_.below(2) == 0) {
      side.end.send_data(*side.end.stream(id), "", true);
    } else {
      body.trailers_sent = random_list_without_pseudo();
      side.end.send_trailers(*side.end.stream(id), body.trailers_sent);
    }
    close_if_done(side, id);
  }

  void return_credit(Side& side, uint32_t bytes) {
    uint32_t id = 0;
    Call* call = random_call(side, id);
    if (call == nullptr) return;
    Body& body = incoming(side, *call);
    bytes = std::min(bytes, body.credit_owed);
    body.credit_owed -= bytes;
    side.end.connection.return_credit(*side.end.stream(id), bytes);
  }

  void reset(Side& side) {
    uint32_t id = 0;
    Call* call = random_call(side, id);
    if (call == nullptr) return;
    call->is_reset = true;
    side.end.connection.reset_stream(*side.end.stream(id), ErrorCode::kCancel);
    if (prng_.below(2) == 0) side.end.connection.close_stream(*side.end.stream(id));
  }

  // Output goes onto the wire; a blocked side keeps it.
  void collect(Side& side) {
    const std::string bytes = side.end.take_output(prng_.below(200'000));
    other(side).inbound += bytes;
    while (Stream* stream = side.end.connection.pop_drained()) stream->drained_bytes = 0;
    for (const auto& [id, call] : calls_) close_if_done(side, id);
  }

  void deliver(Side& side, uint32_t size) {
    const std::string bytes = side.inbound.substr(0, size);
    side.inbound.erase(0, size);
    const std::vector<Seen> events = side.end.receive(bytes);
    ASSERT_FALSE(side.end.connection.has_failed()) << side.end.connection.failure_reason();
    for (const Seen& seen : events) act(side, seen);
    // Only when all of this call's events were seen: a later one may name the same stream.
    for (const Seen& seen : events) close_if_done(side, seen.stream_id);
  }

  void act(Side& side, const Seen& seen) {
    if (seen.stream_id == 0) return;
    Call& call = calls_.at(seen.stream_id);
    Body& body = incoming(side, call);
    switch (seen.kind) {
      case EventKind::kRequest:
      case EventKind::kResponse:
        body.headers_received = seen.fields;
        EXPECT_EQ(body.headers_received, with_sensitive_marked(body.headers_sent));
        break;
      case EventKind::kTrailers:
        EXPECT_EQ(without_flags(seen.fields), without_flags(body.trailers_sent));
        EXPECT_EQ(body.received, body.sent);
        break;
      case EventKind::kData:
        body.received += seen.data;
        body.credit_owed += static_cast<uint32_t>(seen.data.size());
        ASSERT_TRUE(body.sent.starts_with(body.received)) << seen.stream_id;
        break;
      case EventKind::kReset: call.is_reset = true; break;
      default: FAIL() << seen; break;
    }
    if (!seen.end_stream) return;
    body.has_received_end = true;
    EXPECT_TRUE(body.has_sent_end);
    EXPECT_EQ(body.received, body.sent);
  }

  void close_if_done(Side& side, uint32_t id) {
    Stream* stream = id == 0 ? nullptr : side.end.stream(id);
    if (stream == nullptr || !(stream->is_reset || (stream->has_sent_end && stream->has_received_end))) return;
    side.end.connection.close_stream(*stream);
  }

  // Until nothing moves any more: all credit returned, all bytes delivered.
  void settle() {
    for (bool is_moving = true; is_moving && !testing::Test::HasFatalFailure();) {
      is_moving = false;
      for (Side* side : {&client_, &server_}) {
        side->end.connection.set_write_blocked(false);
        for (auto& [id, call] : calls_) {
          Stream* stream = side->end.stream(id);
          if (stream == nullptr) continue;
          side->end.connection.return_credit(*stream, std::exchange(incoming(*side, call).credit_owed, 0));
        }
        const std::string bytes = side->end.take_output();
        while (Stream* stream = side->end.connection.pop_drained()) stream->drained_bytes = 0;
        for (const auto& [id, call] : calls_) close_if_done(*side, id);
        other(*side).inbound += bytes;
        is_moving |= !side->inbound.empty() || !bytes.empty();
        deliver(*side, UINT32_MAX);
      }
    }
  }

  void expect_windows_agree() {
    for (Side* side : {&client_, &server_}) {
      Connection& sender = side->end.connection;
      Connection& receiver = other(*side).end.connection;
      EXPECT_EQ(sender.send_window(), receiver.recv_window());
      sender.streams().for_each([&](Stream& stream) {
        Stream* const twin = receiver.streams().find(stream.id);
        if (twin == nullptr || twin->is_reset || stream.is_reset) return;
        EXPECT_EQ(stream.send_window, twin->recv_window) << stream.id;
        EXPECT_LT(twin->recv_owed, 100'000u);
      });
    }
  }

  void finish() {
    settle();
    expect_windows_agree();
    for (auto& [id, call] : calls_) {
      for (Side* side : {&client_, &server_}) {
        Body& body = outgoing(*side, call);
        Stream* stream = side->end.stream(id);
        if (stream == nullptr || stream->is_reset || body.has_sent_end) continue;
        if (!body.has_sent_headers) {
          body.headers_sent = {{":status", "200"}};
          body.has_sent_headers = true;
          side->end.send_headers(*stream, body.headers_sent, false);
        }
        end_body(*side, id, body);
      }
    }
    settle();
    expect_windows_agree();
    for (const auto& [id, call] : calls_) {
      if (call.is_reset) continue;
      EXPECT_TRUE(call.up.has_received_end && call.down.has_received_end) << id;
      EXPECT_EQ(call.up.received, call.up.sent);
      EXPECT_EQ(call.down.received, call.down.sent);
    }
    EXPECT_EQ(client_.end.connection.stream_count(), 0u);
    EXPECT_EQ(server_.end.connection.stream_count(), 0u);
    EXPECT_EQ(memory_.blocks.bytes_in_use(), 0u);
    EXPECT_EQ(memory_.streams.live_count(), 0u);
  }

  PlainList random_list_without_pseudo() {
    PlainList list = random_list(prng_, 8, prng_.below(40) == 0 ? 20'000 : 100);
    std::erase_if(list, [](const PlainField& field) { return field.name.starts_with(':') || field.name == "te"; });
    // Values with blanks at their ends or control characters are not what this test is about.
    for (PlainField& field : list) field.value = "v" + field.value + "v";
    return list;
  }

  base::Prng prng_;
  Memory memory_;
  Side client_;
  Side server_;
  std::map<uint32_t, Call> calls_;
};

class ConnectionPairTest : public testing::TestWithParam<uint64_t> {};

TEST_P(ConnectionPairTest, RandomExchanges) {
  Exchange(GetParam()).run(1500);
}

INSTANTIATE_TEST_SUITE_P(Seeds, ConnectionPairTest, testing::Range<uint64_t>(1, 25));

}  // namespace
}  // namespace ringway::h2
