// Smooth weighted round robin, per call. With equal weights it goes round; with unequal ones each endpoint's turns are
// spread evenly over the cycle instead of coming in bursts. Pure: the caller says who is available.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace ringway::routing {

inline constexpr uint32_t kNoEndpoint = UINT32_MAX;

class RoundRobin {
 public:
  // `weights` are 1 or more. `start` sets where the round begins, so that shards do not all begin at the same endpoint.
  RoundRobin(std::vector<uint32_t> weights, uint32_t start);

  // The next endpoint for which `is_available(index)`; kNoEndpoint when there is none. An endpoint that is passed over
  // does not save up turns.
  template <typename IsAvailable>
  uint32_t pick(IsAvailable&& is_available) noexcept {
    return are_equal_ ? pick_equal(is_available) : pick_weighted(is_available);
  }

 private:
  template <typename IsAvailable>
  uint32_t pick_equal(IsAvailable& is_available) noexcept {
    const auto count = static_cast<uint32_t>(weights_.size());
    for (uint32_t tried = 0; tried < count; ++tried) {
      const uint32_t index = next_;
      next_ = next_ + 1 == count ? 0 : next_ + 1;
      if (is_available(index)) return index;
    }
    return kNoEndpoint;
  }

  // Each available endpoint gains its weight, the one that has most is taken and pays the sum.
  template <typename IsAvailable>
  uint32_t pick_weighted(IsAvailable& is_available) noexcept {
    int64_t sum = 0;
    uint32_t best = kNoEndpoint;
    for (uint32_t index = 0; index < weights_.size(); ++index) {
      if (!is_available(index)) continue;
      credit_[index] += weights_[index];
      sum += weights_[index];
      if (best == kNoEndpoint || credit_[index] > credit_[best]) best = index;
    }
    if (best != kNoEndpoint) credit_[best] -= sum;
    return best;
  }

  std::vector<uint32_t> weights_;
  std::vector<int64_t> credit_;
  bool are_equal_;
  uint32_t next_;
};

}  // namespace ringway::routing
