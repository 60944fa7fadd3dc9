// What all connections of one listener, or to one cluster, share: certificates, keys, trust, tickets. Built from files
// on any thread, immutable afterwards but for the ticket keys, shared by the shards and counted, because a handshake
// that is under way when its files are replaced ends with those it began with.
#pragma once

#include <atomic>
#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tls/options.h"

struct ssl_ctx_st;
struct x509_st;

namespace ringway::tls {

// A counted pointer to credentials. Copied when a handshake begins, never while calls are forwarded.
template <typename Credentials>
class CredentialsRef {
 public:
  CredentialsRef() noexcept = default;
  explicit CredentialsRef(Credentials* credentials) noexcept
      : credentials_(credentials) {}  // takes over the first reference
  CredentialsRef(const CredentialsRef& other) noexcept : credentials_(other.credentials_) {
    if (credentials_ != nullptr) credentials_->references_.fetch_add(1, std::memory_order_relaxed);
  }
  CredentialsRef(CredentialsRef&& other) noexcept : credentials_(std::exchange(other.credentials_, nullptr)) {}
  CredentialsRef& operator=(CredentialsRef other) noexcept {
    std::swap(credentials_, other.credentials_);
    return *this;
  }
  ~CredentialsRef() {
    if (credentials_ != nullptr && credentials_->references_.fetch_sub(1, std::memory_order_acq_rel) == 1)
      delete credentials_;
  }

  explicit operator bool() const noexcept { return credentials_ != nullptr; }
  const Credentials* operator->() const noexcept { return credentials_; }
  const Credentials& operator*() const noexcept { return *credentials_; }
  // While it is being made and nobody else has it.
  Credentials* while_made() noexcept { return credentials_; }
  // Across a queue between threads, and back.
  Credentials* release() noexcept { return std::exchange(credentials_, nullptr); }

 private:
  Credentials* credentials_ = nullptr;
};

// One certificate with its key, and the names that it is for.
struct ServedCertificate {
  ssl_ctx_st* context = nullptr;   // owned by the ServerCredentials
  std::vector<std::string> names;  // of its subjectAltName, lower case; "*.example" holds for one label
  std::string uri;                 // the first URI of its subjectAltName, as x-forwarded-client-cert's By
  std::string path;
  int64_t expires_s = 0;  // since the epoch: of the leaf
};

class TicketKeys;

class ServerCredentials {
 public:
  // Reads and checks all files. The error names the file and what is wrong with it.
  static std::expected<CredentialsRef<ServerCredentials>, std::string> create(const ServerOptions& options);
  ServerCredentials(const ServerCredentials&) = delete;
  ServerCredentials& operator=(const ServerCredentials&) = delete;
  ~ServerCredentials();

  std::span<const ServedCertificate> certificates() const noexcept { return certificates_; }
  // Is the certificate for `host` (without port, any case)? Where a listener has one certificate, for every host.
  bool covers(size_t certificate, std::string_view host) const noexcept;
  // The number of the certificate for a name: an exact one, one with a wildcard, else the first.
  size_t certificate_for(std::string_view host) const noexcept;
  // Of what the files hold: of equal files it is equal.
  std::span<const uint8_t> digest() const noexcept { return digest_; }

 private:
  friend class CredentialsRef<ServerCredentials>;
  friend class Handshake;
  ServerCredentials() = default;

  mutable std::atomic<uint32_t> references_{1};
  std::vector<ServedCertificate> certificates_;
  std::vector<uint8_t> digest_;
  TicketKeys* tickets_ = nullptr;
};

class ClientCredentials {
 public:
  static std::expected<CredentialsRef<ClientCredentials>, std::string> create(const ClientOptions& options);
  ClientCredentials(const ClientCredentials&) = delete;
  ClientCredentials& operator=(const ClientCredentials&) = delete;
  ~ClientCredentials();

  const std::string& server_name() const noexcept { return server_name_; }
  bool has_certificate() const noexcept { return !certificate_path_.empty(); }
  const std::string& certificate_path() const noexcept { return certificate_path_; }
  int64_t expires_s() const noexcept { return expires_s_; }  // of its certificate, if it has one
  std::span<const uint8_t> digest() const noexcept { return digest_; }

 private:
  friend class CredentialsRef<ClientCredentials>;
  friend class Handshake;
  friend class LibraryStream;
  ClientCredentials() = default;

  mutable std::atomic<uint32_t> references_{1};
  ssl_ctx_st* context_ = nullptr;
  std::string server_name_;
  std::string certificate_path_;
  std::vector<uint8_t> digest_;
  int64_t expires_s_ = 0;
};

// Does a name of a certificate, perhaps with a wildcard for its first label, stand for `host`? Both lower case.
bool name_matches(std::string_view name, std::string_view host) noexcept;

}  // namespace ringway::tls
