// The latency histogram: recording a value, reading a percentile, and adding up two histograms as shards do.
#include "stats/histogram.h"

#include <benchmark/benchmark.h>

#include <cmath>
#include <memory>
#include <vector>

#include "base/prng.h"

namespace ringway::stats {
namespace {

constexpr uint32_t kValues = 4096;

// Durations from 20 us to 20 ms, as many in each power of two: they fall into about 1,300 buckets, as a real
// distribution with a tail does, and no branch can learn them.
std::vector<uint64_t> durations_ns() {
  base::Prng prng(1);
  std::vector<uint64_t> values(kValues);
  for (uint64_t& value : values) value = static_cast<uint64_t>(20'000.0 * std::pow(1000.0, prng.unit()));
  return values;
}

// On the heap: a histogram is 38 KiB.
std::unique_ptr<Histogram> recorded() {
  auto histogram = std::make_unique<Histogram>();
  for (const uint64_t value : durations_ns()) histogram->record(value);
  return histogram;
}

void record(benchmark::State& state) {
  const std::vector<uint64_t> values = durations_ns();
  const auto histogram = std::make_unique<Histogram>();
  // From here on the compiler has to take it that others read the histogram, so that each value is really recorded.
  benchmark::DoNotOptimize(histogram.get());
  uint32_t next = 0;
  for (auto _ : state) {
    histogram->record(values[next]);
    next = (next + 1) % kValues;
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(record);

// A percentile is found by a walk from the lowest bucket, so that its cost grows with the value it finds.
void percentile(benchmark::State& state, double percent) {
  const auto histogram = recorded();
  for (auto _ : state) {
    benchmark::DoNotOptimize(histogram->percentile(percent));
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK_CAPTURE(percentile, p50, 50.0);
BENCHMARK_CAPTURE(percentile, p99, 99.0);
BENCHMARK_CAPTURE(percentile, p99_9, 99.9);

void merge(benchmark::State& state) {
  const auto histogram = recorded();
  const auto sum = std::make_unique<Histogram>();
  benchmark::DoNotOptimize(sum.get());
  for (auto _ : state) {
    sum->merge(*histogram);
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(merge);

}  // namespace
}  // namespace ringway::stats
