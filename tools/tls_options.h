// The TLS options of the tools, named as ringway's, and what the files that they name come to.
#pragma once

#include <CLI/App.hpp>
#include <expected>
#include <string>

#include "tls/credentials.h"
#include "tls/library_stream.h"
#include "tls/options.h"

namespace ringway::tools {

// What a tool that listens shows and asks for. Without a certificate it speaks cleartext.
struct ServerTls {
  tls::CredentialsRef<tls::ServerCredentials> credentials;
  tls::LibraryRules rules;

  explicit operator bool() const noexcept { return static_cast<bool>(credentials); }
};

struct ServerTlsOptions {
  tls::CertificateFiles files;
  std::string client_ca;
  tls::LibraryRules rules;
};

// --tls-cert, --tls-key, --tls-client-ca, --tls-version.
void add_server_tls(CLI::App& app, ServerTlsOptions& options);
// Reads the files. The error is a sentence that names the option or the file.
std::expected<ServerTls, std::string> load(const ServerTlsOptions& options);

// What a tool that connects shows and trusts.
struct ClientTls {
  tls::CredentialsRef<tls::ClientCredentials> credentials;
  tls::LibraryRules rules;

  explicit operator bool() const noexcept { return static_cast<bool>(credentials); }
};

struct ClientTlsOptions {
  bool is_on = false;
  tls::ClientOptions files;
  tls::LibraryRules rules;
};

// --upstream-tls, --upstream-ca, --upstream-cert, --upstream-key, --upstream-server-name, --tls-version, --tls-cipher.
void add_client_tls(CLI::App& app, ClientTlsOptions& options);
// As above; the credentials keep sessions, so that they can be resumed.
std::expected<ClientTls, std::string> load(const ClientTlsOptions& options);

}  // namespace ringway::tools
