// A YAML file as the readers of file.cc see it: elements that know their key path and place, maps that refuse keys
// nobody reads. Nothing here knows what the keys mean.
#pragma once

#include <yaml-cpp/yaml.h>

#include <cstdint>
#include <expected>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/limits.h"
#include "config/report.h"

namespace ringway::config {

struct Element {
  YAML::Node node;
  Place place;  // its key path, and where its value stands
};

// The one document in `text`; reports what is not YAML. Nothing for an empty file and after a report.
std::optional<Element> parse_document(const std::string& text, Report& report);

using Keys = std::span<const std::string_view>;

class Map {
 public:
  // Reports an element that is no map, keys that are neither in `known` nor in `later`, keys of `later` (part of the
  // design that this version does not have), and keys given twice. What is left can be found.
  Map(const Element& element, Report& report, Keys known, Keys later = {});
  Map(const Element& element, Report& report, std::initializer_list<std::string_view> known,
      std::initializer_list<std::string_view> later = {})
      : Map(element, report, Keys(known.begin(), known.end()), Keys(later.begin(), later.end())) {}

  std::optional<Element> find(std::string_view key) const;
  // Reports a missing key; `allowed` says what could stand there.
  std::optional<Element> require(std::string_view key, std::string_view allowed) const;

 private:
  bool is_readable(const std::string& key, const Place& place, Keys known, Keys later) const;

  Place place_;
  Report* report_;
  bool is_map_ = false;
  std::vector<std::pair<std::string, Element>> entries_;
};

// The pairs of a map whose keys are free text, in their order.
std::vector<std::pair<std::string, Element>> free_pairs(const Element& element, Report& report,
                                                        std::string_view allowed);

// The items of a list, numbered in their key paths. `allowed` is for the message when it is no list.
std::vector<Element> items(const Element& element, Report& report, std::string_view allowed);

// The text of a plain value; reports a list, a map and a missing value.
std::optional<std::string> scalar(const Element& element, Report& report, std::string_view allowed);

// Reads a number of the limits table into `out`; leaves it alone when the element is missing or wrong.
template <typename Integer>
void read_limited(const std::optional<Element>& element, Report& report, LimitId id, Integer& out) {
  if (!element) return;
  const auto text = scalar(*element, report, allowed_range(id));
  if (!text) return;
  if (const auto value = parse_limited(id, *text)) {
    out = static_cast<Integer>(*value);
  } else {
    report.add(element->place, value.error());
  }
}

// Reads one of a few words with a function that answers `expected<T, message>`.
template <typename T, typename Parse>
void read_value(const std::optional<Element>& element, Report& report, std::string_view allowed, Parse parse, T& out) {
  if (!element) return;
  const auto text = scalar(*element, report, allowed);
  if (!text) return;
  if (auto value = parse(*text)) {
    out = *std::move(value);
  } else {
    report.add(element->place, value.error());
  }
}

}  // namespace ringway::config
