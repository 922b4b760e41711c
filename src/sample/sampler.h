// Logits -> token. A draw is a function of (logits, params, choice, position) alone (ARITHMETIC.md 9, sampling and
// draw), so it does not matter who else is sampled, on which thread, or on which machine.
//
//   temperature 0   the first rank: largest logit, lowest id. A logit of -infinity is banned: never chosen, weighs 0
//   else
//   weight          w = exp2((l - max) * float(log2(e) / T)), fp32; between 2^-126 and 1
//   top_k           the top_k first ranks (logit descending, id ascending) are kept
//   top_p           of these, along the rank: kept while the sum of the weights before, in double, is < top_p * total;
//                   total is added like S below. 1 = off
//   min_p           of these, kept where w >= min_p
//   S               by ascending id in blocks of 1,024 ids: fp32 in 16 virtual lanes (lane id % 16) and a tree
//                   (L[j] += L[j + 8], + 4, + 2, + 1) inside a block, blocks in double. What was dropped weighs 0
//   draw            t = u * S; the first block whose running sum exceeds t, in it the first token whose running sum
//                   (double) does, else its last. u: unit_double(philox4x32(seed, {position, choice, 0, 0})) in
//                   base/random.h
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/ids.h"
#include "kernels/kernels.h"
#include "sample/sampling_params.h"

namespace slipstream {

// Where in the stream of random numbers a draw stands.
struct DrawPosition {
  uint32_t position = 0;  // index of the drawn token in its sequence (prompt included)
  uint32_t choice = 0;    // index among the request's n
};

// One thread's work. The logits are finite (the executor said so) or banned, not all of them. scratch:
// sampler_scratch_bytes(vocab_size) of this thread's own, 64-byte aligned. No allocation. `kernels` changes no token.
// For 152,064 logits, which take 6 us to read, with AVX-512 on Zen 4: 7 us greedy, 33 by temperature, 42 with top_p
// where few tokens make it up and 100-130 where thousands do, 50 with top_k; 1-2 ms where the end of top_p falls among
// thousands of equal logits, which are ranked then (bench/sampler_bench.cc).
TokenId sample_token(std::span<const float> logits, const SamplingParams& params, DrawPosition where,
                     std::span<std::byte> scratch, const Kernels& kernels = best_kernels());
size_t sampler_scratch_bytes(uint32_t vocab_size);

}  // namespace slipstream
