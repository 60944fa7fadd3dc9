// How the file and the command line write plain values, and how they are printed so that they read back the same. The
// parse functions answer nothing where the text is not of that kind; a number that does not fit reads as the largest
// one, so that the range check that follows refuses it as too large.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ringway::config {

std::optional<uint64_t> parse_count(std::string_view text);     // decimal digits only
std::optional<uint64_t> parse_bytes(std::string_view text);     // 512, 64KiB, 4MiB, 1GiB
std::optional<uint64_t> parse_duration(std::string_view text);  // 0, 10ns, 50us, 300ms, 5s, 5m, 1h; in nanoseconds
std::optional<uint32_t> parse_percent(std::string_view text);   // 0% to 100%
std::optional<bool> parse_boolean(std::string_view text);       // true, yes, on; false, no, off

// "2-7,9": numbers and ascending ranges below 65536, none of them twice, in the order written.
std::optional<std::vector<uint32_t>> parse_cpu_list(std::string_view text);

// In the largest unit that loses nothing.
std::string format_bytes(uint64_t bytes);
std::string format_duration(uint64_t duration_ns);
std::string format_cpu_list(std::span<const uint32_t> cpus);

// 'text' for a message: control characters and what is no UTF-8 escaped, cut where it is long.
std::string quote(std::string_view text);

}  // namespace ringway::config
