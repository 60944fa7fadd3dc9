// Runs the cells of a scenario: one cell is one arm in one round under one load. Arms are interleaved round by round,
// their order rotated and reversed, and every cell starts its proxy afresh, so that drift of the machine, caches and
// memory layout fall on all arms alike.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "generator.h"
#include "server.h"

namespace ringway::bench {

struct Cell {
  std::string arm;
  uint32_t round = 0;
  uint32_t position = 0;  // in its round, from 0
  Report report;
  Usage proxy;                             // during the measured run; zero for direct
  std::map<std::string, double> counters;  // ringway's own, of its whole life
  // CPU time, for each call, of sealing and opening its octets once, by themselves; with TLS alone.
  std::optional<double> records_us;
  double wall_s = 0;          // from before the generator's start to after its end, as are the next three
  double machine_busy_s = 0;  // of all CPUs
  double machine_stolen_s = 0;
  double ours_busy_s = 0;  // the proxy, the origin and the generator: the rest of machine_busy_s is foreign
  std::string proxy_command;
  std::string generator_command;
  std::string failure;  // empty: the cell has figures
};

// The cells that are compared with each other: one table.
struct Group {
  Shape shape;
  GeneratorKind generator = GeneratorKind::kRingwayLoad;
  std::optional<Rate> rate;  // nothing: closed loop
  double rate_per_s = 0;     // what `rate` came to
  std::vector<Arm> arms;
  uint32_t rounds = 0;
  std::vector<Cell> cells;
};

// Which arm is when in a round: A B C, C B A, B C A, A C B, … Each arm is in each place equally often, and every
// second round is its predecessor reversed, so that a steady drift cancels out.
std::vector<size_t> round_order(size_t arm_count, uint32_t round);

// Is an arm with `arm_rounds` (0: all) of `rounds` rounds in this one? They are spread evenly.
bool takes_part(uint32_t arm_rounds, uint32_t rounds, uint32_t round);

// The last line of `text` that is a JSON object of numbers; empty when there is none.
std::map<std::string, double> parse_counters(const std::string& text);

class Runner {
 public:
  Runner(const Scenario& scenario, const Programs& programs, const CpuPlan& plan, const ScratchDirectory& scratch);

  // Before run(), where an arm has TLS.
  void use_certificates(const Certificates& certificates) {
    certificates_ = certificates;
    launcher_.use_certificates(certificates);
  }

  // Runs all; calls `done` after each group. Throws Failure when the origin or one of our programs is missing; that a
  // single cell fails is recorded in it.
  void run(const std::function<void(Group&)>& done);

 private:
  std::vector<Group> closed_groups(GeneratorKind generator, const Shape& shape) const;
  std::vector<Group> rate_groups(const Shape& shape);
  std::map<std::string, double> closed_loop_rates(const Shape& shape);
  void run_group(Group& group);
  Cell run_cell(const Group& group, const Arm& arm, std::optional<double> known_rate);
  void measure(const Group& group, const Arm& arm, std::optional<double> known_rate, Cell& cell);
  Load load_for(const Group& group, const Arm& arm) const;
  Report generate(const Load& load, std::string* command);
  Usage origin_usage() const;
  std::vector<std::string> origin_addresses() const;

  const Scenario& scenario_;
  const Programs& programs_;
  const CpuPlan& plan_;
  const ScratchDirectory& scratch_;
  Launcher launcher_;
  std::optional<Certificates> certificates_;
  std::string body_file_;
  std::vector<Server> origins_;
};

}  // namespace ringway::bench
