// What a listener's and a cluster's TLS are made of: paths of PEM files, and rules. Plain values; no TLS headers.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ringway::tls {

enum class ClientCertificate : uint8_t { kOff, kOptional, kRequire };

struct CertificateFiles {
  std::string certificate;  // the leaf, then what leads to the root
  std::string private_key;

  bool operator==(const CertificateFiles&) const = default;
};

struct ServerOptions {
  std::vector<CertificateFiles> certificates;  // never empty; the first serves names that none is for
  std::string client_ca;                       // empty: client certificates are not asked for
  ClientCertificate client_certificate = ClientCertificate::kOff;
  std::string crl;  // empty: none
  uint64_t ticket_rotation_ns = 0;

  bool operator==(const ServerOptions&) const = default;
};

struct ClientOptions {
  std::string ca;           // empty: the system's store
  std::string certificate;  // with private_key, or both empty
  std::string private_key;
  std::string crl;
  std::string server_name;  // empty: the endpoint's host

  bool operator==(const ClientOptions&) const = default;
};

}  // namespace ringway::tls
