#include "model/perplexity.h"

#include <gtest/gtest.h>

#include <cmath>

#include "model/prompt_run.h"
#include "model/random_weights.h"

namespace slipstream {
namespace {

TEST(Perplexity, the_negative_log_likelihood_is_that_of_the_softmax) {
  const std::vector<float> logits{-3.0f, 80.0f, 79.0f, 0.25f, -200.0f};
  double sum = 0.0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - 80.0);
  for (TokenId token = 0; token < logits.size(); ++token) {
    EXPECT_NEAR(negative_log_likelihood(logits, token), std::log(sum) + 80.0 - logits[token], 1e-12) << token;
  }
  EXPECT_NEAR(negative_log_likelihood(std::vector<float>(1000, 5.0f), 7), std::log(1000.0), 1e-12);
}

class PerplexityTest : public testing::Test {
 protected:
  static ModelConfig config() {
    ModelConfig config;
    config.num_layers = 1;
    config.hidden_size = 64;
    config.intermediate_size = 64;
    config.num_heads = 2;
    config.num_kv_heads = 1;
    config.head_dim = 32;
    config.vocab_size = 50;
    config.max_position_embeddings = 512;
    config.tied_embeddings = true;
    return config;
  }
  ThreadPool pool_{1};
  const ModelConfig config_ = config();
  const Weights weights_ =
      std::move(random_weights(config_, {.type = WeightType::kBf16, .bits = 16}, 5, pool_).value());
};

// 70 tokens in windows of 32: 31 + 31 + 5 predictions, each window as if it stood alone.
TEST_F(PerplexityTest, windows_have_nothing_before_them_and_their_first_token_does_not_count) {
  std::vector<TokenId> tokens;
  for (uint32_t index = 0; index < 70; ++index) tokens.push_back(index * index % 50);
  const auto all = measure_perplexity(config_, weights_, pool_, {}, tokens, 32);
  ASSERT_TRUE(all.ok());
  ASSERT_EQ(all->windows.size(), 3u);
  double sum = 0.0;
  for (uint32_t window = 0; window < 3; ++window) {
    const std::span<const TokenId> part = std::span(tokens).subspan(window * 32, window == 2 ? 6 : 32);
    const auto alone = measure_perplexity(config_, weights_, pool_, {}, part, 512);
    ASSERT_TRUE(alone.ok());
    EXPECT_EQ(alone->windows.at(0).num_tokens, part.size() - 1);
    EXPECT_EQ(all->windows[window].num_tokens, part.size() - 1);
    EXPECT_EQ(all->windows[window].mean_nll, alone->windows[0].mean_nll);
    sum += alone->windows[0].mean_nll * static_cast<double>(part.size() - 1);
  }
  EXPECT_EQ(all->num_tokens, 67u);
  EXPECT_NEAR(all->perplexity, std::exp(sum / 67), 1e-9 * all->perplexity);
}

// A last window of one token predicts nothing.
TEST_F(PerplexityTest, a_rest_of_one_token_is_left_out) {
  const std::vector<TokenId> tokens{1, 2, 3, 4, 5};
  const auto result = measure_perplexity(config_, weights_, pool_, {}, tokens, 4);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->windows.size(), 1u);
  EXPECT_EQ(result->num_tokens, 3u);
}

}  // namespace
}  // namespace slipstream
