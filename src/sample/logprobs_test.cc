#include "sample/logprobs.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <vector>

namespace slipstream {
namespace {

std::vector<float> random_logits(size_t size, float spread, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, spread);
  std::vector<float> logits(size);
  for (float& logit : logits) logit = normal(random);
  return logits;
}

// The definition, in long double with libm.
double expected_logprob(const std::vector<float>& logits, TokenId token) {
  const long double max = *std::ranges::max_element(logits);
  long double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<long double>(logit) - max);
  return static_cast<double>(static_cast<long double>(logits[token]) - max - std::log(sum));
}

TEST(Logprobs, are_those_of_the_softmax) {
  for (const size_t size : {1u, 2u, 1000u, 1024u, 1025u, 49152u, 151936u}) {
    for (const float spread : {0.0f, 0.01f, 1.0f, 5.0f, 40.0f}) {
      const std::vector<float> logits = random_logits(size, spread, static_cast<uint32_t>(size));
      for (const TokenId token : {size_t{0}, size / 2, size - 1}) {
        TokenLogprob found[1];
        find_logprobs(logits, static_cast<TokenId>(token), found);
        const double expected = expected_logprob(logits, static_cast<TokenId>(token));
        EXPECT_NEAR(found[0].logprob, expected, 2e-6 * std::max(1.0, -expected)) << size << " " << spread;
        EXPECT_EQ(found[0].token, token);
      }
    }
  }
}

TEST(Logprobs, the_likeliest_come_in_rank_order) {
  std::vector<float> logits = random_logits(5000, 3, 4);
  for (size_t i = 0; i < logits.size(); i += 7) logits[i] = std::round(logits[i]);  // many are equal
  std::vector<TokenId> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, [&](TokenId a, TokenId b) { return logits[a] > logits[b]; });
  for (const uint32_t top : {0u, 1u, 5u, kMaxTopLogprobs}) {
    std::vector<TokenLogprob> found(1 + top);
    find_logprobs(logits, 17, found);
    for (uint32_t rank = 0; rank < top; ++rank) {
      EXPECT_EQ(found[1 + rank].token, order[rank]);
      EXPECT_NEAR(found[1 + rank].logprob, expected_logprob(logits, order[rank]), 1e-5);
    }
  }
}

TEST(Logprobs, a_vocabulary_smaller_than_the_list_repeats_its_last_rank) {
  const std::vector<float> logits{1.0f, 3.0f, 2.0f};
  std::vector<TokenLogprob> found(6);
  find_logprobs(logits, 0, found);
  const TokenId expected[] = {0, 1, 2, 0, 0, 0};
  for (size_t i = 0; i < found.size(); ++i) EXPECT_EQ(found[i].token, expected[i]);
}

TEST(Logprobs, extreme_logits_give_finite_numbers) {
  const std::vector<float> logits{3e38f, -3e38f, 0.0f};
  TokenLogprob found[1];
  find_logprobs(logits, 0, found);
  EXPECT_NEAR(found[0].logprob, 0.0, 1e-6);
  find_logprobs(logits, 1, found);
  EXPECT_TRUE(std::isfinite(found[0].logprob) || found[0].logprob == -std::numeric_limits<float>::infinity());
  EXPECT_LT(found[0].logprob, -1e38);
}

}  // namespace
}  // namespace slipstream
