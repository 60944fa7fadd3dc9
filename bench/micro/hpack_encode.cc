// HPACK encoding of a gRPC request as the decoder hands it over: records alone, and with three literals.
#include <benchmark/benchmark.h>

#include "base/block_pool.h"
#include "base/byte_queue.h"
#include "grpc_blocks.h"
#include "h2/hpack_decoder.h"
#include "h2/hpack_encoder.h"

namespace ringway::h2 {
namespace {

void encode(benchmark::State& state, const bench::Fields& (*fields_of)(uint32_t)) {
  FieldInterner interner(1, 1 << 20);
  HpackDecoder decoder(interner);
  HpackEncoder encoder;
  base::BlockPool pool;
  base::ByteQueue out;
  bench::IndexingWriter writer;
  base::PlainVector<Field> fields;
  Arena arena;
  std::string block;
  // The second time the fields are referred to, the third they are records in the encoder's table.
  for (uint32_t i = 0; i < 4; ++i) {
    fields.clear();
    block = writer.write(fields_of(i));
    const std::span<const uint8_t> octets(reinterpret_cast<const uint8_t*>(block.data()), block.size());
    if (!decoder.decode(octets, {64 * 1024, 100, 16 * 1024}, fields, arena).is_valid) state.SkipWithError("rejected");
    encoder.begin_block(out, pool);
    encoder.encode_all({fields.data(), fields.size()}, out, pool);
    out.release(pool);
  }
  for (auto _ : state) {
    encoder.begin_block(out, pool);
    encoder.encode_all({fields.data(), fields.size()}, out, pool);
    benchmark::DoNotOptimize(out.data());
    out.release(pool);
  }
  state.SetItemsProcessed(state.iterations() * fields.size());
}

const bench::Fields& same(uint32_t) {
  static const bench::Fields fields = bench::request_fields();
  return fields;
}
const bench::Fields& varied(uint32_t call) {
  static bench::Fields fields;
  return fields = bench::varied_fields(call);
}

BENCHMARK_CAPTURE(encode, indexed, same);
BENCHMARK_CAPTURE(encode, varied, varied);

}  // namespace
}  // namespace ringway::h2
