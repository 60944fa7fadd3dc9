#include "server.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "base/assert.h"
#include "base/units.h"
#include "failure.h"
#include "peer_config.h"

namespace ringway::bench {

namespace {

constexpr uint64_t kStartTimeout_ns = 5 * base::kSecond_ns;
constexpr uint64_t kStopTimeout_ns = 5 * base::kSecond_ns;
constexpr uint64_t kPollPause_ns = 2 * base::kMillisecond_ns;
// Two children of ours could be given the same free port, when the first is not there yet; then the next try helps.
constexpr int kStartAttempts = 3;

sockaddr_in loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

// A port that nobody listens on. It may be taken by another before our child binds it: start_polling() notices.
uint16_t free_port() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  const bool is_bound = bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                        getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  close(fd);
  if (!is_bound) throw Failure("no free TCP port on 127.0.0.1");
  return ntohs(address.sin_port);
}

bool accepts_connections(uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = loopback(port);
  const bool is_connected = connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  close(fd);
  return is_connected;
}

// The inode of the socket that listens on that port, as the links in /proc/PID/fd name it.
std::string listening_socket(uint16_t port) {
  const std::string table = read_file("/proc/net/tcp");
  // "  0: 0100007F:1F90 00000000:0000 0A …": local address, remote address, state 0A = listening, …, the tenth is the
  // inode.
  const std::string wanted = fmt::format("0100007F:{:04X} 00000000:0000 0A ", port);
  const size_t at = table.find(wanted);
  if (at == std::string::npos) return "";
  const std::string rest = table.substr(at + wanted.size(), 200);
  std::vector<std::string> fields;
  size_t start = 0;
  while (fields.size() < 6 && (start = rest.find_first_not_of(' ', start)) != std::string::npos) {
    const size_t end = std::min(rest.find(' ', start), rest.size());
    fields.push_back(rest.substr(start, end - start));
    start = end;
  }
  return fields.size() == 6 ? fmt::format("socket:[{}]", fields[5]) : "";
}

bool holds_socket(pid_t process, const std::string& socket_name) {
  std::error_code error;
  for (std::filesystem::directory_iterator fd(fmt::format("/proc/{}/fd", process), error), end; !error && fd != end;
       fd.increment(error)) {
    std::error_code ignored;
    if (std::filesystem::read_symlink(fd->path(), ignored).string() == socket_name) return true;
  }
  return false;
}

// A figure of another proxy's under our arm's name would be worse than none: the listener must be our child's own.
bool is_listener_of(pid_t group, uint16_t port) {
  const std::string socket_name = listening_socket(port);
  const std::vector<pid_t> members = group_members(group);
  return !socket_name.empty() &&
         std::any_of(members.begin(), members.end(), [&](pid_t process) { return holds_socket(process, socket_name); });
}

// What messages call it: the first word, without its folder.
std::string program_name(const Command& command) {
  return std::filesystem::path(command.arguments.front()).filename().string();
}

const char* program_of(ArmKind kind) {
  switch (kind) {
    case ArmKind::kNghttpx: return "nghttpx";
    case ArmKind::kHaproxy: return "haproxy";
    case ArmKind::kNginx: return "nginx";
    default: return nullptr;
  }
}

}  // namespace

Programs::Programs(std::string directory) {
  std::error_code error;
  directory_ = directory.empty() ? std::filesystem::read_symlink("/proc/self/exe", error).parent_path().string()
                                 : std::move(directory);
}

std::string Programs::own(const std::string& name) const {
  std::string file = (std::filesystem::path(directory_) / name).string();
  if (access(file.c_str(), X_OK) != 0)
    throw Failure(fmt::format("{} was not found in {}; scripts/build makes it", name, directory_));
  return file;
}

std::optional<std::string> missing_program(ArmKind kind) {
  const char* program = program_of(kind);
  if (program == nullptr || find_program(program)) return std::nullopt;
  return program;
}

Server::Server(Child child, std::string address)
    : child_(std::move(child)), address_(std::move(address)), command_line_(bench::command_line(child_.command())) {}

std::string Server::stop() {
  const std::optional<Exit> exit = child_.stop(kStopTimeout_ns);
  const std::string name = program_name(child_.command());
  if (!exit)
    throw Failure(fmt::format("{} did not end within {} s of SIGTERM", name, kStopTimeout_ns / base::kSecond_ns));
  // Some take SIGTERM as it is, others end by themselves: both are as asked.
  const bool is_ended_by_us = WIFSIGNALED(exit->status) && WTERMSIG(exit->status) == SIGTERM;
  if (!exit->is_success() && !is_ended_by_us)
    throw Failure(fmt::format("{}: {}: {}", name, exit->text(), child_.last_words()));
  return child_.output();
}

std::optional<std::string> announced_address(const std::string& text) {
  static constexpr std::string_view kMark = " ready: listening on ";
  const size_t at = text.find(kMark);
  if (at == std::string::npos) return std::nullopt;
  const size_t start = at + kMark.size();
  // The line must be complete, or the port may be.
  if (text.find('\n', start) == std::string::npos) return std::nullopt;
  return text.substr(start, text.find_first_of(", \n", start) - start);
}

Launcher::Launcher(const Programs& programs, const CpuPlan& plan, const ScratchDirectory& scratch)
    : programs_(programs), plan_(plan), scratch_(scratch), start_timeout_ns_(kStartTimeout_ns) {}

Server Launcher::origin() {
  return start_announcing({.arguments = {programs_.own("ringway-echo"), "--listen", "127.0.0.1:0"},
                           .cpus = plan_.origin,
                           .output_stem = fmt::format("{}/{}-origin", scratch_.path(), ++started_count_)});
}

Server Launcher::proxy(const Arm& arm, const std::vector<std::string>& origins,
                       const std::vector<std::string>& prefix) {
  ASSERT(arm.kind != ArmKind::kDirect && (!arm.is_tls || certificates_));
  const auto finish = [&](Command command) {
    command.arguments.insert(command.arguments.begin(), prefix.begin(), prefix.end());
    command.arguments.insert(command.arguments.end(), arm.arguments.begin(), arm.arguments.end());
    command.cpus = plan_.proxy;
    command.output_stem = fmt::format("{}/{}-{}", scratch_.path(), ++started_count_, arm.name);
    return command;
  };
  if (arm.kind == ArmKind::kRelay || arm.kind == ArmKind::kRingway)
    return start_announcing(finish(own_command(arm, origins)));
  for (int attempt = 1;; ++attempt) {
    const std::string directory = fmt::format("{}/{}-files", scratch_.path(), started_count_ + 1);
    std::filesystem::create_directory(directory);
    const uint16_t port = free_port();
    try {
      return start_polling(finish(peer_command(arm, port, origins, directory)), port);
    } catch (const Failure&) {
      if (attempt == kStartAttempts) throw;
    }
  }
}

Command Launcher::own_command(const Arm& arm, const std::vector<std::string>& origins) const {
  if (arm.kind == ArmKind::kRelay) {
    return {.arguments = {programs_.own("ringway-relay"), "--listen", "127.0.0.1:0", "--upstream", origins.front()}};
  }
  // One CPU for each shard where the plan has so many; else the scheduler decides.
  const bool is_pinned = plan_.proxy.size() >= arm.shards;
  const std::vector<int> cpus(plan_.proxy.begin(),
                              plan_.proxy.begin() + (is_pinned ? static_cast<ptrdiff_t>(arm.shards) : 0));
  Command command{.arguments = {programs_.own("ringway"), "--listen", "127.0.0.1:0", "--shards",
                                fmt::format("{}", arm.shards), "--cpus",
                                is_pinned ? fmt::format("{}", fmt::join(cpus, ",")) : "none", "--access-log", "off",
                                "--stats-at-exit"}};
  for (const std::string& origin : origins) command.arguments.insert(command.arguments.end(), {"--upstream", origin});
  if (arm.is_tls) {
    command.arguments.insert(command.arguments.end(),
                             {"--tls-cert", certificates_->certificate, "--tls-key", certificates_->private_key,
                              "--ktls", std::string(name_of(arm.kernel_tls))});
  }
  return command;
}

Command Launcher::peer_command(const Arm& arm, uint16_t port, const std::vector<std::string>& origins,
                               const std::string& directory) const {
  const std::optional<std::string> program = find_program(program_of(arm.kind));
  if (!program) throw Failure(fmt::format("{} is not installed", program_of(arm.kind)));
  const std::string file = directory + "/config";
  const Certificates* const tls = arm.is_tls ? &*certificates_ : nullptr;
  switch (arm.kind) {
    case ArmKind::kHaproxy:
      write_file(file, haproxy_config(port, origins, tls));
      return {.arguments = {*program, "-db", "-q", "-f", file}};
    case ArmKind::kNginx:
      write_file(file, nginx_config(port, origins, directory, geteuid() == 0, tls));
      return {.arguments = {*program, "-e", "stderr", "-c", file}};
    default: {
      Command command{.arguments = {*program}};
      const std::vector<std::string> arguments = nghttpx_arguments(port, origins, tls);
      command.arguments.insert(command.arguments.end(), arguments.begin(), arguments.end());
      return command;
    }
  }
}

Server Launcher::start_announcing(Command command) {
  Child child(std::move(command));
  const uint64_t deadline_ns = base::monotonic_ns() + start_timeout_ns_;
  while (true) {
    if (const auto address = announced_address(child.errors())) return {std::move(child), *address};
    if (const auto exit = child.wait(kPollPause_ns)) {
      throw Failure(fmt::format("{}: {}: {}", program_name(child.command()), exit->text(), child.last_words()));
    }
    if (base::monotonic_ns() > deadline_ns) {
      throw Failure(fmt::format("{}: no ready line within {} s: {}", program_name(child.command()),
                                start_timeout_ns_ / base::kSecond_ns, child.last_words()));
    }
  }
}

Server Launcher::start_polling(Command command, uint16_t port) {
  Child child(std::move(command));
  const uint64_t deadline_ns = base::monotonic_ns() + start_timeout_ns_;
  while (!accepts_connections(port) || !is_listener_of(child.pid(), port)) {
    if (const auto exit = child.wait(kPollPause_ns)) {
      throw Failure(fmt::format("{}: {}: {}", program_name(child.command()), exit->text(), child.last_words()));
    }
    if (base::monotonic_ns() > deadline_ns) {
      throw Failure(fmt::format("{}: does not listen on 127.0.0.1:{} after {} s: {}", program_name(child.command()),
                                port, start_timeout_ns_ / base::kSecond_ns, child.last_words()));
    }
  }
  return {std::move(child), fmt::format("127.0.0.1:{}", port)};
}

}  // namespace ringway::bench
