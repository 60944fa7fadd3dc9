// Wakes one thread that rests when it has nothing to do, at the price of one load for those who give it work: the
// eventfd behind it is written only when that thread really rests. Work itself travels elsewhere (queues, rings).
//
//   resting thread:  announce(rest)  ->  look for work once more  ->  wait(), or awake() when there was some
//   working threads: publish work    ->  ring_if(rest)
// The two full fences inside make one of the two sides see the other, so no wake-up is lost.
#pragma once

#include <atomic>
#include <cstdint>
#include <expected>
#include <memory>

#include "io/error.h"
#include "io/socket.h"

namespace ringway::io {

// How deeply the thread rests: a nap ends by itself soon, so that ordinary work need not ring; sleep does not.
enum class Rest : uint8_t { kAwake, kNapping, kSleeping };

class Doorbell {
 public:
  static std::expected<std::unique_ptr<Doorbell>, Error> create();
  Doorbell(const Doorbell&) = delete;
  Doorbell& operator=(const Doorbell&) = delete;

  // The resting thread.
  void announce(Rest rest) noexcept;
  void awake() noexcept { rest_.store(Rest::kAwake, std::memory_order_relaxed); }
  // Rests until somebody rings or the time is over (negative: for ever), and is awake then.
  void wait(int timeout_ms) noexcept;

  // Any thread, after publishing work: rings when the other rests at least that deeply. At most one ring a rest.
  void ring_if(Rest at_least) noexcept;
  // Any thread: rings in any case.
  void ring() noexcept;

  uint64_t ring_count() const noexcept { return ring_count_.load(std::memory_order_relaxed); }

 private:
  explicit Doorbell(Fd event) noexcept : event_(std::move(event)) {}

  Fd event_;
  std::atomic<Rest> rest_{Rest::kAwake};
  std::atomic<uint64_t> ring_count_{0};
};

}  // namespace ringway::io
