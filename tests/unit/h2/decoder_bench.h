// A decoder with what it needs around it. Each block lives in memory of exactly its size until the next one is decoded,
// as in a receive call.
#pragma once

#include <memory>
#include <string_view>

#include "base/plain_vector.h"
#include "h2/arena.h"
#include "h2/hpack_decoder.h"
#include "hpack_oracle.h"

namespace ringway::h2 {

inline constexpr DecodeLimits kWideLimits{1u << 20, 10'000, 1u << 20};

struct DecoderBench {
  explicit DecoderBench(FieldInterner& shared) : interner(shared), decoder(shared) {}

  DecodedBlock decode(std::string_view block, const DecodeLimits& limits = kWideLimits, BlockCache* cache = nullptr) {
    interner.begin_epoch();
    arena.reset();
    fields.clear();
    octets.reset(new uint8_t[block.size()]);
    std::copy(block.begin(), block.end(), octets.get());
    return decoder.decode({octets.get(), block.size()}, limits, fields, arena, cache);
  }

  // The list of a block that must be valid.
  PlainList list(std::string_view block, const DecodeLimits& limits = kWideLimits) {
    const DecodedBlock decoded = decode(block, limits);
    if (!decoded.is_valid) return {{"(rejected)", ""}};
    return plain(fields);
  }

  FieldInterner& interner;
  HpackDecoder decoder;
  Arena arena;
  base::PlainVector<Field> fields;
  std::unique_ptr<uint8_t[]> octets;
};

}  // namespace ringway::h2
