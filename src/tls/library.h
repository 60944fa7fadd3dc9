// What the other files of this folder need of BoringSSL beside its headers: owners of its objects, and its errors as
// text. Not for other folders.
#pragma once

#include <openssl/ssl.h>

#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ringway::tls {

// Certificates above a peer's own, the trusted one among them.
inline constexpr int kVerifyDepth = 4;

// The library's oldest error as lower-case words; empties its queue. Empty if there is none.
std::string take_library_error();

// ASCII letters alone, as host names and alternative names are compared (RFC 4343 section 3).
constexpr char lower_case_of(char letter) noexcept {
  return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter;
}
std::string lower_case(std::string_view text);

// Behind the last object that was read of PEM text: nothing if the text is at its end, which the library takes for an
// error of its own, as no further line begins an object; else what is wrong. Empties the library's queue.
std::optional<std::string> take_pem_fault();

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
