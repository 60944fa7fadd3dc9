#include "worker.h"

#include <fmt/format.h>

#include <algorithm>

namespace ringway::load {
namespace {

constexpr uint64_t kReconnect_ns = 100 * base::kMillisecond_ns;
// A target that comes back within five seconds is found again.
constexpr uint32_t kReconnects_max = 50;
// Calls that show no byte for this long will not end: they are counted and the run ends.
constexpr uint64_t kStall_ns = 10 * base::kSecond_ns;

}  // namespace

Worker::Worker(const Options& options, const CallShape& shape, const Share& share)
    : options_(options), shape_(shape), share_(share) {
  for (uint32_t i = 0; i < share.connections; ++i) {
    seats_.push_back(std::make_unique<Seat>());
    seats_.back()->number = i;
    seats_.back()->calls.resize(options.streams);
    for (Call& call : seats_.back()->calls) call.seat = i;
  }
  unsettled_seats_ = share.connections;
  next_path_ = static_cast<uint32_t>(share.index % options.paths);
}

std::expected<void, std::string> Worker::run(int stop_fd) {
  auto loop = session::Loop::create(*this, {});
  if (!loop) return std::unexpected(loop.error());
  loop_ = std::move(*loop);
  loop_->watch_stop(stop_fd);
  for (auto& seat : seats_) open(*seat);
  last_progress_ns_ = loop_->now_ns();
  loop_->timers().arm(stall_check_, loop_->now_ns() + base::kSecond_ns);
  loop_->run();
  loop_->for_each_connection([this](session::Connection& connection) {
    result_.sent_bytes += connection.sent_bytes();
    result_.received_bytes += connection.received_bytes();
  });
  result_.enter_count = loop_->ring_counters().enters;
  return {};
}

void Worker::open(Seat& seat) {
  const uint64_t seed = options_.seed + share_.index * 1'000'003 + seat.number * 7919 + seat.failures;
  auto connection = std::make_unique<ClientConnection>(*this, memory_, shape_, seat.number, seed);
  if (options_.tls) {
    connection->secure(
        tls::LibraryStream::connect(options_.tls.credentials, options_.target.host_text(), {}, options_.tls.rules));
  }
  if (auto opened = loop_->connect(options_.target, std::move(connection)); !opened)
    connect_failed(seat, std::string(io::describe(opened.error())));
}

void Worker::connect_failed(Seat& seat, const std::string& reason) {
  fail(fmt::format("connect: {}", reason));
  ++seat.failures;
  // At the start a target that is not there is the answer; later it may be restarting.
  if (phase_ == Phase::kConnecting || seat.failures > kReconnects_max) {
    seat.is_given_up = true;
    ++given_up_seats_;
  } else {
    loop_->timers().arm(seat, loop_->now_ns() + kReconnect_ns);
  }
  if (!seat.is_settled) {
    seat.is_settled = true;
    --unsettled_seats_;
  }
}

void Worker::connection_ready(ClientConnection& connection) {
  Seat& seat = *seats_[connection.seat()];
  seat.connection = &connection;
  seat.failures = 0;
  result_.handshakes.add(connection);
  if (!seat.is_settled) {
    seat.is_settled = true;
    --unsettled_seats_;
  }
  // Before the run begin_run() mixes the slots of all connections.
  if (phase_ == Phase::kConnecting) return;
  for (Call& call : seat.calls) ready_.push_back(&call);
}

void Worker::connection_leaving(ClientConnection& connection) {
  park(*seats_[connection.seat()]);
}

void Worker::park(Seat& seat) {
  const Call* first = seat.calls.data();
  std::erase_if(ready_,
                [first, last = first + seat.calls.size()](const Call* call) { return call >= first && call < last; });
}

void Worker::connection_closed(ClientConnection& connection, io::Error error) {
  Seat& seat = *seats_[connection.seat()];
  result_.sent_bytes += connection.sent_bytes();
  result_.received_bytes += connection.received_bytes();
  if (seat.connection != &connection) {
    connect_failed(seat, connection.describe_end(error));
    return;
  }
  park(seat);
  for (Call& call : seat.calls) {
    if (call.id != 0) call_finished(call, Outcome::kConnectionLost, 0);
  }
  // call_finished() gave the slots back.
  park(seat);
  seat.connection = nullptr;
  if (!connection.is_leaving()) fail(fmt::format("connection lost: {}", connection.describe_end(error)));
  if (phase_ != Phase::kDraining) open(seat);
}

void Worker::timer_due(base::Timer& timer) {
  if (&timer != &stall_check_) {
    if (phase_ != Phase::kDraining) open(static_cast<Seat&>(timer));
    return;
  }
  loop_->timers().arm(stall_check_, loop_->now_ns() + base::kSecond_ns);
  if (loop_->now_ns() - last_progress_ns_ < kStall_ns) return;
  const bool is_waiting = phase_ == Phase::kConnecting || in_flight_count_ != 0;
  if (!is_waiting || (phase_ == Phase::kRunning && time_.end_ns != base::kNever_ns)) return;
  if (phase_ == Phase::kConnecting) fail("connect: timed out", unsettled_seats_);
  finish();
}

void Worker::begin_run() {
  phase_ = Phase::kRunning;
  // Slots alternate between connections, so that few calls in flight still use all of them.
  for (uint64_t slot = 0; slot < options_.streams; ++slot) {
    for (auto& seat : seats_) {
      if (seat->connection != nullptr && !seat->connection->is_leaving()) ready_.push_back(&seat->calls[slot]);
    }
  }
  schedule_ns_ = loop_->now_ns();
  time_.begin(schedule_ns_, options_.warmup_ns, share_.requests != 0 ? 0 : options_.duration_ns);
}

// Threads take turns: call k of thread t is call k * threads + t of the whole schedule.
uint64_t Worker::intended_ns(uint64_t number) const noexcept {
  const double position =
      static_cast<double>(number) * static_cast<double>(share_.thread_count) + static_cast<double>(share_.index);
  return schedule_ns_ + static_cast<uint64_t>(position * 1e9 / static_cast<double>(options_.rate));
}

bool Worker::may_start(uint64_t intended_ns) const noexcept {
  if (share_.requests != 0) return recorded_starts_ < share_.requests;
  return intended_ns < time_.end_ns;
}

void Worker::turn_ending() {
  if (phase_ == Phase::kConnecting && unsettled_seats_ == 0) begin_run();
  if (phase_ == Phase::kRunning) {
    note_time();
    start_due_calls();
    const uint64_t next_ns = options_.rate != 0 ? intended_ns(next_number_) : loop_->now_ns();
    if (given_up_seats_ == seats_.size()) time_.end_ns = std::min(time_.end_ns, loop_->now_ns());
    const bool has_time_ended = loop_->now_ns() >= time_.end_ns;
    if (has_time_ended || !may_start(next_ns)) {
      if (has_time_ended && options_.rate != 0) count_unstarted();
      phase_ = Phase::kDraining;
    }
  }
  if (phase_ == Phase::kDraining) {
    note_time();
    // The last call of a schedule ends before its time does; the run lasts as long as it was told to.
    const bool has_time_left = time_.end_ns != base::kNever_ns && loop_->now_ns() < time_.end_ns;
    if (in_flight_count_ == 0 && !has_time_left) finish();
  }
}

void Worker::note_time() {
  time_.note(loop_->now_ns(), phase_ == Phase::kDraining && in_flight_count_ == 0, result_);
}

void Worker::start_due_calls() {
  const uint64_t now_ns = loop_->now_ns();
  if (options_.rate == 0) {
    while (!ready_.empty() && may_start(now_ns)) start_call(now_ns);
    return;
  }
  for (uint64_t due_ns = intended_ns(next_number_); due_ns <= now_ns && may_start(due_ns) && !ready_.empty();
       due_ns = intended_ns(++next_number_)) {
    start_call(due_ns);
  }
  const bool has_slot = !ready_.empty();
  if (has_slot && !had_slot_) slots_free_ns_ = now_ns;
  had_slot_ = has_slot;
}

void Worker::start_call(uint64_t intended_ns) {
  Call& call = *ready_.front();
  ready_.pop_front();
  const uint64_t now_ns = loop_->now_ns();
  call.intended_ns = intended_ns;
  call.sent_ns = now_ns;
  call.path = next_path_;
  if (++next_path_ == options_.paths) next_path_ = 0;
  if (intended_ns >= time_.record_ns) {
    ++recorded_starts_;
    result_.schedule_lag.record(now_ns - intended_ns);
    // A slot was free when the call was due, or the turn itself was late.
    if (had_slot_ && intended_ns >= slots_free_ns_) {
      result_.own_lag.record(now_ns - intended_ns);
    } else {
      ++result_.blocked_count;
    }
  }
  ++in_flight_count_;
  seats_[call.seat]->connection->start(call);
}

void Worker::call_finished(Call& call, Outcome outcome, uint32_t reset_code) {
  last_progress_ns_ = loop_->now_ns();
  --in_flight_count_;
  if (call.intended_ns >= time_.record_ns) record(call, outcome, reset_code);
  call.id = 0;
  if (!call.connection->is_leaving()) ready_.push_back(&call);
}

void Worker::record(Call& call, Outcome outcome, uint32_t reset_code) {
  const uint64_t now_ns = loop_->now_ns();
  ++result_.request_count;
  result_.message_bytes += call.sent_bytes + call.received_bytes;
  if (outcome == Outcome::kAnswered && call.http_status == 200 && call.grpc_status == 0) [[likely]] {
    ++result_.success_count;
    result_.latency.record(now_ns - call.intended_ns);
    result_.latency_from_send.record(now_ns - call.sent_ns);
    return;
  }
  fail(failure_of(call, outcome, reset_code));
}

uint64_t Worker::next_wanted_ns() {
  if (phase_ == Phase::kConnecting) return base::kNever_ns;
  if (phase_ == Phase::kDraining) return loop_->now_ns() < time_.end_ns ? time_.end_ns : base::kNever_ns;
  if (options_.rate != 0 && !ready_.empty()) return std::min(intended_ns(next_number_), time_.end_ns);
  return time_.end_ns;
}

// Calls that were due and never got a slot have waited this long at least: they are part of the distribution.
void Worker::count_unstarted() {
  uint64_t count = 0;
  for (uint64_t due_ns = intended_ns(next_number_); due_ns < time_.end_ns; due_ns = intended_ns(++next_number_)) {
    if (due_ns < time_.record_ns) continue;
    ++count;
    result_.latency.record(loop_->now_ns() - due_ns);
    result_.schedule_lag.record(loop_->now_ns() - due_ns);
  }
  if (count == 0) return;
  result_.request_count += count;
  result_.blocked_count += count;
  fail("not started in time", count);
}

void Worker::stop_wanted() {
  // The run ends as if its time had passed.
  if (phase_ == Phase::kConnecting) {
    finish();
    return;
  }
  time_.cut(loop_->now_ns());
}

void Worker::finish() {
  abandon_calls();
  phase_ = Phase::kDraining;
  if (time_.end_ns != base::kNever_ns) time_.end_ns = std::min(time_.end_ns, loop_->now_ns());
  note_time();
  loop_->finish();
}

void Worker::abandon_calls() {
  for (auto& seat : seats_) {
    for (Call& call : seat->calls) {
      if (call.id == 0) continue;
      if (call.intended_ns >= time_.record_ns) {
        ++result_.request_count;
        fail("no answer");
      }
      call.id = 0;
      --in_flight_count_;
    }
  }
}

}  // namespace ringway::load
