// The first bytes of clients: what is told of those that do not speak HTTP/2, who is announced by a PROXY header, and
// who may come. Each greeting also octet by octet and cut in two at every place.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "io/doorbell.h"
#include "rig.h"

namespace ringway::proxy {
namespace {

using namespace std::string_literals;

const std::string kTls = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"s;
const std::string kAlert = "\x15\x03\x03\x00\x02\x02\x46"s;
const std::string kVersion1 = "PROXY TCP4 198.51.100.9 10.0.0.1 40000 8080\r\n";
const std::string kLocal = "\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00"s;

class FirstBytes : public testing::Test {
 protected:
  FirstBytes() : bell(std::move(*io::Doorbell::create())), log(*bell, config::LogLevel::kInfo, 1 << 16) {
    snapshot.listeners[0].forwarded.x_forwarded_for = true;
    renew();
  }
  // With the snapshot as it is now.
  void renew() { rig = std::make_unique<Rig>(snapshot, &log); }
  config::SourceOptions& sources() { return snapshot.listeners[0].sources; }
  const Counters& counters() const { return rig->proxy->counters(); }

  // The client's bytes are split there; 0: not at all.
  Link& greet(std::string_view bytes, size_t split = 0) {
    Link* link = rig->add_raw_client();
    EXPECT_NE(link, nullptr);
    if (split != 0) rig->say(*link, bytes.substr(0, split));
    rig->say(*link, bytes.substr(split));
    return *link;
  }
  Link& greet_in_octets(std::string_view bytes) {
    Link* link = rig->add_raw_client();
    for (const char octet : bytes) rig->say(*link, std::string(1, octet));
    return *link;
  }
  // What comes back is `expected` however the bytes come, and then the end.
  void expect_answer(const std::string& bytes, const std::string& expected) {
    for (size_t split = 0; split < bytes.size(); ++split) {
      Link& link = greet(bytes, split);
      ASSERT_EQ(link.raw, expected) << bytes << " split at " << split;
      EXPECT_TRUE(link.is_gone);
    }
    EXPECT_EQ(greet_in_octets(bytes).raw, expected) << bytes;
  }
  std::string next_line() {
    const auto event = log.next_event();
    return event ? std::string(event->view()) : "(none)";
  }
  // The bytes of a client's first call behind `before`, split there.
  void expect_served(const std::string& before, size_t split, const std::string& client_text) {
    Nghttp2Peer peer(h2::Role::kClient, {});
    peer.send_request(grpc_request(), "body", true);
    const std::string bytes = before + peer.take_output();
    Link& link = split <= bytes.size() ? greet(bytes, split) : greet_in_octets(bytes);
    Link& upstream = rig->upstream(0);
    const std::vector<int32_t> calls = Rig::calls(upstream);
    ASSERT_EQ(calls.size(), 1u) << "split at " << split;
    EXPECT_EQ(upstream.peer->messages.at(calls[0]).body, "body");
    EXPECT_EQ(value_of(upstream.peer->messages.at(calls[0]).headers, "x-forwarded-for"), client_text);
    upstream.peer->send_response(calls[0], kGrpcResponse, grpc_message(1), kGrpcOk);
    rig->run();
    EXPECT_TRUE(peer.receive(link.raw));
    EXPECT_EQ(value_of(peer.messages.at(1).trailers, "grpc-status"), "0");
    EXPECT_EQ(log_client(), client_text);
    rig->lose(link, 0);
  }
  // Of the latest line of the access log.
  std::string log_client() {
    std::string text;
    const auto lines = log.access_lines().readable();
    text.append(lines.first.data(), lines.first.size()).append(lines.second.data(), lines.second.size());
    log.access_lines().consume(lines.size());
    return text.substr(0, text.find(' '));
  }

  config::Snapshot snapshot = one_endpoint();
  std::unique_ptr<io::Doorbell> bell;
  LogPort log;
  std::unique_ptr<Rig> rig;

 private:
  static config::Snapshot one_endpoint() {
    config::Snapshot made = Rig::plain_snapshot(1);
    made.access_log.path = "-";
    return made;
  }
};

std::string answer(const std::string& status, const std::string& body, bool has_body = true) {
  return "HTTP/1.1 " + status +
         "\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n" + (has_body ? body : "");
}
const std::string kSays =
    "This port speaks HTTP/2 without TLS (gRPC), not HTTP/1. Try:\n"
    "  curl --http2-prior-knowledge http://HOST:PORT/\n"
    "  grpcurl -plaintext HOST:PORT list\n"
    "GET /healthz is answered over HTTP/1, too.\n";
const std::string kNoHttp1 = answer("505 HTTP Version Not Supported", kSays);

TEST_F(FirstBytes, Http2HoweverItComes) {
  for (size_t split = 0; split < 60; ++split) expect_served("", split, "192.0.2.7");
  expect_served("", SIZE_MAX, "192.0.2.7");
}

TEST_F(FirstBytes, NothingIsSentBeforeTheClientIsKnown) {
  Link& link = greet("PRI * HTTP/2.0\r\n\r\nSM\r\n\r");
  EXPECT_EQ(link.raw, "");
  rig->say(link, "\n");
  EXPECT_NE(link.raw, "");
}

TEST_F(FirstBytes, Tls) {
  Link& link = greet(kTls);
  EXPECT_EQ(link.raw, kAlert);
  EXPECT_TRUE(link.is_gone);
  EXPECT_EQ(next_line(), "client 192.0.2.7 speaks TLS, listener 127.0.0.1:1000 speaks HTTP/2 without TLS");
  EXPECT_EQ(counters().tls_clients, 1u);
  EXPECT_EQ(greet_in_octets(kTls).raw, kAlert);
  EXPECT_EQ(counters().tls_clients, 2u);
}

TEST_F(FirstBytes, Http1) {
  const std::string request = "GET /shop HTTP/1.1\r\nHost: a\r\n\r\n";
  Link& link = greet(request);
  EXPECT_EQ(link.raw, kNoHttp1);
  EXPECT_EQ(next_line(),
            "client 192.0.2.7 speaks HTTP/1 ('GET /shop'), listener 127.0.0.1:1000 speaks HTTP/2 without TLS");
  EXPECT_EQ(counters().http1_clients, 1u);
  expect_answer(request, kNoHttp1);
  expect_answer("POST / HTTP/1.0\n\n", kNoHttp1);
  // What follows the head is nobody's.
  expect_answer("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", kNoHttp1);
  expect_answer("GET /healthy HTTP/1.1\r\n\r\n", kNoHttp1);
  expect_answer("POST /healthz HTTP/1.1\r\n\r\n", kNoHttp1);
  EXPECT_EQ(greet("HEAD / HTTP/1.1\r\n\r\n").raw, answer("505 HTTP Version Not Supported", kSays, false));
  EXPECT_EQ(counters().health_checks, 0u);
}

TEST_F(FirstBytes, AnEndlessHeadIsAnsweredAtItsBound) {
  const std::string line = "GET / HTTP/1.1\r\n";
  for (const size_t size : {size_t{8191}, size_t{8192}, size_t{8193}}) {
    Link& link = greet(line + "X: " + std::string(size - line.size() - 3, 'x'));
    EXPECT_EQ(link.raw, size < 8192 ? "" : kNoHttp1) << size;
    EXPECT_EQ(link.is_gone, size >= 8192) << size;
  }
}

TEST_F(FirstBytes, HealthCheck) {
  for (const std::string version : {"HTTP/1.1\r\nHost: a", "HTTP/1.0"}) {
    const std::string behind = " " + version + "\r\n\r\n";
    EXPECT_EQ(greet("GET /healthz" + behind).raw, answer("200 OK", "ok\n"));
    EXPECT_EQ(greet("GET /healthz?verbose" + behind).raw, answer("200 OK", "ok\n"));
    EXPECT_EQ(greet("HEAD /healthz" + behind).raw, answer("200 OK", "ok\n", false));
  }
  EXPECT_EQ(greet_in_octets("GET /healthz HTTP/1.1\r\n\r\n").raw, answer("200 OK", "ok\n"));
  EXPECT_EQ(counters().health_checks, 7u);
  EXPECT_EQ(counters().http1_clients, 0u);
  EXPECT_EQ(next_line(), "(none)") << "nothing to report";
  rig->proxy->begin_unready();
  EXPECT_EQ(greet("GET /healthz HTTP/1.1\r\n\r\n").raw, answer("503 Service Unavailable", "draining\n"));
  expect_served("", 0, "192.0.2.7");
}

TEST_F(FirstBytes, ADrainLetsTheGreetingsThatAreUnderWayEnd) {
  Link& asks = *rig->add_raw_client();
  Link& silent = *rig->add_raw_client();
  rig->proxy->begin_drain(rig->now_ns);
  rig->say(asks, "GET /healthz HTTP/1.1\r\n\r\n");
  EXPECT_EQ(asks.raw, answer("503 Service Unavailable", "draining\n"));
  rig->pass(999 * base::kMillisecond_ns, 37 * base::kMillisecond_ns);
  EXPECT_FALSE(silent.is_gone);
  expect_served("", 0, "192.0.2.7");
  rig->pass(20 * base::kMillisecond_ns);
  EXPECT_TRUE(silent.is_gone) << "it has had its second";
  EXPECT_EQ(silent.raw, "");
}

TEST_F(FirstBytes, ADrainsEndClosesThem) {
  Link& silent = *rig->add_raw_client();
  rig->say(silent, "PRI");
  rig->proxy->end_drain(rig->now_ns);
  rig->run();
  EXPECT_TRUE(silent.is_gone);
}

TEST_F(FirstBytes, AClientThatLeavesBeforeItIsKnown) {
  for (const std::string_view bytes : {"", "PRI * HT", "GET / HTTP/1.1\r\n", "\x16"}) {
    Link& link = greet(bytes);
    rig->lose(link, 0);
    EXPECT_TRUE(link.is_gone);
  }
  EXPECT_EQ(next_line(), "(none)");
  EXPECT_EQ(rig->proxy->memory().blocks.bytes_in_use(), 0u) << "what was kept has been given back";
}

TEST_F(FirstBytes, SomethingElse) {
  Link& link = greet("SSH-2.0-OpenSSH_9.2\r\n");
  EXPECT_EQ(link.raw, "");
  EXPECT_TRUE(link.is_gone);
  EXPECT_EQ(next_line(),
            "client 192.0.2.7 speaks neither HTTP nor TLS, its first bytes are 'SSH-2.0-OpenSSH_9.2\r\n'; listener "
            "127.0.0.1:1000 speaks HTTP/2 without TLS");
  EXPECT_EQ(counters().unknown_clients, 1u);
  EXPECT_TRUE(greet("\0"s).is_gone);
  EXPECT_TRUE(greet("PRI * HTTP/2.0\r\n\r\nXX").is_gone);
  EXPECT_TRUE(greet("GET /\r\n").is_gone);
  EXPECT_EQ(counters().unknown_clients, 4u);
  EXPECT_EQ(rig->proxy->downstream_count(), 0u);
}

// Behind a handshake the same texts would send who reads them away from TLS.
TEST_F(FirstBytes, InsideTls) {
  const auto say_inside = [this](std::string_view bytes) {
    Link& link = *rig->add_raw_client();
    rig->proxy->secured(*rig->proxy->connections().find(link.handle), rig->now_ns);
    rig->say(link, bytes);
    EXPECT_TRUE(link.is_gone);
    return link.raw;
  };
  EXPECT_EQ(say_inside("GET /shop HTTP/1.1\r\n\r\n"),
            answer("505 HTTP Version Not Supported",
                   "This port speaks HTTP/2 over TLS (gRPC), not HTTP/1. Try:\n"
                   "  curl --http2 https://HOST:PORT/\n"
                   "  grpcurl HOST:PORT list\n"
                   "GET /healthz is answered over HTTP/1, too.\n"));
  EXPECT_EQ(next_line(),
            "client 192.0.2.7 speaks HTTP/1 ('GET /shop'), listener 127.0.0.1:1000 speaks HTTP/2 over TLS");
  EXPECT_EQ(say_inside("GET /healthz HTTP/1.1\r\n\r\n"), answer("200 OK", "ok\n"));
  say_inside(kTls);
  EXPECT_EQ(next_line(), "client 192.0.2.7 speaks TLS inside TLS, listener 127.0.0.1:1000 speaks HTTP/2 over TLS");
  say_inside("SSH-2.0-x\r\n");
  EXPECT_EQ(next_line(),
            "client 192.0.2.7 speaks neither HTTP nor TLS, its first bytes are 'SSH-2.0-x\r\n'; listener "
            "127.0.0.1:1000 speaks HTTP/2 over TLS");
}

TEST_F(FirstBytes, WhoMissesTlsIsTold) {
  const auto text_of = [](std::span<const uint8_t> bytes) {
    return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  };
  EXPECT_EQ(text_of(rig->proxy->answer_cleartext(tls::Cleartext::kHttp1)),
            answer("400 Bad Request",
                   "This port speaks TLS, and HTTP/2 (gRPC) inside it. Try:\n"
                   "  curl --http2 https://HOST:PORT/\n"
                   "  grpcurl HOST:PORT list, without -plaintext\n"));
  Nghttp2Peer peer(h2::Role::kClient, {});
  peer.send_request(grpc_request(), "", true);
  peer.take_output();
  EXPECT_TRUE(peer.receive(text_of(rig->proxy->answer_cleartext(tls::Cleartext::kHttp2))));
  EXPECT_EQ(peer.goaway_code, uint32_t{NGHTTP2_INADEQUATE_SECURITY});
  EXPECT_EQ(peer.goaway_text, "this port speaks TLS");
  EXPECT_EQ(counters().cleartext_clients, 2u);
}

TEST_F(FirstBytes, WhatComesBehindItsEndIsNotLookedAt) {
  Link& link = *rig->add_raw_client();
  Connection& connection = *rig->proxy->connections().find(link.handle);
  rig->proxy->receive(connection, h2::octets_of(kTls), rig->now_ns);
  rig->proxy->receive(connection, h2::octets_of(kTls), rig->now_ns);
  rig->run();
  EXPECT_EQ(link.raw, kAlert);
  EXPECT_EQ(counters().tls_clients, 1u);
}

TEST_F(FirstBytes, AProxyHeaderNamesTheClient) {
  sources().proxy_protocol = config::ProxyProtocol::kRequire;
  renew();
  for (size_t split = 0; split < kVersion1.size() + 30; ++split) expect_served(kVersion1, split, "198.51.100.9");
  expect_served(kVersion1, SIZE_MAX, "198.51.100.9");
  EXPECT_EQ(counters().proxy_headers, kVersion1.size() + 31);
  for (size_t split = 0; split < kLocal.size() + 30; ++split) expect_served(kLocal, split, "192.0.2.7");
  expect_answer(kVersion1 + "GET / HTTP/1.1\r\n\r\n", kNoHttp1);
  expect_answer(kVersion1 + kTls.substr(0, 2), kAlert);
  // An address that has none.
  const std::string unix_header = "\r\n\r\n\0\r\nQUIT\n\x21\x31\x00\xd8"s + std::string(216, '\0');
  expect_served(unix_header, 0, "unix");
}

TEST_F(FirstBytes, TheLongestProxyHeader) {
  sources().proxy_protocol = config::ProxyProtocol::kRequire;
  renew();
  const std::string begin =
      "\r\n\r\n\0\r\nQUIT\n\x21\x11\x10\x00"s + "\xc6\x33\x64\x09\x0a\x00\x00\x01\x9c\x40\x1f\x90"s;
  expect_served(begin + "\x04\x0f\xf1"s + std::string(4096 - 15, 'n'), 4100, "198.51.100.9");
}

TEST_F(FirstBytes, ARequiredProxyHeaderThatIsMissing) {
  sources().proxy_protocol = config::ProxyProtocol::kRequire;
  renew();
  EXPECT_TRUE(greet("PRI * HTTP/2.0\r\n").is_gone);
  EXPECT_EQ(next_line(),
            "client 192.0.2.7: no PROXY header, which listener 127.0.0.1:1000 requires; its first bytes are 'PRI * "
            "HTTP/2.0\r\n'");
  expect_answer("GET /healthz HTTP/1.1\r\n\r\n", "");
  EXPECT_EQ(counters().bad_proxy_headers, 27u);
  EXPECT_EQ(counters().proxy_headers, 0u);
}

TEST_F(FirstBytes, AnOptionalProxyHeader) {
  sources().proxy_protocol = config::ProxyProtocol::kOptional;
  renew();
  expect_served(kVersion1, 3, "198.51.100.9");
  for (size_t split = 0; split < 30; ++split) expect_served("", split, "192.0.2.7");
  expect_answer("PUT / HTTP/1.1\r\n\r\n", kNoHttp1);
  EXPECT_EQ(counters().bad_proxy_headers, 0u);
}

TEST_F(FirstBytes, AProxyHeaderWhereNoneIsExpected) {
  expect_answer(kVersion1, "");
  EXPECT_EQ(counters().proxy_headers, 0u);
  EXPECT_GT(counters().unknown_clients, 0u);
}

TEST_F(FirstBytes, AMalformedProxyHeader) {
  for (const auto mode : {config::ProxyProtocol::kOptional, config::ProxyProtocol::kRequire}) {
    sources().proxy_protocol = mode;
    renew();
    Link& link = greet("PROXY TCP4 198.51.100.999 10.0.0.1 40000 8080\r\nPRI");
    EXPECT_EQ(link.raw, "");
    EXPECT_TRUE(link.is_gone);
    EXPECT_EQ(next_line(),
              "client 192.0.2.7: malformed PROXY header: the address is none of its protocol: '198.51.100.999'");
    EXPECT_EQ(counters().bad_proxy_headers, 1u);
    EXPECT_TRUE(greet("\r\n\r\n\0\r\nQUIT\n\x31"s).is_gone);
    EXPECT_EQ(next_line(), "client 192.0.2.7: malformed PROXY header: its version is not 2: '1'");
  }
}

TEST_F(FirstBytes, OnlyOneProxyHeaderIsTaken) {
  sources().proxy_protocol = config::ProxyProtocol::kOptional;
  renew();
  expect_answer(kVersion1 + kVersion1, "");
  EXPECT_GT(counters().unknown_clients, 0u);
}

TEST_F(FirstBytes, SourcesAreJudgedByTheSocketsPeer) {
  sources().allow = {*io::Network::parse("192.0.2.0/24"), *io::Network::parse("fd00::/8")};
  sources().deny = {*io::Network::parse("192.0.2.128/25")};
  renew();
  EXPECT_NE(rig->add_raw_client("192.0.2.127:1"), nullptr);
  EXPECT_NE(rig->add_raw_client("[fd00::1]:1"), nullptr);
  EXPECT_NE(rig->add_raw_client("[::ffff:192.0.2.7]:1"), nullptr);
  EXPECT_EQ(rig->add_raw_client("192.0.2.128:1"), nullptr);
  EXPECT_EQ(next_line(), "client 192.0.2.128: refused, it is in 'deny' of listener 127.0.0.1:1000");
  EXPECT_EQ(rig->add_raw_client("198.51.100.1:1"), nullptr);
  EXPECT_EQ(next_line(), "client 198.51.100.1: refused, it is not in 'allow' of listener 127.0.0.1:1000");
  EXPECT_EQ(rig->add_raw_client("unix:/tmp/a"), nullptr) << "it is in no network";
  EXPECT_EQ(counters().sources_refused, 3u);
  EXPECT_EQ(counters().downstream_connections, 3u);
}

TEST_F(FirstBytes, SourcesAreJudgedByTheAddressThatIsAnnounced) {
  sources().proxy_protocol = config::ProxyProtocol::kOptional;
  sources().deny = {*io::Network::parse("198.51.100.9")};
  renew();
  Link& link = greet(kVersion1 + "GET /healthz HTTP/1.1\r\n\r\n");
  EXPECT_EQ(link.raw, "");
  EXPECT_TRUE(link.is_gone);
  EXPECT_EQ(next_line(), "client 198.51.100.9: refused, it is in 'deny' of listener 127.0.0.1:1000");
  EXPECT_EQ(counters().sources_refused, 1u);
  EXPECT_EQ(counters().proxy_headers, 1u);
  expect_served("PROXY TCP4 198.51.100.8 10.0.0.1 40000 8080\r\n", 5, "198.51.100.8");
  // Who announces nobody speaks for himself.
  sources().deny = {*io::Network::parse("192.0.2.0/24")};
  renew();
  expect_served(kVersion1, 5, "198.51.100.9");
  expect_answer(kLocal + "GET /healthz HTTP/1.1\r\n\r\n", "");
  expect_answer("GET /healthz HTTP/1.1\r\n\r\n", "");
}

}  // namespace
}  // namespace ringway::proxy
