// Which route takes a request: an ordered list of rules on path, authority and header fields, the first that matches
// wins. Pure decisions; built from a listener of the configuration, owned by one shard.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/snapshot.h"
#include "h2/field.h"

namespace ringway::routing {

inline constexpr uint32_t kNoRoute = UINT32_MAX;

class RouteTable {
 public:
  // `routes` outlive the table.
  explicit RouteTable(const std::vector<config::RouteConfig>& routes);

  // The index of the route for these fields, or kNoRoute. `path` and `authority` may be interned: then the answer is
  // remembered by their records.
  uint32_t match(const h2::Field& path, const h2::Field* authority, std::span<const h2::Field> fields) noexcept {
    return is_catch_all_ ? 0 : search(path, authority, fields);
  }

  // The first route takes everything.
  bool is_catch_all() const noexcept { return is_catch_all_; }
  // False: match() needs no fields but those two.
  bool reads_fields() const noexcept { return has_header_rules_ && !is_catch_all_; }

 private:
  // The routes that path and authority admit, in order; which of them it is may still depend on header fields.
  struct Memo {
    uint32_t path_index = UINT32_MAX;
    uint32_t path_generation = 0;
    uint32_t authority_index = UINT32_MAX;
    uint32_t authority_generation = 0;
    uint32_t first_candidate = kNoRoute;
  };

  static constexpr uint32_t kMemos = 256;

  uint32_t search(const h2::Field& path, const h2::Field* authority, std::span<const h2::Field> fields) noexcept;
  uint32_t next_candidate(uint32_t from, std::string_view path, std::string_view authority) const noexcept;
  static bool headers_match(const config::RouteConfig& route, std::span<const h2::Field> fields) noexcept;

  const std::vector<config::RouteConfig>& routes_;
  bool is_catch_all_ = false;
  bool has_header_rules_ = false;
  std::vector<Memo> memos_;
};

// True for "shop.example" against "shop.example", "SHOP.example:8080", but not against "shop.example.org".
bool authority_matches(std::string_view wanted, std::string_view authority) noexcept;

}  // namespace ringway::routing
