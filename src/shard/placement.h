// Which shard takes a new connection. gRPC connections are few and live long, so that a hash leaves shards idle: the
// shard with the fewest takes it, and is charged at once, so that a burst does not land on one (DESIGN 3.8).
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "shard/source_table.h"

namespace ringway::shard {

class Placement {
 public:
  explicit Placement(uint32_t shards) : shards_(shards), counts_(std::make_unique<Count[]>(shards)) {}

  // Any thread. The shard with the fewest connections, `preferred` among equals; it is charged with one.
  uint32_t choose(uint32_t preferred) noexcept {
    uint32_t best = preferred;
    uint32_t best_count = counts_[preferred].value.load(std::memory_order_relaxed);
    for (uint32_t i = 0; i < shards_; ++i) {
      const uint32_t count = counts_[i].value.load(std::memory_order_relaxed);
      if (count < best_count) {
        best = i;
        best_count = count;
      }
    }
    counts_[best].value.fetch_add(1, std::memory_order_relaxed);
    return best;
  }

  void charge(uint32_t shard) noexcept { counts_[shard].value.fetch_add(1, std::memory_order_relaxed); }
  void discharge(uint32_t shard) noexcept { counts_[shard].value.fetch_sub(1, std::memory_order_relaxed); }
  // Of all shards, at some moment.
  uint32_t total() const noexcept {
    uint32_t sum = 0;
    for (uint32_t i = 0; i < shards_; ++i) sum += count(i);
    return sum;
  }
  // Sockets of clients and endpoints, of all shards.
  void opened() noexcept { open_sockets_.fetch_add(1, std::memory_order_relaxed); }
  void closed() noexcept { open_sockets_.fetch_sub(1, std::memory_order_relaxed); }
  uint32_t open_sockets() const noexcept { return open_sockets_.load(std::memory_order_relaxed); }

  SourceTable sources;

  uint32_t count(uint32_t shard) const noexcept { return counts_[shard].value.load(std::memory_order_relaxed); }

 private:
  struct alignas(64) Count {
    std::atomic<uint32_t> value{0};
  };

  uint32_t shards_;
  std::unique_ptr<Count[]> counts_;
  std::atomic<uint32_t> open_sockets_{0};
};

}  // namespace ringway::shard
