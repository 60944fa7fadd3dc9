// Header blocks of a gRPC call as real clients write them, none of them by the code under test: nghttp2's encoder,
// which never indexes :path (h2load), and one that indexes all it can, as grpc-go does.
#pragma once

#include <nghttp2/nghttp2.h>

#include <deque>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ringway::bench {

using Fields = std::vector<std::pair<std::string, std::string>>;

inline Fields request_fields() {
  return {{":method", "POST"},
          {":scheme", "http"},
          {":path", "/shop.v1.Orders/Place"},
          {":authority", "orders.shop.internal:50051"},
          {"content-type", "application/grpc"},
          {"user-agent", "grpc-go/1.60.0"},
          {"te", "trailers"},
          {"grpc-accept-encoding", "gzip"}};
}

// What differs from call to call in production.
inline Fields varied_fields(uint32_t call) {
  Fields fields = request_fields();
  const std::string digits = std::to_string(1'000'000'000u + call * 7919u);
  fields.push_back({"grpc-timeout", digits.substr(3) + "u"});
  fields.push_back({"traceparent", "00-0af7651916cd43dd8448eb2" + digits + "-b7ad6b71" + digits.substr(2) + "-01"});
  fields.push_back({"authorization", "Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIi" + digits + ".c2lnbmF0dXJl"});
  return fields;
}

class BlockWriter {
 public:
  BlockWriter() { nghttp2_hd_deflate_new(&deflater_, 4096); }
  BlockWriter(const BlockWriter&) = delete;
  ~BlockWriter() { nghttp2_hd_deflate_del(deflater_); }

  std::string write(const Fields& fields) {
    std::vector<nghttp2_nv> pairs;
    for (const auto& [name, value] : fields) {
      auto* name_octets = reinterpret_cast<uint8_t*>(const_cast<char*>(name.data()));
      auto* value_octets = reinterpret_cast<uint8_t*>(const_cast<char*>(value.data()));
      pairs.push_back({name_octets, value_octets, name.size(), value.size(), NGHTTP2_NV_FLAG_NONE});
    }
    std::string block(nghttp2_hd_deflate_bound(deflater_, pairs.data(), pairs.size()), '\0');
    const ssize_t size = nghttp2_hd_deflate_hd(deflater_, reinterpret_cast<uint8_t*>(block.data()), block.size(),
                                               pairs.data(), pairs.size());
    block.resize(static_cast<size_t>(size));
    return block;
  }

 private:
  nghttp2_hd_deflater* deflater_ = nullptr;
};

// Inserts every field that is not there yet, Huffman coded, and refers to it from then on.
class IndexingWriter {
 public:
  std::string write(const Fields& fields) {
    std::string block;
    for (const auto& field : fields) {
      if (const uint32_t index = index_of(field)) {
        block += integer(0x80, 7, index);
        continue;
      }
      block += '\x40' + coded(field.first) + coded(field.second);
      table_.push_front(field);
      bytes_ += size_of(field);
      while (bytes_ > 4096) {
        bytes_ -= size_of(table_.back());
        table_.pop_back();
      }
    }
    return block;
  }

 private:
  using Field = Fields::value_type;

  static size_t size_of(const Field& field) { return field.first.size() + field.second.size() + 32; }

  uint32_t index_of(const Field& field) const {
    if (field == Field{":method", "POST"}) return 3;
    if (field == Field{":scheme", "http"}) return 6;
    if (field == Field{":status", "200"}) return 8;
    for (uint32_t age = 0; age < table_.size(); ++age) {
      if (table_[age] == field) return 62 + age;
    }
    return 0;
  }

  static std::string integer(uint8_t pattern, uint32_t prefix_bits, uint32_t value) {
    const uint32_t mask = (1u << prefix_bits) - 1;
    if (value < mask) return {static_cast<char>(pattern | value)};
    return {static_cast<char>(pattern | mask), static_cast<char>(value - mask)};
  }

  // A string literal as nghttp2 writes it: behind the update to a table of none, the first octet and the name.
  static std::string coded(const std::string& text) {
    nghttp2_hd_deflater* deflater = nullptr;
    nghttp2_hd_deflate_new(&deflater, 0);
    uint8_t name[] = "x";
    nghttp2_nv pair{name, reinterpret_cast<uint8_t*>(const_cast<char*>(text.data())), 1, text.size(),
                    NGHTTP2_NV_FLAG_NO_INDEX};
    std::string block(nghttp2_hd_deflate_bound(deflater, &pair, 1), '\0');
    const ssize_t size =
        nghttp2_hd_deflate_hd(deflater, reinterpret_cast<uint8_t*>(block.data()), block.size(), &pair, 1);
    nghttp2_hd_deflate_del(deflater);
    const size_t start = (static_cast<uint8_t>(block[0]) & 0xe0) == 0x20 ? 4 : 3;
    return block.substr(start, static_cast<size_t>(size) - start);
  }

  std::deque<Field> table_;
  size_t bytes_ = 0;
};

inline constexpr uint32_t kVariedBlocks = 4096;

// Consecutive blocks of one connection; a reader that has come to the end begins anew with an empty table.
inline std::vector<std::string> varied_blocks() {
  IndexingWriter writer;
  std::vector<std::string> blocks;
  for (uint32_t call = 0; call < kVariedBlocks; ++call) blocks.push_back(writer.write(varied_fields(call)));
  return blocks;
}

}  // namespace ringway::bench
