// The lines of the access log, read back: whatever a peer put into a field, the line is one line, no field ends early,
// none is longer than it may be, and what a reader gets is what was written, or its longest beginning that fits.
//
// The input: eight octets for the numbers, then for each text its size, how often it is repeated, and its octets. The
// method is a token and the client an address, as everywhere where a record is made (h2/field.cc, proxy.cc).
#include <ctime>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/line_writer.h"
#include "base/units.h"
#include "input.h"
#include "proxy/access_log.h"

namespace ringway::proxy {
namespace {

// What NGINX writes as itself.
bool is_plain(char c) {
  const auto octet = static_cast<uint8_t>(c);
  return octet >= 0x20 && octet < 0x7f && c != '"' && c != '\\';
}

// The longest beginning whose escapes fit.
std::string_view shown(std::string_view value, bool is_json) {
  size_t size = 0;
  for (size_t i = 0; i < value.size(); ++i) {
    const bool is_short = is_json && (value[i] == '"' || value[i] == '\\');
    size += is_plain(value[i]) ? 1 : is_short ? 2 : is_json ? 6 : 4;
    if (size > AccessFormatter::kFieldBytesMax) return value.substr(0, i);
  }
  return value;
}

// Reads a line from its begin; what is not there is an error.
class Reader {
 public:
  explicit Reader(std::string_view line) : left_(line) {}

  void expect(std::string_view text) {
    require(left_.starts_with(text), "the fixed text of a line is not where it belongs");
    left_.remove_prefix(text.size());
  }

  std::string_view until(char end) {
    const size_t size = left_.find(end);
    require(size != std::string_view::npos, "a line ends inside a field");
    const std::string_view found = left_.substr(0, size);
    left_.remove_prefix(size);
    return found;
  }

  uint64_t number() {
    const size_t size = std::min(left_.find_first_not_of("0123456789"), left_.size());
    require(size != 0 && (size == 1 || left_[0] != '0'), "a number has none or too many digits");
    const uint64_t value = std::stoull(std::string(left_.substr(0, size)));
    left_.remove_prefix(size);
    return value;
  }

  // A string of JSON (RFC 8259 section 7), its characters as octets.
  std::string json_string() {
    expect("\"");
    std::string text;
    while (!left_.starts_with('"')) {
      require(!left_.empty() && left_[0] >= 0x20 && left_[0] < 0x7f, "an octet stands for itself in JSON");
      const char c = left_[0];
      left_.remove_prefix(1);
      text += c == '\\' ? json_escape() : c;
    }
    expect("\"");
    return text;
  }

  bool has(std::string_view text) const { return left_.starts_with(text); }
  bool is_at_end() const { return left_.empty(); }

 private:
  char json_escape() {
    if (has("\"") || has("\\")) {
      const char c = left_[0];
      left_.remove_prefix(1);
      return c;
    }
    expect("u00");
    require(left_.size() >= 2, "an escape is cut");
    const std::string digits(left_.substr(0, 2));
    require(digits.find_first_not_of("0123456789abcdef") == std::string::npos, "an escape has no digits");
    left_.remove_prefix(2);
    return static_cast<char>(std::stoi(digits, nullptr, 16));
  }

  std::string_view left_;
};

std::string without_escapes(std::string_view field) {
  require(field.size() <= AccessFormatter::kFieldBytesMax, "a field is too long");
  std::string text;
  while (!field.empty()) {
    if (!field.starts_with("\\x")) {
      require(is_plain(field[0]), "an octet stands for itself");
      text += field[0];
      field.remove_prefix(1);
      continue;
    }
    require(field.size() >= 4, "an escape is cut");
    text += static_cast<char>(std::stoi(std::string(field.substr(2, 2)), nullptr, 16));
    field.remove_prefix(4);
  }
  return text;
}

std::string time_text(const char* format, uint64_t wall_time_ns) {
  const auto seconds = static_cast<time_t>(wall_time_ns / base::kSecond_ns);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[64];
  return {text, std::strftime(text, sizeof text, format, &parts)};
}

void expect_field(std::string_view field, std::string_view value) {
  require(without_escapes(field) == shown(value.empty() ? "-" : value, false), "a field does not come back");
}

void check_combined(const AccessRecord& record, std::string_view line) {
  Reader reader(line);
  expect_field(reader.until(' '), record.client);
  reader.expect(" - - [" + time_text("%d/%b/%Y:%H:%M:%S +0000", record.wall_time_ns) + "] \"");
  std::string_view request = reader.until('"');
  require(request.ends_with(" HTTP/2.0"), "the protocol is not where it belongs");
  request.remove_suffix(9);
  const size_t space = request.find(' ');
  require(space != std::string_view::npos, "the path is missing");
  expect_field(request.substr(0, space), record.method);
  expect_field(request.substr(space + 1), record.path);
  char status[8];
  std::snprintf(status, sizeof status, "%03u", unsigned{record.status});
  reader.expect("\" " + std::string(status) + " ");
  require(reader.number() == record.bytes_sent, "a number does not come back");
  reader.expect(" \"");
  expect_field(reader.until('"'), record.referer);
  reader.expect("\" \"");
  expect_field(reader.until('"'), record.user_agent);
  reader.expect("\"\n");
  require(reader.is_at_end(), "something follows the line");
}

void check_json(const AccessRecord& record, std::string_view line) {
  Reader reader(line);
  char millisecond[8];
  std::snprintf(millisecond, sizeof millisecond, ".%03uZ",
                static_cast<unsigned>(record.wall_time_ns % base::kSecond_ns / base::kMillisecond_ns));
  reader.expect("{\"time\":");
  require(reader.json_string() == time_text("%Y-%m-%dT%H:%M:%S", record.wall_time_ns) + millisecond, "another time");
  const auto expect_text = [&](std::string_view key, std::string_view value) {
    reader.expect(",\"" + std::string(key) + "\":");
    require(reader.json_string() == shown(value, true), "a text does not come back");
  };
  const auto expect_number = [&](std::string_view key, uint64_t value) {
    reader.expect(",\"" + std::string(key) + "\":");
    require(reader.number() == value, "a number does not come back");
  };
  expect_text("client", record.client);
  expect_text("method", record.method);
  expect_text("path", record.path);
  expect_text("authority", record.authority);
  expect_number("status", record.status);
  if (record.grpc_status < 0) {
    reader.expect(",\"grpc_status\":null");
  } else {
    expect_number("grpc_status", static_cast<uint64_t>(record.grpc_status));
  }
  expect_number("bytes_sent", record.bytes_sent);
  expect_number("bytes_received", record.bytes_received);
  expect_text("user_agent", record.user_agent);
  expect_text("cluster", record.cluster);
  expect_text("endpoint", record.endpoint);
  expect_number("attempts", record.attempts);
  expect_number("duration_us", record.duration_ns / 1000);
  expect_number("hop_us", record.hop_ns / 1000);
  reader.expect("}\n");
  require(reader.is_at_end(), "something follows the line");
}

std::string take_text(std::span<const uint8_t>& input) {
  const uint8_t size = take_octet(input);
  const uint8_t times = take_octet(input);
  const std::string piece(characters_of(take_octets(input, size)));
  std::string text = piece;
  for (unsigned i = 0; i < times && text.size() < 2000; ++i) text += piece;
  return text;
}

std::string token_of(std::string text) {
  std::erase_if(text, [](char c) { return c <= 0x20 || c >= 0x7f; });
  return text;
}

void run(std::span<const uint8_t> input) {
  uint64_t number = 0;
  for (const uint8_t octet : take_octets(input, 8)) number = number << 8 | octet;
  std::vector<std::string> texts;
  while (texts.size() < 8) texts.push_back(take_text(input));
  AccessRecord record;
  record.wall_time_ns = number;
  record.method = texts[0] = token_of(texts[0]);
  record.client = texts[1] = token_of(texts[1]);
  record.path = texts[2];
  record.authority = texts[3];
  record.user_agent = texts[4];
  record.referer = texts[5];
  record.cluster = texts[6];
  record.endpoint = texts[7];
  record.status = static_cast<uint16_t>(number % 1000);
  record.grpc_status = static_cast<int>(number % 1001) - 1;
  record.bytes_sent = number;
  record.bytes_received = ~number;
  record.attempts = static_cast<uint32_t>(number);
  record.duration_ns = number * 3;
  record.hop_ns = number / 7;

  static AccessFormatter formatter;  // keeps the second of the input before
  const std::unique_ptr<char[]> out(new char[AccessFormatter::kLineBytesMax]);
  const std::span<char> room(out.get(), AccessFormatter::kLineBytesMax);
  check_combined(record, {out.get(), formatter.format_combined(record, room)});
  check_json(record, {out.get(), formatter.format_json(record, room)});
}

}  // namespace
}  // namespace ringway::proxy

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ringway::proxy::run({data, size});
  return 0;
}
