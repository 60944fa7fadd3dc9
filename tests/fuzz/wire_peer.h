// The other end's bytes, made from the input: frames that are mostly well formed and on the streams that matter, so
// that the octets of the input are spent on order and content. And a reader of what our end sends.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "h2/frame.h"
#include "h2/known_names.h"
#include "input.h"

namespace ringway::h2 {

inline void put_frame(std::string& out, FrameType type, uint8_t flags, uint32_t stream_id, std::string_view payload) {
  uint8_t header[kFrameHeaderSize];
  write_frame_header(header, static_cast<uint32_t>(payload.size()), type, flags, stream_id);
  out.append(reinterpret_cast<const char*>(header), sizeof header).append(payload);
}

inline std::string four_octets(uint32_t value) {
  uint8_t octets[4];
  store_32(octets, value);
  return {reinterpret_cast<const char*>(octets), sizeof octets};
}

// A field without a table (RFC 7541 section 6.2.2), names and values below 127 octets.
inline void put_literal(std::string& block, std::string_view name, std::string_view value) {
  block += '\0';
  block += static_cast<char>(name.size());
  block += name;
  block += static_cast<char>(value.size());
  block += value;
}

// Names and values that some rule is about; the first of each pair is what belongs there.
struct Suggestion {
  std::string_view name;
  std::array<std::string_view, 4> values;
};
inline constexpr std::array kSuggestions = {
    Suggestion{":method", {"POST", "GET", "OPTIONS", "P ST"}},
    Suggestion{":scheme", {"http", "https", "", "1tp"}},
    Suggestion{":path", {"/shop.Cart/Add", "*", "", "/a b"}},
    Suggestion{":authority", {"shop.example", "other.example", "", "a@b c"}},
    Suggestion{":status", {"200", "100", "101", "099"}},
    Suggestion{"te", {"trailers", "gzip", "", "Trailers"}},
    Suggestion{"content-type", {"application/grpc", "text/plain", "application/grpc+proto", ""}},
    Suggestion{"content-length", {"5", "0", "00", "5x"}},
    Suggestion{"grpc-timeout", {"1S", "1m", "99999999H", "x"}},
    Suggestion{"grpc-status", {"0", "14", "", "1000"}},
    Suggestion{"host", {"shop.example", "other.example", "", " a"}},
    Suggestion{"connection", {"close", "keep-alive", "te", ""}},
    Suggestion{"x-forwarded-for", {"192.0.2.1", "", "a, b", "\x7f"}},
    Suggestion{"cookie", {"a=1", "b=2", "", "\t"}},
    Suggestion{"Upper", {"x", "", "y", "z"}},
    Suggestion{":unknown", {"x", "", "y", "z"}},
};

// What a request, a response or trailers begin with when they are as they should be, but for one value: that of the row
// `odd_row` is taken from `column`.
inline std::string plain_block(uint8_t choice, size_t odd_row, size_t column) {
  std::string block;
  const auto put = [&](size_t row) {
    put_literal(block, kSuggestions[row].name, kSuggestions[row].values[row == odd_row ? column : 0]);
  };
  switch (choice % 4) {
    case 0:  // a gRPC request
      for (const size_t row : {0u, 1u, 2u, 3u, 5u, 6u}) put(row);
      break;
    case 1: put(4), put(6); break;  // its response
    case 2: put(9); break;          // its trailers
    default: break;                 // nothing yet
  }
  return block;
}

// A plain beginning, in which with the highest bit set one octet chooses a value that is out of the ordinary, then
// fields by suggestion: one octet for the name, one for the value. From 0xf0 on the rest of a block is octets of the
// input as they are.
inline std::string take_block(std::span<const uint8_t>& input) {
  const uint8_t choice = take_octet(input);
  const uint8_t odd = choice & 0x80 ? take_octet(input) : 0;
  std::string block = plain_block(choice, odd % kSuggestions.size(), odd / kSuggestions.size() % 4);
  for (unsigned count = choice / 4 % 8; count-- != 0;) {
    const uint8_t name = take_octet(input);
    const uint8_t value = take_octet(input);
    if (name >= 0xf0) return block.append(characters_of(take_octets(input, value)));
    const Suggestion& suggestion = kSuggestions[name % kSuggestions.size()];
    if (value < 0xf0) {
      put_literal(block, suggestion.name, suggestion.values[value % 4]);
    } else {
      put_literal(block, suggestion.name, characters_of(take_octets(input, value & 0xf)));
    }
  }
  return block;
}

// Small ids, odd unless the highest bit asks for any.
inline uint32_t take_stream_id(std::span<const uint8_t>& input) {
  const uint8_t octet = take_octet(input);
  return octet & 0x80 ? octet & 0x7fu : (octet % 8u) * 2 + 1;
}

// Sixteen octets' exponent and a mantissa: small numbers and those at the bounds.
inline uint32_t take_number(std::span<const uint8_t>& input) {
  const uint8_t octet = take_octet(input);
  if (octet < 0x80) return octet;
  return (uint32_t{1} << (octet & 0x1f)) - ((octet >> 5) & 1);
}

// One frame of the peer, appended to `out`.
inline void take_frame(std::span<const uint8_t>& input, std::string& out) {
  const uint8_t kind = take_octet(input);
  const uint8_t flags = kind & 0x80 ? take_octet(input) : kFlagEndHeaders | (kind & 0x40 ? kFlagEndStream : 0);
  const uint32_t id = take_stream_id(input);
  switch (kind & 0x0f) {
    case 0:
    case 1:
    case 2: put_frame(out, FrameType::kHeaders, flags, id, take_block(input)); break;
    case 3:
    case 4: {  // whole gRPC messages
      const uint32_t size = take_octet(input) * (kind & 0x20 ? 60u : 1u);
      const std::string message = '\0' + four_octets(size) + std::string(size, 'm');
      put_frame(out, FrameType::kData, flags & ~kFlagEndHeaders, id, message);
      break;
    }
    case 5: put_frame(out, FrameType::kData, flags, id, characters_of(take_octets(input, take_octet(input)))); break;
    case 6: put_frame(out, FrameType::kRstStream, 0, id, four_octets(take_octet(input))); break;
    case 7: put_frame(out, FrameType::kWindowUpdate, 0, id & 1 ? 0 : id, four_octets(take_number(input))); break;
    case 8: put_frame(out, FrameType::kWindowUpdate, 0, id, four_octets(take_number(input))); break;
    case 9: {
      std::string payload;
      for (unsigned count = (kind >> 4 & 1) + 1; count-- != 0;) {
        payload += '\0';
        payload += static_cast<char>(take_octet(input) % 12);
        payload += four_octets(take_number(input));
      }
      put_frame(out, FrameType::kSettings, 0, 0, payload);
      break;
    }
    case 10: put_frame(out, FrameType::kSettings, kFlagAck, 0, {}); break;
    case 11: put_frame(out, FrameType::kPing, kind >> 4 & 1, 0, "12345678"); break;
    case 12: put_frame(out, FrameType::kGoaway, 0, 0, four_octets(id) + four_octets(take_octet(input))); break;
    case 13: put_frame(out, FrameType::kContinuation, flags, id, take_block(input)); break;
    case 14: put_frame(out, FrameType::kPriority, 0, id, four_octets(take_number(input)) + 'w'); break;
    default: {  // any type, any payload
      const auto type = static_cast<FrameType>(take_octet(input));
      put_frame(out, type, flags, kind & 0x20 ? 0 : id, characters_of(take_octets(input, take_octet(input))));
      break;
    }
  }
}

// Reads what one of our connections sends: whole frames only, every stream in order, nothing behind its end.
class SentFrames {
 public:
  explicit SentFrames(bool is_client) : is_client_(is_client), has_preface_(is_client) {}

  void read(std::span<const uint8_t> bytes) {
    if (has_preface_ && !bytes.empty()) {
      require(characters_of(bytes).starts_with(kPreface), "the preface is missing");
      bytes = bytes.subspan(kPreface.size());
      has_preface_ = false;
    }
    while (!bytes.empty()) {
      require(bytes.size() >= kFrameHeaderSize, "a cut frame header in the output");
      const FrameHeader header = parse_frame_header(bytes.data());
      bytes = bytes.subspan(kFrameHeaderSize);
      require(bytes.size() >= header.length, "a cut frame in the output");
      look_at(header, bytes.first(header.length));
      bytes = bytes.subspan(header.length);
    }
  }

  bool has_failed() const { return has_failed_; }  // a GOAWAY with an error
  uint32_t reset_count() const { return reset_count_; }

 private:
  enum class State : uint8_t { kOpen, kEnded, kReset };

  void look_at(FrameHeader header, std::span<const uint8_t> payload) {
    require((block_of_ == 0) == (header.type != FrameType::kContinuation), "a header block is interrupted");
    switch (header.type) {
      case FrameType::kHeaders:
        begin(header);
        block_of_ = header.has(kFlagEndHeaders) ? 0 : header.stream_id;
        break;
      case FrameType::kContinuation:
        require(header.stream_id == block_of_, "CONTINUATION of another block");
        if (header.has(kFlagEndHeaders)) block_of_ = 0;
        break;
      case FrameType::kData:
        require(streams_.contains(header.stream_id), "DATA before HEADERS");
        begin(header);
        break;
      case FrameType::kRstStream: {
        require(header.length == 4 && header.stream_id != 0, "RST_STREAM of a wrong form");
        State& state = streams_[header.stream_id];
        require(state != State::kReset, "a stream is reset twice");
        state = State::kReset;
        ++reset_count_;
        break;
      }
      case FrameType::kWindowUpdate: require(load_32(payload.data()) != 0, "WINDOW_UPDATE of zero"); break;
      case FrameType::kGoaway:
        require(load_32(payload.data()) <= goaway_id_, "the id of GOAWAY rose");
        goaway_id_ = load_32(payload.data());
        has_failed_ |= load_32(payload.data() + 4) != 0;
        break;
      default: break;
    }
  }

  void begin(FrameHeader header) {
    require(header.stream_id & 1, "a frame on a stream that nobody opened");
    State& state = streams_[header.stream_id];
    if (state != State::kOpen)
      std::fprintf(stderr, "frame type %u on stream %u, a %s\n", static_cast<unsigned>(header.type), header.stream_id,
                   is_client_ ? "client" : "server");
    require(state == State::kOpen, "a frame behind the end of its stream");
    if (header.has(kFlagEndStream)) state = State::kEnded;
  }

  std::map<uint32_t, State> streams_;
  uint32_t block_of_ = 0;
  uint32_t goaway_id_ = kStreamIdMax;
  uint32_t reset_count_ = 0;
  bool is_client_;
  bool has_preface_;  // is still to come
  bool has_failed_ = false;
};

}  // namespace ringway::h2
