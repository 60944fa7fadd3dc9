// What protects one direction of a connection after the handshake: version, cipher, key, nonce base, and the number of
// the next record. The same values go to the records in user space and to the kernel.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace ringway::tls {

enum class Version : uint8_t { kTls12, kTls13 };
enum class Cipher : uint8_t { kAes128Gcm, kAes256Gcm, kChaCha20Poly1305 };
inline constexpr size_t kCipherCount = 3;

std::string_view name_of(Version version) noexcept;  // as in "TLSv1.3"
std::string_view name_of(Cipher cipher) noexcept;    // as in "AES-128-GCM"

constexpr size_t key_size(Cipher cipher) noexcept {
  return cipher == Cipher::kAes128Gcm ? 16 : 32;
}
// Of the hash that the cipher suite derives its secrets with: SHA-384 with AES-256, SHA-256 else.
constexpr size_t secret_size(Cipher cipher) noexcept {
  return cipher == Cipher::kAes256Gcm ? 48 : 32;
}

inline constexpr size_t kIvSize = 12;

// Wiped when it goes.
struct TrafficKeys {
  TrafficKeys() noexcept = default;
  TrafficKeys(const TrafficKeys&) noexcept = default;
  TrafficKeys& operator=(const TrafficKeys&) noexcept = default;
  ~TrafficKeys() { wipe(); }
  void wipe() noexcept;

  Version version = Version::kTls13;
  Cipher cipher = Cipher::kAes128Gcm;
  std::array<uint8_t, 32> key{};      // the first key_size() octets
  std::array<uint8_t, kIvSize> iv{};  // TLS 1.2 with GCM: the first four, the salt; the rest is in each record
  std::array<uint8_t, 48> secret{};   // TLS 1.3: what the next keys come from; the first secret_size() octets
  uint64_t sequence = 0;              // of the next record
};

// TLS 1.3: key and iv of a traffic secret (RFC 8446 section 7.3), from record 0.
TrafficKeys keys_of_secret(Cipher cipher, std::span<const uint8_t> secret) noexcept;

// TLS 1.3: the keys behind a KeyUpdate (RFC 8446 section 7.2), from record 0.
TrafficKeys updated(const TrafficKeys& keys) noexcept;

}  // namespace ringway::tls
