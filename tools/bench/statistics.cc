#include "statistics.h"

#include <algorithm>
#include <cmath>

#include "base/assert.h"

namespace ringway::bench {

namespace {

constexpr double kCoverage = 0.95;

std::vector<double> sorted_values(const Series& series) {
  std::vector<double> values;
  values.reserve(series.size());
  for (const auto& [round, value] : series) values.push_back(value);
  std::sort(values.begin(), values.end());
  return values;
}

}  // namespace

double median(std::vector<double> values) {
  return quantile(std::move(values), 0.5);
}

double quantile(std::vector<double> values, double q) {
  ASSERT(!values.empty());
  std::sort(values.begin(), values.end());
  const double position = q * static_cast<double>(values.size() - 1);
  const auto below = static_cast<size_t>(std::floor(position));
  const size_t above = std::min(below + 1, values.size() - 1);
  return std::lerp(values[below], values[above], position - std::floor(position));
}

double order_coverage(size_t count, size_t k) {
  // P(fewer than k of `count` fair coin tosses are heads), by the recurrence of the binomial coefficients.
  double term = std::pow(0.5, static_cast<double>(count));
  double tail = 0;
  for (size_t heads = 0; heads < k; ++heads) {
    tail += term;
    term *= static_cast<double>(count - heads) / static_cast<double>(heads + 1);
  }
  return std::max(0.0, 1 - 2 * tail);
}

std::optional<Interval> interval_of(const Series& series) {
  if (series.empty()) return std::nullopt;
  const std::vector<double> values = sorted_values(series);
  size_t k = 1;
  while (2 * (k + 1) <= values.size() && order_coverage(values.size(), k + 1) >= kCoverage) ++k;
  return Interval{.median = median(values),
                  .low = values[k - 1],
                  .high = values[values.size() - k],
                  .lower_quartile = quantile(values, 0.25),
                  .upper_quartile = quantile(values, 0.75),
                  .coverage = order_coverage(values.size(), k),
                  .count = values.size()};
}

Series paired_ratio(const Series& numerator, const Series& denominator) {
  Series ratios;
  for (const auto& [round, value] : numerator) {
    const auto other = denominator.find(round);
    if (other != denominator.end() && other->second != 0) ratios[round] = value / other->second;
  }
  return ratios;
}

Series paired_difference(const Series& left, const Series& right) {
  Series differences;
  for (const auto& [round, value] : left) {
    const auto other = right.find(round);
    if (other != right.end()) differences[round] = value - other->second;
  }
  return differences;
}

}  // namespace ringway::bench
