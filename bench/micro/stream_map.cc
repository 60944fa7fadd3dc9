// The stream table: one stream comes and one goes, with a number of others open.
#include <benchmark/benchmark.h>

#include <deque>

#include "h2/stream_map.h"

namespace ringway::h2 {
namespace {

void find_insert_erase(benchmark::State& state) {
  const auto open = static_cast<size_t>(state.range(0));
  std::deque<Stream> streams(open + 1);
  StreamMap map;
  uint32_t next_id = 1;
  for (size_t i = 0; i < open; ++i, next_id += 2) {
    streams[i].id = next_id;
    map.insert(streams[i]);
  }
  size_t spare = open;
  for (auto _ : state) {
    streams[spare].id = next_id;
    map.insert(streams[spare]);
    Stream* const oldest = map.find(next_id - 2 * static_cast<uint32_t>(open));
    benchmark::DoNotOptimize(oldest);
    map.erase(*oldest);
    next_id += 2;
    spare = spare == open ? 0 : spare + 1;
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(find_insert_erase)->Arg(1)->Arg(10)->Arg(100)->Arg(1000);

}  // namespace
}  // namespace ringway::h2
