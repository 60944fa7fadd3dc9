// A whole nghttp2 session as the other end: it sends what it is told and collects what it receives.
#pragma once

#include <nghttp2/nghttp2.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "h2/connection.h"
#include "hpack_oracle.h"

namespace ringway::h2 {

class Nghttp2Peer {
 public:
  struct Message {
    PlainList headers;  // the final ones
    PlainList trailers;
    std::string body;
    uint32_t informational_count = 0;
    bool has_headers = false;
    bool has_ended = false;
    bool is_closed = false;
    uint32_t close_code = 0;
  };

  struct Options {
    std::vector<nghttp2_settings_entry> settings;
    bool returns_credit = true;   // else only consume() does
    uint32_t padding = 0;         // at most, on HEADERS and DATA
    uint32_t frame_size_max = 0;  // of DATA, 0: nghttp2's own
  };

  explicit Nghttp2Peer(Role role, const Options& options);
  Nghttp2Peer(const Nghttp2Peer&) = delete;
  ~Nghttp2Peer();

  nghttp2_session* session() { return session_; }
  // False when nghttp2 calls the bytes a connection error.
  bool receive(std::string_view bytes);
  std::string take_output();

  int32_t send_request(const PlainList& headers, std::string body, bool has_body, const PlainList& trailers = {});
  void send_response(int32_t id, const PlainList& headers, std::string body, const PlainList& trailers = {});
  void send_settings(const std::vector<nghttp2_settings_entry>& entries);

  std::map<int32_t, Message> messages;
  uint32_t goaway_count = 0;
  int32_t goaway_last_id = 0;
  uint32_t goaway_code = 0;
  std::string goaway_text;
  uint32_t ping_ack_count = 0;
  // What nghttp2 found wrong with our frames, beyond what ends the session.
  std::vector<std::string> complaints;

 private:
  struct Outgoing {
    Nghttp2Peer* peer;
    std::string body;
    size_t sent = 0;
    PlainList trailers;
  };
  struct Callbacks;

  int32_t submit(int32_t id, const PlainList& headers, std::string body, bool has_body, const PlainList& trailers);

  nghttp2_session* session_ = nullptr;
  Options options_;
  bool is_server_;
  std::map<int32_t, std::unique_ptr<Outgoing>> outgoing_;
};

}  // namespace ringway::h2
