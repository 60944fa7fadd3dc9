// One thread of the load generator where it measures handshakes: connections that are made, used for one call or none,
// and closed, each of them followed by the next.
//
//   kPriming --every seat has a session--> kRunning --nothing more to start--> kDraining --none open--> done
//
// Without --resume there is nothing to prime. A connection is made when the target's SETTINGS are there (in cleartext:
// when it stands): by then the target has done all of its part.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <vector>

#include "base/timer_wheel.h"
#include "client_connection.h"
#include "loop.h"
#include "options.h"
#include "result.h"

namespace ringway::load {

class HandshakeWorker : public session::LoopOwner, public CallOwner {
 public:
  HandshakeWorker(const Options& options, const CallShape& shape, const Share& share);

  // On its thread, once. The error is a sentence for the operator.
  std::expected<void, std::string> run(int stop_fd);
  const Result& result() const noexcept { return result_; }

 private:
  enum class Phase : uint8_t { kPriming, kRunning, kDraining };

  // One connection at a time.
  struct Seat {
    Call call;
    tls::Session session;  // of the connection before
    uint64_t started_ns = 0;
    uint32_t failures = 0;  // in a row
    bool is_recorded = false;
    bool is_open = false;
    bool is_made = false;  // and now only to be closed
  };

  void timer_due(base::Timer& timer) override;
  void turn_ending() override;
  uint64_t next_wanted_ns() override;
  void stop_wanted() override;
  void connection_ready(ClientConnection& connection) override;
  void connection_leaving(ClientConnection&) override {}
  void connection_closed(ClientConnection& connection, io::Error error) override;
  void call_finished(Call& call, Outcome outcome, uint32_t reset_code) override;

  bool may_start() const noexcept;
  void open(uint32_t number);
  void made(Seat& seat, ClientConnection& connection, const std::string& failure);
  void begin_run();
  void note_time();
  void finish();
  void fail(const std::string& kind) { ++result_.errors[kind]; }

  const Options& options_;
  const CallShape& shape_;
  Share share_;
  Result result_;
  std::vector<Seat> seats_;
  std::vector<uint32_t> idle_;  // seats to be opened at the end of the turn
  Phase phase_ = Phase::kRunning;
  uint32_t open_count_ = 0;
  uint64_t recorded_starts_ = 0;
  RecordedTime time_;
  uint64_t last_progress_ns_ = 0;
  base::Timer stall_check_;
  session::MemoryPool memory_;
  // Last, so that connections are gone before the memory of their sessions.
  std::unique_ptr<session::Loop> loop_;
};

}  // namespace ringway::load
