#include "placement.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace ringway::bench {

CpuPlan plan_cpus(const std::vector<int>& cpus, Placement placement, bool is_pinned) {
  if (!is_pinned) return {.text = "nothing is pinned", .is_shared = true};
  if (cpus.size() < 2) {
    return {
        .text =
            "only one CPU: the proxy, the generator and the origin share it, so compare nothing with other machines",
        .is_shared = true};
  }
  if (placement == Placement::kSpread) {
    return {
        .proxy = cpus,
        .generator = cpus,
        .origin = cpus,
        .text = fmt::format("everything on CPUs {}; ringway's shards are pinned one to a CPU", fmt::join(cpus, ", ")),
        .is_shared = true};
  }
  const int origin = cpus.size() > 2 ? cpus[2] : cpus[1];
  CpuPlan plan{.proxy = {cpus[0]}, .generator = {cpus[1]}, .origin = {origin}};
  plan.text = origin == cpus[1]
                  ? fmt::format("proxy on CPU {}, generator and origin on CPU {}", cpus[0], cpus[1])
                  : fmt::format("proxy on CPU {}, generator on CPU {}, origin on CPU {}", cpus[0], cpus[1], origin);
  return plan;
}

}  // namespace ringway::bench
