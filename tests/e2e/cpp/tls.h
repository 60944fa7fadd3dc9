// TLS as the environment asks for it, in files: E2E_TLS_CA is whom a client trusts, E2E_TLS_CERT and E2E_TLS_KEY what
// either side shows, E2E_TLS_CLIENT_CA whom a server requires certificates of. Cleartext without the first, or second.
#pragma once

#include <memory>

#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>

namespace ringway::e2e {

std::shared_ptr<grpc::ChannelCredentials> channel_credentials();
std::shared_ptr<grpc::ServerCredentials> server_credentials();

}  // namespace ringway::e2e
