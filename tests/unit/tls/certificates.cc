#include "certificates.h"

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/ec_key.h>
#include <openssl/evp.h>
#include <openssl/nid.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>

namespace ringway::tls {
namespace {

void check(bool is_good, const char* what) {
  if (!is_good) throw std::runtime_error(std::string("making a certificate: ") + what);
}

bssl::UniquePtr<EVP_PKEY> make_key(bool is_rsa) {
  bssl::UniquePtr<EVP_PKEY> key(EVP_PKEY_new());
  if (is_rsa) {
    const bssl::UniquePtr<BIGNUM> exponent(BN_new());
    const bssl::UniquePtr<RSA> rsa(RSA_new());
    check(
        BN_set_word(exponent.get(), RSA_F4) == 1 && RSA_generate_key_ex(rsa.get(), 2048, exponent.get(), nullptr) == 1,
        "RSA key");
    check(EVP_PKEY_set1_RSA(key.get(), rsa.get()) == 1, "RSA key");
  } else {
    const bssl::UniquePtr<EC_KEY> ec(EC_KEY_new_by_curve_name(NID_X9_62_prime256v1));
    check(EC_KEY_generate_key(ec.get()) == 1 && EVP_PKEY_set1_EC_KEY(key.get(), ec.get()) == 1, "EC key");
  }
  return key;
}

template <typename Write>
std::string pem_of(Write&& write) {
  const bssl::UniquePtr<BIO> bio(BIO_new(BIO_s_mem()));
  check(write(bio.get()) == 1, "PEM");
  const uint8_t* octets = nullptr;
  size_t size = 0;
  BIO_mem_contents(bio.get(), &octets, &size);
  return {reinterpret_cast<const char*>(octets), size};
}

bssl::UniquePtr<X509> parse_certificate(const std::string& pem) {
  const bssl::UniquePtr<BIO> bio(BIO_new_mem_buf(pem.data(), static_cast<ossl_ssize_t>(pem.size())));
  return bssl::UniquePtr<X509>(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
}

bssl::UniquePtr<EVP_PKEY> parse_key(const std::string& pem) {
  const bssl::UniquePtr<BIO> bio(BIO_new_mem_buf(pem.data(), static_cast<ossl_ssize_t>(pem.size())));
  return bssl::UniquePtr<EVP_PKEY>(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr));
}

// Names may hold any octet, as a hostile authority's do.
void push_name(GENERAL_NAMES* names, int type, const std::string& octets) {
  GENERAL_NAME* const name = GENERAL_NAME_new();
  name->type = type;
  ASN1_STRING* const text = ASN1_STRING_type_new(type == GEN_IPADD ? V_ASN1_OCTET_STRING : V_ASN1_IA5STRING);
  ASN1_STRING_set(text, octets.data(), static_cast<ossl_ssize_t>(octets.size()));
  name->d.ia5 = text;
  sk_GENERAL_NAME_push(names, name);
}

void add_names(X509* certificate, const CertificateRequest& request) {
  const bssl::UniquePtr<GENERAL_NAMES> names(sk_GENERAL_NAME_new_null());
  for (const std::string& name : request.dns) push_name(names.get(), GEN_DNS, name);
  for (const std::string& uri : request.uris) push_name(names.get(), GEN_URI, uri);
  for (const std::string& address : request.addresses) {
    const bssl::UniquePtr<ASN1_OCTET_STRING> octets(a2i_IPADDRESS(address.c_str()));
    check(octets != nullptr, "address");
    push_name(names.get(), GEN_IPADD,
              {reinterpret_cast<const char*>(ASN1_STRING_get0_data(octets.get())),
               static_cast<size_t>(ASN1_STRING_length(octets.get()))});
  }
  if (sk_GENERAL_NAME_num(names.get()) == 0) return;
  check(X509_add1_ext_i2d(certificate, NID_subject_alt_name, names.get(), 0, X509V3_ADD_DEFAULT) == 1, "names");
}

void add_authority(X509* certificate, bool is_authority) {
  const bssl::UniquePtr<BASIC_CONSTRAINTS> constraints(BASIC_CONSTRAINTS_new());
  constraints->ca = is_authority ? ASN1_BOOLEAN_TRUE : ASN1_BOOLEAN_FALSE;
  check(X509_add1_ext_i2d(certificate, NID_basic_constraints, constraints.get(), 1, X509V3_ADD_DEFAULT) == 1, "CA");
}

}  // namespace

Authority::Authority() {
  std::string pattern = std::filesystem::temp_directory_path() / "ringway-certs-XXXXXX";
  check(mkdtemp(pattern.data()) != nullptr, "folder");
  folder_ = pattern;
}

Authority::~Authority() {
  std::filesystem::remove_all(folder_);
}

void Authority::write(const std::string& name, const std::string& text) const {
  std::ofstream(path(name), std::ios::binary) << text;
}

Issued Authority::root(const std::string& name, CertificateRequest request) {
  request.is_authority = true;
  return make(name, nullptr, request);
}

Issued Authority::issue(const std::string& name, const Issued& issuer, CertificateRequest request) {
  return make(name, &issuer, request);
}

Issued Authority::make(const std::string& name, const Issued* issuer, const CertificateRequest& request) {
  const bssl::UniquePtr<EVP_PKEY> key = make_key(request.is_rsa);
  const bssl::UniquePtr<X509> certificate(X509_new());
  check(X509_set_version(certificate.get(), X509_VERSION_3) == 1, "version");
  check(ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate.get()), static_cast<uint64_t>(serial_++)) == 1,
        "serial");
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), static_cast<long>(request.begins_s));
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), static_cast<long>(request.ends_s));
  X509_NAME* const subject = X509_get_subject_name(certificate.get());
  const std::string common_name = request.common_name == "test" ? name : request.common_name;
  check(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, reinterpret_cast<const uint8_t*>(common_name.data()),
                                   static_cast<ossl_ssize_t>(common_name.size()), -1, 0) == 1,
        "subject");
  const bssl::UniquePtr<X509> issuing = issuer == nullptr ? nullptr : parse_certificate(issuer->chain_pem);
  const bssl::UniquePtr<EVP_PKEY> issuing_key = issuer == nullptr ? nullptr : parse_key(issuer->key_pem);
  check(X509_set_issuer_name(certificate.get(), issuing ? X509_get_subject_name(issuing.get()) : subject) == 1,
        "issuer");
  check(X509_set_pubkey(certificate.get(), key.get()) == 1, "public key");
  add_authority(certificate.get(), request.is_authority);
  add_names(certificate.get(), request);
  check(X509_sign(certificate.get(), issuing_key ? issuing_key.get() : key.get(), EVP_sha256()) != 0, "signature");

  Issued made{path(name + "-cert.pem"), path(name + "-key.pem"), "", ""};
  made.chain_pem = pem_of([&](BIO* bio) { return PEM_write_bio_X509(bio, certificate.get()); });
  // A root's own certificate need not be sent.
  const bool is_below_root =
      issuing && X509_NAME_cmp(X509_get_subject_name(issuing.get()), X509_get_issuer_name(issuing.get())) != 0;
  if (is_below_root) made.chain_pem += issuer->chain_pem;
  made.key_pem =
      pem_of([&](BIO* bio) { return PEM_write_bio_PrivateKey(bio, key.get(), nullptr, nullptr, 0, nullptr, nullptr); });
  write(name + "-cert.pem", made.chain_pem);
  write(name + "-key.pem", made.key_pem);
  return made;
}

std::string Authority::revoke(const std::string& name, const Issued& issuer, const std::vector<Issued>& revoked,
                              int64_t ends_s) {
  const bssl::UniquePtr<X509> issuing = parse_certificate(issuer.chain_pem);
  const bssl::UniquePtr<EVP_PKEY> key = parse_key(issuer.key_pem);
  const bssl::UniquePtr<X509_CRL> list(X509_CRL_new());
  X509_CRL_set_version(list.get(), X509_CRL_VERSION_2);
  X509_CRL_set_issuer_name(list.get(), X509_get_subject_name(issuing.get()));
  const bssl::UniquePtr<ASN1_TIME> begins(X509_gmtime_adj(nullptr, -7200));
  const bssl::UniquePtr<ASN1_TIME> ends(X509_gmtime_adj(nullptr, static_cast<long>(ends_s)));
  X509_CRL_set1_lastUpdate(list.get(), begins.get());
  X509_CRL_set1_nextUpdate(list.get(), ends.get());
  for (const Issued& one : revoked) {
    const bssl::UniquePtr<X509> certificate = parse_certificate(one.chain_pem);
    X509_REVOKED* const entry = X509_REVOKED_new();
    X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(certificate.get()));
    X509_REVOKED_set_revocationDate(entry, begins.get());
    X509_CRL_add0_revoked(list.get(), entry);
  }
  check(X509_CRL_sign(list.get(), key.get(), EVP_sha256()) != 0, "revocation list");
  write(name, pem_of([&](BIO* bio) { return PEM_write_bio_X509_CRL(bio, list.get()); }));
  return path(name);
}

}  // namespace ringway::tls
