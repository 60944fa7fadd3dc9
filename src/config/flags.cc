#include "config/flags.h"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <array>
#include <filesystem>
#include <memory>
#include <string_view>
#include <system_error>
#include <utility>

#include "config/flags_tls.h"
#include "config/limits.h"
#include "config/values.h"
#include "config/words.h"

namespace ringway::config {
namespace {

// One value of one flag. `error` is set instead of throwing, because a run reports all that is wrong.
struct Setting {
  std::string_view name;  // of the flag
  std::string_view value;
  Draft& draft;
  TlsFlags& tls;
  std::string error;

  template <typename T, typename Out>
  void take(Parsed<T> parsed, Out& out) {
    if (parsed) {
      out = *std::move(parsed);
    } else {
      error = parsed.error();
    }
  }

  template <typename Integer>
  void take_limited(LimitId id, Integer& out, Notation notation = Notation::kWithUnit) {
    if (const auto parsed = parse_limited(id, value, notation)) {
      out = static_cast<Integer>(*parsed);
    } else {
      error = parsed.error();
    }
  }
};

struct Flag {
  std::string_view name;
  std::string_view value;  // its placeholder in the help
  std::string_view help;
  void (*apply)(Setting&);   // null: read together with the others of its kind
  std::string (*initial)();  // the default, for the help; null: there is none
};

constexpr std::string_view kListen = "--listen";
constexpr std::string_view kUpstream = "--upstream";
constexpr std::string_view kConfig = "--config";

void apply_cpus(Setting& setting) {
  setting.draft.cpus_place = {"--cpus"};
  const auto cpus = parse_cpus(setting.value);
  if (!cpus) {
    setting.error = cpus.error();
    return;
  }
  setting.draft.pinning = *cpus ? Pinning::kList : Pinning::kNone;
  setting.draft.cpus = cpus->value_or(std::vector<uint32_t>());
}

void apply_shards(Setting& setting) {
  setting.draft.shard_count_place = {"--shards"};
  setting.take(parse_shard_count(setting.value), setting.draft.shard_count);
}

// Runs after --upstream, so it also reaches the cluster made by that.
void apply_policy(Setting& setting) {
  Policy policy{};
  setting.take(parse_policy(setting.value), policy);
  for (ClusterDraft& cluster : setting.draft.clusters) cluster.config.policy = policy;
}

void apply_upstream_connections(Setting& setting) {
  uint32_t per_shard = static_cast<uint32_t>(initial(LimitId::kPerShard));
  setting.take_limited(LimitId::kPerShard, per_shard);
  for (ClusterDraft& cluster : setting.draft.clusters) cluster.config.connections_per_shard = per_shard;
}

// Where relative file names of flags begin; those of the file begin where it lies.
std::string working_directory() {
  std::error_code error;
  return std::filesystem::current_path(error).string();
}

void take_file(Setting& setting, FileDraft& file) {
  file.place = {std::string(setting.name)};
  setting.take(parse_file(setting.value, working_directory()), file.path);
}

template <FileDraft TlsFlags::* kFile>
void apply_file(Setting& setting) {
  take_file(setting, setting.tls.*kFile);
}
template <CertificateDraft TlsFlags::* kPair>
void apply_certificate(Setting& setting) {
  take_file(setting, (setting.tls.*kPair).certificate);
}
template <CertificateDraft TlsFlags::* kPair>
void apply_private_key(Setting& setting) {
  take_file(setting, (setting.tls.*kPair).private_key);
}

void apply_server_name(Setting& setting) {
  setting.tls.upstream_server_name_place = {std::string(setting.name)};
  setting.take(parse_server_name(setting.value), setting.tls.upstream_server_name);
}

template <LimitId kId>
std::string initial_number() {
  return format_limited(kId, initial(kId));
}

constexpr std::array kFlags = {
    Flag{kListen, "ADDR", "accept calls here: HOST:PORT, [V6]:PORT, unix:PATH; may be repeated", nullptr, nullptr},
    Flag{kUpstream, "ADDR[,weight=N]", "an endpoint of the cluster; may be repeated", nullptr, nullptr},
    Flag{"--tls-cert", "FILE", "speak TLS to clients, with this certificate and its chain (PEM)",
         apply_certificate<&TlsFlags::server>, nullptr},
    Flag{"--tls-key", "FILE", "the private key of --tls-cert (PEM)", apply_private_key<&TlsFlags::server>, nullptr},
    Flag{"--tls-client-ca", "FILE", "take only clients with a certificate of these authorities (PEM)",
         apply_file<&TlsFlags::client_ca>, nullptr},
    Flag{"--upstream-ca", "FILE", "authorities of the endpoints' certificates (PEM)",
         apply_file<&TlsFlags::upstream_ca>, [] { return std::string("the system's"); }},
    Flag{"--upstream-cert", "FILE", "show endpoints this certificate and its chain (PEM)",
         apply_certificate<&TlsFlags::upstream_client>, nullptr},
    Flag{"--upstream-key", "FILE", "the private key of --upstream-cert (PEM)",
         apply_private_key<&TlsFlags::upstream_client>, nullptr},
    Flag{"--upstream-server-name", "NAME", "what the endpoints' certificates have to be for", apply_server_name,
         [] { return std::string("the endpoint's host"); }},
    Flag{"--ktls", "MODE", "what the kernel encrypts of a TLS connection: off, tx, rxtx or auto",
         [](Setting& s) { s.take(parse_ktls(s.value), s.draft.snapshot.shards.ktls); },
         [] { return std::string(ktls_text(ShardOptions{}.ktls)); }},
    Flag{"--policy", "NAME", "how a cluster picks an endpoint: round_robin", apply_policy,
         [] { return std::string(policy_text(ClusterConfig{}.policy)); }},
    Flag{"--upstream-connections", "N", "connections per shard and endpoint", apply_upstream_connections,
         initial_number<LimitId::kPerShard>},
    Flag{"--shards", "N|auto", "shard threads; auto: one per CPU this process may run on", apply_shards,
         [] { return std::string("auto"); }},
    Flag{"--cpus", "LIST|none", "CPUs to pin the shards to, as 2-7,9; none: not pinned", apply_cpus,
         [] { return std::string("the first ones, one per shard"); }},
    Flag{"--accept", "MODE", "balanced or reuseport",
         [](Setting& s) { s.take(parse_accept(s.value), s.draft.snapshot.shards.accept); },
         [] { return std::string(accept_text(ShardOptions{}.accept)); }},
    Flag{"--busy-poll-us", "N", "spin this long before sleeping; 0: off",
         [](Setting& s) {
           s.take_limited(LimitId::kBusyPoll, s.draft.snapshot.shards.busy_poll_ns, Notation::kMicroseconds);
         },
         initial_number<LimitId::kBusyPoll>},
    Flag{"--min-wait-us", "N", "gather completions this long before waking (Linux 6.12); 0: off",
         [](Setting& s) {
           s.take_limited(LimitId::kMinWait, s.draft.snapshot.shards.min_wait_ns, Notation::kMicroseconds);
         },
         initial_number<LimitId::kMinWait>},
    Flag{"--napi-us", "N", "busy poll the network card's queue; 0: off",
         [](Setting& s) { s.take_limited(LimitId::kNapi, s.draft.snapshot.shards.napi_ns, Notation::kMicroseconds); },
         initial_number<LimitId::kNapi>},
    Flag{"--ring-entries", "N", "submission entries per shard, a power of two",
         [](Setting& s) { s.take_limited(LimitId::kRingEntries, s.draft.snapshot.shards.ring_entries); },
         initial_number<LimitId::kRingEntries>},
    Flag{"--recv-buffers", "N", "receive buffers of 16 KiB per shard, a power of two",
         [](Setting& s) { s.take_limited(LimitId::kRecvBuffers, s.draft.snapshot.shards.recv_buffers); },
         initial_number<LimitId::kRecvBuffers>},
    Flag{"--access-log", "FILE|-|off", "write the access log there; -: standard output",
         [](Setting& s) { s.take(parse_access_log_path(s.value), s.draft.snapshot.access_log.path); },
         [] { return std::string("off"); }},
    Flag{"--access-log-format", "FORMAT", "combined or json",
         [](Setting& s) { s.take(parse_access_log_format(s.value), s.draft.snapshot.access_log.format); },
         [] { return std::string(access_log_format_text(AccessLogOptions{}.format)); }},
    Flag{"--log-level", "LEVEL", "debug, info, warn or error",
         [](Setting& s) { s.take(parse_log_level(s.value), s.draft.snapshot.log_level); },
         [] { return std::string(log_level_text(Snapshot{}.log_level)); }},
    Flag{"--drain-delay", "DURATION", "between saying not ready and closing the listeners",
         [](Setting& s) { s.take_limited(LimitId::kDrainDelay, s.draft.snapshot.drain.delay_ns); },
         initial_number<LimitId::kDrainDelay>},
    Flag{"--drain-timeout", "DURATION", "how long calls may take to finish when stopping",
         [](Setting& s) { s.take_limited(LimitId::kDrainTimeout, s.draft.snapshot.drain.timeout_ns); },
         initial_number<LimitId::kDrainTimeout>},
};

// Flags of the design that this version does not have.
constexpr std::array<std::string_view, 1> kLaterFlags = {"--admin"};

constexpr std::string_view kFooter =
    "Addresses are IP addresses or localhost. Flags win over the file. SIGTERM and SIGINT drain and exit.\n"
    "Exit codes: 0 done, 1 run-time failure, 2 bad flags or configuration.\n"
    "Example: ringway --listen 0.0.0.0:8080 --upstream 127.0.0.1:50051 --upstream 127.0.0.1:50052";

// Options are shown with their placeholder only; CLI11 would add "..." to all of them, since it collects lists.
class HelpFormatter : public CLI::Formatter {
 public:
  std::string make_option_opts(const CLI::Option* option) const override {
    return option->get_type_size() == 0 ? "" : " " + option->get_type_name();
  }
};

bool is_repeatable(std::string_view name) {
  return name == kListen || name == kUpstream;
}

void report_leftovers(const std::vector<std::string>& leftovers, Report& report) {
  bool has_flag = false;
  for (const std::string& word : leftovers) {
    if (word.size() < 2 || word[0] != '-') continue;
    has_flag = true;
    const std::string name = word.substr(0, word.find('='));
    const bool is_later = std::ranges::find(kLaterFlags, name) != kLaterFlags.end();
    report.add({name.substr(0, 80)}, is_later ? "not supported by this version (ringway --help lists the options)"
                                              : "unknown option (ringway --help lists the options)");
  }
  // A word behind an unknown flag is likely that flag's value, and not worth a message of its own.
  if (has_flag || leftovers.empty()) return;
  report.add({}, fmt::format("unexpected argument {} (ringway --help lists the options)", quote(leftovers.front())));
}

struct Switches {
  bool check = false;
  bool print_config = false;
  bool doctor = false;
  bool version = false;
  bool help = false;
  bool print_limits = false;
  bool stats_at_exit = false;
  bool upstream_tls = false;
};

Task task_of(const Switches& switches) {
  if (switches.help) return Task::kHelp;
  if (switches.version) return Task::kVersion;
  if (switches.doctor) return Task::kDoctor;
  if (switches.print_limits) return Task::kPrintLimits;
  if (switches.check) return Task::kCheck;
  return switches.print_config ? Task::kPrintConfig : Task::kRun;
}

// An option takes the next word whatever it is, so that a forgotten value would swallow the next option.
void check_once(std::string_view name, const std::vector<std::string>& values, Report& report) {
  for (const std::string& value : values) {
    if (value.starts_with("--"))
      report.add({std::string(name)}, fmt::format("the value is missing before {}", quote(value)));
  }
  if (values.size() < 2 || is_repeatable(name)) return;
  report.add({std::string(name)},
             fmt::format("given twice, with {} and {}, allowed: once", quote(values[0]), quote(values[1])));
}

// "--name=" would take the next word for its value.
bool has_empty_value(int argc, const char* const* argv, Report& report) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (!word.starts_with("--") || word.find('=') != word.size() - 1) continue;
    report.add({std::string(word.substr(0, word.size() - 1))}, "the value is missing behind '='");
  }
  return !report.is_clean();
}

// What CLI11 itself refuses: an option at the end without its value, and a switch with one that is no boolean.
void report_parse_error(std::string_view message, Report& report) {
  const std::string_view name = message.substr(0, message.find(':'));
  const auto flag = std::ranges::find(kFlags, name, &Flag::name);
  if (flag != kFlags.end()) {
    report.add({std::string(name)}, fmt::format("the value is missing, allowed: {} ({})", flag->value, flag->help));
  } else if (name == kConfig) {
    report.add({std::string(name)}, "the value is missing, allowed: FILE");
  } else {
    report.add({}, fmt::format("{} (ringway --help lists the options)", message));
  }
}

// --upstream stands in for the endpoints of the file's only cluster, or makes the cluster "default" where there is
// none.
void apply_upstreams(const Flags& flags, Draft& draft, Report& report) {
  std::vector<EndpointConfig> endpoints;
  bool is_given = false;
  for (const FlagValue& setting : flags.settings) {
    if (kFlags[setting.flag].name != kUpstream) continue;
    is_given = true;
    auto endpoint = parse_upstream(setting.value);
    if (!endpoint) {
      report.add({std::string(kUpstream)}, endpoint.error());
    } else if (std::ranges::any_of(endpoints, [&](const auto& other) { return other.address == endpoint->address; })) {
      report.add({std::string(kUpstream)},
                 fmt::format("{} is given twice, allowed: each address once, with ,weight=N", quote(setting.value)));
    } else {
      endpoints.push_back(*endpoint);
    }
  }
  if (!is_given) return;
  if (draft.clusters.size() > 1) {
    report.add({std::string(kUpstream)},
               fmt::format("the file has {} clusters, so it is not clear whose endpoints these are, "
                           "allowed: a file with one cluster or none",
                           draft.clusters.size()));
    return;
  }
  if (draft.clusters.empty()) draft.clusters.push_back({initial_cluster("default"), {std::string(kUpstream)}, {}});
  draft.clusters[0].config.endpoints = std::move(endpoints);
}

// --listen stands in for the address of the file's only listener, or makes listeners with one route for everything.
void apply_listens(const Flags& flags, Draft& draft, Report& report) {
  const Place place{std::string(kListen)};
  std::vector<io::Address> addresses;
  bool is_given = false;
  for (const FlagValue& setting : flags.settings) {
    if (kFlags[setting.flag].name != kListen) continue;
    is_given = true;
    if (const auto address = parse_listen_address(setting.value)) {
      addresses.push_back(*address);
    } else {
      report.add(place, address.error());
    }
  }
  if (!is_given) return;
  if (draft.listeners.size() > 1) {
    report.add(place,
               fmt::format("the file has {} listeners, so it is not clear which address this replaces, allowed: a file "
                           "with one listener or none",
                           draft.listeners.size()));
    return;
  }
  ListenerDraft model;
  if (!draft.listeners.empty()) {
    model = draft.listeners[0];
  } else if (draft.clusters.size() == 1) {
    model.routes.push_back({{}, draft.clusters[0].config.name, place});
  } else {
    report.add(place,
               draft.clusters.empty()
                   ? "there is no endpoint to forward to, allowed: with --upstream ADDR, or a file with a cluster"
                   : "the file has several clusters and no routes, allowed: a file with one cluster, or "
                     "a listener with routes");
    return;
  }
  draft.listeners.clear();
  for (const io::Address& address : addresses) {
    ListenerDraft& listener = draft.listeners.emplace_back(model);
    listener.address = address;
    listener.place = place;
  }
}

}  // namespace

Flags parse_flags(int argc, const char* const* argv, Report& report) {
  Flags flags;
  if (has_empty_value(argc, argv, report)) return flags;
  CLI::App app("ringway: a gRPC load-balancing proxy on io_uring", "ringway");
  app.allow_extras();
  app.set_help_flag("");
  app.footer(std::string(kFooter));
  app.formatter(std::make_shared<HelpFormatter>());
  std::vector<std::string> files;
  std::array<std::vector<std::string>, kFlags.size()> values;
  for (size_t i = 0; i < kFlags.size(); ++i) {
    const Flag& flag = kFlags[i];
    std::string help(flag.help);
    if (flag.initial != nullptr) help += fmt::format(" (default: {})", flag.initial());
    app.add_option(std::string(flag.name), values[i], help)
        ->type_name(std::string(flag.value))
        ->allow_extra_args(false);
  }
  app.add_option(std::string(kConfig), files, "configuration file (YAML)")->type_name("FILE")->allow_extra_args(false);
  Switches switches;
  app.add_flag("--upstream-tls", switches.upstream_tls, "speak TLS to the endpoints");
  app.add_flag("--check", switches.check, "check file and flags, print the effective configuration, exit");
  app.add_flag("--print-config", switches.print_config, "the same as --check");
  app.add_flag("--doctor", switches.doctor, "say what this machine offers and lacks; exit 0 if ringway can run");
  app.add_flag("--version", switches.version, "print the version");
  app.add_flag("-h,--help", switches.help, "print this");
  app.add_flag("--stats-at-exit", switches.stats_at_exit,
               "print the counters as one JSON line when the drain has ended");
  app.add_flag("--print-limits", switches.print_limits, "print docs/limits.md")->group("");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    report_parse_error(error.what(), report);
    return flags;
  }
  flags.task = task_of(switches);
  flags.stats_at_exit = switches.stats_at_exit;
  flags.upstream_tls = switches.upstream_tls;
  if (switches.help) flags.help = app.help();
  report_leftovers(app.remaining(), report);
  check_once(kConfig, files, report);
  if (!files.empty()) flags.file = files[0];
  for (size_t i = 0; i < kFlags.size(); ++i) {
    check_once(kFlags[i].name, values[i], report);
    for (std::string& value : values[i]) flags.settings.push_back({i, std::move(value)});
  }
  return flags;
}

void apply_flags(const Flags& flags, Draft& draft, Report& report) {
  draft.snapshot.stats_at_exit = flags.stats_at_exit;
  const size_t listener_count = draft.listeners.size();
  apply_upstreams(flags, draft, report);
  apply_listens(flags, draft, report);
  TlsFlags tls;
  tls.has_upstream = flags.upstream_tls;
  for (const FlagValue& given : flags.settings) {
    const Flag& flag = kFlags[given.flag];
    if (flag.apply == nullptr) continue;
    Setting setting{flag.name, given.value, draft, tls, {}};
    flag.apply(setting);
    if (!setting.error.empty()) report.add({std::string(flag.name)}, setting.error);
  }
  apply_tls_flags(tls, listener_count, draft, report);
}

}  // namespace ringway::config
