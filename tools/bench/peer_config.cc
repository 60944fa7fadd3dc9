#include "peer_config.h"

#include <fmt/format.h>

namespace ringway::bench {

namespace {

// Room for the idle connections of the memory measurement (10,000) and those to the origin.
constexpr int kConnections_max = 24'000;
// ringway's own defaults for windows (stream, connection), so that no proxy waits more often for credit than another.
constexpr int kStreamWindow_bytes = 256 * 1024;
constexpr int kConnectionWindow_bytes = 4 * 1024 * 1024;
constexpr int kStreams_max = 1024;
// Of TLS 1.3: what ringway and its generator agree on.
constexpr const char* kSuite = "TLS_AES_128_GCM_SHA256";

}  // namespace

std::string haproxy_config(uint16_t port, const std::vector<std::string>& origins, const Certificates* tls) {
  const std::string protocol =
      tls == nullptr ? "proto h2" : fmt::format("ssl crt {} alpn h2 ciphersuites {}", tls->pair, kSuite);
  std::string config = fmt::format(
      "global\n"
      "  nbthread 1\n"
      "  maxconn {}\n"
      "  no strict-limits\n"
      "  tune.h2.max-concurrent-streams {}\n"
      "  tune.h2.initial-window-size {}\n"
      "defaults\n"
      "  mode http\n"
      "  timeout connect 5s\n"
      "  timeout client 1h\n"
      "  timeout server 1h\n"
      "  timeout http-keep-alive 1h\n"
      "  http-reuse always\n"
      "frontend downstream\n"
      "  bind 127.0.0.1:{} {}\n"
      "  default_backend origins\n"
      "backend origins\n"
      "  balance roundrobin\n",
      kConnections_max, kStreams_max, kStreamWindow_bytes, port, protocol);
  // No max-reuse and no pool limit: a connection to the origin serves any number of streams, idle ones are all kept.
  for (size_t index = 0; index < origins.size(); ++index) {
    config += fmt::format("  server origin{} {} proto h2 pool-purge-delay 1h\n", index, origins[index]);
  }
  return config;
}

std::string nginx_config(uint16_t port, const std::vector<std::string>& origins, const std::string& directory,
                         bool is_root, const Certificates* tls) {
  std::string servers;
  for (const std::string& origin : origins) servers += fmt::format("    server {} max_fails=0;\n", origin);
  const std::string settings = tls == nullptr
                                   ? ""
                                   : fmt::format(
                                         "    ssl_certificate {};\n    ssl_certificate_key {};\n"
                                         "    ssl_protocols TLSv1.2 TLSv1.3;\n    ssl_conf_command Ciphersuites {};\n",
                                         tls->certificate, tls->private_key, kSuite);
  return fmt::format(
      // Workers of a root-started nginx would otherwise be another user, who may not enter the scratch directory.
      "{user}"
      "worker_processes 1;\n"
      "daemon off;\n"
      "pid {directory}/nginx.pid;\n"
      "error_log stderr error;\n"
      "events {{ worker_connections {connections}; }}\n"
      "http {{\n"
      "  access_log off;\n"
      "  client_body_temp_path {directory};\n"
      "  proxy_temp_path {directory};\n"
      "  fastcgi_temp_path {directory};\n"
      "  uwsgi_temp_path {directory};\n"
      "  scgi_temp_path {directory};\n"
      "  client_max_body_size 0;\n"
      "  keepalive_requests 1000000000;\n"
      "  keepalive_timeout 1h;\n"
      "  http2_max_concurrent_streams {streams};\n"
      "  upstream origins {{\n"
      "{servers}"
      "    keepalive 1024;\n"
      "    keepalive_requests 1000000000;\n"
      "    keepalive_timeout 1h;\n"
      "  }}\n"
      "  server {{\n"
      "    listen 127.0.0.1:{port}{ssl} http2 backlog=4096;\n"
      "{settings}"
      "    location / {{\n"
      "      grpc_pass grpc://origins;\n"
      "      grpc_read_timeout 1h;\n"
      "      grpc_send_timeout 1h;\n"
      "    }}\n"
      "  }}\n"
      "}}\n",
      fmt::arg("user", is_root ? "user root;\n" : ""), fmt::arg("connections", 2 * kConnections_max),
      fmt::arg("directory", directory), fmt::arg("streams", kStreams_max), fmt::arg("servers", servers),
      fmt::arg("port", port), fmt::arg("ssl", tls == nullptr ? "" : " ssl"), fmt::arg("settings", settings));
}

std::vector<std::string> nghttpx_arguments(uint16_t port, const std::vector<std::string>& origins,
                                           const Certificates* tls) {
  std::vector<std::string> arguments{
      "--conf=/dev/null",
      "--workers=1",
      fmt::format("--frontend=127.0.0.1,{}{}", port, tls == nullptr ? ";no-tls" : ""),
      "--no-via",
      "--no-server-rewrite",
      "--no-location-rewrite",
      "--no-add-x-forwarded-proto",
      "--no-strip-incoming-x-forwarded-proto",
      "--errorlog-file=/dev/stderr",
      "--log-level=ERROR",
      "--backlog=4096",
      fmt::format("--frontend-http2-max-concurrent-streams={}", kStreams_max),
      fmt::format("--backend-http2-max-concurrent-streams={}", kStreams_max),
      fmt::format("--frontend-http2-window-size={}", kStreamWindow_bytes),
      fmt::format("--frontend-http2-connection-window-size={}", kConnectionWindow_bytes),
      fmt::format("--backend-http2-window-size={}", kStreamWindow_bytes),
      fmt::format("--backend-http2-connection-window-size={}", kConnectionWindow_bytes),
      // An origin that answers is never given up, idle connections stay.
      "--frontend-http2-read-timeout=1h",
      "--frontend-keep-alive-timeout=1h",
      "--backend-keep-alive-timeout=1h",
      "--backend-read-timeout=1h",
      "--backend-write-timeout=1h",
  };
  if (tls != nullptr) {
    arguments.push_back(fmt::format("--tls13-ciphers={}", kSuite));
    arguments.push_back(tls->private_key);
    arguments.push_back(tls->certificate);
  }
  for (const std::string& origin : origins) {
    const size_t colon = origin.rfind(':');
    arguments.push_back(fmt::format("--backend={},{};;proto=h2", origin.substr(0, colon), origin.substr(colon + 1)));
  }
  return arguments;
}

}  // namespace ringway::bench
