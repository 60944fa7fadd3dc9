#include "proxy/log_port.h"

#include <gtest/gtest.h>

#include <string>

namespace ringway::proxy {
namespace {

using config::LogLevel;

std::unique_ptr<io::Doorbell> make_bell() {
  return std::move(*io::Doorbell::create());
}

TEST(LogPort, CarriesEventsInOrderWithTheirLevel) {
  auto bell = make_bell();
  LogPort port(*bell, LogLevel::kInfo, 0);
  EXPECT_TRUE(port.is_empty());
  port.event(LogLevel::kWarn, LogKind::kEndpoint, 0, "cluster {}: endpoint {}: {}", "auth", "10.0.0.1:50051",
             "refused");
  port.event(LogLevel::kError, LogKind::kShard, 0, "second");
  EXPECT_FALSE(port.is_empty());
  auto event = port.next_event();
  ASSERT_TRUE(event);
  EXPECT_EQ(event->view(), "cluster auth: endpoint 10.0.0.1:50051: refused");
  EXPECT_EQ(event->level, LogLevel::kWarn);
  EXPECT_EQ(event->suppressed_count, 0u);
  EXPECT_GT(event->wall_time_ns, 0u);
  event = port.next_event();
  ASSERT_TRUE(event);
  EXPECT_EQ(event->view(), "second");
  EXPECT_FALSE(port.next_event());
}

TEST(LogPort, LevelsBelowTheThresholdCostNothing) {
  auto bell = make_bell();
  LogPort port(*bell, LogLevel::kWarn, 0);
  EXPECT_FALSE(port.wants(LogLevel::kInfo));
  EXPECT_TRUE(port.wants(LogLevel::kWarn));
  port.event(LogLevel::kInfo, LogKind::kShard, 0, "not wanted");
  EXPECT_FALSE(port.next_event());
}

TEST(LogPort, LongTextsAreCut) {
  auto bell = make_bell();
  LogPort port(*bell, LogLevel::kInfo, 0);
  for (const size_t over : {0u, 1u, 2u}) {
    const std::string text(LogEvent::kTextBytesMax - 1 + over, 'x');
    port.event(LogLevel::kInfo, LogKind::kShard, 0, "{}", text);
    const auto event = port.next_event();
    ASSERT_TRUE(event);
    EXPECT_EQ(event->view(), text.substr(0, LogEvent::kTextBytesMax));
  }
}

TEST(LogPort, EachKindHasItsBoundAndTellsWhatItLeftOut) {
  auto bell = make_bell();
  LogPort port(*bell, LogLevel::kInfo, 0);
  const auto send = [&](LogKind kind, uint64_t now_ns, uint32_t count) {
    for (uint32_t number = 0; number < count; ++number) port.event(LogLevel::kInfo, kind, now_ns, "{}", number);
  };
  const auto taken = [&] {
    uint32_t count = 0;
    while (const auto event = port.next_event()) ++count;
    return count;
  };
  send(LogKind::kPeer, 5 * base::kSecond_ns, LogPort::kEventsPerSecond);
  EXPECT_EQ(taken(), LogPort::kEventsPerSecond);
  send(LogKind::kPeer, 5 * base::kSecond_ns + 1, 7);
  EXPECT_EQ(taken(), 0u);
  send(LogKind::kLimit, 5 * base::kSecond_ns + 1, 1);
  EXPECT_EQ(taken(), 1u) << "another kind";
  send(LogKind::kPeer, 6 * base::kSecond_ns, 1);
  const auto event = port.next_event();
  ASSERT_TRUE(event);
  EXPECT_EQ(event->suppressed_count, 7u);
  send(LogKind::kPeer, 6 * base::kSecond_ns, 1);
  EXPECT_EQ(port.next_event()->suppressed_count, 0u);
}

TEST(LogPort, AFullQueueDropsAndCounts) {
  auto bell = make_bell();
  LogPort port(*bell, LogLevel::kInfo, 0);
  for (size_t number = 0; number < LogPort::kEventsMax + 3; ++number) {
    // Each in a second of its own, out of the reach of the bound.
    port.event(LogLevel::kInfo, LogKind::kShard, number * base::kSecond_ns, "{}", number);
  }
  EXPECT_EQ(port.events_dropped(), 3u);
  EXPECT_EQ(port.next_event()->view(), "0");
}

TEST(LogPort, WakesOncePerTurnAndOnlyTheSleeping) {
  auto bell = make_bell();
  LogPort port(*bell, LogLevel::kInfo, 64);
  const std::string line = "0123456789\n";
  bell->announce(io::Rest::kSleeping);
  port.end_turn();
  EXPECT_EQ(bell->ring_count(), 0u) << "a turn without a line";
  port.access_line(line);
  port.access_line(line);
  EXPECT_EQ(bell->ring_count(), 0u) << "not before the end of the turn";
  port.end_turn();
  EXPECT_EQ(bell->ring_count(), 1u);
  port.access_line(line);
  port.end_turn();
  EXPECT_EQ(bell->ring_count(), 1u) << "it is on its way";
  bell->announce(io::Rest::kNapping);
  port.access_lines().consume(22);
  port.access_line(line);
  port.end_turn();
  EXPECT_EQ(bell->ring_count(), 1u) << "the nap ends soon enough";
  port.access_line(line);
  port.end_turn();
  EXPECT_EQ(bell->ring_count(), 2u) << "more than half of the ring waits";
}

TEST(LogPort, WithoutAnAccessLogThereIsNone) {
  auto bell = make_bell();
  EXPECT_FALSE(LogPort(*bell, LogLevel::kInfo, 0).has_access_log());
  EXPECT_TRUE(LogPort(*bell, LogLevel::kInfo, 1024).has_access_log());
}

}  // namespace
}  // namespace ringway::proxy
