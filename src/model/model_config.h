// What a model is, as data. A family (Llama 3, Qwen3 ...) is a row of these fields; decoder.cc reads them and there
// is no class per family.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "files/gguf.h"

namespace slipstream {

// rope scaling "llama3" (Llama 3.1 and later); factor 1 = none.
struct RopeScaling {
  double factor = 1.0;
  double low_freq_factor = 1.0;
  double high_freq_factor = 4.0;
  double original_max_position_embeddings = 8192;

  bool operator==(const RopeScaling&) const = default;
};

// What the config says of one matrix's quantisation (MLX), where that differs from the whole.
struct QuantisedPath {
  std::string path;                // of the module: "model.layers.0.self_attn.v_proj"
  uint32_t bits = 0;               // 0: not quantised
  uint32_t group = 0;
};

// How its makers want it sampled (generation_config.json). Absent: they do not say.
struct SuggestedSampling {
  std::optional<double> temperature;         // [0, 2]; 0 where they say "do_sample": false
  std::optional<double> top_p;               // (0, 1]
  std::optional<uint32_t> top_k;             // 0: off
  std::optional<double> min_p;               // [0, 1]
  std::optional<double> repetition_penalty;  // [0.01, 10]
  std::optional<uint32_t> max_new_tokens;    // >= 1

  bool operator==(const SuggestedSampling&) const = default;
};

struct ModelConfig {
  std::string family;              // "llama", "qwen2", "qwen3", "qwen3_moe": for messages
  uint32_t num_layers = 0;
  uint32_t hidden_size = 0;
  uint32_t intermediate_size = 0;
  uint32_t num_heads = 0;          // query heads
  uint32_t num_kv_heads = 0;       // divides num_heads
  uint32_t head_dim = 0;           // even
  uint32_t vocab_size = 0;
  uint32_t max_position_embeddings = 0;
  float rms_norm_eps = 1e-6f;
  double rope_theta = 10000.0;
  RopeScaling rope_scaling;
  std::vector<float> rope_divisors;  // [head_dim / 2], of each frequency (GGUF's rope_freqs.weight); empty: none
  bool tied_embeddings = false;    // lm_head is the embedding
  bool qk_norm = false;            // RMSNorm on each head of q and k before rope (Qwen3)
  bool qkv_bias = false;           // q, k and v have a bias, o has none (Qwen2)

  // Mixture of experts (Qwen3-MoE). A sparse layer has a router and num_experts MLPs of expert_size instead of one MLP
  // of intermediate_size; each token goes through experts_per_token of them.
  uint32_t num_experts = 0;        // 0: every layer is dense, and the rest means nothing
  uint32_t experts_per_token = 0;  // 1 .. num_experts
  uint32_t expert_size = 0;        // moe_intermediate_size
  bool renormalise_experts = false;  // the chosen experts' weights are made to add up to 1 (norm_topk_prob)
  uint32_t sparse_step = 1;          // of the layers 1, 2, 3 ... every n-th is sparse (decoder_sparse_step)
  std::vector<uint32_t> dense_layers;  // but these (mlp_only_layers); sorted, each below num_layers

  bool is_sparse(uint32_t layer) const;
  bool has_dense_layer() const;
  std::vector<TokenId> eos_tokens;  // config.json and generation_config.json together
  SuggestedSampling suggested;
  TokenId bos_token = 0;
  bool has_bos_token = false;

  // Quantisation the config claims (MLX); checked against each tensor's shapes.
  uint32_t quantised_bits = 0;     // 0: none
  uint32_t quantised_group = 0;
  std::vector<QuantisedPath> quantised_paths;  // sorted by path
};

// From config.json (old and new spellings) and, where it is there, generation_config.json. Everything out of range,
// missing or not yet read is refused by its name.
Result<ModelConfig> read_model_config(const std::string& folder);
// From GGUF metadata ("llama.block_count" ...).
Result<ModelConfig> model_config_from_gguf(const GgufFile& file);

}  // namespace slipstream
