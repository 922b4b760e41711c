#include <gtest/gtest.h>

#include <limits>

#include "base/float_mode.h"
#include "kernels/random_matrices.h"

namespace slipstream {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr uint32_t kSizes[] = {1, 2, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 500, 1000, 1023, 1024};

// Some of them banned, some equal, some zeros of either sign.
std::vector<float> random_logits(uint32_t n, float size, Random& random) {
  std::vector<float> logits(n);
  for (float& logit : logits) {
    logit = random.normal() * size;
    if (random.below(4) == 0) logit = static_cast<float>(static_cast<int>(logit));
    if (random.below(10) == 0) logit = -kInfinity;
  }
  return logits;
}

float largest(const std::vector<float>& logits) {
  float most = -std::numeric_limits<float>::max();
  for (const float logit : logits) most = std::max(most, logit);
  return most;
}

struct Weighed {
  std::vector<float> weights = std::vector<float>(kSumBlock, -1.0f);
  float sum = 0;
};

Weighed weigh(Isa isa, const std::vector<float>& logits, float scale) {
  Weighed weighed;
  weighed.sum = kernels_for(isa).weigh(logits.data(), static_cast<uint32_t>(logits.size()), largest(logits), scale,
                                       weighed.weights.data());
  return weighed;
}

TEST(Vocabulary, weights_are_their_definition_on_every_isa) {
  const FloatModeScope mode;
  Random random(1);
  for (const uint32_t n : kSizes) {
    for (const float size : {0.0f, 0.1f, 3.0f, 30.0f, 1e30f, 3e38f}) {
      for (const float scale : {1.44f, 0.01f, 1e6f, std::numeric_limits<float>::max()}) {
        const std::vector<float> logits = random_logits(n, size, random);
        float lanes[16] = {};
        std::vector<float> expected(kSumBlock);
        for (uint32_t i = 0; i < n; ++i) {
          if (logits[i] != -kInfinity) expected[i] = exp2_polynomial((logits[i] - largest(logits)) * scale);
          lanes[i % 16] += expected[i];
        }
        for (int half = 8; half > 0; half /= 2) {
          for (int j = 0; j < half; ++j) lanes[j] += lanes[j + half];
        }
        for (const Isa isa : kAllIsas) {
          if (!isa_supported(isa)) continue;
          const Weighed weighed = weigh(isa, logits, scale);
          EXPECT_EQ(weighed.weights, expected) << isa_name(isa) << " n " << n << " size " << size;
          EXPECT_EQ(weighed.sum, lanes[0]) << isa_name(isa) << " n " << n << " size " << size;
        }
      }
    }
  }
}

TEST(Vocabulary, a_bracket_divides_tokens_alike_on_every_isa) {
  const FloatModeScope mode;
  Random random(2);
  for (const uint32_t n : kSizes) {
    for (const LogitBracket& bracket :
         {LogitBracket{0.5f, 2.0f}, LogitBracket{-kInfinity, kInfinity}, LogitBracket{-kInfinity, 0.0f},
          LogitBracket{0.0f, kInfinity}, LogitBracket{1.0f, 1.0f}, LogitBracket{2.0f, 3.0f}}) {
      for (const uint32_t begin : {0u, n / 3}) {
        const std::vector<float> logits = random_logits(n, 2.0f, random);
        const std::vector<float> weights = weigh(Isa::kReference, logits, 1.0f).weights;
        double lanes[16] = {};
        std::vector<uint32_t> expected;
        for (uint32_t i = begin; i < n; ++i) {
          if (logits[i] > bracket.high) lanes[(i - begin) % 16] += weights[i];
          if (logits[i] > bracket.low && logits[i] <= bracket.high) expected.push_back(i);
        }
        for (int half = 8; half > 0; half /= 2) {
          for (int j = 0; j < half; ++j) lanes[j] += lanes[j + half];
        }
        for (const Isa isa : kAllIsas) {
          if (!isa_supported(isa)) continue;
          std::vector<uint32_t> inside(n - begin + 16);
          double above = 0.125;
          inside.resize(
              kernels_for(isa).divide(logits.data(), weights.data(), {begin, n}, bracket, inside.data(), &above));
          EXPECT_EQ(inside, expected) << isa_name(isa) << " n " << n << " from " << begin;
          EXPECT_EQ(above, 0.125 + lanes[0]) << isa_name(isa) << " n " << n << " from " << begin;
        }
      }
    }
  }
}

TEST(Vocabulary, has_the_committed_hash) {
  const FloatModeScope mode;
  for (const Isa isa : kAllIsas) {
    if (!isa_supported(isa)) continue;
    Random random(3);
    const std::vector<float> logits = random_logits(1000, 5.0f, random);
    EXPECT_EQ(hash_floats(weigh(isa, logits, 1.8f).weights), 0x9bf6c47f9c53c7c2u) << isa_name(isa);
  }
}

}  // namespace
}  // namespace slipstream
