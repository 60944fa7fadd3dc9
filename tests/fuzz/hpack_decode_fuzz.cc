// HPACK decoding against nghttp2: a sequence of blocks through both decoders, whose lists must be equal field by field,
// or both must reject.
//
// The differences that are allowed, and why:
// - An integer of more than four octets behind its prefix is rejected by ours, nghttp2 takes a fifth. Both follow
// section
//   5.1, which lets an implementation bound the length; four octets reach 2^28, beyond every limit there is. Only
//   values padded with superfluous zeros differ, and no encoder writes those: such blocks are passed over here.
// - A name above 65,535 octets or a value above 65,536 is rejected by one of the two: inputs are shorter.
// - Ours marks sensitive names as never indexed: the flag is compared for all others.
//
// The input: two octets of size and a block, again and again.
#include <cstdlib>
#include <cstring>
#include <memory>

#include "h2/hpack_decoder.h"
#include "hpack_oracle.h"
#include "input.h"

namespace ringway::h2 {
namespace {

// Walks a block by its form alone: does any integer have five octets or more behind its prefix?
class LongIntegerSearch {
 public:
  explicit LongIntegerSearch(std::string_view block) : left_(block) {}

  bool finds() {
    while (!left_.empty() && !found_) {
      const uint8_t first = static_cast<uint8_t>(left_.front());
      if (first & 0x80) {
        integer(7);
      } else if ((first & 0xe0) == 0x20) {
        integer(5);
      } else {
        const uint64_t index = integer(first & 0x40 ? 6 : 4);
        if (index == 0) string();
        string();
      }
    }
    return found_;
  }

 private:
  uint64_t integer(uint32_t prefix_bits) {
    if (left_.empty()) return 1;
    const uint32_t mask = (1u << prefix_bits) - 1;
    uint64_t value = static_cast<uint8_t>(left_.front()) & mask;
    left_.remove_prefix(1);
    if (value != mask) return value;
    for (uint32_t count = 1; !left_.empty(); ++count) {
      const uint8_t octet = static_cast<uint8_t>(left_.front());
      left_.remove_prefix(1);
      if (count > 4) found_ = true;
      if (count <= 8) value += uint64_t{octet & 0x7fu} << (7 * (count - 1));
      if ((octet & 0x80) == 0) return value;
    }
    return value;
  }
  void string() {
    const uint64_t size = integer(7);
    left_.remove_prefix(size < left_.size() ? size : left_.size());
  }

  std::string_view left_;
  bool found_ = false;
};

struct Ours {
  Ours() : interner(1, 1500), decoder(interner) {}

  std::optional<PlainList> decode(std::string_view block) {
    interner.begin_epoch();
    arena.reset();
    fields.clear();
    octets.reset(new uint8_t[block.size()]);
    std::copy(block.begin(), block.end(), octets.get());
    if (!decoder.decode({octets.get(), block.size()}, {1 << 30, 1 << 20, 1 << 30}, fields, arena).is_valid)
      return std::nullopt;
    return plain(fields);
  }

  FieldInterner interner;
  HpackDecoder decoder;
  Arena arena;
  base::PlainVector<Field> fields;
  std::unique_ptr<uint8_t[]> octets;
};

PlainList without_sensitive_flags(PlainList list) {
  for (PlainField& field : list) {
    if (is_sensitive(find_known_name(field.name))) field.is_never_indexed = false;
  }
  return list;
}

}  // namespace
}  // namespace ringway::h2

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ringway::h2;
  using ringway::require;
  // Two decoders of ours share one table of records, as the connections of a shard do.
  Ours ours;
  HpackDecoder second(ours.interner);
  Inflater inflater;
  std::string_view left(reinterpret_cast<const char*>(data), size);
  while (left.size() >= 2) {
    const size_t wanted = static_cast<uint8_t>(left[0]) | size_t{static_cast<uint8_t>(left[1])} << 8;
    const std::string_view block = left.substr(2, wanted);
    left.remove_prefix(2 + block.size());
    if (block.size() > 30'000 || LongIntegerSearch(block).finds()) return 0;
    const auto theirs = inflater.decode(block);
    const auto list = ours.decode(block);
    require(list.has_value() == theirs.has_value(), "one decoder accepts what the other rejects");
    if (!list) return 0;
    require(without_sensitive_flags(*list) == without_sensitive_flags(*theirs), "the lists differ");
    // The records that its fields name must survive what the other connection does in the same epoch.
    ringway::base::PlainVector<Field> fields;
    Arena arena;
    second.decode({ours.octets.get(), block.size()}, {1 << 30, 1 << 20, 1 << 30}, fields, arena);
    require(plain(ours.fields) == *list && plain(fields) == *list, "a record changed under its field");
  }
  return 0;
}
