#include "routing/route_table.h"

namespace ringway::routing {
namespace {

char lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

bool equals_without_case(std::string_view a, std::string_view b) noexcept {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (lower(a[i]) != lower(b[i])) return false;
  }
  return true;
}

bool path_matches(const config::RouteConfig& route, std::string_view path) noexcept {
  switch (route.path_match) {
    case config::PathMatch::kAny: return true;
    case config::PathMatch::kPrefix: return path.starts_with(route.path);
    case config::PathMatch::kExact:
      // A query is not part of a method's path.
      return path.substr(0, path.find('?')) == route.path;
  }
  return false;
}

}  // namespace

bool authority_matches(std::string_view wanted, std::string_view authority) noexcept {
  if (equals_without_case(wanted, authority)) return true;
  // A rule without a port takes every port; the colons inside an IPv6 literal are before its bracket.
  const size_t colon = authority.rfind(':');
  if (colon == std::string_view::npos || authority.find(']', colon) != std::string_view::npos) return false;
  return equals_without_case(wanted, authority.substr(0, colon));
}

RouteTable::RouteTable(const std::vector<config::RouteConfig>& routes) : routes_(routes), memos_(kMemos) {
  for (const config::RouteConfig& route : routes) has_header_rules_ |= !route.headers.empty();
  if (routes.empty()) return;
  const config::RouteConfig& first = routes.front();
  is_catch_all_ = (first.path_match == config::PathMatch::kAny ||
                   (first.path_match == config::PathMatch::kPrefix && first.path == "/")) &&
                  first.authority.empty() && first.headers.empty();
}

uint32_t RouteTable::next_candidate(uint32_t from, std::string_view path, std::string_view authority) const noexcept {
  for (uint32_t i = from; i < routes_.size(); ++i) {
    const config::RouteConfig& route = routes_[i];
    if (!path_matches(route, path)) continue;
    if (!route.authority.empty() && !authority_matches(route.authority, authority)) continue;
    return i;
  }
  return kNoRoute;
}

bool RouteTable::headers_match(const config::RouteConfig& route, std::span<const h2::Field> fields) noexcept {
  for (const auto& [name, value] : route.headers) {
    bool is_there = false;
    for (const h2::Field& field : fields) {
      if (field.name() == name && h2::has_value(field, value)) {
        is_there = true;
        break;
      }
    }
    if (!is_there) return false;
  }
  return true;
}

uint32_t RouteTable::search(const h2::Field& path, const h2::Field* authority,
                            std::span<const h2::Field> fields) noexcept {
  const std::string_view authority_value = authority != nullptr ? authority->value() : std::string_view();
  uint32_t candidate = kNoRoute;
  Memo* memo = nullptr;
  if (path.record != nullptr && (authority == nullptr || authority->record != nullptr)) {
    const h2::FieldRecord* record = authority != nullptr ? authority->record : nullptr;
    const uint32_t authority_index = record != nullptr ? record->index : UINT32_MAX;
    const uint32_t authority_generation = record != nullptr ? record->generation : 0;
    memo = &memos_[(path.record->index ^ (authority_index * 31)) % kMemos];
    if (memo->path_index != path.record->index || memo->path_generation != path.record->generation ||
        memo->authority_index != authority_index || memo->authority_generation != authority_generation) {
      *memo = {path.record->index, path.record->generation, authority_index, authority_generation,
               next_candidate(0, path.value(), authority_value)};
    }
    candidate = memo->first_candidate;
  } else {
    candidate = next_candidate(0, path.value(), authority_value);
  }
  while (candidate != kNoRoute && !headers_match(routes_[candidate], fields)) {
    candidate = next_candidate(candidate + 1, path.value(), authority_value);
  }
  return candidate;
}

}  // namespace ringway::routing
