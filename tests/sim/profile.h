// What a run is like, drawn from its seed: sizes, limits, pace, and how much goes wrong.
#pragma once

#include <cstdint>

#include "base/prng.h"
#include "config/snapshot.h"
#include "kernel.h"

namespace ringway::sim {

enum class Weather : uint8_t {
  kCalm,    // nothing goes wrong: every call ends as it was planned
  kRough,   // what a kernel and a network may do without losing anything: the same holds
  kStormy,  // connections break, hosts go: every call ends, in one of the ways there are
};

struct Profile {
  explicit Profile(uint64_t seed);

  bool is_stormy() const { return weather == Weather::kStormy; }

  Weather weather;
  KernelOptions kernel;
  config::Snapshot snapshot;
  uint32_t clients;
  uint32_t open_calls_max;
  uint32_t large_bytes;
  uint64_t call_gap_ns;     // between two calls, in the mean
  uint64_t trouble_gap_ns;  // between two things that go wrong; never in calm weather
  uint64_t latency_ns;
  uint64_t jitter_ns;
  uint32_t send_buffer_min;
  uint32_t slow_peers;  // of 1000: read little at a time
  bool drains_under_load;
  bool has_large_metadata;  // in every call: to a peer that does not read, header lists pile up
};

}  // namespace ringway::sim
