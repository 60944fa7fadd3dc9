// Many HTTP/2 connections that do nothing: each has sent its preface, received the server's SETTINGS and acknowledged
// them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ringway::bench {

class IdleConnections {
 public:
  // Opens `count` connections to `address` (HOST:PORT); throws Failure when one is refused, closed or not answered.
  IdleConnections(const std::string& address, uint32_t count);
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
  };

  void open_batch(const std::string& address, uint32_t count);
  void await_settings(size_t first);
  void read_frames(Connection& connection);

  std::vector<Connection> connections_;
};

}  // namespace ringway::bench
