#include "kernels/router.h"

#include "kernels/fixed_arithmetic.h"
#include "kernels/scalar_math.h"

namespace slipstream {
namespace {

constexpr uint32_t kLanes = 16;

// The best that is not taken: logit descending, index ascending. Nothing is better than a NaN, nor a NaN than anything.
uint32_t next_best(const float* logits, uint32_t num_experts, const uint32_t* taken, uint32_t num_taken) {
  const auto is_taken = [&](uint32_t expert) {
    for (uint32_t rank = 0; rank < num_taken; ++rank) {
      if (taken[rank] == expert) return true;
    }
    return false;
  };
  uint32_t best = num_experts;
  for (uint32_t expert = 0; expert < num_experts; ++expert) {
    if (best != num_experts && !(logits[expert] > logits[best])) continue;
    if (!is_taken(expert)) best = expert;
  }
  return best;
}

float sum_of_exp(const float* logits, uint32_t num_experts, float largest) {
  float lanes[kLanes] = {};
  for (uint32_t expert = 0; expert < num_experts; ++expert)
    lanes[expert % kLanes] += exp_fixed(logits[expert] - largest);
  return sum_tree(lanes);
}

}  // namespace

void choose_experts(const float* logits, uint32_t num_experts, uint32_t count, bool renormalise, uint32_t* experts,
                    float* weights) {
  for (uint32_t rank = 0; rank < count; ++rank) experts[rank] = next_best(logits, num_experts, experts, rank);
  const float largest = logits[experts[0]];
  float chosen = 0.0f;
  for (uint32_t rank = 0; rank < count; ++rank) {
    weights[rank] = exp_fixed(logits[experts[rank]] - largest);
    chosen += weights[rank];
  }
  const float sum = renormalise ? chosen : sum_of_exp(logits, num_experts, largest);
  for (uint32_t rank = 0; rank < count; ++rank) weights[rank] = weights[rank] / sum;
}

}  // namespace slipstream
