// Handshakes in memory against BoringSSL's own other end, and what the records carry behind them.
#include "tls/handshake.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <openssl/pem.h>

#include "base/block_pool.h"
#include "certificates.h"
#include "peer.h"
#include "tls/records.h"

namespace ringway::tls {
namespace {

constexpr uint64_t kHour_ns = 3'600'000'000'000;

struct Suite {
  const char* name;
  uint16_t version;
  const char* suite_12;  // of TLS 1.2
  bool is_rsa;
  Cipher cipher;
};

class HandshakeTest : public testing::Test {
 protected:
  HandshakeTest() {
    root = files.root("root");
    server = files.issue("server", root, {.dns = {"shop.example", "*.cloud.example"}, .addresses = {"127.0.0.1"}});
    client = files.issue("client", root, {.dns = {"client.example"}, .uris = {"spiffe://example/client"}});
  }

  ServerOptions server_options() const {
    return {.certificates = {{server.certificate, server.private_key}}, .ticket_rotation_ns = kHour_ns};
  }
  ClientOptions client_options() const { return {.ca = root.certificate, .server_name = "shop.example"}; }

  // A client of the library's own.
  bssl::UniquePtr<SSL_CTX> library_client() const {
    bssl::UniquePtr<SSL_CTX> context(SSL_CTX_new(TLS_method()));
    SSL_CTX_load_verify_locations(context.get(), root.certificate.c_str(), nullptr);
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
    constexpr uint8_t kH2[] = {2, 'h', '2'};
    SSL_CTX_set_alpn_protos(context.get(), kH2, sizeof kH2);
    return context;
  }
  bssl::UniquePtr<SSL_CTX> library_server(const Issued& issued) const {
    bssl::UniquePtr<SSL_CTX> context(SSL_CTX_new(TLS_method()));
    SSL_CTX_use_certificate_chain_file(context.get(), issued.certificate.c_str());
    SSL_CTX_use_PrivateKey_file(context.get(), issued.private_key.c_str(), SSL_FILETYPE_PEM);
    SSL_CTX_set_alpn_select_cb(
        context.get(),
        [](SSL*, const uint8_t** out, uint8_t* size, const uint8_t*, unsigned, void*) {
          *out = reinterpret_cast<const uint8_t*>("h2");
          *size = 2;
          return SSL_TLSEXT_ERR_OK;
        },
        nullptr);
    return context;
  }

  // Lets both run until neither has anything to say. `step` octets reach ours at a time, never more than it asks for.
  Handshake::Progress shake(Handshake& ours, Peer& peer, size_t step = SIZE_MAX) {
    Handshake::Progress progress = Handshake::Progress::kWantsInput;
    std::vector<uint8_t> waiting;
    for (int i = 0; i < 20'000; ++i) {
      if (progress == Handshake::Progress::kWantsInput) progress = ours.advance();
      peer.receive(ours.output());
      ours.consume_output(ours.output().size());
      is_peer_done = peer.advance();
      const std::vector<uint8_t> said = peer.take_output();
      waiting.insert(waiting.end(), said.begin(), said.end());
      if (progress != Handshake::Progress::kWantsInput || waiting.empty()) break;
      const size_t size = std::min({waiting.size(), size_t{ours.wanted_bytes()}, step});
      ours.receive(std::span(waiting).first(size));
      waiting.erase(waiting.begin(), waiting.begin() + static_cast<std::ptrdiff_t>(size));
    }
    unread = waiting;
    return progress;
  }

  // What the peer has written, opened by our records, `step` octets at a time.
  std::string open_all(RecordReader& reader, std::vector<uint8_t> bytes, size_t step = SIZE_MAX) {
    std::string text;
    for (size_t at = 0; at < bytes.size();) {
      const size_t size = std::min(step, bytes.size() - at);
      std::span<uint8_t> input = std::span(bytes).subspan(at, size);
      at += size;
      for (;;) {
        const Opened opened = reader.next(input, pool);
        if (opened.kind == Opened::Kind::kNothing) break;
        if (opened.kind == Opened::Kind::kBroken) return text + "BROKEN";
        if (opened.type == ContentType::kData) {
          text.append(reinterpret_cast<const char*>(opened.plain.data()), opened.plain.size());
        } else {
          control.emplace_back(opened.plain.begin(), opened.plain.end());
        }
      }
    }
    reader.release(pool);
    return text;
  }

  std::vector<uint8_t> seal(RecordWriter& writer, const std::string& text) {
    base::ByteQueue out;
    writer.write(ContentType::kData, {reinterpret_cast<const uint8_t*>(text.data()), text.size()}, out, pool);
    std::vector<uint8_t> bytes(out.bytes().begin(), out.bytes().end());
    out.release(pool);
    return bytes;
  }

  Authority files;
  Issued root;
  Issued server;
  Issued client;
  base::BlockPool pool;
  bool is_peer_done = false;
  std::vector<uint8_t> unread;
  std::vector<std::vector<uint8_t>> control;
};

constexpr Suite kSuites[] = {
    {"tls13", TLS1_3_VERSION, "", false, Cipher::kAes128Gcm},
    {"tls13rsa", TLS1_3_VERSION, "", true, Cipher::kAes128Gcm},
    {"aes128ecdsa", TLS1_2_VERSION, "ECDHE-ECDSA-AES128-GCM-SHA256", false, Cipher::kAes128Gcm},
    {"aes256ecdsa", TLS1_2_VERSION, "ECDHE-ECDSA-AES256-GCM-SHA384", false, Cipher::kAes256Gcm},
    {"chachaecdsa", TLS1_2_VERSION, "ECDHE-ECDSA-CHACHA20-POLY1305", false, Cipher::kChaCha20Poly1305},
    {"aes128rsa", TLS1_2_VERSION, "ECDHE-RSA-AES128-GCM-SHA256", true, Cipher::kAes128Gcm},
};

class EverySuite : public HandshakeTest, public testing::WithParamInterface<Suite> {};

INSTANTIATE_TEST_SUITE_P(Suites, EverySuite, testing::ValuesIn(kSuites),
                         [](const auto& suite) { return suite.param.name; });

std::string long_text(size_t size) {
  std::string text(size, ' ');
  for (size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + i * 7 % 26);
  return text;
}

TEST_P(EverySuite, ServerAndRecordsSpeakWithTheLibrary) {
  const Suite& suite = GetParam();
  if (suite.is_rsa) server = files.issue("rsa", root, {.dns = {"shop.example"}, .is_rsa = true});
  const auto context = ServerCredentials::create(server_options());
  ASSERT_TRUE(context) << context.error();
  const auto library = library_client();
  SSL_CTX_set_max_proto_version(library.get(), suite.version);
  if (suite.version == TLS1_2_VERSION) SSL_CTX_set_strict_cipher_list(library.get(), suite.suite_12);
  Peer peer(library.get());
  SSL_set_connect_state(peer.ssl());
  SSL_set_tlsext_host_name(peer.ssl(), "shop.example");
  const auto ours = Handshake::accept(*context);
  ASSERT_EQ(shake(*ours, peer), Handshake::Progress::kDone) << ours->failure();
  EXPECT_TRUE(is_peer_done);
  EXPECT_EQ(ours->cipher(), suite.cipher);
  EXPECT_EQ(ours->version(), suite.version == TLS1_3_VERSION ? Version::kTls13 : Version::kTls12);
  EXPECT_TRUE(ours->rest().empty());

  RecordWriter writer;
  RecordReader reader;
  writer.start(ours->write_keys());
  reader.start(ours->read_keys());
  for (const size_t size : {1u, 5u, 16'383u, 16'384u, 16'385u, 70'000u}) {
    const std::string text = long_text(size);
    peer.receive(seal(writer, text));
    EXPECT_EQ(peer.read(), text);
    peer.write(text);
    const std::vector<uint8_t> sealed = peer.take_output();
    // Whole, cut at an odd place each, and (short ones) octet by octet.
    EXPECT_EQ(open_all(reader, sealed, size < 10 ? 1 : size == 70'000u ? 999 : SIZE_MAX), text);
  }
}

TEST_P(EverySuite, ClientAndRecordsSpeakWithTheLibrary) {
  const Suite& suite = GetParam();
  if (suite.is_rsa) server = files.issue("rsa", root, {.dns = {"shop.example"}, .is_rsa = true});
  const auto context = ClientCredentials::create(client_options());
  ASSERT_TRUE(context) << context.error();
  const auto library = library_server(server);
  SSL_CTX_set_max_proto_version(library.get(), suite.version);
  if (suite.version == TLS1_2_VERSION) SSL_CTX_set_strict_cipher_list(library.get(), suite.suite_12);
  Peer peer(library.get());
  SSL_set_accept_state(peer.ssl());
  const auto ours = Handshake::connect(*context, "10.0.0.1", Session());
  ASSERT_EQ(shake(*ours, peer, 7), Handshake::Progress::kDone) << ours->failure();
  EXPECT_EQ(ours->cipher(), suite.cipher);
  RecordWriter writer;
  RecordReader reader;
  writer.start(ours->write_keys());
  reader.start(ours->read_keys());
  const std::string text = long_text(40'000);
  peer.receive(seal(writer, text));
  EXPECT_EQ(peer.read(), text);
  peer.write(text);
  unread.insert(unread.end(), {});
  const std::vector<uint8_t> said = peer.take_output();
  unread.insert(unread.end(), said.begin(), said.end());
  EXPECT_EQ(open_all(reader, unread, 1234), text);
}

TEST_F(HandshakeTest, TakesNoOctetBehindIts) {
  const auto context = ServerCredentials::create(server_options());
  const auto library = library_client();
  for (const size_t step : {SIZE_MAX, size_t{1}}) {
    Peer peer(library.get());
    SSL_set_connect_state(peer.ssl());
    const auto ours = Handshake::accept(*context);
    Handshake::Progress progress = ours->advance();
    peer.advance();
    std::vector<uint8_t> waiting = peer.take_output();
    bool has_spoken = false;
    while (progress == Handshake::Progress::kWantsInput && !waiting.empty()) {
      const size_t size = std::min({waiting.size(), size_t{ours->wanted_bytes()}, step});
      ours->receive(std::span(waiting).first(size));
      waiting.erase(waiting.begin(), waiting.begin() + static_cast<std::ptrdiff_t>(size));
      progress = ours->advance();
      peer.receive(ours->output());
      ours->consume_output(ours->output().size());
      if (peer.advance() && !has_spoken) {
        has_spoken = true;
        peer.write("PRI * HTTP/2.0");  // in the same segment as its Finished
      }
      const std::vector<uint8_t> said = peer.take_output();
      waiting.insert(waiting.end(), said.begin(), said.end());
    }
    ASSERT_EQ(progress, Handshake::Progress::kDone) << ours->failure();
    RecordReader reader;
    reader.start(ours->read_keys());
    EXPECT_EQ(open_all(reader, waiting), "PRI * HTTP/2.0");
  }
}

TEST_F(HandshakeTest, KeysChangeBothWays) {
  const auto context = ServerCredentials::create(server_options());
  const auto library = library_client();
  Peer peer(library.get());
  SSL_set_connect_state(peer.ssl());
  const auto ours = Handshake::accept(*context);
  ASSERT_EQ(shake(*ours, peer), Handshake::Progress::kDone);
  RecordWriter writer;
  RecordReader reader;
  writer.start(ours->write_keys());
  reader.start(ours->read_keys());
  SSL_key_update(peer.ssl(), SSL_KEY_UPDATE_NOT_REQUESTED);
  peer.write("after");
  std::vector<uint8_t> said = peer.take_output();
  std::span<uint8_t> input(said);
  const Opened opened = reader.next(input, pool);
  ASSERT_EQ(opened.type, ContentType::kHandshake);
  EXPECT_EQ(std::vector<uint8_t>(opened.plain.begin(), opened.plain.end()), (std::vector<uint8_t>{24, 0, 0, 1, 0}));
  reader.update_keys();
  EXPECT_EQ(open_all(reader, {input.begin(), input.end()}), "after");
  base::ByteQueue out;
  writer.update_keys(out, pool);
  peer.receive(out.bytes());
  out.release(pool);
  peer.receive(seal(writer, "ours too"));
  EXPECT_EQ(peer.read(), "ours too");
}

TEST_F(HandshakeTest, ATicketIsResumed) {
  const auto context = ServerCredentials::create(server_options());
  const auto library = library_client();
  static SSL_SESSION* kept = nullptr;
  SSL_CTX_set_session_cache_mode(library.get(), SSL_SESS_CACHE_CLIENT);
  SSL_CTX_sess_set_new_cb(library.get(), [](SSL*, SSL_SESSION* session) {
    SSL_SESSION_free(kept);
    kept = session;
    return 1;
  });
  for (const bool is_second : {false, true}) {
    Peer peer(library.get());
    SSL_set_connect_state(peer.ssl());
    if (is_second) SSL_set_session(peer.ssl(), kept);
    const auto ours = Handshake::accept(*context);
    ASSERT_EQ(shake(*ours, peer), Handshake::Progress::kDone);
    peer.read();
    EXPECT_EQ(ours->is_resumed(), is_second);
    ASSERT_NE(kept, nullptr);
  }
  // Another certificate: the ticket does not count, and the call succeeds all the same.
  server = files.issue("other", root, {.dns = {"shop.example"}});
  const auto other = ServerCredentials::create(server_options());
  Peer peer(library.get());
  SSL_set_connect_state(peer.ssl());
  SSL_set_session(peer.ssl(), kept);
  const auto ours = Handshake::accept(*other);
  ASSERT_EQ(shake(*ours, peer), Handshake::Progress::kDone);
  EXPECT_FALSE(ours->is_resumed());
  SSL_SESSION_free(std::exchange(kept, nullptr));
}

TEST_F(HandshakeTest, OursResumesToo) {
  const auto context = ClientCredentials::create(client_options());
  const auto library = library_server(server);
  Session session;
  for (const bool is_second : {false, true}) {
    Peer peer(library.get());
    SSL_set_accept_state(peer.ssl());
    const auto ours = Handshake::connect(*context, "shop.example", session);
    ASSERT_EQ(shake(*ours, peer), Handshake::Progress::kDone) << ours->failure();
    EXPECT_EQ(ours->is_resumed(), is_second);
    peer.write("x");  // the tickets come with it
    const std::vector<uint8_t> said = peer.take_output();
    unread.insert(unread.end(), said.begin(), said.end());
    RecordReader reader;
    reader.start(ours->read_keys());
    EXPECT_EQ(open_all(reader, unread), "x");
    ASSERT_FALSE(control.empty());
    const std::vector<uint8_t> messages = control.front();
    const size_t size = 4 + (size_t{messages[1]} << 16 | size_t{messages[2]} << 8 | messages[3]);
    session = ours->take_ticket(std::span(messages).first(size));
    EXPECT_TRUE(session);
    control.clear();
  }
}

// Failures: what is said of them.
struct Refusal {
  std::string ours;
  bool has_alert;
};

TEST_F(HandshakeTest, ServerNamesWhatIsWrongWithAClient) {
  ServerOptions options = server_options();
  options.client_ca = root.certificate;
  options.client_certificate = ClientCertificate::kRequire;
  const Issued stranger_root = files.root("stranger_root");
  const Issued stranger = files.issue("stranger", stranger_root, {});
  const Issued expired = files.issue("expired", root, {.begins_s = -7200, .ends_s = -3600});
  const Issued early = files.issue("early", root, {.begins_s = 3600, .ends_s = 7200});
  const Issued revoked = files.issue("revoked", root, {});
  options.crl = files.revoke("crl.pem", root, {revoked});
  const auto context = ServerCredentials::create(options);
  ASSERT_TRUE(context) << context.error();
  const auto failure_of = [&](const Issued* shown) {
    const auto library = library_client();
    if (shown != nullptr) {
      SSL_CTX_use_certificate_chain_file(library.get(), shown->certificate.c_str());
      SSL_CTX_use_PrivateKey_file(library.get(), shown->private_key.c_str(), SSL_FILETYPE_PEM);
    }
    Peer peer(library.get());
    SSL_set_connect_state(peer.ssl());
    const auto ours = Handshake::accept(*context);
    const auto progress = shake(*ours, peer);
    return progress == Handshake::Progress::kDone ? "accepted " + ours->client_certificate_text() : ours->failure();
  };
  EXPECT_EQ(failure_of(nullptr), "the client showed no certificate, the listener requires one");
  EXPECT_EQ(failure_of(&expired), "the client's certificate has expired");
  EXPECT_EQ(failure_of(&early), "the client's certificate is not valid yet");
  EXPECT_EQ(failure_of(&revoked), "the client's certificate is revoked");
  EXPECT_THAT(failure_of(&stranger), testing::HasSubstr("the client's certificate is from an unknown authority"));
  EXPECT_THAT(failure_of(&client), testing::MatchesRegex("accepted Hash=[0-9a-f]+;Subject=\"CN=client\";URI=spiffe://"
                                                         "example/client;DNS=client.example"));
}

TEST_F(HandshakeTest, ClientNamesWhatIsWrongWithAnEndpoint) {
  const auto failure_of = [&](const Issued& shown, ClientOptions options) {
    const auto context = ClientCredentials::create(options);
    const auto library = library_server(shown);
    Peer peer(library.get());
    SSL_set_accept_state(peer.ssl());
    const auto ours = Handshake::connect(*context, "127.0.0.1", Session());
    return shake(*ours, peer) == Handshake::Progress::kDone ? std::string("accepted") : ours->failure();
  };
  EXPECT_EQ(failure_of(server, client_options()), "accepted");
  EXPECT_EQ(failure_of(server, {.ca = root.certificate}), "accepted");  // by its address
  EXPECT_EQ(failure_of(server, {.ca = root.certificate, .server_name = "a.cloud.example"}), "accepted");
  EXPECT_EQ(failure_of(server, {.ca = root.certificate, .server_name = "bank.example"}),
            "its certificate is for shop.example, *.cloud.example, 127.0.0.1, not for bank.example");
  EXPECT_EQ(failure_of(server, {.ca = root.certificate, .server_name = "a.b.cloud.example"}),
            "its certificate is for shop.example, *.cloud.example, 127.0.0.1, not for a.b.cloud.example");
  const std::string with_nul("shop.example\0.evil.example", 26);
  const Issued nul = files.issue("nul", root, {.dns = {with_nul}});
  EXPECT_EQ(failure_of(nul, client_options()), "its certificate is for no name, not for shop.example");
  const Issued expired = files.issue("expired", root, {.dns = {"shop.example"}, .begins_s = -7200, .ends_s = -3600});
  EXPECT_EQ(failure_of(expired, client_options()), "its certificate has expired");
  const Issued other_root = files.root("other_root");
  EXPECT_THAT(failure_of(server, {.ca = other_root.certificate, .server_name = "shop.example"}),
              testing::HasSubstr("its certificate is from an unknown authority"));
}

// Above a certificate there may be four others, the root among them.
TEST_F(HandshakeTest, ChainsHaveALimit) {
  Issued above = root;
  for (size_t issuers = 1; issuers <= 6; ++issuers) {
    const Issued shown = files.issue(fmt::format("leaf{}", issuers), above, {.dns = {"shop.example"}});
    const auto library = library_server(shown);
    Peer peer(library.get());
    SSL_set_accept_state(peer.ssl());
    const auto context = ClientCredentials::create(client_options());
    const auto ours = Handshake::connect(*context, "127.0.0.1", Session());
    const bool is_done = shake(*ours, peer) == Handshake::Progress::kDone;
    EXPECT_EQ(is_done ? "accepted" : ours->failure(),
              issuers <= 4 ? "accepted" : "its certificate has more than 4 issuers above it")
        << issuers;
    above = files.issue(fmt::format("issuer{}", issuers), above, {.is_authority = true});
  }
}

TEST_F(HandshakeTest, AnAlertInClearIsUnderstood) {
  const auto context = ServerCredentials::create(server_options());
  const auto library = library_client();
  for (const size_t step : {size_t{1}, size_t{7}}) {
    Peer peer(library.get());
    SSL_set_connect_state(peer.ssl());
    const auto ours = Handshake::accept(*context);
    peer.advance();
    std::vector<uint8_t> said = peer.take_output();
    said.insert(said.end(), {21, 3, 3, 0, 2, 2, 48});
    auto progress = ours->advance();
    while (progress == Handshake::Progress::kWantsInput && !said.empty()) {
      const size_t size = std::min({said.size(), size_t{ours->wanted_bytes()}, step});
      ours->receive(std::span(said).first(size));
      said.erase(said.begin(), said.begin() + static_cast<std::ptrdiff_t>(size));
      progress = ours->advance();
    }
    EXPECT_EQ(progress, Handshake::Progress::kFailed);
    EXPECT_EQ(ours->failure(),
              "the client ended the handshake (TLS alert unknown_ca): it does not accept the certificate shown");
  }
}

TEST_F(HandshakeTest, CleartextIsRecognised) {
  const auto context = ServerCredentials::create(server_options());
  Cleartext speech = Cleartext::kNone;
  const auto failure_of = [&](std::string_view text) {
    const auto ours = Handshake::accept(*context);
    ours->advance();
    ours->receive({reinterpret_cast<const uint8_t*>(text.data()), std::min<size_t>(text.size(), ours->wanted_bytes())});
    EXPECT_EQ(ours->advance(), Handshake::Progress::kFailed);
    speech = ours->cleartext();
    return ours->failure();
  };
  EXPECT_EQ(failure_of("PRI * HTTP/2.0\r\n"), "the client speaks HTTP/2 in cleartext");
  EXPECT_EQ(speech, Cleartext::kHttp2);
  for (const std::string_view method : {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT"}) {
    EXPECT_EQ(failure_of(std::string(method) + " / HTTP/1.1\r\n"), "the client speaks HTTP/1 in cleartext");
    EXPECT_EQ(speech, Cleartext::kHttp1) << method;
  }
  EXPECT_EQ(failure_of("SSH-2.0"), "the client does not speak TLS (its first octets are \"SSH-2\")");
  EXPECT_EQ(speech, Cleartext::kNone);
}

}  // namespace
}  // namespace ringway::tls
