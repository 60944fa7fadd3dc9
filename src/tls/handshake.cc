#include "tls/handshake.h"

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>

#include "base/assert.h"
#include "tls/alert_text.h"
#include "tls/client_identity.h"
#include "tls/library.h"

namespace ringway::tls {
namespace {

// Reasons of alerts that a peer has sent are numbered behind this (ssl.h).
constexpr int kAlertReasonOffset = SSL_AD_REASON_OFFSET;

int bio_read(BIO* bio, char* out, int size) {
  BIO_clear_retry_flags(bio);
  const int read = static_cast<Handshake*>(BIO_get_data(bio))->read(reinterpret_cast<uint8_t*>(out), size);
  if (read < 0) BIO_set_retry_read(bio);
  return read;
}

int bio_write(BIO* bio, const char* bytes, int size) {
  BIO_clear_retry_flags(bio);
  static_cast<Handshake*>(BIO_get_data(bio))->write(reinterpret_cast<const uint8_t*>(bytes), size);
  return size;
}

long bio_control(BIO*, int command, long, void*) {
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

const BIO_METHOD* bio_method() {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "handshake");
    ASSERT(made != nullptr);
    BIO_meth_set_read(made, bio_read);
    BIO_meth_set_write(made, bio_write);
    BIO_meth_set_ctrl(made, bio_control);
    return made;
  }();
  return method;
}

bool find_cipher(const SSL_CIPHER* suite, Cipher& cipher) {
  switch (SSL_CIPHER_get_cipher_nid(suite)) {
    case NID_aes_128_gcm: cipher = Cipher::kAes128Gcm; return true;
    case NID_aes_256_gcm: cipher = Cipher::kAes256Gcm; return true;
    case NID_chacha20_poly1305: cipher = Cipher::kChaCha20Poly1305; return true;
    default: return false;
  }
}

// What a peer speaks whose first octets are no record; five of them are known.
Cleartext recognise_cleartext(std::string_view first) {
  if (first.starts_with("PRI *")) return Cleartext::kHttp2;
  // A SETTINGS frame of at most 42 entries, on stream 0.
  if (first.size() >= 5 && first[0] == 0 && first[1] == 0 && first[3] == 4) return Cleartext::kHttp2;
  for (const std::string_view word : {"HTTP/", "GET ", "POST ", "HEAD ", "PUT ", "OPTIO", "DELET", "PATCH", "CONNE"}) {
    if (first.starts_with(word)) return Cleartext::kHttp1;
  }
  return Cleartext::kNone;
}

std::string describe_cleartext(Cleartext speech, std::string_view first) {
  if (speech == Cleartext::kHttp2) return "speaks HTTP/2 in cleartext";
  if (speech == Cleartext::kHttp1) return "speaks HTTP/1 in cleartext";
  // Escaped by whoever writes the line.
  return fmt::format("does not speak TLS (its first octets are \"{}\")", first);
}

std::string describe_names(X509* certificate) {
  const AlternativeNames names = alternative_names(certificate);
  std::string text;
  constexpr size_t kNames_max = 5;
  size_t count = 0;
  for (const auto* list : {&names.dns, &names.addresses}) {
    for (const std::string& name : *list) {
      if (count++ == kNames_max) return text + ", …";
      text += (text.empty() ? "" : ", ") + name;
    }
  }
  return text.empty() ? "no name" : text;
}

}  // namespace

Session::~Session() {
  SSL_SESSION_free(session_);
}

std::unique_ptr<Handshake> Handshake::accept(const CredentialsRef<ServerCredentials>& context) {
  std::unique_ptr<Handshake> made(new Handshake);
  made->server_ = context;
  if (!made->begin(SSL_new(context->certificates_.front().context))) return nullptr;
  SSL_set_accept_state(made->ssl_);
  return made;
}

std::unique_ptr<Handshake> Handshake::connect(const CredentialsRef<ClientCredentials>& context, std::string_view host,
                                              const Session& session) {
  std::unique_ptr<Handshake> made(new Handshake);
  made->client_ = context;
  made->host_ = context->server_name().empty() ? host : context->server_name();
  if (!made->begin(SSL_new(context->context_))) return nullptr;
  SSL* const ssl = made->ssl_;
  SSL_set_connect_state(ssl);
  X509_VERIFY_PARAM* const rules = SSL_get0_param(ssl);
  X509_VERIFY_PARAM_set_hostflags(rules, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  bool is_set = true;
  if (X509_VERIFY_PARAM_set1_ip_asc(rules, made->host_.c_str()) != 1) {
    ERR_clear_error();
    is_set = X509_VERIFY_PARAM_set1_host(rules, made->host_.data(), made->host_.size()) == 1 &&
             SSL_set_tlsext_host_name(ssl, made->host_.c_str()) == 1;
  }
  ERR_clear_error();
  if (!is_set) return nullptr;
  if (session) SSL_set_session(ssl, session.native());
  return made;
}

bool Handshake::begin(ssl_st* ssl) {
  ssl_ = ssl;
  if (ssl == nullptr) return false;
  BIO* const bio = BIO_new(bio_method());
  if (bio == nullptr) return false;
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl, bio, bio);
  return true;
}

Handshake::~Handshake() {
  SSL_free(ssl_);
}

int Handshake::read(uint8_t* out, int size) noexcept {
  const size_t available = input_.size() - taken_;
  if (available == 0) {
    wanted_bytes_ = static_cast<uint32_t>(size);
    return -1;
  }
  const size_t read = std::min(available, static_cast<size_t>(size));
  std::copy_n(input_.begin() + static_cast<std::ptrdiff_t>(taken_), read, out);
  taken_ += read;
  return static_cast<int>(read);
}

void Handshake::write(const uint8_t* bytes, int size) {
  output_.insert(output_.end(), bytes, bytes + size);
}

void Handshake::receive(std::span<const uint8_t> bytes) {
  if (first_octets_.size() < 5) {
    first_octets_.append(reinterpret_cast<const char*>(bytes.data()), std::min(bytes.size(), 5 - first_octets_.size()));
  }
  const auto last = bytes.last(std::min(bytes.size(), last_octets_.size()));
  std::ranges::rotate(last_octets_, last_octets_.begin() + static_cast<std::ptrdiff_t>(last.size()));
  std::ranges::copy(last, last_octets_.end() - static_cast<std::ptrdiff_t>(last.size()));
  if (taken_ == input_.size()) {
    input_.clear();
    taken_ = 0;
  }
  input_.insert(input_.end(), bytes.begin(), bytes.end());
}

void Handshake::consume_output(size_t size) noexcept {
  sent_ += size;
  ASSERT(sent_ <= output_.size());
  if (sent_ == output_.size()) {
    output_.clear();
    sent_ = 0;
  }
}

Handshake::Progress Handshake::advance() {
  if (is_done_) return Progress::kDone;
  if (!failure_.empty()) return Progress::kFailed;
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_);
  if (result == 1) return finish();
  const int error = SSL_get_error(ssl_, result);
  if (error == SSL_ERROR_WANT_READ) return Progress::kWantsInput;
  return fail(error == SSL_ERROR_ZERO_RETURN);
}

// Says what went wrong in the words of an operator. `is_end`: the peer has said close_notify.
Handshake::Progress Handshake::fail(bool is_end) {
  const bool is_client = static_cast<bool>(server_);  // the peer
  const std::string_view peer = is_client ? "the client" : "it";
  const uint32_t code = ERR_peek_error();
  const int reason = ERR_GET_REASON(code);
  const bool is_tls_error = ERR_GET_LIB(code) == ERR_LIB_SSL;
  const long verdict = SSL_get_verify_result(ssl_);
  if (is_end) {
    failure_ = describe_alert(SSL_AD_CLOSE_NOTIFY, is_client);
  } else if (is_tls_error && reason >= kAlertReasonOffset) {
    failure_ = describe_alert(static_cast<uint8_t>(reason - kAlertReasonOffset), is_client);
  } else if (is_tls_error && reason == SSL_R_CERTIFICATE_VERIFY_FAILED && verdict != X509_V_OK) {
    failure_ = describe_verdict(verdict);
  } else if (!first_octets_.empty() && (first_octets_[0] < 20 || first_octets_[0] > 23)) {
    cleartext_ = recognise_cleartext(first_octets_);
    failure_ = fmt::format("{} {}", peer, describe_cleartext(cleartext_, first_octets_));
  } else if (is_tls_error && has_alert_in_clear()) {
    failure_ = describe_alert(last_octets_.back(), is_client);
  } else if (is_tls_error && reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE) {
    failure_ = "the client showed no certificate, the listener requires one";
  } else if (is_tls_error && reason == SSL_R_NO_APPLICATION_PROTOCOL) {
    failure_ = "the client offers other protocols than h2 (ALPN)";
  } else {
    const std::string text = take_library_error();
    failure_ = text.empty() ? "the handshake failed" : "the handshake failed: " + text;
  }
  ERR_clear_error();
  return Progress::kFailed;
}

// Clients on OpenSSL that do not accept our certificate say so in clear, though keys are agreed on (TLS 1.3): to the
// library that is a record that cannot be opened.
bool Handshake::has_alert_in_clear() const noexcept {
  constexpr std::array<uint8_t, 6> kFatalAlert = {21, 3, 3, 0, 2, 2};
  return std::ranges::equal(kFatalAlert, std::span(last_octets_).first<kFatalAlert.size()>());
}

std::string Handshake::describe_verdict(long verdict) const {
  const std::string_view whose = server_ ? "the client's certificate" : "its certificate";
  // Where an issuer is not looked for any more the library has not found it.
  const STACK_OF(X509)* const sent = SSL_get_peer_full_cert_chain(ssl_);
  if (verdict == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY && sent != nullptr &&
      static_cast<int>(sk_X509_num(sent)) > kVerifyDepth) {
    verdict = X509_V_ERR_CERT_CHAIN_TOO_LONG;
  }
  if (verdict == X509_V_ERR_HOSTNAME_MISMATCH || verdict == X509_V_ERR_IP_ADDRESS_MISMATCH) {
    const bssl::UniquePtr<X509> certificate(SSL_get_peer_certificate(ssl_));
    const std::string names = certificate ? describe_names(certificate.get()) : "another name";
    return fmt::format("{} is for {}, not for {}", whose, names, host_);
  }
  switch (verdict) {
    case X509_V_ERR_CERT_HAS_EXPIRED: return fmt::format("{} has expired", whose);
    case X509_V_ERR_CERT_NOT_YET_VALID: return fmt::format("{} is not valid yet", whose);
    case X509_V_ERR_CERT_REVOKED: return fmt::format("{} is revoked", whose);
    case X509_V_ERR_CRL_HAS_EXPIRED: return fmt::format("{} cannot be checked: the revocation list has expired", whose);
    case X509_V_ERR_UNABLE_TO_GET_CRL:
      return fmt::format("{} cannot be checked: there is no revocation list of its issuer", whose);
    case X509_V_ERR_CERT_CHAIN_TOO_LONG:
      return fmt::format("{} has more than {} issuers above it", whose, kVerifyDepth);
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
      return fmt::format("{} is from an unknown authority ({})", whose, X509_verify_cert_error_string(verdict));
    default: return fmt::format("{} is not accepted: {}", whose, X509_verify_cert_error_string(verdict));
  }
}

Handshake::Progress Handshake::finish() {
  const uint8_t* protocol = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl_, &protocol, &size);
  if (size != 2 || protocol[0] != 'h' || protocol[1] != '2') {
    failure_ =
        server_ ? "the client does not ask for HTTP/2 (no ALPN)" : "it does not speak HTTP/2 over TLS (no ALPN h2)";
    SSL_send_fatal_alert(ssl_, SSL_AD_NO_APPLICATION_PROTOCOL);
    ERR_clear_error();
    return Progress::kFailed;
  }
  // The library has made the tickets and keeps them for its first write, which never comes: this one brings them out.
  if (server_) SSL_write(ssl_, "", 0);
  ERR_clear_error();
  if (!take_keys()) {
    failure_ = "the handshake has agreed on something that is not supported";
    return Progress::kFailed;
  }
  is_done_ = true;
  is_resumed_ = SSL_session_reused(ssl_) == 1;
  if (server_) {
    const SSL_CTX* const chosen = SSL_get_SSL_CTX(ssl_);
    const auto certificates = server_->certificates();
    certificate_ = static_cast<size_t>(std::ranges::find(certificates, chosen, &ServedCertificate::context) -
                                       certificates.begin());
  }
  return Progress::kDone;
}

bool Handshake::take_keys() {
  Cipher cipher;
  if (!find_cipher(SSL_get_current_cipher(ssl_), cipher)) return false;
  if (SSL_version(ssl_) == TLS1_3_VERSION) {
    bssl::Span<const uint8_t> read_secret;
    bssl::Span<const uint8_t> write_secret;
    if (!bssl::SSL_get_traffic_secrets(ssl_, &read_secret, &write_secret)) return false;
    read_keys_ = keys_of_secret(cipher, {read_secret.data(), read_secret.size()});
    write_keys_ = keys_of_secret(cipher, {write_secret.data(), write_secret.size()});
  } else if (!take_keys_12(cipher)) {
    return false;
  }
  read_keys_.sequence = SSL_get_read_sequence(ssl_);
  write_keys_.sequence = SSL_get_write_sequence(ssl_);
  return true;
}

// The key block of RFC 5246 section 6.3: keys of client and server, then what they have of their nonces.
bool Handshake::take_keys_12(Cipher cipher) {
  const size_t key = key_size(cipher);
  const size_t iv = cipher == Cipher::kChaCha20Poly1305 ? kIvSize : 4;
  std::array<uint8_t, 2 * (32 + kIvSize)> block;
  const size_t size = 2 * (key + iv);
  if (SSL_get_key_block_len(ssl_) != size || SSL_generate_key_block(ssl_, block.data(), size) != 1) return false;
  TrafficKeys client;
  client.version = Version::kTls12;
  client.cipher = cipher;
  TrafficKeys server = client;
  const uint8_t* p = block.data();
  p = std::ranges::copy_n(p, static_cast<std::ptrdiff_t>(key), client.key.begin()).in;
  p = std::ranges::copy_n(p, static_cast<std::ptrdiff_t>(key), server.key.begin()).in;
  p = std::ranges::copy_n(p, static_cast<std::ptrdiff_t>(iv), client.iv.begin()).in;
  std::ranges::copy_n(p, static_cast<std::ptrdiff_t>(iv), server.iv.begin());
  OPENSSL_cleanse(block.data(), block.size());
  read_keys_ = server_ ? client : server;
  write_keys_ = server_ ? server : client;
  return true;
}

Session Handshake::take_ticket(std::span<const uint8_t> message) {
  Session session(SSL_process_tls13_new_session_ticket(ssl_, message.data(), message.size()));
  ERR_clear_error();
  return session;
}

Session Handshake::session() const {
  return Session(SSL_get1_session(ssl_));
}

std::string Handshake::client_certificate_text() const {
  const bssl::UniquePtr<X509> certificate(SSL_get_peer_certificate(ssl_));
  return certificate ? describe_client(certificate.get(), server_->certificates()[certificate_].uri) : std::string();
}

}  // namespace ringway::tls
