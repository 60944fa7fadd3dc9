#include "config/limits.h"

#include <fmt/format.h>

#include <bit>
#include <iterator>
#include <optional>

#include "config/values.h"

namespace ringway::config {
namespace {

std::string format_value(Unit unit, uint64_t value) {
  switch (unit) {
    case Unit::kBytes: return format_bytes(value);
    case Unit::kDuration: return format_duration(value);
    case Unit::kCount: break;
  }
  return fmt::format("{}", value);
}

std::optional<uint64_t> parse_value(Unit unit, std::string_view text, Notation notation) {
  if (notation == Notation::kMicroseconds) {
    const auto count = parse_count(text);
    if (!count) return std::nullopt;
    return *count > UINT64_MAX / base::kMicrosecond_ns ? UINT64_MAX : *count * base::kMicrosecond_ns;
  }
  switch (unit) {
    case Unit::kBytes: return parse_bytes(text);
    case Unit::kDuration: return parse_duration(text);
    case Unit::kCount: break;
  }
  return parse_count(text);
}

std::string_view noun(Unit unit, Notation notation) {
  if (notation == Notation::kMicroseconds) return "number of microseconds";
  switch (unit) {
    case Unit::kBytes: return "size";
    case Unit::kDuration: return "duration";
    case Unit::kCount: break;
  }
  return "number";
}

std::string_view notation_examples(Unit unit, Notation notation) {
  if (notation == Notation::kMicroseconds) return "";
  switch (unit) {
    case Unit::kBytes: return ", as 65536, 64KiB or 4MiB";
    case Unit::kDuration: return ", as 50us, 300ms, 5s, 5m or 1h";
    case Unit::kCount: break;
  }
  return "";
}

std::string initial_text(const Limit& row) {
  const bool is_auto = row.initial < row.minimum && row.zero.empty();
  return is_auto ? "auto" : format_value(row.unit, row.initial);
}

}  // namespace

std::string allowed_range(LimitId id, Notation notation) {
  const Limit& row = limit(id);
  const auto bound = [&](uint64_t value) {
    return notation == Notation::kMicroseconds ? fmt::format("{}", value / base::kMicrosecond_ns)
                                               : format_value(row.unit, value);
  };
  std::string text = fmt::format("a {} from {} to {}", row.is_power_of_two ? "power of two" : noun(row.unit, notation),
                                 bound(row.minimum), bound(row.maximum));
  text += notation_examples(row.unit, notation);
  if (!row.zero.empty()) text += fmt::format(", or 0 ({})", row.zero);
  return text;
}

std::expected<uint64_t, std::string> parse_limited(LimitId id, std::string_view text, Notation notation) {
  const Limit& row = limit(id);
  const auto refuse = [&](std::string_view why) {
    return std::unexpected(fmt::format("{} is {}, allowed: {}", quote(text), why, allowed_range(id, notation)));
  };
  const auto value = parse_value(row.unit, text, notation);
  if (!value) return refuse(fmt::format("not a {}", noun(row.unit, notation)));
  if (*value == 0 && !row.zero.empty()) return 0;
  if (*value < row.minimum) return refuse("too small");
  if (*value > row.maximum) return refuse("too large");
  if (row.is_power_of_two && !std::has_single_bit(*value)) return refuse("not a power of two");
  return *value;
}

std::string format_limited(LimitId id, uint64_t value) {
  return format_value(limit(id).unit, value);
}

std::string limits_page() {
  std::string page =
      "# Limits\n\n"
      "Every number that a configuration may set. This page is the output of `ringway --print-limits`; a test compares "
      "the two.\n\n"
      "| key | default | minimum | maximum | 0 means | reason |\n|---|---|---|---|---|---|\n";
  for (const Limit& row : kLimits) {
    fmt::format_to(std::back_inserter(page), "| `{}` | {} | {} | {} | {} | {}{} |\n", row.key, initial_text(row),
                   format_value(row.unit, row.minimum), format_value(row.unit, row.maximum),
                   row.zero.empty() ? "not allowed" : row.zero, row.reason,
                   row.is_power_of_two ? " A power of two." : "");
  }
  return page;
}

}  // namespace ringway::config
