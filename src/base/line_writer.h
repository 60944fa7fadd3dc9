// Writes one line of a log into memory of the caller: text, numbers, times, and values of strangers with every byte
// escaped that could end the line or the field, or command a terminal. No allocation; what does not fit is cut.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace ringway::base {

// A point in time as UTC people read it.
struct CivilTime {
  int year = 1970;
  unsigned month = 1;  // 1 to 12
  unsigned day = 1;
  unsigned hour = 0;
  unsigned minute = 0;
  unsigned second = 0;
  unsigned millisecond = 0;
};

CivilTime civil_time(uint64_t wall_ns) noexcept;

// How a byte that is not allowed to stand as itself is written.
enum class Escape : uint8_t {
  kBackslashX,  // \xHH, as NGINX writes it
  kProse,       // \xHH too, but quotes stand: for messages, which are not inside quotes
  kJson,        // \" and \\, else \u00HH: one character of JSON for each byte
};

class LineWriter {
 public:
  explicit LineWriter(std::span<char> out) noexcept : out_(out) {}

  void text(std::string_view plain) noexcept;
  void number(uint64_t value) noexcept;
  // With leading zeros up to `width` digits.
  void padded(unsigned value, unsigned width) noexcept;
  // Bytes below 0x20, '"' (but for kProse), '\' and bytes from 0x7f are escaped. At most `bytes_max` are written, cut
  // between bytes of `value`, never inside an escape.
  void escaped(std::string_view value, Escape how, size_t bytes_max) noexcept;
  // 2026-01-02T03:04:05.678Z (RFC 3339).
  void rfc3339(const CivilTime& time) noexcept;

  // Bytes written so far.
  size_t size() const noexcept { return size_; }

 private:
  std::span<char> out_;
  size_t size_ = 0;
};

}  // namespace ringway::base
