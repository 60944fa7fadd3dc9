// What the threads of a run saw, and the part of the run that each of them does.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "client_connection.h"
#include "stats/histogram.h"

namespace ringway::load {

// What the TLS connections of a run agreed on, and how long it took.
struct HandshakeResult {
  std::map<std::string, uint64_t> kinds;  // as in "TLSv1.3 AES-128-GCM X25519": of all finished handshakes
  uint64_t resumed_count = 0;
  stats::Histogram duration;  // from the connection's standing to the client's Finished

  void add(const ClientConnection& connection);
  void merge(const HandshakeResult& other);
};

// What a worker saw; those of all workers add up.
struct Result {
  stats::Histogram latency;  // from the intended start, of calls that succeeded
  stats::Histogram latency_from_send;
  stats::Histogram schedule_lag;  // intended start to send, of all recorded calls
  stats::Histogram own_lag;       // the same, of calls that did not wait for a free slot: the generator's own fault
  std::map<std::string, uint64_t> errors;
  uint64_t request_count = 0;  // recorded calls that ended, well or not
  uint64_t success_count = 0;
  uint64_t blocked_count = 0;  // recorded calls that waited because connections x streams were in flight
  uint64_t sent_bytes = 0;     // on the sockets, all of the run
  uint64_t received_bytes = 0;
  uint64_t message_bytes = 0;  // of recorded calls, both ways, prefixes included
  double duration_s = 0;       // of the recorded part
  double cpu_s = 0;            // of this thread in it, user and system
  double busiest = 0;          // the largest cpu_s / duration_s of a thread
  uint64_t enter_count = 0;    // io_uring_enter calls, all of the run
  HandshakeResult handshakes;

  void merge(const Result& other);
};

// The part of the run that one of `thread_count` threads does.
struct Share {
  uint64_t index;
  uint64_t thread_count;
  uint32_t connections;
  uint64_t requests;  // 0: by duration
};

// Which part of a run is recorded: from the end of the warm-up to the end of its time or, where the run is counted, to
// its last answer. The processor time of this thread in it goes with it.
struct RecordedTime {
  uint64_t record_ns = 0;  // kNever_ns: the run was ended before
  uint64_t end_ns = 0;     // kNever_ns when the run is counted

  // `duration_ns` 0: counted.
  void begin(uint64_t now_ns, uint64_t warmup_ns, uint64_t duration_ns) noexcept;
  // Once a turn. `is_over`: nothing is in progress and nothing more will be.
  void note(uint64_t now_ns, bool is_over, Result& result) noexcept;
  // Ends the run now; within the warm-up nothing was recorded, and nothing will be.
  void cut(uint64_t now_ns) noexcept;

 private:
  uint64_t cpu_at_record_ns_ = 0;
  bool is_recording_ = false;
  bool has_ended_ = false;
};

}  // namespace ringway::load
