// Huffman decoding of a short value and of a token.
#include <benchmark/benchmark.h>

#include "grpc_blocks.h"
#include "h2/huffman.h"

namespace ringway::h2 {
namespace {

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

void decode(benchmark::State& state, const char* value) {
  const std::string octets = coded(value);
  std::string out(huffman_decoded_size_max(octets.size()), '\0');
  size_t size = 0;
  for (auto _ : state) {
    size = huffman_decode({reinterpret_cast<const uint8_t*>(octets.data()), octets.size()}, out.data());
    benchmark::DoNotOptimize(out.data());
    benchmark::ClobberMemory();
  }
  if (size != std::string_view(value).size()) state.SkipWithError("wrong size");
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(size));
}
BENCHMARK_CAPTURE(decode, timeout, "9999871u");
BENCHMARK_CAPTURE(decode, traceparent, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
BENCHMARK_CAPTURE(decode, token, "Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N");

}  // namespace
}  // namespace ringway::h2
