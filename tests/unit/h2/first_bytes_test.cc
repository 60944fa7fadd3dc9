// Each beginning is fed as it grows octet by octet: undecided up to the octet that tells, and the same from there on.
#include "h2/first_bytes.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "wire.h"

namespace ringway::h2 {
namespace {

using namespace std::string_literals;

struct Case {
  std::string octets;
  Speech speech;
  size_t told_after;  // octets
};

template <typename Recognise>
void expect_told(const std::vector<Case>& cases, Recognise&& recognise) {
  for (const Case& each : cases) {
    for (size_t size = 0; size <= each.octets.size(); ++size) {
      const auto* octets = reinterpret_cast<const uint8_t*>(each.octets.data());
      const Speech expected = size < each.told_after ? Speech::kUndecided : each.speech;
      ASSERT_EQ(recognise(std::span(octets, size)), expected) << each.octets << " after " << size;
    }
  }
}

std::string request_line(size_t size) {
  const std::string end = " HTTP/1.1\r\n";
  return "GET /" + std::string(size - 5 - end.size(), 'x') + end;
}

TEST(FirstBytes, OfClients) {
  const std::string preface(kPreface);
  const std::string curl = "GET /healthz HTTP/1.1\r\n";
  expect_told(
      {
          {preface + wire::settings(), Speech::kHttp2, preface.size()},
          {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"s, Speech::kTls, 2},
          {"\x15\x03\x01\x00\x02\x02\x28"s, Speech::kTls, 2},
          {"\x14\x03"s, Speech::kTls, 2},
          {"\x18\x03"s, Speech::kTls, 2},
          {"\x19\x03"s, Speech::kUnknown, 1},
          {"\x13\x03"s, Speech::kUnknown, 1},
          {"\x16\x02\x01"s, Speech::kUnknown, 2},
          {curl + "Host: a\r\n\r\n", Speech::kHttp1, curl.size()},
          {"POST / HTTP/1.0\n", Speech::kHttp1, 16},
          {"VERSION-CONTROL / HTTP/1.1\r\n", Speech::kHttp1, 28},
          {"PROPFIND /a b HTTP/1.1\r\n", Speech::kHttp1, 24},
          // Methods that begin as the preface does, and requests that say what the preface says.
          {"PUT / HTTP/1.1\r\n", Speech::kHttp1, 16},
          {"PRI / HTTP/1.1\r\n", Speech::kHttp1, 16},
          {"PRI * HTTP/1.1\r\n", Speech::kHttp1, 16},
          {"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", Speech::kUnknown, 19},
          {preface.substr(0, 23) + "x", Speech::kUnknown, 24},
          {"GET / HTTP/2.0\r\n", Speech::kUnknown, 16},
          {"GET /\r\n", Speech::kUnknown, 7},
          {"GET\r\n", Speech::kUnknown, 4},
          {"get / HTTP/1.1\r\n", Speech::kUnknown, 1},
          {" GET / HTTP/1.1\r\n", Speech::kUnknown, 1},
          {"SSH-2.0-OpenSSH_9.2\r\n", Speech::kUnknown, 5},
          {std::string(kMethodMax, 'A') + " / HTTP/1.1\n", Speech::kHttp1, kMethodMax + 12},
          {std::string(kMethodMax + 1, 'A') + " / HTTP/1.1\n", Speech::kUnknown, kMethodMax + 1},
          {request_line(kRequestLineMax - 1), Speech::kHttp1, kRequestLineMax - 1},
          {request_line(kRequestLineMax), Speech::kHttp1, kRequestLineMax},
          {request_line(kRequestLineMax + 1), Speech::kUnknown, kRequestLineMax},
          {"\0\0\0\0"s, Speech::kUnknown, 1},
          {"\xff"s, Speech::kUnknown, 1},
      },
      recognise_client);
}

TEST(FirstBytes, OfServers) {
  expect_told(
      {
          {wire::settings({{SettingId::kMaxConcurrentStreams, 100}}), Speech::kHttp2, kFrameHeaderSize},
          {wire::goaway(0, ErrorCode::kEnhanceYourCalm), Speech::kHttp2, kFrameHeaderSize},
          {"\x15\x03\x01\x00\x02\x02\x46"s, Speech::kTls, 2},
          {"\x15\x03\x03\x00\x02\x02\x0a"s, Speech::kTls, 2},
          {"\x16\x03\x03\x00\x40"s, Speech::kTls, 2},
          {"\x15\x00"s, Speech::kUnknown, 2},
          {"HTTP/1.1 400 Bad Request\r\n", Speech::kHttp1, 8},
          {"HTTP/1.0 200 OK\r\n", Speech::kHttp1, 8},
          {"HTTP/2 200\r\n", Speech::kUnknown, 6},
          {"HELO\r\n", Speech::kUnknown, 2},
          {"SSH-2.0-OpenSSH_9.2\r\n", Speech::kUnknown, 1},
          {"\x4a\0\0\0\n5.7.4"s, Speech::kUnknown, 1},
          {std::string(12, '\0'), Speech::kUnknown, kFrameHeaderSize},
          {wire::settings_ack(), Speech::kUnknown, kFrameHeaderSize},
          {wire::ping("12345678"), Speech::kUnknown, kFrameHeaderSize},
          {wire::frame(FrameType::kSettings, 0, 1, ""), Speech::kUnknown, kFrameHeaderSize},
          {wire::frame(FrameType::kGoaway, 0, 1, "12345678"), Speech::kUnknown, kFrameHeaderSize},
      },
      recognise_server);
}

}  // namespace
}  // namespace ringway::h2
