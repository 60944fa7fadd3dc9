// Huffman decoding of what differs from call to call: a timeout, a trace identifier and a token, each a thousand times
// anew, so that neither branches nor cache lines are learnt by heart. With other_KiB the cache has other work between
// the strings of two calls, as it has in a proxy; `other_work` is the time of that alone.
//
// Instructions, without noise:
//   valgrind --tool=callgrind --toggle-collect='*huffman_decode*' build/bench/micro_huffman
//       --benchmark_filter=decode/token --benchmark_min_time=0.01
// and divide the sum by the number of calls of huffman_decode (calls= in the output file).
#include <benchmark/benchmark.h>

#include "base/prng.h"
#include "grpc_blocks.h"
#include "h2/huffman.h"

namespace ringway::h2 {
namespace {

constexpr size_t kValues = 1000;
constexpr std::string_view kHex = "0123456789abcdef";
constexpr std::string_view kTokenAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

// The coded value as nghttp2 writes it: behind the first octet, the name "x" and the length.
std::string coded(const std::string& value) {
  nghttp2_hd_deflater* deflater = nullptr;
  nghttp2_hd_deflate_new(&deflater, 0);
  uint8_t name[] = "x";
  nghttp2_nv pair{name, reinterpret_cast<uint8_t*>(const_cast<char*>(value.data())), 1, value.size(),
                  NGHTTP2_NV_FLAG_NO_INDEX};
  uint8_t block[1000];
  const ssize_t size = nghttp2_hd_deflate_hd(deflater, block, sizeof block, &pair, 1);
  nghttp2_hd_deflate_del(deflater);
  // A table of size zero is announced first; values here are shorter than 127 octets when coded.
  const size_t start = (block[0] & 0xe0) == 0x20 ? 1 : 0;
  return {reinterpret_cast<const char*>(block) + start + 4, static_cast<size_t>(size) - start - 4};
}

std::string text_of(base::Prng& prng, std::string_view alphabet, size_t size) {
  std::string text;
  while (text.size() < size) text.push_back(alphabet[prng.below(static_cast<uint32_t>(alphabet.size()))]);
  return text;
}

std::string timeout(base::Prng& prng) {
  return std::to_string(9'500'000 + prng.below(1'000'000)) + "u";
}

std::string traceparent(base::Prng& prng) {
  return "00-" + text_of(prng, kHex, 32) + "-" + text_of(prng, kHex, 16) + "-01";
}

std::string token(base::Prng& prng) {
  return "Bearer " + text_of(prng, kTokenAlphabet, 54);
}

using Maker = std::string (*)(base::Prng&);

struct Value {
  std::string octets;
  size_t size;
};

std::vector<Value> values_of(Maker make) {
  base::Prng prng(1);
  std::vector<Value> values;
  while (values.size() < kValues) {
    const std::string text = make(prng);
    values.push_back({coded(text), text.size()});
  }
  return values;
}

bool decode_one(const Value& value, char* out) {
  const size_t size = huffman_decode({reinterpret_cast<const uint8_t*>(value.octets.data()), value.octets.size()}, out);
  benchmark::DoNotOptimize(out);
  benchmark::ClobberMemory();
  return size == value.size;
}

void decode(benchmark::State& state, Maker make) {
  const std::vector<Value> values = values_of(make);
  char out[huffman_decoded_size_max(128)];
  size_t next = 0;
  for (auto _ : state) {
    if (!decode_one(values[next], out)) state.SkipWithError("wrong size");
    if (++next == kValues) next = 0;
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(values[0].size));
}
BENCHMARK_CAPTURE(decode, timeout, timeout);
BENCHMARK_CAPTURE(decode, traceparent, traceparent);
BENCHMARK_CAPTURE(decode, token, token);

void touch(std::vector<char>& memory) {
  for (size_t i = 0; i < memory.size(); i += 64) ++memory[i];
  benchmark::ClobberMemory();
}

void other_work(benchmark::State& state) {
  std::vector<char> memory(static_cast<size_t>(state.range(0)) * 1024);
  for (auto _ : state) touch(memory);
}
BENCHMARK(other_work)->ArgName("other_KiB")->Arg(32)->Arg(128);

void one_call(benchmark::State& state) {
  const std::vector<Value> values[] = {values_of(timeout), values_of(traceparent), values_of(token)};
  std::vector<char> memory(static_cast<size_t>(state.range(0)) * 1024);
  char out[huffman_decoded_size_max(128)];
  size_t next = 0;
  for (auto _ : state) {
    for (const std::vector<Value>& kind : values) {
      if (!decode_one(kind[next], out)) state.SkipWithError("wrong size");
    }
    if (++next == kValues) next = 0;
    touch(memory);
  }
}
BENCHMARK(one_call)->ArgName("other_KiB")->Arg(0)->Arg(32)->Arg(128);

}  // namespace
}  // namespace ringway::h2
