#include "config/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <tuple>
#include <utility>

namespace ringway::config {

void Report::add(const Place& place, std::string what) {
  findings_.push_back({place, std::move(what), findings_.size()});
}

std::string Report::text() const {
  std::vector<Finding> sorted = findings_;
  std::ranges::sort(sorted, {}, [](const Finding& finding) {
    return std::tuple(finding.place.line, finding.place.column, finding.order);
  });
  std::string text;
  for (const Finding& finding : sorted) {
    if (&finding == sorted.data() + kShownMax) {
      fmt::format_to(std::back_inserter(text), "ringway: and {} more\n", sorted.size() - kShownMax);
      break;
    }
    const Place& place = finding.place;
    text += place.line == 0 ? "ringway: " : fmt::format("{}:{}:{}: ", file_, place.line, place.column);
    if (!place.key.empty()) text += place.key + ": ";
    text += finding.what + "\n";
  }
  return text;
}

}  // namespace ringway::config
