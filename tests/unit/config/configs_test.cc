// The examples in configs/ load, and mean what they say.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>

#include "config/limit_fields.h"
#include "config/print.h"
#include "reading.h"

namespace ringway::config {
namespace {

constexpr const char* kFolder = RINGWAY_SOURCE_ROOT "/configs";

std::string text_of(const std::string& name) {
  std::ifstream file(fmt::format("{}/{}", kFolder, name));
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// Not with load(): the certificates are there only when scripts/make-certs has run.
Snapshot load_example(const std::string& name) {
  const Reading reading = read_text(text_of(name), kEightCpus, kFolder);
  EXPECT_EQ(reading.report, "") << name;
  EXPECT_EQ(read_text(to_yaml(reading.snapshot)).snapshot, reading.snapshot);
  return reading.snapshot;
}

std::string in_folder(const std::string& file) {
  return fmt::format("{}/cert/{}", kFolder, file);
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

const std::vector<CertificateFiles> kServerFiles = {{in_folder("server-cert.pem"), in_folder("server-key.pem")}};

TEST(Configs, TlsInFrontOfCleartext) {
  const Snapshot snapshot = load_example("tls-front.yaml");
  ASSERT_EQ(snapshot.listeners.size(), 1u);
  ASSERT_TRUE(snapshot.listeners[0].tls.has_value());
  EXPECT_EQ(snapshot.listeners[0].tls->certificates, kServerFiles);
  EXPECT_EQ(snapshot.listeners[0].tls->client_certificate, ClientCertificate::kOff);
  Snapshot cleartext = snapshot;
  cleartext.listeners[0].tls.reset();
  EXPECT_EQ(cleartext, load_example("cleartext.yaml")) << "the rest is the same";
}

TEST(Configs, TlsOnBothSides) {
  const Snapshot snapshot = load_example("tls-both.yaml");
  ASSERT_EQ(snapshot.clusters.size(), 1u);
  ASSERT_TRUE(snapshot.clusters[0].tls.has_value());
  EXPECT_EQ(*snapshot.clusters[0].tls, (ClusterTls{in_folder("ca-cert.pem"), "", "", "", ""}));
  Snapshot front = snapshot;
  front.clusters[0].tls.reset();
  EXPECT_EQ(front, load_example("tls-front.yaml")) << "the rest is the same";
}

TEST(Configs, MutualTlsRoutesByService) {
  const Snapshot snapshot = load_example("mutual-tls.yaml");
  ASSERT_EQ(snapshot.listeners.size(), 1u);
  ASSERT_TRUE(snapshot.listeners[0].tls.has_value());
  EXPECT_EQ(snapshot.listeners[0].tls->certificates, kServerFiles);
  EXPECT_EQ(snapshot.listeners[0].tls->client_certificate, ClientCertificate::kRequire);
  EXPECT_EQ(snapshot.listeners[0].tls->client_ca, in_folder("ca-cert.pem"));
  Snapshot cleartext = snapshot;
  cleartext.listeners[0].tls.reset();
  for (ClusterConfig& cluster : cleartext.clusters) {
    EXPECT_EQ(cluster.tls, (ClusterTls{in_folder("ca-cert.pem"), in_folder("client-cert.pem"),
                                       in_folder("client-key.pem"), "", ""}));
    cluster.tls.reset();
  }
  EXPECT_EQ(cleartext, load_example("course-routed.yaml")) << "the rest is the same";
}

// full.yaml claims to have every key of this version.
TEST(Configs, FullHasEveryKey) {
  const Snapshot snapshot = load_example("full.yaml");
  EXPECT_EQ(snapshot.listeners.size(), 3u);
  EXPECT_EQ(snapshot.clusters.size(), 3u);
  EXPECT_TRUE(snapshot.listeners[0].forwarded.x_forwarded_proto);
  EXPECT_EQ(snapshot.clusters[1].endpoints[0].weight, 3u);
  EXPECT_EQ(snapshot.shards.cpus.size(), 0u);

  const std::string text = text_of("full.yaml");
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
                                "tls",
                                "certificates",
                                "certificate",
                                "private_key",
                                "client_ca",
                                "client_certificate",
                                "crl",
                                "tickets",
                                "rotate",
                                "ca",
                                "server_name",
                                "client_cert",
                                "ktls",
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
                                "header_compression",
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
