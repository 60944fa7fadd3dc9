#include "tls/keys.h"

#include <openssl/digest.h>
#include <openssl/hkdf.h>
#include <openssl/mem.h>

#include <algorithm>

#include "base/assert.h"

namespace ringway::tls {
namespace {

const EVP_MD* hash_of(Cipher cipher) noexcept {
  return cipher == Cipher::kAes256Gcm ? EVP_sha384() : EVP_sha256();
}

// HKDF-Expand-Label with an empty context (RFC 8446 section 7.1).
void expand_label(Cipher cipher, std::span<const uint8_t> secret, std::string_view label, std::span<uint8_t> out) {
  constexpr std::string_view kPrefix = "tls13 ";
  std::array<uint8_t, 32> info{};
  ASSERT(4 + kPrefix.size() + label.size() <= info.size());
  uint8_t* p = info.data();
  *p++ = 0;
  *p++ = static_cast<uint8_t>(out.size());
  *p++ = static_cast<uint8_t>(kPrefix.size() + label.size());
  p = std::ranges::copy(kPrefix, p).out;
  p = std::ranges::copy(label, p).out;
  *p++ = 0;
  const int is_done = HKDF_expand(out.data(), out.size(), hash_of(cipher), secret.data(), secret.size(), info.data(),
                                  static_cast<size_t>(p - info.data()));
  ASSERT(is_done == 1);  // fails for lengths beyond 255 hashes alone
}

}  // namespace

std::string_view name_of(Version version) noexcept {
  return version == Version::kTls13 ? "TLSv1.3" : "TLSv1.2";
}

std::string_view name_of(Cipher cipher) noexcept {
  switch (cipher) {
    case Cipher::kAes128Gcm: return "AES-128-GCM";
    case Cipher::kAes256Gcm: return "AES-256-GCM";
    case Cipher::kChaCha20Poly1305: return "CHACHA20-POLY1305";
  }
  return "";
}

void TrafficKeys::wipe() noexcept {
  OPENSSL_cleanse(key.data(), key.size());
  OPENSSL_cleanse(iv.data(), iv.size());
  OPENSSL_cleanse(secret.data(), secret.size());
}

TrafficKeys keys_of_secret(Cipher cipher, std::span<const uint8_t> secret) noexcept {
  ASSERT(secret.size() == secret_size(cipher));
  TrafficKeys keys;
  keys.version = Version::kTls13;
  keys.cipher = cipher;
  std::ranges::copy(secret, keys.secret.begin());
  expand_label(cipher, secret, "key", std::span(keys.key).first(key_size(cipher)));
  expand_label(cipher, secret, "iv", keys.iv);
  return keys;
}

TrafficKeys updated(const TrafficKeys& keys) noexcept {
  ASSERT(keys.version == Version::kTls13);
  const size_t size = secret_size(keys.cipher);
  TrafficKeys next;
  std::array<uint8_t, 48> secret{};
  expand_label(keys.cipher, std::span(keys.secret).first(size), "traffic upd", std::span(secret).first(size));
  next = keys_of_secret(keys.cipher, std::span(secret).first(size));
  OPENSSL_cleanse(secret.data(), secret.size());
  return next;
}

}  // namespace ringway::tls
