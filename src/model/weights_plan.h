// Which tensor of a checkpoint fills which matrix, and where each matrix will stand in memory. Made and checked
// before a single weight is read: names, types, shapes against the config, quantisation, tensors nobody asked for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
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
  uint32_t stored_bits = 0;          // of a value in the file; format.bits may be more (2 and 3 -> 4, 5 and 6 -> 8)
  uint32_t slice = 0;                // which matrix of a stack: the tensors are [num_slices, rows, ...]
  uint32_t num_slices = 1;
  uint32_t rotary_head_dim = 0;      // not 0: rows are in GGUF's order for rotating neighbours (weights_rows.h)
  size_t offset = 0;                 // in the arena

  // This matrix's bytes in one of the tensors above.
  std::span<const std::byte> part(const Tensor& tensor) const {
    const size_t bytes = tensor.bytes.size() / num_slices;
    return tensor.bytes.subspan(slice * bytes, bytes);
  }
  // Calls use(bytes) for each of its tensors' parts: values, then scales and biases where they are apart.
  template <class Use>
  void for_each_part(Use&& use) const {
    for (const Tensor* tensor : {values, scales, biases}) {
      if (tensor != nullptr) use(part(*tensor));
    }
  }
  uint64_t stored_bytes() const {
    uint64_t bytes = 0;
    for_each_part([&bytes](std::span<const std::byte> stored) { bytes += stored.size(); });
    return bytes;
  }
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
