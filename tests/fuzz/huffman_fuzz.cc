// Huffman decoding: any octets against nghttp2, and any text through an encoder of the tests' own and back.
#include <cstdlib>
#include <memory>

#include "h2/huffman.h"
#include "hpack_oracle.h"

namespace ringway::h2 {
namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

std::optional<std::string> decode(std::string_view encoded) {
  const std::unique_ptr<uint8_t[]> input(new uint8_t[encoded.size()]);
  std::copy(encoded.begin(), encoded.end(), input.get());
  const std::unique_ptr<char[]> output(new char[huffman_decoded_size_max(encoded.size())]);
  const size_t size = huffman_decode({input.get(), encoded.size()}, output.get());
  if (size == kHuffmanInvalid) return std::nullopt;
  return std::string(output.get(), size);
}

}  // namespace
}  // namespace ringway::h2

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ringway::h2;
  const std::string text(reinterpret_cast<const char*>(data), size);
  require(decode(huffman_encode(text)) == text);
  Inflater inflater;
  const auto theirs = inflater.decode(std::string("\x10\x01x") + hpack_integer(0x80, 7, size) + text);
  const auto ours = decode(text);
  require(ours.has_value() == theirs.has_value());
  if (ours) require(*ours == theirs->at(0).value);
  return 0;
}
