#include "config/draft.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "config/limit_fields.h"
#include "config/values.h"
#include "config/words.h"

namespace ringway::config {
namespace {

uint32_t initial32(LimitId id) {
  return static_cast<uint32_t>(initial(id));
}

void check_listed_cpus(const Draft& draft, const Host& host, Report& report) {
  std::vector<uint32_t> forbidden;
  std::ranges::copy_if(draft.cpus, std::back_inserter(forbidden),
                       [&](uint32_t cpu) { return !std::ranges::binary_search(host.cpus, cpu); });
  if (!forbidden.empty()) {
    report.add(draft.cpus_place, fmt::format("this process may not run on '{}', allowed: {}, or none",
                                             format_cpu_list(forbidden), format_cpu_list(host.cpus)));
  }
  if (draft.shard_count && *draft.shard_count > draft.cpus.size()) {
    report.add(draft.shard_count_place,
               fmt::format("'{}' shards are more than the CPUs listed ('{}'), allowed: up to {}, or a longer list",
                           *draft.shard_count, format_cpu_list(draft.cpus), draft.cpus.size()));
  }
}

// One CPU a shard: the listed ones, else the first that this process may run on. With more shards than CPUs nothing is
// pinned, because two pinned shards on one CPU only wait for each other.
void resolve_shards(const Draft& draft, const Host& host, ShardOptions& shards, Report& report) {
  if (draft.pinning == Pinning::kList) {
    check_listed_cpus(draft, host, report);
    shards.count = draft.shard_count.value_or(static_cast<uint32_t>(draft.cpus.size()));
    shards.cpus = draft.cpus;
  } else {
    shards.count = draft.shard_count.value_or(static_cast<uint32_t>(std::max<size_t>(1, host.cpus.size())));
    if (draft.pinning == Pinning::kAutomatic) shards.cpus = host.cpus;
  }
  if (shards.cpus.size() > shards.count) shards.cpus.resize(shards.count);
  if (shards.cpus.size() < shards.count) shards.cpus.clear();
}

// A field that is larger than its list cannot come: left out, the limit follows a smaller one of the list.
void resolve_limits(const Draft& draft, Limits& limits, Report& report) {
  if (limits.field_bytes <= limits.header_list_bytes) return;
  if (draft.field_place && report.is_clean()) {
    report.add(*draft.field_place, fmt::format("{} is more than limits.header_list, allowed: a size from {} to {}",
                                               quote(format_limited(LimitId::kField, limits.field_bytes)),
                                               format_limited(LimitId::kField, limit(LimitId::kField).minimum),
                                               format_limited(LimitId::kHeaderList, limits.header_list_bytes)));
  }
  limits.field_bytes = limits.header_list_bytes;
}

void check_listeners(const Draft& draft, Report& report) {
  if (draft.listeners.empty() && report.is_clean()) {
    report.add(
        draft.listeners_place,
        "there is nothing to listen on, allowed: --listen ADDR and --upstream ADDR, or --config FILE with listeners");
  }
  for (size_t i = 0; i < draft.listeners.size(); ++i) {
    const ListenerDraft& listener = draft.listeners[i];
    const bool has_lists = !listener.sources.allow.empty() || !listener.sources.deny.empty();
    if (listener.address.is_unix() && has_lists && listener.sources.proxy_protocol == ProxyProtocol::kOff) {
      report.add(listener.place,
                 fmt::format("the peers of {} have no network address for 'allow' and 'deny' to look at, allowed: with "
                             "proxy_protocol: optional or require",
                             quote(listener.address.text())));
    }
    // Each port 0 becomes another port.
    if (listener.address.port() == 0 && !listener.address.is_unix()) continue;
    for (size_t j = 0; j < i; ++j) {
      if (!(draft.listeners[j].address == listener.address)) continue;
      report.add(listener.place, fmt::format("{} is the address of another listener, allowed: each address once",
                                             quote(listener.address.text())));
      break;
    }
  }
}

void check_clusters(const Draft& draft, Report& report) {
  for (size_t i = 0; i < draft.clusters.size(); ++i) {
    const ClusterDraft& cluster = draft.clusters[i];
    const bool is_taken =
        std::any_of(draft.clusters.begin(), draft.clusters.begin() + static_cast<ptrdiff_t>(i),
                    [&](const ClusterDraft& other) { return other.config.name == cluster.config.name; });
    if (is_taken && !cluster.config.name.empty()) {
      report.add(cluster.place,
                 fmt::format("{} is the name of another cluster, allowed: each name once", quote(cluster.config.name)));
    }
  }
}

// What a mode does with the certificates of clients says nothing where none shows one.
void check_client_cert(const ListenerDraft& draft, const ListenerConfig& config, Report& report) {
  if (config.forwarded.client_cert == ClientCertHeader::kSanitize) return;
  if (config.tls && config.tls->client_certificate != ClientCertificate::kOff) return;
  report.add(draft.client_cert_place,
             fmt::format("the clients of this listener are not asked for a certificate, which {} is about, allowed: "
                         "sanitize, or with tls.client_ca: FILE",
                         quote(client_cert_text(config.forwarded.client_cert))));
}

std::string cluster_names(const Draft& draft) {
  std::vector<std::string> names;
  for (const ClusterDraft& cluster : draft.clusters) {
    if (!cluster.config.name.empty()) names.push_back(cluster.config.name);
  }
  return names.empty() ? "none, because no cluster is defined" : fmt::format("{}", fmt::join(names, ", "));
}

uint32_t resolve_cluster(const Draft& draft, const RouteDraft& route, Report& report) {
  const auto found =
      std::ranges::find(draft.clusters, route.cluster,
                        [](const ClusterDraft& cluster) -> const std::string& { return cluster.config.name; });
  if (found != draft.clusters.end()) return static_cast<uint32_t>(found - draft.clusters.begin());
  report.add(route.cluster_place,
             fmt::format("there is no cluster {}, allowed: {}", quote(route.cluster), cluster_names(draft)));
  return 0;
}

}  // namespace

Draft initial_draft() {
  Draft draft;
  Snapshot& snapshot = draft.snapshot;
  snapshot.shards.busy_poll_ns = initial(LimitId::kBusyPoll);
  snapshot.shards.min_wait_ns = initial(LimitId::kMinWait);
  snapshot.shards.napi_ns = initial(LimitId::kNapi);
  snapshot.shards.ring_entries = initial32(LimitId::kRingEntries);
  snapshot.shards.recv_buffers = initial32(LimitId::kRecvBuffers);
  snapshot.shards.memory_bytes = initial(LimitId::kMemory);
  snapshot.limits = initial_limits();
  snapshot.drain.delay_ns = initial(LimitId::kDrainDelay);
  snapshot.drain.timeout_ns = initial(LimitId::kDrainTimeout);
  return draft;
}

ClusterConfig initial_cluster(std::string name) {
  ClusterConfig cluster;
  cluster.name = std::move(name);
  cluster.connections_per_shard = initial32(LimitId::kPerShard);
  cluster.connect_timeout_ns = initial(LimitId::kConnectTimeout);
  cluster.keepalive_silence_ns = initial(LimitId::kKeepaliveSilence);
  cluster.keepalive_interval_ns = initial(LimitId::kKeepaliveInterval);
  cluster.keepalive_timeout_ns = initial(LimitId::kKeepaliveTimeout);
  return cluster;
}

std::string route_name(const RouteConfig& route) {
  std::string name = "*";
  if (route.path_match == PathMatch::kPrefix) name = route.path + "*";
  if (route.path_match == PathMatch::kExact) name = route.path;
  if (!route.authority.empty()) name += " authority=" + route.authority;
  for (const auto& [header, value] : route.headers) name += fmt::format(" {}={}", header, value);
  return name;
}

Snapshot resolve(Draft draft, const Host& host, Report& report) {
  resolve_shards(draft, host, draft.snapshot.shards, report);
  resolve_limits(draft, draft.snapshot.limits, report);
  check_listeners(draft, report);
  check_clusters(draft, report);

  Snapshot snapshot = std::move(draft.snapshot);
  for (const ListenerDraft& listener : draft.listeners) {
    ListenerConfig& config = snapshot.listeners.emplace_back();
    config.address = listener.address;
    if (listener.tls) config.tls = resolve_tls(*listener.tls, report);
    config.sources = listener.sources;
    config.forwarded = listener.forwarded;
    check_client_cert(listener, config, report);
    for (const RouteDraft& route : listener.routes) {
      RouteConfig& resolved = config.routes.emplace_back(route.config);
      resolved.cluster = resolve_cluster(draft, route, report);
      resolved.name = route_name(resolved);
    }
  }
  for (const ClusterDraft& cluster : draft.clusters) {
    ClusterConfig& config = snapshot.clusters.emplace_back(cluster.config);
    if (cluster.tls) config.tls = resolve_tls(*cluster.tls, config.endpoints, report);
  }
  return snapshot;
}

}  // namespace ringway::config
