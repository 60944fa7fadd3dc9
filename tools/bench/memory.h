// Resident memory per idle downstream connection: opens thousands of HTTP/2 connections to each proxy in turn, finishes
// the exchange of SETTINGS on each, and compares the proxy's resident memory before and after.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "placement.h"
#include "process.h"
#include "server.h"

namespace ringway::bench {

// What ringway may take: KiB of resident memory per idle connection.
inline constexpr double kIdleConnection_KiB_max = 6;

// Prints a line per proxy (`only` names those wanted; empty: all that are installed). False when ringway takes more
// than kIdleConnection_KiB_max or could not be measured.
bool measure_memory(const Programs& programs, const CpuPlan& plan, const ScratchDirectory& scratch,
                    uint32_t connections, const std::vector<std::string>& only);

}  // namespace ringway::bench
