// ringway-echo: a gRPC origin that answers every call with its own bytes, and misbehaves when metadata asks it to.
#include <fmt/format.h>

#include <cstdio>
#include <thread>
#include <vector>

#include "base/units.h"
#include "command_line.h"
#include "server.h"

using namespace ringway;

namespace {

constexpr const char* kDescription =
    "A gRPC origin: every message of a call comes back as it arrives, on any path, for unary and all streaming kinds.\n"
    "Response headers are sent at the first DATA frame or the end of the request, trailers (grpc-status 0) after the "
    "request's end.\n"
    "grpc.health.v1.Health/Check and Watch answer SERVING.\n"
    "With --tls-cert and --tls-key it speaks TLS 1.2 and 1.3, with BoringSSL's own records.";

constexpr const char* kMetadata =
    R"(Request metadata asks for faults; all but the echoed headers act at the first DATA frame or the end of the request:
  x-echo-delay-ms: N        waits before the answer (or reset) begins
  x-echo-status: N          the answer's grpc-status
  x-echo-message: TEXT      the answer's grpc-message (percent-encoded by the caller)
  x-echo-trailers-only: 1   answers with HEADERS alone; RST_STREAM(NO_ERROR) follows if the request has not ended
  x-echo-reset-code: N      RST_STREAM with this error code, before any response HEADERS
  x-echo-response-bytes: N  answers one message of N zero bytes instead of the echo
  x-echo-headers: 1         returns each x-*, *-bin, te, grpc-timeout and user-agent field of the request as the
                            response header echo-NAME
SIGTERM, SIGINT: GOAWAY, calls finish, exit 0.)";

// One listening socket a thread; the kernel spreads connections over them. All have the port of the first.
std::expected<std::vector<io::Fd>, std::string> listen_all(const io::Address& wanted, size_t count) {
  std::vector<io::Fd> sockets;
  io::Address address = wanted;
  for (size_t i = 0; i < count; ++i) {
    if (address.is_unix() && i != 0) {
      // A unix path has one socket; every thread accepts from it.
      sockets.emplace_back(dup(sockets.front().get()));
      continue;
    }
    auto socket = io::listen_socket(address, {.reuse_port = count > 1});
    if (!socket)
      return std::unexpected(fmt::format("cannot listen on {}: {}", address.text(), describe(socket.error())));
    address = io::local_address(*socket);
    sockets.push_back(std::move(*socket));
  }
  return sockets;
}

}  // namespace

int main(int argc, char** argv) {
  io::Address listen;
  uint64_t thread_count = 1;
  uint64_t stream_count = 65535;
  uint64_t drain_ns = 10 * base::kSecond_ns;
  tools::ServerTlsOptions tls_options;
  CLI::App app(kDescription, "ringway-echo");
  app.footer(kMetadata);
  tools::add_address(app, "--listen", listen, "address to listen on; port 0 asks for a free one")->required();
  tools::add_number(app, "--threads", thread_count, 1, 256, "threads, each with its own ring (1)");
  tools::add_number(app, "--max-streams", stream_count, 1, INT32_MAX, "SETTINGS_MAX_CONCURRENT_STREAMS (65535)");
  tools::add_duration(app, "--drain-timeout", drain_ns, "what a call may take to finish after SIGTERM (10s)");
  tools::add_server_tls(app, tls_options);
  if (const auto done = tools::parse_command_line(app, argc, argv)) return *done;
  auto tls = tools::load(tls_options);
  if (!tls) {
    std::fputs(fmt::format("ringway-echo: {}\n", tls.error()).c_str(), stderr);
    return tools::kExitBadFlags;
  }

  const io::Fd stop = tools::stop_signal();
  tools::raise_descriptor_limit();
  auto sockets = listen_all(listen, thread_count);
  if (!sockets) {
    std::fputs(fmt::format("ringway-echo: {}\n", sockets.error()).c_str(), stderr);
    return tools::kExitFailure;
  }
  if (auto usable = io::can_make_ring(); !usable) {
    std::fputs(fmt::format("ringway-echo: {}\n", usable.error()).c_str(), stderr);
    return tools::kExitFailure;
  }
  const echo::ServerOptions options{
      .concurrent_streams_max = static_cast<uint32_t>(stream_count), .drain_ns = drain_ns, .tls = std::move(*tls)};
  echo::FailureLog failures;
  std::fputs(fmt::format("ringway-echo ready: listening on {}, {} threads\n",
                         io::local_address(sockets->front()).text(), thread_count)
                 .c_str(),
             stderr);
  std::vector<std::thread> threads;
  for (const io::Fd& socket : *sockets) {
    threads.emplace_back([&options, &failures, &stop, fd = socket.get()] {
      echo::Server server(options, failures);
      if (auto result = server.run(fd, stop.get()); !result) {
        std::fputs(fmt::format("ringway-echo: {}\n", result.error()).c_str(), stderr);
        std::_Exit(tools::kExitFailure);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return tools::kExitDone;
}
