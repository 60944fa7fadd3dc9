#include "base/line_writer.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstring>

#include "base/units.h"

namespace ringway::base {
namespace {

constexpr bool is_plain(unsigned char byte, Escape how) noexcept {
  return byte >= 0x20 && byte < 0x7f && byte != '\\' && (byte != '"' || how == Escape::kProse);
}

// Writes the escape of `byte` and returns its size.
size_t escape_byte(unsigned char byte, Escape how, char* out) noexcept {
  constexpr std::string_view kUpper = "0123456789ABCDEF", kLower = "0123456789abcdef";
  if (how != Escape::kJson) {
    const char escape[] = {'\\', 'x', kUpper[byte >> 4], kUpper[byte & 15]};
    std::memcpy(out, escape, sizeof escape);
    return sizeof escape;
  }
  if (byte == '"' || byte == '\\') {
    out[0] = '\\';
    out[1] = static_cast<char>(byte);
    return 2;
  }
  const char escape[] = {'\\', 'u', '0', '0', kLower[byte >> 4], kLower[byte & 15]};
  std::memcpy(out, escape, sizeof escape);
  return sizeof escape;
}

}  // namespace

CivilTime civil_time(uint64_t wall_ns) noexcept {
  using namespace std::chrono;
  const uint64_t seconds = wall_ns / kSecond_ns;
  const auto of_day = static_cast<unsigned>(seconds % 86'400);
  const year_month_day date{sys_days{days{static_cast<int64_t>(seconds / 86'400)}}};
  return {static_cast<int>(date.year()),
          static_cast<unsigned>(date.month()),
          static_cast<unsigned>(date.day()),
          of_day / 3600,
          of_day / 60 % 60,
          of_day % 60,
          static_cast<unsigned>(wall_ns % kSecond_ns / kMillisecond_ns)};
}

void LineWriter::text(std::string_view plain) noexcept {
  const size_t size = std::min(plain.size(), out_.size() - size_);
  if (size != 0) std::memcpy(out_.data() + size_, plain.data(), size);
  size_ += size;
}

void LineWriter::number(uint64_t value) noexcept {
  char digits[20];
  const auto result = std::to_chars(digits, digits + sizeof digits, value);
  text({digits, static_cast<size_t>(result.ptr - digits)});
}

void LineWriter::padded(unsigned value, unsigned width) noexcept {
  char digits[10];
  const auto result = std::to_chars(digits, digits + sizeof digits, value);
  const auto count = static_cast<unsigned>(result.ptr - digits);
  for (unsigned zeros = count; zeros < width; ++zeros) text("0");
  text({digits, count});
}

void LineWriter::escaped(std::string_view value, Escape how, size_t bytes_max) noexcept {
  const size_t end = size_ + std::min(bytes_max, out_.size() - size_);
  size_t index = 0;
  while (index < value.size()) {
    // Nearly all values are plain throughout: they go in runs.
    size_t run = index;
    while (run < value.size() && is_plain(static_cast<unsigned char>(value[run]), how)) ++run;
    const size_t fits = std::min(run - index, end - size_);
    text(value.substr(index, fits));
    if (fits < run - index || run == value.size()) return;
    char escape[6];
    const size_t escape_size = escape_byte(static_cast<unsigned char>(value[run]), how, escape);
    if (escape_size > end - size_) return;
    text({escape, escape_size});
    index = run + 1;
  }
}

void LineWriter::rfc3339(const CivilTime& time) noexcept {
  padded(static_cast<unsigned>(time.year), 4);
  text("-");
  padded(time.month, 2);
  text("-");
  padded(time.day, 2);
  text("T");
  padded(time.hour, 2);
  text(":");
  padded(time.minute, 2);
  text(":");
  padded(time.second, 2);
  text(".");
  padded(time.millisecond, 3);
  text("Z");
}

}  // namespace ringway::base
