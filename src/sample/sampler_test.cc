#include "sample/sampler.h"

#include <gtest/gtest.h>
#include <immintrin.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <new>
#include <numeric>
#include <random>
#include <thread>
#include <vector>

#include "base/float_mode.h"
#include "base/random.h"
#include "kernels/scalar_math.h"

namespace slipstream {
namespace {

class Scratch {
 public:
  explicit Scratch(uint32_t vocab_size) : bytes_(sampler_scratch_bytes(vocab_size) + 64) {
    // Whatever was there before must not matter.
    std::fill(bytes_.begin(), bytes_.end(), std::byte{0xff});
  }
  std::span<std::byte> span() {
    const size_t skip = 64 - reinterpret_cast<uintptr_t>(bytes_.data()) % 64;
    return std::span(bytes_).subspan(skip, bytes_.size() - 64);
  }

 private:
  std::vector<std::byte> bytes_;
};

TokenId draw(const std::vector<float>& logits, const SamplingParams& params, DrawPosition where) {
  Scratch scratch(static_cast<uint32_t>(logits.size()));
  return sample_token(logits, params, where, scratch.span());
}

std::vector<float> normal_logits(uint32_t size, uint32_t seed, float deviation) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, deviation);
  std::vector<float> logits(size);
  for (float& logit : logits) logit = normal(random);
  return logits;
}

// The definition in sampler.h, step by step, with a sort of everything.
namespace plain {

std::vector<TokenId> ranks(const std::vector<float>& logits) {
  std::vector<TokenId> tokens(logits.size());
  std::iota(tokens.begin(), tokens.end(), 0u);
  std::stable_sort(tokens.begin(), tokens.end(), [&](TokenId a, TokenId b) { return logits[a] > logits[b]; });
  return tokens;
}

double block_sum(const std::vector<float>& weights, size_t begin) {
  float lanes[16] = {};
  for (size_t id = begin; id < std::min(begin + 1024, weights.size()); ++id) lanes[id % 16] += weights[id];
  for (int half = 8; half > 0; half /= 2) {
    for (int j = 0; j < half; ++j) lanes[j] += lanes[j + half];
  }
  return lanes[0];
}

double total(const std::vector<float>& weights) {
  double sum = 0;
  for (size_t begin = 0; begin < weights.size(); begin += 1024) sum += block_sum(weights, begin);
  return sum;
}

// The weights that are left for the draw, 0 for what was dropped.
std::vector<float> survivors(const std::vector<float>& logits, const SamplingParams& params) {
  const std::vector<TokenId> order = ranks(logits);
  const float scale = static_cast<float>(1.4426950408889634074 / params.temperature);
  std::vector<float> weights(logits.size());
  for (size_t i = 0; i < logits.size(); ++i) weights[i] = exp2_fixed((logits[i] - logits[order[0]]) * scale);
  size_t kept = logits.size();
  if (params.top_k > 0) kept = std::min<size_t>(kept, params.top_k);
  for (size_t rank = kept; rank < order.size(); ++rank) weights[order[rank]] = 0;
  if (params.top_p < 1) {
    const double enough = params.top_p * total(weights);
    double before = 0;
    for (size_t rank = 0; rank < kept; ++rank) {
      const float weight = weights[order[rank]];
      if (before >= enough) weights[order[rank]] = 0;
      before += weight;
    }
  }
  for (float& weight : weights) {
    if (static_cast<double>(weight) < params.min_p) weight = 0;
  }
  return weights;
}

TokenId draw(const std::vector<float>& logits, const SamplingParams& params, DrawPosition where) {
  const FloatModeScope float_mode;
  if (params.temperature == 0) return ranks(logits)[0];
  const std::vector<float> weights = survivors(logits, params);
  const double t = unit_double(philox4x32(params.seed, {where.position, where.choice, 0, 0})) * total(weights);
  double running = 0;
  for (size_t begin = 0; begin < weights.size(); begin += 1024) {
    const double sum = block_sum(weights, begin);
    if (running + sum <= t) {
      running += sum;
      continue;
    }
    TokenId last = 0;
    for (size_t id = begin; id < std::min(begin + 1024, weights.size()); ++id) {
      if (weights[id] == 0) continue;
      last = static_cast<TokenId>(id);
      running += weights[id];
      if (running > t) break;
    }
    return last;
  }
  ADD_FAILURE() << "no block exceeds t";
  return 0;
}

}  // namespace plain

TEST(Sampler, equals_the_definition_with_a_full_sort) {
  const uint32_t seed = 7;
  std::mt19937 random(seed);
  const auto pick = [&](auto... values) {
    const std::vector<std::common_type_t<decltype(values)...>> all{values...};
    return all[random() % all.size()];
  };
  for (int i = 0; i < 1500; ++i) {
    const uint32_t vocab_size = pick(1u, 2u, 17u, 1000u, 1024u, 1025u, 3000u, 9000u);
    std::vector<float> logits =
        normal_logits(vocab_size, static_cast<uint32_t>(random()), pick(0.1f, 1.0f, 4.0f, 30.0f));
    if (random() % 3 == 0) {
      for (float& logit : logits) logit = std::round(logit);  // ties, and zeros of both signs
    }
    SamplingParams params;
    params.temperature = pick(0.0, 0.01, 0.3, 0.7, 1.0, 1.3, 2.0);
    params.top_p = pick(1.0, 1.0, 1e-9, 0.1, 0.5, 0.9, 0.95, 0.999, 0.9999999);
    params.top_k = pick(0u, 0u, 1u, 2u, 40u, 700u, 5000u, 100'000u);
    params.min_p = pick(0.0, 0.0, 0.001, 0.05, 0.5, 1.0);
    params.seed = (uint64_t{random()} << 32) | random();
    const DrawPosition where{static_cast<uint32_t>(random() % 100'000), static_cast<uint32_t>(random() % 4)};
    ASSERT_EQ(draw(logits, params, where), plain::draw(logits, params, where))
        << "case " << i << " of seed " << seed << ": " << vocab_size << " logits, T " << params.temperature
        << ", top_p " << params.top_p << ", top_k " << params.top_k << ", min_p " << params.min_p;
  }
}

TEST(Sampler, large_vocabularies_are_ranked_as_far_as_top_p_needs) {
  for (const float deviation : {0.5f, 3.0f}) {
    const std::vector<float> logits = normal_logits(151'936, 3, deviation);
    for (const double top_p : {0.01, 0.5, 0.99}) {
      for (const uint32_t top_k : {0u, 30'000u}) {
        SamplingParams params;
        params.top_p = top_p;
        params.top_k = top_k;
        params.seed = 5;
        EXPECT_EQ(draw(logits, params, {9, 0}), plain::draw(logits, params, {9, 0}))
            << deviation << " " << top_p << " " << top_k;
      }
    }
  }
}

// Draws of `params` over these logits, by token.
std::map<TokenId, uint32_t> count_draws(const std::vector<float>& logits, SamplingParams params, uint32_t count) {
  std::map<TokenId, uint32_t> counts;
  Scratch scratch(static_cast<uint32_t>(logits.size()));
  for (uint32_t position = 0; position < count; ++position) {
    ++counts[sample_token(logits, params, {position, 0}, scratch.span())];
  }
  return counts;
}

// The probabilities as everybody writes them, in double with the C library's exp.
TEST(Sampler, draws_follow_the_softmax) {
  const std::vector<float> logits = normal_logits(40, 11, 1.0f);
  for (const double temperature : {0.5, 1.0, 2.0}) {
    double sum = 0;
    for (const float logit : logits) sum += std::exp(logit / temperature);
    SamplingParams params;
    params.temperature = temperature;
    params.seed = 1234;
    const uint32_t count = 40'000;
    std::map<TokenId, uint32_t> counts = count_draws(logits, params, count);
    double chi_square = 0;
    uint32_t degrees = 0;
    for (TokenId token = 0; token < logits.size(); ++token) {
      const double expected = count * std::exp(logits[token] / temperature) / sum;
      if (expected < 5) continue;
      chi_square += (counts[token] - expected) * (counts[token] - expected) / expected;
      ++degrees;
    }
    // Mean `degrees`, deviation sqrt(2 degrees): five deviations.
    EXPECT_LT(chi_square, degrees + 5 * std::sqrt(2.0 * degrees)) << "temperature " << temperature;
    EXPECT_GT(chi_square, degrees - 5 * std::sqrt(2.0 * degrees)) << "too even to be random";
  }
}

TEST(Sampler, each_parameter_bounds_the_set_that_is_drawn_from) {
  // Probabilities 0.4, 0.3, 0.2, 0.1 in a shuffled order of ids.
  std::vector<float> logits;
  for (const double p : {0.2, 0.4, 0.1, 0.3}) logits.push_back(static_cast<float>(std::log(p)));
  const auto drawn = [&](SamplingParams params) {
    std::vector<TokenId> tokens;
    for (const auto& [token, count] : count_draws(logits, params, 2000)) tokens.push_back(token);
    return tokens;
  };
  using Tokens = std::vector<TokenId>;
  EXPECT_EQ(drawn({}), (Tokens{0, 1, 2, 3}));
  EXPECT_EQ(drawn({.temperature = 1, .top_k = 2}), (Tokens{1, 3}));
  EXPECT_EQ(drawn({.temperature = 1, .top_p = 0.65}), (Tokens{1, 3}));  // 0.4 < 0.65 <= 0.7
  EXPECT_EQ(drawn({.temperature = 1, .top_p = 0.75}), (Tokens{0, 1, 3}));
  EXPECT_EQ(drawn({.temperature = 1, .top_p = 0.01}), (Tokens{1}));
  EXPECT_EQ(drawn({.temperature = 1, .min_p = 0.4}), (Tokens{0, 1, 3}));  // 0.2 / 0.4 = 0.5, 0.1 / 0.4 = 0.25
  EXPECT_EQ(drawn({.temperature = 1, .min_p = 1}), (Tokens{1}));
  // top_p counts what top_k left: 0.4 / 0.7 = 0.57.
  EXPECT_EQ(drawn({.temperature = 1, .top_p = 0.55, .top_k = 2}), (Tokens{1}));
  EXPECT_EQ(drawn({.temperature = 1, .top_p = 0.55}), (Tokens{1, 3}));
  EXPECT_EQ(drawn({.temperature = 0}), (Tokens{1}));
}

TEST(Sampler, seed_choice_and_position_each_change_the_draw) {
  const std::vector<float> logits(1000, 0.0f);
  const auto tokens = [&](uint64_t seed, uint32_t choice, uint32_t first_position) {
    std::vector<TokenId> drawn;
    for (uint32_t i = 0; i < 8; ++i) drawn.push_back(draw(logits, {.seed = seed}, {first_position + i, choice}));
    return drawn;
  };
  EXPECT_EQ(tokens(1, 0, 0), tokens(1, 0, 0));
  EXPECT_NE(tokens(1, 0, 0), tokens(2, 0, 0));
  EXPECT_NE(tokens(1, 0, 0), tokens(uint64_t{1} + (uint64_t{1} << 32), 0, 0));
  EXPECT_NE(tokens(1, 0, 0), tokens(1, 1, 0));
  EXPECT_NE(tokens(1, 0, 0), tokens(1, 0, 1));
}

TEST(Sampler, greedy_takes_the_lowest_id_of_equal_logits) {
  std::vector<float> logits(5000, -1.0f);
  logits[4711] = logits[1234] = logits[3000] = 2.5f;
  EXPECT_EQ(draw(logits, {.temperature = 0}, {0, 0}), 1234u);
  EXPECT_EQ(draw(logits, {.temperature = 1, .top_k = 1}, {0, 0}), 1234u);
  EXPECT_EQ(draw({-0.0f, 0.0f}, {.temperature = 0}, {0, 0}), 0u);
}

TEST(Sampler, extreme_numbers_give_a_token_of_the_set) {
  const float huge = 3e38f;
  const std::vector<float> logits{-huge, huge, 0.0f, huge, 1e-42f, -1e-42f};
  for (const double temperature : {5e-324, 1e-300, 1e-30, 1e-3, 1.0, 2.0}) {
    for (uint32_t position = 0; position < 200; ++position) {
      const TokenId token = draw(logits, {.temperature = temperature}, {position, 0});
      EXPECT_TRUE(token == 1 || token == 3) << temperature;
      EXPECT_EQ(draw(logits, {.temperature = temperature, .top_p = 5e-324}, {position, 0}), 1u);
    }
  }
  EXPECT_EQ(draw({1.0f}, {}, {0, 0}), 0u);
}

TEST(Sampler, the_callers_float_mode_does_not_matter) {
  const std::vector<float> logits = normal_logits(3000, 21, 20.0f);
  const unsigned outer = _mm_getcsr();
  for (uint32_t position = 0; position < 50; ++position) {
    _mm_setcsr(0x1f80);
    const TokenId plain_mode = draw(logits, {.temperature = 2, .seed = 3}, {position, 0});
    set_float_mode();
    const TokenId flushing = draw(logits, {.temperature = 2, .seed = 3}, {position, 0});
    _mm_setcsr(outer);
    EXPECT_EQ(plain_mode, flushing);
  }
}

TEST(Sampler, threads_at_once_draw_what_one_draws_alone) {
  const std::vector<float> logits = normal_logits(20'000, 5, 3.0f);
  const SamplingParams params{.temperature = 1, .top_p = 0.9, .top_k = 500, .min_p = 0.001, .seed = 77};
  const auto draws = [&] {
    std::vector<TokenId> tokens;
    for (uint32_t position = 0; position < 100; ++position) tokens.push_back(draw(logits, params, {position, 0}));
    return tokens;
  };
  const std::vector<TokenId> alone = draws();
  std::vector<std::vector<TokenId>> together(4);
  std::vector<std::thread> threads;
  for (auto& tokens : together) threads.emplace_back([&tokens, &draws] { tokens = draws(); });
  for (std::thread& thread : threads) thread.join();
  for (const auto& tokens : together) EXPECT_EQ(tokens, alone);
}

// The same numbers on every processor, under every compiler, for ever: an answer cut off on one machine goes on on
// another.
TEST(Sampler, draws_that_are_committed) {
  std::vector<float> logits(4000);
  for (uint32_t i = 0; i < logits.size(); ++i) {
    const auto words = philox4x32(99, {i, 0, 0, 0});
    // About bell-shaped: the mean of four uniform numbers.
    const double mean = (double(words[0]) + double(words[1]) + double(words[2]) + double(words[3])) * 0x1p-34;
    logits[i] = static_cast<float>((mean - 0.5) * 30);
  }
  const auto tokens = [&](SamplingParams params) {
    std::vector<TokenId> drawn;
    for (uint32_t position = 0; position < 8; ++position)
      drawn.push_back(draw(logits, params, {position, position / 4}));
    return drawn;
  };
  using Tokens = std::vector<TokenId>;
  EXPECT_EQ(tokens({.temperature = 1, .seed = 42}), (Tokens{1912, 3787, 3232, 2936, 2873, 221, 22, 31}));
  EXPECT_EQ(tokens({.temperature = 0.7, .top_p = 0.9, .seed = 42}),
            (Tokens{1912, 3787, 3522, 3100, 3028, 344, 22, 31}));
  EXPECT_EQ(tokens({.temperature = 1.5, .top_k = 20, .seed = 0xfedcba9876543210}),
            (Tokens{3167, 547, 1215, 1215, 3787, 3028, 1235, 547}));
  EXPECT_EQ(tokens({.temperature = 2, .top_p = 0.99, .top_k = 3000, .min_p = 0.01, .seed = 1}),
            (Tokens{3522, 2586, 745, 2977, 344, 2974, 367, 3469}));
}

TEST(Sampler, every_instruction_set_draws_the_same) {
  std::mt19937 random(13);
  for (const float deviation : {0.1f, 2.5f}) {
    std::vector<float> logits = normal_logits(50'001, 4, deviation);
    for (int i = 0; i < 200; ++i) logits[random() % logits.size()] = -std::numeric_limits<float>::infinity();
    for (const SamplingParams& params :
         {SamplingParams{.temperature = 0}, SamplingParams{.temperature = 0.8, .seed = 3},
          SamplingParams{.temperature = 0.8, .top_p = 0.95, .seed = 3},
          SamplingParams{.temperature = 0.8, .top_p = 0.95, .top_k = 40, .seed = 3},
          SamplingParams{.temperature = 0.8, .top_p = 0.95, .min_p = 0.01, .seed = 3}}) {
      for (uint32_t position = 0; position < 8; ++position) {
        const TokenId expected = plain::draw(logits, params, {position, 0});
        for (const Isa isa : kAllIsas) {
          if (!isa_supported(isa)) continue;
          Scratch scratch(static_cast<uint32_t>(logits.size()));
          EXPECT_EQ(sample_token(logits, params, {position, 0}, scratch.span(), kernels_for(isa)), expected)
              << isa_name(isa);
        }
      }
    }
  }
}

TEST(Sampler, min_p_keeps_what_weighs_just_as_much) {
  // Weights 1, and float(2^-0.5) twice: as fp32 numbers a little above or below the double that asks.
  const std::vector<float> logits{0.0f, -0.5f, -0.5f};
  const SamplingParams params{.temperature = 1.4426950408889634074};
  const auto weight = static_cast<double>(exp2_fixed(-0.5f));
  const auto num_drawn = [&](double min_p) {
    SamplingParams one = params;
    one.min_p = min_p;
    return count_draws(logits, one, 100).size();
  };
  EXPECT_EQ(num_drawn(weight), 3u);
  EXPECT_EQ(num_drawn(std::nextafter(weight, 0.0)), 3u);
  EXPECT_EQ(num_drawn(std::nextafter(weight, 1.0)), 1u);
  EXPECT_EQ(num_drawn(5e-324), 3u);
}

// Banned tokens stand nowhere: the draw is that of a vocabulary where their weight is 0 at every setting.
TEST(Sampler, a_banned_token_is_never_chosen) {
  constexpr float kBanned = -std::numeric_limits<float>::infinity();
  std::vector<float> logits = normal_logits(3000, 8, 1);
  std::vector<float> least = logits;  // the same, with the banned ones too far away to be drawn
  for (size_t i = 0; i < logits.size(); ++i) {
    if (i % 3 == 0) continue;
    logits[i] = kBanned;
    least[i] = -1e30f;
  }
  for (const SamplingParams& params : {SamplingParams{.temperature = 0}, SamplingParams{.temperature = 2},
                                       SamplingParams{.temperature = 2, .top_k = 2000},
                                       SamplingParams{.temperature = 2, .top_p = 0.999999},
                                       SamplingParams{.temperature = 2, .top_p = 0.9, .top_k = 2500, .min_p = 1e-9}}) {
    for (uint32_t position = 0; position < 200; ++position) {
      const TokenId token = draw(logits, params, {position, 0});
      EXPECT_EQ(token % 3, 0u);
      EXPECT_EQ(token, draw(least, params, {position, 0}));
    }
  }
  std::vector<float> one(3000, kBanned);
  one[1234] = -5;
  for (const double temperature : {0.0, 1.0}) {
    EXPECT_EQ(draw(one, {.temperature = temperature, .top_p = 0.5, .top_k = 7}, {3, 1}), 1234u);
  }
}

}  // namespace
}  // namespace slipstream
