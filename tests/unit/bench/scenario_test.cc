#include "scenario.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

namespace ringway::bench {
namespace {

std::string error_of(const std::string& text) {
  try {
    parse_scenario(text, "s.yaml");
  } catch (const ScenarioError& error) {
    return error.what();
  }
  return "";
}

const std::string kMinimal = "name: x\narms: [relay, ringway]\nshapes: [{connections: 1, streams: 1, duration: 1s}]\n";

TEST(Scenario, HasDefaults) {
  const Scenario scenario = parse_scenario(kMinimal, "s.yaml");
  EXPECT_EQ(scenario.rounds, 7U);
  EXPECT_EQ(scenario.message_bytes, 32U);
  EXPECT_EQ(scenario.endpoints, 1U);
  EXPECT_EQ(scenario.baseline, "relay");
  EXPECT_EQ(scenario.generators, std::vector{GeneratorKind::kRingwayLoad});
  EXPECT_TRUE(scenario.rates.empty());
  EXPECT_EQ(scenario.placement, Placement::kSplit);
}

std::string tls_scenario(const std::string& arms, const std::string& more = "") {
  return "name: x\ntls: true\n" + more + "arms: [" + arms + "]\nshapes: [{connections: 1, streams: 1, duration: 1s}]\n";
}

TEST(Scenario, GivesTlsToTheProxiesAlone) {
  const Scenario scenario = parse_scenario(
      tls_scenario(
          "direct, relay, ringway, {kind: nginx, handshakes: resumed}, {name: clear, kind: ringway, tls: false}, "
          "{name: tx, kind: ringway, ktls: tx}, {name: full, kind: ringway, handshakes: full}"),
      "s.yaml");
  std::vector<bool> has_tls;
  for (const Arm& arm : scenario.arms) has_tls.push_back(arm.is_tls);
  EXPECT_EQ(has_tls, (std::vector<bool>{false, false, true, true, false, true, true}));
  EXPECT_EQ(scenario.arms[2].kernel_tls, KernelTls::kOff);
  EXPECT_EQ(scenario.arms[2].handshakes, Handshakes::kNone);
  EXPECT_EQ(scenario.arms[3].handshakes, Handshakes::kResumed);
  EXPECT_EQ(scenario.arms[5].kernel_tls, KernelTls::kTx);
  EXPECT_EQ(scenario.arms[6].handshakes, Handshakes::kFull);
  EXPECT_FALSE(parse_scenario(kMinimal, "s.yaml").arms[1].is_tls);
}

TEST(Scenario, RefusesTlsThatCannotBe) {
  EXPECT_EQ(error_of(tls_scenario("{kind: relay, tls: true}")), "s.yaml:3:27: tls: arms of kind relay end no TLS");
  EXPECT_EQ(error_of(tls_scenario("{kind: nginx, ktls: tx}")),
            "s.yaml:3:28: ktls: only arms of kind ringway with tls have it");
  EXPECT_EQ(error_of(tls_scenario("{kind: ringway, tls: false, ktls: tx}")),
            "s.yaml:3:42: ktls: only arms of kind ringway with tls have it");
  EXPECT_EQ(error_of(tls_scenario("{kind: ringway, ktls: auto}")),
            "s.yaml:3:30: ktls: 'auto' is not known (allowed: off, tx, rxtx)");
  EXPECT_EQ(error_of(tls_scenario("{kind: ringway, handshakes: some}")),
            "s.yaml:3:36: handshakes: 'some' is not known (allowed: full, resumed)");
  EXPECT_EQ(error_of(tls_scenario("{kind: ringway, tls: false, handshakes: resumed}")),
            "s.yaml:3:8: handshakes: in cleartext there are no sessions to be resumed");
  EXPECT_EQ(error_of(tls_scenario("{kind: ringway, handshakes: full}", "generators: [h2load]\n")),
            "s.yaml:3:13: generators: h2load cannot do handshakes; use ringway-load");
  EXPECT_EQ(error_of(tls_scenario("{kind: ringway, handshakes: full}", "rates: [100]\n")),
            "s.yaml:5:10: rates: must be closed where handshakes are measured");
  EXPECT_EQ(error_of("name: x\narms: [{kind: ringway, handshakes: full}]\n"
                     "shapes: [{connections: 1, streams: 2, duration: 1s}]\n"),
            "s.yaml:3:36: streams: must be 1 where handshakes are measured");
}

TEST(Scenario, HoldsRecordCostsAgainstCleartext) {
  const std::string start = "name: x\narms: [{kind: ringway, tls: true}, {name: clear, kind: ringway}]\n";
  const std::string shapes = "shapes: [{connections: 1, streams: 1, duration: 1s, limits: {";
  const Scenario scenario = parse_scenario(start + shapes + "ringway: {record_costs_above_clear: 1.5}}}]\n", "s.yaml");
  ASSERT_EQ(scenario.shapes[0].limits.size(), 1U);
  EXPECT_EQ(scenario.shapes[0].limits[0].metric, Metric::kRecordCosts);
  EXPECT_EQ(scenario.shapes[0].limits[0].against, "clear");
  EXPECT_EQ(error_of(start + shapes + "clear: {record_costs_above_ringway: 1.5}}}]\n"),
            "s.yaml:3:70: record_costs_above_ringway: arm clear has no TLS");
}

TEST(Scenario, ReadsEveryKey) {
  const Scenario scenario = parse_scenario(
      "name: full\ndescription: all of it\nmessage_bytes: 64\nstream_messages: 3\npipelined: true\nendpoints: "
      "3\nrounds: 9\n"
      "generators: [ringway-load]\nrates: [10%, 2500]\nplacement: spread\nbaseline: two\nvary_metadata: true\npaths: "
      "4\n"
      "arms:\n  - direct\n  - {name: two, kind: ringway, shards: 2, connections_times: 2, paths: 64, vary_metadata: "
      "false, rounds: 5,"
      " arguments: [--busy-poll-us, '50']}\n"
      "shapes:\n  - connections: 8\n    streams: 10\n    requests: 1000\n    limits:\n      two: {enters_per_request: "
      "0.5,"
      " mean_latency_vs_direct: 2}\n",
      "s.yaml");
  EXPECT_EQ(scenario.stream_messages, 3U);
  EXPECT_TRUE(scenario.is_pipelined);
  ASSERT_EQ(scenario.arms.size(), 2U);
  EXPECT_TRUE(scenario.arms[0].vary_metadata);  // the scenario's, where the arm says nothing
  EXPECT_EQ(scenario.arms[0].paths, 4U);
  EXPECT_FALSE(scenario.arms[1].vary_metadata);
  EXPECT_EQ(scenario.arms[1].paths, 64U);
  EXPECT_EQ(scenario.arms[1].shards, 2U);
  EXPECT_EQ(scenario.arms[1].rounds, 5U);
  EXPECT_EQ(scenario.arms[1].arguments, (std::vector<std::string>{"--busy-poll-us", "50"}));
  ASSERT_EQ(scenario.rates.size(), 2U);
  EXPECT_TRUE(scenario.rates[0].is_share);
  EXPECT_DOUBLE_EQ(scenario.rates[0].value, 0.1);
  EXPECT_DOUBLE_EQ(scenario.rates[1].value, 2500);
  ASSERT_EQ(scenario.shapes.size(), 1U);
  EXPECT_EQ(scenario.shapes[0].requests, 1000U);
  ASSERT_EQ(scenario.shapes[0].limits.size(), 2U);
  EXPECT_EQ(scenario.shapes[0].limits[1].metric, Metric::kMeanLatency);
  EXPECT_EQ(scenario.shapes[0].limits[1].against, "direct");
}

struct BadCase {
  const char* what;
  std::string text;
  const char* place;    // FILE:LINE:COLUMN
  const char* message;  // a part of it
};

class BadScenario : public testing::TestWithParam<BadCase> {};

TEST_P(BadScenario, IsReportedWithPlaceAndWhatIsAllowed) {
  const std::string error = error_of(GetParam().text);
  EXPECT_TRUE(error.starts_with(std::string(GetParam().place) + ": ")) << error;
  EXPECT_NE(error.find(GetParam().message), std::string::npos) << error;
}

const std::string kShapes = "shapes: [{connections: 1, streams: 1, duration: 1s}]\n";

INSTANTIATE_TEST_SUITE_P(
    Cases, BadScenario,
    testing::Values(
        BadCase{"syntax", "name: [x\n", "s.yaml:2:1", ""}, BadCase{"list", "- a\n", "s.yaml:1:1", "must be a map"},
        BadCase{"key", kMinimal + "round: 3\n", "s.yaml:4:1", "round: unknown key (allowed: name,"},
        BadCase{"twice", kMinimal + "name: y\n", "s.yaml:4:1", "name: given twice"},
        BadCase{"missing", "name: x\n" + kShapes, "s.yaml:1:1", "arms: is missing"},
        BadCase{"arm", "name: x\narms: [direct, envoy]\n" + kShapes, "s.yaml:2:16",
                "(allowed: direct, relay, ringway,"},
        BadCase{"same", "name: x\narms: [relay, relay]\n" + kShapes, "s.yaml:2:15", "'relay' is given twice"},
        BadCase{"shards", "name: x\narms: [{kind: relay, shards: 2}]\n" + kShapes, "s.yaml:2:30",
                "only arms of kind ringway"},
        BadCase{"rounds", kMinimal + "rounds: 0\n", "s.yaml:4:9", "'0' must be a whole number from 1 to 1000"},
        BadCase{"rounds_above", kMinimal + "rounds: 1001\n", "s.yaml:4:9", "from 1 to 1000"},
        BadCase{"number", kMinimal + "message_bytes: many\n", "s.yaml:4:16", "'many' must be a whole number"},
        BadCase{"generator", kMinimal + "generators: [wrk]\n", "s.yaml:4:14", "(allowed: ringway-load, h2load)"},
        BadCase{"length", "name: x\narms: [relay]\nshapes: [{connections: 1, streams: 1}]\n", "s.yaml:3:10",
                "exactly one of requests and duration"},
        BadCase{"unit", "name: x\narms: [relay]\nshapes: [{connections: 1, duration: 5}]\n", "s.yaml:3:37",
                "such as 500ms or 2s"},
        BadCase{"rate", kMinimal + "rates: [110%]\n", "s.yaml:4:9", "'110%' must be"},
        BadCase{"baseline", kMinimal + "baseline: nginx\n", "s.yaml:4:11", "has no arm 'nginx'"},
        BadCase{"vary", kMinimal + "vary_metadata: true\ngenerators: [h2load]\n", "s.yaml:5:13",
                "h2load cannot do vary_metadata"}),
    [](const testing::TestParamInfo<BadCase>& one) { return one.param.what; });

std::string with_limit(const std::string& limits) {
  return "name: x\narms: [direct, relay, ringway]\nshapes:\n  - connections: 1\n    duration: 1s\n    limits: {" +
         limits + "}\n";
}

TEST(Limits, AreReportedWhenTheyCannotBeJudged) {
  EXPECT_NE(
      error_of(with_limit("nginx: {cpu_vs_relay: 1}")).find("s.yaml:6:14: limits: the scenario has no arm 'nginx'"),
      std::string::npos);
  EXPECT_NE(error_of(with_limit("ringway: {cpu_vs_nginx: 1}")).find("has no arm 'nginx'"), std::string::npos);
  EXPECT_NE(error_of(with_limit("ringway: {cpu: 1}")).find("unknown limit (allowed: enters_per_request"),
            std::string::npos);
  EXPECT_NE(error_of(with_limit("relay: {enters_per_request: 1}")).find("only arms of kind ringway"),
            std::string::npos);
  EXPECT_NE(error_of(with_limit("ringway: {cpu_vs_direct: 1}")).find("direct arm has no proxy"), std::string::npos);
  EXPECT_NE(error_of(with_limit("ringway: {cpu_vs_relay: -1}")).find("must be a number"), std::string::npos);
  EXPECT_EQ(error_of(with_limit("ringway: {cpu_vs_relay: 1.1}")), "");
}

TEST(Scenario, ThoseInTheRepositoryAreValidAndNamedAsTheirFiles) {
  size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(RINGWAY_SOURCE_ROOT "/bench/scenarios")) {
    const Scenario scenario = load_scenario(entry.path().string());
    EXPECT_EQ(scenario.name, entry.path().stem().string());
    EXPECT_FALSE(scenario.description.empty()) << scenario.name;
    EXPECT_GE(scenario.rounds, 7U) << scenario.name;
    ++count;
  }
  EXPECT_GE(count, 8U);
}

TEST(Scenario, SaysSoWhenTheFileIsNotThere) {
  EXPECT_THROW(load_scenario("/nowhere/to/be/found.yaml"), ScenarioError);
}

}  // namespace
}  // namespace ringway::bench
