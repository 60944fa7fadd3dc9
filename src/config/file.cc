#include "config/file.h"

#include <optional>
#include <utility>
#include <vector>

#include "config/document.h"
#include "config/limit_fields.h"
#include "config/words.h"

namespace ringway::config {
namespace {

void read_shards(const Element& element, Draft& draft, Report& report) {
  const Map map(
      element, report,
      {"count", "cpus", "accept", "busy_poll", "min_wait", "napi", "ring_entries", "recv_buffers", "memory", "ktls"});
  ShardOptions& shards = draft.snapshot.shards;
  if (const auto count = map.find("count")) {
    draft.shard_count_place = count->place;
    read_value(count, report, shard_count_words(), parse_shard_count, draft.shard_count);
  }
  if (const auto cpus = map.find("cpus")) {
    std::optional<std::vector<uint32_t>> listed;
    draft.cpus_place = cpus->place;
    const size_t count_before = report.count();
    read_value(cpus, report, kCpusWords, parse_cpus, listed);
    if (report.count() == count_before) {
      draft.pinning = listed ? Pinning::kList : Pinning::kNone;
      draft.cpus = std::move(listed).value_or(std::vector<uint32_t>());
    }
  }
  read_value(map.find("accept"), report, kAcceptWords, parse_accept, shards.accept);
  read_limited(map.find("busy_poll"), report, LimitId::kBusyPoll, shards.busy_poll_ns);
  read_limited(map.find("min_wait"), report, LimitId::kMinWait, shards.min_wait_ns);
  read_limited(map.find("napi"), report, LimitId::kNapi, shards.napi_ns);
  read_limited(map.find("ring_entries"), report, LimitId::kRingEntries, shards.ring_entries);
  read_limited(map.find("recv_buffers"), report, LimitId::kRecvBuffers, shards.recv_buffers);
  read_limited(map.find("memory"), report, LimitId::kMemory, shards.memory_bytes);
  read_value(map.find("ktls"), report, kKtlsWords, parse_ktls, shards.ktls);
}

void read_limits(const Element& element, Draft& draft, Report& report) {
  Limits& limits = draft.snapshot.limits;
  std::vector<std::string_view> keys;
  for_each_limit(limits, [&](LimitId id, auto&) { keys.push_back(key_in_section(id)); });
  const Map map(element, report, keys);
  for_each_limit(limits,
                 [&](LimitId id, auto& value) { read_limited(map.find(key_in_section(id)), report, id, value); });
  if (const auto field = map.find(key_in_section(LimitId::kField))) draft.field_place = field->place;
}

void read_access_log(const Element& element, Draft& draft, Report& report) {
  const Map map(element, report, {"path", "format"});
  AccessLogOptions& log = draft.snapshot.access_log;
  read_value(map.find("path"), report, kAccessLogPathWords, parse_access_log_path, log.path);
  read_value(map.find("format"), report, kAccessLogFormatWords, parse_access_log_format, log.format);
}

void read_drain(const Element& element, Draft& draft, Report& report) {
  const Map map(element, report, {"delay", "timeout"});
  read_limited(map.find("delay"), report, LimitId::kDrainDelay, draft.snapshot.drain.delay_ns);
  read_limited(map.find("timeout"), report, LimitId::kDrainTimeout, draft.snapshot.drain.timeout_ns);
}

}  // namespace

void read_file(const std::string& text, Draft& draft, Report& report) {
  const auto root = parse_document(text, report);
  if (!root) return;
  const Map map(*root, report, {"shards", "limits", "listeners", "clusters", "access_log", "log_level", "drain"},
                {"admin"});
  if (const auto shards = map.find("shards")) read_shards(*shards, draft, report);
  if (const auto limits = map.find("limits")) read_limits(*limits, draft, report);
  if (const auto listeners = map.find("listeners")) read_listeners(*listeners, draft, report);
  if (const auto clusters = map.find("clusters")) read_clusters(*clusters, draft, report);
  if (const auto log = map.find("access_log")) read_access_log(*log, draft, report);
  read_value(map.find("log_level"), report, kLogLevelWords, parse_log_level, draft.snapshot.log_level);
  if (const auto drain = map.find("drain")) read_drain(*drain, draft, report);
}

}  // namespace ringway::config
