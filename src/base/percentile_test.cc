#include "base/percentile.h"

#include <gtest/gtest.h>

#include <numeric>

namespace slipstream {
namespace {

TEST(Percentile, is_between_the_two_values_beside_its_place) {
  EXPECT_EQ(percentile({}, 0.5), 0);
  EXPECT_EQ(percentile({7}, 0.99), 7);
  EXPECT_EQ(percentile({3, 1, 2}, 0), 1);
  EXPECT_EQ(percentile({3, 1, 2}, 0.5), 2);
  EXPECT_EQ(percentile({3, 1, 2}, 1), 3);
  EXPECT_DOUBLE_EQ(percentile({4, 1, 2, 3}, 0.5), 2.5);
  std::vector<double> hundred(101);
  std::iota(hundred.begin(), hundred.end(), 0.0);
  EXPECT_DOUBLE_EQ(percentile(hundred, 0.99), 99);
  EXPECT_DOUBLE_EQ(percentile(hundred, 0.505), 50.5);
  EXPECT_EQ(median({5, 1, 9}), 5);
}

}  // namespace
}  // namespace slipstream
