// User-space instructions per request, counted by callgrind: free of noise, so a hard gate. Valgrind runs io_uring
// programs with the flags ringway uses (with the help of callgrind_preload.cc), but slowly, so more requests fall into
// one turn than in a normal run; the count is of ringway's own work on a request and says nothing about wake-ups.
#pragma once

#include "placement.h"
#include "process.h"
#include "server.h"

namespace ringway::bench {

// Prints a line per kind of load. False when ringway takes more than the limit of one, or could not be measured.
bool measure_counts(const Programs& programs, const CpuPlan& plan, const ScratchDirectory& scratch);

// The total of a callgrind output file; 0 when it has none.
uint64_t callgrind_total(const std::string& text);

}  // namespace ringway::bench
