// Resident memory per idle downstream connection: opens thousands of HTTP/2 connections to each proxy in turn, finishes
// the exchange of SETTINGS on each, and compares the proxy's resident memory before and after.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "certificates.h"
#include "placement.h"
#include "process.h"
#include "server.h"

namespace ringway::bench {

// What ringway may take: KiB of resident memory per idle connection.
inline constexpr double kIdleConnection_KiB_max = 6;
inline constexpr double kIdleTlsConnection_KiB_max = 16;

// How many are opened where nobody says.
inline constexpr uint32_t kIdleConnections = 10'000;
inline constexpr uint32_t kIdleTlsConnections = 5'000;

// Prints a line per proxy (`only` names those wanted; empty: all that are installed). False when ringway takes more
// than the limit or could not be measured. `connections` may be 0; `tls` is null for cleartext.
bool measure_memory(const Programs& programs, const CpuPlan& plan, const ScratchDirectory& scratch,
                    uint32_t connections, const std::vector<std::string>& only, const Certificates* tls = nullptr);

}  // namespace ringway::bench
