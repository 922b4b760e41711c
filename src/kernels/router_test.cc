#include "kernels/router.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "base/random.h"

namespace slipstream {
namespace {

struct Choice {
  std::vector<uint32_t> experts;
  std::vector<float> weights;
};

Choice choose(const std::vector<float>& logits, uint32_t count, bool renormalise) {
  Choice choice{std::vector<uint32_t>(count), std::vector<float>(count)};
  choose_experts(logits.data(), static_cast<uint32_t>(logits.size()), count, renormalise, choice.experts.data(),
                 choice.weights.data());
  return choice;
}

std::vector<float> random_logits(uint32_t num_experts, uint32_t seed) {
  std::vector<float> logits(num_experts);
  for (uint32_t i = 0; i < num_experts; ++i)
    logits[i] = static_cast<float>(unit_double(philox4x32(seed, {i, 0, 0, 0})) * 8.0 - 4.0);
  return logits;
}

// Softmax, then the largest, in double and by sorting: what transformers does.
TEST(Router, is_softmax_and_the_largest) {
  for (const uint32_t num_experts : {1u, 3u, 8u, 60u, 128u}) {
    for (uint32_t seed = 0; seed < 50; ++seed) {
      const std::vector<float> logits = random_logits(num_experts, seed);
      const uint32_t count = 1 + seed % std::min(num_experts, 9u);
      std::vector<uint32_t> order(num_experts);
      std::iota(order.begin(), order.end(), 0u);
      std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return logits[a] > logits[b]; });
      double all = 0, chosen = 0;
      for (uint32_t rank = 0; rank < num_experts; ++rank) {
        all += std::exp(static_cast<double>(logits[order[rank]]));
        if (rank + 1 == count) chosen = all;
      }
      for (const bool renormalise : {false, true}) {
        const Choice choice = choose(logits, count, renormalise);
        for (uint32_t rank = 0; rank < count; ++rank) {
          ASSERT_EQ(choice.experts[rank], order[rank]);
          const double expected = std::exp(static_cast<double>(logits[order[rank]])) / (renormalise ? chosen : all);
          EXPECT_NEAR(choice.weights[rank], expected, 1e-6 * expected);
        }
      }
    }
  }
}

TEST(Router, equal_logits_go_to_the_lower_index) {
  EXPECT_EQ(choose({1, 2, 2, 0, 2}, 3, true).experts, (std::vector<uint32_t>{1, 2, 4}));
  EXPECT_EQ(choose({0, 0, 0, 0}, 4, false).experts, (std::vector<uint32_t>{0, 1, 2, 3}));
  EXPECT_EQ(choose({-0.0f, 0.0f}, 1, false).experts, (std::vector<uint32_t>{0}));
}

TEST(Router, experts_are_distinct_whatever_the_logits_are) {
  const float nan = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();
  for (const std::vector<float>& logits : {std::vector<float>{nan, nan, nan}, std::vector<float>{nan, 1, infinity},
                                           std::vector<float>{-infinity, nan, -infinity}}) {
    std::vector<uint32_t> experts = choose(logits, 3, true).experts;
    std::sort(experts.begin(), experts.end());
    EXPECT_EQ(experts, (std::vector<uint32_t>{0, 1, 2}));
  }
}

TEST(Router, bits_are_fixed) {
  const Choice choice = choose(random_logits(128, 7), 8, true);
  uint64_t hash = 0xcbf29ce484222325;
  for (const float weight : choice.weights) hash = (hash ^ std::bit_cast<uint32_t>(weight)) * 0x100000001b3;
  EXPECT_EQ(hash, 13400037796034378343u);
}

}  // namespace
}  // namespace slipstream
