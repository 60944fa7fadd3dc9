// A listener and its routes as one shard knows them: where calls go, and what their hops took.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "config/snapshot.h"
#include "routing/route_table.h"
#include "stats/histogram.h"

namespace ringway::proxy {

class Cluster;

struct Route {
  Cluster* cluster;
  const config::ForwardedOptions* forwarded;   // of the listener
  bool writes_forwarded;                       // it has any
  std::unique_ptr<stats::Histogram> hop_time;  // made at the first call
};

struct Listener {
  Listener(const config::ListenerConfig& listener_config, const io::Address& bound)
      : config(listener_config),
        name(bound.text()),
        table(listener_config.routes),
        has_several_certificates(listener_config.tls && listener_config.tls->certificates.size() > 1),
        takes_all(table.is_catch_all() && !has_several_certificates) {}

  const config::ListenerConfig& config;
  std::string name;  // the address that clients connect to
  routing::RouteTable table;
  bool has_several_certificates;  // a connection is for the names of one of them
  bool takes_all;                 // every request goes by the first route, nothing of it is looked at
  std::vector<Route> routes;      // in the table's order
};

}  // namespace ringway::proxy
