// The few statistics that the tables need: medians, paired ratios and differences, and an interval that holds without
// any assumption about how the noise is distributed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

namespace ringway::bench {

// One figure per round. Rounds in which a run failed are absent, so pairing goes by round and never by position.
using Series = std::map<uint32_t, double>;

// `values` must not be empty. Of an even count, the mean of the two in the middle.
double median(std::vector<double> values);

// The value below which the share `q` (0 to 1) of `values` lies, interpolated linearly; `values` must not be empty.
double quantile(std::vector<double> values, double q);

// A median with the interval between two order statistics: [k-th smallest, k-th largest]. The chance that such an
// interval contains the true median depends only on the count and k (a sum of binomial terms), whatever the
// distribution, and no random resampling is involved, so the same runs always give the same interval.
struct Interval {
  double median = 0;
  double low = 0;
  double high = 0;
  double lower_quartile = 0;  // the spread of the rounds, beside the uncertainty of their median
  double upper_quartile = 0;
  double coverage = 0;  // the exact chance, at least 0.95 where six or more rounds allow it
  size_t count = 0;
};

// The chance that [k-th smallest, k-th largest] of `count` values holds the true median; k counts from 1.
double order_coverage(size_t count, size_t k);

// The narrowest such interval with a coverage of at least 0.95; with fewer than six values it is [smallest, largest]
// and `coverage` says how little that is worth. Nothing for an empty series.
std::optional<Interval> interval_of(const Series& series);

// numerator / denominator and left - right of the rounds that have both. Rounds with a denominator of zero are left
// out.
Series paired_ratio(const Series& numerator, const Series& denominator);
Series paired_difference(const Series& left, const Series& right);

}  // namespace ringway::bench
