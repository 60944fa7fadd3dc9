#include "report.h"

#include <fmt/format.h>

namespace ringway::load {
namespace {

// A core that is busy to this degree has no time to be punctual.
constexpr double kBusy = 0.95;
// The generator's own delay of a call, beyond which latencies from the intended start say more about it than about the
// target.
constexpr uint64_t kOwnLag_ns_max = base::kMillisecond_ns;

double us(uint64_t ns) noexcept {
  return static_cast<double>(ns) / 1e3;
}

std::string json_text(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    if (static_cast<unsigned char>(c) < 0x20) {
      quoted += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      quoted += c;
    }
  }
  return quoted + "\"";
}

std::string json_distribution(const stats::Histogram& histogram) {
  return fmt::format(
      R"({{"mean": {:.3f}, "p50": {:.3f}, "p90": {:.3f}, "p99": {:.3f}, "p99.9": {:.3f}, "max": {:.3f}}})",
      histogram.mean() / 1e3, us(histogram.percentile(50)), us(histogram.percentile(90)), us(histogram.percentile(99)),
      us(histogram.percentile(99.9)), us(histogram.maximum()));
}

std::string text_row(std::string_view name, const stats::Histogram& histogram) {
  return fmt::format("{:<20}{:>11.1f}{:>11.1f}{:>11.1f}{:>11.1f}{:>11.1f}{:>11.1f}\n", name, histogram.mean() / 1e3,
                     us(histogram.percentile(50)), us(histogram.percentile(90)), us(histogram.percentile(99)),
                     us(histogram.percentile(99.9)), us(histogram.maximum()));
}

// Null in cleartext.
std::string json_tls(const Options& options, const HandshakeResult& handshakes) {
  if (!options.tls) return "null";
  std::string kinds;
  for (const auto& [kind, count] : handshakes.kinds)
    kinds += fmt::format("{}{}: {}", kinds.empty() ? "" : ", ", json_text(kind), count);
  return fmt::format(R"({{"kinds": {{{}}}, "handshakes": {}, "resumed": {}, "handshake_us": {}}})", kinds,
                     handshakes.duration.count(), handshakes.resumed_count, json_distribution(handshakes.duration));
}

std::string text_tls(const HandshakeResult& handshakes) {
  std::string text;
  for (const auto& [kind, count] : handshakes.kinds) text += fmt::format("tls      {}: {} connections\n", kind, count);
  if (handshakes.resumed_count != 0) text += fmt::format("tls      {} of them resumed\n", handshakes.resumed_count);
  return text;
}

double per_second(uint64_t count, const Result& result) noexcept {
  return result.duration_s > 0 ? static_cast<double>(count) / result.duration_s : 0;
}

uint64_t error_count(const Result& result) noexcept {
  uint64_t sum = 0;
  for (const auto& [kind, count] : result.errors) sum += count;
  return sum;
}

}  // namespace

double achieved_rate(const Result& result) noexcept {
  return per_second(result.success_count, result);
}

std::string bottleneck_reason(const Options& options, const Result& result) {
  if (options.rate != 0 && result.own_lag.percentile(99) > kOwnLag_ns_max) {
    return fmt::format("1 % of the calls started more than {:.1f} ms late with a slot free for them",
                       us(result.own_lag.percentile(99)) / 1e3);
  }
  if (result.busiest < kBusy) return {};
  if (options.rate != 0 && achieved_rate(result) >= 0.99 * static_cast<double>(options.rate)) return {};
  return fmt::format("a thread of the generator used {:.0f} % of a core", result.busiest * 100);
}

std::string json_report(const Options& options, const Result& result) {
  std::string errors;
  for (const auto& [kind, count] : result.errors) {
    errors += fmt::format("{}{}: {}", errors.empty() ? "" : ", ", json_text(kind), count);
  }
  const std::string reason = bottleneck_reason(options, result);
  std::string text = "{\n";
  text += fmt::format("  \"counts\": \"{}\",\n", options.is_of_handshakes ? "connections" : "calls");
  text += fmt::format("  \"requests\": {},\n  \"succeeded\": {},\n  \"errors\": {{{}}},\n", result.request_count,
                      result.success_count, errors);
  text += fmt::format("  \"duration_s\": {:.6f},\n  \"rate_offered\": {},\n  \"rate_achieved\": {:.1f},\n",
                      result.duration_s, options.rate != 0 ? fmt::format("{}", options.rate) : "null",
                      achieved_rate(result));
  text += fmt::format("  \"latency_us\": {},\n", json_distribution(result.latency));
  text += fmt::format("  \"latency_from_send_us\": {},\n", json_distribution(result.latency_from_send));
  text += fmt::format("  \"schedule_lag_us\": {},\n", json_distribution(result.schedule_lag));
  text += fmt::format("  \"waited_for_slot\": {},\n  \"cpu_s\": {:.6f},\n", result.blocked_count, result.cpu_s);
  text += fmt::format("  \"bottleneck\": {},\n  \"bottleneck_reason\": {},\n", !reason.empty(), json_text(reason));
  text += fmt::format("  \"connections\": {},\n  \"streams\": {},\n  \"threads\": {},\n", options.connections,
                      options.streams, options.threads);
  text += fmt::format("  \"bytes_sent\": {},\n  \"bytes_received\": {},\n", result.sent_bytes, result.received_bytes);
  text +=
      fmt::format("  \"message_bytes_per_s\": {:.0f},\n  \"enters\": {},\n  \"tls\": {}\n}}\n",
                  per_second(result.message_bytes, result), result.enter_count, json_tls(options, result.handshakes));
  return text;
}

std::string text_report(const Options& options, const Result& result) {
  const std::string_view unit = options.is_of_handshakes ? "connections" : "calls";
  std::string text = fmt::format("{} {} in {:.3f} s, {} succeeded, {} errors\n", result.request_count, unit,
                                 result.duration_s, result.success_count, error_count(result));
  for (const auto& [kind, count] : result.errors) text += fmt::format("  error  {:<40}{:>12}\n", kind, count);
  text += fmt::format("rate     {:.1f} {}/s", achieved_rate(result), unit);
  if (options.rate != 0) text += fmt::format(" of {} offered", options.rate);
  text += fmt::format("\nmessages {:.2f} MB/s both ways\n", per_second(result.message_bytes, result) / 1e6);
  if (result.success_count != 0) {
    text +=
        fmt::format("cpu      {:.2f} us/{} in the generator\n",
                    result.cpu_s * 1e6 / static_cast<double>(result.success_count), unit.substr(0, unit.size() - 1));
  }
  text += text_tls(result.handshakes);
  text += fmt::format("{:<20}{:>11}{:>11}{:>11}{:>11}{:>11}{:>11}\n", "latency, us", "mean", "p50", "p90", "p99",
                      "p99.9", "max");
  if (options.rate != 0) {
    text += text_row("from intended start", result.latency);
    text += text_row("from send", result.latency_from_send);
    text += text_row("schedule lag", result.schedule_lag);
    if (result.blocked_count != 0) {
      text += fmt::format("{} calls waited because {} were in flight\n", result.blocked_count,
                          options.connections * options.streams);
    }
  } else {
    text += text_row(options.is_of_handshakes ? "connection" : "from send", result.latency_from_send);
  }
  if (options.tls) text += text_row("handshake", result.handshakes.duration);
  if (const std::string reason = bottleneck_reason(options, result); !reason.empty()) {
    text += fmt::format("THE GENERATOR WAS THE BOTTLENECK: {}\n", reason);
  }
  return text;
}

}  // namespace ringway::load
