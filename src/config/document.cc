#include "config/document.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <yaml-cpp/depthguard.h>
#include <yaml-cpp/eventhandler.h>

#include <algorithm>
#include <sstream>
#include <utility>

#include "config/values.h"

namespace ringway::config {
namespace {

// yaml-cpp counts from 0, editors from 1.
void set_mark(Place& place, const YAML::Mark& mark) {
  if (mark.is_null()) return;
  place.line = static_cast<uint32_t>(mark.line + 1);
  place.column = static_cast<uint32_t>(mark.column + 1);
}

std::string kind(const YAML::Node& node) {
  switch (node.Type()) {
    case YAML::NodeType::Map: return "a map";
    case YAML::NodeType::Sequence: return "a list";
    case YAML::NodeType::Scalar: return quote(node.Scalar());
    default: return "nothing";
  }
}

bool contains(Keys keys, std::string_view key) {
  return std::ranges::find(keys, key) != keys.end();
}

// A key as it stands in a path: whatever it is, on one line and not too long.
std::string path_below(const std::string& parent, const std::string& key) {
  const std::string quoted = quote(key);
  const std::string name = quoted.substr(1, quoted.size() - 2);
  return parent.empty() ? name : parent + "." + name;
}

// A value that is left out has the mark of whatever follows it, so its key's place is the better one.
Element child(const Place& parent, const std::string& key, const YAML::Node& key_node, const YAML::Node& value) {
  Element element{value, {path_below(parent.key, key), parent.line, parent.column}};
  set_mark(element.place, value.IsNull() ? key_node.Mark() : value.Mark());
  return element;
}

// Where a document begins; of what it holds, nothing.
class DocumentStart : public YAML::EventHandler {
 public:
  YAML::Mark mark;

  void OnDocumentStart(const YAML::Mark& start) override { mark = start; }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t, const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}
};

// Where a second document begins, if one does. A loop over all documents, as in YAML::LoadAll(), has no end: what the
// parser cannot begin a document with, such as a comma, it passes over as an empty one and never steps beyond it.
std::optional<YAML::Mark> second_document(const std::string& text) {
  std::istringstream stream(text);
  YAML::Parser parser(stream);
  DocumentStart start;
  if (!parser.HandleNextDocument(start) || !parser.HandleNextDocument(start)) return std::nullopt;
  return start.mark;
}

}  // namespace

std::optional<Element> parse_document(const std::string& text, Report& report) {
  try {
    if (const auto second = second_document(text)) {
      Place place{"", 1, 1};
      set_mark(place, *second);
      report.add(place, "a second YAML document begins here, allowed: one document");
      return std::nullopt;
    }
    const YAML::Node document = YAML::Load(text);
    if (document.IsNull()) return std::nullopt;
    Element root{document, {"", 1, 1}};
    set_mark(root.place, document.Mark());
    return root;
  } catch (const YAML::DeepRecursion&) {
    report.add({"", 1, 1}, "lists and maps are nested too deeply");
    return std::nullopt;
  } catch (const YAML::Exception& error) {
    Place place{"", 1, 1};
    set_mark(place, error.mark);
    report.add(place, fmt::format("this is not YAML: {}", error.msg));
    return std::nullopt;
  }
}

Map::Map(const Element& element, Report& report, Keys known, Keys later) : place_(element.place), report_(&report) {
  is_map_ = element.node.IsMap();
  if (!is_map_) {
    report.add(place_,
               fmt::format("{} stands where a map belongs, allowed: {}", kind(element.node), fmt::join(known, ", ")));
    return;
  }
  for (const auto& pair : element.node) {
    Place place = place_;
    set_mark(place, pair.first.Mark());
    if (!pair.first.IsScalar()) {
      report.add(place,
                 fmt::format("{} stands where a key belongs, allowed: {}", kind(pair.first), fmt::join(known, ", ")));
      continue;
    }
    const std::string& key = pair.first.Scalar();
    if (is_readable(key, place, known, later)) entries_.emplace_back(key, child(place_, key, pair.first, pair.second));
  }
}

bool Map::is_readable(const std::string& key, const Place& place, Keys known, Keys later) const {
  Place with_key = place;
  with_key.key = path_below(place_.key, key);
  if (contains(later, key)) {
    report_->add(with_key,
                 fmt::format("{} is not supported by this version, allowed: {}", quote(key), fmt::join(known, ", ")));
    return false;
  }
  if (!contains(known, key)) {
    report_->add(with_key, fmt::format("unknown key {}, allowed: {}", quote(key), fmt::join(known, ", ")));
    return false;
  }
  if (find(key)) {
    report_->add(with_key, fmt::format("the key {} is given twice, allowed: each key once", quote(key)));
    return false;
  }
  return true;
}

std::optional<Element> Map::find(std::string_view key) const {
  for (const auto& [name, element] : entries_) {
    if (name == key) return element;
  }
  return std::nullopt;
}

std::optional<Element> Map::require(std::string_view key, std::string_view allowed) const {
  auto element = find(key);
  if (!element && is_map_) report_->add(place_, fmt::format("the key '{}' is missing, allowed: {}", key, allowed));
  return element;
}

std::vector<std::pair<std::string, Element>> free_pairs(const Element& element, Report& report,
                                                        std::string_view allowed) {
  std::vector<std::pair<std::string, Element>> pairs;
  if (!element.node.IsMap()) {
    report.add(element.place, fmt::format("{} stands where a map belongs, allowed: {}", kind(element.node), allowed));
    return pairs;
  }
  for (const auto& pair : element.node) {
    if (pair.first.IsScalar()) {
      pairs.emplace_back(pair.first.Scalar(), child(element.place, pair.first.Scalar(), pair.first, pair.second));
      continue;
    }
    Place place = element.place;
    set_mark(place, pair.first.Mark());
    report.add(place, fmt::format("{} stands where a key belongs, allowed: {}", kind(pair.first), allowed));
  }
  return pairs;
}

std::vector<Element> items(const Element& element, Report& report, std::string_view allowed) {
  std::vector<Element> result;
  if (!element.node.IsSequence()) {
    report.add(element.place, fmt::format("{} stands where a list belongs, allowed: {}", kind(element.node), allowed));
    return result;
  }
  if (element.node.size() == 0) report.add(element.place, fmt::format("the list is empty, allowed: {}", allowed));
  for (size_t i = 0; i < element.node.size(); ++i) {
    Element item{element.node[i], element.place};
    item.place.key += fmt::format("[{}]", i);
    set_mark(item.place, item.node.Mark());
    result.push_back(std::move(item));
  }
  return result;
}

std::optional<std::string> scalar(const Element& element, Report& report, std::string_view allowed) {
  if (element.node.IsScalar()) return element.node.Scalar();
  report.add(element.place, element.node.IsNull() ? fmt::format("the value is missing, allowed: {}", allowed)
                                                  : fmt::format("{} stands where one value belongs, allowed: {}",
                                                                kind(element.node), allowed));
  return std::nullopt;
}

}  // namespace ringway::config
