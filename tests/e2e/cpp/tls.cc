#include "tls.h"

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

namespace ringway::e2e {
namespace {

// The file that this variable names; empty where there is none.
std::string text_of(const char* variable) {
  const char* const path = std::getenv(variable);
  if (path == nullptr) return "";
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

}  // namespace

std::shared_ptr<grpc::ChannelCredentials> channel_credentials() {
  const std::string ca = text_of("E2E_TLS_CA");
  if (ca.empty()) return grpc::InsecureChannelCredentials();
  return grpc::SslCredentials({ca, text_of("E2E_TLS_KEY"), text_of("E2E_TLS_CERT")});
}

std::shared_ptr<grpc::ServerCredentials> server_credentials() {
  const std::string certificate = text_of("E2E_TLS_CERT");
  if (certificate.empty()) return grpc::InsecureServerCredentials();
  const std::string client_ca = text_of("E2E_TLS_CLIENT_CA");
  grpc::SslServerCredentialsOptions options(client_ca.empty()
                                                ? GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE
                                                : GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  options.pem_root_certs = client_ca;
  options.pem_key_cert_pairs.push_back({text_of("E2E_TLS_KEY"), certificate});
  return grpc::SslServerCredentials(options);
}

}  // namespace ringway::e2e
