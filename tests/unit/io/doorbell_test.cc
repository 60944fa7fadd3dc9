#include "io/doorbell.h"

#include <gtest/gtest.h>

#include <thread>

#include "base/spsc_queue.h"

namespace ringway::io {
namespace {

TEST(Doorbell, RingsOnlyForThoseWhoRestDeepEnough) {
  auto bell = *Doorbell::create();
  bell->ring_if(Rest::kSleeping);
  bell->ring_if(Rest::kNapping);
  EXPECT_EQ(bell->ring_count(), 0u) << "awake";
  bell->announce(Rest::kNapping);
  bell->ring_if(Rest::kSleeping);
  EXPECT_EQ(bell->ring_count(), 0u) << "a nap ends by itself";
  bell->ring_if(Rest::kNapping);
  EXPECT_EQ(bell->ring_count(), 1u);
  bell->ring_if(Rest::kNapping);
  EXPECT_EQ(bell->ring_count(), 1u) << "once a rest";
  bell->wait(-1);
  bell->announce(Rest::kSleeping);
  bell->ring_if(Rest::kNapping);
  EXPECT_EQ(bell->ring_count(), 2u);
  bell->wait(-1);
}

TEST(Doorbell, ARingBeforeTheWaitIsNotLost) {
  auto bell = *Doorbell::create();
  bell->ring();
  bell->wait(-1);  // returns, or the test hangs
  bell->announce(Rest::kSleeping);
  bell->ring_if(Rest::kSleeping);
  bell->wait(-1);
}

TEST(Doorbell, ARestThatIsCalledOffNeedsNoRing) {
  auto bell = *Doorbell::create();
  bell->announce(Rest::kSleeping);
  bell->awake();
  bell->ring_if(Rest::kSleeping);
  EXPECT_EQ(bell->ring_count(), 0u);
}

TEST(Doorbell, NoWorkIsOversleptByEitherSide) {
  auto bell = *Doorbell::create();
  base::SpscQueue<int> work(16);
  base::SpscQueue<int> answers(16);
  constexpr int kCount = 20'000;
  std::thread worker([&] {
    for (int done = 0; done < kCount;) {
      if (const auto item = work.try_pop()) {
        answers.try_push(*item);
        ++done;
        continue;
      }
      bell->announce(Rest::kSleeping);
      if (!work.is_empty()) {
        bell->awake();
        continue;
      }
      bell->wait(-1);
    }
  });
  // One item at a time, so that the worker is about to fall asleep for each: a lost ring hangs here.
  for (int item = 0; item < kCount; ++item) {
    ASSERT_TRUE(work.try_push(item));
    bell->ring_if(Rest::kSleeping);
    while (true) {
      if (const auto answer = answers.try_pop()) {
        ASSERT_EQ(*answer, item);
        break;
      }
      std::this_thread::yield();
    }
  }
  worker.join();
}

}  // namespace
}  // namespace ringway::io
