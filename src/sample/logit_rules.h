// What a request does to logits before a token is chosen (ARITHMETIC.md 9, sampling): repetition penalty over prompt
// and answer, frequency and presence penalty over the answer, bias.
//
//   l = l > 0 ? l / repetition : l * repetition     each token that stands in the sequence
//   l = (l - frequency * count) - presence          each token that stands in the answer, `count` times
//   l = l + bias                                    each token that has one
//   l = -infinity                                   each token that is banned
//
// In fp32, each number of the request rounded to it once; a result beyond fp32's range stays at its end.
#pragma once

#include <span>

#include "sample/sampling_params.h"
#include "sample/token_counts.h"

namespace slipstream {

// False: these params need no counts.
bool needs_counts(const SamplingParams& params);

// False: apply_logit_rules() would leave all logits as they are.
bool bends_logits(const SamplingParams& params, const TokenCounts& counts);
// One thread's work; touches only the tokens that a rule names. Every token in counts and logit_bias is below
// logits.size().
void apply_logit_rules(std::span<float> logits, const SamplingParams& params, const TokenCounts& counts);
// After it: these cannot be chosen. Each is below logits.size().
void ban_tokens(std::span<float> logits, std::span<const TokenId> tokens);

}  // namespace slipstream
