// What a run reports, as a table for people and as one JSON object for programs.
#pragma once

#include <string>

#include "options.h"
#include "worker.h"

namespace ringway::load {

// Was the generator itself what limited the run? The sentence why, or nothing.
std::string bottleneck_reason(const Options& options, const Result& result);

double achieved_rate(const Result& result) noexcept;  // successful calls a second

std::string json_report(const Options& options, const Result& result);
std::string text_report(const Options& options, const Result& result);

}  // namespace ringway::load
