// A client: calls on one connection, and the judgement of what comes of each.
#pragma once

#include <cstdint>
#include <map>

#include "call.h"
#include "peer.h"

namespace ringway::sim {

class Client : public Peer {
 public:
  explicit Client(World& world);

  void begin(Call& call);
  void cancel(Call& call, int32_t stream);
  bool takes_calls() const;
  size_t open_calls() const { return calls_.size(); }
  // For the report of calls that do not end.
  const std::map<int32_t, Call*>& calls() const { return calls_; }

 private:
  void on_headers_sent(int32_t stream) override;
  void on_field(int32_t stream, std::string_view name, std::string_view value) override;
  void on_headers_end(int32_t stream) override;
  void on_octets(int32_t stream, std::string_view octets) override;
  void on_body_end(int32_t stream) override;
  void on_stream_end(int32_t stream, uint32_t code) override;
  std::string_view read_body(int32_t stream, size_t size_max, bool& is_over, Fields& trailers) override;
  void on_gone() override;

  Call* call_of(int32_t stream);
  Fields request_fields(const Call& call);
  void send_later(Call& call, int32_t stream);
  void finish(Call& call, Outcome outcome);
  void judge_time(const Call& call) const;
  void judge_complete(const Call& call) const;
  void judge_reset(const Call& call, uint32_t code) const;
  bool may_have_large_list(const Call& call) const;
  bool is_refused_for_good(const Call& call) const;
  bool may_fail(const Call& call) const;

  std::map<int32_t, Call*> calls_;
  uint64_t hoarding_ns_ = 0;  // how long it keeps the credit of the connection
};

}  // namespace ringway::sim
