// A distribution of durations (or any counts) in fixed memory: log-linear buckets, as in HDR histograms. Values below
// 128 are kept exactly; above, each power of two is cut into 128 buckets, so that a value read back is wrong by at most
// 1/256 of itself. Recording is a shift and an increment; histograms of shards and threads add up without loss.
// One writer; a reader of another thread takes a copy that the writer made.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

namespace ringway::stats {

class Histogram {
 public:
  // 2^44 ns are almost five hours. Larger values count in the last bucket; maximum() stays exact.
  static constexpr uint32_t kValueBits = 44;
  static constexpr uint32_t kPrecisionBits = 7;
  static constexpr uint32_t kBucketCount = (kValueBits - kPrecisionBits + 1) << kPrecisionBits;

  void record(uint64_t value) noexcept { record_many(value, 1); }
  void record_many(uint64_t value, uint64_t count) noexcept {
    counts_[bucket_of(value)] += count;
    count_ += count;
    sum_ += value * count;
    if (value > maximum_) maximum_ = value;
    if (value < minimum_) minimum_ = value;
  }

  void merge(const Histogram& other) noexcept;
  void clear() noexcept { *this = Histogram{}; }

  uint64_t count() const noexcept { return count_; }
  bool is_empty() const noexcept { return count_ == 0; }
  uint64_t maximum() const noexcept { return maximum_; }                    // exact; 0 when empty
  uint64_t minimum() const noexcept { return count_ == 0 ? 0 : minimum_; }  // exact; 0 when empty
  double mean() const noexcept;                                             // exact; 0 when empty
  // The smallest recorded value that at least `percent` of all values do not exceed (nearest rank), within 1/256.
  // `percent` in [0, 100]; 0 when empty.
  uint64_t percentile(double percent) const noexcept;

  // For exporters: how many values are in a bucket, and the values it stands for, [lowest, lowest + width).
  uint64_t bucket_count(uint32_t bucket) const noexcept { return counts_[bucket]; }
  static constexpr uint64_t bucket_lowest(uint32_t bucket) noexcept {
    const uint32_t shift = shift_of(bucket);
    return shift == 0 ? bucket : (uint64_t{bucket & (kLinear - 1)} | kLinear) << shift;
  }
  static constexpr uint64_t bucket_width(uint32_t bucket) noexcept { return uint64_t{1} << shift_of(bucket); }

  static constexpr uint32_t bucket_of(uint64_t value) noexcept {
    if (value >> kValueBits) [[unlikely]]
      return kBucketCount - 1;
    // Below 2^(kPrecisionBits + 1) the buckets are one wide, so 0 and 1 powers share the formula.
    const uint32_t width = static_cast<uint32_t>(std::bit_width(value | kLinear));
    const uint32_t shift = width - kPrecisionBits - 1;
    return (shift << kPrecisionBits) + static_cast<uint32_t>(value >> shift);
  }

 private:
  static constexpr uint32_t kLinear = 1u << kPrecisionBits;

  static constexpr uint32_t shift_of(uint32_t bucket) noexcept {
    const uint32_t power = bucket >> kPrecisionBits;
    return power < 2 ? 0 : power - 1;
  }

  std::array<uint64_t, kBucketCount> counts_{};
  uint64_t count_ = 0;
  uint64_t sum_ = 0;  // of nanoseconds: 584 years of summed durations fit
  uint64_t maximum_ = 0;
  uint64_t minimum_ = UINT64_MAX;
};

}  // namespace ringway::stats
