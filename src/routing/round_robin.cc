#include "routing/round_robin.h"

#include <algorithm>

#include "base/assert.h"

namespace ringway::routing {

RoundRobin::RoundRobin(std::vector<uint32_t> weights, uint32_t start)
    : weights_(std::move(weights)), credit_(weights_.size()) {
  ASSERT(!weights_.empty());
  are_equal_ = std::ranges::adjacent_find(weights_, std::ranges::not_equal_to()) == weights_.end();
  next_ = start % static_cast<uint32_t>(weights_.size());
  // Advances the weighted cycle to the same effect.
  for (uint32_t turn = 0; !are_equal_ && turn < start % 97; ++turn) pick([](uint32_t) { return true; });
}

}  // namespace ringway::routing
