#include "tls/records.h"

#include <openssl/mem.h>

#include <algorithm>

#include "base/assert.h"

namespace ringway::tls {
namespace {

constexpr uint8_t kHandshakeKeyUpdate = 24;
constexpr size_t kExplicitNonceSize = 8;

const EVP_AEAD* aead_of(Cipher cipher) noexcept {
  switch (cipher) {
    case Cipher::kAes128Gcm: return EVP_aead_aes_128_gcm();
    case Cipher::kAes256Gcm: return EVP_aead_aes_256_gcm();
    case Cipher::kChaCha20Poly1305: return EVP_aead_chacha20_poly1305();
  }
  return nullptr;
}

void put_sequence(uint8_t* out, uint64_t sequence) noexcept {
  sequence = __builtin_bswap64(sequence);
  __builtin_memcpy(out, &sequence, sizeof sequence);
}

size_t size_in_header(const uint8_t* header) noexcept {
  return size_t{header[3]} << 8 | header[4];
}

void put_header(uint8_t* out, ContentType type, size_t size) noexcept {
  out[0] = static_cast<uint8_t>(type);
  out[1] = 3;
  out[2] = 3;
  out[3] = static_cast<uint8_t>(size >> 8);
  out[4] = static_cast<uint8_t>(size);
}

}  // namespace

RecordCipher::RecordCipher() noexcept {
  EVP_AEAD_CTX_zero(&aead_);
}

RecordCipher::~RecordCipher() {
  EVP_AEAD_CTX_cleanup(&aead_);
  OPENSSL_cleanse(&aead_, sizeof aead_);
}

void RecordCipher::start(const TrafficKeys& keys) noexcept {
  keys_ = keys;
  EVP_AEAD_CTX_cleanup(&aead_);
  const int is_done =
      EVP_AEAD_CTX_init(&aead_, aead_of(keys.cipher), keys.key.data(), key_size(keys.cipher), kTagSize, nullptr);
  ASSERT(is_done == 1);  // fails for lengths that do not fit the cipher alone
}

size_t RecordCipher::overhead() const noexcept {
  const size_t beside = keys_.version == Version::kTls13 ? 1 : has_explicit_nonce() ? kExplicitNonceSize : 0;
  return kRecordHeaderSize + beside + kTagSize;
}

// RFC 8446 section 5.3, also of ChaCha20 in TLS 1.2 (RFC 7905); RFC 5288 section 3 for GCM there.
void RecordCipher::make_nonce(uint8_t* nonce) const noexcept {
  std::ranges::copy(keys_.iv, nonce);
  uint8_t sequence[8];
  put_sequence(sequence, keys_.sequence);
  for (size_t i = 0; i < sizeof sequence; ++i) {
    nonce[4 + i] = static_cast<uint8_t>(has_explicit_nonce() ? sequence[i] : nonce[4 + i] ^ sequence[i]);
  }
}

// RFC 8446 section 5.2: the record's header. RFC 5246 section 6.2.3.3: with the number before, and the plaintext's
// size.
size_t RecordCipher::make_additional(uint8_t* out, ContentType type, size_t plain_size,
                                     size_t record_size) const noexcept {
  if (keys_.version == Version::kTls13) {
    put_header(out, ContentType::kData, record_size);
    return kRecordHeaderSize;
  }
  put_sequence(out, keys_.sequence);
  put_header(out + 8, type, plain_size);
  return 8 + kRecordHeaderSize;
}

size_t RecordCipher::seal(ContentType type, std::span<const uint8_t> bytes, uint8_t* out) noexcept {
  ASSERT(bytes.size() <= kPlaintextSizeMax);
  const bool is_13 = keys_.version == Version::kTls13;
  const size_t size = bytes.size() + overhead() - kRecordHeaderSize;
  put_header(out, is_13 ? ContentType::kData : type, size);
  uint8_t nonce[kIvSize];
  make_nonce(nonce);
  uint8_t additional[13];
  const size_t additional_size = make_additional(additional, type, bytes.size(), size);
  uint8_t* body = out + kRecordHeaderSize;
  if (has_explicit_nonce()) {
    __builtin_memcpy(body, nonce + 4, kExplicitNonceSize);
    body += kExplicitNonceSize;
  }
  const auto inner_type = static_cast<uint8_t>(type);
  const size_t extra_size = is_13 ? 1 : 0;
  size_t tag_size = 0;
  const int is_done = EVP_AEAD_CTX_seal_scatter(&aead_, body, body + bytes.size(), &tag_size, kTagSize + extra_size,
                                                nonce, sizeof nonce, bytes.data(), bytes.size(), &inner_type,
                                                extra_size, additional, additional_size);
  ASSERT(is_done == 1 && tag_size == kTagSize + extra_size);
  ++keys_.sequence;
  return kRecordHeaderSize + size;
}

bool RecordCipher::open(std::span<uint8_t> record, ContentType& type, std::span<uint8_t>& plain,
                        Alert& alert) noexcept {
  const bool is_13 = keys_.version == Version::kTls13;
  alert = Alert::kBadRecordMac;
  if (record.size() < overhead()) return false;
  type = static_cast<ContentType>(record[0]);
  uint8_t nonce[kIvSize];
  make_nonce(nonce);
  std::span<uint8_t> body = record.subspan(kRecordHeaderSize);
  if (has_explicit_nonce()) {
    __builtin_memcpy(nonce + 4, body.data(), kExplicitNonceSize);
    body = body.subspan(kExplicitNonceSize);
  }
  const size_t size = body.size() - kTagSize;
  uint8_t additional[13];
  const size_t additional_size = make_additional(additional, type, size, record.size() - kRecordHeaderSize);
  if (EVP_AEAD_CTX_open_gather(&aead_, body.data(), nonce, sizeof nonce, body.data(), size, body.data() + size,
                               kTagSize, additional, additional_size) != 1) {
    return false;
  }
  ++keys_.sequence;
  plain = body.first(size);
  if (is_13) {
    // Padding counts.
    alert = Alert::kRecordOverflow;
    if (size > kPlaintextSizeMax + 1) return false;
    // The type is the last octet that is not padding (RFC 8446 section 5.4).
    while (!plain.empty() && plain.back() == 0) plain = plain.first(plain.size() - 1);
    alert = Alert::kUnexpectedMessage;
    if (plain.empty()) return false;
    type = static_cast<ContentType>(plain.back());
    plain = plain.first(plain.size() - 1);
  }
  alert = Alert::kRecordOverflow;
  return plain.size() <= kPlaintextSizeMax;
}

void RecordWriter::write_one(ContentType type, std::span<const uint8_t> bytes, base::ByteQueue& out,
                             base::BlockPool& pool) {
  uint8_t* const place = out.reserve(pool, static_cast<uint32_t>(bytes.size() + cipher_.overhead()));
  out.commit(static_cast<uint32_t>(cipher_.seal(type, bytes, place)));
}

void RecordWriter::write(ContentType type, std::span<const uint8_t> bytes, base::ByteQueue& out,
                         base::BlockPool& pool) {
  const size_t records = (bytes.size() + kPlaintextSizeMax - 1) / kPlaintextSizeMax;
  out.reserve(pool, static_cast<uint32_t>(bytes.size() + records * cipher_.overhead()));
  while (!bytes.empty()) {
    const size_t size = std::min(bytes.size(), kPlaintextSizeMax);
    write_one(type, bytes.first(size), out, pool);
    bytes = bytes.subspan(size);
  }
}

void RecordWriter::write_alert(Alert alert, base::ByteQueue& out, base::BlockPool& pool) {
  constexpr uint8_t kWarning = 1;
  constexpr uint8_t kFatal = 2;
  const uint8_t body[] = {alert == Alert::kCloseNotify ? kWarning : kFatal, static_cast<uint8_t>(alert)};
  write_one(ContentType::kAlert, body, out, pool);
}

void RecordWriter::update_keys(base::ByteQueue& out, base::BlockPool& pool) {
  const uint8_t message[] = {kHandshakeKeyUpdate, 0, 0, 1, 0};  // update_not_requested
  write_one(ContentType::kHandshake, message, out, pool);
  cipher_.start(updated(cipher_.keys()));
}

// Gathers until `wanted` octets of a record are there.
bool RecordReader::gather(std::span<uint8_t>& input, base::BlockPool& pool, size_t wanted) {
  if (partial_.size() >= wanted) return true;
  const size_t missing = wanted - partial_.size();
  const size_t size = std::min(missing, input.size());
  if (size == 0) return false;
  partial_.reserve(pool, static_cast<uint32_t>(missing));
  partial_.append(pool, input.first(size));
  input = input.subspan(size);
  return partial_.size() == wanted;
}

Opened RecordReader::open(std::span<uint8_t> record) {
  Opened opened;
  const bool is_good = cipher_.open(record, opened.type, opened.plain, opened.alert);
  opened.kind = is_good ? Opened::Kind::kRecord : Opened::Kind::kBroken;
  return opened;
}

Opened RecordReader::next(std::span<uint8_t>& input, base::BlockPool& pool) {
  if (is_partial_used_) {
    partial_.release(pool);
    is_partial_used_ = false;
  }
  if (partial_.is_empty() && input.empty()) return {};
  const uint8_t* header = input.data();
  if (!partial_.is_empty() || input.size() < kRecordHeaderSize) {
    if (!gather(input, pool, kRecordHeaderSize)) return {};
    header = partial_.data();
  }
  const bool is_13 = cipher_.keys().version == Version::kTls13;
  const size_t size = size_in_header(header);
  // In TLS 1.3 nothing but protected records follows a handshake.
  if (header[1] != 3 || (is_13 && header[0] != static_cast<uint8_t>(ContentType::kData))) {
    return {.kind = Opened::Kind::kBroken, .alert = Alert::kUnexpectedMessage};
  }
  if (size > kCiphertextSizeMax + (is_13 ? 0 : 1024)) {
    return {.kind = Opened::Kind::kBroken, .alert = Alert::kRecordOverflow};
  }
  const size_t whole = kRecordHeaderSize + size;
  if (partial_.is_empty() && input.size() >= whole) {
    const std::span<uint8_t> record = input.first(whole);
    input = input.subspan(whole);
    return open(record);
  }
  if (!gather(input, pool, whole)) return {};
  is_partial_used_ = true;
  return open({partial_.mutable_data(), whole});
}

}  // namespace ringway::tls
