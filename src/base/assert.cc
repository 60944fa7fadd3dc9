#include "base/assert.h"

#include <cstdio>
#include <cstdlib>

namespace ringway::base {

void assertion_failed(const char* condition, const char* file, int line) noexcept {
  std::fprintf(stderr, "ringway: assertion failed: %s (%s:%d)\n", condition, file, line);
  std::abort();
}

}  // namespace ringway::base
