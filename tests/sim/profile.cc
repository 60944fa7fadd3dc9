#include "profile.h"

#include "base/units.h"
#include "config/limit_fields.h"

namespace ringway::sim {
namespace {

template <size_t kCount, typename T>
T one_of(base::Prng& prng, const T (&values)[kCount]) {
  return values[prng.below(kCount)];
}

KernelOptions draw_kernel(Weather weather, base::Prng& prng) {
  KernelOptions options;
  options.gather_ns = one_of<3, uint64_t>(prng, {0, 20'000, 500'000});
  if (weather == Weather::kCalm) return options;
  options.completion_entries = one_of<4, uint32_t>(prng, {4, 32, 512, 8192});
  options.untaken = one_of<3, uint32_t>(prng, {0, 10, 100});
  options.spurious = one_of<3, uint32_t>(prng, {0, 10, 100});
  options.multishot_ends = one_of<3, uint32_t>(prng, {0, 10, 300});
  options.no_buffers = one_of<3, uint32_t>(prng, {0, 10, 200});
  options.short_sends = one_of<3, uint32_t>(prng, {0, 20, 300});
  options.held_back = one_of<3, uint32_t>(prng, {0, 20, 300});
  options.reorders = prng.below(4) != 0;
  options.receive_max = one_of<4, uint32_t>(prng, {1, 100, 4096, 16 * 1024});
  if (weather == Weather::kStormy) {
    options.no_memory = one_of<4, uint32_t>(prng, {0, 0, 0, 2});
    options.descriptors = one_of<3, uint32_t>(prng, {16, 4096, 4096});
  }
  return options;
}

config::Limits draw_limits(Weather weather, base::Prng& prng) {
  config::Limits limits = config::initial_limits();
  // Clients here cancel more than any budget allows, and pause for longer than is polite: what counts is what becomes
  // of their calls.
  for (uint32_t* const budget : {&limits.resets, &limits.early_resets, &limits.settings, &limits.pings,
                                 &limits.empty_frames, &limits.small_data, &limits.glitches, &limits.replies}) {
    *budget = 10'000'000;
  }
  // So few that connections are replaced for them again and again.
  limits.upstream_resets = 30;
  limits.reply_bytes = 16 * base::kMiB;
  limits.preface_timeout_ns = limits.header_timeout_ns = 3600 * base::kSecond_ns;
  limits.idle_timeout_ns = limits.connection_age_ns = 0;
  limits.header_list_bytes = one_of<2, uint32_t>(prng, {16 * base::kKiB, 64 * base::kKiB});
  limits.header_fields = 100;
  limits.streams = one_of<4, uint32_t>(prng, {1, 4, 100, 256});
  limits.connections = weather == Weather::kStormy ? one_of<3, uint32_t>(prng, {3, 1000, 20'000}) : 20'000;
  limits.window_bytes = one_of<5, uint32_t>(prng, {1024, 5000, 65'535, 65'536, 1 << 20});
  limits.connection_window_bytes = one_of<3, uint32_t>(prng, {65'535, 100'000, 4 << 20});
  limits.upstream_window_bytes = one_of<4, uint32_t>(prng, {1024, 65'535, 256 * 1024, 1 << 20});
  limits.pending_calls = weather == Weather::kStormy ? one_of<2, uint32_t>(prng, {5, 64 * 1024}) : 64 * 1024;
  limits.replay_bytes = one_of<4, uint32_t>(prng, {0, 100, 65'536, 1 << 20});
  return limits;
}

config::ClusterConfig draw_cluster(base::Prng& prng) {
  config::ClusterConfig cluster;
  cluster.name = "sim";
  const uint32_t endpoints = 1 + prng.below(4);
  for (uint32_t i = 0; i < endpoints; ++i) {
    cluster.endpoints.push_back({*io::Address::parse("10.0.0." + std::to_string(i + 1) + ":50051"), 1 + prng.below(3)});
  }
  cluster.connections_per_shard = one_of<4, uint32_t>(prng, {1, 1, 1, 3});
  cluster.connect_timeout_ns = one_of<2, uint64_t>(prng, {200 * base::kMillisecond_ns, base::kSecond_ns});
  cluster.keepalive_silence_ns = 10 * base::kSecond_ns;
  cluster.keepalive_interval_ns = one_of<2, uint64_t>(prng, {base::kSecond_ns, 30 * base::kSecond_ns});
  cluster.keepalive_timeout_ns = one_of<2, uint64_t>(prng, {base::kSecond_ns, 20 * base::kSecond_ns});
  return cluster;
}

config::Snapshot draw_snapshot(Weather weather, base::Prng& prng) {
  config::Snapshot snapshot;
  snapshot.limits = draw_limits(weather, prng);
  snapshot.shards.accept = prng.below(2) == 0 ? config::AcceptMode::kBalanced : config::AcceptMode::kReusePort;
  snapshot.shards.recv_buffers = one_of<3, uint32_t>(prng, {16, 32, 128});
  snapshot.shards.ring_entries = one_of<3, uint32_t>(prng, {64, 128, 1024});
  snapshot.shards.busy_poll_ns = one_of<4, uint64_t>(prng, {0, 0, 0, 50'000});
  if (weather == Weather::kStormy && prng.below(3) == 0) snapshot.shards.memory_bytes = 128 * base::kKiB;
  snapshot.clusters.push_back(draw_cluster(prng));
  config::ListenerConfig listener;
  listener.address = *io::Address::parse("10.0.1.1:8080");
  listener.forwarded = {prng.below(2) == 0, prng.below(2) == 0};
  listener.routes.push_back({});
  listener.routes[0].name = "default";
  snapshot.listeners.push_back(std::move(listener));
  snapshot.access_log.format = prng.below(2) == 0 ? config::AccessLogFormat::kCombined : config::AccessLogFormat::kJson;
  snapshot.log_level = config::LogLevel::kDebug;
  snapshot.drain.timeout_ns = one_of<2, uint64_t>(prng, {20 * base::kMillisecond_ns, 30 * base::kSecond_ns});
  return snapshot;
}

}  // namespace

Profile::Profile(uint64_t seed) {
  base::Prng prng(seed);
  const uint32_t kind = prng.below(10);
  weather = kind < 2 ? Weather::kCalm : kind < 5 ? Weather::kRough : Weather::kStormy;
  kernel = draw_kernel(weather, prng);
  snapshot = draw_snapshot(weather, prng);
  clients = 1 + prng.below(12);
  open_calls_max = one_of<3, uint32_t>(prng, {8, 40, 150});
  large_bytes = one_of<3, uint32_t>(prng, {50'000, 150'000, 400'000});
  // One octet at a time makes large bodies slow to receive, and shows nothing more with them.
  if (kernel.receive_max == 1) large_bytes = 4'000;
  call_gap_ns = one_of<3, uint64_t>(prng, {20'000, 300'000, 5'000'000});
  trouble_gap_ns = one_of<3, uint64_t>(prng, {3'000'000, 30'000'000, 300'000'000});
  latency_ns = one_of<3, uint64_t>(prng, {1'000, 50'000, 5'000'000});
  jitter_ns = weather == Weather::kCalm ? 0 : one_of<3, uint64_t>(prng, {0, 100'000, 20'000'000});
  send_buffer_min = weather == Weather::kCalm ? 64 * base::kKiB : one_of<4, uint32_t>(prng, {1, 500, 5'000, 65'536});
  slow_peers = weather == Weather::kCalm ? 0 : one_of<3, uint32_t>(prng, {0, 100, 500});
  drains_under_load = prng.below(4) == 0;
  has_large_metadata = prng.below(8) == 0;
  if (has_large_metadata) {
    open_calls_max = 150;
    call_gap_ns = 20'000;
  }
}

}  // namespace ringway::sim
