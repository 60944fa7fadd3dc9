// The servers of a run: origins and the proxies that are compared. Each is started on a free port of the loopback
// address with a configuration made for it, and is known to accept connections when its constructor returns.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "certificates.h"
#include "placement.h"
#include "process.h"
#include "scenario.h"
#include "usage.h"

namespace ringway::bench {

// Where our own binaries are: --bin-dir, or the directory that this program itself stands in.
class Programs {
 public:
  explicit Programs(std::string directory);  // empty: beside this program
  // Throws Failure that names the program and where it was looked for.
  std::string own(const std::string& name) const;
  const std::string& directory() const { return directory_; }

 private:
  std::string directory_;
};

// What must be installed for arms of this kind, or nothing if all is there. Our own binaries always are expected.
std::optional<std::string> missing_program(ArmKind kind);

class Server {
 public:
  const std::string& address() const { return address_; }
  const std::string& command() const { return command_line_; }
  // Of all processes of its group as they are now: a master may start its worker after the port is open.
  Usage usage() const { return usage_of(group_members(child_.pid())); }
  uint64_t resident() const { return resident_bytes(group_members(child_.pid())); }
  bool is_running() { return child_.is_running(); }
  std::string last_words() const { return child_.last_words(); }

  // Ends it. What it printed on standard output; throws Failure when it had to be killed or failed.
  std::string stop();

 private:
  friend class Launcher;
  Server(Child child, std::string address);

  Child child_;
  std::string address_;
  std::string command_line_;
};

// Starts servers; keeps their files in a scratch directory.
class Launcher {
 public:
  Launcher(const Programs& programs, const CpuPlan& plan, const ScratchDirectory& scratch);

  Server origin();
  // `prefix` stands before the command, for a run under an instrument. Throws Failure when it does not come up.
  // Not for direct arms.
  Server proxy(const Arm& arm, const std::vector<std::string>& origins, const std::vector<std::string>& prefix = {});

  // Before the first proxy with TLS.
  void use_certificates(const Certificates& certificates) { certificates_ = certificates; }
  void set_start_timeout_ns(uint64_t timeout_ns) { start_timeout_ns_ = timeout_ns; }

 private:
  Command own_command(const Arm& arm, const std::vector<std::string>& origins) const;
  Command peer_command(const Arm& arm, uint16_t port, const std::vector<std::string>& origins,
                       const std::string& directory) const;
  Server start_announcing(Command command);
  Server start_polling(Command command, uint16_t port);

  const Programs& programs_;
  const CpuPlan& plan_;
  const ScratchDirectory& scratch_;
  std::optional<Certificates> certificates_;
  uint64_t start_timeout_ns_;
  uint32_t started_count_ = 0;
};

// The address in a line such as "ringway ready: listening on 127.0.0.1:8080, 1 shards". Nothing without such a line.
std::optional<std::string> announced_address(const std::string& text);

}  // namespace ringway::bench
