#include "memory.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "base/units.h"
#include "failure.h"
#include "idle_connections.h"

namespace ringway::bench {

namespace {

constexpr ArmKind kMeasured[] = {ArmKind::kRingway, ArmKind::kNghttpx, ArmKind::kHaproxy, ArmKind::kNginx};
// One-time costs (first pages of pools, tables that grow once) belong to the start and not to each connection.
constexpr uint32_t kWarmUpConnections = 16;
constexpr uint64_t kSettleStep_ns = 100 * base::kMillisecond_ns;
constexpr int kSettleSteps_max = 50;

IdleConnections::Trust trust_of(const std::string& ca) {
  auto trust = tls::ClientCredentials::create({.ca = ca});
  if (!trust) throw Failure(trust.error());
  return std::move(*trust);
}

// Resident memory once it has stopped changing.
uint64_t settled_resident(const Server& proxy) {
  uint64_t last = proxy.resident();
  for (int step = 0; step < kSettleSteps_max; ++step) {
    wait_readable(-1, kSettleStep_ns);
    const uint64_t now = proxy.resident();
    if (now == last) break;
    last = now;
  }
  return last;
}

struct Growth {
  double before_KiB = 0;
  double after_KiB = 0;
  double per_connection_KiB = 0;
};

Growth measure(Launcher& launcher, const Arm& arm, const std::vector<std::string>& origins, uint32_t count,
               const IdleConnections::Trust& trust) {
  Server proxy = launcher.proxy(arm, origins);
  const IdleConnections warm_up(proxy.address(), kWarmUpConnections, trust);
  const uint64_t before = settled_resident(proxy);
  const IdleConnections connections(proxy.address(), count, trust);
  const uint64_t after = settled_resident(proxy);
  const uint32_t open = connections.open_count();
  if (open != count) throw Failure(fmt::format("{} of {} connections were closed by the proxy", count - open, count));
  return {.before_KiB = static_cast<double>(before) / 1024,
          .after_KiB = static_cast<double>(after) / 1024,
          .per_connection_KiB = (static_cast<double>(after) - static_cast<double>(before)) / 1024 / count};
}

}  // namespace

bool measure_memory(const Programs& programs, const CpuPlan& plan, const ScratchDirectory& scratch,
                    uint32_t connections, const std::vector<std::string>& only, const Certificates* tls) {
  Launcher launcher(programs, plan, scratch);
  IdleConnections::Trust trust;
  if (tls != nullptr) {
    launcher.use_certificates(*tls);
    trust = trust_of(tls->ca);
  }
  const double limit_KiB = tls != nullptr ? kIdleTlsConnection_KiB_max : kIdleConnection_KiB_max;
  if (connections == 0) connections = tls != nullptr ? kIdleTlsConnections : kIdleConnections;
  const Server origin = launcher.origin();
  bool holds = true;
  std::printf("%u idle downstream connections%s (SETTINGS exchanged, no call made)\n%-12s %14s %14s %20s\n",
              connections, tls != nullptr ? " in TLS" : "", "proxy", "KiB before", "KiB after", "KiB per connection");
  for (const ArmKind kind : kMeasured) {
    const std::string name(name_of(kind));
    if (!only.empty() && std::find(only.begin(), only.end(), name) == only.end()) continue;
    if (const auto missing = missing_program(kind)) {
      std::printf("%-12s skipped, not installed (scripts/setup --peers installs it)\n", name.c_str());
      continue;
    }
    try {
      const Growth growth = measure(launcher, {.name = name, .kind = kind, .is_tls = tls != nullptr},
                                    {origin.address()}, connections, trust);
      const bool is_over = kind == ArmKind::kRingway && growth.per_connection_KiB > limit_KiB;
      std::printf("%-12s %14.0f %14.0f %20.2f%s\n", name.c_str(), growth.before_KiB, growth.after_KiB,
                  growth.per_connection_KiB,
                  is_over ? fmt::format("  FAIL: the limit is {:g}", limit_KiB).c_str() : "");
      if (is_over) holds = false;
    } catch (const Failure& failure) {
      std::printf("%-12s no figure: %s\n", name.c_str(), failure.what());
      if (kind == ArmKind::kRingway) holds = false;
    }
    std::fflush(stdout);
  }
  return holds;
}

}  // namespace ringway::bench
