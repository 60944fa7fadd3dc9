#include "routing/route_table.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace ringway::routing {
namespace {

using config::PathMatch;
using config::RouteConfig;
using h2::KnownName;

RouteConfig route(PathMatch match, std::string path, std::string authority = "",
                  std::vector<std::pair<std::string, std::string>> headers = {}) {
  RouteConfig made;
  made.path_match = match;
  made.path = std::move(path);
  made.authority = std::move(authority);
  made.headers = std::move(headers);
  return made;
}

// The answer for a request whose fields are literals.
uint32_t match(const std::vector<RouteConfig>& routes, std::string_view path, std::string_view authority = "",
               const std::vector<std::pair<std::string, std::string>>& headers = {}) {
  RouteTable table(routes);
  std::vector<h2::Field> fields;
  fields.push_back(h2::make_field(KnownName::kPath, path));
  fields.push_back(h2::make_field(KnownName::kAuthority, authority));
  for (const auto& [name, value] : headers) fields.push_back(h2::make_field(name, KnownName::kNone, value));
  return table.match(fields[0], authority.empty() ? nullptr : &fields[1], fields);
}

TEST(RouteTable, WithoutRoutesNothingMatches) {
  EXPECT_EQ(match({}, "/a"), kNoRoute);
}

TEST(RouteTable, Prefix) {
  const std::vector<RouteConfig> routes = {route(PathMatch::kPrefix, "/shop")};
  EXPECT_EQ(match(routes, "/shop"), 0u);
  EXPECT_EQ(match(routes, "/shop.Cart/Add"), 0u);
  EXPECT_EQ(match(routes, "/sho"), kNoRoute);
  EXPECT_EQ(match(routes, "/Shop"), kNoRoute) << "paths have case";
  EXPECT_EQ(match(routes, "/a/shop"), kNoRoute);
}

TEST(RouteTable, ExactWithAndWithoutQuery) {
  const std::vector<RouteConfig> routes = {route(PathMatch::kExact, "/shop.Cart/Add")};
  EXPECT_EQ(match(routes, "/shop.Cart/Add"), 0u);
  EXPECT_EQ(match(routes, "/shop.Cart/Add?dry=1"), 0u);
  EXPECT_EQ(match(routes, "/shop.Cart/Add?"), 0u);
  EXPECT_EQ(match(routes, "/shop.Cart/Add/"), kNoRoute);
  EXPECT_EQ(match(routes, "/shop.Cart/AddAll"), kNoRoute);
  EXPECT_EQ(match(routes, "/shop.Cart/Ad"), kNoRoute);
}

TEST(RouteTable, AServiceIsAPrefixThatEndsInASlash) {
  const std::vector<RouteConfig> routes = {route(PathMatch::kPrefix, "/shop.Cart/")};
  EXPECT_EQ(match(routes, "/shop.Cart/Add"), 0u);
  EXPECT_EQ(match(routes, "/shop.CartAdmin/Add"), kNoRoute);
}

TEST(RouteTable, AuthorityWithoutPortTakesEveryPort) {
  EXPECT_TRUE(authority_matches("shop.example", "shop.example"));
  EXPECT_TRUE(authority_matches("shop.example", "SHOP.example:8080"));
  EXPECT_TRUE(authority_matches("Shop.Example", "shop.example"));
  EXPECT_FALSE(authority_matches("shop.example", "shop.example.org"));
  EXPECT_FALSE(authority_matches("shop.example", "myshop.example"));
  EXPECT_FALSE(authority_matches("shop.example", ""));
  EXPECT_TRUE(authority_matches("[::1]", "[::1]:443"));
  EXPECT_TRUE(authority_matches("[::1]", "[::1]"));
  EXPECT_FALSE(authority_matches("[:", "[::1]")) << "the colons of an IPv6 address begin no port";
}

TEST(RouteTable, AuthorityWithPortTakesThatPort) {
  EXPECT_TRUE(authority_matches("shop.example:8080", "SHOP.example:8080"));
  EXPECT_FALSE(authority_matches("shop.example:8080", "shop.example:80"));
  EXPECT_FALSE(authority_matches("shop.example:8080", "shop.example"));
}

TEST(RouteTable, ARuleOnAuthorityNeedsOne) {
  const std::vector<RouteConfig> routes = {route(PathMatch::kAny, "", "shop.example")};
  EXPECT_EQ(match(routes, "/a", "shop.example:1"), 0u);
  EXPECT_EQ(match(routes, "/a", "other.example"), kNoRoute);
  EXPECT_EQ(match(routes, "/a"), kNoRoute);
}

TEST(RouteTable, AllHeadersMustBeThereWithTheirValues) {
  const std::vector<RouteConfig> routes = {
      route(PathMatch::kAny, "", "", {{"x-tenant", "blue"}, {"x-canary", "1"}}),
      route(PathMatch::kPrefix, "/a", "", {{"x-tenant", "blue"}}),
  };
  EXPECT_EQ(match(routes, "/a", "", {{"x-canary", "1"}, {"x-tenant", "blue"}}), 0u);
  EXPECT_EQ(match(routes, "/a", "", {{"x-tenant", "blue"}}), 1u);
  EXPECT_EQ(match(routes, "/a", "", {{"x-tenant", "green"}, {"x-tenant", "blue"}}), 1u) << "any of several fields";
  EXPECT_EQ(match(routes, "/a", "", {{"x-tenant", "Blue"}}), kNoRoute);
  EXPECT_EQ(match(routes, "/b", "", {{"x-tenant", "blue"}}), kNoRoute);
  EXPECT_EQ(match(routes, "/a"), kNoRoute);
}

TEST(RouteTable, TheFirstThatMatchesWins) {
  const std::vector<RouteConfig> routes = {
      route(PathMatch::kExact, "/a.B/C", "one.example"),
      route(PathMatch::kPrefix, "/a.B/"),
      route(PathMatch::kExact, "/a.B/D"),  // never reached
      route(PathMatch::kPrefix, "/", "two.example"),
      route(PathMatch::kAny, ""),
  };
  EXPECT_EQ(match(routes, "/a.B/C", "one.example"), 0u);
  EXPECT_EQ(match(routes, "/a.B/C", "two.example"), 1u);
  EXPECT_EQ(match(routes, "/a.B/D"), 1u);
  EXPECT_EQ(match(routes, "/x", "two.example"), 3u);
  EXPECT_EQ(match(routes, "/x", "one.example"), 4u);
}

TEST(RouteTable, ARouteForEverythingTakesEverything) {
  for (const RouteConfig& all : {route(PathMatch::kAny, ""), route(PathMatch::kPrefix, "/")}) {
    EXPECT_EQ(match({all, route(PathMatch::kExact, "/a")}, "/a", "x"), 0u);
  }
  // "*" is the path of an OPTIONS request: any path is not the same as every path with a slash.
  EXPECT_EQ(match({route(PathMatch::kPrefix, "/", "x"), route(PathMatch::kAny, "")}, "*", "x"), 1u);
}

// Interned fields, whose answers are remembered.
class RouteMemo : public testing::Test {
 protected:
  h2::Field field(KnownName name, std::string_view value, h2::FieldInterner& interner) {
    h2::Field made{};
    made.record = interner.intern(h2::text_of(name), name, value, 0);
    EXPECT_NE(made.record, nullptr);
    made.known = name;
    return made;
  }
};

TEST_F(RouteMemo, GivesTheSameAnswersEachTime) {
  const std::vector<RouteConfig> routes = {
      route(PathMatch::kPrefix, "/a/", "one.example", {{"x-canary", "1"}}),
      route(PathMatch::kPrefix, "/a/", "one.example"),
      route(PathMatch::kPrefix, "/a/"),
  };
  h2::FieldInterner interner(1, 1 << 20);
  RouteTable table(routes);
  const h2::Field in_a = field(KnownName::kPath, "/a/x", interner);
  const h2::Field in_b = field(KnownName::kPath, "/b/x", interner);
  const h2::Field one = field(KnownName::kAuthority, "one.example:80", interner);
  const h2::Field two = field(KnownName::kAuthority, "two.example", interner);
  const h2::Field canary[] = {h2::make_field("x-canary", KnownName::kNone, "1")};
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(table.match(in_a, &one, {}), 1u);
    EXPECT_EQ(table.match(in_a, &one, canary), 0u) << "header fields are looked at each time";
    EXPECT_EQ(table.match(in_a, &two, canary), 2u);
    EXPECT_EQ(table.match(in_a, nullptr, canary), 2u);
    EXPECT_EQ(table.match(in_b, &one, canary), kNoRoute);
  }
}

TEST_F(RouteMemo, ManyMorePathsThanMemos) {
  std::vector<RouteConfig> routes;
  for (int i = 0; i < 600; ++i) routes.push_back(route(PathMatch::kExact, "/" + std::to_string(i)));
  h2::FieldInterner interner(1, 1 << 20);
  RouteTable table(routes);
  std::vector<h2::Field> paths;
  for (int i = 0; i < 600; ++i) paths.push_back(field(KnownName::kPath, routes[static_cast<size_t>(i)].path, interner));
  for (int round = 0; round < 2; ++round) {
    for (uint32_t i = 0; i < 600; ++i) ASSERT_EQ(table.match(paths[i], nullptr, {}), i);
  }
}

TEST_F(RouteMemo, AnIndexInItsNextUseIsNotMistaken) {
  const std::vector<RouteConfig> routes = {route(PathMatch::kExact, "/first"), route(PathMatch::kExact, "/other")};
  // Room for one record beside the static ones, so that the second takes over the first one's index.
  h2::FieldInterner interner(1, 60);
  RouteTable table(routes);
  const h2::Field first = field(KnownName::kPath, "/first", interner);
  const uint32_t index = first.record->index;
  const uint32_t generation = first.record->generation;
  EXPECT_EQ(table.match(first, nullptr, {}), 0u);
  interner.release(*first.record);
  interner.begin_epoch();
  const h2::Field other = field(KnownName::kPath, "/other", interner);
  ASSERT_EQ(other.record->index, index);
  ASSERT_NE(other.record->generation, generation);
  EXPECT_EQ(table.match(other, nullptr, {}), 1u);
}

}  // namespace
}  // namespace ringway::routing
