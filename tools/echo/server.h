// One thread of the echo origin: a loop, its listening socket, its connections.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <string>

#include "echo_connection.h"
#include "loop.h"
#include "tls_options.h"

namespace ringway::echo {

struct ServerOptions {
  uint32_t concurrent_streams_max;
  uint64_t drain_ns;  // after the stop signal, streams may take this long to finish
  tools::ServerTls tls;
};

class Server : public session::LoopOwner {
 public:
  Server(const ServerOptions& options, FailureLog& failures) : options_(options), failures_(failures) {}

  // On the thread that calls; returns after the stop signal and the drain. The error is a sentence for the operator.
  std::expected<void, std::string> run(int listening_fd, int stop_fd);

 private:
  std::unique_ptr<session::Connection> accepted() override;
  void timer_due(base::Timer& timer) override;
  void stop_wanted() override;

  const ServerOptions& options_;
  FailureLog& failures_;
  session::MemoryPool memory_;
  StreamPool streams_;
  base::Timer drain_limit_;
  bool is_draining_ = false;
  // Last, so that connections are gone before the memory and the streams they hold.
  std::unique_ptr<session::Loop> loop_;
};

}  // namespace ringway::echo
