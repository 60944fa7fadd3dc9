// Timers as links in their owners: arming and cancelling are a few instructions, expiry is visited in ticks of one
// millisecond on the turn's time stamp. Two levels (256 ms, then 65 s) and an overflow list that is looked through once
// a rotation. A timer never fires early and at most one tick late, plus the time until the next turn. One thread.
#pragma once

#include <bit>
#include <cstdint>

#include "base/intrusive_list.h"
#include "base/units.h"

namespace ringway::base {

// A public base of what has a time limit; cancel before death.
struct Timer : ListLink {
  uint64_t deadline_tick = 0;
  bool is_armed() const noexcept { return is_linked(); }
};

class TimerWheel {
 public:
  static constexpr uint64_t kTick_ns = kMillisecond_ns;

  explicit TimerWheel(uint64_t now_ns) noexcept : tick_(now_ns / kTick_ns) {}

  // Fires at or after `deadline_ns`. A timer that is armed already is moved.
  void arm(Timer& timer, uint64_t deadline_ns) noexcept {
    cancel(timer);
    uint64_t deadline = deadline_ns / kTick_ns + (deadline_ns % kTick_ns != 0);
    if (deadline <= tick_) deadline = tick_ + 1;
    timer.deadline_tick = deadline;
    place(timer);
    ++armed_count_;
  }

  void cancel(Timer& timer) noexcept {
    if (!timer.is_armed()) return;
    timer.unlink();
    --armed_count_;
  }

  // Calls `fire(Timer&)` for every timer that is due at `now_ns`; it may arm and cancel any timer.
  template <typename Fire>
  void advance(uint64_t now_ns, Fire&& fire) {
    const uint64_t target = now_ns / kTick_ns;
    if (armed_count_ == 0) {
      tick_ = target > tick_ ? target : tick_;
      return;
    }
    while (tick_ < target) {
      ++tick_;
      if (tick_ % kSlots == 0) cascade();
      List& due = near_[tick_ % kSlots];
      while (!due.is_empty()) {
        Timer& timer = due.pop_front();
        --armed_count_;
        fire(timer);
      }
      if (armed_count_ == 0) tick_ = target;
    }
  }

  // When advance() should be called next, as a point in time: the exact tick within 256 ms, else the next rotation.
  // kNever_ns without timers.
  uint64_t next_ns() noexcept {
    if (armed_count_ == 0) return kNever_ns;
    const uint64_t rotation = tick_ / kSlots * kSlots;
    for (uint64_t slot = tick_ % kSlots + 1; slot < kSlots;) {
      uint64_t& word = occupied_[slot / 64];
      const uint64_t candidates = word >> (slot % 64);
      if (candidates == 0) {
        slot = (slot / 64 + 1) * 64;
        continue;
      }
      slot += static_cast<uint64_t>(std::countr_zero(candidates));
      if (!near_[slot].is_empty()) return (rotation + slot) * kTick_ns;
      // Cancelled since: links leave without a word to the wheel, so the bit is only a hint.
      word &= ~(uint64_t{1} << (slot % 64));
    }
    return (rotation + kSlots) * kTick_ns;
  }

  uint32_t armed_count() const noexcept { return armed_count_; }

 private:
  static constexpr uint64_t kSlots = 256;
  using List = IntrusiveList<Timer>;

  void place(Timer& timer) noexcept {
    const uint64_t deadline = timer.deadline_tick;
    if (deadline / kSlots == tick_ / kSlots) {
      near_[deadline % kSlots].push_back(timer);
      occupied_[deadline % kSlots / 64] |= uint64_t{1} << (deadline % 64);
    } else if (deadline / kSlots - tick_ / kSlots < kSlots) {
      far_[deadline / kSlots % kSlots].push_back(timer);
    } else {
      beyond_.push_back(timer);
    }
  }

  // At each rotation of the near wheel the next far slot is spread over it; at each rotation of the far wheel the
  // list beyond it is placed anew.
  void cascade() noexcept {
    if (tick_ / kSlots % kSlots == 0) respread(beyond_);
    respread(far_[tick_ / kSlots % kSlots]);
  }

  void respread(List& list) noexcept {
    List moving;
    while (!list.is_empty()) moving.push_back(list.pop_front());
    while (!moving.is_empty()) place(moving.pop_front());
  }

  List near_[kSlots];
  uint64_t occupied_[kSlots / 64] = {};
  List far_[kSlots];
  List beyond_;
  uint64_t tick_;
  uint32_t armed_count_ = 0;
};

}  // namespace ringway::base
