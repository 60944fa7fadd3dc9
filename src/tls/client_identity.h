// Who a client says it is by its certificate, in the form of Envoy's x-forwarded-client-cert.
#pragma once

#include <string>
#include <string_view>

struct x509_st;

namespace ringway::tls {

// One element: By (the URI of our own certificate, if it has one), Hash (SHA-256 of the certificate), Subject (RFC
// 2253, quoted), and each URI and DNS name of its subjectAltName. Every octet is one that a header value may have.
std::string describe_client(x509_st* certificate, std::string_view own_uri);

}  // namespace ringway::tls
