#include "wire.h"

#include <gtest/gtest.h>

namespace ringway::h2::wire {

uint32_t Frame::u32(size_t offset) const {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value = (value << 8) | static_cast<uint8_t>(payload.at(offset + i));
  return value;
}

std::string u16(uint32_t value) {
  return {static_cast<char>(value >> 8), static_cast<char>(value)};
}
std::string u32(uint32_t value) {
  return u16(value >> 16) + u16(value & 0xffff);
}

std::string frame_header(uint32_t length, FrameType type, uint8_t flags, uint32_t stream_id) {
  return u32(length).substr(1) + static_cast<char>(type) + static_cast<char>(flags) + u32(stream_id);
}
std::string frame(FrameType type, uint8_t flags, uint32_t stream_id, std::string_view payload) {
  return frame_header(static_cast<uint32_t>(payload.size()), type, flags, stream_id) + std::string(payload);
}

std::string settings(const std::vector<std::pair<SettingId, uint32_t>>& values) {
  std::string payload;
  for (const auto& [id, value] : values) payload += u16(static_cast<uint32_t>(id)) + u32(value);
  return frame(FrameType::kSettings, 0, 0, payload);
}
std::string settings_ack() {
  return frame(FrameType::kSettings, kFlagAck, 0, "");
}
std::string headers(uint32_t stream_id, std::string_view block, bool end_stream) {
  const uint8_t end = end_stream ? kFlagEndStream : 0;
  return frame(FrameType::kHeaders, kFlagEndHeaders | end, stream_id, block);
}
std::string data(uint32_t stream_id, std::string_view body, bool end_stream) {
  return frame(FrameType::kData, end_stream ? kFlagEndStream : 0, stream_id, body);
}
std::string padded_data(uint32_t stream_id, std::string_view body, uint8_t padding, bool end_stream) {
  const uint8_t end = end_stream ? kFlagEndStream : 0;
  return frame(FrameType::kData, kFlagPadded | end, stream_id,
               static_cast<char>(padding) + std::string(body) + std::string(padding, '\0'));
}
std::string window_update(uint32_t stream_id, uint32_t increment) {
  return frame(FrameType::kWindowUpdate, 0, stream_id, u32(increment));
}
std::string rst_stream(uint32_t stream_id, ErrorCode code) {
  return frame(FrameType::kRstStream, 0, stream_id, u32(static_cast<uint32_t>(code)));
}
std::string goaway(uint32_t last_stream_id, ErrorCode code) {
  return frame(FrameType::kGoaway, 0, 0, u32(last_stream_id) + u32(static_cast<uint32_t>(code)));
}
std::string ping(std::string_view opaque, bool is_ack) {
  return frame(FrameType::kPing, is_ack ? kFlagAck : 0, 0, opaque);
}

std::string block(const PlainList& fields) {
  std::string octets;
  for (const PlainField& field : fields) octets += hpack_literal(kLiteralPlain, field.name, field.value);
  return octets;
}
PlainList request_fields(const PlainList& more) {
  PlainList fields{{":method", "POST"}, {":scheme", "http"}, {":path", "/a.B/C"}, {":authority", "a.example"}};
  fields.insert(fields.end(), more.begin(), more.end());
  return fields;
}
std::string request_block(const PlainList& more) {
  return block(request_fields(more));
}
std::string response_block(std::string_view status, const PlainList& more) {
  return block({{":status", std::string(status)}}) + block(more);
}

std::vector<Frame> parse(std::string_view bytes) {
  if (bytes.starts_with(kPreface)) bytes.remove_prefix(kPreface.size());
  std::vector<Frame> frames;
  const auto at = [&](size_t i) { return static_cast<uint8_t>(bytes[i]); };
  while (bytes.size() >= 9) {
    const size_t length = size_t{at(0)} << 16 | size_t{at(1)} << 8 | at(2);
    const uint32_t id = uint32_t{at(5)} << 24 | uint32_t{at(6)} << 16 | uint32_t{at(7)} << 8 | at(8);
    if (bytes.size() < 9 + length) break;
    frames.push_back({at(3), at(4), id, std::string(bytes.substr(9, length))});
    bytes.remove_prefix(9 + length);
  }
  EXPECT_TRUE(bytes.empty()) << bytes.size() << " octets behind the last complete frame";
  return frames;
}

}  // namespace ringway::h2::wire
