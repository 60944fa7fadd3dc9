// The JSON file of a run: the manifest (what was run, on what), every round's raw figures, the summary, the verdicts.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "placement.h"
#include "process.h"
#include "scenario.h"
#include "server.h"
#include "summary.h"

namespace ringway::bench {

struct Manifest {
  std::string started;  // UTC, ISO 8601
  std::string kernel;
  std::string cpu_model;
  size_t cpu_count = 0;
  std::string governor;  // of the first CPU; "not visible" in most virtual machines
  std::string congestion_control;
  std::string load_average;  // before the run
  std::string placement;
  std::map<std::string, std::string> versions;  // program -> its own words
  std::vector<std::string> arguments;           // of this program
};

Manifest describe_machine(const Scenario& scenario, const Programs& programs, const CpuPlan& plan,
                          const ScratchDirectory& scratch, std::vector<std::string> arguments);

struct GroupResult {
  Group group;
  Summary summary;
};

std::string result_json(const Scenario& scenario, const Manifest& manifest, const std::vector<GroupResult>& results,
                        bool all_hold);

}  // namespace ringway::bench
