// The endpoints' side: hosts that take, refuse or ignore connections, and what they do with the calls on them.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "call.h"
#include "peer.h"

namespace ringway::sim {

class Backend : public Peer {
 public:
  explicit Backend(World& world) : Peer(world, true) {}

  // Takes no new calls, finishes the others; with `disowns` also those that it has not begun to answer are given back.
  void go_away(bool disowns);

 private:
  struct Attempt {
    Call* call = nullptr;
    size_t received = 0;
    size_t sent = 0;
    size_t sendable = 0;
    bool has_begun = false;
    bool has_request_end = false;
    bool is_refused = false;
    bool is_answering = false;
  };

  void on_stream_begin(int32_t stream) override;
  void on_end_sent(int32_t stream) override;
  void on_field(int32_t stream, std::string_view name, std::string_view value) override;
  void on_headers_end(int32_t stream) override;
  void on_octets(int32_t stream, std::string_view octets) override;
  void on_body_end(int32_t stream) override;
  void on_stream_end(int32_t stream, uint32_t code) override;
  std::string_view read_body(int32_t stream, size_t size_max, bool& is_over, Fields& trailers) override;
  void on_gone() override { attempts_.clear(); }

  Attempt* find(int32_t stream);
  void answer_later(int32_t stream, uint64_t delay_ns);
  void answer(int32_t stream, Attempt& attempt);
  void send_later(int32_t stream);
  void reset(int32_t stream, uint32_t code);

  std::map<int32_t, Attempt> attempts_;
  int32_t answered_max_ = 0;  // the highest stream that it has answered or refused
};

}  // namespace ringway::sim
