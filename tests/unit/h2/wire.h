// HTTP/2 bytes by hand: frames built and taken apart without the code under test.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "h2/frame.h"
#include "hpack_oracle.h"

namespace ringway::h2::wire {

struct Frame {
  uint8_t type;
  uint8_t flags;
  uint32_t stream_id;
  std::string payload;
  bool operator==(const Frame&) const = default;
  bool is(FrameType wanted) const { return type == static_cast<uint8_t>(wanted); }
  uint32_t u32(size_t offset) const;  // a number in the payload
};

std::string u16(uint32_t value);
std::string u32(uint32_t value);
// `length` other than the payload's is for frames that lie.
std::string frame(FrameType type, uint8_t flags, uint32_t stream_id, std::string_view payload);
std::string frame_header(uint32_t length, FrameType type, uint8_t flags, uint32_t stream_id);

std::string settings(const std::vector<std::pair<SettingId, uint32_t>>& values = {});
std::string settings_ack();
std::string headers(uint32_t stream_id, std::string_view block, bool end_stream);
std::string data(uint32_t stream_id, std::string_view body, bool end_stream);
std::string padded_data(uint32_t stream_id, std::string_view body, uint8_t padding, bool end_stream);
std::string window_update(uint32_t stream_id, uint32_t increment);
std::string rst_stream(uint32_t stream_id, ErrorCode code);
std::string goaway(uint32_t last_stream_id, ErrorCode code);
std::string ping(std::string_view opaque, bool is_ack = false);

// Header blocks that need no table.
std::string block(const PlainList& fields);
PlainList request_fields(const PlainList& more = {});
std::string request_block(const PlainList& more = {});
std::string response_block(std::string_view status = "200", const PlainList& more = {});

// The complete frames in `bytes`, behind a preface if there is one.
std::vector<Frame> parse(std::string_view bytes);

}  // namespace ringway::h2::wire
