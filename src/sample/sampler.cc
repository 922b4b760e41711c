#include "sample/sampler.h"

#include <algorithm>
#include <bit>
#include <limits>

#include "base/check.h"
#include "base/float_mode.h"
#include "base/memory.h"
#include "base/random.h"
#include "kernels/fixed_arithmetic.h"
#include "sample/nucleus.h"
#include "sample/ranking.h"
#include "sample/weight_sum.h"

namespace slipstream {
namespace {

constexpr size_t kAlignment = 64;

// What one draw works on. A token that was dropped or banned weighs 0; one that survives never does: 2^-126 is the
// least.
struct Draw {
  std::span<const float> logits;  // [vocab]
  std::span<float> weights;       // [vocab up to a whole block], 0 behind the vocabulary; of blocks with a sum alone
  std::span<float> block_sums;    // [blocks], of weights as they are
  std::span<float> maxima;        // [groups]
  InsideScratch inside;
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
  draw.maxima = take(num_rank_groups(vocab_size), static_cast<float*>(nullptr));
  const uint32_t inside = most_inside(static_cast<uint32_t>(vocab_size));
  draw.inside.logits = take(inside, static_cast<float*>(nullptr));
  draw.inside.weights = take(inside, static_cast<float*>(nullptr));
  draw.inside.tokens = take(inside, static_cast<TokenId*>(nullptr));
  draw.ranking.keys = take(vocab_size, static_cast<RankKey*>(nullptr));
  draw.ranking.spare = take(vocab_size, static_cast<RankKey*>(nullptr));
  draw.ranking.counts = take(kRankingCounts, static_cast<uint32_t*>(nullptr));
  draw.ranking.maxima = draw.maxima;
  return draw;
}

// w = exp2((l - max) * float(log2e / T)).
void weigh(const Draw& draw, float max_logit, double temperature, const Kernels& kernels) {
  // A temperature so small that the factor overflows still gives the largest logit 0 * factor = 0, not NaN.
  const double factor = std::min<double>(kLog2eDouble / temperature, std::numeric_limits<float>::max());
  const float scale = static_cast<float>(factor);
  // From the end, of which most is still in the cache from the walk before.
  for (size_t block = draw.block_sums.size(); block-- > 0;) {
    const size_t begin = block * kSumBlock;
    const auto size = static_cast<uint32_t>(std::min<size_t>(kSumBlock, draw.logits.size() - begin));
    draw.block_sums[block] =
        kernels.weigh(draw.logits.data() + begin, size, max_logit, scale, draw.weights.data() + begin);
  }
}

// Of all weights, blocks ascending.
double total(const Draw& draw) {
  double sum = 0;
  for (const float block : draw.block_sums) sum += block;
  return sum;
}

// Drops every token that ranks behind `last`.
void keep_until(RankKey last, const Draw& draw) {
  constexpr size_t kBlockGroups = kSumBlock / kRankGroup;
  const TokenId last_token = ranked_token(last);
  const float last_logit = draw.logits[last_token];
  float last_block[kSumBlock] = {};  // a copy of the logits' last block if it is not whole
  for (size_t block = draw.block_sums.size(); block-- > 0;) {  // from the end, as in weigh()
    const auto maxima = draw.maxima.subspan(block * kBlockGroups);
    const float most = *std::ranges::max_element(maxima.first(std::min(kBlockGroups, maxima.size())));
    if (most < last_logit || draw.block_sums[block] == 0) {
      draw.block_sums[block] = 0;
      continue;
    }
    const size_t begin = block * kSumBlock;
    const float* logits = draw.logits.data() + begin;
    if (draw.logits.size() < begin + kSumBlock) {
      std::copy(logits, draw.logits.data() + draw.logits.size(), last_block);
      logits = last_block;
    }
    float* const weights = draw.weights.data() + begin;
    // Of `last` in this block, or before or behind it.
    const int64_t distance = int64_t{last_token} - static_cast<int64_t>(begin);
    const auto place = static_cast<int32_t>(std::clamp<int64_t>(distance, -1, kSumBlock));
    if (place < 0) {  // an equal logit ranks behind it
      draw.block_sums[block] =
          keep_in_block(weights, [&](uint32_t i, Floats) { return load_lanes(logits + i) > last_logit; });
    } else {
      draw.block_sums[block] = keep_in_block(weights, [&](uint32_t i, Floats) {
        const Integers places = Integers{0, 1, 2, 3, 4, 5, 6, 7} + static_cast<int32_t>(i);
        const Floats logit = load_lanes(logits + i);
        return (logit > last_logit) | ((logit == last_logit) & (places <= place));
      });
    }
  }
}

// Drops what weighs less.
void keep_heavier(double min_p, const Draw& draw) {
  auto least = static_cast<float>(min_p);  // that is no less than min_p
  if (least < min_p) least = std::bit_cast<float>(std::bit_cast<uint32_t>(least) + 1);
  for (size_t block = 0; block < draw.block_sums.size(); ++block) {
    if (draw.block_sums[block] == 0) continue;
    draw.block_sums[block] = keep_in_block(draw.weights.data() + block * kSumBlock,
                                           [&](uint32_t, Floats weights) { return weights >= least; });
  }
}

// Walks the survivors by ascending id to where their running sum exceeds u * S.
TokenId walk(double u, const Draw& draw) {
  const double target = u * total(draw);
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
         round_up(num_rank_groups(vocab_size) * sizeof(float), kAlignment) +
         3 * round_up(most_inside(vocab_size) * sizeof(float), kAlignment) +
         2 * round_up(size_t{vocab_size} * sizeof(RankKey), kAlignment) + kRankingCounts * sizeof(uint32_t);
}

TokenId sample_token(std::span<const float> logits, const SamplingParams& params, DrawPosition where,
                     std::span<std::byte> scratch, const Kernels& kernels) {
  const FloatModeScope float_mode;
  const uint32_t vocab_size = static_cast<uint32_t>(logits.size());
  CHECK(vocab_size > 0 && scratch.size() >= sampler_scratch_bytes(vocab_size), "{} logits, {} bytes of scratch",
        vocab_size, scratch.size());
  const Draw draw = lay_out(logits, scratch);
  const TokenId best = first_rank(logits, draw.maxima);
  if (params.temperature == 0) return best;

  weigh(draw, logits[best], params.temperature, kernels);
  std::span<const RankKey> ranks;  // with top_k: those that it keeps
  if (params.top_k > 0 && params.top_k < vocab_size) {
    ranks = rank_best(logits, params.top_k, draw.ranking);
    keep_until(ranks.back(), draw);
  }
  if (params.top_p < 1) {
    const double weight = total(draw);
    const double enough = params.top_p * weight;
    const NucleusSearch search{logits, draw.weights, weight, draw.inside, draw.ranking};
    const auto end = ranks.empty() ? find_nucleus_end(enough, search, kernels)
                                   : find_nucleus_end(enough, ranks, draw.weights);
    if (end.has_value()) keep_until(*end, draw);
  }
  if (params.min_p > 0) keep_heavier(params.min_p, draw);
  return walk(unit_double(philox4x32(params.seed, {where.position, where.choice, 0, 0})), draw);
}

}  // namespace slipstream
