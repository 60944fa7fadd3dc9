// Every row of the limits table at the edges of its range, through the file and, where it has one, through its flag.
#include "config/limits.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <fstream>
#include <sstream>
#include <string>

#include "reading.h"

namespace ringway::config {
namespace {

struct Subject {
  LimitId id;
  std::string key;   // as messages name it
  std::string yaml;  // @ stands for the value; all on one line, with the routing of reading.h behind it
  uint64_t (*value)(const Snapshot&);
  std::string flag = {};
};

// The parts that the last line of the file's frame needs, with one thing in them to be set.
std::string in_cluster(const std::string& part) {
  return "clusters: [{name: a, endpoints: [{address: '127.0.0.1:1'}], " + part +
         "}]\nlisteners: [{address: '127.0.0.1:0', routes: [{cluster: a}]}]";
}

const Subject kSubjects[] = {
    {LimitId::kShardCount, "shards.count", "shards: {count: @}",
     [](const Snapshot& s) -> uint64_t { return s.shards.count; }, "--shards"},
    {LimitId::kBusyPoll, "shards.busy_poll", "shards: {busy_poll: @}",
     [](const Snapshot& s) { return s.shards.busy_poll_ns; }, "--busy-poll-us"},
    {LimitId::kMinWait, "shards.min_wait", "shards: {min_wait: @}",
     [](const Snapshot& s) { return s.shards.min_wait_ns; }, "--min-wait-us"},
    {LimitId::kNapi, "shards.napi", "shards: {napi: @}", [](const Snapshot& s) { return s.shards.napi_ns; },
     "--napi-us"},
    {LimitId::kRingEntries, "shards.ring_entries", "shards: {ring_entries: @}",
     [](const Snapshot& s) -> uint64_t { return s.shards.ring_entries; }, "--ring-entries"},
    {LimitId::kRecvBuffers, "shards.recv_buffers", "shards: {recv_buffers: @}",
     [](const Snapshot& s) -> uint64_t { return s.shards.recv_buffers; }, "--recv-buffers"},
    {LimitId::kMemory, "shards.memory", "shards: {memory: @}", [](const Snapshot& s) { return s.shards.memory_bytes; }},
    {LimitId::kHeaderList, "limits.header_list", "limits: {header_list: @}",
     [](const Snapshot& s) -> uint64_t { return s.limits.header_list_bytes; }},
    {LimitId::kHeaderFields, "limits.header_fields", "limits: {header_fields: @}",
     [](const Snapshot& s) -> uint64_t { return s.limits.header_fields; }},
    {LimitId::kField, "limits.field", "limits: {header_list: 16MiB, field: @}",
     [](const Snapshot& s) -> uint64_t { return s.limits.field_bytes; }},
    {LimitId::kStreams, "limits.streams", "limits: {streams: @}",
     [](const Snapshot& s) -> uint64_t { return s.limits.streams; }},
    {LimitId::kConnections, "limits.connections", "limits: {connections: @}",
     [](const Snapshot& s) -> uint64_t { return s.limits.connections; }},
    {LimitId::kWindow, "limits.window", "limits: {window: @}",
     [](const Snapshot& s) -> uint64_t { return s.limits.window_bytes; }},
    {LimitId::kConnectionWindow, "limits.connection_window", "limits: {connection_window: @}",
     [](const Snapshot& s) -> uint64_t { return s.limits.connection_window_bytes; }},
    {LimitId::kUpstreamWindow, "limits.upstream_window", "limits: {upstream_window: @}",
     [](const Snapshot& s) -> uint64_t { return s.limits.upstream_window_bytes; }},
    {LimitId::kPendingCalls, "limits.pending_calls", "limits: {pending_calls: @}",
     [](const Snapshot& s) -> uint64_t { return s.limits.pending_calls; }},
    {LimitId::kReplay, "limits.replay", "limits: {replay: @}",
     [](const Snapshot& s) -> uint64_t { return s.limits.replay_bytes; }},
    {LimitId::kMessage, "limits.message", "limits: {message: @}",
     [](const Snapshot& s) -> uint64_t { return s.limits.message_bytes; }},
    {LimitId::kReplayTotal, "limits.replay_total", "limits: {replay_total: @}",
     [](const Snapshot& s) { return s.limits.replay_total_bytes; }},
    {LimitId::kPerSource, "limits.per_source", "limits: {per_source: @}",
     [](const Snapshot& s) -> uint64_t { return s.limits.per_source; }},
    {LimitId::kContinuations, "limits.continuations", "limits: {continuations: @}",
     [](const Snapshot& s) -> uint64_t { return s.limits.continuations; }},
    {LimitId::kReplies, "limits.replies", "limits: {replies: @}",
     [](const Snapshot& s) -> uint64_t { return s.limits.replies; }},
    {LimitId::kReplyBytes, "limits.reply_bytes", "limits: {reply_bytes: @}",
     [](const Snapshot& s) -> uint64_t { return s.limits.reply_bytes; }},
    {LimitId::kSettingsEntries, "limits.settings_entries", "limits: {settings_entries: @}",
     [](const Snapshot& s) -> uint64_t { return s.limits.settings_entries; }},
    {LimitId::kPriorities, "limits.priorities", "limits: {priorities: @}",
     [](const Snapshot& s) -> uint64_t { return s.limits.priorities; }},
    {LimitId::kResets, "limits.resets", "limits: {resets: @}",
     [](const Snapshot& s) -> uint64_t { return s.limits.resets; }},
    {LimitId::kEarlyResets, "limits.early_resets", "limits: {early_resets: @}",
     [](const Snapshot& s) -> uint64_t { return s.limits.early_resets; }},
    {LimitId::kSettings, "limits.settings", "limits: {settings: @}",
     [](const Snapshot& s) -> uint64_t { return s.limits.settings; }},
    {LimitId::kPings, "limits.pings", "limits: {pings: @}",
     [](const Snapshot& s) -> uint64_t { return s.limits.pings; }},
    {LimitId::kEmptyFrames, "limits.empty_frames", "limits: {empty_frames: @}",
     [](const Snapshot& s) -> uint64_t { return s.limits.empty_frames; }},
    {LimitId::kSmallData, "limits.small_data", "limits: {small_data: @}",
     [](const Snapshot& s) -> uint64_t { return s.limits.small_data; }},
    {LimitId::kGlitches, "limits.glitches", "limits: {glitches: @}",
     [](const Snapshot& s) -> uint64_t { return s.limits.glitches; }},
    {LimitId::kHandshakeTimeout, "limits.handshake_timeout", "limits: {handshake_timeout: @}",
     [](const Snapshot& s) -> uint64_t { return s.limits.handshake_timeout_ns; }},
    {LimitId::kPrefaceTimeout, "limits.preface_timeout", "limits: {preface_timeout: @}",
     [](const Snapshot& s) -> uint64_t { return s.limits.preface_timeout_ns; }},
    {LimitId::kHeaderTimeout, "limits.header_timeout", "limits: {header_timeout: @}",
     [](const Snapshot& s) -> uint64_t { return s.limits.header_timeout_ns; }},
    {LimitId::kIdleTimeout, "limits.idle_timeout", "limits: {idle_timeout: @}",
     [](const Snapshot& s) -> uint64_t { return s.limits.idle_timeout_ns; }},
    {LimitId::kConnectionAge, "limits.connection_age", "limits: {connection_age: @}",
     [](const Snapshot& s) -> uint64_t { return s.limits.connection_age_ns; }},
    {LimitId::kStallTimeout, "limits.stall_timeout", "limits: {stall_timeout: @}",
     [](const Snapshot& s) -> uint64_t { return s.limits.stall_timeout_ns; }},
    {LimitId::kConnectionMemory, "limits.connection_memory", "limits: {connection_memory: @}",
     [](const Snapshot& s) -> uint64_t { return s.limits.connection_memory; }},
    {LimitId::kConnectionHeaders, "limits.connection_headers", "limits: {connection_headers: @}",
     [](const Snapshot& s) -> uint64_t { return s.limits.connection_headers; }},
    {LimitId::kProcessMemory, "limits.process_memory", "limits: {process_memory: @}",
     [](const Snapshot& s) -> uint64_t { return s.limits.process_memory; }},
    {LimitId::kDescriptors, "limits.descriptors", "limits: {descriptors: @}",
     [](const Snapshot& s) -> uint64_t { return s.limits.descriptors; }},
    {LimitId::kUpstreamResets, "limits.upstream_resets", "limits: {upstream_resets: @}",
     [](const Snapshot& s) -> uint64_t { return s.limits.upstream_resets; }},
    {LimitId::kRecordsPerKey, "limits.records_per_key", "limits: {records_per_key: @}",
     [](const Snapshot& s) -> uint64_t { return s.limits.records_per_key; }},
    {LimitId::kTicketRotation, "listeners[0].tls.tickets.rotate",
     "clusters: [{name: a, endpoints: [{address: '127.0.0.1:1'}]}]\nlisteners: [{address: '127.0.0.1:0', routes: "
     "[{cluster: a}], tls: {certificates: [{certificate: c, private_key: k}], tickets: {rotate: @}}}]",
     [](const Snapshot& s) { return s.listeners[0].tls->ticket_rotation_ns; }},
    {LimitId::kWeight, "clusters[0].endpoints[0].weight",
     "clusters: [{name: a, endpoints: [{address: '127.0.0.1:1', weight: @}]}]\nlisteners: [{address: '127.0.0.1:0', "
     "routes: [{cluster: a}]}]",
     [](const Snapshot& s) -> uint64_t { return s.clusters[0].endpoints[0].weight; }},
    {LimitId::kPerShard, "clusters[0].connections.per_shard", in_cluster("connections: {per_shard: @}"),
     [](const Snapshot& s) -> uint64_t { return s.clusters[0].connections_per_shard; }, "--upstream-connections"},
    {LimitId::kConnectTimeout, "clusters[0].connections.connect_timeout",
     in_cluster("connections: {connect_timeout: @}"),
     [](const Snapshot& s) { return s.clusters[0].connect_timeout_ns; }},
    {LimitId::kKeepaliveSilence, "clusters[0].connections.keepalive.silence",
     in_cluster("connections: {keepalive: {silence: @}}"),
     [](const Snapshot& s) { return s.clusters[0].keepalive_silence_ns; }},
    {LimitId::kKeepaliveInterval, "clusters[0].connections.keepalive.interval",
     in_cluster("connections: {keepalive: {interval: @}}"),
     [](const Snapshot& s) { return s.clusters[0].keepalive_interval_ns; }},
    {LimitId::kKeepaliveTimeout, "clusters[0].connections.keepalive.timeout",
     in_cluster("connections: {keepalive: {timeout: @}}"),
     [](const Snapshot& s) { return s.clusters[0].keepalive_timeout_ns; }},
    {LimitId::kDrainDelay, "drain.delay", "drain: {delay: @}", [](const Snapshot& s) { return s.drain.delay_ns; },
     "--drain-delay"},
    {LimitId::kDrainTimeout, "drain.timeout", "drain: {timeout: @}",
     [](const Snapshot& s) { return s.drain.timeout_ns; }, "--drain-timeout"},
};

Reading read_value_of(const Subject& subject, const std::string& value) {
  std::string text = subject.yaml;
  text.replace(text.find('@'), 1, value);
  return text.find("clusters:") == std::string::npos ? read_with_routing(text) : read_text(text);
}

// A value as its flag takes it.
std::string for_flag(const Subject& subject, uint64_t value) {
  const bool is_microseconds = subject.flag.ends_with("-us");
  return is_microseconds ? std::to_string(value / 1000) : format_limited(subject.id, value);
}

Invocation load_flag(const Subject& subject, const std::string& value) {
  return load_words({"--listen", "127.0.0.1:0", "--upstream", "127.0.0.1:1", subject.flag, value});
}

TEST(Limits, EveryRowIsTested) {
  ASSERT_EQ(std::size(kSubjects), kLimits.size());
  for (size_t i = 0; i < kLimits.size(); ++i) EXPECT_EQ(kSubjects[i].id, kLimits[i].id);
}

TEST(Limits, EdgesAreAccepted) {
  for (const Subject& subject : kSubjects) {
    const Limit& row = limit(subject.id);
    for (const uint64_t value : {row.minimum, row.maximum}) {
      const Reading reading = read_value_of(subject, format_limited(subject.id, value));
      EXPECT_EQ(reading.report, "") << subject.key;
      EXPECT_EQ(subject.value(reading.snapshot), value) << subject.key;
      if (subject.flag.empty()) continue;
      const Invocation flagged = load_flag(subject, for_flag(subject, value));
      EXPECT_EQ(flagged.error, "") << subject.flag;
      EXPECT_EQ(subject.value(flagged.snapshot), value) << subject.flag;
    }
  }
}

TEST(Limits, OneBeyondIsRefused) {
  for (const Subject& subject : kSubjects) {
    const Limit& row = limit(subject.id);
    const auto expect_refused = [&](uint64_t value, const std::string& why) {
      const std::string written = format_limited(subject.id, value);
      const std::string report = read_value_of(subject, written).report;
      const std::string message =
          fmt::format("{}: '{}' is {}, allowed: {}", subject.key, written, why, allowed_range(subject.id));
      EXPECT_NE(report.find(message), std::string::npos) << report << "expected: " << message;
    };
    expect_refused(row.maximum + 1, "too large");
    if (row.minimum > 1 || row.zero.empty()) expect_refused(row.minimum - 1, "too small");
  }
}

TEST(Limits, OneStepBeyondIsRefusedAsFlag) {
  for (const Subject& subject : kSubjects) {
    if (subject.flag.empty()) continue;
    const Limit& row = limit(subject.id);
    const bool is_microseconds = subject.flag.ends_with("-us");
    const uint64_t step = is_microseconds ? 1000 : 1;
    const Notation notation = is_microseconds ? Notation::kMicroseconds : Notation::kWithUnit;
    const std::string written = for_flag(subject, row.maximum + step);
    const Invocation refused = load_flag(subject, written);
    EXPECT_EQ(refused.exit_code, 2) << subject.flag;
    EXPECT_EQ(refused.error,
              fmt::format("ringway: {}: '{}' is too large, allowed: {}{}\n", subject.flag, written,
                          allowed_range(subject.id, notation), subject.id == LimitId::kShardCount ? ", or auto" : ""));
  }
}

TEST(Limits, ZeroWhereItMeansSomething) {
  for (const Subject& subject : kSubjects) {
    const Reading reading = read_value_of(subject, "0");
    if (limit(subject.id).zero.empty()) {
      EXPECT_NE(reading.report.find("'0' is too small"), std::string::npos) << subject.key << reading.report;
    } else {
      EXPECT_EQ(reading.report, "") << subject.key;
      EXPECT_EQ(subject.value(reading.snapshot), 0u) << subject.key;
    }
  }
}

TEST(Limits, OtherTextIsRefused) {
  for (const Subject& subject : kSubjects) {
    for (const char* text : {"many", "-1", "1.5", "''", "99 MiB", "1e3"}) {
      EXPECT_NE(read_value_of(subject, text).report.find("is not a "), std::string::npos) << subject.key << " " << text;
    }
    // More digits than fit are too many, not something else.
    const std::string huge =
        limit(subject.id).unit == Unit::kDuration ? "99999999999999999999h" : "99999999999999999999";
    EXPECT_NE(read_value_of(subject, huge).report.find("is too large"), std::string::npos) << subject.key;
    EXPECT_NE(read_value_of(subject, "[1]").report.find("a list stands where one value belongs"), std::string::npos)
        << subject.key;
    EXPECT_NE(read_value_of(subject, "").report.find("the value is missing"), std::string::npos) << subject.key;
  }
}

TEST(Limits, PowersOfTwo) {
  EXPECT_EQ(
      read_with_routing("shards: {recv_buffers: 100}").report,
      "t.yaml:1:24: shards.recv_buffers: '100' is not a power of two, allowed: a power of two from 16 to 32768\n");
  EXPECT_NE(read_with_routing("shards: {ring_entries: 65}").report, "");
}

// What is not written has the table's default.
TEST(Limits, Defaults) {
  const Snapshot snapshot = read_with_routing("").snapshot;
  for (const Subject& subject : kSubjects) {
    if (subject.id == LimitId::kShardCount) continue;      // auto: by the machine
    if (subject.id == LimitId::kTicketRotation) continue;  // only with TLS: tls_test.cc
    EXPECT_EQ(subject.value(snapshot), initial(subject.id)) << subject.key;
  }
}

// snapshot.h gives its members the values that hold without a file, for code that makes a snapshot by hand.
TEST(Limits, MembersOfTheSnapshotAgree) {
  const ShardOptions shards;
  EXPECT_EQ(shards.busy_poll_ns, initial(LimitId::kBusyPoll));
  EXPECT_EQ(shards.min_wait_ns, initial(LimitId::kMinWait));
  EXPECT_EQ(shards.napi_ns, initial(LimitId::kNapi));
  EXPECT_EQ(shards.ring_entries, initial(LimitId::kRingEntries));
  EXPECT_EQ(shards.recv_buffers, initial(LimitId::kRecvBuffers));
  EXPECT_EQ(shards.memory_bytes, initial(LimitId::kMemory));
  EXPECT_EQ(EndpointConfig{}.weight, initial(LimitId::kWeight));
  EXPECT_EQ(ClusterConfig{}.connections_per_shard, initial(LimitId::kPerShard));
}

TEST(Limits, PageIsCurrent) {
  std::ifstream file(RINGWAY_SOURCE_ROOT "/docs/limits.md");
  std::stringstream page;
  page << file.rdbuf();
  EXPECT_EQ(page.str(), limits_page()) << "renew it: build/ringway --print-limits > docs/limits.md";
}

}  // namespace
}  // namespace ringway::config
