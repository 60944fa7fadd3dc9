#include "grpc/status.h"

#include <gtest/gtest.h>

#include <charconv>
#include <string>

namespace ringway::grpc {
namespace {

std::string encoded(std::string_view message, size_t size_max = 1024) {
  std::string out(size_max, '\0');
  out.resize(encode_message(message, out));
  return out;
}

std::string decoded(std::string_view text) {
  std::string message;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      message += text[i];
      continue;
    }
    int octet = -1;
    const char* const end = text.data() + std::min(i + 3, text.size());
    EXPECT_EQ(std::from_chars(text.data() + i + 1, end, octet, 16).ptr, text.data() + i + 3) << text;
    message += static_cast<char>(octet);
    i += 2;
  }
  return message;
}

TEST(Status, OfAResetAsClientsMapIt) {
  for (uint32_t code = 0; code <= 0x20; ++code) {
    Status expected = Status::kInternal;
    if (code == 0x7) expected = Status::kUnavailable;
    if (code == 0x8) expected = Status::kCancelled;
    if (code == 0xb) expected = Status::kResourceExhausted;
    if (code == 0xc) expected = Status::kPermissionDenied;
    EXPECT_EQ(status_of_reset(static_cast<h2::ErrorCode>(code)), expected) << code;
  }
}

TEST(Status, HttpStatusForRequestsThatAreNotGrpc) {
  EXPECT_EQ(http_status_of(Status::kOk), 200);
  EXPECT_EQ(http_status_of(Status::kUnimplemented), 404);
  EXPECT_EQ(http_status_of(Status::kUnavailable), 503);
  EXPECT_EQ(http_status_of(Status::kDeadlineExceeded), 504);
  EXPECT_EQ(http_status_of(Status::kResourceExhausted), 429);
  EXPECT_EQ(http_status_of(Status::kUnauthenticated), 401);
  EXPECT_EQ(http_status_of(Status::kPermissionDenied), 403);
  EXPECT_EQ(http_status_of(Status::kInvalidArgument), 400);
  EXPECT_EQ(http_status_of(Status::kInternal), 502);
  for (uint8_t status = 1; status <= 16; ++status) {
    EXPECT_GE(http_status_of(static_cast<Status>(status)), 400) << int{status};
  }
}

TEST(Status, TextAndNumberAgree) {
  for (int status = 0; status <= 16; ++status) {
    const std::string_view text = text_of(static_cast<Status>(status));
    EXPECT_EQ(text, std::to_string(status));
    EXPECT_EQ(parse_status(text), status);
  }
}

TEST(Status, OnlyOneToThreeDigitsAreANumber) {
  EXPECT_EQ(parse_status("999"), 999);
  EXPECT_EQ(parse_status("007"), 7);
  for (const std::string_view value : {"", "1000", "0000", "-1", "+1", " 1", "1 ", "1a", "OK", "/", ":"}) {
    EXPECT_EQ(parse_status(value), -1) << value;
  }
}

TEST(Message, EveryOctetIsKeptOrEscaped) {
  for (int octet = 0; octet < 256; ++octet) {
    const std::string message(1, static_cast<char>(octet));
    const std::string text = encoded(message);
    const bool is_plain = octet >= 0x20 && octet <= 0x7e && octet != '%';
    EXPECT_EQ(text.size(), is_plain ? 1u : 3u) << octet;
    EXPECT_EQ(decoded(text), message) << octet;
    for (const char c : text) EXPECT_TRUE(c >= 0x20 && c <= 0x7e) << octet;
  }
  EXPECT_EQ(encoded("50% \n\xc3\xa9~\x7f"), "50%25 %0A%C3%A9~%7F");
  EXPECT_EQ(encoded(""), "");
}

TEST(Message, TheCutIsNeverInsideAnEscape) {
  const std::string message =
      "a%b\n\xff"
      "c%%d";
  const std::string whole = encoded(message);
  for (size_t size_max = 0; size_max <= whole.size() + 1; ++size_max) {
    const std::string text = encoded(message, size_max);
    ASSERT_LE(text.size(), size_max);
    EXPECT_EQ(text, whole.substr(0, text.size()));
    EXPECT_TRUE(message.starts_with(decoded(text))) << text;
    // What would still have fitted was not left out.
    if (text.size() < whole.size()) {
      const size_t next = whole[text.size()] == '%' ? 3 : 1;
      EXPECT_GT(text.size() + next, size_max) << text;
    }
  }
}

}  // namespace
}  // namespace ringway::grpc
