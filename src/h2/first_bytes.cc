#include "h2/first_bytes.h"

#include <algorithm>
#include <string_view>

#include "h2/frame.h"

namespace ringway::h2 {
namespace {

// Content types 20 to 24, then major version 3, which SSL 3.0 and every TLS has (RFC 8446 section 5.1).
constexpr uint8_t kTlsTypeFirst = 20;
constexpr uint8_t kTlsTypeLast = 24;
constexpr uint8_t kTlsMajorVersion = 3;

bool may_be_tls(uint8_t first) noexcept {
  return first >= kTlsTypeFirst && first <= kTlsTypeLast;
}

// Of octets that begin as a record does.
Speech recognise_record(std::span<const uint8_t> octets) noexcept {
  if (octets.size() < 2) return Speech::kUndecided;
  return octets[1] == kTlsMajorVersion ? Speech::kTls : Speech::kUnknown;
}

// How the octets stand to a text that they should begin with.
Speech begins_with(std::string_view octets, std::string_view text, Speech speech) noexcept {
  const size_t size = std::min(octets.size(), text.size());
  if (octets.substr(0, size) != text.substr(0, size)) return Speech::kUnknown;
  return octets.size() < text.size() ? Speech::kUndecided : speech;
}

// A method that is one of capital letters and hyphens, as all registered ones are; a target; the version.
Speech recognise_request_line(std::string_view octets) noexcept {
  const auto is_method = [](char octet) { return (octet >= 'A' && octet <= 'Z') || octet == '-'; };
  const size_t method_size =
      static_cast<size_t>(std::find_if_not(octets.begin(), octets.end(), is_method) - octets.begin());
  if (method_size > kMethodMax) return Speech::kUnknown;
  if (method_size == octets.size()) return Speech::kUndecided;
  if (method_size == 0 || octets[method_size] != ' ') return Speech::kUnknown;
  std::string_view line = octets.substr(0, kRequestLineMax);
  const size_t end = line.find('\n');
  if (end == std::string_view::npos) return octets.size() < kRequestLineMax ? Speech::kUndecided : Speech::kUnknown;
  line = line.substr(0, end);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line.ends_with(" HTTP/1.1") || line.ends_with(" HTTP/1.0") ? Speech::kHttp1 : Speech::kUnknown;
}

}  // namespace

Speech recognise_client(std::span<const uint8_t> octets) noexcept {
  if (octets.empty()) return Speech::kUndecided;
  if (may_be_tls(octets[0])) return recognise_record(octets);
  const std::string_view text(reinterpret_cast<const char*>(octets.data()), octets.size());
  const Speech speech = begins_with(text, kPreface, Speech::kHttp2);
  return speech != Speech::kUnknown ? speech : recognise_request_line(text);
}

Speech recognise_server(std::span<const uint8_t> octets) noexcept {
  if (octets.empty()) return Speech::kUndecided;
  if (may_be_tls(octets[0])) return recognise_record(octets);
  const std::string_view text(reinterpret_cast<const char*>(octets.data()), octets.size());
  if (octets[0] == 'H') {
    // With the digit behind it, which tells the version.
    const Speech speech = begins_with(text, "HTTP/1.", Speech::kHttp1);
    return speech == Speech::kHttp1 && octets.size() < kStatusVersionSize ? Speech::kUndecided : speech;
  }
  // A frame of 65,536 octets or more is larger than any that we allow.
  if (octets[0] != 0) return Speech::kUnknown;
  if (octets.size() < kFrameHeaderSize) return Speech::kUndecided;
  const FrameHeader header = parse_frame_header(octets.data());
  const bool is_settings = header.type == FrameType::kSettings && !header.has(kFlagAck);
  return (is_settings || header.type == FrameType::kGoaway) && header.stream_id == 0 ? Speech::kHttp2
                                                                                     : Speech::kUnknown;
}

}  // namespace ringway::h2
