// ringway-relay: a raw 1:1 TCP relay, the floor that a proxy hop is measured against.
#include <fmt/format.h>

#include <cstdio>

#include "command_line.h"
#include "relay.h"

using namespace ringway;

int main(int argc, char** argv) {
  io::Address listen;
  io::Address upstream;
  uint64_t buffers = 64;
  // Large buffers halve the turns of bulk streams; small messages touch only the first page of each.
  uint64_t buffer_bytes = 64 * 1024;
  CLI::App app("Relays each accepted TCP connection to one upstream connection, byte for byte, on io_uring.",
               "ringway-relay");
  tools::add_address(app, "--listen", listen, "address to accept on; port 0 asks for a free one")->required();
  tools::add_address(app, "--upstream", upstream, "address that each connection is relayed to")->required();
  tools::add_number(app, "--recv-buffers", buffers, 8, 32768, "receive buffers, rounded up to a power of two (64)");
  tools::add_number(app, "--recv-buffer-bytes", buffer_bytes, 512, 1 << 20, "size of each of them (65536)");
  if (const auto done = tools::parse_command_line(app, argc, argv)) return *done;

  const io::Fd stop = tools::stop_signal();
  tools::raise_descriptor_limit();
  auto listener = io::listen_socket(listen, {});
  if (!listener) {
    std::fputs(
        fmt::format("ringway-relay: cannot listen on {}: {}\n", listen.text(), describe(listener.error())).c_str(),
        stderr);
    return tools::kExitFailure;
  }
  auto relay = relay::Relay::create({.upstream = upstream,
                                     .buffer_count = static_cast<uint32_t>(buffers),
                                     .buffer_bytes = static_cast<uint32_t>(buffer_bytes)});
  if (!relay) {
    std::fputs(fmt::format("ringway-relay: {}\n", relay.error()).c_str(), stderr);
    return tools::kExitFailure;
  }
  std::fputs(fmt::format("ringway-relay ready: listening on {}\n", io::local_address(*listener).text()).c_str(),
             stderr);
  (*relay)->run(*listener, stop);
  return tools::kExitDone;
}
