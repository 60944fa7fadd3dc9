#include "stats/histogram.h"

#include <algorithm>
#include <cmath>

namespace ringway::stats {

void Histogram::merge(const Histogram& other) noexcept {
  for (uint32_t bucket = 0; bucket < kBucketCount; ++bucket) counts_[bucket] += other.counts_[bucket];
  count_ += other.count_;
  sum_ += other.sum_;
  maximum_ = std::max(maximum_, other.maximum_);
  minimum_ = std::min(minimum_, other.minimum_);
}

double Histogram::mean() const noexcept {
  return count_ == 0 ? 0.0 : static_cast<double>(sum_) / static_cast<double>(count_);
}

uint64_t Histogram::percentile(double percent) const noexcept {
  if (count_ == 0) return 0;
  // The small part taken off keeps rounding (99.9 % of 1,000 is a little more than 999) from asking for one rank more.
  const double exact_rank = std::ceil(std::clamp(percent, 0.0, 100.0) * static_cast<double>(count_) / 100.0 - 1e-6);
  const uint64_t rank = std::clamp<uint64_t>(static_cast<uint64_t>(exact_rank), 1, count_);
  // The extremes are known exactly.
  if (rank == count_) return maximum_;
  uint64_t seen = 0;
  for (uint32_t bucket = 0; bucket < kBucketCount; ++bucket) {
    seen += counts_[bucket];
    if (seen >= rank) return std::clamp(bucket_lowest(bucket) + (bucket_width(bucket) - 1) / 2, minimum_, maximum_);
  }
  return maximum_;
}

}  // namespace ringway::stats
