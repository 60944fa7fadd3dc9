// Many HTTP/2 connections that do nothing, in cleartext or TLS: each has sent its preface, received the server's
// SETTINGS and acknowledged them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tls/library_stream.h"

namespace ringway::bench {

class IdleConnections {
 public:
  using Trust = tls::CredentialsRef<tls::ClientCredentials>;

  // Opens `count` connections to `address` (HOST:PORT), in TLS with what is in `trust`; throws Failure when one is
  // refused, closed or not answered.
  IdleConnections(const std::string& address, uint32_t count, Trust trust = {});
  IdleConnections(const IdleConnections&) = delete;
  IdleConnections& operator=(const IdleConnections&) = delete;
  ~IdleConnections();

  // How many the server has not closed meanwhile.
  uint32_t open_count() const;

 private:
  struct Connection {
    int fd = -1;
    bool has_settings = false;
    std::string input;  // of a frame that is not complete
    std::unique_ptr<tls::LibraryStream> stream;
  };

  void open_batch(const std::string& address, uint32_t count);
  void await_settings(size_t first);
  void read_frames(Connection& connection);
  void take_records(Connection& connection, std::span<const char> bytes);
  static void send_frames(Connection& connection, std::string_view frames);

  Trust trust_;

  std::vector<Connection> connections_;
};

}  // namespace ringway::bench
