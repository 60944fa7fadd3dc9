// The file: what each key does, and what is said, with line and column, about each kind of mistake.
#include "config/file.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "config/print.h"
#include "reading.h"

namespace ringway::config {
namespace {

// A listener whose one route has this match.
std::string with_match(const std::string& match) {
  return "clusters: [{name: a, endpoints: [{address: '127.0.0.1:1'}]}]\n"
         "listeners:\n"
         "  - address: 127.0.0.1:0\n"
         "    routes:\n"
         "      - match: " +
         match +
         "\n"
         "        cluster: a\n";
}

RouteConfig route_of(const std::string& match) {
  const Reading reading = read_text(with_match(match));
  EXPECT_EQ(reading.report, "") << match;
  return reading.report.empty() ? reading.snapshot.listeners[0].routes[0] : RouteConfig{};
}

TEST(File, Words) {
  EXPECT_EQ(read_with_routing("shards: {accept: reuseport}").snapshot.shards.accept, AcceptMode::kReusePort);
  EXPECT_EQ(read_with_routing("shards: {accept: balanced}").snapshot.shards.accept, AcceptMode::kBalanced);
  EXPECT_EQ(read_with_routing("access_log: {format: json}").snapshot.access_log.format, AccessLogFormat::kJson);
  EXPECT_EQ(read_with_routing("access_log: {path: off}").snapshot.access_log.path, "");
  EXPECT_EQ(read_with_routing("access_log: {path: '-'}").snapshot.access_log.path, "-");
  EXPECT_EQ(read_with_routing("access_log: {path: ./off}").snapshot.access_log.path, "./off");
  const std::pair<const char*, LogLevel> levels[] = {
      {"debug", LogLevel::kDebug}, {"info", LogLevel::kInfo}, {"warn", LogLevel::kWarn}, {"error", LogLevel::kError}};
  for (const auto& [text, level] : levels) {
    EXPECT_EQ(read_with_routing(std::string("log_level: ") + text).snapshot.log_level, level);
  }
}

TEST(File, Forwarded) {
  const auto read = [](const std::string& forwarded) {
    const Reading reading = read_text(
        "clusters: [{name: a, endpoints: [{address: '127.0.0.1:1'}]}]\n"
        "listeners: [{address: '127.0.0.1:0', forwarded: " +
        forwarded + ", routes: [{cluster: a}]}]");
    EXPECT_EQ(reading.report, "");
    return reading.snapshot.listeners[0].forwarded;
  };
  EXPECT_EQ(read("{}"), (ForwardedOptions{false, false}));
  EXPECT_EQ(read("{x_forwarded_for: append}"), (ForwardedOptions{true, false}));
  EXPECT_EQ(read("{x_forwarded_for: off, x_forwarded_proto: on}"), (ForwardedOptions{false, true}));
}

TEST(File, Sources) {
  const auto read = [](const std::string& sources) {
    const Reading reading = read_text(
        "clusters: [{name: a, endpoints: [{address: '127.0.0.1:1'}]}]\n"
        "listeners: [{address: '127.0.0.1:0', routes: [{cluster: a}]" +
        sources + "}]");
    EXPECT_EQ(reading.report, "");
    return reading.snapshot.listeners[0].sources;
  };
  EXPECT_EQ(read(""), SourceOptions());
  EXPECT_EQ(read("").proxy_protocol, ProxyProtocol::kOff);
  EXPECT_EQ(read(", proxy_protocol: off").proxy_protocol, ProxyProtocol::kOff);
  EXPECT_EQ(read(", proxy_protocol: optional").proxy_protocol, ProxyProtocol::kOptional);
  EXPECT_EQ(read(", proxy_protocol: require").proxy_protocol, ProxyProtocol::kRequire);
  const SourceOptions lists = read(", allow: [10.0.0.0/8, 'fd00::/8'], deny: [10.9.0.0/16]");
  ASSERT_EQ(lists.allow.size(), 2u);
  EXPECT_EQ(lists.allow[1].text(), "fd00::/8");
  ASSERT_EQ(lists.deny.size(), 1u);
  EXPECT_TRUE(lists.admits(*io::Address::parse("10.8.0.1:1")));
  EXPECT_TRUE(lists.admits(*io::Address::parse("[fd00::1]:1")));
  EXPECT_FALSE(lists.admits(*io::Address::parse("10.9.0.1:1"))) << "what is denied stays denied";
  EXPECT_FALSE(lists.admits(*io::Address::parse("11.0.0.1:1")));
  EXPECT_TRUE(read(", deny: [10.9.0.0/16]").admits(*io::Address::parse("11.0.0.1:1")));
}

TEST(File, SourcesOfAUnixSocket) {
  const auto report_of = [](const std::string& sources) {
    return read_text(
               "clusters: [{name: a, endpoints: [{address: '127.0.0.1:1'}]}]\n"
               "listeners: [{address: 'unix:/tmp/a', routes: [{cluster: a}]" +
               sources + "}]")
        .report;
  };
  const std::string refusal =
      "t.yaml:2:23: listeners[0].address: the peers of 'unix:/tmp/a' have no network address for 'allow' and 'deny' to "
      "look at, allowed: with proxy_protocol: optional or require\n";
  EXPECT_EQ(report_of(""), "");
  EXPECT_EQ(report_of(", allow: [10.0.0.0/8]"), refusal);
  EXPECT_EQ(report_of(", deny: [10.0.0.0/8]"), refusal);
  EXPECT_EQ(report_of(", deny: [10.0.0.0/8], proxy_protocol: optional"), "");
}

TEST(File, Matches) {
  EXPECT_EQ(route_of("{}").path_match, PathMatch::kAny);
  EXPECT_EQ(route_of("{}").name, "*");

  const RouteConfig prefix = route_of("{prefix: /pkg.S}");
  EXPECT_EQ(prefix.path_match, PathMatch::kPrefix);
  EXPECT_EQ(prefix.path, "/pkg.S");
  EXPECT_EQ(prefix.name, "/pkg.S*");

  const RouteConfig path = route_of("{path: /pkg.S/M}");
  EXPECT_EQ(path.path_match, PathMatch::kExact);
  EXPECT_EQ(path.path, "/pkg.S/M");

  // The slash keeps pkg.Service2 out.
  EXPECT_EQ(route_of("{service: pkg.S}"), route_of("{prefix: /pkg.S/}"));
  EXPECT_EQ(route_of("{service: pkg.S, method: M}"), path);

  const RouteConfig full = route_of("{authority: Shop.example:80, headers: {X-Canary: '1', b: 'a b', c: ''}}");
  EXPECT_EQ(full.authority, "Shop.example:80");
  const std::vector<std::pair<std::string, std::string>> headers = {{"x-canary", "1"}, {"b", "a b"}, {"c", ""}};
  EXPECT_EQ(full.headers, headers) << "names are lower case in HTTP/2";
  EXPECT_EQ(full.name, "* authority=Shop.example:80 x-canary=1 b=a b c=");
}

TEST(File, ClustersAndEndpoints) {
  const Reading reading = read_text(
      "listeners: [{address: 'unix:/tmp/l', routes: [{match: {prefix: /b}, cluster: b}, {cluster: a}]}]\n"
      "clusters:\n"
      "  - {name: a, endpoints: [{address: '[::1]:1', weight: 1000}, {address: 'localhost:65535'}]}\n"
      "  - {name: b.c-d_9, policy: round_robin, header_compression: static, endpoints: [{address: 'unix:/tmp/b'}]}\n"
      "  - {name: b, endpoints: [{address: 10.0.0.1:1}], connections: {per_shard: 3, connect_timeout: 300ms,\n"
      "     keepalive: {silence: 200ms, interval: 0, timeout: 300ms}}}\n");
  ASSERT_EQ(reading.report, "");
  const Snapshot& snapshot = reading.snapshot;
  EXPECT_EQ(snapshot.listeners[0].address.text(), "unix:/tmp/l");
  EXPECT_EQ(snapshot.listeners[0].routes[0].cluster, 2u);
  EXPECT_EQ(snapshot.listeners[0].routes[1].cluster, 0u);
  EXPECT_EQ(snapshot.clusters[0].endpoints[0].address.text(), "[::1]:1");
  EXPECT_EQ(snapshot.clusters[0].endpoints[0].weight, 1000u);
  EXPECT_EQ(snapshot.clusters[0].endpoints[1].weight, 1u);
  EXPECT_EQ(snapshot.clusters[0].header_compression, HeaderCompression::kDynamic);
  EXPECT_EQ(snapshot.clusters[1].header_compression, HeaderCompression::kStatic);
  EXPECT_EQ(read_text(to_yaml(snapshot)).snapshot, snapshot);
  EXPECT_EQ(snapshot.clusters[2].connections_per_shard, 3u);
  EXPECT_EQ(snapshot.clusters[2].connect_timeout_ns, 300'000'000u);
  EXPECT_EQ(snapshot.clusters[2].keepalive_silence_ns, 200'000'000u);
  EXPECT_EQ(snapshot.clusters[2].keepalive_interval_ns, 0u);
  EXPECT_EQ(snapshot.clusters[2].keepalive_timeout_ns, 300'000'000u);
}

struct Mistake {
  std::string text;
  std::string report;  // without "t.yaml:" in front and the newline behind
};

void expect_report(const std::string& text, const std::string& expected) {
  EXPECT_EQ(read_text(text).report, "t.yaml:" + expected + "\n") << text;
}

TEST(File, MistakesInMatches) {
  const std::string path = ", allowed: a path that starts with '/' and has no spaces";
  const std::string ways = ", allowed: one of prefix, path, service";
  const std::string service = ", allowed: a name as package.Service, without '/'";
  const std::string method = ", allowed: a name as Method, without '/'";
  const std::string authority = ", allowed: a host name, with or without a port";
  const std::string value = ", allowed: visible ASCII, spaces only inside";
  const std::string m = "listeners[0].routes[0].match";
  const Mistake mistakes[] = {
      {"{prefix: pkg}", "5:25: " + m + ".prefix: 'pkg' is not a path" + path},
      {"{prefix: ''}", "5:25: " + m + ".prefix: '' is not a path" + path},
      {"{path: pkg/M}", "5:23: " + m + ".path: 'pkg/M' is not a path" + path},
      {"{path: '/a b'}", "5:23: " + m + ".path: '/a b' is not a path" + path},
      {"{prefix: /a, path: /b}", "5:35: " + m + ".path: 'path' stands beside 'prefix'" + ways},
      {"{service: s, prefix: /a}", "5:26: " + m + ".service: 'service' stands beside 'prefix'" + ways},
      {"{service: a/b}", "5:26: " + m + ".service: 'a/b' is not a service" + service},
      {"{service: /a}", "5:26: " + m + ".service: '/a' is not a service" + service},
      {"{service: ''}", "5:26: " + m + ".service: '' is not a service" + service},
      {"{service: s, method: a/b}", "5:37: " + m + ".method: 'a/b' is not a method" + method},
      {"{method: M}",
       "5:25: " + m + ".method: 'method' stands without 'service', allowed: service and method, or path"},
      {"{path: /a, method: M}",
       "5:35: " + m + ".method: 'method' stands without 'service', allowed: service and method, or path"},
      {"{authority: 'a/b'}", "5:28: " + m + ".authority: 'a/b' is not an authority" + authority},
      {"{authority: ''}", "5:28: " + m + ".authority: '' is not an authority" + authority},
      {"{headers: x}",
       "5:26: " + m + ".headers: 'x' stands where a map belongs, allowed: a map of header names to values"},
      {"{headers: {':path': /a}}",
       "5:36: " + m + ".headers.:path: ':path' is not a header name, allowed: letters, digits and !#$%&'*+-.^_`|~"},
      {"{headers: {a: ' b'}}", "5:30: " + m + ".headers.a: ' b' is not a header value" + value},
      {"{headers: {a: \"b\\n\"}}", "5:30: " + m + ".headers.a: 'b\\x0a' is not a header value" + value},
      {"{headers: {a: 1, A: 2}}", "5:36: " + m + ".headers.A: the header 'A' is given twice, allowed: each name once"},
      {"{headers: {a: }}", "5:27: " + m + ".headers.a: the value is missing" + value},
      {"/a",
       "5:16: " + m + ": '/a' stands where a map belongs, allowed: prefix, path, service, method, authority, headers"},
      {"{perfix: /a}",
       "5:17: " + m + ".perfix: unknown key 'perfix', allowed: prefix, path, service, method, authority, headers"},
  };
  for (const auto& [match, report] : mistakes) expect_report(with_match(match), report);
}

TEST(File, MistakesInListeners) {
  const std::string a = "clusters: [{name: a, endpoints: [{address: '127.0.0.1:1'}]}]\nlisteners:\n";
  const std::string words = "HOST:PORT with an IP address or localhost, [IPV6]:PORT, unix:PATH";
  const std::string network = "an IPv4 or IPv6 network, as 10.0.0.0/8, fd00::/8 or 192.0.2.7";
  const std::string routes = "a list of at least one {match, cluster}";
  const Mistake mistakes[] = {
      {"  - routes: [{cluster: a}]", "3:5: listeners[0]: the key 'address' is missing, allowed: " + words},
      {"  - {address: nowhere, routes: [{cluster: a}]}",
       "3:15: listeners[0].address: 'nowhere': there is no port, allowed: " + words},
      {"  - {address: 1.2.3.4:70000, routes: [{cluster: a}]}",
       "3:15: listeners[0].address: '1.2.3.4:70000': '70000' is not a port from 0 to 65535, allowed: " + words},
      {"  - address: 127.0.0.1:1", "3:5: listeners[0]: the key 'routes' is missing, allowed: " + routes},
      {"  - {address: 127.0.0.1:1, routes: []}", "3:36: listeners[0].routes: the list is empty, allowed: " + routes},
      {"  - {address: 127.0.0.1:1, routes: a}",
       "3:36: listeners[0].routes: 'a' stands where a list belongs, allowed: " + routes},
      {"  - {address: 127.0.0.1:1, routes: [{match: {}}]}",
       "3:37: listeners[0].routes[0]: the key 'cluster' is missing, allowed: the name of a cluster"},
      {"  - {address: 127.0.0.1:1, routes: [{cluster: b}]}",
       "3:47: listeners[0].routes[0].cluster: there is no cluster 'b', allowed: a"},
      {"  - {address: 127.0.0.1:1, routes: [{cluster: a}]}\n  - {address: localhost:1, routes: [{cluster: a}]}",
       "4:15: listeners[1].address: '127.0.0.1:1' is the address of another listener, allowed: each address once"},
      {"  - {address: 127.0.0.1:1, routes: [{cluster: a}], forwarded: {x_forwarded_for: set}}",
       "3:81: listeners[0].forwarded.x_forwarded_for: 'set' is not known here, allowed: append, off"},
      {"  - {address: 127.0.0.1:1, routes: [{cluster: a}], forwarded: {x_forwarded_proto: append}}",
       "3:83: listeners[0].forwarded.x_forwarded_proto: 'append' is neither true nor false, allowed: true or false"},
      {"  - {address: 127.0.0.1:1, routes: [{cluster: a}], proxy_protocol: on}",
       "3:68: listeners[0].proxy_protocol: 'on' is not known here, allowed: off, optional, require"},
      {"  - {address: 127.0.0.1:1, routes: [{cluster: a}], allow: [10.0.0.1/8]}",
       "3:60: listeners[0].allow[0]: '10.0.0.1/8': bits are set behind the first 8, '10.0.0.0/8' has none, allowed: " +
           network},
      {"  - {address: 127.0.0.1:1, routes: [{cluster: a}], deny: [1.2.3.4, all]}",
       "3:68: listeners[0].deny[1]: 'all': 'all' is not an IP address, allowed: " + network},
      {"  - {address: 127.0.0.1:1, routes: [{cluster: a}], deny: 1.2.3.4}",
       "3:58: listeners[0].deny: '1.2.3.4' stands where a list belongs, allowed: a list of at least one network, as "
       "[10.0.0.0/8]"},
      {"  - {address: 127.0.0.1:1, routes: [{cluster: a}], allow: []}",
       "3:59: listeners[0].allow: the list is empty, allowed: a list of at least one network, as [10.0.0.0/8]"},
      {"  []",
       "3:3: listeners: the list is empty, allowed: a list of at least one {address, proxy_protocol, allow, deny, tls, "
       "forwarded, routes}"},
  };
  for (const auto& [text, report] : mistakes) expect_report(a + text, report);
  // Port 0 is another port each time.
  EXPECT_EQ(
      read_text(
          a + "  - {address: 127.0.0.1:0, routes: [{cluster: a}]}\n  - {address: 127.0.0.1:0, routes: [{cluster: a}]}")
          .report,
      "");
}

TEST(File, MistakesInClusters) {
  const std::string l = "listeners: [{address: '127.0.0.1:0', routes: [{cluster: a}]}]\nclusters:\n";
  const std::string name = ", allowed: letters, digits, '_', '-' and '.', up to 64 of them";
  const std::string good = "  - {name: a, endpoints: [{address: 127.0.0.1:1}]}\n";
  const std::string many(65, 'n');
  const Mistake mistakes[] = {
      {good + "  - {endpoints: [{address: 127.0.0.1:1}]}", "4:5: clusters[1]: the key 'name' is missing" + name},
      {good + "  - {name: 'a b', endpoints: [{address: 127.0.0.1:1}]}",
       "4:12: clusters[1].name: 'a b' is not a name" + name},
      {good + "  - {name: " + many + ", endpoints: [{address: 127.0.0.1:1}]}",
       "4:12: clusters[1].name: '" + many + "' is not a name" + name},
      {good + good, "4:12: clusters[1].name: 'a' is the name of another cluster, allowed: each name once"},
      {"  - {name: a}",
       "3:5: clusters[0]: the key 'endpoints' is missing, allowed: a list of at least one {address, weight}"},
      {"  - {name: a, endpoints: []}",
       "3:26: clusters[0].endpoints: the list is empty, allowed: a list of at least one {address, weight}"},
      {"  - {name: a, endpoints: [127.0.0.1:1]}",
       "3:27: clusters[0].endpoints[0]: '127.0.0.1:1' stands where a map belongs, allowed: address, weight"},
      {"  - {name: a, endpoints: [{address: 127.0.0.1:0}]}",
       "3:37: clusters[0].endpoints[0].address: '127.0.0.1:0' has port 0, to which nothing can connect, allowed: a "
       "port from 1 to 65535"},
      {"  - {name: a, endpoints: [{address: 127.0.0.1:1}, {address: 127.0.0.1:1, weight: 2}]}",
       "3:61: clusters[0].endpoints[1].address: '127.0.0.1:1' is an endpoint of this cluster already, allowed: each "
       "address once, with a weight"},
      {"  - {name: a, policy: fastest, endpoints: [{address: 127.0.0.1:1}]}",
       "3:23: clusters[0].policy: 'fastest' is not known here, allowed: round_robin"},
      {"  - {name: a, header_compression: off, endpoints: [{address: 127.0.0.1:1}]}",
       "3:35: clusters[0].header_compression: 'off' is not known here, allowed: dynamic, static"},
      {"  - {name: a, policy: ring_hash, endpoints: [{address: 127.0.0.1:1}]}",
       "3:23: clusters[0].policy: 'ring_hash' is not supported by this version, allowed: round_robin"},
  };
  for (const auto& [text, report] : mistakes) expect_report(l + text, report);
}

TEST(File, MistakesInTheFrame) {
  const std::string top = "shards, limits, listeners, clusters, access_log, log_level, drain";
  const std::string cpus = ", allowed: a list of CPUs without repetition, as 2-7,9, or none";
  const Mistake mistakes[] = {
      {"shard: {}", "1:1: shard: unknown key 'shard', allowed: " + top},
      {"shards: {}\nshards: {}", "2:1: shards: the key 'shards' is given twice, allowed: each key once"},
      {"shards: 2",
       "1:9: shards: '2' stands where a map belongs, allowed: count, cpus, accept, busy_poll, min_wait, napi, "
       "ring_entries, recv_buffers, memory, ktls"},
      {"[a]: 1", "1:1: a list stands where a key belongs, allowed: " + top},
      {"log_level: loud", "1:12: log_level: 'loud' is not known here, allowed: debug, info, warn, error"},
      {"log_level:", "1:1: log_level: the value is missing, allowed: debug, info, warn, error"},
      {"access_log: {path: ''}",
       "1:20: access_log.path: '' is not a file name, allowed: a file, - for standard output, or off"},
      {"access_log: {format: xml}", "1:22: access_log.format: 'xml' is not known here, allowed: combined, json"},
      {"shards: {accept: fair}", "1:18: shards.accept: 'fair' is not known here, allowed: balanced, reuseport"},
      {"shards: {cpus: 4-2}", "1:16: shards.cpus: '4-2' is not a list of CPUs" + cpus},
      {"shards: {cpus: '7-9'}", "1:16: shards.cpus: this process may not run on '8-9', allowed: 0-7, or none"},
      {"shards: {cpus: '1,2', count: 3}",
       "1:30: shards.count: '3' shards are more than the CPUs listed ('1-2'), allowed: up to 2, or a longer list"},
      {"drain: {timeout: 30}",
       "1:18: drain.timeout: '30' is not a duration, allowed: a duration from 1ms to 24h, as 50us, "
       "300ms, 5s, 5m or 1h, or 0 (at once)"},
      {"limits: {header_list: 4095}",
       "1:23: limits.header_list: '4095' is too small, allowed: a size from 4KiB to 16MiB, "
       "as 65536, 64KiB or 4MiB"},
      {"limits: {field: 65537}",
       "1:17: limits.field: '65537' is more than limits.header_list, allowed: a size from 4KiB to 64KiB"},
      {"limits: {field: 16KiB, header_list: 8KiB}",
       "1:17: limits.field: '16KiB' is more than limits.header_list, allowed: a size from 4KiB to 8KiB"},
  };
  for (const auto& [text, report] : mistakes) {
    EXPECT_EQ(read_with_routing(text).report, "t.yaml:" + report + "\n") << text;
  }
}

// Keys of the design that come later are told apart from typing mistakes.
TEST(File, KeysOfALaterVersion) {
  const std::string endpoints = "endpoints: [{address: '127.0.0.1:1'}]";
  const auto expect_later = [](const std::string& text, const std::string& key, const std::string& name) {
    const std::string report = read_text(text).report;
    EXPECT_NE(report.find(": " + key + ": '" + name + "' is not supported by this version, allowed: "),
              std::string::npos)
        << text << report;
  };
  expect_later("admin: {address: '127.0.0.1:9901'}", "admin", "admin");
  for (const std::string key : {"split", "mirror", "timeout", "idle_timeout", "retry", "hash"}) {
    expect_later("listeners: [{address: '127.0.0.1:0', routes: [{" + key + ": {}}]}]", "listeners[0].routes[0]." + key,
                 key);
  }
  for (const std::string key : {"slow_start", "panic", "localities", "health_check", "outlier", "circuit_breakers"}) {
    expect_later("clusters: [{name: a, " + key + ": {}, " + endpoints + "}]", "clusters[0]." + key, key);
  }
  for (const std::string key : {"locality", "priority"}) {
    expect_later("clusters: [{name: a, endpoints: [{address: '127.0.0.1:1', " + key + ": 1}]}]",
                 "clusters[0].endpoints[0]." + key, key);
  }
  for (const std::string key : {"total", "max_age"}) {
    expect_later("clusters: [{name: a, connections: {" + key + ": 1}, " + endpoints + "}]",
                 "clusters[0].connections." + key, key);
  }
}

TEST(File, WhatIsNotAConfiguration) {
  const std::string top = ", allowed: shards, limits, listeners, clusters, access_log, log_level, drain";
  const std::string missing =
      "1:1: listeners: there is nothing to listen on, allowed: --listen ADDR and --upstream ADDR, or --config FILE "
      "with listeners";
  expect_report("", missing);
  expect_report("# nothing\n", missing);
  expect_report("log_level: info\n", missing);
  expect_report("a: [", "1:1: this is not YAML: end of sequence flow not found");
  const std::string nested(10000, '[');
  EXPECT_NE(read_text(nested).report.find("t.yaml:1:1: lists and maps are nested too deeply\n"), std::string::npos);
  EXPECT_NE(read_text("- a").report.find("t.yaml:1:1: a list stands where a map belongs" + top), std::string::npos);
  EXPECT_NE(read_text("word").report.find("t.yaml:1:1: 'word' stands where a map belongs" + top), std::string::npos);
  EXPECT_NE(read_text("a: &x [*x]").report.find("t.yaml:1:1: a: unknown key 'a'"), std::string::npos);
  EXPECT_NE(read_text("---\nlog_level: info\n---\nlog_level: warn\n")
                .report.find("t.yaml:3:1: a second YAML document begins here"),
            std::string::npos);
}

// What the parser of YAML would take for empty documents without end.
TEST(File, StrayPunctuation) {
  const std::string second = "a second YAML document begins here, allowed: one document";
  expect_report(",", "1:1: " + second);
  expect_report(", log_level: info", "1:1: " + second);
  expect_report("log_level: info\n, ", "2:1: this is not YAML: end of map not found");
  expect_report("{log_level: info}}\n", "1:18: this is not YAML: illegal flow end");
}

// One run tells of everything, in the order of the file.
TEST(File, AllMistakesAtOnce) {
  const Reading reading = read_text(
      "clusters:\n"
      "  - name: a\n"
      "    policy: best\n"
      "    endpoints: [{address: x, weight: 0}]\n"
      "listeners:\n"
      "  - address: 127.0.0.1:0\n"
      "    routes: [{cluster: b}, {match: {prefix: x}, cluster: a}]\n"
      "limits: {streams: 0, window: 2GiB}\n");
  EXPECT_EQ(reading.report,
            "t.yaml:3:13: clusters[0].policy: 'best' is not known here, allowed: round_robin\n"
            "t.yaml:4:27: clusters[0].endpoints[0].address: 'x': there is no port, allowed: HOST:PORT with an IP "
            "address or localhost, "
            "[IPV6]:PORT, unix:PATH\n"
            "t.yaml:4:38: clusters[0].endpoints[0].weight: '0' is too small, allowed: a number from 1 to 1000\n"
            "t.yaml:7:24: listeners[0].routes[0].cluster: there is no cluster 'b', allowed: a\n"
            "t.yaml:7:45: listeners[0].routes[1].match.prefix: 'x' is not a path, allowed: a path that starts with '/' "
            "and has no spaces\n"
            "t.yaml:8:19: limits.streams: '0' is too small, allowed: a number from 1 to 65536\n"
            "t.yaml:8:30: limits.window: '2GiB' is too large, allowed: a size from 1KiB to 2147483647, as 65536, 64KiB "
            "or 4MiB\n");
}

TEST(File, ManyMistakesAreCut) {
  std::string text;
  for (size_t i = 0; i < Report::kShownMax + 7; ++i) text += fmt::format("k{}: 1\n", i);
  const std::string report = read_with_routing(text).report;
  EXPECT_EQ(std::count(report.begin(), report.end(), '\n'), static_cast<std::ptrdiff_t>(Report::kShownMax + 1));
  EXPECT_NE(report.find("\nringway: and 7 more\n"), std::string::npos);
}

TEST(File, ShardsAndCpus) {
  using Cpus = std::vector<uint32_t>;
  const Host some{{1, 3, 5}};
  const auto expect_shards = [&](const std::string& text, uint32_t count, const Cpus& cpus) {
    const Reading reading = read_with_routing("shards: {" + text + "}", some);
    EXPECT_EQ(reading.report, "") << text;
    EXPECT_EQ(reading.snapshot.shards.count, count) << text;
    EXPECT_EQ(reading.snapshot.shards.cpus, cpus) << text;
  };
  expect_shards("", 3, {1, 3, 5});
  expect_shards("count: auto", 3, {1, 3, 5});
  expect_shards("count: 2", 2, {1, 3});
  expect_shards("count: 3", 3, {1, 3, 5});
  expect_shards("count: 4", 4, {});  // more shards than CPUs: none is pinned
  expect_shards("cpus: none", 3, {});
  expect_shards("cpus: none, count: 2", 2, {});
  expect_shards("cpus: '5,1'", 2, {5, 1});
  expect_shards("cpus: '5,1', count: auto", 2, {5, 1});
  expect_shards("cpus: '5,1', count: 1", 1, {5});
}

}  // namespace
}  // namespace ringway::config
