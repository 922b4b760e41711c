#include "sample/nucleus.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "base/float_mode.h"

namespace slipstream {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// A vocabulary with its weights, and the memory of a search.
class Vocabulary {
 public:
  explicit Vocabulary(std::vector<float> logits, float scale = 1.44f)
      : logits_(std::move(logits)),
        weights_((logits_.size() + kSumBlock - 1) / kSumBlock * kSumBlock),
        maxima_(num_rank_groups(logits_.size())),
        keys_(logits_.size()),
        spare_(logits_.size()),
        counts_(kRankingCounts),
        inside_logits_(most_inside(size())),
        inside_weights_(most_inside(size())),
        inside_tokens_(most_inside(size())) {
    const float most = logits_[first_rank(logits_, maxima_)];
    for (uint32_t begin = 0; begin < size(); begin += kSumBlock) {
      total_ += best_kernels().weigh(logits_.data() + begin, std::min(kSumBlock, size() - begin), most, scale,
                                     weights_.data() + begin);
    }
  }

  uint32_t size() const { return static_cast<uint32_t>(logits_.size()); }
  double total() const { return total_; }

  // keys: room to rank so many.
  std::optional<RankKey> find(double enough, const Kernels& kernels, size_t keys) {
    const RankingScratch ranking{std::span(keys_).first(keys), std::span(spare_).first(keys), counts_, maxima_};
    return find_nucleus_end(
        enough, {logits_, weights_, total_, {inside_logits_, inside_weights_, inside_tokens_}, ranking}, kernels);
  }

  // By ranking everything.
  std::optional<RankKey> plain(double enough) {
    return find_nucleus_end(enough, rank_best(logits_, size(), {keys_, spare_, counts_}), weights_);
  }

  std::vector<double> sums_along_the_rank() {
    std::vector<double> sums;
    for (const RankKey key : rank_best(logits_, size(), {keys_, spare_, counts_})) {
      sums.push_back((sums.empty() ? 0.0 : sums.back()) + weights_[ranked_token(key)]);
    }
    return sums;
  }

  void check(const char* what) {
    for (const double top_p : {1e-300, 1e-9, 0.01, 0.3, 0.5, 0.9, 0.95, 0.999, 0.9999999, 1 - 0x1p-53, 1.0}) {
      const std::optional<RankKey> expected = plain(top_p * total_);
      for (const Isa isa : kAllIsas) {
        if (!isa_supported(isa)) continue;
        EXPECT_EQ(find(top_p * total_, kernels_for(isa), size()), expected)
            << what << ": " << size() << " logits, top_p " << top_p << ", " << isa_name(isa);
      }
    }
  }

 private:
  std::vector<float> logits_, weights_, maxima_;
  std::vector<RankKey> keys_, spare_;
  std::vector<uint32_t> counts_;
  std::vector<float> inside_logits_, inside_weights_;
  std::vector<TokenId> inside_tokens_;
  double total_ = 0;
};

std::vector<float> normal_logits(uint32_t size, float deviation, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, deviation);
  std::vector<float> logits(size);
  for (float& logit : logits) logit = normal(random);
  return logits;
}

constexpr uint32_t kSizes[] = {1, 2, 100, 127, 128, 129, 1000, 1024, 1025, 5000, 30'001};

TEST(Nucleus, ends_where_a_full_ranking_says) {
  const FloatModeScope mode;
  for (const uint32_t size : kSizes) {
    for (const float deviation : {0.0f, 1e-6f, 0.1f, 3.0f, 40.0f, 1e30f}) {
      Vocabulary(normal_logits(size, deviation, size), 1.8f).check("normal");
    }
  }
}

TEST(Nucleus, ends_there_with_peaks_ties_and_banned_tokens_too) {
  const FloatModeScope mode;
  std::mt19937 random(3);
  for (const uint32_t size : kSizes) {
    std::vector<float> peaked = normal_logits(size, 2.5f, 1);
    for (float peak = 20; peak > 12; peak -= 0.7f) peaked[random() % size] = peak;
    Vocabulary(peaked).check("peaked");
    std::vector<float> coarse = normal_logits(size, 2.0f, 2);
    for (float& logit : coarse) logit = std::round(logit);  // zeros of both signs too
    Vocabulary(coarse).check("coarse");
    std::vector<float> banned(peaked);
    for (size_t i = 0; i + 1 < banned.size(); ++i) {
      if (i % 5 != 0) banned[i] = -kInfinity;
    }
    Vocabulary(banned).check("banned");
    std::vector<float> only(size, -kInfinity);
    only[size / 2] = -3;
    Vocabulary(only).check("only one");
    std::vector<float> sorted = normal_logits(size, 1.0f, 4);
    std::sort(sorted.begin(), sorted.end());
    Vocabulary(sorted).check("sorted");
    // Every sampled token is unlike the others.
    std::vector<float> periodic = normal_logits(size, 0.5f, 5);
    for (size_t i = 0; i < periodic.size(); i += std::max(1u, size / 1024)) periodic[i] += 5;
    Vocabulary(periodic).check("periodic");
  }
}

// Sums of ones are exact in any order, and hit `enough` exactly: the last bit decides.
TEST(Nucleus, a_sum_that_just_reaches_enough_is_enough) {
  const FloatModeScope mode;
  Vocabulary even(std::vector<float>(8192, 0.5f));
  for (const double enough : {1.0, 4096.0, 8191.0, 8192.0}) {
    for (const double step : {-0x1p-39, 0.0, 0x1p-39}) {
      const std::optional<RankKey> end = even.find(enough + step, best_kernels(), 8192);
      if (enough + step > 8192) {
        EXPECT_FALSE(end.has_value());
      } else {
        ASSERT_TRUE(end.has_value());
        EXPECT_EQ(ranked_token(*end), static_cast<TokenId>(std::ceil(enough + step)) - 1);
      }
    }
  }
}

// Weights so different that their sum depends on the order in which they are added: what counts is that along the rank.
TEST(Nucleus, the_order_along_the_rank_decides_to_the_last_bit) {
  const FloatModeScope mode;
  Vocabulary vocabulary(normal_logits(30'000, 8.0f, 6));
  const std::vector<double> sums = vocabulary.sums_along_the_rank();
  for (size_t rank = 20; rank < 5000; rank += 53) {
    for (const double enough : {std::nextafter(sums[rank], 0.0), sums[rank], std::nextafter(sums[rank], 1e9)}) {
      EXPECT_EQ(vocabulary.find(enough, best_kernels(), vocabulary.size()), vocabulary.plain(enough)) << rank;
    }
  }
}

// With room for no more than what is inside a bracket, ranking the vocabulary would fail.
TEST(Nucleus, smooth_distributions_are_not_ranked) {
  const FloatModeScope mode;
  for (const float deviation : {0.1f, 1.0f, 3.0f}) {
    for (uint32_t seed = 0; seed < 5; ++seed) {
      Vocabulary vocabulary(normal_logits(120'000, deviation, seed));
      for (const double top_p : {0.1, 0.5, 0.9, 0.95, 0.999}) {
        const double enough = top_p * vocabulary.total();
        EXPECT_EQ(vocabulary.find(enough, best_kernels(), most_inside(120'000)), vocabulary.plain(enough));
      }
    }
  }
}

}  // namespace
}  // namespace slipstream
