// The other end of a connection: BoringSSL's own handshake and records, in memory.
#pragma once

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace ringway::tls {

class Peer {
 public:
  explicit Peer(SSL_CTX* context) : ssl_(SSL_new(context)) {
    in_ = BIO_new(BIO_s_mem());
    out_ = BIO_new(BIO_s_mem());
    BIO_set_mem_eof_return(in_, -1);
    SSL_set_bio(ssl_.get(), in_, out_);
  }

  SSL* ssl() noexcept { return ssl_.get(); }
  // True when the handshake is over; false when it needs more, or has failed (then failed() holds).
  bool advance() {
    ERR_clear_error();
    const int result = SSL_do_handshake(ssl_.get());
    if (result == 1) return true;
    is_failed_ = SSL_get_error(ssl_.get(), result) != SSL_ERROR_WANT_READ;
    return false;
  }
  bool failed() const noexcept { return is_failed_; }
  void receive(std::span<const uint8_t> bytes) { BIO_write(in_, bytes.data(), static_cast<int>(bytes.size())); }
  std::vector<uint8_t> take_output() {
    std::vector<uint8_t> bytes(BIO_ctrl_pending(out_));
    if (!bytes.empty()) BIO_read(out_, bytes.data(), static_cast<int>(bytes.size()));
    return bytes;
  }
  void write(const std::string& text) { SSL_write(ssl_.get(), text.data(), static_cast<int>(text.size())); }
  // All that can be read now.
  std::string read() {
    std::string text;
    char piece[20'000];
    int size;
    while ((size = SSL_read(ssl_.get(), piece, sizeof piece)) > 0) text.append(piece, static_cast<size_t>(size));
    last_error_ = SSL_get_error(ssl_.get(), size);
    return text;
  }
  int last_error() const noexcept { return last_error_; }

 private:
  bssl::UniquePtr<SSL> ssl_;
  BIO* in_;
  BIO* out_;
  bool is_failed_ = false;
  int last_error_ = 0;
};

}  // namespace ringway::tls
