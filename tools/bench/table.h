// The figures as text, readable in 120 columns.
#pragma once

#include <string>

#include "scenario.h"
#include "summary.h"

namespace ringway::bench {

// One closed-loop group, or one at a rate that all its arms share: title, head, a row per arm, notes.
std::string closed_table(const Scenario& scenario, const Group& group, const Summary& summary);

// Groups at shares of an arm's own maximum have a table of added latencies: the head once a shape, then rows per group.
std::string rate_table_head(const Scenario& scenario, const Group& group);
std::string rate_table_rows(const Group& group, const Summary& summary);

// What an arm's figures do not say: rounds that gave none, a generator at its limit, a rate that was not reached; and
// what disturbed all arms: other programs, too few rounds. Empty when there is nothing to say.
std::string arm_notes(const Summary& summary);
std::string group_notes(const Group& group, const Summary& summary);

std::string verdict_line(const Verdict& verdict, const std::string& group_name);

// "8x10 h2load", "8x10 ringway-load 30%".
std::string group_name(const Group& group);

// A positive number in at most seven characters, with three digits that count: 0.0123, 1.23, 45.6, 789, 12345.
std::string short_number(double value);
std::string short_number(const std::optional<double>& value);        // "-" for nothing
std::string interval_text(const std::optional<Interval>& interval);  // "1.02 [0.98 .. 1.07]"

}  // namespace ringway::bench
