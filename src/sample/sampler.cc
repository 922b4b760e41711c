#include "sample/sampler.h"

#include <algorithm>
#include <limits>

#include "base/check.h"
#include "base/float_mode.h"
#include "base/memory.h"
#include "base/random.h"
#include "kernels/fixed_arithmetic.h"
#include "sample/ranking.h"
#include "sample/weight_sum.h"

namespace slipstream {
namespace {

constexpr size_t kAlignment = 64;

// What one draw works on. A token that was dropped or banned weighs 0; one that survives never does: 2^-126 is the
// least.
struct Draw {
  std::span<const float> logits;  // [vocab]
  std::span<float> weights;       // [vocab up to a whole block], 0 behind the vocabulary
  std::span<float> block_sums;    // [blocks]
  RankingScratch ranking;
};

size_t num_blocks(size_t vocab_size) { return (vocab_size + kSumBlock - 1) / kSumBlock; }

Draw lay_out(std::span<const float> logits, std::span<std::byte> scratch) {
  const size_t vocab_size = logits.size();
  std::byte* next = scratch.data();
  const auto take = [&]<class T>(size_t count, T*) {
    const std::span<T> part(reinterpret_cast<T*>(next), count);
    next += round_up(count * sizeof(T), kAlignment);
    return part;
  };
  Draw draw;
  draw.logits = logits;
  draw.weights = take(num_blocks(vocab_size) * kSumBlock, static_cast<float*>(nullptr));
  draw.block_sums = take(num_blocks(vocab_size), static_cast<float*>(nullptr));
  draw.ranking.keys = take(vocab_size, static_cast<RankKey*>(nullptr));
  draw.ranking.spare = take(vocab_size, static_cast<RankKey*>(nullptr));
  draw.ranking.counts = take(kRankingCounts, static_cast<uint32_t*>(nullptr));
  return draw;
}

// w = exp2((l - max) * float(log2e / T)).
void weigh(const Draw& draw, float max_logit, double temperature) {
  // A temperature so small that the factor overflows still gives the largest logit 0 * factor = 0, not NaN.
  const double factor = std::min<double>(kLog2eDouble / temperature, std::numeric_limits<float>::max());
  const float scale = static_cast<float>(factor);
  const float* logits = draw.logits.data();
  float* weights = draw.weights.data();
  const size_t size = draw.logits.size();
  constexpr float kBanned = -std::numeric_limits<float>::infinity();
  for (size_t i = 0; i < size; ++i) {
    const float weight = exp2_polynomial((logits[i] - max_logit) * scale);
    weights[i] = logits[i] == kBanned ? 0.0f : weight;
  }
  std::fill(draw.weights.begin() + size, draw.weights.end(), 0.0f);
}

// Fills block_sums and returns their sum, blocks ascending.
double sum_weights(const Draw& draw) {
  double sum = 0;
  for (size_t block = 0; block < draw.block_sums.size(); ++block) {
    draw.block_sums[block] = block_sum(draw.weights.data() + block * kSumBlock);
    sum += draw.block_sums[block];
  }
  return sum;
}

// Drops every token that ranks behind `last`.
void keep_until(RankKey last, const Draw& draw) {
  const TokenId last_token = ranked_token(last);
  const float last_logit = draw.logits[last_token];
  const float* logits = draw.logits.data();
  float* weights = draw.weights.data();
  const size_t size = draw.logits.size();
  for (size_t i = 0; i <= last_token; ++i) weights[i] = logits[i] >= last_logit ? weights[i] : 0.0f;
  for (size_t i = last_token + size_t{1}; i < size; ++i) weights[i] = logits[i] > last_logit ? weights[i] : 0.0f;
}

// Keeps a token while the weights before it, added in double along the rank, are less than top_p of all.
void keep_nucleus(double top_p, uint32_t num_survivors, const Draw& draw) {
  const double enough = top_p * sum_weights(draw);
  // In most distributions a few tokens are enough; where they are not, more are ranked.
  for (uint32_t ranked = 512;; ranked = ranked > num_survivors / 16 ? num_survivors : ranked * 16) {
    const std::span<const RankKey> best = rank_best(draw.logits, std::min(ranked, num_survivors), draw.ranking);
    double sum = 0;
    for (const RankKey key : best) {
      sum += draw.weights[ranked_token(key)];
      if (sum >= enough) return keep_until(key, draw);
    }
    if (ranked >= num_survivors) return;
  }
}

void keep_heavier(double min_p, const Draw& draw) {
  for (float& weight : draw.weights) weight = static_cast<double>(weight) >= min_p ? weight : 0.0f;
}

// Walks the survivors by ascending id to where their running sum exceeds u * S.
TokenId walk(double u, const Draw& draw) {
  const double target = u * sum_weights(draw);
  double before = 0;
  size_t block = 0;
  while (block + 1 < draw.block_sums.size() && before + draw.block_sums[block] <= target) {
    before += draw.block_sums[block++];
  }
  const size_t begin = block * kSumBlock;
  const size_t end = std::min(begin + kSumBlock, draw.logits.size());
  size_t last_member = begin;
  double sum = before;
  for (size_t i = begin; i < end; ++i) {
    if (draw.weights[i] == 0.0f) continue;
    sum += draw.weights[i];
    last_member = i;
    if (sum > target) break;
  }
  return static_cast<TokenId>(last_member);
}

}  // namespace

size_t sampler_scratch_bytes(uint32_t vocab_size) {
  const size_t blocks = num_blocks(vocab_size);
  return blocks * kSumBlock * sizeof(float) + round_up(blocks * sizeof(float), kAlignment) +
         2 * round_up(size_t{vocab_size} * sizeof(RankKey), kAlignment) + kRankingCounts * sizeof(uint32_t);
}

TokenId sample_token(std::span<const float> logits, const SamplingParams& params, DrawPosition where,
                     std::span<std::byte> scratch) {
  const FloatModeScope float_mode;
  const uint32_t vocab_size = static_cast<uint32_t>(logits.size());
  CHECK(vocab_size > 0 && scratch.size() >= sampler_scratch_bytes(vocab_size), "{} logits, {} bytes of scratch",
        vocab_size, scratch.size());
  const TokenId best = first_rank(logits);
  if (params.temperature == 0) return best;

  const Draw draw = lay_out(logits, scratch);
  weigh(draw, logits[best], params.temperature);
  uint32_t num_survivors = vocab_size;
  if (params.top_k > 0 && params.top_k < vocab_size) {
    num_survivors = params.top_k;
    keep_until(rank_best(logits, num_survivors, draw.ranking).back(), draw);
  }
  if (params.top_p < 1) keep_nucleus(params.top_p, num_survivors, draw);
  if (params.min_p > 0) keep_heavier(params.min_p, draw);
  return walk(unit_double(philox4x32(params.seed, {where.position, where.choice, 0, 0})), draw);
}

}  // namespace slipstream
