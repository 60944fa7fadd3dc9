#include "control/credentials_watch.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <utility>

namespace ringway::control {
namespace {

constexpr int64_t kDay_s = 86'400;
constexpr uint64_t kDay_ns = 86'400 * base::kSecond_ns;

void add_path(std::vector<std::string>& paths, const std::string& path) {
  if (!path.empty()) paths.push_back(path);
}

std::vector<std::string> paths_of(const tls::ServerOptions& options) {
  std::vector<std::string> paths;
  for (const tls::CertificateFiles& files : options.certificates) {
    add_path(paths, files.certificate);
    add_path(paths, files.private_key);
  }
  add_path(paths, options.client_ca);
  add_path(paths, options.crl);
  return paths;
}

std::vector<std::string> paths_of(const tls::ClientOptions& options) {
  std::vector<std::string> paths;
  for (const std::string* path : {&options.ca, &options.certificate, &options.private_key, &options.crl}) {
    add_path(paths, *path);
  }
  return paths;
}

// Puts what was made in the place of what was there. True: it is something else.
template <typename Made, typename Ref>
std::expected<bool, std::string> replace(Made&& made, Ref& kept) {
  if (!made) return std::unexpected(made.error());
  if (kept && std::ranges::equal((*made)->digest(), kept->digest())) return false;
  kept = std::move(*made);
  return true;
}

}  // namespace

CredentialsWatch::Stamp CredentialsWatch::stamp_of(const std::string& path) {
  struct stat found{};
  if (stat(path.c_str(), &found) != 0) return {};
  return {static_cast<uint64_t>(found.st_dev), static_cast<uint64_t>(found.st_ino), found.st_size, found.st_mtim.tv_sec,
          found.st_mtim.tv_nsec};
}

std::expected<bool, std::string> CredentialsWatch::read(const Set& set) {
  const uint32_t number = set.whose.number;
  return set.whose.is_listener
             ? replace(tls::ServerCredentials::create(*snapshot_->listeners[number].tls), servers_[number])
             : replace(tls::ClientCredentials::create(*snapshot_->clusters[number].tls), clients_[number]);
}

std::expected<CredentialsWatch, std::string> CredentialsWatch::create(const config::Snapshot& snapshot, ErrorLog& log) {
  CredentialsWatch watch(snapshot, log);
  watch.servers_.resize(snapshot.listeners.size());
  watch.clients_.resize(snapshot.clusters.size());
  for (uint32_t number = 0; number < snapshot.listeners.size(); ++number) {
    const config::ListenerConfig& listener = snapshot.listeners[number];
    if (!listener.tls) continue;
    watch.sets_.push_back({{true, number}, "listener " + listener.address.text(), paths_of(*listener.tls), {}});
  }
  for (uint32_t number = 0; number < snapshot.clusters.size(); ++number) {
    const config::ClusterConfig& cluster = snapshot.clusters[number];
    if (!cluster.tls) continue;
    watch.sets_.push_back({{false, number}, "cluster " + cluster.name, paths_of(*cluster.tls), {}});
  }
  for (Set& set : watch.sets_) {
    // Before they are read: what changes meanwhile is seen by the next look.
    for (const std::string& path : set.paths) set.stamps.push_back(stamp_of(path));
    if (const auto read = watch.read(set); !read) return std::unexpected(set.name + ": tls: " + read.error());
  }
  if (watch.is_used()) watch.next_look_ns_ = 0;
  return watch;
}

std::vector<CredentialsWatch::Change> CredentialsWatch::look(uint64_t now_ns, bool is_asked) {
  std::vector<Change> changes;
  if (!is_used() || (now_ns < next_look_ns_ && !is_asked)) return changes;
  next_look_ns_ = now_ns + kInterval_ns;
  for (Set& set : sets_) {
    std::vector<Stamp> stamps;
    for (const std::string& path : set.paths) stamps.push_back(stamp_of(path));
    if (stamps == set.stamps && !is_asked) continue;
    set.stamps = std::move(stamps);
    const auto is_other = read(set);
    if (!is_other) {
      log_->write(config::LogLevel::kError,
                  fmt::format("{}: tls: {}; what was read before stays in use", set.name, is_other.error()));
    } else if (*is_other) {
      log_->write(config::LogLevel::kInfo, fmt::format("{}: tls: new certificates are in use", set.name));
      changes.push_back(set.whose);
      next_notice_ns_ = 0;
    }
  }
  if (now_ns >= next_notice_ns_) note_expiries(now_ns);
  return changes;
}

std::vector<CredentialsWatch::Expiry> CredentialsWatch::expiries() const {
  std::vector<Expiry> found;
  const auto now_s = static_cast<int64_t>(base::wall_ns() / base::kSecond_ns);
  const auto add = [&](const std::string& path, int64_t expires_s) {
    // Rounded down, also below zero.
    const int64_t left_s = expires_s - now_s;
    found.push_back({path, left_s >= 0 ? left_s / kDay_s : -((-left_s + kDay_s - 1) / kDay_s)});
  };
  for (const ServerCredentialsRef& server : servers_) {
    if (!server) continue;
    for (const tls::ServedCertificate& certificate : server->certificates()) {
      add(certificate.path, certificate.expires_s);
    }
  }
  for (const ClientCredentialsRef& client : clients_) {
    if (client && client->has_certificate()) add(client->certificate_path(), client->expires_s());
  }
  return found;
}

void CredentialsWatch::note_expiries(uint64_t now_ns) {
  next_notice_ns_ = now_ns + kDay_ns;
  for (const Expiry& expiry : expiries()) {
    if (expiry.days > kNotice_days) continue;
    const bool has_ended = expiry.days < 0;
    log_->write(has_ended ? config::LogLevel::kError : config::LogLevel::kWarn,
                has_ended ? fmt::format("certificate {} has expired", expiry.path)
                          : fmt::format("certificate {} expires in {} days", expiry.path, expiry.days));
  }
}

}  // namespace ringway::control
