// The library's own records, both ends in memory: what the tools speak.
#include "tls/library_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "certificates.h"

namespace ringway::tls {
namespace {

using State = LibraryStream::State;
using testing::HasSubstr;

constexpr uint64_t kHour_ns = 3'600'000'000'000;

std::vector<uint8_t> octets_of(const std::string& text) {
  return {text.begin(), text.end()};
}

class LibraryStreamTest : public testing::Test {
 protected:
  LibraryStreamTest() {
    root = files.root("root");
    server = files.issue("server", root, {.dns = {"shop.example"}});
    client = files.issue("client", root, {.dns = {"client.example"}});
    serve({.certificates = {{server.certificate, server.private_key}}, .ticket_rotation_ns = kHour_ns});
    trust({.ca = root.certificate, .server_name = "shop.example"});
  }

  void serve(const ServerOptions& options) { serving = *ServerCredentials::create(options); }
  void trust(const ClientOptions& options) {
    trusting = *ClientCredentials::create(options);
    LibraryStream::keep_sessions(trusting);
  }

  // New ends, not yet spoken.
  void begin(const LibraryRules& client_rules = {}, const LibraryRules& server_rules = {},
             const Session& session = {}) {
    near = LibraryStream::connect(trusting, "", session, client_rules);
    far = LibraryStream::accept(serving, server_rules);
    near->start();
    far->start();
  }

  // What `from` has for the other, in pieces of `piece` octets; what that comes to as plaintext is kept.
  static bool pass(LibraryStream& from, LibraryStream& to, std::string& got, size_t piece) {
    const std::vector<uint8_t> bytes(from.output().begin(), from.output().end());
    from.consume_output(bytes.size());
    for (size_t at = 0; at < bytes.size(); at += piece) {
      to.receive(std::span(bytes).subspan(at, std::min(piece, bytes.size() - at)));
      uint8_t plain[1000];
      while (const size_t size = to.read(plain)) got.append(plain, plain + size);
    }
    return !bytes.empty();
  }

  // Until neither has anything to say.
  void settle(size_t piece = SIZE_MAX) {
    bool is_moving = true;
    while (is_moving) {
      is_moving = pass(*near, *far, far_got, piece);
      is_moving = pass(*far, *near, near_got, piece) || is_moving;
    }
  }

  void expect_conversation(size_t piece) {
    settle(piece);
    ASSERT_EQ(near->state(), State::kOpen) << near->failure();
    ASSERT_EQ(far->state(), State::kOpen) << far->failure();
    const std::string large(40'000, 'x');
    near->write(octets_of("question"));
    far->write(octets_of(large));
    settle(piece);
    EXPECT_EQ(far_got, "question");
    EXPECT_EQ(near_got, large);
    near_got.clear();
    far_got.clear();
  }

  Authority files;
  Issued root, server, client;
  CredentialsRef<ServerCredentials> serving;
  CredentialsRef<ClientCredentials> trusting;
  std::unique_ptr<LibraryStream> near;  // the client
  std::unique_ptr<LibraryStream> far;
  std::string near_got, far_got;
};

TEST_F(LibraryStreamTest, CarriesOctetsBothWaysInPiecesOfAnySize) {
  for (const size_t piece : {size_t{1}, size_t{7}, size_t{1'400}, SIZE_MAX}) {
    begin();
    expect_conversation(piece);
    EXPECT_EQ(near->version(), Version::kTls13);
    EXPECT_EQ(near->group(), "X25519");
  }
}

TEST_F(LibraryStreamTest, KeepsToTheVersionAndTheCipherThatAreWanted) {
  for (const Cipher cipher : {Cipher::kAes128Gcm, Cipher::kAes256Gcm, Cipher::kChaCha20Poly1305}) {
    begin({.version = Version::kTls12, .cipher = cipher});
    expect_conversation(SIZE_MAX);
    EXPECT_EQ(near->version(), Version::kTls12);
    EXPECT_EQ(near->cipher(), cipher);
  }
  begin({}, {.version = Version::kTls12});
  expect_conversation(SIZE_MAX);
  EXPECT_EQ(near->version(), Version::kTls12);
  begin({.version = Version::kTls13}, {.version = Version::kTls12});
  settle();
  EXPECT_EQ(near->state(), State::kFailed);
  EXPECT_EQ(far->state(), State::kFailed);
}

TEST_F(LibraryStreamTest, RefusesAnotherCipherThanTheOneWanted) {
  begin({.cipher = Cipher::kAes256Gcm});
  settle();
  EXPECT_EQ(near->state(), State::kFailed);
  EXPECT_THAT(near->failure(), HasSubstr("was chosen, AES-256-GCM is wanted"));
}

TEST_F(LibraryStreamTest, EndsWithCloseNotify) {
  begin();
  expect_conversation(SIZE_MAX);
  near->write(octets_of("last"));
  near->end();
  near->end();
  near->write(octets_of("never"));
  settle(1);
  EXPECT_EQ(far_got, "last");
  EXPECT_EQ(far->state(), State::kEnded);
}

TEST_F(LibraryStreamTest, ResumesTheNewestSession) {
  for (const auto version : {Version::kTls12, Version::kTls13}) {
    begin({.version = version});
    EXPECT_FALSE(near->take_session());
    expect_conversation(SIZE_MAX);
    EXPECT_FALSE(near->is_resumed());
    const Session session = near->take_session();
    ASSERT_TRUE(session);
    EXPECT_FALSE(near->take_session());
    begin({.version = version}, {}, session);
    expect_conversation(SIZE_MAX);
    EXPECT_TRUE(near->is_resumed());
    EXPECT_TRUE(far->is_resumed());
  }
}

// In TLS 1.3 the client learns it behind its own handshake.
TEST_F(LibraryStreamTest, TellsTheClientThatItsCertificateIsMissing) {
  serve({.certificates = {{server.certificate, server.private_key}},
         .client_ca = root.certificate,
         .client_certificate = ClientCertificate::kRequire,
         .ticket_rotation_ns = kHour_ns});
  begin();
  settle();
  EXPECT_EQ(near->state(), State::kFailed);
  EXPECT_EQ(near->failure(), "it wants a client certificate (TLS alert certificate_required)");
  EXPECT_EQ(far->failure(), "the client showed no certificate, the listener requires one");

  trust({.ca = root.certificate,
         .certificate = client.certificate,
         .private_key = client.private_key,
         .server_name = "shop.example"});
  begin();
  expect_conversation(SIZE_MAX);
}

TEST_F(LibraryStreamTest, SaysWhatIsWrongWithTheServer) {
  trust({.ca = root.certificate, .server_name = "other.example"});
  begin();
  settle();
  EXPECT_EQ(near->failure(), "its certificate is for shop.example, not for other.example");
  EXPECT_EQ(far->state(), State::kFailed);
  EXPECT_THAT(far->failure(), HasSubstr("TLS alert"));

  begin();
  near->receive(octets_of("HTTP/1.1 400 Bad Request"));
  EXPECT_EQ(near->failure(), "it speaks HTTP/1 in cleartext");
}

TEST_F(LibraryStreamTest, RefusesARecordThatWasChanged) {
  begin();
  expect_conversation(SIZE_MAX);
  near->write(octets_of("question"));
  std::vector<uint8_t> record(near->output().begin(), near->output().end());
  record.back() ^= 1;
  far->receive(record);
  uint8_t plain[100];
  EXPECT_EQ(far->read(plain), 0u);
  EXPECT_EQ(far->state(), State::kFailed);
  EXPECT_THAT(far->failure(), HasSubstr("a record cannot be read"));
  EXPECT_FALSE(far->output().empty());
}

}  // namespace
}  // namespace ringway::tls
