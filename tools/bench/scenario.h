// A scenario: what to run, and what must hold. Read from YAML (docs/benchmarks.md describes the keys); a mistake is
// reported with file, line, column and what is allowed.
#pragma once

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace ringway::bench {

enum class GeneratorKind { kRingwayLoad, kH2load };
enum class ArmKind { kDirect, kRelay, kRingway, kNghttpx, kHaproxy, kNginx };

// Whose records they are: user space's, or the kernel's in one direction or both.
enum class KernelTls { kOff, kTx, kRxTx };
// What is measured instead of calls.
enum class Handshakes { kNone, kFull, kResumed };

std::string_view name_of(KernelTls mode);
std::string_view name_of(GeneratorKind kind);
std::string_view name_of(ArmKind kind);

// One way to the origin, with what is special about its load. Two arms may be of one kind.
struct Arm {
  std::string name;
  ArmKind kind = ArmKind::kDirect;
  uint32_t shards = 1;             // ringway only
  uint32_t connections_times = 1;  // the shape's connections, multiplied: equal connections per shard
  bool vary_metadata = false;
  uint32_t paths = 1;
  uint32_t rounds = 0;                     // 0: every round; fewer for slow peers, spread evenly over the rounds
  bool is_tls = false;                     // from the generator to the proxy; the origin is called in cleartext
  KernelTls kernel_tls = KernelTls::kOff;  // ringway only
  Handshakes handshakes = Handshakes::kNone;
  std::vector<std::string> arguments;  // appended to the arm's command line
};

enum class Metric { kCpuPerRequest, kCpuPerByte, kMeanLatency, kEntersPerRequest, kSendsPerRequest, kRecordCosts };

// "This figure of this arm is at most `value`", where `against` is the arm it is divided by (empty for counts).
struct Limit {
  std::string arm;
  std::string key;  // as written in the file
  Metric metric = Metric::kCpuPerRequest;
  std::string against;
  double value = 0;
};

struct Shape {
  uint32_t connections = 1;
  uint32_t streams = 1;
  uint64_t requests = 0;  // 0: run for `duration_s`
  double duration_s = 0;
  std::vector<Limit> limits;
};

// An offered load: so many requests a second, or a share of what each arm itself reaches in a closed loop.
struct Rate {
  double value = 0;
  bool is_share = false;  // then `value` is 0 to 1
  std::string text() const;
};

enum class Placement {
  kSplit,   // the proxy on a CPU of its own, the generator and the origin on others
  kSpread,  // everything everywhere; only ringway's shards are pinned
};

struct Scenario {
  std::string path;
  std::string name;
  std::string description;
  std::vector<Shape> shapes;
  std::vector<GeneratorKind> generators;
  std::vector<Arm> arms;
  std::vector<Rate> rates;  // empty: closed loop
  std::string baseline;     // the arm of the column of ratios; empty: none
  uint32_t message_bytes = 32;
  uint32_t stream_messages = 1;
  bool is_pipelined = false;
  uint32_t endpoints = 1;
  uint32_t rounds = 7;
  Placement placement = Placement::kSplit;

  const Arm* find_arm(std::string_view arm) const;
};

// FILE:LINE:COLUMN: what is wrong and what is allowed.
struct ScenarioError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Throw ScenarioError. `path` names the text in messages.
Scenario parse_scenario(const std::string& text, const std::string& path);
Scenario load_scenario(const std::string& path);

}  // namespace ringway::bench
