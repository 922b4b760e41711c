// The best of many logits, in rank order, without sorting the vocabulary. Rank: by logit, the largest first; equal
// logits by id, the lowest first (-0 equals 0). Logits are finite or -infinity. One thread's work; no allocation; any
// thread.
#pragma once

#include <cstdint>
#include <span>

#include "base/ids.h"

namespace slipstream {

// A logit and its token as one number: ascending order is rank order.
using RankKey = uint64_t;

inline constexpr uint32_t kRankGroup = 128;  // logits of which only the largest is looked at first
constexpr size_t num_rank_groups(size_t num_logits) { return (num_logits + kRankGroup - 1) / kRankGroup; }

// Of kRankGroup logits.
float largest_in_group(const float* logits);

// The token of the first rank. maxima: [num_rank_groups()], gets the largest logit of each group; or empty.
TokenId first_rank(std::span<const float> logits, std::span<float> maxima = {});

RankKey rank_key(float logit, TokenId token);
inline TokenId ranked_token(RankKey key) { return static_cast<TokenId>(key); }

// Memory for rank_best(), uninitialised.
struct RankingScratch {
  std::span<RankKey> keys;     // [number of logits]
  std::span<RankKey> spare;    // [number of logits]
  std::span<uint32_t> counts;  // [kRankingCounts]
  std::span<const float> maxima = {};  // as first_rank() left them for these logits; empty: not known
};
inline constexpr uint32_t kRankingCounts = 3 * 2048;  // three digits of 11 bits make a logit

// The `count` best (all of them when there are fewer; never those at -infinity), first rank first; they lie in one of
// the scratch's two arrays. O(logits) + O(count log count), whatever their order.
std::span<const RankKey> rank_best(std::span<const float> logits, uint32_t count, const RankingScratch& scratch);
// scratch.keys[0, count), which are in order of id, in rank order; they lie in one of the scratch's two arrays.
std::span<const RankKey> sort_ranks(uint32_t count, const RankingScratch& scratch);

}  // namespace slipstream
