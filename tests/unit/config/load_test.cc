// File and flags together, and the effective configuration that reads back as the same snapshot.
#include "config/load.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "config/print.h"
#include "reading.h"

namespace ringway::config {
namespace {

constexpr const char* kOneOfEach =
    "shards: {count: 2, accept: reuseport, busy_poll: 50us, min_wait: 20us, napi: 10us, ring_entries: 256, "
    "recv_buffers: 64}\n"
    "listeners:\n"
    "  - address: 127.0.0.1:8080\n"
    "    forwarded: {x_forwarded_for: append}\n"
    "    routes: [{match: {prefix: /a/}, cluster: a}]\n"
    "clusters:\n"
    "  - {name: a, endpoints: [{address: 127.0.0.1:1}], connections: {per_shard: 2, connect_timeout: 300ms}}\n"
    "access_log: {path: /tmp/file.log, format: json}\n"
    "log_level: warn\n"
    "drain: {delay: 1s, timeout: 2s}\n";

constexpr const char* kTwoOfEach =
    "listeners:\n"
    "  - {address: 127.0.0.1:1, routes: [{match: {prefix: /a/}, cluster: a}]}\n"
    "  - {address: 127.0.0.1:2, routes: [{cluster: b}]}\n"
    "clusters:\n"
    "  - {name: a, endpoints: [{address: 127.0.0.1:3}]}\n"
    "  - {name: b, endpoints: [{address: 127.0.0.1:4}]}\n";

Invocation load_over(const WrittenFile& file, const std::vector<std::string>& more) {
  std::vector<std::string> words = {"--config", file.path()};
  words.insert(words.end(), more.begin(), more.end());
  return load_words(words);
}

TEST(Load, FlagsWin) {
  const WrittenFile file(kOneOfEach);
  const Snapshot plain = load_over(file, {}).snapshot;
  EXPECT_EQ(plain.shards.count, 2u);
  EXPECT_EQ(plain.shards.busy_poll_ns, 50'000u);

  Snapshot expected = plain;
  expected.shards = {3, {5, 6, 7}, AcceptMode::kBalanced, 1'000, 2'000, 3'000, 512, 32, plain.shards.memory_bytes};
  expected.clusters[0].connections_per_shard = 4;
  expected.access_log = {"-", AccessLogFormat::kCombined};
  expected.log_level = LogLevel::kError;
  expected.drain = {0, 5'000'000'000};
  const Invocation flagged = load_over(file, {"--shards",
                                              "3",
                                              "--cpus",
                                              "5-7",
                                              "--accept",
                                              "balanced",
                                              "--busy-poll-us",
                                              "1",
                                              "--min-wait-us",
                                              "2",
                                              "--napi-us",
                                              "3",
                                              "--ring-entries",
                                              "512",
                                              "--recv-buffers",
                                              "32",
                                              "--upstream-connections",
                                              "4",
                                              "--policy",
                                              "round_robin",
                                              "--access-log",
                                              "-",
                                              "--access-log-format",
                                              "combined",
                                              "--log-level",
                                              "error",
                                              "--drain-delay",
                                              "0",
                                              "--drain-timeout",
                                              "5s"});
  EXPECT_EQ(flagged.error, "");
  EXPECT_EQ(flagged.snapshot, expected) << to_yaml(flagged.snapshot);
}

TEST(Load, ListenReplacesTheOnlyAddress) {
  const WrittenFile file(kOneOfEach);
  const Snapshot snapshot = load_over(file, {"--listen", "127.0.0.1:0", "--listen", "unix:/tmp/x"}).snapshot;
  ASSERT_EQ(snapshot.listeners.size(), 2u);
  EXPECT_EQ(snapshot.listeners[0].address.text(), "127.0.0.1:0");
  EXPECT_EQ(snapshot.listeners[1].address.text(), "unix:/tmp/x");
  for (const ListenerConfig& listener : snapshot.listeners) {
    EXPECT_TRUE(listener.forwarded.x_forwarded_for) << "the rest of the listener stays";
    EXPECT_EQ(listener.routes[0].path, "/a/");
  }
}

TEST(Load, UpstreamReplacesTheOnlyEndpoints) {
  const WrittenFile file(kOneOfEach);
  const Snapshot snapshot = load_over(file, {"--upstream", "127.0.0.1:7", "--upstream", "127.0.0.1:8"}).snapshot;
  ASSERT_EQ(snapshot.clusters.size(), 1u);
  EXPECT_EQ(snapshot.clusters[0].name, "a");
  EXPECT_EQ(snapshot.clusters[0].connect_timeout_ns, 300'000'000u);
  ASSERT_EQ(snapshot.clusters[0].endpoints.size(), 2u);
  EXPECT_EQ(snapshot.clusters[0].endpoints[1].address.text(), "127.0.0.1:8");
}

TEST(Load, AmbiguousFlagsAreRefused) {
  const WrittenFile file(kTwoOfEach);
  EXPECT_EQ(load_over(file, {}).error, "");
  EXPECT_EQ(load_over(file, {"--listen", "127.0.0.1:0"}).error,
            "ringway: --listen: the file has 2 listeners, so it is not clear which address this replaces, allowed: a "
            "file with one listener or none\n");
  EXPECT_EQ(load_over(file, {"--upstream", "127.0.0.1:9"}).error,
            "ringway: --upstream: the file has 2 clusters, so it is not clear whose endpoints these are, allowed: a "
            "file with one cluster or none\n");
}

TEST(Load, FlagsStandInForWhatTheFileLacks) {
  const WrittenFile neither("log_level: warn\n");
  const Snapshot snapshot = load_over(neither, {"--listen", "127.0.0.1:0", "--upstream", "127.0.0.1:9"}).snapshot;
  EXPECT_EQ(snapshot.log_level, LogLevel::kWarn);
  EXPECT_EQ(snapshot.clusters[0].name, "default");

  const WrittenFile cluster_only("clusters: [{name: a, endpoints: [{address: 127.0.0.1:1}]}]\n");
  EXPECT_EQ(load_over(cluster_only, {"--listen", "127.0.0.1:0"}).snapshot.listeners[0].routes[0].cluster, 0u);
  EXPECT_EQ(load_over(cluster_only, {}).error, cluster_only.path() +
                                                   ":1:1: listeners: there is nothing to listen on, allowed: --listen "
                                                   "ADDR and --upstream ADDR, or --config FILE with listeners\n");

  const WrittenFile listener_only(
      "listeners: [{address: 127.0.0.1:0, routes: [{match: {path: /x}, cluster: default}]}]\n");
  EXPECT_EQ(load_over(listener_only, {"--upstream", "127.0.0.1:9"}).snapshot.listeners[0].routes[0].path, "/x");
  EXPECT_EQ(load_over(listener_only, {}).error, listener_only.path() +
                                                    ":1:74: listeners[0].routes[0].cluster: there is no cluster "
                                                    "'default', allowed: none, because no cluster is defined\n");
}

TEST(Load, MistakesOfFileAndFlagsTogether) {
  const WrittenFile file("log_level: loud\n");
  const Invocation invocation =
      load_over(file, {"--listen", "127.0.0.1:0", "--upstream", "127.0.0.1:9", "--accept", "x"});
  EXPECT_EQ(invocation.exit_code, 2);
  EXPECT_EQ(invocation.error, "ringway: --accept: 'x' is not known here, allowed: balanced, reuseport\n" + file.path() +
                                  ":1:12: log_level: 'loud' is not known here, allowed: debug, info, warn, error\n");
}

TEST(Load, FilesThatCannotBeRead) {
  const Invocation missing = load_words({"--config", "/nonexistent/ringway.yaml"});
  EXPECT_EQ(missing.exit_code, 2);
  EXPECT_EQ(missing.error,
            "ringway: --config: '/nonexistent/ringway.yaml' cannot be read: No such file or directory\n");
  EXPECT_EQ(load_words({"--config", "/"}).error, "ringway: --config: '/' cannot be read: Is a directory\n");
}

TEST(Load, CheckAndPrintConfig) {
  const WrittenFile file(kOneOfEach);
  const Invocation check = load_over(file, {"--check"});
  EXPECT_EQ(check.action, Invocation::Action::kExit);
  EXPECT_EQ(check.exit_code, 0);
  EXPECT_EQ(check.error, "");
  EXPECT_EQ(check.output, to_yaml(load_over(file, {}).snapshot));

  const Invocation print = load_over(file, {"--print-config", "--log-level", "error"});
  EXPECT_EQ(print.exit_code, 0);
  EXPECT_NE(print.output.find("log_level: error\n"), std::string::npos);

  const WrittenFile broken("x: 1\n");
  const Invocation refused = load_over(broken, {"--check"});
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_EQ(refused.output, "");
  EXPECT_EQ(refused.error.find(broken.path() + ":1:1: x: unknown key 'x', allowed: "), 0u) << refused.error;
}

// Everything that could look like something else in YAML.
constexpr const char* kTwistedText = R"(
listeners:
  - address: "[::1]:80"
    routes:
      - {match: {prefix: "/a:#b{}[],&*!|>'\"%@`\\"}, cluster: "null"}
      - {match: {path: "/~", headers: {"true": "yes", "null": "~", "x": "- a: b # c", "z": "\\n", "1": "", "q": "\"'"}}, cluster: "1"}
      - {match: {authority: "[::1]:80"}, cluster: "-"}
  - address: "unix:/tmp/a b: c #d"
    routes: [{cluster: "true"}, {cluster: .}]
clusters:
  - {name: "null", endpoints: [{address: "unix:~"}]}
  - {name: "1", endpoints: [{address: "unix:- x"}]}
  - {name: "-", endpoints: [{address: "unix:'"}]}
  - {name: ".", endpoints: [{address: "unix:\""}]}
  - {name: "true", endpoints: [{address: "unix:x"}]}
access_log: {path: "  ~/x: #1 ä"}
)";

TEST(Load, PrintedSnapshotsReadBack) {
  for (const std::string& text :
       {std::string(kOneOfEach), std::string(kTwoOfEach), std::string(kTwistedText),
        "shards: {cpus: none}\n" + std::string(kRouting), "shards: {cpus: '7,0-2'}\n" + std::string(kRouting),
        "drain: {timeout: 1500us}\nlimits: {window: 65537}\n" + std::string(kRouting)}) {
    const Reading first = read_text(text);
    ASSERT_EQ(first.report, "");
    const std::string printed = to_yaml(first.snapshot);
    const Reading second = read_text(printed);
    ASSERT_EQ(second.report, "") << printed;
    EXPECT_EQ(second.snapshot, first.snapshot) << printed;
    EXPECT_EQ(to_yaml(second.snapshot), printed);
  }
}

}  // namespace
}  // namespace ringway::config
