#include "config/values.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <iterator>

#include "base/units.h"

namespace ringway::config {
namespace {

struct Suffix {
  std::string_view text;
  uint64_t factor;
};

// From large to small: printing takes the first that divides the value.
constexpr std::array kByteSuffixes = {Suffix{"GiB", uint64_t{1} << 30}, Suffix{"MiB", base::kMiB},
                                      Suffix{"KiB", base::kKiB}};
constexpr std::array kDurationSuffixes = {Suffix{"h", 3600 * base::kSecond_ns}, Suffix{"m", 60 * base::kSecond_ns},
                                          Suffix{"s", base::kSecond_ns},        Suffix{"ms", base::kMillisecond_ns},
                                          Suffix{"us", base::kMicrosecond_ns},  Suffix{"ns", 1}};

constexpr uint32_t kCpuCeiling = 65536;  // far above any machine; keeps "0-4294967295" from being listed
constexpr size_t kQuotedLength = 80;

struct Split {
  std::string_view digits;
  std::string_view suffix;
};

Split split_number(std::string_view text) {
  const size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  return {text.substr(0, digits), text.substr(digits)};
}

std::optional<uint64_t> scaled(std::string_view text, std::span<const Suffix> suffixes) {
  const Split split = split_number(text);
  const auto count = parse_count(split.digits);
  if (!count) return std::nullopt;
  for (const Suffix& suffix : suffixes) {
    if (suffix.text != split.suffix) continue;
    return *count > UINT64_MAX / suffix.factor ? UINT64_MAX : *count * suffix.factor;
  }
  return std::nullopt;
}

std::optional<std::string> in_largest_unit(uint64_t value, std::span<const Suffix> suffixes) {
  for (const Suffix& suffix : suffixes) {
    if (value != 0 && value % suffix.factor == 0) return fmt::format("{}{}", value / suffix.factor, suffix.text);
  }
  return std::nullopt;
}

}  // namespace

std::optional<uint64_t> parse_count(std::string_view text) {
  if (text.empty() || text.find_first_not_of("0123456789") != std::string_view::npos) return std::nullopt;
  uint64_t value = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  return status == std::errc{} ? value : UINT64_MAX;
}

std::optional<uint64_t> parse_bytes(std::string_view text) {
  if (const auto plain = parse_count(text)) return plain;
  return scaled(text, kByteSuffixes);
}

std::optional<uint64_t> parse_duration(std::string_view text) {
  if (text == "0") return 0;
  return scaled(text, kDurationSuffixes);
}

std::optional<uint32_t> parse_percent(std::string_view text) {
  if (!text.ends_with('%')) return std::nullopt;
  const auto value = parse_count(text.substr(0, text.size() - 1));
  if (!value || *value > 100) return std::nullopt;
  return static_cast<uint32_t>(*value);
}

std::optional<bool> parse_boolean(std::string_view text) {
  if (text == "true" || text == "yes" || text == "on") return true;
  if (text == "false" || text == "no" || text == "off") return false;
  return std::nullopt;
}

std::optional<std::vector<uint32_t>> parse_cpu_list(std::string_view text) {
  std::vector<uint32_t> cpus;
  for (bool is_last = false; !is_last;) {
    const size_t comma = text.find(',');
    is_last = comma == std::string_view::npos;
    const std::string_view item = text.substr(0, comma);
    if (!is_last) text.remove_prefix(comma + 1);

    const size_t dash = item.find('-');
    const auto first = parse_count(item.substr(0, dash));
    const auto last = dash == std::string_view::npos ? first : parse_count(item.substr(dash + 1));
    if (!first || !last || *first > *last || *last >= kCpuCeiling) return std::nullopt;
    for (uint64_t cpu = *first; cpu <= *last; ++cpu) cpus.push_back(static_cast<uint32_t>(cpu));
    if (cpus.size() > kCpuCeiling) return std::nullopt;
  }
  std::vector<uint32_t> sorted = cpus;
  std::ranges::sort(sorted);
  if (std::ranges::adjacent_find(sorted) != sorted.end()) return std::nullopt;
  return cpus;
}

std::string format_bytes(uint64_t bytes) {
  return in_largest_unit(bytes, kByteSuffixes).value_or(fmt::format("{}", bytes));
}

std::string format_duration(uint64_t duration_ns) {
  return in_largest_unit(duration_ns, kDurationSuffixes).value_or("0");
}

std::string format_cpu_list(std::span<const uint32_t> cpus) {
  std::string text;
  for (size_t i = 0; i < cpus.size();) {
    size_t end = i + 1;
    while (end < cpus.size() && cpus[end] == cpus[end - 1] + 1) ++end;
    if (!text.empty()) text += ',';
    text += end - i == 1 ? fmt::format("{}", cpus[i]) : fmt::format("{}-{}", cpus[i], cpus[end - 1]);
    i = end;
  }
  return text;
}

std::string quote(std::string_view text) {
  std::string quoted = "'";
  size_t length = std::min(text.size(), kQuotedLength);
  // Not in the middle of a UTF-8 sequence.
  while (length < text.size() && length > 0 && (static_cast<unsigned char>(text[length]) & 0xc0) == 0x80) --length;
  for (const char byte : text.substr(0, length)) {
    const auto value = static_cast<unsigned char>(byte);
    if (value < 0x20 || value == 0x7f) {
      fmt::format_to(std::back_inserter(quoted), "\\x{:02x}", value);
    } else {
      quoted += byte;
    }
  }
  return quoted + (text.size() > length ? "…'" : "'");
}

}  // namespace ringway::config
