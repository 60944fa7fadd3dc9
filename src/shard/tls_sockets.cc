// Sockets with TLS: the handshake, which reads exactly what it needs while the socket is polled, and the records behind
// it.
#include <algorithm>

#include "base/units.h"
#include "shard/shard.h"
#include "tls/alert_text.h"
#include "tls/kernel.h"

namespace ringway::shard {
namespace {

// Steps of handshakes in one turn. Each is up to a private-key operation, about a tenth of a millisecond: a storm of
// clients must not keep the streams that are open from being served.
constexpr size_t kHandshakeSteps = 4;

constexpr uint8_t kHandshakeNewSessionTicket = 4;
constexpr uint8_t kHandshakeKeyUpdate = 24;

}  // namespace

// For connections from here on. Sessions of the old ones were made under other trust.
void Shard::take_credentials(const Message& message) {
  if (message.server != nullptr) {
    options_.listener_credentials[message.listener] = tls::CredentialsRef<tls::ServerCredentials>(message.server);
  } else {
    options_.cluster_credentials[message.listener] = tls::CredentialsRef<tls::ClientCredentials>(message.client);
    proxy_->forget_tls_sessions(message.listener);
  }
}

// Unless the cluster has got new certificates since: what they trust has not been looked at.
void Shard::keep_session(proxy::Connection& connection, const tls::Handshake& handshake, tls::Session session) {
  proxy::Endpoint& endpoint = *connection.endpoint;
  const auto& current = options_.cluster_credentials[endpoint.cluster.number];
  if (session && handshake.client_credentials() == &*current) endpoint.tls_session = std::move(session);
}

void Shard::begin_handshake(proxy::Connection& connection, Socket& socket, std::unique_ptr<tls::Handshake> handshake) {
  socket.secured = std::make_unique<Secured>();
  socket.secured->handshake = std::move(handshake);
  connection.is_handshaking = true;
  handshakes_.push_back(connection.handle);
}

void Shard::accept_tls(proxy::Connection& connection, Socket& socket, uint32_t listener) {
  connection.credentials = options_.listener_credentials[listener];
  begin_handshake(connection, socket, tls::Handshake::accept(connection.credentials));
}

void Shard::connect_tls(proxy::Connection& connection, Socket& socket, uint32_t cluster) {
  proxy::Endpoint& endpoint = *connection.endpoint;
  begin_handshake(connection, socket,
                  tls::Handshake::connect(options_.cluster_credentials[cluster], endpoint.address.host_text(),
                                          endpoint.tls_session));
}

// Oldest first, a few in each turn.
void Shard::advance_handshakes() {
  const size_t count = std::min(handshakes_.size(), kHandshakeSteps);
  for (size_t i = 0; i < count; ++i) {
    proxy::Connection* const connection = proxy_->connections().find(handshakes_[i]);
    if (connection == nullptr) continue;
    Socket& socket = socket_of(*connection);
    if (connection->state == proxy::ConnectionState::kClosing) {
      advance_teardown(*connection, socket);
    } else {
      advance_handshake(*connection, socket);
    }
  }
  handshakes_.erase(handshakes_.begin(), handshakes_.begin() + static_cast<std::ptrdiff_t>(count));
}

void Shard::poll_for_handshake(proxy::Connection& connection, Socket& socket, bool for_writing) {
  socket.is_polling = true;
  ring_.poll_once(socket.fd.get(), for_writing, token(Operation::kPoll, connection));
}

void Shard::on_poll(proxy::Connection& connection, Socket& socket) {
  socket.is_polling = false;
  if (connection.state == proxy::ConnectionState::kClosing) return advance_teardown(connection, socket);
  handshakes_.push_back(connection.handle);
}

// Reads `wanted` octets or what there is of them. Zero: there are none now, and the socket is being polled, or the
// handshake has failed.
size_t Shard::read_for_handshake(proxy::Connection& connection, Socket& socket, std::span<uint8_t> into) {
  const int32_t size = io::receive_now(socket.fd.get(), into);
  if (size > 0) {
    counters_.recv_bytes += static_cast<uint64_t>(size);
    return static_cast<size_t>(size);
  }
  const io::Error error = size < 0 ? io::error_from_errno(size) : io::Error{};
  if (error.kind == io::ErrorKind::kWouldBlock) {
    poll_for_handshake(connection, socket, false);
  } else {
    const std::string_view peer = connection.is_upstream() ? "it" : "the client";
    fail_handshake(connection, socket,
                   error ? fmt::format("{} in the handshake", io::describe(error))
                         : fmt::format("{} ended the connection in the handshake", peer));
  }
  return 0;
}

// A PROXY header stands before the handshake, in clear. True: it is over.
bool Shard::read_proxy_header(proxy::Connection& connection, Socket& socket) {
  uint8_t buffer[256];
  size_t wanted = 0;
  std::span<const uint8_t> rest;
  while ((wanted = proxy_->receive_proxy_header(connection, {buffer, wanted}, rest, now_ns_)) != 0) {
    wanted = std::min(wanted, sizeof buffer);
    wanted = read_for_handshake(connection, socket, {buffer, wanted});
    if (wanted == 0) return false;
  }
  if (connection.state == proxy::ConnectionState::kClosing) return false;
  socket.secured->handshake->receive(rest);
  connection.first_bytes.release(proxy_->memory().blocks);
  return true;
}

// True: nothing waits to be sent.
bool Shard::send_for_handshake(proxy::Connection& connection, Socket& socket) {
  tls::Handshake& handshake = *socket.secured->handshake;
  while (!handshake.output().empty()) {
    const int32_t size = io::send_now(socket.fd.get(), handshake.output());
    if (size <= 0) {
      // Another error is found by the next read.
      const bool would_block = size < 0 && io::error_from_errno(size).kind == io::ErrorKind::kWouldBlock;
      poll_for_handshake(connection, socket, would_block);
      return false;
    }
    counters_.send_bytes += static_cast<uint64_t>(size);
    handshake.consume_output(static_cast<size_t>(size));
  }
  return true;
}

void Shard::advance_handshake(proxy::Connection& connection, Socket& socket) {
  if (socket.secured->handshake == nullptr) return fail_handshake(connection, socket, "no memory for a handshake");
  tls::Handshake& handshake = *socket.secured->handshake;
  if (connection.awaits_proxy_header && !read_proxy_header(connection, socket)) return;
  for (;;) {
    const tls::Handshake::Progress progress = handshake.advance();
    if (progress == tls::Handshake::Progress::kFailed) {
      return fail_handshake(connection, socket, handshake.failure());
    }
    if (!send_for_handshake(connection, socket)) return;
    if (progress == tls::Handshake::Progress::kDone) return finish_handshake(connection, socket);
    uint8_t buffer[4096];
    const size_t size =
        read_for_handshake(connection, socket, {buffer, std::min<size_t>(handshake.wanted_bytes(), sizeof buffer)});
    if (size == 0) return;
    handshake.receive({buffer, size});
  }
}

void Shard::finish_handshake(proxy::Connection& connection, Socket& socket) {
  Secured& secured = *socket.secured;
  tls::Handshake& handshake = *secured.handshake;
  ++counters_.handshakes;
  if (handshake.is_resumed()) ++counters_.handshakes_resumed;
  secured.reader.start(handshake.read_keys());
  secured.writer.start(handshake.write_keys());
  secured.state = Secured::State::kOpen;
  secured.was_established = true;
  if (!hand_over_to_kernel(connection, socket)) return;
  arm_recv(connection, socket);
  if (connection.is_upstream()) {
    if (handshake.version() == tls::Version::kTls12) {
      keep_session(connection, handshake, handshake.session());
      secured.handshake.reset();
    }
    connection.is_secure = true;
    return proxy_->connected(connection, now_ns_);
  }
  connection.certificate = static_cast<uint32_t>(handshake.certificate());
  connection.client_certificate = handshake.client_certificate_text();
  secured.handshake.reset();
  proxy_->secured(connection, now_ns_);
}

// The keys go to the kernel, as far as planned. No receive is under way: the socket was polled. Where the kernel
// refuses, records stay in user space, which is counted and, at first, said. False: the connection is at its end.
bool Shard::hand_over_to_kernel(proxy::Connection& connection, Socket& socket) {
  Secured& secured = *socket.secured;
  const KernelPlan& plan = options_.kernel_tls;
  const auto stay = [this](KernelRefusal cause) {
    ++counters_.kernel_without[static_cast<size_t>(cause)];
    return true;
  };
  if ((!plan.sends && !plan.receives) || connection.peer.is_unix()) return stay(KernelRefusal::kNotPlanned);
  const tls::TrafficKeys& keys = secured.writer.keys();
  if (keys.version != tls::Version::kTls13) return stay(KernelRefusal::kVersion);
  const int fd = socket.fd.get();
  io::Error error = tls::attach_kernel_tls(fd);
  // Kernels that cannot receive refuse that first, when nothing has been given away yet.
  if (!error && plan.receives) error = tls::give_keys(fd, tls::Direction::kReceive, secured.reader.keys());
  secured.is_kernel_receive = !error && plan.receives;
  if (!error) error = tls::give_keys(fd, tls::Direction::kSend, keys);
  secured.is_kernel_send = !error;
  const auto cipher = static_cast<size_t>(keys.cipher);
  if (!error) {
    ++counters_.kernel_send[cipher];
    if (secured.is_kernel_receive) ++counters_.kernel_receive[cipher];
    return true;
  }
  if (counters_.kernel_without[static_cast<size_t>(KernelRefusal::kRefused)] == 0) {
    log_limit("shard {}: the kernel refuses TLS with {}: {}; records stay in user space (--ktls)", options_.index,
              tls::name_of(keys.cipher), io::describe(error));
  }
  stay(KernelRefusal::kRefused);
  if (!secured.is_kernel_receive) return true;
  // One direction is the kernel's and the other cannot be: this kernel was found to do both.
  secured.state = Secured::State::kEnded;
  secured.has_said_end = true;
  proxy_->secure_failed(connection, "the kernel has taken the keys of one direction alone", now_ns_);
  return false;
}

bool Shard::give_receive_keys(proxy::Connection& connection, Secured& secured) {
  return !tls::give_keys(socket_of(connection).fd.get(), tls::Direction::kReceive, secured.reader.keys());
}

// A receive has stopped at a record that is not data. True: it goes on.
bool Shard::on_kernel_record(proxy::Connection& connection, Socket& socket) {
  Secured& secured = *socket.secured;
  uint8_t buffer[tls::kPlaintextSizeMax];
  tls::Opened opened;
  opened.kind = tls::Opened::Kind::kRecord;
  const int32_t size = tls::receive_kernel_record(socket.fd.get(), buffer, opened.type);
  if (size < 0) {
    const io::Error error = io::error_from_errno(size);
    if (error.kind == io::ErrorKind::kWouldBlock) return true;
    fail(connection, socket, error);
    return false;
  }
  opened.plain = {buffer, static_cast<size_t>(size)};
  if (opened.type == tls::ContentType::kData) {
    proxy_->receive(connection, opened.plain, now_ns_);
  } else {
    receive_control(connection, secured, opened);
  }
  if (secured.state == Secured::State::kOpen) return true;
  if (connection.state == proxy::ConnectionState::kClosing) {
    // Nothing more is read of it.
    socket.is_dead = socket.is_dead || secured.has_said_end;
    advance_teardown(connection, socket);
    return false;
  }
  proxy_->lost(connection, {}, now_ns_);
  return true;
}

// Before each flush. False: there is nothing left to send, or no way to.
bool Shard::has_keys_to_send(proxy::Connection& connection, Socket& socket) {
  Secured& secured = *socket.secured;
  const uint64_t served = secured.is_kernel_send ? secured.kernel_records : secured.writer.keys().sequence;
  if (served >= snapshot_.limits.records_per_key && secured.state == Secured::State::kOpen) [[unlikely]]
    bound_use_of_keys(connection, secured, served);
  if (!secured.is_kernel_send || !secured.owes_key_update) [[likely]]
    return true;
  return update_kernel_keys(connection, socket) && !connection.h2.output().is_empty();
}

// New keys where there can be some. Else the connection takes no more calls, and those that go on and on end with it.
void Shard::bound_use_of_keys(proxy::Connection& connection, Secured& secured, uint64_t served) {
  const bool can_update =
      secured.is_kernel_send ? options_.kernel_tls.can_rekey : secured.writer.keys().version == tls::Version::kTls13;
  if (can_update) {
    if (!secured.owes_key_update) proxy_->count_limit(h2::LimitKind::kRecordsPerKey);
    secured.owes_key_update = true;
  } else if (served >= 2 * uint64_t{snapshot_.limits.records_per_key}) {
    break_records(connection, secured, tls::Alert::kCloseNotify, "its keys are used up (limits.records_per_key)");
  } else if (!secured.are_keys_retired) {
    secured.are_keys_retired = true;
    proxy_->count_limit(h2::LimitKind::kRecordsPerKey);
    proxy_->retire_keys(connection, now_ns_);
  }
}

// Says that new keys follow, under the old ones, then gives the kernel the new ones. While no send is under way.
bool Shard::update_kernel_keys(proxy::Connection& connection, Socket& socket) {
  Secured& secured = *socket.secured;
  const uint8_t message[] = {kHandshakeKeyUpdate, 0, 0, 1, 0};
  const int32_t sent = tls::send_kernel_record(socket.fd.get(), tls::ContentType::kHandshake, message);
  // Without room now: with the next flush.
  if (sent < 0 && io::error_from_errno(sent).kind == io::ErrorKind::kWouldBlock) return true;
  secured.owes_key_update = false;
  secured.kernel_records = 0;
  secured.writer.start(tls::updated(secured.writer.keys()));
  if (sent == sizeof message && !tls::give_keys(socket.fd.get(), tls::Direction::kSend, secured.writer.keys())) {
    return true;
  }
  secured.has_said_end = true;
  break_records(connection, secured, tls::Alert::kInternalError, "the kernel does not take new keys");
  return false;
}

// Its last words are an alert, or an answer to who does not know that this is TLS; the peer has time to read it.
void Shard::fail_handshake(proxy::Connection& connection, Socket& socket, std::string_view why) {
  Secured& secured = *socket.secured;
  ++counters_.handshakes_failed;
  secured.state = Secured::State::kEnded;
  if (secured.handshake != nullptr) {
    const tls::Cleartext speech = secured.handshake->cleartext();
    const bool is_answered = speech != tls::Cleartext::kNone && !connection.is_upstream();
    io::send_now(socket.fd.get(), is_answered ? proxy_->answer_cleartext(speech) : secured.handshake->output());
  }
  arm_recv(connection, socket);
  proxy_->secure_failed(connection, why, now_ns_);
}

// What has come, opened where it lies. False: nothing more is to be read.
bool Shard::receive_records(proxy::Connection& connection, Secured& secured, std::span<uint8_t> bytes) {
  base::BlockPool& pool = proxy_->memory().blocks;
  while (secured.state == Secured::State::kOpen) {
    const tls::Opened opened = secured.reader.next(bytes, pool);
    if (opened.kind == tls::Opened::Kind::kNothing) return true;
    if (opened.kind == tls::Opened::Kind::kBroken) {
      break_records(connection, secured, opened.alert,
                    fmt::format("a record is not in order ({})", tls::alert_name(static_cast<uint8_t>(opened.alert))));
    } else if (opened.type == tls::ContentType::kData && !opened.plain.empty() && secured.message.empty()) [[likely]] {
      secured.idle_records = 0;
      proxy_->receive(connection, opened.plain, now_ns_);
    } else {
      receive_control(connection, secured, opened);
    }
  }
  return false;
}

// Everything that is not data, or has no place.
void Shard::receive_control(proxy::Connection& connection, Secured& secured, const tls::Opened& opened) {
  if (++secured.idle_records > Secured::kIdleRecordsMax) {
    return break_records(connection, secured, tls::Alert::kUnexpectedMessage, "too many records without data");
  }
  // RFC 8446 sections 5.1 and 5.4.
  if (opened.type != tls::ContentType::kHandshake && !secured.message.empty()) {
    return break_records(connection, secured, tls::Alert::kUnexpectedMessage, "a record within a handshake message");
  }
  if (opened.type != tls::ContentType::kData && opened.plain.empty()) {
    return break_records(connection, secured, tls::Alert::kUnexpectedMessage, "an empty record that is not of data");
  }
  switch (opened.type) {
    case tls::ContentType::kData: return;
    case tls::ContentType::kAlert: return receive_alert(connection, secured, opened.plain);
    case tls::ContentType::kHandshake: return receive_messages(connection, secured, opened.plain);
    default:
      return break_records(connection, secured, tls::Alert::kUnexpectedMessage, "a record of a kind that has no place");
  }
}

void Shard::receive_alert(proxy::Connection& connection, Secured& secured, std::span<const uint8_t> alert) {
  if (alert.size() != 2) return break_records(connection, secured, tls::Alert::kDecodeError, "a malformed alert");
  if (alert[1] == static_cast<uint8_t>(tls::Alert::kCloseNotify)) {
    secured.state = Secured::State::kEnded;
    return;
  }
  constexpr uint8_t kUserCanceled = 90;
  if (alert[1] == kUserCanceled) return;  // close_notify follows (RFC 8446 section 6.1)
  secured.state = Secured::State::kEnded;
  secured.has_said_end = true;  // whoever sends a fatal alert reads nothing more
  proxy_->secure_failed(connection, tls::describe_alert(alert[1], !connection.is_upstream()), now_ns_);
}

// Of TLS 1.3: tickets and new keys. TLS 1.2 would begin another handshake, which is refused.
void Shard::receive_messages(proxy::Connection& connection, Secured& secured, std::span<const uint8_t> bytes) {
  if (secured.reader.keys().version == tls::Version::kTls12) {
    return break_records(connection, secured, tls::Alert::kNoRenegotiation, "it asks for a renegotiation");
  }
  std::vector<uint8_t>& message = secured.message;
  message.insert(message.end(), bytes.begin(), bytes.end());
  size_t taken = 0;
  while (secured.state == Secured::State::kOpen && message.size() - taken >= 4) {
    const uint8_t* const p = message.data() + taken;
    const size_t size = 4 + (size_t{p[1]} << 16 | size_t{p[2]} << 8 | p[3]);
    if (size > Secured::kMessageSizeMax) {
      return break_records(connection, secured, tls::Alert::kDecodeError, "a handshake message is too long");
    }
    if (message.size() - taken < size) break;
    taken += size;
    receive_message(connection, secured, {p, size}, taken == message.size());
  }
  message.erase(message.begin(), message.begin() + static_cast<std::ptrdiff_t>(taken));
  if (message.empty()) message.shrink_to_fit();
}

void Shard::receive_message(proxy::Connection& connection, Secured& secured, std::span<const uint8_t> message,
                            bool is_last) {
  if (message[0] == kHandshakeNewSessionTicket && connection.is_upstream()) {
    // One is enough: a connection takes one session, and brings the next.
    if (secured.handshake == nullptr) return;
    keep_session(connection, *secured.handshake, secured.handshake->take_ticket(message));
    secured.handshake.reset();
    return;
  }
  if (message[0] != kHandshakeKeyUpdate) {
    return break_records(connection, secured, tls::Alert::kUnexpectedMessage, "a handshake message that has no place");
  }
  if (message.size() != 5 || message[4] > 1) {
    const bool is_size = message.size() != 5;
    return break_records(connection, secured, is_size ? tls::Alert::kDecodeError : tls::Alert::kIllegalParameter,
                         "a malformed KeyUpdate");
  }
  // New keys begin with a record (RFC 8446 section 5.1).
  if (!is_last) {
    return break_records(connection, secured, tls::Alert::kUnexpectedMessage,
                         "a KeyUpdate that does not end its record");
  }
  if (now_ns_ - secured.key_updates_since_ns >= Secured::kKeyUpdatesPeriod_ns) {
    secured.key_updates_since_ns = now_ns_;
    secured.key_updates = 0;
  }
  if (++secured.key_updates > Secured::kKeyUpdatesMax) {
    return break_records(connection, secured, tls::Alert::kUnexpectedMessage, "it changes its keys too often");
  }
  secured.reader.update_keys();
  if (secured.is_kernel_receive || (secured.is_kernel_send && message[4] != 0)) {
    // Towards a peer that cannot be given new keys nothing more may be said, and it may say nothing more.
    if (!options_.kernel_tls.can_rekey || (secured.is_kernel_receive && !give_receive_keys(connection, secured))) {
      return break_records(connection, secured, tls::Alert::kCloseNotify,
                           "it asks for new keys, which this kernel (before Linux 6.14) cannot take");
    }
  }
  if (message[4] == 0) return;
  secured.owes_key_update = true;
  if (!static_cast<proxy::DirtyLink&>(connection).is_linked()) proxy_->dirty.push_back(connection);
}

void Shard::break_records(proxy::Connection& connection, Secured& secured, tls::Alert alert, std::string_view why) {
  secured.state = Secured::State::kEnded;
  secured.closing_alert = alert;
  proxy_->secure_failed(connection, why, now_ns_);
}

// Everything that waits, sealed into what is sent next.
void Shard::seal_output(proxy::Connection& connection, Socket& socket) {
  Secured& secured = *socket.secured;
  base::BlockPool& pool = proxy_->memory().blocks;
  if (secured.is_kernel_send) return socket.sending.swap(connection.h2.output());
  if (secured.owes_key_update) {
    secured.writer.update_keys(socket.sending, pool);
    secured.owes_key_update = false;
  }
  secured.writer.write(tls::ContentType::kData, connection.h2.output().bytes(), socket.sending, pool);
  connection.h2.output().release(pool);
}

// The last record. True: it has been submitted, and what follows waits for it.
bool Shard::say_end(proxy::Connection& connection, Socket& socket) {
  Secured& secured = *socket.secured;
  if (!secured.was_established || secured.has_said_end) return false;
  secured.has_said_end = true;
  if (secured.is_kernel_send) {
    const bool is_end = secured.closing_alert == tls::Alert::kCloseNotify;
    const uint8_t alert[] = {static_cast<uint8_t>(is_end ? 1 : 2), static_cast<uint8_t>(secured.closing_alert)};
    tls::send_kernel_record(socket.fd.get(), tls::ContentType::kAlert, alert);
    return false;
  }
  secured.writer.write_alert(secured.closing_alert, socket.sending, proxy_->memory().blocks);
  submit(connection, socket);
  return true;
}

}  // namespace ringway::shard
