#include "scenario.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <initializer_list>
#include <set>
#include <sstream>
#include <utility>

namespace ringway::bench {

namespace {

constexpr std::array kGenerators{std::pair{GeneratorKind::kRingwayLoad, std::string_view("ringway-load")},
                                 std::pair{GeneratorKind::kH2load, std::string_view("h2load")}};
constexpr std::array kArmKinds{std::pair{ArmKind::kDirect, std::string_view("direct")},
                               std::pair{ArmKind::kRelay, std::string_view("relay")},
                               std::pair{ArmKind::kRingway, std::string_view("ringway")},
                               std::pair{ArmKind::kNghttpx, std::string_view("nghttpx")},
                               std::pair{ArmKind::kHaproxy, std::string_view("haproxy")},
                               std::pair{ArmKind::kNginx, std::string_view("nginx")}};
constexpr std::array kKernelTls{std::pair{KernelTls::kOff, std::string_view("off")},
                                std::pair{KernelTls::kTx, std::string_view("tx")},
                                std::pair{KernelTls::kRxTx, std::string_view("rxtx")}};
constexpr std::array kHandshakes{std::pair{Handshakes::kFull, std::string_view("full")},
                                 std::pair{Handshakes::kResumed, std::string_view("resumed")}};
constexpr std::array kRatioMetrics{std::pair{Metric::kCpuPerRequest, std::string_view("cpu_per_request_vs_")},
                                   std::pair{Metric::kCpuPerRequest, std::string_view("cpu_vs_")},
                                   std::pair{Metric::kCpuPerByte, std::string_view("cpu_per_byte_vs_")},
                                   std::pair{Metric::kMeanLatency, std::string_view("mean_latency_vs_")},
                                   std::pair{Metric::kRecordCosts, std::string_view("record_costs_above_")}};
constexpr std::array kCountMetrics{std::pair{Metric::kEntersPerRequest, std::string_view("enters_per_request")},
                                   std::pair{Metric::kSendsPerRequest, std::string_view("sends_per_request")}};

template <typename Table>
std::string names_in(const Table& table) {
  std::string names;
  for (const auto& [value, name] : table) names += fmt::format("{}{}", names.empty() ? "" : ", ", name);
  return names;
}

// Reads nodes and knows where they stand.
class Reader {
 public:
  explicit Reader(std::string path) : path_(std::move(path)) {}

  [[noreturn]] void fail(const YAML::Mark& mark, const std::string& message) const {
    throw ScenarioError(fmt::format("{}:{}:{}: {}", path_, mark.line + 1, mark.column + 1, message));
  }
  [[noreturn]] void fail(const YAML::Node& node, const std::string& message) const { fail(node.Mark(), message); }

  // A map with no keys but `allowed`, none of them twice.
  void require_map(const YAML::Node& node, const std::string& what, std::initializer_list<const char*> allowed) const {
    if (!node.IsMap()) fail(node, fmt::format("{}: must be a map with the keys {}", what, fmt::join(allowed, ", ")));
    std::set<std::string> seen;
    for (const auto& entry : node) {
      const std::string key = entry.first.Scalar();
      if (std::find(allowed.begin(), allowed.end(), key) == allowed.end()) {
        fail(entry.first, fmt::format("{}: unknown key (allowed: {})", key, fmt::join(allowed, ", ")));
      }
      if (!seen.insert(key).second) fail(entry.first, fmt::format("{}: given twice", key));
    }
  }

  std::vector<YAML::Node> list(const YAML::Node& node, const std::string& what) const {
    if (!node.IsSequence() || node.size() == 0)
      fail(node, fmt::format("{}: must be a list of at least one entry", what));
    return {node.begin(), node.end()};
  }

  std::string text(const YAML::Node& node, const std::string& what) const {
    if (!node.IsScalar() || node.Scalar().empty()) fail(node, fmt::format("{}: must be a text", what));
    return node.Scalar();
  }

  double number(const YAML::Node& node, const std::string& what, double low, double high) const {
    double value = 0;
    if (!node.IsScalar() || !YAML::convert<double>::decode(node, value) || !(value >= low && value <= high)) {
      fail(node, fmt::format("{}: '{}' must be a number from {} to {}", what, node.IsScalar() ? node.Scalar() : "", low,
                             high));
    }
    return value;
  }

  template <typename Integer>
  void integer(const YAML::Node& node, const char* key, Integer low, Integer high, Integer& out) const {
    const YAML::Node value = node[key];
    if (!value) return;
    int64_t parsed = 0;
    if (!value.IsScalar() || !YAML::convert<int64_t>::decode(value, parsed) || parsed < static_cast<int64_t>(low) ||
        parsed > static_cast<int64_t>(high)) {
      fail(value, fmt::format("{}: '{}' must be a whole number from {} to {}", key,
                              value.IsScalar() ? value.Scalar() : "", low, high));
    }
    out = static_cast<Integer>(parsed);
  }

  void boolean(const YAML::Node& node, const char* key, bool& out) const {
    const YAML::Node value = node[key];
    if (value && (!value.IsScalar() || !YAML::convert<bool>::decode(value, out))) {
      fail(value, fmt::format("{}: must be true or false", key));
    }
  }

  // Seconds, from "500ms", "2s", "1m".
  double duration(const YAML::Node& node, const std::string& what) const {
    const std::string written = text(node, what);
    static constexpr std::array kUnits{std::pair{std::string_view("ms"), 1e-3}, std::pair{std::string_view("s"), 1.0},
                                       std::pair{std::string_view("m"), 60.0}};
    for (const auto& [unit, seconds] : kUnits) {
      if (!written.ends_with(unit)) continue;
      double value = 0;
      const YAML::Node digits(written.substr(0, written.size() - unit.size()));
      if (YAML::convert<double>::decode(digits, value) && value * seconds >= 0.01 && value * seconds <= 600)
        return value * seconds;
      break;
    }
    fail(node, fmt::format("{}: '{}' must be a duration from 10ms to 10m, such as 500ms or 2s", what, written));
  }

  template <typename Table>
  auto choice(const YAML::Node& node, const std::string& what, const Table& table) const {
    const std::string written = text(node, what);
    for (const auto& [value, name] : table) {
      if (written == name) return value;
    }
    fail(node, fmt::format("{}: '{}' is not known (allowed: {})", what, written, names_in(table)));
  }

 private:
  std::string path_;
};

bool ends_tls(ArmKind kind) {
  return kind != ArmKind::kDirect && kind != ArmKind::kRelay;
}

void parse_arm_tls(const Reader& reader, const YAML::Node& node, Arm& arm) {
  reader.boolean(node, "tls", arm.is_tls);
  if (node["tls"] && arm.is_tls && !ends_tls(arm.kind))
    reader.fail(node["tls"], fmt::format("tls: arms of kind {} end no TLS", name_of(arm.kind)));
  arm.is_tls = arm.is_tls && ends_tls(arm.kind);
  if (node["ktls"]) {
    arm.kernel_tls = reader.choice(node["ktls"], "ktls", kKernelTls);
    if (arm.kind != ArmKind::kRingway || !arm.is_tls)
      reader.fail(node["ktls"], "ktls: only arms of kind ringway with tls have it");
  }
  if (node["handshakes"]) arm.handshakes = reader.choice(node["handshakes"], "handshakes", kHandshakes);
  if (arm.handshakes == Handshakes::kResumed && !arm.is_tls)
    reader.fail(node, "handshakes: in cleartext there are no sessions to be resumed");
}

Arm parse_arm(const Reader& reader, const YAML::Node& node, const Arm& defaults) {
  Arm arm = defaults;
  if (node.IsScalar()) {
    arm.kind = reader.choice(node, "arms", kArmKinds);
    arm.name = node.Scalar();
    arm.is_tls = arm.is_tls && ends_tls(arm.kind);
    return arm;
  }
  reader.require_map(node, "arms",
                     {"name", "kind", "shards", "connections_times", "vary_metadata", "paths", "rounds", "tls", "ktls",
                      "handshakes", "arguments"});
  if (!node["kind"]) reader.fail(node, fmt::format("arms: kind is missing (allowed: {})", names_in(kArmKinds)));
  arm.kind = reader.choice(node["kind"], "kind", kArmKinds);
  arm.name = node["name"] ? reader.text(node["name"], "name") : std::string(name_of(arm.kind));
  if (arm.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") != std::string::npos ||
      arm.name.size() > 16) {
    reader.fail(node["name"], fmt::format("name: '{}' must be at most 16 of a-z, 0-9 and -", arm.name));
  }
  reader.integer(node, "shards", 1U, 64U, arm.shards);
  if (arm.shards != 1 && arm.kind != ArmKind::kRingway)
    reader.fail(node["shards"], "shards: only arms of kind ringway have shards");
  reader.integer(node, "connections_times", 1U, 64U, arm.connections_times);
  reader.boolean(node, "vary_metadata", arm.vary_metadata);
  reader.integer(node, "paths", 1U, 4096U, arm.paths);
  reader.integer(node, "rounds", 1U, 1000U, arm.rounds);
  parse_arm_tls(reader, node, arm);
  if (node["arguments"]) {
    for (const YAML::Node& argument : reader.list(node["arguments"], "arguments")) {
      arm.arguments.push_back(reader.text(argument, "arguments"));
    }
  }
  return arm;
}

Limit parse_limit(const Reader& reader, const YAML::Node& key, const YAML::Node& value, const Arm& arm,
                  const Scenario& scenario) {
  Limit limit{.arm = arm.name, .key = key.Scalar(), .value = reader.number(value, key.Scalar(), 1e-9, 1e9)};
  for (const auto& [metric, name] : kCountMetrics) {
    if (limit.key != name) continue;
    if (arm.kind != ArmKind::kRingway)
      reader.fail(key, fmt::format("{}: only arms of kind ringway count these", limit.key));
    limit.metric = metric;
    return limit;
  }
  for (const auto& [metric, prefix] : kRatioMetrics) {
    if (!limit.key.starts_with(prefix)) continue;
    limit.metric = metric;
    limit.against = limit.key.substr(prefix.size());
    const Arm* against = scenario.find_arm(limit.against);
    if (against == nullptr) reader.fail(key, fmt::format("{}: the scenario has no arm '{}'", limit.key, limit.against));
    if (metric == Metric::kRecordCosts && !arm.is_tls)
      reader.fail(key, fmt::format("{}: arm {} has no TLS", limit.key, arm.name));
    const bool needs_proxy = metric != Metric::kMeanLatency;
    if (needs_proxy && (against->kind == ArmKind::kDirect || arm.kind == ArmKind::kDirect)) {
      reader.fail(key, fmt::format("{}: the direct arm has no proxy whose CPU time could be compared", limit.key));
    }
    return limit;
  }
  reader.fail(key, fmt::format("{}: unknown limit (allowed: {}, and {} followed by the name of an arm)", limit.key,
                               names_in(kCountMetrics), names_in(kRatioMetrics)));
}

std::vector<Limit> parse_limits(const Reader& reader, const YAML::Node& node, const Scenario& scenario) {
  std::vector<Limit> limits;
  if (!node.IsMap()) reader.fail(node, "limits: must be a map from an arm's name to its limits");
  for (const auto& entry : node) {
    const Arm* arm = scenario.find_arm(entry.first.Scalar());
    if (arm == nullptr)
      reader.fail(entry.first, fmt::format("limits: the scenario has no arm '{}'", entry.first.Scalar()));
    if (!entry.second.IsMap()) reader.fail(entry.second, "limits: must be a map from limits to numbers");
    for (const auto& limit : entry.second)
      limits.push_back(parse_limit(reader, limit.first, limit.second, *arm, scenario));
  }
  return limits;
}

Shape parse_shape(const Reader& reader, const YAML::Node& node, const Scenario& scenario) {
  reader.require_map(node, "shapes", {"connections", "streams", "requests", "duration", "limits"});
  Shape shape;
  reader.integer(node, "connections", 1U, 20'000U, shape.connections);
  reader.integer(node, "streams", 1U, 1'000U, shape.streams);
  reader.integer(node, "requests", uint64_t{1}, uint64_t{1'000'000'000}, shape.requests);
  if (node["duration"]) shape.duration_s = reader.duration(node["duration"], "duration");
  if ((shape.requests != 0) == (shape.duration_s != 0))
    reader.fail(node, "shapes: exactly one of requests and duration is needed");
  if (node["limits"]) shape.limits = parse_limits(reader, node["limits"], scenario);
  return shape;
}

std::vector<Rate> parse_rates(const Reader& reader, const YAML::Node& node) {
  if (node.IsScalar() && node.Scalar() == "closed") return {};
  if (!node.IsSequence()) reader.fail(node, "rates: must be closed, or a list such as [10%, 50%] or [1000, 20000]");
  std::vector<Rate> rates;
  for (const YAML::Node& entry : reader.list(node, "rates")) {
    std::string written = reader.text(entry, "rates");
    Rate rate{.is_share = written.ends_with('%')};
    if (rate.is_share) written.pop_back();
    if (!YAML::convert<double>::decode(YAML::Node(written), rate.value) || !(rate.value > 0) || rate.value > 1e7 ||
        (rate.is_share && rate.value > 100)) {
      reader.fail(entry, fmt::format("rates: '{}' must be requests a second (up to 10000000) or a share such as 50%",
                                     entry.Scalar()));
    }
    if (rate.is_share) rate.value /= 100;
    rates.push_back(rate);
  }
  return rates;
}

// What h2load cannot do would silently be left out of its load, so it is refused.
void check_generators(const Reader& reader, const YAML::Node& root, const Scenario& scenario) {
  const bool has_h2load = std::find(scenario.generators.begin(), scenario.generators.end(), GeneratorKind::kH2load) !=
                          scenario.generators.end();
  if (!has_h2load) return;
  const bool varies =
      std::any_of(scenario.arms.begin(), scenario.arms.end(), [](const Arm& arm) { return arm.vary_metadata; });
  const bool has_handshakes = std::any_of(scenario.arms.begin(), scenario.arms.end(),
                                          [](const Arm& arm) { return arm.handshakes != Handshakes::kNone; });
  const char* obstacle = varies                         ? "vary_metadata"
                         : has_handshakes               ? "handshakes"
                         : !scenario.rates.empty()      ? "rates"
                         : scenario.stream_messages > 1 ? "stream_messages"
                                                        : nullptr;
  if (obstacle != nullptr)
    reader.fail(root["generators"], fmt::format("generators: h2load cannot do {}; use ringway-load", obstacle));
}

// A connection that makes no calls has no streams, and the next is made when it is closed.
void check_handshakes(const Reader& reader, const YAML::Node& node, const Scenario& scenario) {
  const bool has_handshakes = std::any_of(scenario.arms.begin(), scenario.arms.end(),
                                          [](const Arm& arm) { return arm.handshakes != Handshakes::kNone; });
  if (!has_handshakes) return;
  if (scenario.shapes.back().streams != 1)
    reader.fail(node["streams"], "streams: must be 1 where handshakes are measured");
  if (!scenario.rates.empty()) reader.fail(node, "rates: must be closed where handshakes are measured");
}

void parse_generators(const Reader& reader, const YAML::Node& root, Scenario& scenario) {
  if (!root["generators"]) {
    scenario.generators = {GeneratorKind::kRingwayLoad};
    return;
  }
  for (const YAML::Node& node : reader.list(root["generators"], "generators")) {
    scenario.generators.push_back(reader.choice(node, "generators", kGenerators));
  }
}

void parse_arms(const Reader& reader, const YAML::Node& root, Scenario& scenario) {
  Arm defaults;
  reader.boolean(root, "vary_metadata", defaults.vary_metadata);
  reader.integer(root, "paths", 1U, 4096U, defaults.paths);
  reader.boolean(root, "tls", defaults.is_tls);
  for (const YAML::Node& node : reader.list(root["arms"], "arms")) {
    Arm arm = parse_arm(reader, node, defaults);
    if (scenario.find_arm(arm.name) != nullptr)
      reader.fail(node, fmt::format("arms: '{}' is given twice; give one a name", arm.name));
    scenario.arms.push_back(std::move(arm));
  }
  if (root["baseline"]) {
    scenario.baseline = reader.text(root["baseline"], "baseline");
    if (scenario.find_arm(scenario.baseline) == nullptr) {
      reader.fail(root["baseline"], fmt::format("baseline: the scenario has no arm '{}'", scenario.baseline));
    }
  } else if (scenario.find_arm("relay") != nullptr) {
    scenario.baseline = "relay";
  }
}

}  // namespace

std::string_view name_of(GeneratorKind kind) {
  return std::find_if(kGenerators.begin(), kGenerators.end(), [&](const auto& entry) { return entry.first == kind; })
      ->second;
}

std::string_view name_of(KernelTls mode) {
  return std::find_if(kKernelTls.begin(), kKernelTls.end(), [&](const auto& entry) { return entry.first == mode; })
      ->second;
}

std::string_view name_of(ArmKind kind) {
  return std::find_if(kArmKinds.begin(), kArmKinds.end(), [&](const auto& entry) { return entry.first == kind; })
      ->second;
}

std::string Rate::text() const {
  return is_share ? fmt::format("{:g}%", value * 100) : fmt::format("{:g}/s", value);
}

const Arm* Scenario::find_arm(std::string_view arm) const {
  const auto found = std::find_if(arms.begin(), arms.end(), [&](const Arm& one) { return one.name == arm; });
  return found == arms.end() ? nullptr : &*found;
}

Scenario parse_scenario(const std::string& text, const std::string& path) {
  const Reader reader(path);
  YAML::Node root;
  try {
    root = YAML::Load(text);
  } catch (const YAML::Exception& error) {
    reader.fail(error.mark, error.msg);
  }
  reader.require_map(
      root, "scenario",
      {"name", "description", "shapes", "generators", "arms", "baseline", "rates", "rounds", "message_bytes",
       "stream_messages", "pipelined", "endpoints", "vary_metadata", "paths", "placement", "tls"});
  for (const char* key : {"name", "shapes", "arms"}) {
    if (!root[key]) reader.fail(root, fmt::format("{}: is missing", key));
  }
  Scenario scenario;
  scenario.path = path;
  scenario.name = reader.text(root["name"], "name");
  if (root["description"]) scenario.description = reader.text(root["description"], "description");
  reader.integer(root, "rounds", 1U, 1000U, scenario.rounds);
  reader.integer(root, "message_bytes", 0U, 64U << 20, scenario.message_bytes);
  reader.integer(root, "stream_messages", 1U, 1'000'000U, scenario.stream_messages);
  reader.boolean(root, "pipelined", scenario.is_pipelined);
  reader.integer(root, "endpoints", 1U, 16U, scenario.endpoints);
  if (root["placement"]) {
    static constexpr std::array kPlacements{std::pair{Placement::kSplit, std::string_view("split")},
                                            std::pair{Placement::kSpread, std::string_view("spread")}};
    scenario.placement = reader.choice(root["placement"], "placement", kPlacements);
  }
  if (root["rates"]) scenario.rates = parse_rates(reader, root["rates"]);
  parse_generators(reader, root, scenario);
  parse_arms(reader, root, scenario);
  check_generators(reader, root, scenario);
  for (const YAML::Node& node : reader.list(root["shapes"], "shapes")) {
    scenario.shapes.push_back(parse_shape(reader, node, scenario));
    check_handshakes(reader, node, scenario);
  }
  return scenario;
}

Scenario load_scenario(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file)
    throw ScenarioError(
        fmt::format("{}:1:1: cannot be read (a scenario file such as bench/scenarios/quick.yaml is needed)", path));
  return parse_scenario(text.str(), path);
}

}  // namespace ringway::bench
