// The command line alone: what each flag sets and what is said about a wrong one.
#include "config/flags.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "config/limits.h"
#include "reading.h"

namespace ringway::config {
namespace {

using Words = std::vector<std::string>;

Words with_addresses(Words more) {
  Words words = {"--listen", "127.0.0.1:0", "--upstream", "127.0.0.1:1"};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

Snapshot run(const Words& more) {
  const Invocation invocation = load_words(with_addresses(more));
  EXPECT_EQ(invocation.action, Invocation::Action::kRun);
  EXPECT_EQ(invocation.error, "");
  return invocation.snapshot;
}

void expect_refused(const Words& words, const std::string& message) {
  const Invocation invocation = load_words(words);
  EXPECT_EQ(invocation.action, Invocation::Action::kExit);
  EXPECT_EQ(invocation.exit_code, 2);
  EXPECT_EQ(invocation.output, "");
  EXPECT_EQ(invocation.error, message + "\n");
}

TEST(Flags, AddressesMakeOneListenerAndOneCluster) {
  const Invocation invocation =
      load_words({"--listen", "0.0.0.0:8080", "--upstream", "127.0.0.1:50051", "--upstream=127.0.0.1:50052,weight=3"});
  ASSERT_EQ(invocation.action, Invocation::Action::kRun) << invocation.error;
  const Snapshot& snapshot = invocation.snapshot;
  ASSERT_EQ(snapshot.listeners.size(), 1u);
  EXPECT_EQ(snapshot.listeners[0].address.text(), "0.0.0.0:8080");
  ASSERT_EQ(snapshot.listeners[0].routes.size(), 1u);
  EXPECT_EQ(snapshot.listeners[0].routes[0].path_match, PathMatch::kAny);
  EXPECT_EQ(snapshot.listeners[0].routes[0].cluster, 0u);
  ASSERT_EQ(snapshot.clusters.size(), 1u);
  EXPECT_EQ(snapshot.clusters[0].name, "default");
  EXPECT_EQ(snapshot.clusters[0].connect_timeout_ns, initial(LimitId::kConnectTimeout));
  ASSERT_EQ(snapshot.clusters[0].endpoints.size(), 2u);
  EXPECT_EQ(snapshot.clusters[0].endpoints[0].weight, 1u);
  EXPECT_EQ(snapshot.clusters[0].endpoints[1].address.text(), "127.0.0.1:50052");
  EXPECT_EQ(snapshot.clusters[0].endpoints[1].weight, 3u);
}

TEST(Flags, SeveralListeners) {
  const Snapshot snapshot = run({"--listen", "[::1]:0", "--listen", "unix:/tmp/l"});
  ASSERT_EQ(snapshot.listeners.size(), 3u);
  EXPECT_EQ(snapshot.listeners[1].address.text(), "[::1]:0");
  EXPECT_EQ(snapshot.listeners[2].address.text(), "unix:/tmp/l");
  EXPECT_EQ(snapshot.listeners[2].routes.size(), 1u);
}

TEST(Flags, Words) {
  EXPECT_EQ(run({"--accept", "reuseport"}).shards.accept, AcceptMode::kReusePort);
  EXPECT_EQ(run({"--access-log", "-"}).access_log.path, "-");
  EXPECT_EQ(run({"--access-log=/var/log/a b"}).access_log.path, "/var/log/a b");
  EXPECT_EQ(run({"--access-log", "off"}).access_log.path, "");
  EXPECT_EQ(run({"--access-log-format", "json"}).access_log.format, AccessLogFormat::kJson);
  EXPECT_EQ(run({"--log-level", "debug"}).log_level, LogLevel::kDebug);
  EXPECT_EQ(run({"--policy", "round_robin"}).clusters[0].policy, Policy::kRoundRobin);
  EXPECT_EQ(run({"--shards", "auto"}).shards.count, 8u);
  EXPECT_EQ(run({"--shards", "2"}).shards.cpus, (std::vector<uint32_t>{0, 1}));
  EXPECT_EQ(run({"--shards", "2", "--cpus", "none"}).shards.cpus, (std::vector<uint32_t>{}));
  EXPECT_EQ(run({"--cpus", "6,2-3"}).shards.cpus, (std::vector<uint32_t>{6, 2, 3}));
  EXPECT_EQ(run({"--cpus", "6,2-3"}).shards.count, 3u);
}

TEST(Flags, MicrosecondsAndDurations) {
  EXPECT_EQ(run({"--busy-poll-us", "50"}).shards.busy_poll_ns, 50'000u);
  EXPECT_EQ(run({"--min-wait-us", "0"}).shards.min_wait_ns, 0u);
  EXPECT_EQ(run({"--drain-timeout", "300ms"}).drain.timeout_ns, 300'000'000u);
  EXPECT_EQ(run({"--drain-delay", "1s"}).drain.delay_ns, 1'000'000'000u);
}

TEST(Flags, WrongValues) {
  const std::string address = ", allowed: HOST:PORT with an IP address or localhost, [IPV6]:PORT, unix:PATH";
  const std::pair<Words, std::string> cases[] = {
      {{"--upstream", "127.0.0.1:2,weight=0"},
       "--upstream: in '127.0.0.1:2,weight=0' the weight '0' is too small, allowed: a number from 1 to 1000"},
      {{"--upstream", "127.0.0.1:2,weight=1001"},
       "--upstream: in '127.0.0.1:2,weight=1001' the weight '1001' is too large, allowed: a number from 1 to 1000"},
      {{"--upstream", "127.0.0.1:0"},
       "--upstream: '127.0.0.1:0' has port 0, to which nothing can connect, allowed: a port from 1 to 65535"},
      {{"--upstream", "backend:50051"}, "--upstream: 'backend:50051': 'backend' is not an IP address" + address},
      {{"--upstream", "127.0.0.1:1,weight=2"},
       "--upstream: '127.0.0.1:1,weight=2' is given twice, allowed: each address once, with ,weight=N"},
      {{"--listen", "8080"}, "--listen: '8080': there is no port" + address},
      {{"--shards", "many"}, "--shards: 'many' is not a number, allowed: a number from 1 to 256, or auto"},
      {{"--cpus", "0,8-9"}, "--cpus: this process may not run on '8-9', allowed: 0-7, or none"},
      {{"--cpus", "0", "--shards", "2"},
       "--shards: '2' shards are more than the CPUs listed ('0'), allowed: up to 1, or a longer list"},
      {{"--accept", "fair"}, "--accept: 'fair' is not known here, allowed: balanced, reuseport"},
      {{"--busy-poll-us", "50us"},
       "--busy-poll-us: '50us' is not a number of microseconds, allowed: a number of microseconds from 1 to 1000000, "
       "or 0 (off)"},
      {{"--policy", "ewma"}, "--policy: 'ewma' is not supported by this version, allowed: round_robin"},
      {{"--log-level", "INFO"}, "--log-level: 'INFO' is not known here, allowed: debug, info, warn, error"},
      {{"--log-level", "info", "--log-level", "warn"},
       "--log-level: given twice, with 'info' and 'warn', allowed: once"},
      {{"--access-log", "--check"}, "--access-log: the value is missing before '--check'"},
      {{"--access-log="}, "--access-log: the value is missing behind '='"},
      {{"--shards"},
       "--shards: the value is missing, allowed: N|auto (shard threads; auto: one per CPU this process may run on)"},
  };
  for (const auto& [words, message] : cases) expect_refused(with_addresses(words), "ringway: " + message);
}

TEST(Flags, UnknownOnes) {
  const std::string help = " (ringway --help lists the options)";
  expect_refused(with_addresses({"--lisent", "x"}), "ringway: --lisent: unknown option" + help);
  expect_refused(with_addresses({"--sahrds=2", "-x"}),
                 "ringway: --sahrds: unknown option" + help + "\nringway: -x: unknown option" + help);
  expect_refused(with_addresses({"stray"}), "ringway: unexpected argument 'stray'" + help);
  expect_refused(with_addresses({"--admin", "x"}), "ringway: --admin: not supported by this version" + help);
}

TEST(Flags, TooFew) {
  const std::string nothing =
      "ringway: there is nothing to listen on, allowed: --listen ADDR and --upstream ADDR, or --config FILE with "
      "listeners";
  expect_refused({}, nothing);
  expect_refused({"--upstream", "127.0.0.1:1"}, nothing);
  expect_refused(
      {"--listen", "127.0.0.1:0"},
      "ringway: --listen: there is no endpoint to forward to, allowed: with --upstream ADDR, or a file with a cluster");
}

TEST(Flags, AllMistakesAtOnce) {
  expect_refused({"--listen", "127.0.0.1:0", "--upstream", "127.0.0.1:1", "--shards", "0", "--accept", "fair"},
                 "ringway: --shards: '0' is too small, allowed: a number from 1 to 256, or auto\n"
                 "ringway: --accept: 'fair' is not known here, allowed: balanced, reuseport");
}

TEST(Flags, HelpNamesEveryOption) {
  const Invocation invocation = load_words({"--help"});
  EXPECT_EQ(invocation.exit_code, 0);
  EXPECT_EQ(invocation.error, "");
  for (const std::string name : {"--listen ADDR ",
                                 "--upstream ADDR[,weight=N] ",
                                 "--config FILE ",
                                 "--check ",
                                 "--print-config ",
                                 "--doctor ",
                                 "--version ",
                                 "-h,--help ",
                                 "--shards N|auto ",
                                 "--cpus LIST|none ",
                                 "--accept ",
                                 "--busy-poll-us N ",
                                 "--min-wait-us N ",
                                 "--napi-us N ",
                                 "--ring-entries N ",
                                 "--recv-buffers N ",
                                 "--upstream-connections N ",
                                 "--policy ",
                                 "--tls-cert FILE ",
                                 "--tls-key FILE ",
                                 "--tls-client-ca FILE ",
                                 "--upstream-tls ",
                                 "--upstream-ca FILE ",
                                 "--upstream-cert FILE ",
                                 "--upstream-key FILE ",
                                 "--upstream-server-name NAME ",
                                 "--ktls MODE ",
                                 "--access-log FILE|-|off ",
                                 "--access-log-format ",
                                 "--log-level ",
                                 "--drain-timeout ",
                                 "--drain-delay "}) {
    EXPECT_NE(invocation.output.find(" " + name), std::string::npos) << name;
  }
  EXPECT_EQ(invocation.output.find("print-limits"), std::string::npos);
  EXPECT_EQ(load_words({"-h"}).output, invocation.output);
}

TEST(Flags, Version) {
  const Invocation invocation = load_words({"--version"});
  EXPECT_EQ(invocation.exit_code, 0);
  EXPECT_TRUE(invocation.output.starts_with("ringway ")) << invocation.output;
}

}  // namespace
}  // namespace ringway::config
