// What a peer may still send on streams that are over, since it cannot know yet that they are: on each its window in
// octets, and the begin and the end of a message. No more streams are so at a time than were ever open at once: of one
// that has been opened since, its peer has seen the end. What was there unused is therefore not heaped up.
#pragma once

#include <algorithm>
#include <cstdint>

namespace ringway::h2 {

class LateFrames {
 public:
  // So many streams may have ended by now in a way that their peer did not know of, at most `at_once` of them at a
  // time.
  void expect(uint32_t streams, uint32_t at_once, uint32_t window) noexcept {
    const uint32_t more = streams - streams_;
    streams_ = streams;
    octets_ = std::min(octets_ + uint64_t{more} * window, uint64_t{at_once} * window);
    marks_ = std::min(marks_ + uint64_t{more} * kMarks, uint64_t{at_once} * kMarks);
  }

  // A DATA frame of so many octets; false: more than was to be expected, and nothing is taken.
  bool take_octets(uint32_t octets) noexcept {
    if (octets > octets_) return false;
    octets_ -= octets;
    return true;
  }

  // HEADERS, or the end of a stream.
  bool take_mark() noexcept {
    if (marks_ == 0) return false;
    --marks_;
    return true;
  }

 private:
  static constexpr uint32_t kMarks = 2;

  uint32_t streams_ = 0;
  uint64_t octets_ = 0;
  uint64_t marks_ = 0;
};

}  // namespace ringway::h2
