#include "sample/ranking.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

namespace slipstream {
namespace {

// What rank_best() promises, the plain way.
std::vector<TokenId> sorted_tokens(const std::vector<float>& logits, uint32_t count) {
  std::vector<TokenId> tokens(logits.size());
  std::iota(tokens.begin(), tokens.end(), 0u);
  std::stable_sort(tokens.begin(), tokens.end(), [&](TokenId a, TokenId b) { return logits[a] > logits[b]; });
  tokens.resize(std::min<size_t>(count, tokens.size()));
  return tokens;
}

std::vector<TokenId> ranked_tokens(const std::vector<float>& logits, uint32_t count) {
  std::vector<RankKey> keys(logits.size()), spare(logits.size());
  std::vector<uint32_t> counts(kRankingCounts);
  std::vector<TokenId> tokens;
  for (const RankKey key : rank_best(logits, count, {keys, spare, counts})) tokens.push_back(ranked_token(key));
  // The same when the largest logits of the groups are known.
  std::vector<float> maxima(num_rank_groups(logits.size()));
  first_rank(logits, maxima);
  std::vector<TokenId> again;
  for (const RankKey key : rank_best(logits, count, {keys, spare, counts, maxima})) again.push_back(ranked_token(key));
  EXPECT_EQ(again, tokens);
  return tokens;
}

void check(const std::vector<float>& logits, uint32_t count) {
  EXPECT_EQ(ranked_tokens(logits, count), sorted_tokens(logits, count)) << logits.size() << " logits, best " << count;
  EXPECT_EQ(first_rank(logits), sorted_tokens(logits, 1)[0]);
}

TEST(Ranking, equals_a_full_sort_for_every_order_and_count) {
  std::mt19937 random(20240607);
  for (const uint32_t size : {1u, 2u, 15u, 127u, 128u, 129u, 1000u, 5000u, 50'000u}) {
    std::vector<float> logits(size);
    std::normal_distribution<float> normal(0, 3);
    for (float& logit : logits) logit = normal(random);
    std::vector<float> coarse(logits);  // many equal ones
    for (float& logit : coarse) logit = static_cast<float>(static_cast<int>(logit));
    std::vector<float> ascending(logits);
    std::sort(ascending.begin(), ascending.end());
    std::vector<float> descending(ascending.rbegin(), ascending.rend());
    for (const uint32_t count : {1u, 2u, 40u, 1024u, 1025u, 20'000u, 60'000u}) {
      check(logits, count);
      check(coarse, count);
      check(ascending, count);
      check(descending, count);
      check(std::vector<float>(size, 1.5f), count);
    }
  }
}

TEST(Ranking, zeros_of_both_signs_are_equal) {
  EXPECT_EQ(ranked_tokens({-0.0f, 0.0f, -1.0f, 0.0f, -0.0f}, 4), (std::vector<TokenId>{0, 1, 3, 4}));
  EXPECT_EQ(first_rank(std::vector<float>{-1.0f, -0.0f, 0.0f}), 1u);
}

TEST(Ranking, first_rank_finds_the_lowest_of_equals_wherever_they_stand) {
  for (uint32_t size = 1; size < 400; ++size) {
    for (const uint32_t place : {0u, size / 3, size / 2, size - 1}) {
      std::vector<float> logits(size, -2.0f);
      for (uint32_t i = place; i < size; i += 7) logits[i] = 5.0f;
      EXPECT_EQ(first_rank(logits), place) << size;
    }
  }
}

TEST(Ranking, leaves_the_largest_of_each_group) {
  for (const uint32_t size : {1u, 127u, 128u, 129u, 1000u}) {
    std::vector<float> logits(size), maxima(num_rank_groups(size));
    std::mt19937 random(size);
    for (float& logit : logits) logit = static_cast<float>(random() % 1000) - 500;
    first_rank(logits, maxima);
    for (size_t group = 0; group < maxima.size(); ++group) {
      const auto begin = logits.begin() + static_cast<ptrdiff_t>(group * kRankGroup);
      const auto end = group + 1 < maxima.size() ? begin + kRankGroup : logits.end();
      EXPECT_EQ(maxima[group], *std::max_element(begin, end));
    }
  }
}

TEST(Ranking, those_at_minus_infinity_have_no_rank) {
  std::vector<float> logits(5000, -std::numeric_limits<float>::infinity());
  for (const TokenId token : {77u, 1500u, 4999u}) logits[token] = static_cast<float>(token);
  for (const uint32_t count : {1u, 2u, 3u, 4u, 39u, 40u, 1000u, 5000u}) {
    std::vector<TokenId> expected{4999, 1500, 77};
    expected.resize(std::min(count, 3u));
    EXPECT_EQ(ranked_tokens(logits, count), expected) << count;
  }
}

TEST(Ranking, none_of_many_is_nothing) { EXPECT_TRUE(ranked_tokens({1.0f, 2.0f}, 0).empty()); }

}  // namespace
}  // namespace slipstream
