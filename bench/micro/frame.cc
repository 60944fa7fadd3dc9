// Frame headers: parsing a run of them, and writing one.
#include <benchmark/benchmark.h>

#include <vector>

#include "h2/frame.h"

namespace ringway::h2 {
namespace {

void parse_headers(benchmark::State& state) {
  std::vector<uint8_t> frames(1000 * kFrameHeaderSize);
  for (uint32_t i = 0; i < 1000; ++i) {
    write_frame_header(frames.data() + i * kFrameHeaderSize, i * 13 % 16'384, static_cast<FrameType>(i % 10), i % 2,
                       2 * i + 1);
  }
  for (auto _ : state) {
    for (uint32_t i = 0; i < 1000; ++i) {
      FrameHeader header = parse_frame_header(frames.data() + i * kFrameHeaderSize);
      benchmark::DoNotOptimize(header);
    }
  }
  state.SetItemsProcessed(state.iterations() * 1000);
}
BENCHMARK(parse_headers);

void write_headers(benchmark::State& state) {
  uint8_t octets[kFrameHeaderSize];
  uint32_t id = 1;
  for (auto _ : state) {
    benchmark::DoNotOptimize(write_frame_header(octets, 32, FrameType::kData, kFlagEndStream, id));
    benchmark::ClobberMemory();
    id += 2;
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(write_headers);

}  // namespace
}  // namespace ringway::h2
