// The least time that a step can take on a machine (P5): for each matrix product and each layer's attention the larger
// of its bytes over the read bandwidth and its multiplications and additions over their kind's own peak, all added up.
// Norms, rotations, softmax and sampling are not counted: what they take is lost.
#pragma once

#include <cstdint>

#include "kernels/machine_limits.h"
#include "model/cpu_executor.h"
#include "model/model_config.h"
#include "model/weights.h"

namespace slipstream {

// `num_sequences` alike, each with rows at positions first_position, first_position + 1 ...
struct StepShape {
  uint32_t num_sequences = 1;
  uint32_t first_position = 0;
  uint32_t num_rows = 1;    // of each
  uint32_t num_sampled = 1;  // of each; lm_head's rows
};

// Distinct experts that `num_rows` rows are expected to choose, each `chosen` of `num_experts`, all equally likely.
double expected_experts(uint32_t num_experts, uint32_t chosen, uint32_t num_rows);

// In seconds.
double step_limit_s(const ModelConfig& config, const Weights& weights, ActivationMode activations,
                    const StepShape& shape, const MachineLimits& machine);

}  // namespace slipstream
