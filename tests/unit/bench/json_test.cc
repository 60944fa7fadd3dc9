#include "json.h"

#include <gtest/gtest.h>

#include <limits>

namespace ringway::bench {
namespace {

TEST(Json, NestsObjectsAndLists) {
  JsonWriter json;
  json.begin_object();
  json.value("name", "x");
  json.begin_list("list");
  json.value("", 1);
  json.value("", true);
  json.end_list();
  json.begin_object("empty");
  json.end_object();
  json.end_object();
  EXPECT_EQ(json.text(), "{\n  \"name\": \"x\",\n  \"list\": [\n    1,\n    true\n  ],\n  \"empty\": {}\n}\n");
}

TEST(Json, EscapesWhatMustBe) {
  EXPECT_EQ(json_string("a\"b\\c\n\t\x01"), "\"a\\\"b\\\\c\\n\\t\\u0001\"");
}

TEST(Json, WritesNullForWhatIsNoNumber) {
  JsonWriter json;
  json.begin_list();
  json.value("", std::numeric_limits<double>::infinity());
  json.value("", std::optional<double>());
  json.value("", std::optional<double>(0.5));
  json.end_list();
  EXPECT_EQ(json.text(), "[\n  null,\n  null,\n  0.5\n]\n");
}

}  // namespace
}  // namespace ringway::bench
