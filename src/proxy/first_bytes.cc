// A client's first bytes: who it is (PROXY protocol, lists of sources) and what it speaks. One that does not speak
// HTTP/2 is told, as far as it can be, what this port is for.
#include <algorithm>
#include <string_view>

#include "h2/first_bytes.h"
#include "proxy/proxy.h"
#include "proxy/proxy_header.h"
#include "proxy/text.h"

namespace ringway::proxy {
namespace {

// Of an HTTP/1 request: line and headers. A longer one is answered without the rest.
constexpr size_t kRequestHeadMax = 8192;

// A fatal alert, protocol_version (RFC 8446 section 6.2): of the versions of TLS that the client may offer, this port
// speaks none. Without it clients report an end that they did not expect.
constexpr uint8_t kTlsAlert[] = {0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x46};

constexpr std::string_view kPortSpeaks =
    "This port speaks HTTP/2 without TLS (gRPC), not HTTP/1. Try:\n"
    "  curl --http2-prior-knowledge http://HOST:PORT/\n"
    "  grpcurl -plaintext HOST:PORT list\n"
    "GET /healthz is answered over HTTP/1, too.\n";

constexpr std::string_view kSecurePortSpeaks =
    "This port speaks HTTP/2 over TLS (gRPC), not HTTP/1. Try:\n"
    "  curl --http2 https://HOST:PORT/\n"
    "  grpcurl HOST:PORT list\n"
    "GET /healthz is answered over HTTP/1, too.\n";

// To an HTTP/1 client that does not begin with TLS where it should. Whatever it has asked for: its request is not read.
constexpr std::string_view kTlsMissing =
    "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 135\r\n"
    "Cache-Control: no-store\r\nConnection: close\r\n\r\n"
    "This port speaks TLS, and HTTP/2 (gRPC) inside it. Try:\n"
    "  curl --http2 https://HOST:PORT/\n"
    "  grpcurl HOST:PORT list, without -plaintext\n";
static_assert(kTlsMissing.size() - kTlsMissing.find("This") == 135);

// To an HTTP/2 client in the same place: an empty SETTINGS frame, for nothing else may come first, and GOAWAY with what
// clients show, INADEQUATE_SECURITY (RFC 9113 sections 3.4, 6.8 and 7).
constexpr std::string_view kTlsMissingFrames(
    "\0\0\0\4\0\0\0\0\0"
    "\0\0\34\7\0\0\0\0\0\0\0\0\0\0\0\0\14this port speaks TLS",
    9 + 9 + 28);

// What a listener is for, in the words of the error log.
std::string_view speech_of(const Connection& connection) noexcept {
  return connection.is_secure ? "HTTP/2 over TLS" : "HTTP/2 without TLS";
}

std::string_view text_of(std::span<const uint8_t> bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::span<const uint8_t> as_octets(std::string_view text) noexcept {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

// Its first octets, for a log: escaped by whoever writes the line.
std::string_view excerpt(std::string_view text) noexcept {
  constexpr size_t kExcerptMax = 48;
  return text.substr(0, kExcerptMax);
}

bool is_whole_head(std::string_view head) noexcept {
  return head.find("\r\n\r\n") != std::string_view::npos || head.find("\n\n") != std::string_view::npos;
}

// A line that recognise_client() has found.
struct RequestLine {
  std::string_view method;
  std::string_view target;
};

RequestLine parse_request_line(std::string_view head) noexcept {
  std::string_view line = head.substr(0, head.find('\n'));
  const size_t space = line.find(' ');
  const size_t last = line.rfind(' ');
  return {line.substr(0, space), space < last ? line.substr(space + 1, last - space - 1) : std::string_view()};
}

}  // namespace

bool Proxy::admits(uint32_t listener, const io::Address& peer, uint64_t now_ns) {
  const Listener& accepting = listeners_[listener];
  const config::SourceOptions& sources = accepting.config.sources;
  // Where a header may follow, the address that counts is not known yet.
  if (sources.proxy_protocol != config::ProxyProtocol::kOff || sources.admits(peer)) return true;
  note_refused_source(accepting, peer, now_ns);
  return false;
}

void Proxy::note_refused_source(const Listener& listener, const io::Address& client, uint64_t now_ns) {
  ++counters_.sources_refused;
  const bool is_denied = io::any_holds(listener.config.sources.deny, client);
  log(config::LogLevel::kWarn, LogKind::kListener, now_ns, "client {}: refused, {} of listener {}", client.host_text(),
      is_denied ? "it is in 'deny'" : "it is not in 'allow'", listener.name);
}

void Proxy::keep_first_bytes(Connection& connection, std::span<const uint8_t> bytes) {
  // What is kept already is what `bytes` shows.
  if (connection.first_bytes.is_empty()) connection.first_bytes.append(memory_.blocks, bytes);
}

void Proxy::receive_first_bytes(Connection& connection, std::span<const uint8_t> bytes, uint64_t now_ns) {
  if (connection.state == ConnectionState::kClosing) return;
  // Nearly always all comes in one piece, and nothing is copied.
  if (!connection.first_bytes.is_empty()) {
    connection.first_bytes.append(memory_.blocks, bytes);
    bytes = connection.first_bytes.bytes();
  }
  if (connection.awaits_proxy_header) {
    switch (take_proxy_header(connection, bytes, now_ns)) {
      case HeaderVerdict::kGoOn: break;
      case HeaderVerdict::kAwait: return keep_first_bytes(connection, bytes);
      case HeaderVerdict::kRefused: return begin_closing(connection, now_ns);
    }
  }
  switch (h2::recognise_client(bytes)) {
    case h2::Speech::kUndecided: return keep_first_bytes(connection, bytes);
    case h2::Speech::kHttp2: return begin_http2(connection, bytes, now_ns);
    case h2::Speech::kTls: return refuse_tls(connection, now_ns);
    case h2::Speech::kHttp1: return answer_http1(connection, bytes, now_ns);
    case h2::Speech::kUnknown: return refuse_unknown(connection, bytes, now_ns);
  }
}

// Takes a header off the front of `bytes`, and judges by whom it names, or by the socket's peer where it names nobody.
Proxy::HeaderVerdict Proxy::take_proxy_header(Connection& connection, std::span<const uint8_t>& bytes,
                                              uint64_t now_ns) {
  const Listener& listener = *connection.listener;
  const ProxyHeader header = parse_proxy_header(bytes);
  const bool is_required = listener.config.sources.proxy_protocol == config::ProxyProtocol::kRequire;
  switch (header.state) {
    case ProxyHeader::State::kIncomplete: return HeaderVerdict::kAwait;
    case ProxyHeader::State::kAbsent:
      if (!is_required) break;
      ++counters_.bad_proxy_headers;
      log(config::LogLevel::kWarn, LogKind::kPeer, now_ns,
          "client {}: no PROXY header, which listener {} requires; its first bytes are '{}'", connection.client_text,
          listener.name, excerpt(text_of(bytes)));
      return HeaderVerdict::kRefused;
    case ProxyHeader::State::kMalformed:
      ++counters_.bad_proxy_headers;
      log(config::LogLevel::kWarn, LogKind::kPeer, now_ns, "client {}: malformed PROXY header: {}: '{}'",
          connection.client_text, header.problem, excerpt(text_of(header.culprit)));
      return HeaderVerdict::kRefused;
    case ProxyHeader::State::kComplete: {
      ++counters_.proxy_headers;
      if (!header.is_local) {
        connection.peer = header.client;
        connection.client_text = header.client.host_text();
      }
      const bool was_kept = !connection.first_bytes.is_empty();
      if (was_kept) connection.first_bytes.consume(memory_.blocks, header.size);
      bytes = was_kept ? connection.first_bytes.bytes() : bytes.subspan(header.size);
      break;
    }
  }
  connection.awaits_proxy_header = false;
  if (listener.config.sources.admits(connection.peer)) return HeaderVerdict::kGoOn;
  note_refused_source(listener, connection.peer, now_ns);
  return HeaderVerdict::kRefused;
}

size_t Proxy::receive_proxy_header(Connection& connection, std::span<const uint8_t> bytes,
                                   std::span<const uint8_t>& rest, uint64_t now_ns) {
  connection.first_bytes.append(memory_.blocks, bytes);
  rest = connection.first_bytes.bytes();
  if (const size_t more = proxy_header_wants(rest); more != 0) return more;
  switch (take_proxy_header(connection, rest, now_ns)) {
    case HeaderVerdict::kGoOn: break;
    case HeaderVerdict::kAwait: return 1;
    case HeaderVerdict::kRefused: begin_closing(connection, now_ns); break;
  }
  return 0;
}

std::span<const uint8_t> Proxy::answer_cleartext(tls::Cleartext speech) noexcept {
  ++counters_.cleartext_clients;
  return as_octets(speech == tls::Cleartext::kHttp1 ? kTlsMissing : kTlsMissingFrames);
}

void Proxy::begin_http2(Connection& connection, std::span<const uint8_t> bytes, uint64_t now_ns) {
  // Its timer waits for its SETTINGS.
  connection.state = ConnectionState::kOpen;
  connection.h2.inherit_early_resets(reset_accounts_.come_back(connection.peer));
  connection.h2.start();
  mark(connection);
  if (is_draining_) begin_drain_step(connection, "draining", now_ns);
  base::ByteQueue kept = std::move(connection.first_bytes);
  receive(connection, bytes, now_ns);
  kept.release(memory_.blocks);
}

void Proxy::refuse_tls(Connection& connection, uint64_t now_ns) {
  ++counters_.tls_clients;
  log(config::LogLevel::kWarn, LogKind::kPeer, now_ns, "client {} speaks TLS{}, listener {} speaks {}",
      connection.client_text, connection.is_secure ? " inside TLS" : "", connection.listener->name,
      speech_of(connection));
  connection.h2.output().append(memory_.blocks, kTlsAlert);
  begin_closing(connection, now_ns);
}

void Proxy::answer_http1(Connection& connection, std::span<const uint8_t> bytes, uint64_t now_ns) {
  const std::string_view head = text_of(bytes);
  if (!is_whole_head(head) && head.size() < kRequestHeadMax) return keep_first_bytes(connection, bytes);
  const RequestLine line = parse_request_line(head);
  const bool is_head = line.method == "HEAD";
  const bool is_health =
      (line.method == "GET" || is_head) && line.target.substr(0, line.target.find('?')) == "/healthz";
  std::string_view status = "505 HTTP Version Not Supported";
  std::string_view body = connection.is_secure ? kSecurePortSpeaks : kPortSpeaks;
  if (is_health) {
    ++counters_.health_checks;
    status = is_ready_ ? "200 OK" : "503 Service Unavailable";
    body = is_ready_ ? "ok\n" : "draining\n";
  } else {
    ++counters_.http1_clients;
    log(config::LogLevel::kWarn, LogKind::kPeer, now_ns, "client {} speaks HTTP/1 ('{} {}'), listener {} speaks {}",
        connection.client_text, line.method, excerpt(line.target), connection.listener->name, speech_of(connection));
  }
  const Text fields(
      "HTTP/1.1 {}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\nCache-Control: no-store\r\n"
      "Connection: close\r\n\r\n",
      status, body.size());
  connection.h2.output().append(memory_.blocks, as_octets(fields));
  if (!is_head) connection.h2.output().append(memory_.blocks, as_octets(body));
  begin_closing(connection, now_ns);
}

void Proxy::refuse_unknown(Connection& connection, std::span<const uint8_t> bytes, uint64_t now_ns) {
  ++counters_.unknown_clients;
  log(config::LogLevel::kWarn, LogKind::kPeer, now_ns,
      "client {} speaks neither HTTP nor TLS, its first bytes are '{}'; listener {} speaks {}", connection.client_text,
      excerpt(text_of(bytes)), connection.listener->name, speech_of(connection));
  begin_closing(connection, now_ns);
}

}  // namespace ringway::proxy
