// The examples of RFC 7541 appendix C.
#include <gtest/gtest.h>

#include "decoder_bench.h"

namespace ringway::h2 {
namespace {

struct Example {
  std::string_view hex;
  PlainList fields;
  uint32_t table_bytes;
  uint32_t entry_count;
};

void expect_decodes(const std::vector<Example>& examples, std::string_view prefix_hex = "") {
  FieldInterner interner(1, 1 << 20);
  DecoderBench bench(interner);
  std::string prefix = from_hex(prefix_hex);
  for (const Example& example : examples) {
    EXPECT_EQ(bench.list(prefix + from_hex(example.hex)), example.fields) << example.hex;
    EXPECT_EQ(bench.decoder.table_bytes(), example.table_bytes) << example.hex;
    EXPECT_EQ(bench.decoder.entry_count(), example.entry_count) << example.hex;
    prefix.clear();
  }
}

// The examples of C.5 and C.6 assume a table of 256 octets, here set by an update in front of the first.
constexpr std::string_view kTableOf256 = "3fe101";

const PlainList kFirstRequest = {
    {":method", "GET"}, {":scheme", "http"}, {":path", "/"}, {":authority", "www.example.com"}};
const PlainList kSecondRequest = {{":method", "GET"},
                                  {":scheme", "http"},
                                  {":path", "/"},
                                  {":authority", "www.example.com"},
                                  {"cache-control", "no-cache"}};
const PlainList kThirdRequest = {{":method", "GET"},
                                 {":scheme", "https"},
                                 {":path", "/index.html"},
                                 {":authority", "www.example.com"},
                                 {"custom-key", "custom-value"}};
const PlainList kFirstResponse = {{":status", "302"},
                                  {"cache-control", "private"},
                                  {"date", "Mon, 21 Oct 2013 20:13:21 GMT"},
                                  {"location", "https://www.example.com"}};
const PlainList kSecondResponse = {{":status", "307"},
                                   {"cache-control", "private"},
                                   {"date", "Mon, 21 Oct 2013 20:13:21 GMT"},
                                   {"location", "https://www.example.com"}};
const PlainList kThirdResponse = {{":status", "200"},
                                  {"cache-control", "private"},
                                  {"date", "Mon, 21 Oct 2013 20:13:22 GMT"},
                                  {"location", "https://www.example.com"},
                                  {"content-encoding", "gzip"},
                                  {"set-cookie", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"}};

TEST(HpackVectors, C2SingleFields) {
  expect_decodes({{"400a637573746f6d2d6b65790d637573746f6d2d686561646572", {{"custom-key", "custom-header"}}, 55, 1}});
  expect_decodes({{"040c2f73616d706c652f70617468", {{":path", "/sample/path"}}, 0, 0}});
  expect_decodes({{"100870617373776f726406736563726574", {{"password", "secret", true}}, 0, 0}});
  expect_decodes({{"82", {{":method", "GET"}}, 0, 0}});
}

TEST(HpackVectors, C3RequestsWithoutHuffman) {
  expect_decodes({{"828684410f7777772e6578616d706c652e636f6d", kFirstRequest, 57, 1},
                  {"828684be58086e6f2d6361636865", kSecondRequest, 110, 2},
                  {"828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565", kThirdRequest, 164, 3}});
}

TEST(HpackVectors, C4RequestsWithHuffman) {
  expect_decodes({{"828684418cf1e3c2e5f23a6ba0ab90f4ff", kFirstRequest, 57, 1},
                  {"828684be5886a8eb10649cbf", kSecondRequest, 110, 2},
                  {"828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf", kThirdRequest, 164, 3}});
}

TEST(HpackVectors, C5ResponsesWithoutHuffman) {
  expect_decodes(
      {{"4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120474d546e1768747470733a2f2f"
        "7777772e6578616d706c652e636f6d",
        kFirstResponse, 222, 4},
       {"4803333037c1c0bf", kSecondResponse, 222, 4},
       {"88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a69707738666f6f3d4153444a4b48514b42"
        "5a584f5157454f50495541585157454f49553b206d61782d6167653d333630303b2076657273696f6e3d31",
        kThirdResponse, 215, 3}},
      kTableOf256);
}

TEST(HpackVectors, C6ResponsesWithHuffman) {
  expect_decodes({{"488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9"
                   "ae82ae43d3",
                   kFirstResponse, 222, 4},
                  {"4883640effc1c0bf", kSecondResponse, 222, 4},
                  {"88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b39"
                   "60d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
                   kThirdResponse, 215, 3}},
                 kTableOf256);
}

}  // namespace
}  // namespace ringway::h2
