#include "control/server.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <random>
#include <span>

#include "base/units.h"
#include "h2/limits.h"
#include "tls/kernel.h"

namespace ringway::control {
namespace {

// Connections are descriptors; the soft limit is a default for programs that use select().
void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

std::string_view words_for(proxy::Pressure pressure) noexcept {
  switch (pressure) {
    case proxy::Pressure::kNone: break;
    case proxy::Pressure::kRefuseCalls: return "new calls are refused";
    case proxy::Pressure::kDrainIdle: return "new calls are refused, idle connections drained";
    case proxy::Pressure::kAcceptNone: return "new calls and connections are refused";
  }
  return "everything is served";
}

// A JSON string. Paths hold no control characters (config/flags.h).
std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char octet : text) {
    if (octet == '"' || octet == '\\') out.push_back('\\');
    out.push_back(octet);
  }
  return out + '"';
}

sigset_t handled_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1}) sigaddset(&set, signal);
  return set;
}

}  // namespace

std::expected<std::unique_ptr<Server>, std::string> Server::create(const config::Snapshot& snapshot) {
  raise_descriptor_limit();
  std::unique_ptr<Server> server(new Server(snapshot));
  // Blocked before the first thread exists, so that every thread inherits it; read from a descriptor by this one.
  const sigset_t signals = handled_signals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  server->signals_ = io::Fd(signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  server->stopped_event_ = io::Fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!server->signals_.is_open() || !server->stopped_event_.is_open()) {
    return std::unexpected(fmt::format("no descriptors: {}", io::describe(io::error_from_errno(errno))));
  }
  auto log_thread = LogThread::create(snapshot.access_log.path, server->error_log_);
  if (!log_thread) return std::unexpected(log_thread.error());
  server->log_thread_ = std::move(*log_thread);
  auto memory_watch = MemoryWatch::create(snapshot.limits.process_memory);
  if (!memory_watch) return std::unexpected(memory_watch.error());
  server->memory_watch_ = std::move(*memory_watch);
  auto credentials = CredentialsWatch::create(snapshot, server->error_log_);
  if (!credentials) return std::unexpected(credentials.error());
  server->credentials_ = std::move(*credentials);
  // Private keys and those of connections would be in a core dump; nor may another process of the same user read them.
  if (server->credentials_->is_used()) prctl(PR_SET_DUMPABLE, 0);
  server->plan_kernel_tls();
  if (auto opened = server->open_listeners(); !opened) return std::unexpected(opened.error());
  if (auto made = server->make_shards(); !made) return std::unexpected(made.error());
  return server;
}

Server::~Server() {
  for (std::thread& thread : threads_) thread.join();
  if (log_thread_) log_thread_->stop();
}

std::expected<void, std::string> Server::open_listeners() {
  const bool is_shared = snapshot_.shards.accept == config::AcceptMode::kReusePort;
  for (const config::ListenerConfig& listener : snapshot_.listeners) {
    // A unix socket has one owner; the kernel has nothing to spread there.
    const bool has_many = is_shared && !listener.address.is_unix();
    std::vector<io::Fd> sockets;
    io::Address address = listener.address;
    for (uint32_t i = 0; i < (has_many ? snapshot_.shards.count : 1); ++i) {
      auto socket = io::listen_socket(address, {.reuse_port = has_many});
      if (!socket) {
        return std::unexpected(
            fmt::format("cannot listen on {}: {}", listener.address.text(), io::describe(socket.error())));
      }
      address = io::local_address(*socket);
      sockets.push_back(std::move(*socket));
    }
    listeners_.push_back(std::move(sockets));
  }
  return {};
}

// Where records are sealed and opened is said once, and why where it is not what was asked for (DESIGN 3.11).
void Server::plan_kernel_tls() {
  const config::KtlsMode mode = snapshot_.shards.ktls;
  if (!credentials_->is_used() || mode == config::KtlsMode::kOff) return;
  const tls::KernelSupport found = tls::find_kernel_support();
  const bool is_auto = mode == config::KtlsMode::kAuto;
  kernel_tls_.sends = found.can_send && (!is_auto || found.is_sound);
  kernel_tls_.receives = kernel_tls_.sends && mode == config::KtlsMode::kRxTx && found.can_receive;
  kernel_tls_.can_rekey = found.can_rekey;
  const auto level = is_auto ? config::LogLevel::kInfo : config::LogLevel::kWarn;
  if (!found.can_send) {
    error_log_.write(level, fmt::format("kernel TLS: records stay in user space: {}", found.cause));
  } else if (!kernel_tls_.sends) {
    error_log_.write(level, fmt::format("kernel TLS: records stay in user space: Linux {} is older than 6.12.44, which "
                                        "mends faults of it (--ktls tx takes it all the same)",
                                        found.release));
  } else if (mode == config::KtlsMode::kRxTx && !found.can_receive) {
    error_log_.write(level, "kernel TLS: this kernel seals records and cannot open them");
  } else {
    error_log_.write(config::LogLevel::kInfo, fmt::format("kernel TLS: the kernel {} records",
                                                          kernel_tls_.receives ? "seals and opens" : "seals"));
  }
}

std::expected<void, std::string> Server::make_shards() {
  const uint32_t count = snapshot_.shards.count;
  placement_ = std::make_unique<shard::Placement>(count);
  for (uint32_t i = 0; i < count; ++i) {
    auto mailbox = shard::Mailbox::create(count + 1);
    if (!mailbox) return std::unexpected(fmt::format("no descriptors: {}", io::describe(mailbox.error())));
    mailboxes_.push_back(std::move(*mailbox));
  }
  std::random_device random;
  for (uint32_t i = 0; i < count; ++i) {
    shard::Shard::Options options;
    options.index = i;
    options.snapshot = &snapshot_;
    for (uint32_t listener = 0; listener < listeners_.size(); ++listener) {
      const std::vector<io::Fd>& sockets = listeners_[listener];
      const bool is_owner = sockets.size() > 1 || listener % count == i;
      options.bound.push_back(io::local_address(sockets.front()));
      options.listeners.push_back(is_owner ? sockets[sockets.size() > 1 ? i : 0].get() : -1);
    }
    for (const auto& mailbox : mailboxes_) options.mailboxes.push_back(mailbox.get());
    options.listener_credentials.assign(credentials_->listeners().begin(), credentials_->listeners().end());
    options.cluster_credentials.assign(credentials_->clusters().begin(), credentials_->clusters().end());
    options.kernel_tls = kernel_tls_;
    options.placement = placement_.get();
    options.log = &log_thread_->add_port();
    options.seed = (uint64_t{random()} << 32) | random();
    options.sockets_max = sockets_max();
    options.cpu = i < snapshot_.shards.cpus.size() ? static_cast<int>(snapshot_.shards.cpus[i]) : -1;
    options.stopped_count = &stopped_count_;
    options.stopped_event = stopped_event_.get();
    auto shard = shard::Shard::create(std::move(options));
    if (!shard) return std::unexpected(shard.error());
    shards_.push_back(std::move(*shard));
  }
  untold_credentials_.resize(count);
  return {};
}

void Server::run() {
  log_thread_->start();
  for (const auto& shard : shards_) threads_.emplace_back([&shard] { shard->run(); });
  std::string addresses;
  for (const std::vector<io::Fd>& sockets : listeners_) {
    addresses += fmt::format("{}{}", addresses.empty() ? "" : ", ", io::local_address(sockets.front()).text());
  }
  fmt::print(stderr, "ringway ready: listening on {}, {} shards\n", addresses, shards_.size());
  drain_starts_ns_ = drain_ends_ns_ = base::kNever_ns;
  while (!have_all_stopped()) wait_for_signal();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  log_thread_->stop();
}

int Server::timeout_until(uint64_t deadline_ns) const noexcept {
  if (deadline_ns == base::kNever_ns) return -1;
  const uint64_t now_ns = base::monotonic_ns();
  if (now_ns >= deadline_ns) return 0;
  return static_cast<int>(std::min<uint64_t>((deadline_ns - now_ns) / base::kMillisecond_ns + 1, 3'600'000));
}

void Server::wait_for_signal() {
  pollfd watched[] = {{signals_.get(), POLLIN, 0}, {stopped_event_.get(), POLLIN, 0}};
  poll(watched, std::size(watched),
       timeout_until(std::min({drain_starts_ns_, drain_ends_ns_, memory_look_ns_, credentials_->next_look_ns()})));
  if (watched[0].revents != 0) {
    signalfd_siginfo info{};
    while (read(signals_.get(), &info, sizeof info) == sizeof info) on_signal(static_cast<int>(info.ssi_signo));
  }
  if (watched[1].revents != 0) {
    uint64_t count = 0;
    [[maybe_unused]] const ssize_t size = read(stopped_event_.get(), &count, sizeof count);
  }
  const uint64_t now_ns = base::monotonic_ns();
  if (now_ns >= memory_look_ns_) watch_memory(now_ns);
  if (now_ns >= credentials_->next_look_ns()) watch_credentials(now_ns, false);
  if (now_ns >= drain_starts_ns_) {
    drain_starts_ns_ = base::kNever_ns;
    drain_ends_ns_ = base::saturating_add(now_ns, snapshot_.drain.timeout_ns);
    post_to_all(shard::MessageKind::kDrain);
  }
  if (now_ns >= drain_ends_ns_) {
    drain_ends_ns_ = base::kNever_ns;
    post_to_all(shard::MessageKind::kEndDrain);
  }
}

void Server::on_signal(int signal) {
  switch (signal) {
    case SIGUSR1: log_thread_->reopen(); break;
    case SIGHUP:
      error_log_.write(
          config::LogLevel::kInfo,
          "SIGHUP: certificates, keys and revocation lists are read again; for a new configuration restart");
      watch_credentials(base::monotonic_ns(), true);
      break;
    default:
      if (!is_draining_) {
        is_draining_ = true;
        post_to_all(shard::MessageKind::kUnready);
        error_log_.write(config::LogLevel::kInfo, "draining");
        drain_starts_ns_ = base::saturating_add(base::monotonic_ns(), snapshot_.drain.delay_ns);
      } else {
        // The second time means now.
        drain_starts_ns_ = base::kNever_ns;
        drain_ends_ns_ = 0;
      }
      break;
  }
}

// New connections of a listener, or to a cluster, use what its files hold now; those that are open go on.
void Server::watch_credentials(uint64_t now_ns, bool is_asked) {
  const std::vector<CredentialsWatch::Change> changes = credentials_->look(now_ns, is_asked);
  for (uint32_t shard = 0; shard < untold_credentials_.size(); ++shard) {
    std::vector<CredentialsWatch::Change>& untold = untold_credentials_[shard];
    untold.insert(untold.end(), changes.begin(), changes.end());
    std::erase_if(untold, [&](CredentialsWatch::Change change) { return tell_credentials(shard, change); });
  }
}

// False: the shard's mailbox is full, and the next look tries again.
bool Server::tell_credentials(uint32_t shard, CredentialsWatch::Change change) {
  const auto sender = static_cast<uint32_t>(shards_.size());
  shard::Message message{shard::MessageKind::kCredentials, -1, change.number};
  // The message carries a reference.
  if (change.is_listener) {
    message.server = ServerCredentialsRef(credentials_->listeners()[change.number]).release();
  } else {
    message.client = ClientCredentialsRef(credentials_->clusters()[change.number]).release();
  }
  if (mailboxes_[shard]->post(sender, message)) return true;
  shard::drop_credentials(message);
  return false;
}

// Shards hear of a change, and again while connections are to go or none is to come.
void Server::watch_memory(uint64_t now_ns) {
  memory_look_ns_ = now_ns + MemoryWatch::kInterval_ns;
  const proxy::Pressure pressure = memory_watch_->pressure();
  if (pressure != pressure_) {
    error_log_.write(config::LogLevel::kWarn,
                     fmt::format("{} of {} bytes of memory are used: {} (limits.process_memory)",
                                 memory_watch_->resident(), memory_watch_->allowed(), words_for(pressure)));
  }
  if (pressure == pressure_ && pressure < proxy::Pressure::kDrainIdle) return;
  pressure_ = pressure;
  post_to_all(shard::MessageKind::kPressure, static_cast<uint32_t>(pressure));
}

// Descriptors for clients and endpoints; the rest is for logs, rings and whatever else a process has open.
uint32_t Server::sockets_max() const {
  if (snapshot_.limits.descriptors != 0) return snapshot_.limits.descriptors;
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > UINT32_MAX) return UINT32_MAX;
  const rlim_t others = std::max<rlim_t>(limit.rlim_cur / 8, 16);
  return static_cast<uint32_t>(limit.rlim_cur - std::min(others, limit.rlim_cur));
}

void Server::post_to_all(shard::MessageKind kind, uint32_t value) {
  const auto sender = static_cast<uint32_t>(shards_.size());
  for (const auto& mailbox : mailboxes_) mailbox->post(sender, {kind, -1, value});
}

// Of connections that were not what they should be, and of messages that were too long.
std::string Server::refusals() const {
  proxy::Counters sum;
  uint64_t messages_too_large = 0;
  uint64_t malformed_requests = 0;
  uint64_t malformed_responses = 0;
  for (const auto& shard : shards_) {
    const proxy::Counters& p = shard->proxy().counters();
    sum.foreign_endpoints += p.foreign_endpoints;
    sum.sources_refused += p.sources_refused;
    sum.proxy_headers += p.proxy_headers;
    sum.bad_proxy_headers += p.bad_proxy_headers;
    sum.tls_clients += p.tls_clients;
    sum.tls_failures += p.tls_failures;
    sum.cleartext_clients += p.cleartext_clients;
    sum.http1_clients += p.http1_clients;
    sum.health_checks += p.health_checks;
    sum.unknown_clients += p.unknown_clients;
    malformed_requests += shard->proxy().memory().malformed_requests;
    malformed_responses += shard->proxy().memory().malformed_responses;
    messages_too_large += p.local_replies[static_cast<size_t>(proxy::LocalReason::kMessageTooLarge)];
  }
  return fmt::format(R"("foreign_endpoints":{},"sources_refused":{},"proxy_headers":{},"bad_proxy_headers":{},)",
                     sum.foreign_endpoints, sum.sources_refused, sum.proxy_headers, sum.bad_proxy_headers) +
         fmt::format(R"("tls_clients":{},"http1_clients":{},"health_checks":{},"unknown_clients":{},)", sum.tls_clients,
                     sum.http1_clients, sum.health_checks, sum.unknown_clients) +
         fmt::format(R"("tls_failures":{},"cleartext_clients":{},)", sum.tls_failures, sum.cleartext_clients) +
         fmt::format(R"("messages_too_large":{},"malformed_requests":{},"malformed_responses":{},)", messages_too_large,
                     malformed_requests, malformed_responses);
}

// Of calls and connections that met a limit, and what the shards still hold.
std::string Server::limits_met() const {
  std::array<uint64_t, static_cast<size_t>(h2::LimitKind::kCount)> sums{};
  proxy::Proxy::InUse left;
  for (const auto& shard : shards_) {
    const proxy::Proxy::InUse in_use = shard->proxy().in_use();
    left.clients += in_use.clients;
    left.streams += in_use.streams;
    left.exchanges += in_use.exchanges;
    left.block_bytes += in_use.block_bytes;
    const std::span<const uint64_t> hits = shard->proxy().limit_hits();
    for (size_t kind = 0; kind < hits.size(); ++kind) sums[kind] += hits[kind];
  }
  std::string text = fmt::format(R"("left":{{"clients":{},"streams":{},"exchanges":{},"block_bytes":{}}},"limits":{{)",
                                 left.clients, left.streams, left.exchanges, left.block_bytes);
  for (size_t kind = 0; kind < sums.size(); ++kind) {
    text += fmt::format(R"({}"{}":{})", kind == 0 ? "" : ",", h2::key_of(static_cast<h2::LimitKind>(kind)), sums[kind]);
  }
  return text + "},";
}

// Of connections with TLS.
std::string Server::secured() const {
  uint64_t handshakes = 0;
  uint64_t resumed = 0;
  uint64_t failed = 0;
  uint64_t sealed[tls::kCipherCount] = {};
  uint64_t opened[tls::kCipherCount] = {};
  uint64_t without[static_cast<size_t>(shard::KernelRefusal::kCount)] = {};
  for (const auto& shard : shards_) {
    const shard::ShardCounters& s = shard->counters();
    handshakes += s.handshakes;
    resumed += s.handshakes_resumed;
    failed += s.handshakes_failed;
    for (size_t i = 0; i < tls::kCipherCount; ++i) {
      sealed[i] += s.kernel_send[i];
      opened[i] += s.kernel_receive[i];
    }
    for (size_t i = 0; i < std::size(without); ++i) without[i] += s.kernel_without[i];
  }
  const auto by_cipher = [](const uint64_t(&counts)[tls::kCipherCount]) {
    std::string text;
    for (size_t i = 0; i < tls::kCipherCount; ++i) {
      text += fmt::format(R"({}"{}":{})", i == 0 ? "" : ",", tls::name_of(static_cast<tls::Cipher>(i)), counts[i]);
    }
    return text;
  };
  std::string days;
  for (const CredentialsWatch::Expiry& expiry : credentials_->expiries()) {
    days += fmt::format(R"({}{}:{})", days.empty() ? "" : ",", quoted(expiry.path), expiry.days);
  }
  return fmt::format(
      R"("tls":{{"handshakes":{},"resumed":{},"failed":{},"kernel_tx":{{{}}},"kernel_rx":{{{}}},"user_space":{{"not_planned":{},"tls_1_2":{},"refused":{}}},"certificate_days":{{{}}}}},)",
      handshakes, resumed, failed, by_cipher(sealed), by_cipher(opened), without[0], without[1], without[2], days);
}

std::string Server::statistics() const {
  shard::ShardCounters shard_sum;
  io::RingCounters ring_sum;
  proxy::Counters proxy_sum;
  stats::Histogram hop_times;
  uint64_t local_replies = 0;
  for (const auto& shard : shards_) {
    const shard::ShardCounters& s = shard->counters();
    const io::RingCounters& r = shard->ring_counters();
    const proxy::Counters& p = shard->proxy().counters();
    shard_sum.turns += s.turns;
    shard_sum.sends += s.sends;
    shard_sum.short_sends += s.short_sends;
    shard_sum.recvs += s.recvs;
    shard_sum.recv_bytes += s.recv_bytes;
    shard_sum.send_bytes += s.send_bytes;
    shard_sum.accepts += s.accepts;
    shard_sum.accept_pauses += s.accept_pauses;
    shard_sum.no_buffers += s.no_buffers;
    ring_sum.enters += r.enters;
    ring_sum.submissions += r.submissions;
    ring_sum.completions += r.completions;
    ring_sum.submission_full += r.submission_full;
    ring_sum.overflows += r.overflows;
    proxy_sum.requests += p.requests;
    proxy_sum.responses += p.responses;
    proxy_sum.resets += p.resets;
    proxy_sum.client_cancels += p.client_cancels;
    proxy_sum.retries += p.retries;
    proxy_sum.retries_denied += p.retries_denied;
    proxy_sum.downstream_connections += p.downstream_connections;
    proxy_sum.upstream_connections += p.upstream_connections;
    proxy_sum.connect_failures += p.connect_failures;
    for (const uint64_t count : p.local_replies) local_replies += count;
    shard->proxy().add_hop_times(hop_times);
  }
  const auto microseconds = [&hop_times](double percent) {
    return static_cast<double>(hop_times.percentile(percent)) / 1e3;
  };
  std::string text = fmt::format(
      R"({{"shards":{},"turns":{},"enters":{},"submissions":{},"completions":{},"submission_full":{},"overflows":{},)",
      shards_.size(), shard_sum.turns, ring_sum.enters, ring_sum.submissions, ring_sum.completions,
      ring_sum.submission_full, ring_sum.overflows);
  text += fmt::format(
      R"("sends":{},"short_sends":{},"recvs":{},"recv_bytes":{},"send_bytes":{},"accepts":{},"accept_pauses":{},"no_buffers":{},)",
      shard_sum.sends, shard_sum.short_sends, shard_sum.recvs, shard_sum.recv_bytes, shard_sum.send_bytes,
      shard_sum.accepts, shard_sum.accept_pauses, shard_sum.no_buffers);
  text += fmt::format(
      R"("requests":{},"responses":{},"resets":{},"client_cancels":{},"retries":{},"retries_denied":{},"local_replies":{},)",
      proxy_sum.requests, proxy_sum.responses, proxy_sum.resets, proxy_sum.client_cancels, proxy_sum.retries,
      proxy_sum.retries_denied, local_replies);
  text += fmt::format(
      R"("downstream_connections":{},"upstream_connections":{},"connect_failures":{},"access_lines_dropped":{},)",
      proxy_sum.downstream_connections, proxy_sum.upstream_connections, proxy_sum.connect_failures,
      log_thread_->counters().access_lines_dropped);
  text += limits_met();
  text += secured();
  text += refusals();
  text += fmt::format(R"("hop_us":{{"count":{},"mean":{:.1f},"p50":{:.1f},"p90":{:.1f},"p99":{:.1f},"max":{:.1f}}}}})",
                      hop_times.count(), hop_times.mean() / 1e3, microseconds(50), microseconds(90), microseconds(99),
                      static_cast<double>(hop_times.maximum()) / 1e3);
  return text;
}

}  // namespace ringway::control
