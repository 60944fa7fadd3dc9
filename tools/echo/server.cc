#include "server.h"

namespace ringway::echo {

std::expected<void, std::string> Server::run(int listening_fd, int stop_fd) {
  auto loop = session::Loop::create(*this, {});
  if (!loop) return std::unexpected(loop.error());
  loop_ = std::move(*loop);
  loop_->listen(listening_fd);
  loop_->watch_stop(stop_fd);
  loop_->run();
  return {};
}

std::unique_ptr<session::Connection> Server::accepted() {
  auto connection = std::make_unique<EchoConnection>(memory_, streams_, failures_, options_.concurrent_streams_max);
  if (options_.tls) connection->secure(tls::LibraryStream::accept(options_.tls.credentials, options_.tls.rules));
  return connection;
}

void Server::timer_due(base::Timer& timer) {
  if (&timer == &drain_limit_) {
    loop_->finish();
    return;
  }
  Stream& stream = static_cast<Stream&>(timer);
  stream.connection->delay_passed(stream);
}

void Server::stop_wanted() {
  if (is_draining_) return;
  is_draining_ = true;
  loop_->stop_listening();
  loop_->for_each_connection([](session::Connection& connection) { static_cast<EchoConnection&>(connection).drain(); });
  loop_->timers().arm(drain_limit_, loop_->now_ns() + options_.drain_ns);
  loop_->finish_when_empty();
}

}  // namespace ringway::echo
