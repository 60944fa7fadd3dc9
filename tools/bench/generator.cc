#include "generator.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>
#include <utility>

#include "base/assert.h"
#include "failure.h"

namespace ringway::bench {

namespace {

std::vector<std::string> ringway_load_arguments(const Load& load, const std::string& program) {
  std::vector<std::string> arguments{program,
                                     "--target",
                                     load.target,
                                     "--path",
                                     kPath,
                                     "--connections",
                                     fmt::format("{}", load.connections),
                                     "--streams",
                                     fmt::format("{}", load.streams),
                                     "--message-bytes",
                                     fmt::format("{}", load.message_bytes)};
  const auto add = [&](std::initializer_list<std::string> more) { arguments.insert(arguments.end(), more); };
  if (load.requests != 0) {
    add({"--requests", fmt::format("{}", load.requests)});
  } else {
    add({"--duration", fmt::format("{:.0f}ms", load.duration_s * 1000)});
  }
  if (load.rate != 0) add({"--rate", fmt::format("{:.0f}", std::max(1.0, load.rate))});
  if (load.stream_messages > 1) add({"--stream-messages", fmt::format("{}", load.stream_messages)});
  if (load.is_pipelined) add({"--pipelined"});
  if (load.vary_metadata) add({"--vary-metadata"});
  if (load.paths > 1) add({"--paths", fmt::format("{}", load.paths)});
  // Like with like: a target that chose another cipher would be refused.
  if (!load.ca.empty()) add({"--upstream-tls", "--upstream-ca", load.ca, "--tls-cipher", "aes-128-gcm"});
  if (load.handshakes != Handshakes::kNone) add({"--handshakes"});
  if (load.handshakes == Handshakes::kResumed) add({"--resume"});
  add({"--json"});
  return arguments;
}

std::vector<std::string> h2load_arguments(const Load& load, const std::string& program, const std::string& body_file) {
  ASSERT(load.requests != 0 && load.rate == 0 && load.stream_messages == 1 && !load.vary_metadata);
  // h2load refuses fewer requests than clients.
  const uint64_t requests = std::max<uint64_t>(load.requests, load.connections);
  std::vector<std::string> arguments{program,
                                     "--requests=" + fmt::format("{}", requests),
                                     "--clients=" + fmt::format("{}", load.connections),
                                     "--max-concurrent-streams=" + fmt::format("{}", load.streams),
                                     "--threads=1",
                                     "--data=" + body_file,
                                     "--header=content-type: application/grpc",
                                     "--header=te: trailers"};
  if (!load.ca.empty()) arguments.push_back("--tls13-ciphers=TLS_AES_128_GCM_SHA256");
  const char* const scheme = load.ca.empty() ? "http" : "https";
  for (uint32_t index = 0; index < load.paths; ++index) {
    arguments.push_back(load.paths == 1 ? fmt::format("{}://{}{}", scheme, load.target, kPath)
                                        : fmt::format("{}://{}{}{}", scheme, load.target, kPath, index));
  }
  return arguments;
}

// A number that a report must hold.
double number(const YAML::Node& node, const char* key) {
  double value = 0;
  if (!node[key] || !YAML::convert<double>::decode(node[key], value))
    throw Failure(fmt::format("ringway-load: no number '{}' in its report", key));
  return value;
}

std::optional<double> optional_number(const YAML::Node& node, const char* key) {
  double value = 0;
  if (!node[key] || !YAML::convert<double>::decode(node[key], value)) return std::nullopt;
  return value;
}

std::optional<Latency> latency_of(const YAML::Node& node) {
  if (!node || !node.IsMap()) return std::nullopt;
  return Latency{.mean = number(node, "mean"),
                 .p50 = optional_number(node, "p50"),
                 .p90 = optional_number(node, "p90"),
                 .p99 = optional_number(node, "p99"),
                 .p999 = optional_number(node, "p99.9"),
                 .max = optional_number(node, "max")};
}

// Of ringway-load: {"kinds": {KIND: COUNT}, "handshakes": N, "resumed": N}, or null.
std::optional<TlsReport> tls_of(const YAML::Node& node) {
  if (!node || !node.IsMap()) return std::nullopt;
  TlsReport tls{.handshakes = static_cast<uint64_t>(number(node, "handshakes")),
                .resumed = static_cast<uint64_t>(number(node, "resumed"))};
  for (const auto& entry : node["kinds"]) tls.kind += (tls.kind.empty() ? "" : ", ") + entry.first.Scalar();
  return tls;
}

// The number at the start of what follows `key`; throws when there is none.
double number_after(std::string_view text, std::string_view key) {
  const size_t at = text.find(key);
  double value = 0;
  if (at != std::string_view::npos) {
    const std::string_view rest = text.substr(at + key.size());
    const size_t start = std::min(rest.find_first_not_of(" \t"), rest.size());
    if (std::from_chars(rest.data() + start, rest.data() + rest.size(), value).ec == std::errc()) return value;
  }
  throw Failure(fmt::format("h2load: no number after '{}' in its report", key));
}

std::string_view line_with(std::string_view text, std::string_view start) {
  const size_t at = text.find(start);
  if (at == std::string_view::npos) throw Failure(fmt::format("h2load: no line '{}' in its report", start));
  const size_t end = std::min(text.find('\n', at), text.size());
  return text.substr(at + start.size(), end - at - start.size());
}

// The number before `label` in a line such as " 100 total, 100 started, …".
uint64_t count_before(std::string_view line, std::string_view label) {
  const size_t at = line.find(label);
  uint64_t value = 0;
  if (at != std::string_view::npos && at > 0) {
    const size_t end = line.find_last_of("0123456789", at);
    const size_t before = end == std::string_view::npos ? end : line.find_last_not_of("0123456789", end);
    const size_t start = before == std::string_view::npos ? 0 : before + 1;
    if (end != std::string_view::npos &&
        std::from_chars(line.data() + start, line.data() + end + 1, value).ec == std::errc())
      return value;
  }
  throw Failure(fmt::format("h2load: no count of '{}' in its report", label));
}

// Microseconds of "143us", "1.02ms", "2.50s".
double microseconds(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const std::string_view unit = text.substr(static_cast<size_t>(end - text.data()));
  static constexpr std::array kUnits{std::pair{std::string_view("us"), 1.0}, std::pair{std::string_view("ms"), 1e3},
                                     std::pair{std::string_view("s"), 1e6}};
  for (const auto& [name, factor] : kUnits) {
    if (error == std::errc() && unit == name) return value * factor;
  }
  throw Failure(fmt::format("h2load: '{}' is not a time", text));
}

// The mean in "time for request:  131us  262us  143us  18us  97.00%": minimum, maximum, mean, deviation.
Latency h2load_latency(std::string_view line) {
  std::vector<std::string_view> fields;
  while (!line.empty()) {
    const size_t start = line.find_first_not_of(' ');
    if (start == std::string_view::npos) break;
    const size_t end = std::min(line.find(' ', start), line.size());
    fields.push_back(line.substr(start, end - start));
    line.remove_prefix(end);
  }
  if (fields.size() < 3) throw Failure("h2load: no request times in its report");
  return {.mean = microseconds(fields[2]), .max = microseconds(fields[1])};
}

}  // namespace

uint64_t Report::error_count() const {
  uint64_t sum = 0;
  for (const auto& [kind, count] : errors) sum += count;
  return sum;
}

std::vector<std::string> generator_arguments(const Load& load, const std::string& program,
                                             const std::string& body_file) {
  return load.generator == GeneratorKind::kRingwayLoad ? ringway_load_arguments(load, program)
                                                       : h2load_arguments(load, program, body_file);
}

std::string grpc_body(uint32_t message_bytes) {
  std::string body(5 + size_t{message_bytes}, '\0');
  for (size_t index = 0; index < 4; ++index) body[4 - index] = static_cast<char>((message_bytes >> (8 * index)) & 0xff);
  return body;
}

Report parse_ringway_load(const std::string& text) {
  YAML::Node root;
  try {
    root = YAML::Load(text);  // JSON is YAML
  } catch (const YAML::Exception& error) {
    throw Failure(fmt::format("ringway-load: its report is not JSON: {}", error.what()));
  }
  if (!root.IsMap()) throw Failure("ringway-load: it printed no report");
  Report report;
  report.requests = static_cast<uint64_t>(number(root, "requests"));
  report.duration_s = number(root, "duration_s");
  report.rate_offered = optional_number(root, "rate_offered").value_or(0);
  report.rate_achieved = number(root, "rate_achieved");
  // A rate over no time would be a zero among the medians.
  if (!(report.duration_s > 0)) throw Failure("ringway-load: its report covers no time");
  for (const auto& entry : root["errors"]) {
    const auto count = entry.second.as<uint64_t>(0);
    if (count != 0) report.errors[entry.first.Scalar()] = count;
  }
  const double failed = std::min(static_cast<double>(report.error_count()), static_cast<double>(report.requests));
  report.succeeded =
      static_cast<uint64_t>(optional_number(root, "succeeded").value_or(static_cast<double>(report.requests) - failed));
  report.latency = latency_of(root["latency_us"]);
  report.latency_from_send = latency_of(root["latency_from_send_us"]);
  report.schedule_lag = latency_of(root["schedule_lag_us"]);
  report.cpu_s = optional_number(root, "cpu_s").value_or(0);
  report.is_bottleneck = root["bottleneck"] && root["bottleneck"].as<bool>(false);
  report.bottleneck_reason = root["bottleneck_reason"] ? root["bottleneck_reason"].as<std::string>("") : "";
  report.bytes = static_cast<uint64_t>(optional_number(root, "bytes_sent").value_or(0) +
                                       optional_number(root, "bytes_received").value_or(0));
  report.tls = tls_of(root["tls"]);
  return report;
}

Report parse_h2load(const std::string& text) {
  Report report;
  report.rate_achieved = number_after(line_with(text, "finished in "), ", ");
  const std::string_view requests = line_with(text, "\nrequests:");
  const uint64_t total = count_before(requests, " total");
  report.succeeded = count_before(requests, " succeeded");
  report.requests = count_before(requests, " done");
  // Whatever did not succeed is an error: not started, not answered, reset, or a status that is not 2xx or 3xx.
  for (const auto& [kind, label] : {std::pair{"errored", " errored"}, std::pair{"timeout", " timeout"}}) {
    if (const uint64_t count = count_before(requests, label); count != 0) report.errors[kind] = count;
  }
  if (total - report.succeeded > report.error_count())
    report.errors["failed"] = total - report.succeeded - report.error_count();
  report.duration_s = report.rate_achieved > 0 ? static_cast<double>(report.requests) / report.rate_achieved : 0;
  if (text.find("\nCipher: ") != std::string::npos) {
    const auto word = [&](std::string_view start) {
      const std::string_view line = line_with(text, start);
      return std::string(line.substr(0, line.find(' ')));
    };
    report.tls =
        TlsReport{.kind = fmt::format("{} {} {}", word("TLS Protocol: "), word("Cipher: "), word("Server Temp Key: "))};
  }
  // Bytes come as "traffic: 5.00MB (5242880) total, 1.00KB (1024) headers …": one way only, so they are left out.
  if (report.succeeded != 0) report.latency = h2load_latency(line_with(text, "\ntime for request:"));
  return report;
}

}  // namespace ringway::bench
