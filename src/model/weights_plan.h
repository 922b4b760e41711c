// Which tensor of a checkpoint fills which matrix, and where each matrix will stand in memory. Made and checked
// before a single weight is read: names, types, shapes against the config, quantisation, tensors nobody asked for.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "files/tensor_source.h"
#include "model/model_config.h"
#include "model/weights.h"

namespace slipstream {

struct MatrixPlan {
  PackedMatrix* matrix = nullptr;    // format, rows and cols are set; data is not yet
  const Tensor* values = nullptr;
  const Tensor* scales = nullptr;    // MLX only: [rows, cols / group]; GGUF keeps them inside `values`
  const Tensor* biases = nullptr;
  uint32_t rotary_head_dim = 0;      // not 0: rows are in GGUF's order for rotating neighbours (weights_rows.h)
  size_t offset = 0;                 // in the arena
};

struct VectorPlan {
  const float** vector = nullptr;
  const Tensor* values = nullptr;    // [num_values], any of the three float types
  uint32_t num_values = 0;
  size_t offset = 0;
};

struct WeightsPlan {
  std::vector<MatrixPlan> matrices;
  std::vector<VectorPlan> vectors;
  uint64_t packed_bytes = 0;
};

// Sizes weights.layers and points into `weights`, which must not move until the plan is carried out.
Result<WeightsPlan> plan_weights(const ModelConfig& config, const TensorSource& source, TensorNames names,
                                 Weights& weights);

}  // namespace slipstream
