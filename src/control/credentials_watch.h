// The certificates, keys and lists of all listeners and clusters: read at the start, and again when they change or when
// the operator says so. A set of files counts as a whole or not at all. The control thread alone.
#pragma once

#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <vector>

#include "base/units.h"
#include "config/snapshot.h"
#include "control/error_log.h"
#include "tls/credentials.h"

namespace ringway::control {

using ServerCredentialsRef = tls::CredentialsRef<tls::ServerCredentials>;
using ClientCredentialsRef = tls::CredentialsRef<tls::ClientCredentials>;

class CredentialsWatch {
 public:
  static constexpr uint64_t kInterval_ns = base::kSecond_ns;
  // A certificate that ends within this is worth a line a day.
  static constexpr int64_t kNotice_days = 30;

  // What has changed: the number of a listener or of a cluster in the snapshot.
  struct Change {
    bool is_listener = false;
    uint32_t number = 0;
  };

  // Reads all. The error names listener or cluster, and the file. `snapshot` and `log` outlive the watch.
  static std::expected<CredentialsWatch, std::string> create(const config::Snapshot& snapshot, ErrorLog& log);

  // By the snapshot's order; empty references: without TLS.
  std::span<const ServerCredentialsRef> listeners() const noexcept { return servers_; }
  std::span<const ClientCredentialsRef> clusters() const noexcept { return clients_; }
  bool is_used() const noexcept { return !sets_.empty(); }

  // Looks at the files, once in kInterval_ns or when `is_asked`, and reads the sets of which one has changed. A set
  // that cannot be used is reported once, and what was read before stays.
  std::vector<Change> look(uint64_t now_ns, bool is_asked);
  uint64_t next_look_ns() const noexcept { return next_look_ns_; }

  // Of each certificate, in whole days from now (below 0: it has ended).
  struct Expiry {
    std::string path;
    int64_t days = 0;
  };
  std::vector<Expiry> expiries() const;

 private:
  // What tells a file from what it was.
  struct Stamp {
    uint64_t device = 0;
    uint64_t inode = 0;
    int64_t size = -1;
    int64_t changed_s = 0;
    int64_t changed_ns = 0;

    bool operator==(const Stamp&) const = default;
  };
  struct Set {
    Change whose;
    std::string name;  // as logs begin with
    std::vector<std::string> paths;
    std::vector<Stamp> stamps;
  };

  CredentialsWatch(const config::Snapshot& snapshot, ErrorLog& log) : snapshot_(&snapshot), log_(&log) {}
  static Stamp stamp_of(const std::string& path);
  std::expected<bool, std::string> read(const Set& set);
  void note_expiries(uint64_t now_ns);

  const config::Snapshot* snapshot_;
  ErrorLog* log_;
  std::vector<ServerCredentialsRef> servers_;
  std::vector<ClientCredentialsRef> clients_;
  std::vector<Set> sets_;
  uint64_t next_look_ns_ = base::kNever_ns;
  uint64_t next_notice_ns_ = 0;
};

}  // namespace ringway::control
