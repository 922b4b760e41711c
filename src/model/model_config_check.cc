#include "model/model_config_check.h"

#include <algorithm>

namespace slipstream {

bool ModelConfig::is_sparse(uint32_t layer) const {
  return num_experts != 0 && (layer + 1) % sparse_step == 0 &&
         !std::binary_search(dense_layers.begin(), dense_layers.end(), layer);
}

bool ModelConfig::has_dense_layer() const {
  for (uint32_t layer = 0; layer < num_layers; ++layer) {
    if (!is_sparse(layer)) return true;
  }
  return false;
}

Status check_model_config(const ModelConfig& config) {
  if (config.num_heads % config.num_kv_heads != 0) {
    return invalid("{} query heads over {} KV heads, expected a multiple", config.num_heads, config.num_kv_heads);
  }
  if (config.head_dim % 2 != 0 || config.head_dim == 0 || config.head_dim > config_limits::kMaxHeadDim) {
    return invalid("head size {}, expected an even number (rope turns pairs) up to {}", config.head_dim,
                   config_limits::kMaxHeadDim);
  }
  if (config.num_experts != 0 &&
      (config.experts_per_token == 0 || config.experts_per_token > config.num_experts)) {
    return invalid("{} experts for each token of {} experts in all", config.experts_per_token, config.num_experts);
  }
  for (const TokenId token : config.eos_tokens) {
    if (token >= config.vocab_size) {
      return invalid("end-of-text token {} is not in the vocabulary of {}", token, config.vocab_size);
    }
  }
  if (config.has_bos_token && config.bos_token >= config.vocab_size) {
    return invalid("begin-of-text token {} is not in the vocabulary of {}", config.bos_token, config.vocab_size);
  }
  return ok_status();
}

}  // namespace slipstream
