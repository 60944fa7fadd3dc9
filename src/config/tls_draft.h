// What file and flags have said about TLS. Each file has its place, because it is looked at only when all is read.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "config/report.h"
#include "config/snapshot.h"

namespace ringway::config {

struct Draft;

struct FileDraft {
  std::string path;  // absolute
  Place place;

  bool is_given() const noexcept { return !place.key.empty(); }
};

struct CertificateDraft {
  FileDraft certificate;
  FileDraft private_key;
};

struct ListenerTlsDraft {
  std::vector<CertificateDraft> certificates;
  FileDraft client_ca;
  std::optional<ClientCertificate> client_certificate;
  Place client_certificate_place;
  FileDraft crl;
  uint64_t ticket_rotation_ns = 0;
};

struct ClusterTlsDraft {
  Place place;
  FileDraft ca;
  CertificateDraft client;
  FileDraft crl;
  std::string server_name;
};

// All defaults of the limits table applied.
ListenerTlsDraft initial_listener_tls();

// Check what concerns more than one value. Only meaningful when `report` is clean afterwards.
ListenerTls resolve_tls(const ListenerTlsDraft& draft, Report& report);
ClusterTls resolve_tls(const ClusterTlsDraft& draft, std::span<const EndpointConfig> endpoints, Report& report);

// Loads every file that TLS needs, and reports each that cannot be read or used at the place that names it.
void check_tls_files(const Draft& draft, Report& report);

}  // namespace ringway::config
