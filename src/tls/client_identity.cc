#include "tls/client_identity.h"

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/sha.h>
#include <openssl/x509.h>

#include "tls/library.h"

namespace ringway::tls {
namespace {

// A value with a comma, semicolon, equals sign or quote stands in quotes.
void add(std::string& text, std::string_view key, std::string_view value, bool is_quoted) {
  if (!text.empty()) text.push_back(';');
  text.append(key).push_back('=');
  is_quoted = is_quoted || value.find_first_of(",;=\"") != std::string_view::npos;
  if (is_quoted) text.push_back('"');
  for (const char octet : value) {
    if (octet == '"' || (octet == '\\' && is_quoted)) text.push_back('\\');
    if (octet >= 0x20 && octet < 0x7f)
      text.push_back(octet);
    else
      text += fmt::format("%{:02X}", static_cast<uint8_t>(octet));
  }
  if (is_quoted) text.push_back('"');
}

std::string hash_of(X509* certificate) {
  uint8_t digest[SHA256_DIGEST_LENGTH];
  unsigned size = sizeof digest;
  if (X509_digest(certificate, EVP_sha256(), digest, &size) != 1) return "";
  std::string text;
  for (const uint8_t octet : digest) text += fmt::format("{:02x}", octet);
  return text;
}

std::string subject_of(X509* certificate) {
  const bssl::UniquePtr<BIO> bio(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(bio.get(), X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253);
  const uint8_t* octets = nullptr;
  size_t size = 0;
  BIO_mem_contents(bio.get(), &octets, &size);
  return {reinterpret_cast<const char*>(octets), size};
}

}  // namespace

std::string describe_client(x509_st* certificate, std::string_view own_uri) {
  std::string text;
  if (!own_uri.empty()) add(text, "By", own_uri, false);
  add(text, "Hash", hash_of(certificate), false);
  add(text, "Subject", subject_of(certificate), true);
  const AlternativeNames names = alternative_names(certificate);
  for (const std::string& uri : names.uris) add(text, "URI", uri, false);
  for (const std::string& name : names.dns) add(text, "DNS", name, false);
  return text;
}

}  // namespace ringway::tls
