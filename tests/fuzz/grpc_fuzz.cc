// The pure functions of gRPC against plain ones written here: grpc-timeout, grpc-message, grpc-status, and where a
// message ends in a body that comes in any pieces.
//
// The input: one octet that chooses the function, then its operand.
#include <array>
#include <string>

#include "base/units.h"
#include "grpc/message_cursor.h"
#include "grpc/status.h"
#include "grpc/timeout.h"
#include "input.h"

namespace ringway::grpc {
namespace {

using Wide = unsigned __int128;

struct NaiveUnit {
  char letter;
  uint64_t ns;
};
constexpr std::array kNaiveUnits = {NaiveUnit{'n', 1},
                                    NaiveUnit{'u', 1'000},
                                    NaiveUnit{'m', 1'000'000},
                                    NaiveUnit{'S', 1'000'000'000},
                                    NaiveUnit{'M', 60'000'000'000},
                                    NaiveUnit{'H', 3'600'000'000'000}};
constexpr uint64_t kEightDigits = 99'999'999;

std::optional<uint64_t> naive_parse(const std::string& text) {
  if (text.size() < 2 || text.size() > 9) return std::nullopt;
  const std::string digits = text.substr(0, text.size() - 1);
  if (digits.find_first_not_of("0123456789") != std::string::npos) return std::nullopt;
  for (const NaiveUnit& unit : kNaiveUnits) {
    if (unit.letter != text.back()) continue;
    const Wide ns = Wide{std::stoull(digits)} * unit.ns;
    return ns > base::kNever_ns ? base::kNever_ns : static_cast<uint64_t>(ns);
  }
  return std::nullopt;
}

std::string naive_format(uint64_t timeout_ns) {
  for (const NaiveUnit& unit : kNaiveUnits) {
    const Wide count = (Wide{timeout_ns} + unit.ns - 1) / unit.ns;
    if (count <= kEightDigits) return std::to_string(static_cast<uint64_t>(count)) + unit.letter;
  }
  return std::to_string(kEightDigits) + 'H';
}

void check_timeout_text(std::span<const uint8_t> input) {
  const ExactCopy text(input);
  require(parse_timeout(text.text()) == naive_parse(std::string(text.text())), "a timeout is read differently");
}

void check_timeout_number(std::span<const uint8_t> input) {
  // Few octets make small numbers, and one octet the exponent of a bound.
  uint64_t timeout_ns = 0;
  for (const uint8_t octet : take_octets(input, 8)) timeout_ns = timeout_ns << 8 | octet;
  const std::unique_ptr<char[]> out(new char[kTimeoutTextMax]);
  const std::string written(out.get(), format_timeout(timeout_ns, {out.get(), kTimeoutTextMax}));
  require(written == naive_format(timeout_ns), "a timeout is written differently");
  require(parse_timeout(written).value() >= timeout_ns, "writing a timeout made it shorter");
}

std::string naive_encode(std::string_view message, size_t size_max) {
  std::string encoded;
  for (const char c : message) {
    char escape[4] = {c, 0, 0, 0};
    const auto octet = static_cast<unsigned>(static_cast<uint8_t>(c));
    if (octet < 0x20 || octet > 0x7e || c == '%') std::snprintf(escape, sizeof escape, "%%%02X", octet);
    if (encoded.size() + std::strlen(escape) > size_max) break;
    encoded += escape;
  }
  return encoded;
}

std::string naive_decode(std::string_view encoded) {
  std::string decoded;
  for (size_t i = 0; i < encoded.size(); ++i) {
    if (encoded[i] != '%') {
      decoded += encoded[i];
      continue;
    }
    require(i + 2 < encoded.size(), "an escape is cut");
    decoded += static_cast<char>(std::stoi(std::string(encoded.substr(i + 1, 2)), nullptr, 16));
    i += 2;
  }
  return decoded;
}

void check_message_text(std::span<const uint8_t> input) {
  const size_t size_max = size_t{take_octet(input)} * 4;
  const ExactCopy message(input);
  const std::unique_ptr<char[]> out(new char[size_max]);
  const std::string encoded(out.get(), encode_message(message.text(), {out.get(), size_max}));
  // An octet of zero is "%00": it never ends a text above.
  require(encoded == naive_encode(message.text(), size_max), "a message is encoded differently");
  require(message.text().starts_with(naive_decode(encoded)), "a message does not come back");
}

void check_status(std::span<const uint8_t> input) {
  const ExactCopy text(input);
  const std::string value(text.text());
  const bool is_number =
      !value.empty() && value.size() <= 3 && value.find_first_not_of("0123456789") == std::string::npos;
  require(parse_status(text.text()) == (is_number ? std::stoi(value) : -1), "a status is read differently");
  uint32_t code = 0;
  for (const uint8_t octet : take_octets(input, 4)) code = code << 8 | octet;
  const Status status = status_of_reset(static_cast<h2::ErrorCode>(code));
  require(status != Status::kOk && status <= Status::kUnauthenticated, "a reset means no failure");
  require(parse_status(text_of(status)) == static_cast<int>(status), "a status does not come back");
  require(http_status_of(status) >= 400, "a failure is no HTTP error");
}

// One octet at a time, as the format is described.
struct NaiveCursor {
  uint64_t prefix_octets = 0;
  uint64_t length = 0;
  uint32_t messages = 0;

  void advance(uint8_t octet) {
    if (prefix_octets == 5) {
      if (--length == 0) prefix_octets = 0;
      return;
    }
    ++prefix_octets;
    if (prefix_octets > 1) length = length << 8 | octet;
    if (prefix_octets != 5) return;
    ++messages;
    if (length == 0) prefix_octets = 0;
  }
};

// Pieces of up to 255 octets; in every second one a whole message is made, so that lengths fit often.
void check_cursor(std::span<const uint8_t> input) {
  MessageCursor cursor;
  NaiveCursor naive;
  while (!input.empty()) {
    const uint8_t choice = take_octet(input);
    std::string piece(characters_of(take_octets(input, choice / 2)));
    if (choice & 1) piece.insert(0, std::string{0, 0, 0, 0, static_cast<char>(piece.size())});
    const ExactCopy copy(piece);
    cursor.advance(copy.octets());
    for (const uint8_t octet : copy.octets()) naive.advance(octet);
    require(cursor.is_at_boundary() == (naive.prefix_octets == 0), "the boundary is elsewhere");
    require(cursor.message_count() == naive.messages, "the messages are counted differently");
  }
}

}  // namespace
}  // namespace ringway::grpc

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ringway::grpc;
  std::span<const uint8_t> input(data, size);
  switch (ringway::take_octet(input) % 5) {
    case 0: check_timeout_text(input); break;
    case 1: check_timeout_number(input); break;
    case 2: check_message_text(input); break;
    case 3: check_status(input); break;
    default: check_cursor(input); break;
  }
  return 0;
}
