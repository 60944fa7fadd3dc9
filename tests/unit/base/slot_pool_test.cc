#include "base/slot_pool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "base/prng.h"

namespace ringway::base {
namespace {

// Counts the living, so that a destructor that is left out or run twice shows.
struct Tenant {
  explicit Tenant(int* living_count, int given = 0) : living(living_count), value(given) { ++*living; }
  Tenant(const Tenant&) = delete;
  Tenant& operator=(const Tenant&) = delete;
  ~Tenant() { --*living; }

  int* living;
  int value;
};

TEST(SlotPool, DefaultHandleResolvesToNull) {
  int living = 0;
  SlotPool<Tenant> pool(4);
  EXPECT_EQ(pool.find({}), nullptr);
  ASSERT_NE(pool.create(&living), nullptr);
  EXPECT_EQ(pool.find({}), nullptr);
  EXPECT_FALSE(Handle<Tenant>{});
}

TEST(SlotPool, HandleFindsItsObjectUntilItDies) {
  int living = 0;
  SlotPool<Tenant> pool(4);
  Tenant* first = pool.create(&living, 7);
  ASSERT_NE(first, nullptr);
  const Handle<Tenant> handle = pool.handle(*first);
  EXPECT_TRUE(handle);
  EXPECT_EQ(pool.find(handle), first);
  EXPECT_EQ(pool.find(handle)->value, 7);
  pool.destroy(*first);
  EXPECT_EQ(living, 0);
  EXPECT_EQ(pool.find(handle), nullptr);
}

TEST(SlotPool, StaleHandleDoesNotFindTheNextTenant) {
  int living = 0;
  SlotPool<Tenant> pool(1);
  Tenant* first = pool.create(&living);
  const Handle<Tenant> stale = pool.handle(*first);
  pool.destroy(*first);
  Tenant* second = pool.create(&living);
  ASSERT_EQ(second, first) << "the one slot is used again";
  EXPECT_EQ(pool.find(stale), nullptr);
  EXPECT_NE(pool.handle(*second), stale);
  EXPECT_EQ(pool.find(pool.handle(*second)), second);
  pool.destroy(*second);
}

TEST(SlotPool, ForeignIndexResolvesToNull) {
  SlotPool<int> pool(64);
  ASSERT_NE(pool.create(1), nullptr);
  EXPECT_EQ(pool.find({64, 1}), nullptr);
  EXPECT_EQ(pool.find({UINT32_MAX, 1}), nullptr);
  EXPECT_EQ(pool.find({1, 1}), nullptr) << "a slot that was never used";
}

// 64 slots make a chunk: the capacities around one and two chunks are the ones that could go wrong.
class SlotPoolCapacity : public testing::TestWithParam<uint32_t> {};

TEST_P(SlotPoolCapacity, CreatesUpToTheLimitAndNoFurther) {
  int living = 0;
  const uint32_t capacity = GetParam();
  SlotPool<Tenant> pool(capacity);
  std::vector<Tenant*> tenants;
  for (uint32_t count = 1; count <= capacity; ++count) {
    Tenant* tenant = pool.create(&living, static_cast<int>(count));
    ASSERT_NE(tenant, nullptr) << count;
    tenants.push_back(tenant);
    EXPECT_EQ(pool.live_count(), count);
  }
  EXPECT_EQ(pool.create(&living), nullptr);
  EXPECT_EQ(pool.live_count(), capacity);
  pool.destroy(*tenants.back());
  EXPECT_NE(pool.create(&living, -1), nullptr);
  EXPECT_EQ(pool.create(&living), nullptr);
  EXPECT_EQ(living, static_cast<int>(capacity));
  std::sort(tenants.begin(), tenants.end());
  EXPECT_EQ(std::adjacent_find(tenants.begin(), tenants.end()), tenants.end()) << "two objects at one place";
}

INSTANTIATE_TEST_SUITE_P(AroundAChunk, SlotPoolCapacity, testing::Values(1, 2, 63, 64, 65, 127, 128, 129));

TEST(SlotPool, CapacityOfZeroCreatesNothing) {
  SlotPool<int> pool(0);
  EXPECT_EQ(pool.create(1), nullptr);
}

TEST(SlotPool, AddressesStayWhileItGrows) {
  SlotPool<uint64_t> pool(1000);
  uint64_t* first = pool.create(42u);
  for (uint64_t count = 1; count < 1000; ++count) ASSERT_NE(pool.create(count), nullptr);
  EXPECT_EQ(pool.find(pool.handle(*first)), first);
  EXPECT_EQ(*first, 42u);
}

TEST(SlotPool, MemoryIsReusedInSteadyState) {
  SlotPool<uint64_t> pool(1000);
  for (uint64_t round = 0; round < 10'000; ++round) pool.destroy(*pool.create(round));
  EXPECT_EQ(pool.live_count(), 0u);
  const size_t reserved = pool.reserved_bytes();
  for (uint64_t count = 0; count < 64; ++count) ASSERT_NE(pool.create(count), nullptr);
  EXPECT_EQ(pool.reserved_bytes(), reserved) << "one chunk serves 64 objects";
}

TEST(SlotPool, DestroysWhatStillLives) {
  int living = 0;
  {
    SlotPool<Tenant> pool(100);
    std::vector<Tenant*> tenants;
    for (int count = 0; count < 100; ++count) tenants.push_back(pool.create(&living));
    for (size_t index = 0; index < 100; index += 2) pool.destroy(*tenants[index]);
    EXPECT_EQ(living, 50);
  }
  EXPECT_EQ(living, 0);
}

TEST(SlotPool, ForEachVisitsTheLivingAndMayDestroyThem) {
  int living = 0;
  SlotPool<Tenant> pool(100);
  for (int value = 0; value < 100; ++value) ASSERT_NE(pool.create(&living, value), nullptr);
  pool.for_each([&](Tenant& tenant) {
    if (tenant.value % 3 == 0) pool.destroy(tenant);
  });
  std::vector<int> left;
  pool.for_each([&](Tenant& tenant) { left.push_back(tenant.value); });
  EXPECT_EQ(left.size(), 66u);
  EXPECT_TRUE(std::none_of(left.begin(), left.end(), [](int value) { return value % 3 == 0; }));
}

// Creates, destroys and looks up at random; a list of what should be alive is the model.
TEST(SlotPool, AgreesWithAModel) {
  int living = 0;
  constexpr uint64_t kSeed = 20260101;
  Prng prng(kSeed);
  SlotPool<Tenant> pool(200);
  std::vector<std::pair<Handle<Tenant>, int>> alive;
  std::vector<Handle<Tenant>> dead;
  for (int step = 0; step < 20'000; ++step) {
    if (prng.below(2) == 0) {
      Tenant* made = pool.create(&living, step);
      ASSERT_EQ(made == nullptr, alive.size() == 200);
      if (made != nullptr) alive.emplace_back(pool.handle(*made), step);
    } else if (!alive.empty()) {
      const size_t index = prng.below(static_cast<uint32_t>(alive.size()));
      Tenant* found = pool.find(alive[index].first);
      ASSERT_NE(found, nullptr) << "seed " << kSeed << " step " << step;
      ASSERT_EQ(found->value, alive[index].second);
      pool.destroy(*found);
      dead.push_back(alive[index].first);
      alive[index] = alive.back();
      alive.pop_back();
    }
    ASSERT_EQ(pool.live_count(), alive.size());
    ASSERT_EQ(living, static_cast<int>(alive.size()));
    if (!dead.empty()) {
      ASSERT_EQ(pool.find(dead[prng.below(static_cast<uint32_t>(dead.size()))]), nullptr);
    }
  }
}

TEST(SlotPoolDeathTest, DestroyingTwiceIsABug) {
  SlotPool<uint64_t> pool(2);
  uint64_t* object = pool.create(1u);
  pool.destroy(*object);
  EXPECT_DEATH(pool.destroy(*object), "assertion failed");
}

TEST(SlotPool, AReferenceToADeadObjectResolvesToNull) {
  SlotPool<int> pool(2);
  EXPECT_EQ(pool.find(Reference<int>{}), nullptr);
  int& first = *pool.create(1);
  const Reference<int> reference = pool.reference(first);
  EXPECT_EQ(pool.find(reference), &first);
  pool.destroy(first);
  EXPECT_EQ(pool.find(reference), nullptr);
  int& next = *pool.create(2);
  ASSERT_EQ(&next, &first) << "the slot is used again";
  EXPECT_EQ(pool.find(reference), nullptr);
  EXPECT_EQ(pool.find(pool.reference(next)), &next);
  pool.destroy(next);
}

}  // namespace
}  // namespace ringway::base
