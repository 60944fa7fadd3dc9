#include "options.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "command_line.h"

namespace ringway::load {
namespace {

constexpr const char* kDescription =
    "Makes gRPC calls and measures them. Closed loop: each connection keeps --streams calls in flight. Open loop "
    "(--rate): calls\nstart on a schedule, at most connections x streams in flight; one that has to wait keeps its "
    "intended start, so that a slow\ntarget cannot hide its latency.";
constexpr const char* kNotes =
    R"(Latencies are those of calls that ended with grpc-status 0; every other end is counted by kind under errors. In JSON
"latency_us" counts from the intended start, "latency_from_send_us" from when the call was handed to its connection.
Exit: 0 without errors, 1 with errors or without a connection, 2 bad flags.)";

// The largest header block that fits one frame of the default size.
constexpr size_t kHeaders_bytes_max = 8 * 1024;

bool is_token(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
  });
}

void add_header(CLI::App& app, std::vector<std::pair<std::string, std::string>>& headers) {
  app.add_option_function<std::vector<std::string>>(
         "--header",
         [&headers](const std::vector<std::string>& texts) {
           size_t size = 0;
           for (const std::string& text : texts) {
             const size_t colon = text.find(':');
             const std::string name = text.substr(0, colon);
             if (colon == std::string::npos || !is_token(name)) {
               throw CLI::ValidationError("--header",
                                          fmt::format("'{}' is not a lower-case name, a colon and a value", text));
             }
             size_t start = text.find_first_not_of(' ', colon + 1);
             if (start == std::string::npos) start = text.size();
             headers.emplace_back(name, text.substr(start));
             size += text.size() + 32;
           }
           if (size > kHeaders_bytes_max) {
             throw CLI::ValidationError("--header",
                                        fmt::format("'{}...' and the others are {} bytes, at most {} are allowed",
                                                    texts.front().substr(0, 20), size, kHeaders_bytes_max));
           }
         },
         "a request header, may be repeated")
      ->type_name("NAME:VALUE")
      ->take_all();
}

void add_path(CLI::App& app, std::string& path) {
  app.add_option_function<std::string>(
         "--path",
         [&path](const std::string& text) {
           const size_t slash = text.find('/', 1);
           if (text.front() != '/' || slash == std::string::npos || slash == 1 || slash + 1 == text.size()) {
             throw CLI::ValidationError("--path", fmt::format("'{}' is not of the form /pkg.Service/Method", text));
           }
           path = text;
         },
         "the method to call; required, but with --handshakes alone")
      ->type_name("/PKG.SERVICE/METHOD");
}

void add_volume_options(CLI::App& app, Options& options) {
  tools::add_number(app, "--connections", options.connections, 1, 25'000, "connections, over all threads (1)");
  tools::add_number(app, "--streams", options.streams, 1, 10'000, "calls in flight per connection, at most (1)");
  tools::add_number(app, "--threads", options.threads, 1, 256, "threads, each with its own ring and connections (1)");
  auto* requests =
      tools::add_number(app, "--requests", options.requests, 1, 10'000'000'000, "calls to make after the warm-up");
  tools::add_duration(app, "--duration", options.duration_ns, "time to make calls for after the warm-up")
      ->excludes(requests);
  tools::add_number(app, "--rate", options.rate, 1, 10'000'000, "open loop: calls a second, over all connections");
  tools::add_duration(app, "--warmup", options.warmup_ns, "calls intended to start in it are not recorded (0s)");
}

void add_call_options(CLI::App& app, Options& options, uint64_t& connection_window, uint64_t& stream_window) {
  tools::add_number(app, "--message-bytes", options.message_bytes, 0, 64 * base::kMiB, "payload of each message (32)");
  tools::add_number(app, "--paths", options.paths, 1, 10'000,
                    "request paths in turn: a number is added to --path (1: none)");
  tools::add_number(app, "--stream-messages", options.stream_messages, 1, 1'000'000'000,
                    "messages per call, each sent when the echo of the one before came (1)");
  app.add_flag("--pipelined", options.is_pipelined, "sends a call's messages without waiting for their echoes");
  app.add_flag("--vary-metadata", options.varies_metadata,
               "gives each call its own grpc-timeout, traceparent and authorization, inserted into the dynamic table");
  add_header(app, options.headers);
  tools::add_number(app, "--connection-window", connection_window, 65'535, INT32_MAX, "receive window (16777216)");
  tools::add_number(app, "--stream-window", stream_window, 0, INT32_MAX, "receive window (1048576)");
  tools::add_number(app, "--seed", options.seed, 0, UINT64_MAX, "seed of the varying metadata (1)");
  app.add_flag("--json", options.wants_json, "prints one JSON object instead of the table");
}

void add_handshake_options(CLI::App& app, Options& options) {
  auto* handshakes = app.add_flag(
      "--handshakes", options.is_of_handshakes,
      "measures connections: each is closed when it stands, and followed by the next; --connections of them "
      "are in progress at a time, --requests, --duration and --warmup count them");
  app.add_flag("--call-each", options.makes_call, "makes one call on each of them, and counts its time in")
      ->needs(handshakes);
  app.add_flag("--resume", options.resumes,
               "resumes with each of them the TLS session of the one before; one that is not resumed is an error")
      ->needs(handshakes);
}

// What no single option can judge. The sentence, or nothing.
std::string contradiction(const Options& options, const tools::ClientTlsOptions& tls) {
  if (options.path.empty() && (!options.is_of_handshakes || options.makes_call)) return "--path is required";
  if (options.resumes && !tls.is_on) return "--resume: needs --upstream-tls, sessions are those of TLS";
  if (options.is_of_handshakes && (options.streams != 1 || options.rate != 0)) {
    return fmt::format("--{}: not with --handshakes, where each of --connections makes the next when it is done",
                       options.rate != 0 ? "rate" : "streams");
  }
  if (options.requests == 0 && options.duration_ns == 0) return "one of --requests and --duration above 0s is required";
  if (options.threads > options.connections) {
    return fmt::format("--threads: {} is more than --connections ({}), and a connection belongs to one thread",
                       options.threads, options.connections);
  }
  if (options.requests != 0 && options.requests < options.threads) {
    return fmt::format("--requests: {} is less than --threads ({})", options.requests, options.threads);
  }
  return {};
}

}  // namespace

std::variant<Options, int> read_options(int argc, char** argv) {
  Options options;
  tools::ClientTlsOptions tls_options;
  uint64_t connection_window = session::kConnectionWindow_bytes;
  uint64_t stream_window = session::kStreamWindow_bytes;
  CLI::App app(kDescription, "ringway-load");
  app.footer(kNotes);
  tools::add_address(app, "--target", options.target, "address to connect to")->required();
  add_path(app, options.path);
  add_volume_options(app, options);
  add_call_options(app, options, connection_window, stream_window);
  add_handshake_options(app, options);
  tools::add_client_tls(app, tls_options);
  if (const auto done = tools::parse_command_line(app, argc, argv)) return *done;
  if (const std::string sentence = contradiction(options, tls_options); !sentence.empty()) {
    std::fputs(fmt::format("ringway-load: {} (see --help)\n", sentence).c_str(), stderr);
    return tools::kExitBadFlags;
  }
  auto tls = tools::load(tls_options);
  if (!tls) {
    std::fputs(fmt::format("ringway-load: {}\n", tls.error()).c_str(), stderr);
    return tools::kExitBadFlags;
  }
  options.tls = std::move(*tls);
  options.windows = {static_cast<uint32_t>(connection_window), static_cast<uint32_t>(stream_window)};
  return options;
}

}  // namespace ringway::load
