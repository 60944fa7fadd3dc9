// What the other files of this folder need of BoringSSL beside its headers: owners of its objects, and its errors as
// text. Not for other folders.
#pragma once

#include <openssl/ssl.h>

#include <expected>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ringway::tls {

// Certificates above a peer's own, the trusted one among them.
inline constexpr int kVerifyDepth = 4;

// The library's oldest error as lower-case words; empties its queue. Empty if there is none.
std::string take_library_error();

// All of a file; the error names it.
std::expected<std::string, std::string> read_file(const std::string& path);

// Certificates of PEM text, in order; the error names `path`, from which the text is.
std::expected<std::vector<bssl::UniquePtr<X509>>, std::string> read_certificates(const std::string& pem,
                                                                                 const std::string& path);

// The subjectAltName's DNS names (lower case; those with octets that no name has are left out), addresses as text,
// and URIs.
struct AlternativeNames {
  std::vector<std::string> dns;
  std::vector<std::string> addresses;
  std::vector<std::string> uris;
};
AlternativeNames alternative_names(X509* certificate);

// notAfter, in seconds since the epoch.
int64_t expires_s(const X509* certificate);

}  // namespace ringway::tls
