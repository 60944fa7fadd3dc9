// What was found, and how to see it again: the first broken rule ends the program with the seed of the run.
#pragma once

#include <fmt/core.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace ringway::sim {

// From here on every failure, an assertion of the source too, names this run.
void begin_report(uint64_t seed, uint64_t exchanges);

[[noreturn]] void fail_with(std::string_view message);

template <typename... Arguments>
[[noreturn]] void fail(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  fail_with(fmt::format(format, std::forward<Arguments>(arguments)...));
}

template <typename... Arguments>
void expect(bool holds, fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  if (!holds) [[unlikely]]
    fail_with(fmt::format(format, std::forward<Arguments>(arguments)...));
}

// With --trace: one line an event, with its virtual time.
extern bool is_tracing;
void trace_line(std::string_view line);

template <typename... Arguments>
void trace(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  if (is_tracing) [[unlikely]]
    trace_line(fmt::format(format, std::forward<Arguments>(arguments)...));
}

}  // namespace ringway::sim
