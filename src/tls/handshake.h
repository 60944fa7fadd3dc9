// One TLS handshake, either role, without sockets: octets in, octets out, and at its end the keys of both directions.
// It asks for exactly the octets that it needs, so that what a peer sends behind its Finished stays in the socket,
// where the kernel or RecordReader takes it up. The library's part ends here: records are ours (tls/records.h) or the
// kernel's.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tls/credentials.h"
#include "tls/keys.h"

struct ssl_st;
struct ssl_session_st;

namespace ringway::tls {

// A session to resume: kept for an endpoint between connections.
class Session {
 public:
  Session() noexcept = default;
  explicit Session(ssl_session_st* session) noexcept : session_(session) {}  // takes it over
  Session(Session&& other) noexcept : session_(std::exchange(other.session_, nullptr)) {}
  Session& operator=(Session&& other) noexcept {
    std::swap(session_, other.session_);
    return *this;
  }
  ~Session();

  explicit operator bool() const noexcept { return session_ != nullptr; }
  ssl_session_st* native() const noexcept { return session_; }

 private:
  ssl_session_st* session_ = nullptr;
};

// What a peer speaks that does not speak TLS.
enum class Cleartext : uint8_t { kNone, kHttp1, kHttp2 };

class Handshake {
 public:
  enum class Progress : uint8_t {
    kWantsInput,  // receive() wanted_bytes() octets, then advance() again
    kDone,
    kFailed,  // failure() says why; output() may hold an alert for the peer
  };

  static std::unique_ptr<Handshake> accept(const CredentialsRef<ServerCredentials>& context);
  // `host` is the endpoint's, used where the context has no server name: sent as SNI unless it is an address, and what
  // the peer's certificate must be for. `session` is tried if there is one; it may be empty.
  static std::unique_ptr<Handshake> connect(const CredentialsRef<ClientCredentials>& context, std::string_view host,
                                            const Session& session);
  Handshake(const Handshake&) = delete;
  Handshake& operator=(const Handshake&) = delete;
  ~Handshake();

  // As far as the input reaches. What is to be sent is in output().
  Progress advance();
  // How many octets the handshake needs at once before it can go on; with fewer it waits, more are kept.
  uint32_t wanted_bytes() const noexcept { return wanted_bytes_; }
  void receive(std::span<const uint8_t> bytes);
  std::span<const uint8_t> output() const noexcept { return std::span(output_).subspan(sent_); }
  void consume_output(size_t size) noexcept;

  // After kFailed: a sentence without a period.
  const std::string& failure() const noexcept { return failure_; }
  Cleartext cleartext() const noexcept { return cleartext_; }

  // After kDone.
  Version version() const noexcept { return read_keys_.version; }
  Cipher cipher() const noexcept { return read_keys_.cipher; }
  bool is_resumed() const noexcept { return is_resumed_; }
  TrafficKeys& read_keys() noexcept { return read_keys_; }
  TrafficKeys& write_keys() noexcept { return write_keys_; }
  // Octets that were received and belong to what follows: none if never more than wanted_bytes() was given.
  std::span<const uint8_t> rest() const noexcept { return std::span(input_).subspan(taken_); }
  // Server role: which of the context's certificates was shown.
  size_t certificate() const noexcept { return certificate_; }
  // Server role: of a client certificate, as Envoy's x-forwarded-client-cert describes it; empty without one.
  std::string client_certificate_text() const;

  // Client role: what it trusts. Null: server role.
  const ClientCredentials* client_credentials() const noexcept { return client_ ? &*client_ : nullptr; }
  // Client role: takes a whole NewSessionTicket message (TLS 1.3), with its header; or, in TLS 1.2, nothing is needed.
  // Returns what can be resumed, or an empty session.
  Session take_ticket(std::span<const uint8_t> message);
  // Client role, TLS 1.2: what the handshake has brought.
  Session session() const;

  // Of the library's callbacks.
  int read(uint8_t* out, int size) noexcept;
  void write(const uint8_t* bytes, int size);

 private:
  friend class LibraryStream;
  Handshake() = default;
  bool begin(ssl_st* ssl);
  Progress fail(bool is_end);
  Progress finish();
  bool take_keys();
  bool take_keys_12(Cipher cipher);
  bool has_alert_in_clear() const noexcept;
  std::string describe_verdict(long verdict) const;

  ssl_st* ssl_ = nullptr;
  CredentialsRef<ServerCredentials> server_;
  CredentialsRef<ClientCredentials> client_;
  std::vector<uint8_t> input_;
  size_t taken_ = 0;
  std::vector<uint8_t> output_;
  size_t sent_ = 0;
  uint32_t wanted_bytes_ = 0;
  bool is_done_ = false;
  bool is_resumed_ = false;
  size_t certificate_ = 0;
  std::array<uint8_t, 7> last_octets_{};  // the size of an alert's record
  std::string first_octets_;              // up to five: what a peer that does not speak TLS begins with
  Cleartext cleartext_ = Cleartext::kNone;
  std::string host_;
  std::string failure_;
  TrafficKeys read_keys_;
  TrafficKeys write_keys_;
};

}  // namespace ringway::tls
