// How much of the memory that the process may have it uses: what the control thread tells the shards, four times a
// second (limits.process_memory).
#pragma once

#include <cstdint>
#include <expected>
#include <string>

#include "io/socket.h"
#include "proxy/proxy.h"

namespace ringway::control {

// What `resident` of `allowed` bytes means. From 80, 92 and 95 % on; 0 allowed bytes: no limit is known.
proxy::Pressure pressure_of(uint64_t resident, uint64_t allowed) noexcept;

// The memory that this process may have: that of its control group (version 2) or of the nearest above it that has a
// limit, else that of the machine. `root` is "/", or a test's folder with /proc and /sys in it. 0: nothing could be
// read.
uint64_t memory_limit(const std::string& root);

class MemoryWatch {
 public:
  static constexpr uint64_t kInterval_ns = 250 * base::kMillisecond_ns;

  // `configured` 0: memory_limit("/"). The error is a sentence.
  static std::expected<MemoryWatch, std::string> create(uint64_t configured);

  uint64_t allowed() const noexcept { return allowed_; }
  // Reads the process's resident set.
  uint64_t resident() const noexcept;
  proxy::Pressure pressure() const noexcept { return pressure_of(resident(), allowed_); }

 private:
  MemoryWatch(io::Fd statm, uint64_t allowed) noexcept : statm_(std::move(statm)), allowed_(allowed) {}

  io::Fd statm_;
  uint64_t allowed_;
};

}  // namespace ringway::control
