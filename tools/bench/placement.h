// Which CPUs the proxy, the load generator and the origin run on.
#pragma once

#include <string>
#include <vector>

#include "scenario.h"

namespace ringway::bench {

struct CpuPlan {
  std::vector<int> proxy;  // empty lists: wherever the benchmark itself may run
  std::vector<int> generator;
  std::vector<int> origin;
  std::string text;        // one line for the table's head and the manifest
  bool is_shared = false;  // the proxy has no CPU to itself: figures are then worth little
};

// `cpus` are those the benchmark may use. The proxy gets the first, the generator the second and the origin the third;
// with two the generator and the origin share the second; with one everything shares it.
CpuPlan plan_cpus(const std::vector<int>& cpus, Placement placement, bool is_pinned);

}  // namespace ringway::bench
