#include "tls/library_stream.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>

#include "base/assert.h"
#include "tls/alert_text.h"
#include "tls/library.h"

namespace ringway::tls {
namespace {

const int kStreamIndex = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);

// Returns 1 to keep the session.
int keep_session(SSL* ssl, SSL_SESSION* session) {
  auto* const stream = static_cast<LibraryStream*>(SSL_get_ex_data(ssl, kStreamIndex));
  if (stream == nullptr) return 0;
  stream->keep(Session(session));
  return 1;
}

const char* suites_12(Cipher cipher) noexcept {
  switch (cipher) {
    case Cipher::kAes128Gcm: return "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256";
    case Cipher::kAes256Gcm: return "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384";
    case Cipher::kChaCha20Poly1305: return "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
  }
  return "";
}

void restrict(SSL* ssl, const LibraryRules& rules) {
  if (rules.version) {
    const uint16_t number = *rules.version == Version::kTls12 ? TLS1_2_VERSION : TLS1_3_VERSION;
    SSL_set_min_proto_version(ssl, number);
    SSL_set_max_proto_version(ssl, number);
  }
  if (!rules.cipher) return;
  const int is_known = SSL_set_strict_cipher_list(ssl, suites_12(*rules.cipher));
  ASSERT(is_known == 1);
  // The order of TLS 1.3's suites depends on this alone: a machine without AES prefers ChaCha20, one with it AES-128.
  bssl::SSL_set_aes_hw_override_for_testing(ssl, *rules.cipher != Cipher::kChaCha20Poly1305);
}

}  // namespace

LibraryStream::LibraryStream(std::unique_ptr<Handshake> handshake, bool is_server, const LibraryRules& rules)
    : handshake_(std::move(handshake)), rules_(rules), is_server_(is_server) {
  SSL_set_ex_data(handshake_->ssl_, kStreamIndex, this);
  restrict(handshake_->ssl_, rules);
}

std::unique_ptr<LibraryStream> LibraryStream::accept(const CredentialsRef<ServerCredentials>& credentials,
                                                     const LibraryRules& rules) {
  auto handshake = Handshake::accept(credentials);
  if (!handshake) return nullptr;
  return std::unique_ptr<LibraryStream>(new LibraryStream(std::move(handshake), true, rules));
}

std::unique_ptr<LibraryStream> LibraryStream::connect(const CredentialsRef<ClientCredentials>& credentials,
                                                      std::string_view host, const Session& session,
                                                      const LibraryRules& rules) {
  auto handshake = Handshake::connect(credentials, host, session);
  if (!handshake) return nullptr;
  return std::unique_ptr<LibraryStream>(new LibraryStream(std::move(handshake), false, rules));
}

void LibraryStream::keep_sessions(CredentialsRef<ClientCredentials>& credentials) {
  SSL_CTX* const context = credentials.while_made()->context_;
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context, keep_session);
}

std::string_view LibraryStream::group() const noexcept {
  const char* const name = SSL_get_curve_name(SSL_get_curve_id(handshake_->ssl_));
  return name != nullptr ? name : "none";
}

void LibraryStream::receive(std::span<const uint8_t> bytes) {
  handshake_->receive(bytes);
  if (state_ == State::kHandshake) advance();
}

void LibraryStream::advance() {
  switch (handshake_->advance()) {
    case Handshake::Progress::kWantsInput: return;
    case Handshake::Progress::kFailed:
      state_ = State::kFailed;
      failure_ = handshake_->failure();
      return;
    case Handshake::Progress::kDone: break;
  }
  if (rules_.cipher && cipher() != *rules_.cipher) {
    state_ = State::kFailed;
    failure_ = fmt::format("{} was chosen, {} is wanted", name_of(cipher()), name_of(*rules_.cipher));
    return;
  }
  state_ = State::kOpen;
}

size_t LibraryStream::read(std::span<uint8_t> out) {
  if (state_ != State::kOpen) return 0;
  ERR_clear_error();
  const int result = SSL_read(handshake_->ssl_, out.data(), static_cast<int>(out.size()));
  if (result > 0) return static_cast<size_t>(result);
  switch (SSL_get_error(handshake_->ssl_, result)) {
    case SSL_ERROR_WANT_READ: break;
    case SSL_ERROR_ZERO_RETURN: state_ = State::kEnded; break;
    default: fail();
  }
  return 0;
}

// A server that refuses a client's certificate says so after the client's handshake is over (TLS 1.3), and a client
// that refuses the server's may.
void LibraryStream::fail() {
  const uint32_t code = ERR_peek_error();
  const int reason = ERR_GET_REASON(code);
  state_ = State::kFailed;
  if (ERR_GET_LIB(code) == ERR_LIB_SSL && reason > SSL_AD_REASON_OFFSET) {
    failure_ = describe_alert(static_cast<uint8_t>(reason - SSL_AD_REASON_OFFSET), is_server_);
  } else {
    const std::string text = take_library_error();
    failure_ = text.empty() ? "a record cannot be read" : "a record cannot be read: " + text;
  }
  ERR_clear_error();
}

void LibraryStream::write(std::span<const uint8_t> plain) {
  if (state_ != State::kOpen || has_ended_) return;
  ERR_clear_error();
  // Everything is taken: the output has no end.
  while (!plain.empty()) {
    const size_t size = std::min<size_t>(plain.size(), INT32_MAX);
    const int result = SSL_write(handshake_->ssl_, plain.data(), static_cast<int>(size));
    if (result <= 0) {
      fail();
      return;
    }
    plain = plain.subspan(static_cast<size_t>(result));
  }
}

void LibraryStream::end() {
  if (state_ != State::kOpen || has_ended_) return;
  has_ended_ = true;
  SSL_shutdown(handshake_->ssl_);
  ERR_clear_error();
}

}  // namespace ringway::tls
