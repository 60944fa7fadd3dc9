// HTTP/2 frames: the nine octets of the header, the constants of RFC 9113, and writers for the frames that have a fixed
// form. Pure functions on bytes.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace ringway::h2 {

inline constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";  // section 3.4
inline constexpr uint32_t kFrameHeaderSize = 9;
inline constexpr uint32_t kFrameSizeDefault = 16'384;  // SETTINGS_MAX_FRAME_SIZE, section 6.5.2
inline constexpr uint32_t kFrameSizeMax = (1u << 24) - 1;
inline constexpr uint32_t kWindowDefault = 65'535;             // section 6.9.2
inline constexpr int64_t kWindowMax = (int64_t{1} << 31) - 1;  // section 6.9.1
inline constexpr uint32_t kStreamIdMax = (1u << 31) - 1;
inline constexpr uint32_t kTableSizeDefault = 4096;  // SETTINGS_HEADER_TABLE_SIZE

enum class FrameType : uint8_t {
  kData = 0,
  kHeaders = 1,
  kPriority = 2,
  kRstStream = 3,
  kSettings = 4,
  kPushPromise = 5,
  kPing = 6,
  kGoaway = 7,
  kWindowUpdate = 8,
  kContinuation = 9,
};

inline constexpr uint8_t kFlagEndStream = 0x1;
inline constexpr uint8_t kFlagAck = 0x1;
inline constexpr uint8_t kFlagEndHeaders = 0x4;
inline constexpr uint8_t kFlagPadded = 0x8;
inline constexpr uint8_t kFlagPriority = 0x20;

// RFC 9113 section 7. Peers may send any value; unknown ones are carried as they are.
enum class ErrorCode : uint32_t {
  kNoError = 0,
  kProtocolError = 1,
  kInternalError = 2,
  kFlowControlError = 3,
  kSettingsTimeout = 4,
  kStreamClosed = 5,
  kFrameSizeError = 6,
  kRefusedStream = 7,
  kCancel = 8,
  kCompressionError = 9,
  kConnectError = 10,
  kEnhanceYourCalm = 11,
  kInadequateSecurity = 12,
  kHttp11Required = 13,
};

// "PROTOCOL_ERROR", …; "unknown" for codes beyond the registry.
std::string_view name_of(ErrorCode code) noexcept;

enum class SettingId : uint16_t {
  kHeaderTableSize = 1,
  kEnablePush = 2,
  kMaxConcurrentStreams = 3,
  kInitialWindowSize = 4,
  kMaxFrameSize = 5,
  kMaxHeaderListSize = 6,
  kNoRfc7540Priorities = 9,  // RFC 9218 section 2.1
};

struct FrameHeader {
  uint32_t length;
  FrameType type;
  uint8_t flags;
  uint32_t stream_id;  // the reserved bit is dropped

  bool has(uint8_t flag) const noexcept { return (flags & flag) != 0; }
};

inline uint16_t load_16(const uint8_t* p) noexcept {
  return static_cast<uint16_t>((p[0] << 8) | p[1]);
}
inline uint32_t load_32(const uint8_t* p) noexcept {
  uint32_t value;
  __builtin_memcpy(&value, p, sizeof value);
  return __builtin_bswap32(value);
}
inline void store_16(uint8_t* p, uint16_t value) noexcept {
  value = __builtin_bswap16(value);
  __builtin_memcpy(p, &value, sizeof value);
}
inline void store_32(uint8_t* p, uint32_t value) noexcept {
  value = __builtin_bswap32(value);
  __builtin_memcpy(p, &value, sizeof value);
}

// `p` points to nine octets.
inline FrameHeader parse_frame_header(const uint8_t* p) noexcept {
  const uint32_t first = load_32(p);
  return {first >> 8, static_cast<FrameType>(first & 0xff), p[4], load_32(p + 5) & kStreamIdMax};
}

// Writes nine octets to `p` and returns the address behind them.
inline uint8_t* write_frame_header(uint8_t* p, uint32_t length, FrameType type, uint8_t flags,
                                   uint32_t stream_id) noexcept {
  store_32(p, (length << 8) | static_cast<uint8_t>(type));
  p[4] = flags;
  store_32(p + 5, stream_id);
  return p + kFrameHeaderSize;
}

// Whole frames of fixed size: each writes to `p` and returns the address behind.
inline constexpr uint32_t kRstStreamFrameSize = kFrameHeaderSize + 4;
inline constexpr uint32_t kWindowUpdateFrameSize = kFrameHeaderSize + 4;
inline constexpr uint32_t kPingFrameSize = kFrameHeaderSize + 8;

inline uint8_t* write_rst_stream(uint8_t* p, uint32_t stream_id, ErrorCode code) noexcept {
  p = write_frame_header(p, 4, FrameType::kRstStream, 0, stream_id);
  store_32(p, static_cast<uint32_t>(code));
  return p + 4;
}
inline uint8_t* write_window_update(uint8_t* p, uint32_t stream_id, uint32_t increment) noexcept {
  p = write_frame_header(p, 4, FrameType::kWindowUpdate, 0, stream_id);
  store_32(p, increment);
  return p + 4;
}
inline uint8_t* write_ping(uint8_t* p, bool is_ack, const uint8_t* opaque) noexcept {
  p = write_frame_header(p, 8, FrameType::kPing, is_ack ? kFlagAck : 0, 0);
  __builtin_memcpy(p, opaque, 8);
  return p + 8;
}
inline uint8_t* write_setting(uint8_t* p, SettingId id, uint32_t value) noexcept {
  store_16(p, static_cast<uint16_t>(id));
  store_32(p + 2, value);
  return p + 6;
}

}  // namespace ringway::h2
