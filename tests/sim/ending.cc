// The end of a run: faults are over, every call ends in its time, and everything is back where it was.
#include <algorithm>
#include <string>

#include "report.h"
#include "world.h"

namespace ringway::sim {
namespace {

// From the last fault on. The longest wait there is: a silent endpoint, asked by PING at most every 30 s, has 20 s to
// answer; then the call is sent elsewhere, or told.
constexpr uint64_t kCallsEnd_ns = 150 * base::kSecond_ns;
// A client that has vanished is noticed by TCP after 20 s.
constexpr uint64_t kRestEnds_ns = 60 * base::kSecond_ns;
// Keepalive looks after an idle connection once more.
constexpr uint64_t kTimersEnd_ns = 45 * base::kSecond_ns;
// What a drain may take beyond its time-out.
constexpr uint64_t kDrainSlack_ns = 30 * base::kSecond_ns;
constexpr uint32_t kDescriptorsOfOthers = 3;  // listener, mailbox, the event of run()'s end

}  // namespace

void World::heal() {
  trace("healed");
  healed_ns_ = timeline_.now_ns();
  for (Host& host : hosts_) host = Host{};
  // The last fault: no further call will find out that they are gone.
  if (profile_.is_stormy() && prng_.below(2) == 0) {
    for (const auto& backend : backends_) backend->vanish();
  }
  kernel_.heal();
  for (const auto& client : clients_) client->open_up();
  for (const auto& backend : backends_) backend->open_up();
}

// Each call that is open when all of them should have ended.
void World::report_hanging() {
  if (timeline_.now_ns() - healed_ns_ < kCallsEnd_ns) return;
  std::string list;
  for (const auto& client : clients_) {
    for (const auto& [stream, call] : client->calls()) {
      list +=
          fmt::format(" call {} on stream {} (answer {}, {} attempts, {} taken, {} of {} octets sent, {} of {} got);",
                      call->id, stream, static_cast<int>(call->plan.answer), call->attempts, call->taken, call->sent,
                      call->request.size(), call->received, call->response.size());
    }
  }
  fail("{} calls hang:{}", open_calls_, list);
}

bool World::is_quiet() {
  proxy::Proxy& proxy = shard_->proxy();
  const bool is_quiet = proxy.exchanges().live_count() == 0;
  expect(is_quiet || timeline_.now_ns() - healed_ns_ < kCallsEnd_ns + kRestEnds_ns,
         "{} exchanges are left of calls that have ended", proxy.exchanges().live_count());
  return is_quiet;
}

void World::close_clients() {
  closed_ns_ = emptied_ns_ = timeline_.now_ns();
  for (const auto& client : clients_) {
    if (!client->is_alive()) continue;
    if (prng_.below(2) == 0) {
      client->end();
    } else {
      client->break_off(false);
    }
  }
}

// Without clients: nothing is left of them.
void World::check_rest() {
  proxy::Proxy& proxy = shard_->proxy();
  if (proxy.downstream_count() != 0) {
    expect(timeline_.now_ns() - closed_ns_ < kRestEnds_ns, "{} connections are left of clients that are gone",
           proxy.downstream_count());
    emptied_ns_ = timeline_.now_ns();
    return;
  }
  if (timeline_.now_ns() - emptied_ns_ < kTimersEnd_ns) return;
  // The blocks of its last sends return with the turn behind them, whenever something brings it.
  if (!was_woken_) {
    was_woken_ = true;
    mailbox_->post(1, {shard::MessageKind::kPressure, -1, 0});
    return;
  }
  expect(placement_->total() == 0, "{} connections are charged, and none is open", placement_->total());
  expect(proxy.memory().streams.live_count() == 0, "{} streams are left", proxy.memory().streams.live_count());
  expect(proxy.memory().blocks.bytes_in_use() == 0, "{} bytes of blocks are left",
         proxy.memory().blocks.bytes_in_use());
  expect(proxy.armed_timers() == 0, "{} timers are left", proxy.armed_timers());
  expect(kernel_.buffers_away() == 0, "{} receive buffers were not returned", kernel_.buffers_away());
  expect(kernel_.armed_sends() == 0, "{} sends are left", kernel_.armed_sends());
  post_drain();
}

void World::post_drain() {
  trace("drain");
  drained_ns_ = timeline_.now_ns();
  if (healed_ns_ == 0) heal();
  mailbox_->post(1, {shard::MessageKind::kDrain, -1, 0});
  const uint64_t timeout_ns = profile_.snapshot.drain.timeout_ns;
  timeline_.in(timeout_ns, [this] {
    is_ending_ = true;
    mailbox_->post(1, {shard::MessageKind::kEndDrain, -1, 0});
  });
  timeline_.in(timeout_ns + kDrainSlack_ns, [] { fail("the drain does not end"); });
}

void World::count_access_lines() {
  const base::ByteRing::Readable readable = log_->access_lines().readable();
  size_t size = 0;
  for (const auto& part : {readable.first, readable.second}) {
    access_lines_ += static_cast<uint64_t>(std::ranges::count(part, '\n'));
    size += part.size();
  }
  log_->access_lines().consume(size);
  while (log_->next_event()) {}
}

void World::check_end() {
  count_access_lines();
  proxy::Proxy& proxy = shard_->proxy();
  expect(proxy.exchanges().live_count() == 0, "{} exchanges are left", proxy.exchanges().live_count());
  expect(proxy.memory().streams.live_count() == 0, "{} streams are left", proxy.memory().streams.live_count());
  expect(placement_->total() == 0, "{} connections are charged, and none is open", placement_->total());
  expect(log_->access_lines_dropped() == 0 && access_lines_ == proxy.counters().requests,
         "{} lines in the access log for {} requests", access_lines_, proxy.counters().requests);
  expect(stopped_count_ == 1, "the shard has not told that it has stopped");
  result_.retries = proxy.counters().retries;
  result_.turns = shard_->counters().turns;
  result_.short_sends = shard_->counters().short_sends;
  result_.no_buffers = shard_->counters().no_buffers;
  std::ranges::copy(proxy.counters().local_replies, result_.local_replies);
  kernel_.begin_exit();
  shard_.reset();
  expect(kernel_.open_descriptors() == kDescriptorsOfOthers, "{} descriptors are left",
         kernel_.open_descriptors() - kDescriptorsOfOthers);
}

}  // namespace ringway::sim
