#include "app/step_limit.h"

#include <algorithm>
#include <cmath>

namespace slipstream {
namespace {

struct Limits {
  const MachineLimits& machine;
  ActivationMode activations;

  double seconds(double bytes, double operations, double tops) const {
    return std::max(bytes / (machine.read_gb_s * 1e9), operations / (tops * 1e12));
  }
  // `copies` matrices like this one, through which `rows` rows go in all.
  double product(const PackedMatrix& matrix, double rows, double copies = 1) const {
    const double bytes = copies * static_cast<double>(packed_bytes(matrix.format, matrix.rows, matrix.cols));
    const double operations = 2.0 * matrix.rows * matrix.cols * rows;
    const bool integers = matrix.format.quantised() && activations == ActivationMode::kInt16;
    return seconds(bytes, operations, integers ? machine.integer_tops : machine.fma_tops);
  }
};

double attention(const Limits& limits, const ModelConfig& config, const StepShape& shape) {
  const double value_bytes = limits.activations == ActivationMode::kF32 ? 4 : 2;
  const double last_context = static_cast<double>(shape.first_position) + shape.num_rows;
  const double bytes = last_context * 2 * config.num_kv_heads * config.head_dim * value_bytes;
  // Each row sees the positions up to its own.
  const double seen = shape.num_rows * (shape.first_position + (shape.num_rows + 1) / 2.0);
  const double operations = seen * 4 * config.num_heads * config.head_dim;
  return limits.seconds(bytes * shape.num_sequences, operations * shape.num_sequences, limits.machine.fma_tops);
}

double mlp(const Limits& limits, const ModelConfig& config, const LayerWeights& layer, uint32_t rows) {
  if (!layer.sparse())
    return limits.product(layer.mlp.gate, rows) + limits.product(layer.mlp.up, rows) +
           limits.product(layer.mlp.down, rows);
  const double experts = expected_experts(config.num_experts, config.experts_per_token, rows);
  const double slots = static_cast<double>(rows) * config.experts_per_token;
  const MlpWeights& expert = layer.experts.front();
  return limits.product(layer.router, rows) + limits.product(expert.gate, slots, experts) +
         limits.product(expert.up, slots, experts) + limits.product(expert.down, slots, experts);
}

}  // namespace

double expected_experts(uint32_t num_experts, uint32_t chosen, uint32_t num_rows) {
  const double missed = 1.0 - static_cast<double>(chosen) / num_experts;  // by one row
  return num_experts * (1.0 - std::pow(missed, num_rows));
}

double step_limit_s(const ModelConfig& config, const Weights& weights, ActivationMode activations,
                    const StepShape& shape, const MachineLimits& machine) {
  const Limits limits{machine, activations};
  const uint32_t rows = shape.num_sequences * shape.num_rows;
  double seconds = limits.product(weights.lm_head, shape.num_sequences * shape.num_sampled);
  for (const LayerWeights& layer : weights.layers) {
    seconds += limits.product(layer.q, rows) + limits.product(layer.k, rows) + limits.product(layer.v, rows) +
               limits.product(layer.o, rows) + attention(limits, config, shape) + mlp(limits, config, layer, rows);
  }
  return seconds;
}

}  // namespace slipstream
