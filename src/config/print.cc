#include "config/print.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include "config/limit_fields.h"
#include "config/values.h"
#include "config/words.h"

namespace ringway::config {
namespace {

using YAML::Emitter;

void pair(Emitter& out, std::string_view key, std::string_view value) {
  out << YAML::Key << std::string(key) << YAML::Value << std::string(value);
}

void pair(Emitter& out, std::string_view key, LimitId id, uint64_t value) {
  pair(out, key, format_limited(id, value));
}

// Text of a user's choice: quoted, because it may look like anything.
void quoted_pair(Emitter& out, const char* key, const std::string& value) {
  out << YAML::Key << key << YAML::Value << YAML::DoubleQuoted << value;
}

void begin(Emitter& out, const char* key) {
  out << YAML::Key << key << YAML::Value << YAML::BeginMap;
}

void print_shards(Emitter& out, const ShardOptions& shards) {
  begin(out, "shards");
  pair(out, "count", LimitId::kShardCount, shards.count);
  pair(out, "cpus", shards.cpus.empty() ? "none" : format_cpu_list(shards.cpus));
  pair(out, "accept", accept_text(shards.accept));
  pair(out, "busy_poll", LimitId::kBusyPoll, shards.busy_poll_ns);
  pair(out, "min_wait", LimitId::kMinWait, shards.min_wait_ns);
  pair(out, "napi", LimitId::kNapi, shards.napi_ns);
  pair(out, "ring_entries", LimitId::kRingEntries, shards.ring_entries);
  pair(out, "recv_buffers", LimitId::kRecvBuffers, shards.recv_buffers);
  pair(out, "memory", LimitId::kMemory, shards.memory_bytes);
  pair(out, "ktls", ktls_text(shards.ktls));
  out << YAML::EndMap;
}

void print_limits(Emitter& out, const Limits& limits) {
  begin(out, "limits");
  for_each_limit(limits, [&out](LimitId id, const auto& value) { pair(out, key_in_section(id), id, value); });
  out << YAML::EndMap;
}

void print_route(Emitter& out, const RouteConfig& route, const Snapshot& snapshot) {
  out << YAML::BeginMap << YAML::Key << "match" << YAML::Value << YAML::Flow << YAML::BeginMap;
  if (route.path_match == PathMatch::kPrefix) quoted_pair(out, "prefix", route.path);
  if (route.path_match == PathMatch::kExact) quoted_pair(out, "path", route.path);
  if (!route.authority.empty()) quoted_pair(out, "authority", route.authority);
  if (!route.headers.empty()) {
    out << YAML::Key << "headers" << YAML::Value << YAML::Flow << YAML::BeginMap;
    for (const auto& [name, value] : route.headers) {
      out << YAML::Key << YAML::DoubleQuoted << name << YAML::Value << YAML::DoubleQuoted << value;
    }
    out << YAML::EndMap;
  }
  out << YAML::EndMap;
  pair(out, "cluster", snapshot.clusters[route.cluster].name);
  out << YAML::EndMap;
}

void print_networks(Emitter& out, const char* key, const std::vector<io::Network>& networks) {
  if (networks.empty()) return;
  out << YAML::Key << key << YAML::Value << YAML::Flow << YAML::BeginSeq;
  for (const io::Network& network : networks) out << YAML::DoubleQuoted << network.text();
  out << YAML::EndSeq;
}

void file_pair(Emitter& out, const char* key, const std::string& path) {
  if (!path.empty()) quoted_pair(out, key, path);
}

void print_listener_tls(Emitter& out, const ListenerTls& tls) {
  begin(out, "tls");
  out << YAML::Key << "certificates" << YAML::Value << YAML::BeginSeq;
  for (const CertificateFiles& files : tls.certificates) {
    out << YAML::BeginMap;
    file_pair(out, "certificate", files.certificate);
    file_pair(out, "private_key", files.private_key);
    out << YAML::EndMap;
  }
  out << YAML::EndSeq;
  file_pair(out, "client_ca", tls.client_ca);
  pair(out, "client_certificate", client_certificate_text(tls.client_certificate));
  file_pair(out, "crl", tls.crl);
  begin(out, "tickets");
  pair(out, "rotate", LimitId::kTicketRotation, tls.ticket_rotation_ns);
  out << YAML::EndMap << YAML::EndMap;
}

void print_cluster_tls(Emitter& out, const ClusterTls& tls) {
  begin(out, "tls");
  file_pair(out, "ca", tls.ca);
  file_pair(out, "certificate", tls.certificate);
  file_pair(out, "private_key", tls.private_key);
  file_pair(out, "crl", tls.crl);
  if (!tls.server_name.empty()) quoted_pair(out, "server_name", tls.server_name);
  out << YAML::EndMap;
}

void print_listener(Emitter& out, const ListenerConfig& listener, const Snapshot& snapshot) {
  out << YAML::BeginMap;
  pair(out, "address", listener.address.text());
  pair(out, "proxy_protocol", proxy_protocol_text(listener.sources.proxy_protocol));
  print_networks(out, "allow", listener.sources.allow);
  print_networks(out, "deny", listener.sources.deny);
  if (listener.tls) print_listener_tls(out, *listener.tls);
  begin(out, "forwarded");
  pair(out, "x_forwarded_for", listener.forwarded.x_forwarded_for ? "append" : "off");
  pair(out, "x_forwarded_proto", listener.forwarded.x_forwarded_proto ? "true" : "false");
  pair(out, "client_cert", client_cert_text(listener.forwarded.client_cert));
  out << YAML::EndMap << YAML::Key << "routes" << YAML::Value << YAML::BeginSeq;
  for (const RouteConfig& route : listener.routes) print_route(out, route, snapshot);
  out << YAML::EndSeq << YAML::EndMap;
}

void print_cluster(Emitter& out, const ClusterConfig& cluster) {
  out << YAML::BeginMap;
  pair(out, "name", cluster.name);
  pair(out, "policy", policy_text(cluster.policy));
  pair(out, "header_compression", header_compression_text(cluster.header_compression));
  out << YAML::Key << "endpoints" << YAML::Value << YAML::BeginSeq;
  for (const EndpointConfig& endpoint : cluster.endpoints) {
    out << YAML::BeginMap;
    pair(out, "address", endpoint.address.text());
    pair(out, "weight", LimitId::kWeight, endpoint.weight);
    out << YAML::EndMap;
  }
  out << YAML::EndSeq;
  if (cluster.tls) print_cluster_tls(out, *cluster.tls);
  begin(out, "connections");
  pair(out, "per_shard", LimitId::kPerShard, cluster.connections_per_shard);
  pair(out, "connect_timeout", LimitId::kConnectTimeout, cluster.connect_timeout_ns);
  begin(out, "keepalive");
  pair(out, "silence", LimitId::kKeepaliveSilence, cluster.keepalive_silence_ns);
  pair(out, "interval", LimitId::kKeepaliveInterval, cluster.keepalive_interval_ns);
  pair(out, "timeout", LimitId::kKeepaliveTimeout, cluster.keepalive_timeout_ns);
  out << YAML::EndMap << YAML::EndMap << YAML::EndMap;
}

}  // namespace

std::string to_yaml(const Snapshot& snapshot) {
  Emitter out;
  out << YAML::BeginMap;
  print_shards(out, snapshot.shards);
  print_limits(out, snapshot.limits);
  out << YAML::Key << "listeners" << YAML::Value << YAML::BeginSeq;
  for (const ListenerConfig& listener : snapshot.listeners) print_listener(out, listener, snapshot);
  out << YAML::EndSeq;
  if (!snapshot.clusters.empty()) {
    out << YAML::Key << "clusters" << YAML::Value << YAML::BeginSeq;
    for (const ClusterConfig& cluster : snapshot.clusters) print_cluster(out, cluster);
    out << YAML::EndSeq;
  }
  begin(out, "access_log");
  pair(out, "path", snapshot.access_log.path.empty() ? "off" : snapshot.access_log.path);
  pair(out, "format", access_log_format_text(snapshot.access_log.format));
  out << YAML::EndMap;
  pair(out, "log_level", log_level_text(snapshot.log_level));
  begin(out, "drain");
  pair(out, "delay", LimitId::kDrainDelay, snapshot.drain.delay_ns);
  pair(out, "timeout", LimitId::kDrainTimeout, snapshot.drain.timeout_ns);
  out << YAML::EndMap << YAML::EndMap;
  return std::string(out.c_str()) + "\n";
}

}  // namespace ringway::config
