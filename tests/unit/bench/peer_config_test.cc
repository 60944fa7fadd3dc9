#include "peer_config.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace ringway::bench {
namespace {

const std::vector<std::string> kOrigins{"127.0.0.1:1001", "127.0.0.1:1002"};

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(PeerConfig, HaproxySpeaksHttp2OnBothSidesWithOneThread) {
  const std::string config = haproxy_config(1000, kOrigins);
  EXPECT_TRUE(contains(config, "nbthread 1\n"));
  EXPECT_TRUE(contains(config, "bind 127.0.0.1:1000 proto h2\n"));
  EXPECT_TRUE(contains(config, "http-reuse always\n"));
  EXPECT_TRUE(contains(config, "server origin0 127.0.0.1:1001 proto h2"));
  EXPECT_TRUE(contains(config, "server origin1 127.0.0.1:1002 proto h2"));
  EXPECT_FALSE(contains(config, "log"));
}

TEST(PeerConfig, NginxKeepsItsUpstreamConnections) {
  const std::string config = nginx_config(1000, kOrigins, "/scratch", false);
  EXPECT_TRUE(contains(config, "worker_processes 1;\n"));
  EXPECT_TRUE(contains(config, "access_log off;\n"));
  EXPECT_TRUE(contains(config, "listen 127.0.0.1:1000 http2"));
  EXPECT_TRUE(contains(
      config, "server 127.0.0.1:1001 max_fails=0;\n    server 127.0.0.1:1002 max_fails=0;\n    keepalive 1024;\n"));
  EXPECT_TRUE(contains(config, "grpc_pass grpc://origins;\n"));
  EXPECT_FALSE(contains(config, "user root"));
  EXPECT_TRUE(nginx_config(1000, kOrigins, "/scratch", true).starts_with("user root;\n"));
}

TEST(PeerConfig, NghttpxHasEveryOriginAsCleartextHttp2) {
  const std::vector<std::string> arguments = nghttpx_arguments(1000, kOrigins);
  for (const char* expected : {"--workers=1", "--no-via", "--frontend=127.0.0.1,1000;no-tls",
                               "--backend=127.0.0.1,1001;;proto=h2", "--backend=127.0.0.1,1002;;proto=h2"}) {
    EXPECT_NE(std::find(arguments.begin(), arguments.end(), expected), arguments.end()) << expected;
  }
}

TEST(PeerConfig, WithTlsAllHaveTheOneCipher) {
  const Certificates tls{.ca = "/ca", .certificate = "/cert", .private_key = "/key", .pair = "/pair"};
  const std::string haproxy = haproxy_config(1000, kOrigins, &tls);
  EXPECT_TRUE(contains(haproxy, "bind 127.0.0.1:1000 ssl crt /pair alpn h2 ciphersuites TLS_AES_128_GCM_SHA256\n"));
  EXPECT_TRUE(contains(haproxy, "server origin0 127.0.0.1:1001 proto h2"));
  const std::string nginx = nginx_config(1000, kOrigins, "/scratch", false, &tls);
  EXPECT_TRUE(contains(nginx, "listen 127.0.0.1:1000 ssl http2"));
  EXPECT_TRUE(contains(nginx, "ssl_certificate /cert;\n    ssl_certificate_key /key;\n"));
  EXPECT_TRUE(contains(nginx, "ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;\n"));
  EXPECT_TRUE(contains(nginx, "grpc_pass grpc://origins;\n"));
  EXPECT_FALSE(contains(nginx_config(1000, kOrigins, "/scratch", false), "ssl"));
  const std::vector<std::string> nghttpx = nghttpx_arguments(1000, kOrigins, &tls);
  for (const char* expected :
       {"--frontend=127.0.0.1,1000", "--tls13-ciphers=TLS_AES_128_GCM_SHA256", "/key", "/cert"}) {
    EXPECT_NE(std::find(nghttpx.begin(), nghttpx.end(), expected), nghttpx.end()) << expected;
  }
}

TEST(KernelTls, IsAWordOfItsOwn) {
  EXPECT_TRUE(lists_tls("espintcp mptcp tls\n"));
  EXPECT_TRUE(lists_tls("tls"));
  EXPECT_FALSE(lists_tls("mptcp\n"));
  EXPECT_FALSE(lists_tls("nottls tlsx"));
  EXPECT_FALSE(lists_tls(""));
}

}  // namespace
}  // namespace ringway::bench
