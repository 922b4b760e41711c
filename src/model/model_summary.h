// What a model's weights are, counted: parameters and bytes by kind of tensor and format, from the plan alone. No
// weight is read.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/model_config.h"
#include "model/weights_plan.h"

namespace slipstream {

enum class WeightKind : uint8_t { kEmbedding, kAttention, kMlp, kRouter, kExperts, kLmHead, kNorm, kBias };

std::string_view weight_kind_name(WeightKind kind);  // "embedding", "attention", "mlp" ...; stable

// All matrices or vectors of one kind that are stored alike.
struct WeightGroup {
  WeightKind kind = WeightKind::kNorm;
  std::string stored;          // the file's type: "U32" (MLX's packed values), "Q8_0", "BF16"
  uint32_t stored_bits = 0;    // of a value
  uint32_t group = 0;          // values that share a scale; 0: not quantised
  std::string scales;          // "BF16", "F16", "F32"; "" when not quantised
  uint32_t packed_bits = 0;    // of a value in memory
  uint32_t num_tensors = 0;    // experts counted one by one
  uint64_t num_parameters = 0;  // values; scales and biases of a quantisation are none
  uint64_t file_bytes = 0;     // scales and biases included
  uint64_t packed_bytes = 0;
};

struct ModelSummary {
  std::vector<WeightGroup> groups;     // by kind, then as met
  uint64_t num_parameters = 0;         // a tied lm_head is the embedding and counts once
  uint64_t num_active_parameters = 0;  // what one token meets: experts_per_token of num_experts
  uint64_t file_bytes = 0;
  uint64_t packed_bytes = 0;           // what they take in memory, padding included
};

ModelSummary summarise(const ModelConfig& config, const WeightsPlan& plan);

}  // namespace slipstream
