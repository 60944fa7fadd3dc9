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

namespace {

// How many octets the character of UTF-8 at the beginning of `text` has, if it may be shown: no control character, and
// in its shortest form (RFC 3629 section 3). Else 0.
size_t shown_size(std::string_view text) {
  const auto octet = [text](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned first = octet(0);
  if (first < 0x80) return first < 0x20 || first == 0x7f ? 0 : 1;
  const size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < size) return 0;
  uint32_t character = first & (0xffu >> (size + 1));
  for (size_t i = 1; i < size; ++i) {
    if ((octet(i) & 0xc0) != 0x80) return 0;
    character = character << 6 | (octet(i) & 0x3f);
  }
  const bool is_too_long = (size == 3 && character < 0x800) || (size == 4 && character < 0x10000);
  const bool is_surrogate = character >= 0xd800 && character < 0xe000;
  return character < 0xa0 || is_too_long || is_surrogate || character > 0x10ffff ? 0 : size;
}

}  // namespace

std::string quote(std::string_view text) {
  std::string quoted = "'";
  size_t done = 0;
  while (done < text.size()) {
    const size_t size = shown_size(text.substr(done));
    // Never a part of a character.
    if (done + std::max(size, size_t{1}) > kQuotedLength) break;
    if (size == 0) {
      fmt::format_to(std::back_inserter(quoted), "\\x{:02x}", static_cast<unsigned char>(text[done]));
    } else {
      quoted += text.substr(done, size);
    }
    done += std::max(size, size_t{1});
  }
  return quoted + (done < text.size() ? "…'" : "'");
}

}  // namespace ringway::config
