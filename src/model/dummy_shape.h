// The five models this program is measured on, as shapes: what their config.json says, as data. With random weights
// (dummy_tensors.h) they compute as long, and take as much memory, as the real ones.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "model/model_config.h"

namespace slipstream {

struct DummyShape {
  std::string_view name;          // on the command line: "llama-3.2-1b-4bit"
  std::string_view model_type;    // as in config.json, like all that follows
  std::string_view architecture;
  uint32_t num_hidden_layers = 0;
  uint32_t hidden_size = 0;
  uint32_t intermediate_size = 0;
  uint32_t num_attention_heads = 0;
  uint32_t num_key_value_heads = 0;
  uint32_t head_dim = 0;
  uint32_t vocab_size = 0;
  uint32_t max_position_embeddings = 0;
  double rms_norm_eps = 0;
  double rope_theta = 0;
  double rope_factor = 1;         // of "llama3" scaling with its usual other numbers; 1: none
  bool tie_word_embeddings = false;
  bool qk_norm = false;           // what the family has
  bool qkv_bias = false;
  uint32_t num_experts = 0;       // 0: dense, else every layer is sparse and norm_topk_prob is true
  uint32_t num_experts_per_tok = 0;
  uint32_t moe_intermediate_size = 0;
  uint32_t bits = 4;              // of every matrix but the routers, which mlx-lm keeps at 8
  uint32_t group_size = 64;
  TokenId bos_token_id = 0;
  std::array<TokenId, 3> eos_token_id{};  // the real model's; as many as are not 0
};

inline constexpr uint32_t kDummyRouterBits = 8;
// Of the byte tokenizer that a dummy has unless it is given another (app/byte_tokenizer.h).
inline constexpr TokenId kDummyBosToken = 256;
inline constexpr TokenId kDummyEosToken = 258;

std::span<const DummyShape> dummy_shapes();
// "llama-3.2-1b-4bit, ...": for messages.
std::string dummy_shape_names();
// What --dummy says of itself in a command's --help.
std::string dummy_help();

// A shape and a seed as a person writes them: "qwen3-0.6b-8bit" (seed 0) or "qwen3-0.6b-8bit:7".
struct DummyName {
  DummyShape shape;
  uint64_t seed = 0;
};
Result<DummyName> read_dummy_name(std::string_view text);

// What read_model_config() makes of the shape's config.json with these tokens.
ModelConfig dummy_config(const DummyShape& shape, TokenId bos_token, const std::vector<TokenId>& eos_tokens);

}  // namespace slipstream
