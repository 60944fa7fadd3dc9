// How many connections each client address has, over all shards, where limits.per_source asks for it. Looked at when a
// connection comes and goes, never by a request, so that a lock is good enough.
#pragma once

#include <cstdint>
#include <mutex>
#include <vector>

#include "io/network.h"

namespace ringway::shard {

using io::Source;

class SourceTable {
 public:
  // One more connection of `source`; false, and nothing is counted, where it has `most` already. Those without an
  // address (io::source_of) are not counted. Any thread.
  bool add(const Source& source, uint32_t most);
  void remove(const Source& source);
  // Addresses that have connections.
  uint32_t size() const;

 private:
  struct Entry {
    Source source;
    uint32_t count = 0;  // 0: free
  };
  uint32_t home(const Source& source) const noexcept;
  uint32_t find(const Source& source) const noexcept;
  void grow();

  mutable std::mutex mutex_;
  std::vector<Entry> entries_;  // open addressing, never more than half full; a power of two
  uint32_t used_ = 0;
};

}  // namespace ringway::shard
