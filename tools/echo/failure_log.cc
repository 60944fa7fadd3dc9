#include "failure_log.h"

#include <fmt/format.h>

#include <cstdio>

namespace ringway::echo {

void FailureLog::add(const std::string& text) {
  const std::lock_guard lock(mutex_);
  if (texts_.size() == kTexts_max || !texts_.insert(text).second) return;
  std::fputs(fmt::format("ringway-echo: a connection ended: {} (further ones like it are not told)\n", text).c_str(),
             stderr);
}

}  // namespace ringway::echo
