#include "model/model_config_check.h"

namespace slipstream {

Status check_model_config(const ModelConfig& config) {
  if (config.num_heads % config.num_kv_heads != 0) {
    return invalid("{} query heads over {} KV heads, expected a multiple", config.num_heads, config.num_kv_heads);
  }
  if (config.head_dim % 2 != 0 || config.head_dim == 0 || config.head_dim > config_limits::kMaxHeadDim) {
    return invalid("head size {}, expected an even number (rope turns pairs) up to {}", config.head_dim,
                   config_limits::kMaxHeadDim);
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
