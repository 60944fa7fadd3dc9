// The examples in configs/ load, and mean what they say.
#include <gtest/gtest.h>

#include <string>

#include "config/limit_fields.h"
#include "config/print.h"
#include "reading.h"

namespace ringway::config {
namespace {

Snapshot load_example(const std::string& name) {
  const Invocation invocation = load_words({"--config", RINGWAY_SOURCE_ROOT "/configs/" + name});
  EXPECT_EQ(invocation.error, "");
  EXPECT_EQ(invocation.action, Invocation::Action::kRun);
  EXPECT_EQ(read_text(to_yaml(invocation.snapshot)).snapshot, invocation.snapshot);
  return invocation.snapshot;
}

TEST(Configs, CleartextSplitsEvenly) {
  const Snapshot snapshot = load_example("cleartext.yaml");
  ASSERT_EQ(snapshot.listeners.size(), 1u);
  EXPECT_EQ(snapshot.listeners[0].address.text(), "0.0.0.0:8080");
  ASSERT_EQ(snapshot.clusters.size(), 1u);
  ASSERT_EQ(snapshot.clusters[0].endpoints.size(), 2u);
  EXPECT_EQ(snapshot.clusters[0].endpoints[0].address.text(), "127.0.0.1:50051");
  EXPECT_EQ(snapshot.clusters[0].endpoints[1].address.text(), "127.0.0.1:50052");
  EXPECT_EQ(snapshot.clusters[0].endpoints[0].weight, snapshot.clusters[0].endpoints[1].weight);
}

TEST(Configs, CourseRoutesByService) {
  const Snapshot snapshot = load_example("course-routed.yaml");
  ASSERT_EQ(snapshot.listeners.size(), 1u);
  const auto& routes = snapshot.listeners[0].routes;
  ASSERT_EQ(routes.size(), 2u);
  EXPECT_EQ(routes[0].path, "/techschool_pcbook.AuthService/");
  EXPECT_EQ(snapshot.clusters[routes[0].cluster].endpoints[0].address.text(), "127.0.0.1:50051");
  EXPECT_EQ(routes[1].path, "/techschool_pcbook.LaptopService/");
  EXPECT_EQ(snapshot.clusters[routes[1].cluster].endpoints[0].address.text(), "127.0.0.1:50052");
}

// full.yaml claims to have every key of this version.
TEST(Configs, FullHasEveryKey) {
  const Snapshot snapshot = load_example("full.yaml");
  EXPECT_EQ(snapshot.listeners.size(), 3u);
  EXPECT_EQ(snapshot.clusters.size(), 3u);
  EXPECT_TRUE(snapshot.listeners[0].forwarded.x_forwarded_proto);
  EXPECT_EQ(snapshot.clusters[1].endpoints[0].weight, 3u);
  EXPECT_EQ(snapshot.shards.cpus.size(), 0u);

  std::FILE* file = std::fopen(RINGWAY_SOURCE_ROOT "/configs/full.yaml", "re");
  ASSERT_NE(file, nullptr);
  std::string text(64 * 1024, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file));
  std::fclose(file);
  for (const std::string key : {"count",
                                "cpus",
                                "accept",
                                "busy_poll",
                                "min_wait",
                                "napi",
                                "ring_entries",
                                "recv_buffers",
                                "memory",
                                "proxy_protocol",
                                "allow",
                                "deny",
                                "address",
                                "x_forwarded_for",
                                "x_forwarded_proto",
                                "routes",
                                "prefix",
                                "path",
                                "service",
                                "method",
                                "authority",
                                "headers",
                                "cluster",
                                "name",
                                "policy",
                                "endpoints",
                                "weight",
                                "per_shard",
                                "connect_timeout",
                                "interval",
                                "timeout",
                                "format",
                                "log_level",
                                "delay"}) {
    EXPECT_NE(text.find(key + ":"), std::string::npos) << key;
  }
  for_each_limit(snapshot.limits, [&](LimitId id, const auto&) {
    EXPECT_NE(text.find("\n  " + std::string(key_in_section(id)) + ": "), std::string::npos) << key_in_section(id);
  });
}

}  // namespace
}  // namespace ringway::config
