// A connection in TLS, either role, without sockets, whose records are BoringSSL's own: octets in, plaintext out, and
// the reverse. For the tools: the other end of our records (tls/records.h) is never our records. One thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "tls/credentials.h"
#include "tls/handshake.h"
#include "tls/keys.h"

namespace ringway::tls {

// What a connection is held to beyond what the credentials allow, so that measurements compare like with like.
struct LibraryRules {
  std::optional<Version> version;  // no other is offered or accepted
  // TLS 1.2: no other is offered. TLS 1.3: the library always offers all, so the handshake fails where another one was
  // chosen.
  std::optional<Cipher> cipher;
};

class LibraryStream {
 public:
  //   kHandshake --> kOpen --close_notify--> kEnded
  //        |           |
  //        +--error----+--> kFailed
  enum class State : uint8_t { kHandshake, kOpen, kEnded, kFailed };

  // Null only where memory is short.
  static std::unique_ptr<LibraryStream> accept(const CredentialsRef<ServerCredentials>& credentials,
                                               const LibraryRules& rules);
  // `host` and `session` as for Handshake::connect().
  static std::unique_ptr<LibraryStream> connect(const CredentialsRef<ClientCredentials>& credentials,
                                                std::string_view host, const Session& session,
                                                const LibraryRules& rules);
  // Once for the credentials of connections of which take_session() is wanted, before the first of them.
  static void keep_sessions(CredentialsRef<ClientCredentials>& credentials);
  LibraryStream(const LibraryStream&) = delete;
  LibraryStream& operator=(const LibraryStream&) = delete;

  State state() const noexcept { return state_; }
  bool is_open() const noexcept { return state_ == State::kOpen; }
  // After kFailed: a sentence without a period. "it" is the peer where that is a server.
  const std::string& failure() const noexcept { return failure_; }

  // Client role: the first flight. Server role: nothing is to be said yet.
  void start() { advance(); }
  // Octets of the peer. They are taken up by the handshake, and then by read().
  void receive(std::span<const uint8_t> bytes);
  // Plaintext into `out`; 0 where more octets, or none any more, are needed: state() tells.
  size_t read(std::span<uint8_t> out);
  // All of it becomes records in output(); nothing does before kOpen or after end().
  void write(std::span<const uint8_t> plain);
  // While kOpen: close_notify, once.
  void end();
  // What is to be sent; an alert too, after kFailed.
  std::span<const uint8_t> output() const noexcept { return handshake_->output(); }
  void consume_output(size_t size) noexcept { handshake_->consume_output(size); }

  // Once the handshake is over.
  Version version() const noexcept { return handshake_->version(); }
  Cipher cipher() const noexcept { return handshake_->cipher(); }
  bool is_resumed() const noexcept { return handshake_->is_resumed(); }
  // Of the key exchange, as in "X25519".
  std::string_view group() const noexcept;
  // Client role: the newest session that the peer has given, once; an empty one if there is none.
  Session take_session() noexcept { return std::move(session_); }

  // Of the library's callback.
  void keep(Session session) noexcept { session_ = std::move(session); }

 private:
  LibraryStream(std::unique_ptr<Handshake> handshake, bool is_server, const LibraryRules& rules);
  void advance();
  void fail();

  std::unique_ptr<Handshake> handshake_;
  LibraryRules rules_;
  bool is_server_;
  bool has_ended_ = false;  // our close_notify is out
  State state_ = State::kHandshake;
  std::string failure_;
  Session session_;
};

}  // namespace ringway::tls
