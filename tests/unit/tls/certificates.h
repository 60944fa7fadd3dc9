// Certificates for tests, made on the spot and written to a folder of their own.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ringway::tls {

struct CertificateRequest {
  std::string common_name = "test";
  std::vector<std::string> dns;
  std::vector<std::string> addresses;
  std::vector<std::string> uris;
  bool is_authority = false;
  bool is_rsa = false;
  int64_t begins_s = -3600;  // from now
  int64_t ends_s = 3600;
};

// A certificate with its key, as files in PEM form. The certificate's file holds the issuers below the root as well.
struct Issued {
  std::string certificate;
  std::string private_key;
  std::string chain_pem;
  std::string key_pem;
};

// A folder that goes with the object.
class Authority {
 public:
  Authority();
  ~Authority();
  Authority(const Authority&) = delete;
  Authority& operator=(const Authority&) = delete;

  std::string path(const std::string& name) const { return folder_ + "/" + name; }
  void write(const std::string& name, const std::string& text) const;

  // Self-signed.
  Issued root(const std::string& name, CertificateRequest request = {});
  Issued issue(const std::string& name, const Issued& issuer, CertificateRequest request);
  // A revocation list of `issuer` with these certificates; returns its path.
  std::string revoke(const std::string& name, const Issued& issuer, const std::vector<Issued>& revoked,
                     int64_t ends_s = 3600);

 private:
  Issued make(const std::string& name, const Issued* issuer, const CertificateRequest& request);

  std::string folder_;
  int64_t serial_ = 1;
};

}  // namespace ringway::tls
