// Listeners, routes and clusters of the configuration file.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "config/document.h"
#include "config/file.h"
#include "config/limits.h"
#include "config/values.h"
#include "config/words.h"

namespace ringway::config {
namespace {

constexpr std::string_view kPathWords = "a path that starts with '/' and has no spaces";
constexpr std::string_view kServiceWords = "a name as package.Service, without '/'";
constexpr std::string_view kMethodWords = "a name as Method, without '/'";
constexpr std::string_view kAuthorityWords = "a host name, with or without a port";
constexpr std::string_view kHeaderValueWords = "visible ASCII, spaces only inside";
constexpr std::string_view kHeaderNameWords = "letters, digits and !#$%&'*+-.^_`|~";
constexpr std::string_view kClusterNameWords = "letters, digits, '_', '-' and '.', up to 64 of them";
constexpr std::string_view kHeadersWords = "a map of header names to values";
constexpr std::string_view kRoutesWords = "a list of at least one {match, cluster}";
constexpr std::string_view kNetworkWords = "an IPv4 or IPv6 network, as 10.0.0.0/8, fd00::/8 or 192.0.2.7";
constexpr std::string_view kNetworksWords = "a list of at least one network, as [10.0.0.0/8]";
constexpr size_t kClusterNameLength = 64;

bool is_visible(char byte) {
  return byte > 0x20 && byte < 0x7f;
}
bool is_alphanumeric(char byte) {
  return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9');
}

bool is_visible_text(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, is_visible);
}

bool is_segment(std::string_view text) {
  return is_visible_text(text) && text.find('/') == std::string_view::npos;
}

// RFC 9110 section 5.6.2.
bool is_header_name(std::string_view text) {
  static constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::ranges::all_of(text, [](char byte) {
    return is_alphanumeric(byte) || kMarks.find(byte) != std::string_view::npos;
  });
}

// RFC 9113 section 8.2.1: no white space at either end; what lies beyond ASCII cannot be typed reliably.
bool is_header_value(std::string_view text) {
  if (text.empty()) return true;
  return is_visible(text.front()) && is_visible(text.back()) &&
         std::ranges::all_of(text, [](char byte) { return is_visible(byte) || byte == ' ' || byte == '\t'; });
}

bool is_cluster_name(std::string_view text) {
  return !text.empty() && text.size() <= kClusterNameLength && std::ranges::all_of(text, [](char byte) {
    return is_alphanumeric(byte) || byte == '_' || byte == '-' || byte == '.';
  });
}

// A text that `is_good`; reports others as "'text' is not `noun`".
std::optional<std::string> checked_text(const std::optional<Element>& element, Report& report,
                                        bool (*is_good)(std::string_view), std::string_view noun,
                                        std::string_view allowed) {
  if (!element) return std::nullopt;
  auto text = scalar(*element, report, allowed);
  if (!text || is_good(*text)) return text;
  report.add(element->place, fmt::format("{} is not {}, allowed: {}", quote(*text), noun, allowed));
  return std::nullopt;
}

std::optional<std::string> read_path(const std::optional<Element>& element, Report& report) {
  return checked_text(
      element, report, [](std::string_view text) { return text.starts_with('/') && is_visible_text(text); }, "a path",
      kPathWords);
}

// prefix, path, service, or service and method: one of them, or none for any path.
void read_path_match(const Map& map, RouteConfig& route, Report& report) {
  constexpr std::array<std::string_view, 3> kWays = {"prefix", "path", "service"};
  std::string_view chosen;
  for (const std::string_view way : kWays) {
    const auto element = map.find(way);
    if (!element) continue;
    if (!chosen.empty()) {
      report.add(element->place,
                 fmt::format("'{}' stands beside '{}', allowed: one of prefix, path, service", way, chosen));
      return;
    }
    chosen = way;
  }
  const auto method_element = map.find("method");
  const auto method = checked_text(method_element, report, is_segment, "a method", kMethodWords);
  if (method_element && chosen != "service") {
    report.add(method_element->place, "'method' stands without 'service', allowed: service and method, or path");
    return;
  }
  if (const auto prefix = read_path(map.find("prefix"), report)) {
    route.path_match = PathMatch::kPrefix;
    route.path = *prefix;
  }
  if (const auto path = read_path(map.find("path"), report)) {
    route.path_match = PathMatch::kExact;
    route.path = *path;
  }
  if (const auto service = checked_text(map.find("service"), report, is_segment, "a service", kServiceWords)) {
    route.path_match = method ? PathMatch::kExact : PathMatch::kPrefix;
    route.path = fmt::format("/{}/{}", *service, method.value_or(""));
  }
}

void read_headers(const Element& element, RouteConfig& route, Report& report) {
  for (const auto& [written, value_element] : free_pairs(element, report, kHeadersWords)) {
    std::string name = written;
    std::ranges::transform(name, name.begin(), [](char byte) {
      return byte >= 'A' && byte <= 'Z' ? static_cast<char>(byte - 'A' + 'a') : byte;
    });
    if (!is_header_name(name)) {
      report.add(value_element.place,
                 fmt::format("{} is not a header name, allowed: {}", quote(written), kHeaderNameWords));
      continue;
    }
    const bool is_taken = std::ranges::any_of(route.headers, [&](const auto& header) { return header.first == name; });
    if (is_taken) {
      report.add(value_element.place,
                 fmt::format("the header {} is given twice, allowed: each name once", quote(written)));
      continue;
    }
    const auto value = checked_text(value_element, report, is_header_value, "a header value", kHeaderValueWords);
    if (value) route.headers.emplace_back(std::move(name), *value);
  }
}

void read_match(const Element& element, RouteConfig& route, Report& report) {
  const Map map(element, report, {"prefix", "path", "service", "method", "authority", "headers"});
  read_path_match(map, route, report);
  const auto is_authority = [](std::string_view text) {
    return is_segment(text) && text.find('@') == std::string_view::npos;
  };
  if (auto authority = checked_text(map.find("authority"), report, is_authority, "an authority", kAuthorityWords)) {
    route.authority = *std::move(authority);
  }
  if (const auto headers = map.find("headers")) read_headers(*headers, route, report);
}

std::optional<RouteDraft> read_route(const Element& element, Report& report) {
  const Map map(element, report, {"match", "cluster"}, {"split", "mirror", "timeout", "idle_timeout", "retry", "hash"});
  RouteDraft route;
  if (const auto match = map.find("match")) read_match(*match, route.config, report);
  const auto cluster = map.require("cluster", "the name of a cluster");
  const auto name = cluster ? scalar(*cluster, report, "the name of a cluster") : std::nullopt;
  if (!name) return std::nullopt;
  route.cluster = *name;
  route.cluster_place = cluster->place;
  return route;
}

void read_forwarded(const Element& element, ListenerDraft& listener, Report& report) {
  const Map map(element, report, {"x_forwarded_for", "x_forwarded_proto", "client_cert"});
  ForwardedOptions& forwarded = listener.forwarded;
  read_value(map.find("x_forwarded_for"), report, kForwardedForWords, parse_forwarded_for, forwarded.x_forwarded_for);
  read_value(map.find("x_forwarded_proto"), report, kBooleanWords, parse_switch, forwarded.x_forwarded_proto);
  if (const auto client_cert = map.find("client_cert")) {
    listener.client_cert_place = client_cert->place;
    read_value(client_cert, report, kClientCertWords, parse_client_cert, forwarded.client_cert);
  }
}

void read_networks(const std::optional<Element>& element, std::vector<io::Network>& networks, Report& report) {
  if (!element) return;
  for (const Element& item : items(*element, report, kNetworksWords)) {
    const size_t count_before = report.count();
    io::Network network;
    read_value(item, report, kNetworkWords, parse_network, network);
    if (report.count() == count_before) networks.push_back(network);
  }
}

void read_sources(const Map& map, SourceOptions& sources, Report& report) {
  read_value(map.find("proxy_protocol"), report, kProxyProtocolWords, parse_proxy_protocol, sources.proxy_protocol);
  read_networks(map.find("allow"), sources.allow, report);
  read_networks(map.find("deny"), sources.deny, report);
}

void read_listener(const Element& element, Draft& draft, Report& report) {
  const Map map(element, report, {"address", "proxy_protocol", "allow", "deny", "tls", "forwarded", "routes"});
  ListenerDraft listener;
  const size_t count_before = report.count();
  const auto address = map.require("address", kAddressWords);
  read_value(address, report, kAddressWords, parse_listen_address, listener.address);
  const bool has_address = report.count() == count_before;
  if (address) listener.place = address->place;
  read_sources(map, listener.sources, report);
  if (const auto tls = map.find("tls")) listener.tls = read_listener_tls(*tls, draft.directory, report);
  if (const auto forwarded = map.find("forwarded")) read_forwarded(*forwarded, listener, report);
  if (const auto routes = map.require("routes", kRoutesWords)) {
    for (const Element& item : items(*routes, report, kRoutesWords)) {
      if (auto route = read_route(item, report)) listener.routes.push_back(*std::move(route));
    }
  }
  // A listener without address would only be reported once more, as a duplicate of another one.
  if (has_address) draft.listeners.push_back(std::move(listener));
}

void read_endpoint(const Element& element, ClusterConfig& cluster, Report& report) {
  const Map map(element, report, {"address", "weight"}, {"locality", "priority"});
  EndpointConfig endpoint;
  endpoint.weight = static_cast<uint32_t>(initial(LimitId::kWeight));
  read_limited(map.find("weight"), report, LimitId::kWeight, endpoint.weight);
  const auto address = map.require("address", kAddressWords);
  const size_t count_before = report.count();
  read_value(address, report, kAddressWords, parse_endpoint_address, endpoint.address);
  if (!address || report.count() != count_before) return;
  const bool is_taken = std::ranges::any_of(
      cluster.endpoints, [&](const EndpointConfig& other) { return other.address == endpoint.address; });
  if (is_taken) {
    report.add(address->place,
               fmt::format("{} is an endpoint of this cluster already, allowed: each address once, with a weight",
                           quote(endpoint.address.text())));
    return;
  }
  cluster.endpoints.push_back(endpoint);
}

void read_connections(const Element& element, ClusterConfig& cluster, Report& report) {
  const Map map(element, report, {"per_shard", "connect_timeout", "keepalive"}, {"total", "max_age"});
  read_limited(map.find("per_shard"), report, LimitId::kPerShard, cluster.connections_per_shard);
  read_limited(map.find("connect_timeout"), report, LimitId::kConnectTimeout, cluster.connect_timeout_ns);
  if (const auto keepalive = map.find("keepalive")) {
    const Map inner(*keepalive, report, {"silence", "interval", "timeout"});
    read_limited(inner.find("silence"), report, LimitId::kKeepaliveSilence, cluster.keepalive_silence_ns);
    read_limited(inner.find("interval"), report, LimitId::kKeepaliveInterval, cluster.keepalive_interval_ns);
    read_limited(inner.find("timeout"), report, LimitId::kKeepaliveTimeout, cluster.keepalive_timeout_ns);
  }
}

void read_cluster(const Element& element, Draft& draft, Report& report) {
  constexpr std::string_view kEndpointsWords = "a list of at least one {address, weight}";
  const Map map(element, report, {"name", "policy", "header_compression", "endpoints", "tls", "connections"},
                {"slow_start", "panic", "localities", "health_check", "outlier", "circuit_breakers"});
  ClusterDraft cluster{initial_cluster(""), element.place, {}};
  const auto name = map.require("name", kClusterNameWords);
  if (name) cluster.place = name->place;
  cluster.config.name = checked_text(name, report, is_cluster_name, "a name", kClusterNameWords).value_or("");
  read_value(map.find("policy"), report, kPolicyWords, parse_policy, cluster.config.policy);
  read_value(map.find("header_compression"), report, kHeaderCompressionWords, parse_header_compression,
             cluster.config.header_compression);
  if (const auto endpoints = map.require("endpoints", kEndpointsWords)) {
    for (const Element& item : items(*endpoints, report, kEndpointsWords)) read_endpoint(item, cluster.config, report);
  }
  if (const auto tls = map.find("tls")) cluster.tls = read_cluster_tls(*tls, draft.directory, report);
  if (const auto connections = map.find("connections")) read_connections(*connections, cluster.config, report);
  draft.clusters.push_back(std::move(cluster));
}

constexpr std::string_view kListenersWords =
    "a list of at least one {address, proxy_protocol, allow, deny, tls, forwarded, routes}";

}  // namespace

void read_listeners(const Element& list, Draft& draft, Report& report) {
  for (const Element& item : items(list, report, kListenersWords)) {
    read_listener(item, draft, report);
  }
}

void read_clusters(const Element& list, Draft& draft, Report& report) {
  for (const Element& item : items(list, report, "a list of {name, policy, endpoints, tls, connections}")) {
    read_cluster(item, draft, report);
  }
}

}  // namespace ringway::config
