// The timer wheel: arm and cancel, as a deadline that is never reached, and expiry.
#include <benchmark/benchmark.h>

#include <memory>

#include "base/prng.h"
#include "base/timer_wheel.h"

namespace ringway::base {
namespace {

void arm_and_cancel(benchmark::State& state) {
  TimerWheel wheel(0);
  Timer timer;
  Prng prng(1);
  uint64_t now_ns = 0;
  for (auto _ : state) {
    now_ns += 1000;
    wheel.arm(timer, now_ns + static_cast<uint64_t>(state.range(0)) * kMillisecond_ns);
    wheel.cancel(timer);
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(arm_and_cancel)->Arg(100)->Arg(5000)->Arg(300'000);

// A thousand timers that fire and are armed again, a millisecond a step.
void expire(benchmark::State& state) {
  constexpr uint32_t kTimers = 1000;
  TimerWheel wheel(0);
  const auto timers = std::make_unique<Timer[]>(kTimers);
  Prng prng(1);
  for (uint32_t i = 0; i < kTimers; ++i) wheel.arm(timers[i], prng.below(1000) * kMillisecond_ns);
  uint64_t now_ns = 0;
  int64_t fired = 0;
  for (auto _ : state) {
    now_ns += kMillisecond_ns;
    wheel.advance(now_ns, [&](Timer& timer) {
      ++fired;
      wheel.arm(timer, now_ns + (1 + prng.below(1000)) * kMillisecond_ns);
    });
    benchmark::DoNotOptimize(wheel.next_ns());
  }
  state.SetItemsProcessed(fired);
  for (uint32_t i = 0; i < kTimers; ++i) wheel.cancel(timers[i]);
}
BENCHMARK(expire);

}  // namespace
}  // namespace ringway::base
