#include "proxy/access_log.h"

#include <cstring>

#include "base/assert.h"
#include "base/line_writer.h"
#include "base/units.h"

namespace ringway::proxy {
namespace {

using base::Escape;
using base::LineWriter;

constexpr std::string_view kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

// The fixed text of a JSON line is below 300 bytes, its eight numbers below 21 bytes each; the combined line is
// shorter.
constexpr size_t kJsonFields = 7;
static_assert(kJsonFields * AccessFormatter::kFieldBytesMax + 300 + 8 * 21 <= AccessFormatter::kLineBytesMax,
              "a line in which every field is as long as it may be still fits");

void combined_field(LineWriter& line, std::string_view value) noexcept {
  // NGINX writes a dash for a variable without a value.
  line.escaped(value.empty() ? "-" : value, Escape::kBackslashX, AccessFormatter::kFieldBytesMax);
}

void json_text(LineWriter& line, std::string_view key_and_quote, std::string_view value) noexcept {
  line.text(key_and_quote);
  line.escaped(value, Escape::kJson, AccessFormatter::kFieldBytesMax);
  line.text("\"");
}

void json_number(LineWriter& line, std::string_view key, uint64_t value) noexcept {
  line.text(key);
  line.number(value);
}

}  // namespace

void AccessFormatter::remember_second(uint64_t second) noexcept {
  if (second == second_) return;
  second_ = second;
  const base::CivilTime time = base::civil_time(second * base::kSecond_ns);
  LineWriter combined(combined_time_);
  combined.padded(time.day, 2);
  combined.text("/");
  combined.text(kMonths[time.month - 1]);
  combined.text("/");
  combined.padded(static_cast<unsigned>(time.year), 4);
  for (const unsigned part : {time.hour, time.minute, time.second}) {
    combined.text(":");
    combined.padded(part, 2);
  }
  combined.text(" +0000");
  char full[32];
  LineWriter(full).rfc3339(time);
  std::memcpy(json_second_, full, sizeof json_second_);
}

size_t AccessFormatter::format_combined(const AccessRecord& record, std::span<char> out) noexcept {
  ASSERT(out.size() >= kLineBytesMax);
  remember_second(record.wall_time_ns / base::kSecond_ns);
  LineWriter line(out.first(kLineBytesMax));
  combined_field(line, record.client);
  line.text(" - - [");
  line.text({combined_time_, sizeof combined_time_});
  line.text("] \"");
  combined_field(line, record.method);
  line.text(" ");
  combined_field(line, record.path);
  line.text(" HTTP/2.0\" ");
  line.padded(record.status, 3);
  line.text(" ");
  line.number(record.bytes_sent);
  line.text(" \"");
  combined_field(line, record.referer);
  line.text("\" \"");
  combined_field(line, record.user_agent);
  line.text("\"\n");
  return line.size();
}

size_t AccessFormatter::format_json(const AccessRecord& record, std::span<char> out) noexcept {
  ASSERT(out.size() >= kLineBytesMax);
  remember_second(record.wall_time_ns / base::kSecond_ns);
  LineWriter line(out.first(kLineBytesMax));
  line.text("{\"time\":\"");
  line.text({json_second_, sizeof json_second_});
  line.text(".");
  line.padded(static_cast<unsigned>(record.wall_time_ns % base::kSecond_ns / base::kMillisecond_ns), 3);
  line.text("Z\"");
  json_text(line, ",\"client\":\"", record.client);
  json_text(line, ",\"method\":\"", record.method);
  json_text(line, ",\"path\":\"", record.path);
  json_text(line, ",\"authority\":\"", record.authority);
  json_number(line, ",\"status\":", record.status);
  line.text(",\"grpc_status\":");
  if (record.grpc_status < 0) {
    line.text("null");
  } else {
    line.number(static_cast<uint64_t>(record.grpc_status));
  }
  json_number(line, ",\"bytes_sent\":", record.bytes_sent);
  json_number(line, ",\"bytes_received\":", record.bytes_received);
  json_text(line, ",\"user_agent\":\"", record.user_agent);
  json_text(line, ",\"cluster\":\"", record.cluster);
  json_text(line, ",\"endpoint\":\"", record.endpoint);
  json_number(line, ",\"attempts\":", record.attempts);
  json_number(line, ",\"duration_us\":", record.duration_ns / base::kMicrosecond_ns);
  json_number(line, ",\"hop_us\":", record.hop_ns / base::kMicrosecond_ns);
  line.text("}\n");
  return line.size();
}

}  // namespace ringway::proxy
