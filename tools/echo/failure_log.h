// What clients did wrong before a call could begin, on standard error: each kind once, because thousands of connections
// may fail alike. Any thread.
#pragma once

#include <mutex>
#include <set>
#include <string>

namespace ringway::echo {

class FailureLog {
 public:
  void add(const std::string& text);

 private:
  // More kinds than this are not told: a text may hold what the client has sent.
  static constexpr size_t kTexts_max = 100;

  std::mutex mutex_;
  std::set<std::string> texts_;
};

}  // namespace ringway::echo
