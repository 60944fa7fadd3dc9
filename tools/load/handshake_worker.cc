#include "handshake_worker.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/units.h"

namespace ringway::load {
namespace {

// A seat whose connections fail without end is left alone: the target is not there.
constexpr uint32_t kFailures_max = 100;
// Handshakes that make no progress for this long will not end: they are counted and the run ends.
constexpr uint64_t kStall_ns = 10 * base::kSecond_ns;

}  // namespace

HandshakeWorker::HandshakeWorker(const Options& options, const CallShape& shape, const Share& share)
    : options_(options), shape_(shape), share_(share), seats_(share.connections) {
  for (uint32_t number = 0; number < share.connections; ++number) {
    seats_[number].call.seat = number;
    idle_.push_back(number);
  }
}

std::expected<void, std::string> HandshakeWorker::run(int stop_fd) {
  auto loop = session::Loop::create(*this, {});
  if (!loop) return std::unexpected(loop.error());
  loop_ = std::move(*loop);
  loop_->watch_stop(stop_fd);
  last_progress_ns_ = loop_->now_ns();
  loop_->timers().arm(stall_check_, loop_->now_ns() + base::kSecond_ns);
  if (options_.resumes) {
    phase_ = Phase::kPriming;
    time_.record_ns = base::kNever_ns;
    for (const uint32_t number : std::exchange(idle_, {})) open(number);
  } else {
    begin_run();
  }
  loop_->run();
  result_.enter_count = loop_->ring_counters().enters;
  return {};
}

void HandshakeWorker::begin_run() {
  phase_ = Phase::kRunning;
  time_.begin(loop_->now_ns(), options_.warmup_ns, share_.requests != 0 ? 0 : options_.duration_ns);
}

bool HandshakeWorker::may_start() const noexcept {
  if (share_.requests != 0) return recorded_starts_ < share_.requests;
  return loop_->now_ns() < time_.end_ns;
}

void HandshakeWorker::open(uint32_t number) {
  Seat& seat = seats_[number];
  const uint64_t seed = options_.seed + share_.index * 1'000'003 + number * 7919;
  auto connection = std::make_unique<ClientConnection>(*this, memory_, shape_, number, seed);
  // Not the turn's time stamp: what is made later in a turn has not waited.
  seat.started_ns = base::monotonic_ns();
  seat.is_recorded = phase_ == Phase::kRunning && seat.started_ns >= time_.record_ns;
  seat.is_made = false;
  if (seat.is_recorded) ++recorded_starts_;
  if (options_.tls) {
    connection->secure(tls::LibraryStream::connect(options_.tls.credentials, options_.target.host_text(), seat.session,
                                                   options_.tls.rules));
  }
  if (auto opened = loop_->connect(options_.target, std::move(connection)); !opened) {
    fail(fmt::format("connect: {}", io::describe(opened.error())));
    if (seat.is_recorded) ++result_.request_count;
    if (++seat.failures < kFailures_max) idle_.push_back(number);
    return;
  }
  seat.is_open = true;
  ++open_count_;
}

void HandshakeWorker::connection_ready(ClientConnection& connection) {
  Seat& seat = seats_[connection.seat()];
  if (options_.makes_call) {
    seat.call.sent_ns = base::monotonic_ns();
    connection.start(seat.call);
    return;
  }
  made(seat, connection, "");
}

void HandshakeWorker::call_finished(Call& call, Outcome outcome, uint32_t reset_code) {
  call.id = 0;
  Seat& seat = seats_[call.seat];
  if (!seat.is_made) made(seat, *call.connection, failure_of(call, outcome, reset_code));
}

// Records the connection and ends it: a GOAWAY and, in TLS, a close_notify. Its session serves the next one.
void HandshakeWorker::made(Seat& seat, ClientConnection& connection, const std::string& failure) {
  last_progress_ns_ = loop_->now_ns();
  seat.is_made = true;
  seat.failures = 0;
  // One that was resumed in TLS 1.2 brings no new session: the one before still serves.
  if (options_.resumes) {
    if (tls::Session newest = connection.secured()->take_session()) seat.session = std::move(newest);
  }
  nghttp2_session_terminate_session(connection.session(), NGHTTP2_NO_ERROR);
  connection.mark_dirty();
  if (!seat.is_recorded) return;
  ++result_.request_count;
  result_.handshakes.add(connection);
  if (!failure.empty()) {
    fail(failure);
  } else if (options_.resumes && !connection.secured()->is_resumed()) {
    fail("not resumed");
  } else {
    ++result_.success_count;
    const uint64_t latency_ns = base::monotonic_ns() - seat.started_ns;
    result_.latency.record(latency_ns);
    result_.latency_from_send.record(latency_ns);
    if (options_.makes_call) result_.message_bytes += seat.call.sent_bytes + seat.call.received_bytes;
  }
}

void HandshakeWorker::connection_closed(ClientConnection& connection, io::Error error) {
  const uint32_t number = connection.seat();
  Seat& seat = seats_[number];
  result_.sent_bytes += connection.sent_bytes();
  result_.received_bytes += connection.received_bytes();
  seat.is_open = false;
  --open_count_;
  if (!seat.is_made) {
    seat.call.id = 0;
    fail(fmt::format("connect: {}", connection.describe_end(error)));
    if (seat.is_recorded) ++result_.request_count;
    // What fails before the run does not begin it: a target that is not there is the answer.
    if (phase_ == Phase::kPriming || ++seat.failures == kFailures_max) return;
  }
  idle_.push_back(number);
}

void HandshakeWorker::turn_ending() {
  if (phase_ == Phase::kPriming && open_count_ == 0) {
    if (idle_.empty()) {
      finish();
      return;
    }
    begin_run();
  }
  if (phase_ == Phase::kPriming) return;
  time_.note(loop_->now_ns(), false, result_);
  if (phase_ == Phase::kRunning) {
    for (const uint32_t number : std::exchange(idle_, {})) {
      if (may_start()) open(number);
    }
    if (!may_start() || (open_count_ == 0 && idle_.empty())) phase_ = Phase::kDraining;
  }
  if (phase_ == Phase::kDraining && open_count_ == 0) finish();
}

uint64_t HandshakeWorker::next_wanted_ns() {
  // Connections are gone at the end of a turn: what follows from that is of the next one.
  if (open_count_ == 0 || (phase_ == Phase::kRunning && !idle_.empty())) return loop_->now_ns();
  return phase_ == Phase::kRunning ? time_.end_ns : base::kNever_ns;
}

void HandshakeWorker::timer_due(base::Timer&) {
  loop_->timers().arm(stall_check_, loop_->now_ns() + base::kSecond_ns);
  if (loop_->now_ns() - last_progress_ns_ < kStall_ns) return;
  for (const Seat& seat : seats_) {
    if (!seat.is_open || seat.is_made) continue;
    if (seat.is_recorded) ++result_.request_count;
    fail("no answer");
  }
  finish();
}

void HandshakeWorker::stop_wanted() {
  if (phase_ == Phase::kPriming) {
    finish();
    return;
  }
  time_.cut(loop_->now_ns());
  phase_ = Phase::kDraining;
}

void HandshakeWorker::finish() {
  phase_ = Phase::kDraining;
  time_.note(loop_->now_ns(), true, result_);
  loop_->finish();
}

}  // namespace ringway::load
