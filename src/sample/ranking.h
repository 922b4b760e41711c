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

// The token of the first rank.
TokenId first_rank(std::span<const float> logits);

RankKey rank_key(float logit, TokenId token);
inline TokenId ranked_token(RankKey key) { return static_cast<TokenId>(key); }

// Memory for rank_best(), uninitialised.
struct RankingScratch {
  std::span<RankKey> keys;     // [number of logits]
  std::span<RankKey> spare;    // [number of logits]
  std::span<uint32_t> counts;  // [kRankingCounts]
};
inline constexpr uint32_t kRankingCounts = 3 * 2048;  // three digits of 11 bits make a logit

// The `count` best (all of them when there are fewer; never those at -infinity), first rank first; they lie in one of
// the scratch's two arrays. O(logits) + O(count log count), whatever their order.
std::span<const RankKey> rank_best(std::span<const float> logits, uint32_t count, const RankingScratch& scratch);

}  // namespace slipstream
