#include "tls/library.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <arpa/inet.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "base/assert.h"

namespace ringway::tls {
namespace {

// What a file of keys and certificates may have at most; bundles of roots have a few hundred KiB.
constexpr size_t kFileSizeMax = 16u << 20;

struct FileCloser {
  void operator()(std::FILE* file) const noexcept { std::fclose(file); }
};

bool is_name_octet(char octet) noexcept {
  return octet > 0x20 && octet < 0x7f;
}

}  // namespace

std::string take_library_error() {
  const uint32_t code = ERR_peek_error();
  const char* const reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  std::string text = lower_case(reason == nullptr ? "" : reason);
  ERR_clear_error();
  std::ranges::replace(text, '_', ' ');
  return text;
}

std::string lower_case(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), lower_case_of);
  return out;
}

std::optional<std::string> take_pem_fault() {
  const uint32_t code = ERR_peek_last_error();
  const bool is_at_end = ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE;
  std::string reason = take_library_error();
  if (is_at_end) return std::nullopt;
  return reason;
}

std::expected<std::string, std::string> read_file(const std::string& path) {
  const auto failed = [&path] { return std::unexpected(path + ": " + std::strerror(errno)); };
  const std::unique_ptr<std::FILE, FileCloser> file(std::fopen(path.c_str(), "rbe"));
  if (!file) return failed();
  std::string text;
  char piece[16 * 1024];
  while (const size_t size = std::fread(piece, 1, sizeof piece, file.get())) {
    text.append(piece, size);
    if (text.size() > kFileSizeMax) return std::unexpected(path + ": is larger than 16 MiB");
  }
  if (std::ferror(file.get()) != 0) return failed();
  return text;
}

std::expected<std::vector<bssl::UniquePtr<X509>>, std::string> read_certificates(const std::string& pem,
                                                                                 const std::string& path) {
  const bssl::UniquePtr<BIO> bio(BIO_new_mem_buf(pem.data(), static_cast<ossl_ssize_t>(pem.size())));
  std::vector<bssl::UniquePtr<X509>> certificates;
  while (X509* certificate = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) {
    certificates.emplace_back(certificate);
  }
  if (const auto fault = take_pem_fault()) return std::unexpected(path + ": a certificate cannot be read: " + *fault);
  if (certificates.empty()) return std::unexpected(path + ": holds no certificate in PEM form");
  return certificates;
}

AlternativeNames alternative_names(X509* certificate) {
  AlternativeNames found;
  const bssl::UniquePtr<GENERAL_NAMES> names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  ERR_clear_error();
  if (!names) return found;
  for (const GENERAL_NAME* name : names.get()) {
    if (name->type == GEN_IPADD) {
      const ASN1_OCTET_STRING* octets = name->d.iPAddress;
      char text[INET6_ADDRSTRLEN];
      const int family = ASN1_STRING_length(octets) == 4 ? AF_INET : AF_INET6;
      if (ASN1_STRING_length(octets) != 4 && ASN1_STRING_length(octets) != 16) continue;
      found.addresses.emplace_back(inet_ntop(family, ASN1_STRING_get0_data(octets), text, sizeof text));
    } else if (name->type == GEN_DNS || name->type == GEN_URI) {
      const ASN1_IA5STRING* octets = name->type == GEN_DNS ? name->d.dNSName : name->d.uniformResourceIdentifier;
      std::string text(reinterpret_cast<const char*>(ASN1_STRING_get0_data(octets)),
                       static_cast<size_t>(ASN1_STRING_length(octets)));
      if (text.empty() || !std::ranges::all_of(text, is_name_octet)) continue;
      if (name->type == GEN_URI) {
        found.uris.push_back(std::move(text));
        continue;
      }
      found.dns.push_back(lower_case(text));
    }
  }
  return found;
}

int64_t expires_s(const X509* certificate) {
  int64_t seconds = 0;
  return ASN1_TIME_to_posix(X509_get0_notAfter(certificate), &seconds) == 1 ? seconds : 0;
}

}  // namespace ringway::tls
