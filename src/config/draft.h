// What file and flags have said so far, before names are resolved and the machine is looked at. Every value here is in
// its range already; each thing that a later check may refuse carries its place.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/report.h"
#include "config/snapshot.h"
#include "config/tls_draft.h"

namespace ringway::config {

struct RouteDraft {
  RouteConfig config;
  std::string cluster;  // by name; an index once resolved
  Place cluster_place;
};

struct ListenerDraft {
  io::Address address;
  Place place;
  SourceOptions sources;
  std::optional<ListenerTlsDraft> tls;
  ForwardedOptions forwarded;
  Place client_cert_place;  // of forwarded.client_cert
  std::vector<RouteDraft> routes;
};

struct ClusterDraft {
  ClusterConfig config;  // all but tls
  Place place;           // of the name
  std::optional<ClusterTlsDraft> tls;
};

enum class Pinning : uint8_t { kAutomatic, kNone, kList };

struct Draft {
  std::string directory;                // of the file, absolute: where its relative file names begin
  Snapshot snapshot;                    // all but shards.count, shards.cpus, listeners and clusters
  std::optional<uint32_t> shard_count;  // nothing: auto
  Place shard_count_place;
  Pinning pinning = Pinning::kAutomatic;
  std::vector<uint32_t> cpus;  // with kList
  Place cpus_place;
  std::optional<Place> field_place;  // of limits.field; nothing: left out
  Place listeners_place;             // where they are missed when there are none
  std::vector<ListenerDraft> listeners;
  std::vector<ClusterDraft> clusters;
};

// All defaults of the limits table applied.
Draft initial_draft();
ClusterConfig initial_cluster(std::string name);

// The machine, as far as a configuration depends on it.
struct Host {
  std::vector<uint32_t> cpus;  // those this process may run on, ascending
};

// Checks what concerns more than one value and makes the snapshot. Only meaningful when `report` is clean afterwards.
Snapshot resolve(Draft draft, const Host& host, Report& report);

// For logs and statistics: "/pkg.Service/*", "/pkg.Service/Method", "*", with the authority and the headers behind it.
std::string route_name(const RouteConfig& route);

}  // namespace ringway::config
