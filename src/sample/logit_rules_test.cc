#include "sample/logit_rules.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <random>

namespace slipstream {
namespace {

TEST(TokenCounts, counts_each_token_of_the_answer_and_knows_those_of_the_prompt) {
  constexpr uint32_t kMost = 3000;
  TokenCounts counts(kMost);
  std::mt19937 random(5);
  std::map<TokenId, uint32_t> expected;
  for (uint32_t i = 0; i < kMost; ++i) {
    const TokenId token = random() % 7 == 0 ? random() : random() % 200 * 4096;  // many share their low bits
    if (i < 1000) {
      counts.add_prompt(token);
      expected.try_emplace(token, 0);
    } else {
      counts.add_output(token);
      ++expected[token];
    }
  }
  ASSERT_EQ(counts.counts().size(), expected.size());
  for (const auto& count : counts.counts()) EXPECT_EQ(count.num_output, expected.at(count.token));
}

TEST(TokenCounts, without_room_nothing_is_counted) {
  TokenCounts counts;
  counts.add_prompt(3);
  counts.add_output(3);
  EXPECT_TRUE(counts.counts().empty());
}

TEST(LogitRules, are_their_definition) {
  SamplingParams params;
  EXPECT_FALSE(needs_counts(params));
  params.repetition_penalty = 1.25;
  params.frequency_penalty = 0.5;
  params.presence_penalty = -0.75;
  params.logit_bias = {{1, 2.5f}, {4, -100.0f}};
  EXPECT_TRUE(needs_counts(params));
  TokenCounts counts(10);
  counts.add_prompt(0);
  counts.add_prompt(1);
  for (const TokenId token : {1u, 2u, 2u, 3u}) counts.add_output(token);
  std::vector<float> logits{4.0f, 5.0f, -2.0f, -8.0f, 1.0f, 9.0f};
  apply_logit_rules(logits, params, counts);
  EXPECT_EQ(logits[0], 4.0f / 1.25f);                                      // in the prompt alone
  EXPECT_EQ(logits[1], ((5.0f / 1.25f - 0.5f) - -0.75f) + 2.5f);           // in both, and with a bias
  EXPECT_EQ(logits[2], (-2.0f * 1.25f - 0.5f * 2.0f) - -0.75f);            // twice
  EXPECT_EQ(logits[3], (-8.0f * 1.25f - 0.5f) - -0.75f);
  EXPECT_EQ(logits[4], -99.0f);
  EXPECT_EQ(logits[5], 9.0f);
}

TEST(LogitRules, each_alone_needs_counts_or_not) {
  for (double SamplingParams::*field : {&SamplingParams::frequency_penalty, &SamplingParams::presence_penalty}) {
    SamplingParams params;
    params.*field = 0.1;
    EXPECT_TRUE(needs_counts(params));
  }
  SamplingParams params;
  params.logit_bias = {{0, 1.0f}};
  EXPECT_FALSE(needs_counts(params));
}

TEST(LogitRules, stay_finite) {
  constexpr float kMost = std::numeric_limits<float>::max();
  SamplingParams params;
  params.repetition_penalty = 10;
  params.logit_bias = {{1, 100.0f}};
  TokenCounts counts(2);
  counts.add_prompt(0);
  std::vector<float> logits{-kMost, kMost};
  apply_logit_rules(logits, params, counts);
  for (const float logit : logits) EXPECT_TRUE(std::isfinite(logit));
}

}  // namespace
}  // namespace slipstream
