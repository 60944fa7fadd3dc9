#include "config/tls_draft.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <system_error>

#include "config/draft.h"
#include "config/limits.h"
#include "config/values.h"
#include "config/words.h"
#include "tls/credentials.h"

namespace ringway::config {
namespace {

void check_pair(const CertificateDraft& pair, Report& report) {
  if (pair.certificate.is_given() && !pair.private_key.is_given()) {
    report.add(pair.certificate.place, "'certificate' stands without 'private_key', allowed: both or neither");
  }
  if (pair.private_key.is_given() && !pair.certificate.is_given()) {
    report.add(pair.private_key.place, "'private_key' stands without 'certificate', allowed: both or neither");
  }
}

// What is wrong with a file; empty: nothing.
std::string file_fault(const std::string& path) {
  const auto unreadable = [](int code) {
    return fmt::format("cannot be read: {}", std::generic_category().message(code));
  };
  std::FILE* file = std::fopen(path.c_str(), "re");
  if (file == nullptr) return unreadable(errno);
  errno = 0;
  char octet = 0;
  const bool has_octet = std::fread(&octet, 1, 1, file) == 1;
  const int code = std::ferror(file) != 0 ? errno : 0;
  std::fclose(file);
  if (code != 0) return unreadable(code);
  return has_octet ? "" : "is empty";
}

constexpr std::string_view kCertificateFile = "a PEM file with a certificate and its chain";
constexpr std::string_view kKeyFile = "a PEM file with the private key of the certificate";
constexpr std::string_view kAuthoritiesFile = "a PEM file with the certificates of authorities";
constexpr std::string_view kRevocationFile = "a PEM file with revocation lists";

void add_fault(const FileDraft& file, std::string_view fault, std::string_view allowed, Report& report) {
  // Not quote(): it cuts what is long, and the end of a path is what tells. No control character gets into one.
  report.add(file.place, fmt::format("'{}' {}, allowed: {}", file.path, fault, allowed));
}

// True: there is such a file, and something in it.
bool check_file(const FileDraft& file, std::string_view allowed, Report& report) {
  if (file.path.empty()) return false;
  const std::string fault = file_fault(file.path);
  if (!fault.empty()) add_fault(file, fault, allowed, report);
  return fault.empty();
}

// What is said of a file begins with its name, which is quoted here.
bool is_about(std::string_view message, const std::string& path) {
  return message.starts_with(path) && message.substr(path.size()).starts_with(": ");
}
std::string_view without_name(std::string_view message, const std::string& path) {
  if (is_about(message, path)) message.remove_prefix(path.size() + 2);
  return message;
}

// By loading them, so that what is found here is what a start would find. No message has a word of what they hold.
void check_pair_files(const CertificateDraft& pair, Report& report) {
  const bool has_certificate = check_file(pair.certificate, kCertificateFile, report);
  const bool has_key = check_file(pair.private_key, kKeyFile, report);
  if (!has_certificate || !has_key) return;
  const std::string& certificate = pair.certificate.path;
  const std::string& key = pair.private_key.path;
  tls::ServerOptions options;
  options.certificates = {{certificate, key}};
  const auto made = tls::ServerCredentials::create(options);
  if (made) return;
  if (key != certificate && is_about(made.error(), key)) {
    add_fault(pair.private_key, without_name(made.error(), key), kKeyFile, report);
  } else {
    add_fault(pair.certificate, without_name(made.error(), certificate), kCertificateFile, report);
  }
}

void check_trust_files(const FileDraft& ca, const FileDraft& crl, Report& report) {
  const bool has_ca = check_file(ca, kAuthoritiesFile, report);
  const bool has_crl = check_file(crl, kRevocationFile, report);
  if (!has_ca) return;
  tls::ClientOptions options;
  options.ca = ca.path;
  if (has_crl) options.crl = crl.path;
  const auto made = tls::ClientCredentials::create(options);
  if (made) return;
  if (crl.path != ca.path && is_about(made.error(), crl.path)) {
    add_fault(crl, without_name(made.error(), crl.path), kRevocationFile, report);
  } else {
    add_fault(ca, without_name(made.error(), ca.path), kAuthoritiesFile, report);
  }
}

// Without a file the system's store is what is trusted.
void check_system_store(const ClusterTlsDraft& tls, Report& report) {
  if (tls.ca.is_given()) return;
  if (const auto made = tls::ClientCredentials::create({}); !made) {
    report.add(tls.place, fmt::format("{}, allowed: with ca: FILE, or with such a store", made.error()));
  }
}

}  // namespace

ListenerTlsDraft initial_listener_tls() {
  ListenerTlsDraft draft;
  draft.ticket_rotation_ns = initial(LimitId::kTicketRotation);
  return draft;
}

ListenerTls resolve_tls(const ListenerTlsDraft& draft, Report& report) {
  ListenerTls tls;
  for (const CertificateDraft& pair : draft.certificates) {
    tls.certificates.push_back({pair.certificate.path, pair.private_key.path});
  }
  tls.client_ca = draft.client_ca.path;
  // Who names an authority wants certificates of it.
  tls.client_certificate = draft.client_certificate.value_or(draft.client_ca.is_given() ? ClientCertificate::kRequire
                                                                                        : ClientCertificate::kOff);
  if (tls.client_certificate != ClientCertificate::kOff && !draft.client_ca.is_given()) {
    report.add(draft.client_certificate_place,
               fmt::format("{} stands without 'client_ca', allowed: with client_ca: FILE, or off",
                           quote(client_certificate_text(tls.client_certificate))));
  }
  tls.crl = draft.crl.path;
  if (draft.crl.is_given() && !draft.client_ca.is_given()) {
    report.add(draft.crl.place, "'crl' stands without 'client_ca', allowed: with client_ca: FILE");
  }
  tls.ticket_rotation_ns = draft.ticket_rotation_ns;
  return tls;
}

ClusterTls resolve_tls(const ClusterTlsDraft& draft, std::span<const EndpointConfig> endpoints, Report& report) {
  check_pair(draft.client, report);
  if (draft.crl.is_given() && !draft.ca.is_given()) {
    report.add(draft.crl.place, "'crl' stands without 'ca', allowed: with ca: FILE");
  }
  for (const EndpointConfig& endpoint : endpoints) {
    if (!draft.server_name.empty() || !endpoint.address.is_unix()) continue;
    report.add(draft.place, fmt::format("the endpoint {} has no host that its certificate could be for, allowed: with "
                                        "a server name",
                                        quote(endpoint.address.text())));
    break;
  }
  return {draft.ca.path, draft.client.certificate.path, draft.client.private_key.path, draft.crl.path,
          draft.server_name};
}

void check_tls_files(const Draft& draft, Report& report) {
  for (const ListenerDraft& listener : draft.listeners) {
    if (!listener.tls) continue;
    for (const CertificateDraft& pair : listener.tls->certificates) check_pair_files(pair, report);
    check_trust_files(listener.tls->client_ca, listener.tls->crl, report);
  }
  for (const ClusterDraft& cluster : draft.clusters) {
    if (!cluster.tls) continue;
    check_pair_files(cluster.tls->client, report);
    check_trust_files(cluster.tls->ca, cluster.tls->crl, report);
    check_system_store(*cluster.tls, report);
  }
}

}  // namespace ringway::config
