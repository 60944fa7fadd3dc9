#include "config/flags_tls.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace ringway::config {
namespace {

bool is_whole(const CertificateDraft& pair, std::string_view certificate, std::string_view private_key,
              Report& report) {
  if (pair.certificate.is_given() == pair.private_key.is_given()) return true;
  const bool has_key = pair.private_key.is_given();
  report.add((has_key ? pair.private_key : pair.certificate).place,
             fmt::format("{} is missing, allowed: both or neither", has_key ? certificate : private_key));
  return false;
}

void apply_to_listeners(const TlsFlags& flags, size_t listener_count, Draft& draft, Report& report) {
  const auto files = {&flags.server.certificate, &flags.server.private_key, &flags.client_ca};
  const auto given = std::ranges::find_if(files, &FileDraft::is_given);
  if (given == files.end() || !is_whole(flags.server, "--tls-cert", "--tls-key", report)) return;
  if (listener_count > 1) {
    report.add((*given)->place, fmt::format("the file has {} listeners, so it is not clear whose this is, allowed: a "
                                            "file with one listener or none",
                                            listener_count));
    return;
  }
  for (ListenerDraft& listener : draft.listeners) {
    if (flags.server.certificate.is_given()) {
      if (!listener.tls) listener.tls = initial_listener_tls();
      listener.tls->certificates = {flags.server};
    }
    if (!flags.client_ca.is_given()) continue;
    if (!listener.tls) {
      report.add(flags.client_ca.place,
                 "a listener without a certificate of its own asks for none, allowed: with --tls-cert FILE and "
                 "--tls-key FILE, or a file whose listener has tls");
      return;
    }
    listener.tls->client_ca = flags.client_ca;
    listener.tls->client_certificate = ClientCertificate::kRequire;
  }
}

void apply_to_cluster(const TlsFlags& flags, ClusterTlsDraft& tls) {
  if (flags.upstream_ca.is_given()) tls.ca = flags.upstream_ca;
  if (flags.upstream_client.certificate.is_given()) tls.client = flags.upstream_client;
  if (!flags.upstream_server_name.empty()) tls.server_name = flags.upstream_server_name;
}

void apply_to_clusters(const TlsFlags& flags, Draft& draft, Report& report) {
  const std::array places = {Place{flags.has_upstream ? "--upstream-tls" : ""}, flags.upstream_ca.place,
                             flags.upstream_client.certificate.place, flags.upstream_client.private_key.place,
                             flags.upstream_server_name_place};
  const auto given = std::ranges::find_if(places, [](const Place& place) { return !place.key.empty(); });
  if (given == places.end() || !is_whole(flags.upstream_client, "--upstream-cert", "--upstream-key", report)) return;
  if (draft.clusters.size() > 1) {
    report.add(*given, fmt::format("the file has {} clusters, so it is not clear which this is for, allowed: a file "
                                   "with one cluster or none",
                                   draft.clusters.size()));
    return;
  }
  for (ClusterDraft& cluster : draft.clusters) {
    if (flags.has_upstream && !cluster.tls) cluster.tls = ClusterTlsDraft{.place = *given};
    if (!cluster.tls) {
      report.add(*given,
                 "the endpoints are spoken to without TLS, allowed: with --upstream-tls, or a file whose "
                 "cluster has tls");
      return;
    }
    apply_to_cluster(flags, *cluster.tls);
  }
}

}  // namespace

void apply_tls_flags(const TlsFlags& flags, size_t listener_count, Draft& draft, Report& report) {
  apply_to_listeners(flags, listener_count, draft, report);
  apply_to_clusters(flags, draft, report);
}

}  // namespace ringway::config
