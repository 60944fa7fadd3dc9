// Where in the sequence of length-prefixed gRPC messages a stream of DATA stands: an end is clean at a message boundary
// and a loss inside a message (PROTOCOL-HTTP2.md, Length-Prefixed-Message: flag octet, four octets of length, message).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

namespace ringway::grpc {

class MessageCursor {
 public:
  // Moves over the next octets of the body.
  void advance(std::span<const uint8_t> octets) noexcept {
    const uint8_t* p = octets.data();
    const uint8_t* const end = p + octets.size();
    // A whole message and no more is what most DATA frames are.
    if (is_at_boundary() && octets.size() >= 5 && length_at(p) == octets.size() - 5) [[likely]] {
      ++message_count_;
      return;
    }
    while (p != end) {
      if (message_left_ != 0) {
        p += take_message(static_cast<uint64_t>(end - p));
        continue;
      }
      if (prefix_octets_ == 0 && end - p >= 5) [[likely]] {
        begin_message(length_at(p));
        p += 5;
        continue;
      }
      // The prefix itself is cut: its octets are gathered.
      if (prefix_octets_ != 0) message_length_ = (message_length_ << 8) | *p;
      ++p;
      if (++prefix_octets_ < 5) continue;
      end_prefix();
    }
  }

  // Moves on as advance() does, but not beyond the prefix of a message of more than `size_max` octets whose flag octet
  // is at most `flag_max`. Returns the octets up to and with that prefix; 0: there is none.
  size_t advance_to_longer(std::span<const uint8_t> octets, uint32_t size_max, uint8_t flag_max) noexcept {
    const uint8_t* p = octets.data();
    const uint8_t* const end = p + octets.size();
    while (p != end) {
      if (message_left_ != 0) {
        p += take_message(static_cast<uint64_t>(end - p));
        continue;
      }
      if (prefix_octets_ == 0) {
        prefix_flag_ = *p;
      } else {
        message_length_ = (message_length_ << 8) | *p;
      }
      ++p;
      if (++prefix_octets_ < 5) continue;
      end_prefix();
      if (message_left_ > size_max && prefix_flag_ <= flag_max) return static_cast<size_t>(p - octets.data());
    }
    return 0;
  }
  // Behind a prefix that advance_to_longer() has stopped at: goes back before it. Returns the message's size.
  uint32_t step_back() noexcept {
    --message_count_;
    return std::exchange(message_left_, 0);
  }

  bool is_at_boundary() const noexcept { return message_left_ == 0 && prefix_octets_ == 0; }
  uint32_t message_count() const noexcept { return message_count_; }  // begun so far
  uint32_t prefix_octets() const noexcept { return prefix_octets_; }  // of a prefix that is not complete

 private:
  // How many of `available` octets belong to the message that has begun.
  uint32_t take_message(uint64_t available) noexcept {
    const auto taken = static_cast<uint32_t>(available < message_left_ ? available : message_left_);
    message_left_ -= taken;
    return taken;
  }
  void begin_message(uint32_t size) noexcept {
    message_left_ = size;
    ++message_count_;
  }
  // All of a gathered prefix has come.
  void end_prefix() noexcept {
    begin_message(message_length_);
    message_length_ = 0;
    prefix_octets_ = 0;
  }
  static uint32_t length_at(const uint8_t* prefix) noexcept {
    uint32_t length;
    __builtin_memcpy(&length, prefix + 1, sizeof length);
    return __builtin_bswap32(length);
  }

  uint32_t message_left_ = 0;
  uint32_t message_length_ = 0;  // while the prefix is gathered
  uint32_t message_count_ = 0;
  uint8_t prefix_octets_ = 0;
  uint8_t prefix_flag_ = 0;  // kept by advance_to_longer() alone
};

}  // namespace ringway::grpc
