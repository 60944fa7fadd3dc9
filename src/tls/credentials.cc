#include "tls/credentials.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/assert.h"
#include "base/units.h"
#include "tls/library.h"
#include "tls/tickets.h"

namespace ringway::tls {
namespace {

// Debian's bundle, made by its package ca-certificates.
constexpr const char* kSystemStore = "/etc/ssl/certs/ca-certificates.crt";
// Of one handshake message: a chain of six RSA certificates has a tenth of it.
constexpr size_t kMessageSizeMax = 64 * 1024;
constexpr const char* kSuites12 =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305:"
    "ECDHE-RSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384";
constexpr uint8_t kAlpnH2[] = {2, 'h', '2'};

template <typename Value>
using Expected = std::expected<Value, std::string>;

// SHA-256 over everything that the files hold.
class Digest {
 public:
  Digest() noexcept { SHA256_Init(&state_); }
  void add(std::string_view bytes) noexcept {
    const uint64_t size = bytes.size();
    SHA256_Update(&state_, &size, sizeof size);
    SHA256_Update(&state_, bytes.data(), bytes.size());
  }
  std::vector<uint8_t> take() noexcept {
    std::vector<uint8_t> out(SHA256_DIGEST_LENGTH);
    SHA256_Final(out.data(), &state_);
    return out;
  }

 private:
  SHA256_CTX state_;
};

bssl::UniquePtr<SSL_CTX> make_context() {
  bssl::UniquePtr<SSL_CTX> context(SSL_CTX_new(TLS_method()));
  ASSERT(context != nullptr);
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_max_proto_version(context.get(), TLS1_3_VERSION);
  const int is_known = SSL_CTX_set_strict_cipher_list(context.get(), kSuites12);
  ASSERT(is_known == 1);
  SSL_CTX_set_verify_depth(context.get(), kVerifyDepth);
  SSL_CTX_set_max_cert_list(context.get(), kMessageSizeMax);
  SSL_CTX_set_early_data_enabled(context.get(), 0);
  return context;
}

Expected<bssl::UniquePtr<EVP_PKEY>> read_key(const std::string& pem, const std::string& path) {
  const bssl::UniquePtr<BIO> bio(BIO_new_mem_buf(pem.data(), static_cast<ossl_ssize_t>(pem.size())));
  const auto no_password = [](char*, int, int, void*) { return 0; };
  bssl::UniquePtr<EVP_PKEY> key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_password, nullptr));
  const std::string reason = take_library_error();
  if (!key) {
    if (pem.find("ENCRYPTED") != std::string::npos)
      return std::unexpected(path + ": the private key has a password; only keys without one can be read");
    return std::unexpected(path + ": holds no private key in PEM form that can be read: " + reason);
  }
  return key;
}

// Certificate chain and key of one pair of files. Returns the leaf.
Expected<bssl::UniquePtr<X509>> use_pair(SSL_CTX* context, const std::string& certificate_path,
                                         const std::string& key_path, Digest& digest) {
  auto certificate_pem = read_file(certificate_path);
  if (!certificate_pem) return std::unexpected(certificate_pem.error());
  auto key_pem = read_file(key_path);
  if (!key_pem) return std::unexpected(key_pem.error());
  digest.add(*certificate_pem);
  digest.add(*key_pem);
  auto certificates = read_certificates(*certificate_pem, certificate_path);
  if (!certificates) return std::unexpected(certificates.error());
  auto key = read_key(*key_pem, key_path);
  OPENSSL_cleanse(key_pem->data(), key_pem->size());
  if (!key) return std::unexpected(key.error());
  if (X509_check_private_key(certificates->front().get(), key->get()) != 1) {
    ERR_clear_error();
    return std::unexpected(key_path + ": is not the key of the first certificate in " + certificate_path);
  }
  bool is_used = SSL_CTX_use_certificate(context, certificates->front().get()) == 1;
  for (size_t i = 1; i < certificates->size(); ++i) {
    is_used = is_used && SSL_CTX_add1_chain_cert(context, (*certificates)[i].get()) == 1;
  }
  is_used = is_used && SSL_CTX_use_PrivateKey(context, key->get()) == 1;
  const std::string reason = take_library_error();
  if (!is_used) return std::unexpected(certificate_path + ": cannot be used: " + reason);
  return std::move(certificates->front());
}

Expected<void> trust(SSL_CTX* context, const std::string& path, bool is_for_clients, Digest& digest) {
  auto pem = read_file(path);
  if (!pem) return std::unexpected(pem.error());
  digest.add(*pem);
  auto certificates = read_certificates(*pem, path);
  if (!certificates) return std::unexpected(certificates.error());
  for (const auto& certificate : *certificates) {
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context), certificate.get());
    if (is_for_clients) SSL_CTX_add_client_CA(context, certificate.get());
  }
  ERR_clear_error();
  return {};
}

Expected<void> refuse_revoked(SSL_CTX* context, const std::string& path, Digest& digest) {
  auto pem = read_file(path);
  if (!pem) return std::unexpected(pem.error());
  digest.add(*pem);
  const bssl::UniquePtr<BIO> bio(BIO_new_mem_buf(pem->data(), static_cast<ossl_ssize_t>(pem->size())));
  X509_STORE* const store = SSL_CTX_get_cert_store(context);
  size_t count = 0;
  while (bssl::UniquePtr<X509_CRL> crl{PEM_read_bio_X509_CRL(bio.get(), nullptr, nullptr, nullptr)}) {
    X509_STORE_add_crl(store, crl.get());
    ++count;
  }
  if (const auto fault = take_pem_fault()) {
    return std::unexpected(path + ": a revocation list cannot be read: " + *fault);
  }
  if (count == 0) return std::unexpected(path + ": holds no revocation list in PEM form");
  X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
  return {};
}

const int kServerIndex = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);

// Before a session is looked at, so that a ticket counts for the certificate it was given with alone.
ssl_select_cert_result_t select_certificate(const SSL_CLIENT_HELLO* hello) {
  const char* const name = SSL_get_servername(hello->ssl, TLSEXT_NAMETYPE_host_name);
  if (name == nullptr) return ssl_select_cert_success;
  const auto* const server =
      static_cast<const ServerCredentials*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(hello->ssl), kServerIndex));
  SSL_set_SSL_CTX(hello->ssl, server->certificates()[server->certificate_for(name)].context);
  return ssl_select_cert_success;
}

int select_protocol(SSL*, const uint8_t** out, uint8_t* out_size, const uint8_t* offered, unsigned size, void*) {
  for (unsigned i = 0; i < size; i += 1u + offered[i]) {
    if (size - i < sizeof kAlpnH2 || std::memcmp(offered + i, kAlpnH2, sizeof kAlpnH2) != 0) continue;
    *out = offered + i + 1;
    *out_size = 2;
    return SSL_TLSEXT_ERR_OK;
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL;  // no_application_protocol (RFC 7301 section 3.2)
}

const int kTicketsIndex = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);

int use_ticket_key(SSL* ssl, uint8_t* name, uint8_t* iv, EVP_CIPHER_CTX* cipher, HMAC_CTX* mac, int is_sealing) {
  auto* const keys = static_cast<TicketKeys*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), kTicketsIndex));
  TicketKey key;
  auto found = TicketKeys::Found::kCurrent;
  if (is_sealing != 0) {
    key = keys->current(base::monotonic_ns());
    std::ranges::copy(key.name, name);
    RAND_bytes(iv, 16);
  } else {
    found = keys->find(name, key, base::monotonic_ns());
    if (found == TicketKeys::Found::kNo) return 0;
  }
  if (EVP_CipherInit_ex(cipher, EVP_aes_128_cbc(), nullptr, key.cipher.data(), iv, is_sealing) != 1 ||
      HMAC_Init_ex(mac, key.mac.data(), key.mac.size(), EVP_sha256(), nullptr) != 1) {
    return -1;
  }
  return found == TicketKeys::Found::kPrevious ? 2 : 1;
}

bool has_wildcard(std::string_view name) noexcept {
  return name.starts_with("*.");
}

}  // namespace

bool name_matches(std::string_view name, std::string_view host) noexcept {
  if (!has_wildcard(name)) return name == host;
  const size_t dot = host.find('.');
  return dot != std::string_view::npos && dot != 0 && host.substr(dot) == name.substr(1);
}

size_t ServerCredentials::certificate_for(std::string_view host) const noexcept {
  const std::string wanted = lower_case(host);
  size_t by_wildcard = certificates_.size();
  for (size_t i = 0; i < certificates_.size(); ++i) {
    for (const std::string& name : certificates_[i].names) {
      if (!name_matches(name, wanted)) continue;
      if (!has_wildcard(name)) return i;
      by_wildcard = std::min(by_wildcard, i);
    }
  }
  return by_wildcard < certificates_.size() ? by_wildcard : 0;
}

bool ServerCredentials::covers(size_t certificate, std::string_view host) const noexcept {
  if (certificates_.size() == 1) return true;
  // No name that a certificate can be for is longer (RFC 1035 section 2.3.4). Asked for requests: nothing is allocated.
  std::array<char, 255> lower;
  if (host.size() > lower.size()) return false;
  std::ranges::transform(host, lower.begin(), lower_case_of);
  const std::string_view wanted(lower.data(), host.size());
  return std::ranges::any_of(certificates_[certificate].names,
                             [wanted](const std::string& name) { return name_matches(name, wanted); });
}

Expected<CredentialsRef<ServerCredentials>> ServerCredentials::create(const ServerOptions& options) {
  CredentialsRef<ServerCredentials> made(new ServerCredentials);
  ServerCredentials& server = *made.while_made();
  server.tickets_ = new TicketKeys(options.ticket_rotation_ns, base::monotonic_ns());
  Digest all;
  for (const CertificateFiles& files : options.certificates) {
    bssl::UniquePtr<SSL_CTX> context = make_context();
    Digest own;
    auto leaf = use_pair(context.get(), files.certificate, files.private_key, own);
    if (!leaf) return std::unexpected(leaf.error());
    if (options.client_certificate != ClientCertificate::kOff) {
      if (auto trusted = trust(context.get(), options.client_ca, true, own); !trusted)
        return std::unexpected(trusted.error());
      if (!options.crl.empty()) {
        if (auto read = refuse_revoked(context.get(), options.crl, own); !read) return std::unexpected(read.error());
      }
      const bool is_required = options.client_certificate == ClientCertificate::kRequire;
      SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | (is_required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), nullptr);
    }
    const std::vector<uint8_t> digest = own.take();
    all.add({reinterpret_cast<const char*>(digest.data()), digest.size()});
    // A ticket holds for the certificate and the trust that it was given under.
    SSL_CTX_set_session_id_context(context.get(), digest.data(), digest.size());
    SSL_CTX_set_select_certificate_cb(context.get(), select_certificate);
    SSL_CTX_set_alpn_select_cb(context.get(), select_protocol, nullptr);
    SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
    SSL_CTX_set_ex_data(context.get(), kServerIndex, &server);
    SSL_CTX_set_ex_data(context.get(), kTicketsIndex, server.tickets_);
    SSL_CTX_set_tlsext_ticket_key_cb(context.get(), use_ticket_key);
    // No longer than the keys are there that open them: a ticket's own and the next.
    const auto ticket_life_s = static_cast<uint32_t>(options.ticket_rotation_ns / base::kSecond_ns);
    SSL_CTX_set_timeout(context.get(), ticket_life_s);
    SSL_CTX_set_session_psk_dhe_timeout(context.get(), ticket_life_s);
    const AlternativeNames names = alternative_names(leaf->get());
    ServedCertificate served;
    served.names = names.dns;
    std::ranges::copy(names.addresses, std::back_inserter(served.names));
    if (!names.uris.empty()) served.uri = names.uris.front();
    served.path = files.certificate;
    served.expires_s = tls::expires_s(leaf->get());
    served.context = context.release();
    server.certificates_.push_back(std::move(served));
  }
  const char mode = static_cast<char>('0' + static_cast<int>(options.client_certificate));
  all.add({&mode, 1});
  server.digest_ = all.take();
  return made;
}

ServerCredentials::~ServerCredentials() {
  for (const ServedCertificate& certificate : certificates_) SSL_CTX_free(certificate.context);
  delete tickets_;
}

Expected<CredentialsRef<ClientCredentials>> ClientCredentials::create(const ClientOptions& options) {
  CredentialsRef<ClientCredentials> made(new ClientCredentials);
  ClientCredentials& client = *made.while_made();
  bssl::UniquePtr<SSL_CTX> context = make_context();
  Digest digest;
  const std::string ca = options.ca.empty() ? kSystemStore : options.ca;
  if (auto trusted = trust(context.get(), ca, false, digest); !trusted) {
    if (!options.ca.empty()) return std::unexpected(trusted.error());
    return std::unexpected(trusted.error() + " (the system's store; install ca-certificates, or name a ca)");
  }
  if (!options.crl.empty()) {
    if (auto read = refuse_revoked(context.get(), options.crl, digest); !read) return std::unexpected(read.error());
  }
  if (!options.certificate.empty()) {
    auto leaf = use_pair(context.get(), options.certificate, options.private_key, digest);
    if (!leaf) return std::unexpected(leaf.error());
    client.certificate_path_ = options.certificate;
    client.expires_s_ = tls::expires_s(leaf->get());
  }
  digest.add(options.server_name);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  const int is_refused = SSL_CTX_set_alpn_protos(context.get(), kAlpnH2, sizeof kAlpnH2);
  ASSERT(is_refused == 0);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  client.server_name_ = options.server_name;
  client.digest_ = digest.take();
  client.context_ = context.release();
  return made;
}

ClientCredentials::~ClientCredentials() {
  SSL_CTX_free(context_);
}

}  // namespace ringway::tls
