// How many values were at most so much: the buckets of a Prometheus histogram. Plain numbers, copied with what they
// stand in.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>

namespace slipstream {

// Bounds in seconds, ascending. Those of vLLM (v1/metrics/loggers.py), so that dashboards made for it fit.
inline constexpr double kFirstTokenBounds[] = {0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1,  0.25,  0.5,   0.75,
                                               1.0,   2.5,   5.0,  7.5,  10.0, 20.0, 40.0, 80.0, 160.0, 640.0, 2560.0};
inline constexpr double kNextTokenBounds[] = {0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2,  0.3,  0.4, 0.5,
                                              0.75, 1.0,   2.5,  5.0,   7.5, 10.0, 20.0, 40.0, 80.0};
inline constexpr double kRequestBounds[] = {0.3,  0.5,  0.8,  1.0,  1.5,  2.0,   2.5,   5.0,   10.0,  15.0,  20.0,
                                            30.0, 40.0, 50.0, 60.0, 120.0, 240.0, 480.0, 960.0, 1920.0, 7680.0};

class LatencyHistogram {
 public:
  // bounds: ascending, at most kMostBounds of them, outlive it.
  explicit constexpr LatencyHistogram(std::span<const double> bounds) : bounds_(bounds) {}

  void add(double seconds) {
    ++counts_[static_cast<size_t>(std::lower_bound(bounds_.begin(), bounds_.end(), seconds) - bounds_.begin())];
    ++count_;
    sum_s_ += seconds;
  }

  std::span<const double> bounds() const { return bounds_; }
  // Values above the bound before and at most bounds()[index]; index = bounds().size(): above all.
  uint64_t count_in(size_t index) const { return counts_[index]; }
  uint64_t count() const { return count_; }
  double sum_s() const { return sum_s_; }

 private:
  static constexpr size_t kMostBounds = 24;
  std::span<const double> bounds_;
  std::array<uint64_t, kMostBounds + 1> counts_{};
  uint64_t count_ = 0;
  double sum_s_ = 0;
};

}  // namespace slipstream
