// Virtual time and what is going to happen in it, in order; of two things at the same time the one that was planned
// first.
#pragma once

#include <cstdint>
#include <functional>
#include <queue>
#include <vector>

#include "base/units.h"

namespace ringway::sim {

class Timeline {
 public:
  using Act = std::function<void()>;

  uint64_t now_ns() const { return now_ns_; }
  uint64_t next_ns() const { return events_.empty() ? base::kNever_ns : events_.top().when_ns; }

  void at(uint64_t when_ns, Act act) { events_.push({when_ns, count_++, std::move(act)}); }
  void in(uint64_t delay_ns, Act act) { at(now_ns_ + delay_ns, std::move(act)); }

  // The next event; the time moves on to it.
  void run_next() {
    // The queue shows its top as const; moving from it is safe, since the order does not look at `act`.
    Act act = std::move(const_cast<Event&>(events_.top()).act);
    now_ns_ = events_.top().when_ns > now_ns_ ? events_.top().when_ns : now_ns_;
    events_.pop();
    act();
  }

  // All events up to then, and the time is then.
  void run_until(uint64_t when_ns) {
    while (next_ns() <= when_ns) run_next();
    if (when_ns > now_ns_) now_ns_ = when_ns;
  }

 private:
  struct Event {
    uint64_t when_ns;
    uint64_t number;
    Act act;

    bool operator<(const Event& other) const {
      return when_ns != other.when_ns ? when_ns > other.when_ns : number > other.number;
    }
  };

  std::priority_queue<Event> events_;
  // Far from zero, which stands for "never" in some time stamps.
  uint64_t now_ns_ = 1'000 * base::kSecond_ns;
  uint64_t count_ = 0;
};

}  // namespace ringway::sim
