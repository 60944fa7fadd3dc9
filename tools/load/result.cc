#include "result.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>

#include "base/units.h"

namespace ringway::load {
namespace {

uint64_t thread_cpu_ns() noexcept {
  timespec used{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return static_cast<uint64_t>(used.tv_sec) * base::kSecond_ns + static_cast<uint64_t>(used.tv_nsec);
}

}  // namespace

void HandshakeResult::add(const ClientConnection& connection) {
  const tls::LibraryStream* const stream = connection.secured();
  if (stream == nullptr) return;
  ++kinds[fmt::format("{} {} {}", name_of(stream->version()), name_of(stream->cipher()), stream->group())];
  if (stream->is_resumed()) ++resumed_count;
  duration.record(connection.handshake_ns());
}

void HandshakeResult::merge(const HandshakeResult& other) {
  for (const auto& [kind, count] : other.kinds) kinds[kind] += count;
  resumed_count += other.resumed_count;
  duration.merge(other.duration);
}

void Result::merge(const Result& other) {
  latency.merge(other.latency);
  latency_from_send.merge(other.latency_from_send);
  schedule_lag.merge(other.schedule_lag);
  own_lag.merge(other.own_lag);
  for (const auto& [kind, count] : other.errors) errors[kind] += count;
  request_count += other.request_count;
  success_count += other.success_count;
  blocked_count += other.blocked_count;
  sent_bytes += other.sent_bytes;
  received_bytes += other.received_bytes;
  message_bytes += other.message_bytes;
  duration_s = std::max(duration_s, other.duration_s);
  cpu_s += other.cpu_s;
  busiest = std::max(busiest, other.busiest);
  enter_count += other.enter_count;
  handshakes.merge(other.handshakes);
}

void RecordedTime::begin(uint64_t now_ns, uint64_t warmup_ns, uint64_t duration_ns) noexcept {
  record_ns = now_ns + warmup_ns;
  end_ns = duration_ns == 0 ? base::kNever_ns : record_ns + duration_ns;
}

void RecordedTime::note(uint64_t now_ns, bool is_over, Result& result) noexcept {
  if (!is_recording_ && now_ns >= record_ns) {
    is_recording_ = true;
    cpu_at_record_ns_ = thread_cpu_ns();
  }
  const bool ends_now = now_ns >= end_ns || (is_over && end_ns == base::kNever_ns);
  if (!is_recording_ || has_ended_ || !ends_now) return;
  has_ended_ = true;
  result.duration_s = static_cast<double>(std::min(now_ns, end_ns) - record_ns) / 1e9;
  result.cpu_s = static_cast<double>(thread_cpu_ns() - cpu_at_record_ns_) / 1e9;
  if (result.duration_s > 0) result.busiest = result.cpu_s / result.duration_s;
}

void RecordedTime::cut(uint64_t now_ns) noexcept {
  end_ns = std::min(end_ns, now_ns);
  if (now_ns < record_ns) record_ns = base::kNever_ns;
}

}  // namespace ringway::load
