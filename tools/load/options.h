// The load generator's command line, validated, and what every worker shares because of it.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/units.h"
#include "http2_connection.h"
#include "io/address.h"
#include "tls_options.h"

namespace ringway::load {

struct Options {
  io::Address target;
  std::string path;
  uint64_t connections = 1;
  uint64_t streams = 1;  // calls in flight per connection
  uint64_t threads = 1;
  uint64_t requests = 0;     // 0: by duration
  uint64_t duration_ns = 0;  // 0: by requests
  uint64_t rate = 0;         // calls a second over all connections; 0: closed loop
  uint64_t warmup_ns = 0;
  uint64_t message_bytes = 32;
  uint64_t paths = 1;
  uint64_t stream_messages = 1;
  uint64_t seed = 1;
  bool varies_metadata = false;
  bool is_pipelined = false;
  bool wants_json = false;
  // Connections are what is measured and counted: each is closed and followed by the next.
  bool is_of_handshakes = false;
  bool makes_call = false;  // one on each of them
  bool resumes = false;     // the session of the one before
  session::WindowOptions windows;
  tools::ClientTls tls;
  std::vector<std::pair<std::string, std::string>> headers;
};

// The options, or the exit code where the program is done already.
std::variant<Options, int> read_options(int argc, char** argv);

}  // namespace ringway::load
