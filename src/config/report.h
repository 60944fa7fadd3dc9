// Collects what is wrong with a configuration, so that one run tells of all of it. Messages read
//   FILE:LINE:COLUMN: key.path: what is wrong with 'value', allowed: …
//   ringway: --flag: what is wrong with 'value', allowed: …
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ringway::config {

// Where a value was written. A line of 0 means the command line; `key` is then the flag.
struct Place {
  std::string key;
  uint32_t line = 0;
  uint32_t column = 0;
};

class Report {
 public:
  // `file` as the user wrote it; empty where there is none.
  explicit Report(std::string file = {}) : file_(std::move(file)) {}

  void add(const Place& place, std::string what);
  bool is_clean() const noexcept { return findings_.empty(); }
  size_t count() const noexcept { return findings_.size(); }

  // One finding a line in the order of the file, flags first. Cut after kShownMax lines.
  std::string text() const;

  static constexpr size_t kShownMax = 50;

 private:
  struct Finding {
    Place place;
    std::string what;
    size_t order;  // as reported, for findings at the same place
  };

  std::string file_;
  std::vector<Finding> findings_;
};

}  // namespace ringway::config
