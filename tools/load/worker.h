// One thread of the load generator: its connections, the schedule of its calls, and what it measures.
//
//   kConnecting --all connected, or given up--> kRunning --nothing more to start--> kDraining --no call left--> done
#pragma once

#include <cstdint>
#include <deque>
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

class Worker : public session::LoopOwner, public CallOwner {
 public:
  Worker(const Options& options, const CallShape& shape, const Share& share);

  // On its thread, once. The error is a sentence for the operator.
  std::expected<void, std::string> run(int stop_fd);
  const Result& result() const noexcept { return result_; }

 private:
  enum class Phase : uint8_t { kConnecting, kRunning, kDraining };

  // A connection's place: the connection changes when it is lost, its call slots stay. Its timer reconnects.
  struct Seat : base::Timer {
    uint32_t number = 0;
    std::vector<Call> calls;
    ClientConnection* connection = nullptr;
    uint32_t failures = 0;    // attempts in a row that failed
    bool is_settled = false;  // has been connected, or was given up
    bool is_given_up = false;
  };

  void timer_due(base::Timer& timer) override;
  void turn_ending() override;
  uint64_t next_wanted_ns() override;
  void stop_wanted() override;
  void connection_ready(ClientConnection& connection) override;
  void connection_leaving(ClientConnection& connection) override;
  void connection_closed(ClientConnection& connection, io::Error error) override;
  void call_finished(Call& call, Outcome outcome, uint32_t reset_code) override;

  void open(Seat& seat);
  void connect_failed(Seat& seat, const std::string& reason);
  void begin_run();
  void start_due_calls();
  void start_call(uint64_t intended_ns);
  bool may_start(uint64_t intended_ns) const noexcept;
  uint64_t intended_ns(uint64_t number) const noexcept;
  void note_time();
  void count_unstarted();
  void finish();
  void abandon_calls();
  void park(Seat& seat);
  void record(Call& call, Outcome outcome, uint32_t reset_code);
  void fail(const std::string& kind, uint64_t count = 1) { result_.errors[kind] += count; }

  const Options& options_;
  const CallShape& shape_;
  Share share_;
  Result result_;
  std::vector<std::unique_ptr<Seat>> seats_;
  std::deque<Call*> ready_;  // free slots of connections that take calls
  Phase phase_ = Phase::kConnecting;
  uint32_t unsettled_seats_ = 0;
  uint32_t given_up_seats_ = 0;
  uint64_t in_flight_count_ = 0;
  uint64_t schedule_ns_ = 0;  // when call 0 of the open loop is intended
  RecordedTime time_;
  uint64_t next_number_ = 0;  // of the schedule
  uint64_t recorded_starts_ = 0;
  uint64_t slots_free_ns_ = 0;  // since when a free slot has been there, in the open loop
  bool had_slot_ = true;
  uint32_t next_path_ = 0;
  uint64_t last_progress_ns_ = 0;
  base::Timer stall_check_;
  session::MemoryPool memory_;
  // Last, so that connections are gone before the memory of their sessions.
  std::unique_ptr<session::Loop> loop_;
};

}  // namespace ringway::load
