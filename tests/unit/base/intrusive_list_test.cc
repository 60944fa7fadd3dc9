#include "base/intrusive_list.h"

#include <gtest/gtest.h>

#include <array>
#include <vector>

namespace ringway::base {
namespace {

struct ByAge : ListLink {};
struct ByName : ListLink {};

struct Element : ByAge, ByName {
  explicit Element(int given) : value(given) {}
  int value;
};

using AgeList = IntrusiveList<Element, ByAge>;
using NameList = IntrusiveList<Element, ByName>;

template <typename List>
std::vector<int> values(List& list) {
  std::vector<int> found;
  list.for_each([&](Element& element) { found.push_back(element.value); });
  return found;
}

TEST(IntrusiveList, KeepsTheOrderOfArrival) {
  Element one(1), two(2), three(3);
  AgeList list;
  EXPECT_TRUE(list.is_empty());
  list.push_back(one);
  list.push_back(two);
  list.push_back(three);
  EXPECT_EQ(values(list), (std::vector<int>{1, 2, 3}));
  EXPECT_EQ(list.front().value, 1);
  EXPECT_EQ(list.pop_front().value, 1);
  EXPECT_EQ(list.pop_front().value, 2);
  EXPECT_EQ(list.pop_front().value, 3);
  EXPECT_TRUE(list.is_empty());
}

TEST(IntrusiveList, AnyElementLeavesByItself) {
  std::array<Element, 3> elements{Element(1), Element(2), Element(3)};
  for (size_t leaving = 0; leaving < elements.size(); ++leaving) {
    AgeList list;
    for (Element& element : elements) list.push_back(element);
    static_cast<ByAge&>(elements[leaving]).unlink();
    EXPECT_FALSE(static_cast<ByAge&>(elements[leaving]).is_linked());
    std::vector<int> expected;
    for (size_t index = 0; index < elements.size(); ++index) {
      if (index != leaving) expected.push_back(elements[index].value);
    }
    EXPECT_EQ(values(list), expected);
    list.push_back(elements[leaving]);
    expected.push_back(elements[leaving].value);
    EXPECT_EQ(values(list), expected);
    while (!list.is_empty()) list.pop_front();
  }
}

TEST(IntrusiveList, OneElementIsInTwoLists) {
  Element one(1), two(2);
  AgeList ages;
  NameList names;
  ages.push_back(one);
  ages.push_back(two);
  names.push_back(two);
  names.push_back(one);
  EXPECT_EQ(values(ages), (std::vector<int>{1, 2}));
  EXPECT_EQ(values(names), (std::vector<int>{2, 1}));
  static_cast<ByAge&>(one).unlink();
  EXPECT_EQ(values(ages), (std::vector<int>{2}));
  EXPECT_EQ(values(names), (std::vector<int>{2, 1}));
}

TEST(IntrusiveList, TheVisitedElementMayLeave) {
  std::vector<Element> elements;
  for (int value = 0; value < 10; ++value) elements.emplace_back(value);
  AgeList list;
  for (Element& element : elements) list.push_back(element);
  list.for_each([](Element& element) {
    if (element.value % 2 == 0) static_cast<ByAge&>(element).unlink();
  });
  EXPECT_EQ(values(list), (std::vector<int>{1, 3, 5, 7, 9}));
}

TEST(IntrusiveListDeathTest, MisuseIsABug) {
  Element one(1);
  AgeList list;
  EXPECT_DEATH(list.front(), "assertion failed");
  EXPECT_DEATH(static_cast<ByAge&>(one).unlink(), "assertion failed");
  list.push_back(one);
  EXPECT_DEATH(list.push_back(one), "assertion failed");
}

}  // namespace
}  // namespace ringway::base
