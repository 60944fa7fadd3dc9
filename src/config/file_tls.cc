// The `tls` maps of the configuration file.
#include <optional>
#include <string>
#include <string_view>

#include "config/document.h"
#include "config/file.h"
#include "config/limits.h"
#include "config/words.h"

namespace ringway::config {
namespace {

constexpr std::string_view kCertificatesWords = "a list of at least one {certificate, private_key}";

void read_path(const std::optional<Element>& element, const std::string& directory, Report& report, FileDraft& file) {
  if (!element) return;
  file.place = element->place;
  read_value(
      element, report, kFileWords, [&](std::string_view text) { return parse_file(text, directory); }, file.path);
}

}  // namespace

ListenerTlsDraft read_listener_tls(const Element& element, const std::string& directory, Report& report) {
  const Map map(element, report, {"certificates", "client_ca", "client_certificate", "crl", "tickets"});
  ListenerTlsDraft tls = initial_listener_tls();
  if (const auto certificates = map.require("certificates", kCertificatesWords)) {
    for (const Element& item : items(*certificates, report, kCertificatesWords)) {
      const Map pair(item, report, {"certificate", "private_key"});
      CertificateDraft& certificate = tls.certificates.emplace_back();
      read_path(pair.require("certificate", kFileWords), directory, report, certificate.certificate);
      read_path(pair.require("private_key", kFileWords), directory, report, certificate.private_key);
    }
  }
  read_path(map.find("client_ca"), directory, report, tls.client_ca);
  if (const auto client_certificate = map.find("client_certificate")) {
    tls.client_certificate_place = client_certificate->place;
    read_value(client_certificate, report, kClientCertificateWords, parse_client_certificate, tls.client_certificate);
  }
  read_path(map.find("crl"), directory, report, tls.crl);
  if (const auto tickets = map.find("tickets")) {
    const Map inner(*tickets, report, {"rotate"});
    read_limited(inner.find("rotate"), report, LimitId::kTicketRotation, tls.ticket_rotation_ns);
  }
  return tls;
}

ClusterTlsDraft read_cluster_tls(const Element& element, const std::string& directory, Report& report) {
  const Map map(element, report, {"ca", "certificate", "private_key", "crl", "server_name"});
  ClusterTlsDraft tls;
  tls.place = element.place;
  read_path(map.find("ca"), directory, report, tls.ca);
  read_path(map.find("certificate"), directory, report, tls.client.certificate);
  read_path(map.find("private_key"), directory, report, tls.client.private_key);
  read_path(map.find("crl"), directory, report, tls.crl);
  read_value(map.find("server_name"), report, kServerNameWords, parse_server_name, tls.server_name);
  return tls;
}

}  // namespace ringway::config
