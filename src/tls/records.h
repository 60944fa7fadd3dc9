// Records in user space (RFC 8446 section 5, RFC 5246 section 6.2 with the AEAD ciphers of TLS 1.2), on the shard's own
// buffers: what arrives is opened where it lies, what leaves is sealed straight into what is sent. One direction each,
// one thread.
#pragma once

#include <openssl/aead.h>

#include <cstdint>
#include <span>

#include "base/block_pool.h"
#include "base/byte_queue.h"
#include "tls/keys.h"

namespace ringway::tls {

enum class ContentType : uint8_t { kChangeCipherSpec = 20, kAlert = 21, kHandshake = 22, kData = 23 };

inline constexpr size_t kRecordHeaderSize = 5;
inline constexpr size_t kPlaintextSizeMax = 16 * 1024;
inline constexpr size_t kTagSize = 16;
// RFC 8446 section 5.2: 256 octets for type, padding and tag; TLS 1.2 may have as many more for its nonce.
inline constexpr size_t kCiphertextSizeMax = kPlaintextSizeMax + 256;

// Alert descriptions (RFC 8446 section 6) that records and handshakes give rise to.
enum class Alert : uint8_t {
  kCloseNotify = 0,
  kUnexpectedMessage = 10,
  kBadRecordMac = 20,
  kRecordOverflow = 22,
  kIllegalParameter = 47,
  kDecodeError = 50,
  kProtocolVersion = 70,
  kInternalError = 80,
  kNoRenegotiation = 100,
  kNoApplicationProtocol = 120,
};

// AES or ChaCha20 with the nonces and additional data of one version. Wiped when it goes.
class RecordCipher {
 public:
  RecordCipher() noexcept;
  RecordCipher(const RecordCipher&) = delete;
  RecordCipher& operator=(const RecordCipher&) = delete;
  ~RecordCipher();

  // From the record that `keys` say; also in place of earlier keys.
  void start(const TrafficKeys& keys) noexcept;
  const TrafficKeys& keys() const noexcept { return keys_; }
  // Octets of a record beyond its plaintext.
  size_t overhead() const noexcept;

  // Writes one record to `out`, which has room for bytes.size() + overhead(). Returns its size.
  size_t seal(ContentType type, std::span<const uint8_t> bytes, uint8_t* out) noexcept;
  // Opens one whole record in place. False: it is not authentic, or not well-formed; `alert` says how.
  bool open(std::span<uint8_t> record, ContentType& type, std::span<uint8_t>& plain, Alert& alert) noexcept;

 private:
  bool has_explicit_nonce() const noexcept {
    return keys_.version == Version::kTls12 && keys_.cipher != Cipher::kChaCha20Poly1305;
  }
  void make_nonce(uint8_t* nonce) const noexcept;
  size_t make_additional(uint8_t* out, ContentType type, size_t plain_size, size_t record_size) const noexcept;

  TrafficKeys keys_;
  EVP_AEAD_CTX aead_;
};

class RecordWriter {
 public:
  void start(const TrafficKeys& keys) noexcept { cipher_.start(keys); }

  // Appends `bytes` to `out`, in records of at most 16 KiB.
  void write(ContentType type, std::span<const uint8_t> bytes, base::ByteQueue& out, base::BlockPool& pool);
  void write_alert(Alert alert, base::ByteQueue& out, base::BlockPool& pool);
  // TLS 1.3: tells the peer that new keys follow, and takes them.
  void update_keys(base::ByteQueue& out, base::BlockPool& pool);
  const TrafficKeys& keys() const noexcept { return cipher_.keys(); }

 private:
  void write_one(ContentType type, std::span<const uint8_t> bytes, base::ByteQueue& out, base::BlockPool& pool);

  RecordCipher cipher_;
};

// What came of some octets.
struct Opened {
  enum class Kind : uint8_t {
    kNothing,  // the input is used up, and no record is whole
    kRecord,
    kBroken,  // `alert` says how; nothing more can be read
  };
  Kind kind = Kind::kNothing;
  ContentType type = ContentType::kData;
  Alert alert = Alert::kBadRecordMac;
  std::span<uint8_t> plain;  // in the input or in the reader, until the next call
};

class RecordReader {
 public:
  void start(const TrafficKeys& keys) noexcept { cipher_.start(keys); }
  // TLS 1.3: the peer has said that its next record has new keys.
  void update_keys() noexcept { cipher_.start(updated(cipher_.keys())); }

  // Takes the next record from the front of `input`, which is written over; a part of one is kept.
  Opened next(std::span<uint8_t>& input, base::BlockPool& pool);
  void release(base::BlockPool& pool) noexcept { partial_.release(pool); }
  const TrafficKeys& keys() const noexcept { return cipher_.keys(); }

 private:
  bool gather(std::span<uint8_t>& input, base::BlockPool& pool, size_t wanted);
  Opened open(std::span<uint8_t> record);

  RecordCipher cipher_;
  base::ByteQueue partial_;
  bool is_partial_used_ = false;  // what it holds was given out by the latest call
};

}  // namespace ringway::tls
