// Header blocks of a gRPC call as a real client writes them: nghttp2's encoder makes them, so that the code under test
// reads what it did not write.
#pragma once

#include <nghttp2/nghttp2.h>

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

inline constexpr uint32_t kVariedBlocks = 4096;

// Consecutive blocks of one connection; a reader that has come to the end begins anew with an empty table.
inline std::vector<std::string> varied_blocks() {
  BlockWriter writer;
  std::vector<std::string> blocks;
  for (uint32_t call = 0; call < kVariedBlocks; ++call) blocks.push_back(writer.write(varied_fields(call)));
  return blocks;
}

}  // namespace ringway::bench
