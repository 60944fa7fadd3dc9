// The flags about TLS, which make sense together or not at all.
#pragma once

#include <cstddef>
#include <string>

#include "config/draft.h"
#include "config/report.h"

namespace ringway::config {

struct TlsFlags {
  CertificateDraft server;  // --tls-cert, --tls-key
  FileDraft client_ca;      // --tls-client-ca
  bool has_upstream = false;
  FileDraft upstream_ca;
  CertificateDraft upstream_client;  // --upstream-cert, --upstream-key
  std::string upstream_server_name;
  Place upstream_server_name_place;
};

// Lays them over a draft in which --listen and --upstream have done their work; `listener_count` is how many listeners
// the file alone has.
void apply_tls_flags(const TlsFlags& flags, size_t listener_count, Draft& draft, Report& report);

}  // namespace ringway::config
