// The configuration file: YAML text onto a draft. file.cc has the frame, file_routing.cc listeners, routes and
// clusters, file_tls.cc their TLS.
#pragma once

#include <string>

#include "config/draft.h"
#include "config/report.h"

namespace ringway::config {

struct Element;

// Sets what `text` sets, leaves the rest of `draft` as it is, and reports all that is wrong.
void read_file(const std::string& text, Draft& draft, Report& report);

void read_listeners(const Element& list, Draft& draft, Report& report);
void read_clusters(const Element& list, Draft& draft, Report& report);
ListenerTlsDraft read_listener_tls(const Element& element, const std::string& directory, Report& report);
ClusterTlsDraft read_cluster_tls(const Element& element, const std::string& directory, Report& report);

}  // namespace ringway::config
