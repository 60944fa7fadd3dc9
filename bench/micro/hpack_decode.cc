// HPACK decoding of a gRPC request: all of it indexed, as in steady state, and with three fields that differ each time.
#include <benchmark/benchmark.h>

#include <memory>

#include "grpc_blocks.h"
#include "h2/hpack_decoder.h"
#include "h2/message.h"

namespace ringway::h2 {
namespace {

constexpr DecodeLimits kLimits{64 * 1024, 100, 16 * 1024};

std::span<const uint8_t> octets_of(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

struct Reader {
  FieldInterner interner{1, 1 << 20};
  std::unique_ptr<HpackDecoder> decoder = std::make_unique<HpackDecoder>(interner);
  base::PlainVector<Field> fields;
  Arena arena;

  bool read(const std::string& block) {
    fields.clear();
    arena.reset();
    interner.begin_epoch();
    return decoder->decode(octets_of(block), kLimits, fields, arena).is_valid;
  }
};

void decode_indexed(benchmark::State& state) {
  Reader reader;
  bench::IndexingWriter writer;
  for (int i = 0; i < 3; ++i) reader.read(writer.write(bench::request_fields()));
  const std::string block = writer.write(bench::request_fields());
  for (auto _ : state) {
    if (!reader.read(block)) state.SkipWithError("rejected");
    benchmark::DoNotOptimize(reader.fields.data());
  }
  state.SetItemsProcessed(state.iterations() * reader.fields.size());
}
BENCHMARK(decode_indexed);

void decode_varied(benchmark::State& state) {
  Reader reader;
  const std::vector<std::string> blocks = bench::varied_blocks();
  uint32_t next = 0;
  for (auto _ : state) {
    if (next == blocks.size()) {
      state.PauseTiming();
      reader.decoder = std::make_unique<HpackDecoder>(reader.interner);
      next = 0;
      state.ResumeTiming();
    }
    if (!reader.read(blocks[next++])) state.SkipWithError("rejected");
    benchmark::DoNotOptimize(reader.fields.data());
  }
  state.SetItemsProcessed(state.iterations() * reader.fields.size());
}
BENCHMARK(decode_varied);

void check_request(benchmark::State& state) {
  Reader reader;
  bench::IndexingWriter writer;
  for (int i = 0; i < 3; ++i) reader.read(writer.write(bench::request_fields()));
  for (auto _ : state) {
    MessageHead head;
    benchmark::DoNotOptimize(check_message(MessageKind::kRequest, {reader.fields.data(), reader.fields.size()}, head));
  }
}
BENCHMARK(check_request);

}  // namespace
}  // namespace ringway::h2
