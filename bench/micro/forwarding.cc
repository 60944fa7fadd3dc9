// The forwarding core: a unary call that comes in on a connection in the server role and goes out on one in the client
// role, its answer back, and both streams closed. Everything of a call but sockets and routing.
//
// Instructions of one call, without noise:
//   valgrind --tool=callgrind --toggle-collect='*forward_call*' build/bench/micro_forwarding
//       --benchmark_filter=Indexing --benchmark_min_time=0.05
// and divide the sum by the number of calls of forward_call (calls= in the output file).
#include <benchmark/benchmark.h>

#include <memory>

#include "config/limit_fields.h"
#include "grpc_blocks.h"
#include "h2/connection.h"
#include "proxy/h2_limits.h"

namespace ringway::h2 {
namespace {

// The defaults, with room for every call of a batch.
Limits limits_of(Role role) {
  Limits limits = proxy::h2_limits(config::initial_limits(), role);
  limits.streams = 1000;
  limits.stream_window = 1 << 20;
  limits.connection_window = 1 << 24;
  limits.first_stream_id = 1;
  return limits;
}

std::span<const uint8_t> octets_of(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

std::string frame(FrameType type, uint8_t flags, uint32_t stream_id, const std::string& payload) {
  std::string octets(kFrameHeaderSize, '\0');
  write_frame_header(reinterpret_cast<uint8_t*>(octets.data()), static_cast<uint32_t>(payload.size()), type, flags,
                     stream_id);
  octets += payload;
  return octets;
}

// Frames of one call as bytes; the stream's id is written in before each use.
struct Script {
  std::string bytes;
  std::vector<size_t> id_places;

  void add(FrameType type, uint8_t flags, const std::string& payload) {
    id_places.push_back(bytes.size() + 5);
    bytes += frame(type, flags, 1, payload);
  }
  std::span<const uint8_t> with_id(uint32_t id) {
    for (const size_t place : id_places) store_32(reinterpret_cast<uint8_t*>(bytes.data()) + place, id);
    return octets_of(bytes);
  }
};

Script request_script(const std::string& block) {
  Script script;
  script.add(FrameType::kHeaders, kFlagEndHeaders, block);
  script.add(FrameType::kData, kFlagEndStream, std::string(5 + 32, 'q'));
  return script;
}

template <typename Writer>
Script response_script(Writer& writer) {
  Script script;
  script.add(FrameType::kHeaders, kFlagEndHeaders,
             writer.write({{":status", "200"}, {"content-type", "application/grpc"}}));
  script.add(FrameType::kData, 0, std::string(5 + 32, 'a'));
  script.add(FrameType::kHeaders, kFlagEndHeaders | kFlagEndStream,
             writer.write({{"grpc-status", "0"}, {"grpc-message", ""}}));
  return script;
}

struct Hop {
  Hop() { open(); }

  void open() {
    upstream.reset();
    downstream.reset();
    downstream = std::make_unique<Connection>(Role::kServer, limits_of(Role::kServer), memory, 1);
    upstream = std::make_unique<Connection>(Role::kClient, limits_of(Role::kClient), memory, 2);
    const std::string settings = frame(FrameType::kSettings, 0, 0, "");
    const std::string acknowledgement = frame(FrameType::kSettings, kFlagAck, 0, "");
    for (Connection* connection : {downstream.get(), upstream.get()}) {
      connection->start();
      std::string greeting(connection->role() == Role::kServer ? kPreface : std::string_view());
      greeting.append(settings).append(acknowledgement);
      connection->receive(octets_of(greeting));
      connection->output().release(memory.blocks);
    }
    next_id = 1;
  }

  void widen(Connection& connection) {
    if (connection.send_window() > 1 << 20) return;
    uint8_t update[kWindowUpdateFrameSize];
    write_window_update(update, 0, 1 << 30);
    connection.receive(update);
  }

  Memory memory{1, 10'000, 1 << 20};
  std::unique_ptr<Connection> downstream;
  std::unique_ptr<Connection> upstream;
  uint32_t next_id = 1;
};

void send_list(Connection& connection, Stream& stream, Memory& memory, const Event& event) {
  if (event.shared != nullptr) {
    connection.send_headers(stream, *event.shared, event.end_stream);
  } else {
    connection.begin_headers(stream);
    connection.add_fields(memory.fields_of(event));
    connection.end_headers(stream, event.end_stream);
  }
}

void forward_request(Hop& hop, const Event& event, Stream*& out) {
  Memory& memory = hop.memory;
  if (event.kind == EventKind::kRequest) {
    out = hop.upstream->open_stream(nullptr);
    send_list(*hop.upstream, *out, memory, event);
  } else if (event.kind == EventKind::kData) {
    Stream* const stream = memory.streams.find(event.stream);
    const uint32_t sent = hop.upstream->send_data(*out, event.data(), event.end_stream);
    hop.downstream->return_credit(*stream, sent);
  }
}

void forward_response(Hop& hop, const Event& event, Stream& out) {
  Memory& memory = hop.memory;
  if (event.kind == EventKind::kResponse) {
    send_list(*hop.downstream, out, memory, event);
  } else if (event.kind == EventKind::kData) {
    hop.downstream->send_data(out, event.data(), false);
  } else if (event.kind == EventKind::kTrailers) {
    if (event.shared != nullptr) {
      hop.downstream->send_trailers(out, *event.shared);
    } else {
      hop.downstream->begin_trailers(out);
      hop.downstream->add_trailers(out, memory.fields_of(event));
      hop.downstream->end_trailers(out);
    }
  }
}

// One call; false when it was not what it should be. Not inlined, so that its instructions can be counted.
[[gnu::noinline]] bool forward_call(Hop& hop, std::span<const uint8_t> request, Script& response) {
  Stream* out = nullptr;
  hop.downstream->receive(request);
  for (const Event& event : hop.memory.events) forward_request(hop, event, out);
  if (out == nullptr) return false;
  benchmark::DoNotOptimize(hop.upstream->output().data());
  hop.upstream->output().release(hop.memory.blocks);
  hop.upstream->receive(response.with_id(out->id));
  Stream* const in = hop.downstream->streams().find(hop.next_id);
  for (const Event& event : hop.memory.events) forward_response(hop, event, *in);
  benchmark::DoNotOptimize(hop.downstream->output().data());
  hop.downstream->output().release(hop.memory.blocks);
  const bool is_done = in->has_sent_end && out->has_received_end;
  hop.upstream->close_stream(*out);
  hop.downstream->close_stream(*in);
  hop.next_id += 2;
  return is_done;
}

// Every call's block is the same one: what indexes all is down to a dozen octets, h2load sends :path in full.
template <typename Writer>
void same(benchmark::State& state) {
  Hop hop;
  Writer request_writer;
  Writer response_writer;
  // From the third time on all are records, in the upstream encoder's table too.
  for (int warm = 0; warm < 4; ++warm) {
    Script request = request_script(request_writer.write(bench::request_fields()));
    Script response = response_script(response_writer);
    if (!forward_call(hop, request.with_id(hop.next_id), response)) state.SkipWithError("the call failed");
  }
  Script request = request_script(request_writer.write(bench::request_fields()));
  Script response = response_script(response_writer);
  for (auto _ : state) {
    hop.widen(*hop.downstream);
    hop.widen(*hop.upstream);
    if (!forward_call(hop, request.with_id(hop.next_id), response)) state.SkipWithError("the call failed");
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK_TEMPLATE(same, bench::IndexingWriter);
BENCHMARK_TEMPLATE(same, bench::BlockWriter);

// Three fields differ in each call and are inserted. Blocks were written one after the other: when they are used up,
// both connections begin anew with the first.
void varied(benchmark::State& state) {
  Hop hop;
  std::vector<Script> requests;
  for (const std::string& block : bench::varied_blocks()) requests.push_back(request_script(block));
  Script response;
  const auto begin = [&] {
    hop.open();
    bench::IndexingWriter writer;
    response = response_script(writer);
    if (!forward_call(hop, requests[0].with_id(hop.next_id), response)) state.SkipWithError("the call failed");
    response = response_script(writer);
  };
  begin();
  size_t next = 1;
  for (auto _ : state) {
    if (next == requests.size()) {
      state.PauseTiming();
      begin();
      next = 1;
      state.ResumeTiming();
    }
    hop.widen(*hop.downstream);
    hop.widen(*hop.upstream);
    if (!forward_call(hop, requests[next++].with_id(hop.next_id), response)) state.SkipWithError("the call failed");
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(varied);

}  // namespace
}  // namespace ringway::h2
