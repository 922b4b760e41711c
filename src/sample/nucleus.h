// Where the nucleus of top_p ends: the rank at which the sum of the weights, added in double along the rank, reaches
// enough. Found without ranking the vocabulary.
//
//   logits, by rank   0 ................. | ............. | ................. vocabulary
//                     above: only added     inside          below: not looked at any more
//                     (in another order)    the bracket
//
// A sample says between which logits the end lies, about; one pass adds up what is above them and gathers what is
// inside; and again among these, until few are left to be ranked. The sum above, added in another order than along the
// rank, may be wrong in its last bits. Where these could decide, where a sample misled, or where so many logits are
// equal that nothing is gained, the vocabulary is ranked after all. So what is found is always the definition's answer.
#pragma once

#include <algorithm>
#include <optional>
#include <span>

#include "kernels/kernels.h"
#include "sample/ranking.h"

namespace slipstream {

// Memory for tokens inside a bracket, uninitialised: [most_inside(number of logits)] each.
struct InsideScratch {
  std::span<float> logits;
  std::span<float> weights;
  std::span<TokenId> tokens;
};
// A sample of a smooth distribution leaves 16 % at most (where half of all weighs enough).
constexpr uint32_t most_inside(uint32_t num_logits) { return std::min(num_logits, std::max(num_logits / 4, 4096u)); }

struct NucleusSearch {
  std::span<const float> logits;   // finite or -infinity
  std::span<const float> weights;  // by Kernels::weigh, of the same tokens
  double total = 0;                // of the weights, about
  InsideScratch inside;
  RankingScratch ranking;  // with the maxima
};

// The key of the last rank of the nucleus; none where all logits together are not enough. Float mode is set.
std::optional<RankKey> find_nucleus_end(double enough, const NucleusSearch& search, const Kernels& kernels);

// The same along ranks that are known.
std::optional<RankKey> find_nucleus_end(double enough, std::span<const RankKey> ranks, std::span<const float> weights);

}  // namespace slipstream
