#include "sample/logit_rules.h"

#include <algorithm>
#include <limits>

#include "base/float_mode.h"

namespace slipstream {
namespace {

float in_range(float logit) {
  constexpr float kMost = std::numeric_limits<float>::max();
  return std::clamp(logit, -kMost, kMost);
}

}  // namespace

bool needs_counts(const SamplingParams& params) {
  return params.repetition_penalty != 1 || params.frequency_penalty != 0 || params.presence_penalty != 0;
}

bool bends_logits(const SamplingParams& params, const TokenCounts& counts) {
  return !params.logit_bias.empty() || !counts.counts().empty();
}

void apply_logit_rules(std::span<float> logits, const SamplingParams& params, const TokenCounts& counts) {
  const FloatModeScope float_mode;
  const auto repetition = static_cast<float>(params.repetition_penalty);
  const auto frequency = static_cast<float>(params.frequency_penalty);
  const auto presence = static_cast<float>(params.presence_penalty);
  for (const TokenCounts::Count& count : counts.counts()) {
    float logit = logits[count.token];
    logit = logit > 0 ? logit / repetition : logit * repetition;
    if (count.num_output > 0) logit = (logit - frequency * static_cast<float>(count.num_output)) - presence;
    logits[count.token] = in_range(logit);
  }
  for (const LogitBias& bias : params.logit_bias) logits[bias.token] = in_range(logits[bias.token] + bias.bias);
}

void ban_tokens(std::span<float> logits, std::span<const TokenId> tokens) {
  for (const TokenId token : tokens) logits[token] = -std::numeric_limits<float>::infinity();
}

}  // namespace slipstream
