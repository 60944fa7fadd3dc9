// What a connection knows of streams that it no longer has. Most of what comes for them is an error of the peer, but
// not all: what was under way when we reset a stream is to be discarded, however late it comes (RFC 9113 section 5.1).
// A few numbers, whatever the peer does; what has no room is known no more, and the benefit of the doubt is the peer's.
#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>

namespace ringway::h2 {

class ClosedStreams {
 public:
  // We reset this stream before its peer had ended it.
  void add_late(uint32_t id) noexcept {
    uint32_t& place = late_[late_count_++ % std::size(late_)];
    unknown_max_ = std::max(unknown_max_, place);
    place = id;
  }

  // Added so far.
  uint32_t late_count() const noexcept { return late_count_; }

  // Frames of this closed stream may have been sent before our reset was seen. Never false for one that was added.
  bool may_be_late(uint32_t id) const noexcept {
    return id <= unknown_max_ || std::find(std::begin(late_), std::end(late_), id) != std::end(late_);
  }

  // The peer has opened a stream without having opened these: they were closed unused (section 5.1.1).
  void add_skipped(uint32_t first, uint32_t last) noexcept {
    skipped_[skipped_count_++ % std::size(skipped_)] = {first, last};
  }

  bool was_skipped(uint32_t id) const noexcept {
    return std::any_of(std::begin(skipped_), std::end(skipped_),
                       [id](const Range& range) { return range.first <= id && id <= range.last; });
  }

 private:
  struct Range {
    uint32_t first = 1;
    uint32_t last = 0;
  };

  uint32_t late_[32] = {};
  uint32_t late_count_ = 0;
  uint32_t unknown_max_ = 0;  // up to here, resets may have been forgotten
  Range skipped_[4];  // the latest: peers that pass over ids are rare, and it is the code alone that depends on it
  uint32_t skipped_count_ = 0;
};

}  // namespace ringway::h2
