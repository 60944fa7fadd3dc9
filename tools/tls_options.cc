#include "tls_options.h"

#include <fmt/format.h>

#include <array>

#include "base/units.h"

namespace ringway::tools {
namespace {

using Error = std::unexpected<std::string>;

CLI::Option* add_file(CLI::App& app, const std::string& flag, std::string& path, const std::string& description) {
  return app
      .add_option_function<std::string>(
          flag,
          [flag, &path](const std::string& text) {
            if (text.empty()) throw CLI::ValidationError(flag, "'' is not the path of a PEM file");
            path = text;
          },
          description)
      ->type_name("FILE");
}

void add_version(CLI::App& app, std::optional<tls::Version>& version) {
  app.add_option_function<std::string>(
         "--tls-version",
         [&version](const std::string& text) {
           if (text == "1.2") {
             version = tls::Version::kTls12;
           } else if (text == "1.3") {
             version = tls::Version::kTls13;
           } else {
             throw CLI::ValidationError("--tls-version", fmt::format("'{}' is not 1.2 or 1.3", text));
           }
         },
         "speaks no other version (both, the higher first)")
      ->type_name("1.2|1.3");
}

struct CipherName {
  std::string_view name;
  tls::Cipher cipher;
};
constexpr std::array kCiphers = {CipherName{"aes-128-gcm", tls::Cipher::kAes128Gcm},
                                 CipherName{"aes-256-gcm", tls::Cipher::kAes256Gcm},
                                 CipherName{"chacha20-poly1305", tls::Cipher::kChaCha20Poly1305}};

void add_cipher(CLI::App& app, std::optional<tls::Cipher>& cipher) {
  app.add_option_function<std::string>(
         "--tls-cipher",
         [&cipher](const std::string& text) {
           for (const CipherName& known : kCiphers) {
             if (text == known.name) cipher = known.cipher;
           }
           if (cipher) return;
           throw CLI::ValidationError("--tls-cipher",
                                      fmt::format("'{}' is not aes-128-gcm, aes-256-gcm or chacha20-poly1305", text));
         },
         "takes no other: aes-128-gcm, aes-256-gcm or chacha20-poly1305; in TLS 1.3, where all are offered, a target "
         "that chooses another is refused")
      ->type_name("NAME");
}

}  // namespace

void add_server_tls(CLI::App& app, ServerTlsOptions& options) {
  add_file(app, "--tls-cert", options.files.certificate, "speaks TLS and shows this certificate, with its chain");
  add_file(app, "--tls-key", options.files.private_key, "the certificate's private key");
  add_file(app, "--tls-client-ca", options.client_ca, "asks clients for certificates of this authority (mutual TLS)");
  add_version(app, options.rules.version);
}

std::expected<ServerTls, std::string> load(const ServerTlsOptions& options) {
  const bool has_certificate = !options.files.certificate.empty();
  if (has_certificate != !options.files.private_key.empty()) {
    return Error(has_certificate ? "--tls-cert: needs --tls-key" : "--tls-key: needs --tls-cert");
  }
  if (!has_certificate) {
    if (!options.client_ca.empty()) return Error("--tls-client-ca: needs --tls-cert and --tls-key");
    if (options.rules.version) return Error("--tls-version: needs --tls-cert and --tls-key");
    return ServerTls{};
  }
  const bool is_mutual = !options.client_ca.empty();
  auto credentials = tls::ServerCredentials::create(
      {.certificates = {options.files},
       .client_ca = options.client_ca,
       .client_certificate = is_mutual ? tls::ClientCertificate::kRequire : tls::ClientCertificate::kOff,
       .ticket_rotation_ns = 24 * 3600 * base::kSecond_ns});
  if (!credentials) return Error(credentials.error());
  return ServerTls{std::move(*credentials), options.rules};
}

void add_client_tls(CLI::App& app, ClientTlsOptions& options) {
  app.add_flag("--upstream-tls", options.is_on, "speaks TLS to the target");
  add_file(app, "--upstream-ca", options.files.ca, "trusts these authorities alone (the system's)");
  add_file(app, "--upstream-cert", options.files.certificate, "shows this certificate, with its chain (mutual TLS)");
  add_file(app, "--upstream-key", options.files.private_key, "the certificate's private key");
  app.add_option("--upstream-server-name", options.files.server_name,
                 "asks for this name, and the target's certificate must be for it (the target's address)")
      ->type_name("NAME");
  add_version(app, options.rules.version);
  add_cipher(app, options.rules.cipher);
}

std::expected<ClientTls, std::string> load(const ClientTlsOptions& options) {
  const tls::ClientOptions& files = options.files;
  if (!options.is_on) {
    if (files != tls::ClientOptions{} || options.rules.version || options.rules.cipher) {
      return Error("--upstream-tls: is needed by the other TLS options");
    }
    return ClientTls{};
  }
  if (files.certificate.empty() != files.private_key.empty()) {
    return Error(files.private_key.empty() ? "--upstream-cert: needs --upstream-key"
                                           : "--upstream-key: needs --upstream-cert");
  }
  auto credentials = tls::ClientCredentials::create(files);
  if (!credentials) return Error(credentials.error());
  tls::LibraryStream::keep_sessions(*credentials);
  return ClientTls{std::move(*credentials), options.rules};
}

}  // namespace ringway::tools
