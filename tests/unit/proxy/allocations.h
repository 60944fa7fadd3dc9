// Counts what the memory allocator is asked for while a scope is open. The executable's own operator new and, by the
// linker's --wrap, every malloc of the code under test come by here; nothing outside a scope is counted.
#pragma once

#include <cstdint>

namespace ringway::proxy {

class AllocationScope {
 public:
  AllocationScope() noexcept { ++depth; }
  AllocationScope(const AllocationScope&) = delete;
  AllocationScope& operator=(const AllocationScope&) = delete;
  ~AllocationScope() { --depth; }

  static inline uint32_t depth = 0;
  static inline uint64_t count = 0;
};

}  // namespace ringway::proxy
