#include "model/dummy_shape.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "files/quoted.h"

namespace slipstream {
namespace {

// From the config.json of meta-llama/Llama-3.2-1B-Instruct and Llama-3.2-3B-Instruct, Qwen/Qwen3-0.6B,
// Qwen/Qwen2.5-1.5B-Instruct and Qwen/Qwen3-30B-A3B, whose conversions mlx-community has under the names
// Llama-3.2-1B-Instruct-4bit, Llama-3.2-3B-Instruct-4bit, Qwen3-0.6B-8bit, Qwen2.5-1.5B-Instruct-4bit and
// Qwen3-30B-A3B-4bit.
constexpr std::array kShapes = {
    DummyShape{.name = "llama-3.2-1b-4bit", .model_type = "llama", .architecture = "LlamaForCausalLM",
               .num_hidden_layers = 16, .hidden_size = 2048, .intermediate_size = 8192, .num_attention_heads = 32,
               .num_key_value_heads = 8, .head_dim = 64, .vocab_size = 128256, .max_position_embeddings = 131072,
               .rms_norm_eps = 1e-5, .rope_theta = 500000, .rope_factor = 32, .tie_word_embeddings = true,
               .bos_token_id = 128000, .eos_token_id = {128001, 128008, 128009}},
    DummyShape{.name = "llama-3.2-3b-4bit", .model_type = "llama", .architecture = "LlamaForCausalLM",
               .num_hidden_layers = 28, .hidden_size = 3072, .intermediate_size = 8192, .num_attention_heads = 24,
               .num_key_value_heads = 8, .head_dim = 128, .vocab_size = 128256, .max_position_embeddings = 131072,
               .rms_norm_eps = 1e-5, .rope_theta = 500000, .rope_factor = 32, .tie_word_embeddings = true,
               .bos_token_id = 128000, .eos_token_id = {128001, 128008, 128009}},
    DummyShape{.name = "qwen3-0.6b-8bit", .model_type = "qwen3", .architecture = "Qwen3ForCausalLM",
               .num_hidden_layers = 28, .hidden_size = 1024, .intermediate_size = 3072, .num_attention_heads = 16,
               .num_key_value_heads = 8, .head_dim = 128, .vocab_size = 151936, .max_position_embeddings = 40960,
               .rms_norm_eps = 1e-6, .rope_theta = 1e6, .tie_word_embeddings = true, .qk_norm = true, .bits = 8,
               .bos_token_id = 151643, .eos_token_id = {151645, 151643}},
    DummyShape{.name = "qwen2.5-1.5b-4bit", .model_type = "qwen2", .architecture = "Qwen2ForCausalLM",
               .num_hidden_layers = 28, .hidden_size = 1536, .intermediate_size = 8960, .num_attention_heads = 12,
               .num_key_value_heads = 2, .head_dim = 128, .vocab_size = 151936, .max_position_embeddings = 32768,
               .rms_norm_eps = 1e-6, .rope_theta = 1e6, .tie_word_embeddings = true, .qkv_bias = true,
               .bos_token_id = 151643, .eos_token_id = {151645, 151643}},
    DummyShape{.name = "qwen3-30b-a3b-4bit", .model_type = "qwen3_moe", .architecture = "Qwen3MoeForCausalLM",
               .num_hidden_layers = 48, .hidden_size = 2048, .intermediate_size = 6144, .num_attention_heads = 32,
               .num_key_value_heads = 4, .head_dim = 128, .vocab_size = 151936, .max_position_embeddings = 40960,
               .rms_norm_eps = 1e-6, .rope_theta = 1e6, .qk_norm = true, .num_experts = 128,
               .num_experts_per_tok = 8, .moe_intermediate_size = 768, .bos_token_id = 151643,
               .eos_token_id = {151645, 151643}},
};

}  // namespace

std::span<const DummyShape> dummy_shapes() { return kShapes; }

std::string dummy_shape_names() {
  std::string names;
  for (const DummyShape& shape : kShapes) names += fmt::format("{}{}", names.empty() ? "" : ", ", shape.name);
  return names;
}

std::string dummy_help() {
  return "instead of MODEL: SHAPE[:SEED], random weights as make-dummy writes them;\n" + dummy_shape_names();
}

Result<DummyName> read_dummy_name(std::string_view text) {
  const std::string_view name = text.substr(0, text.find(':'));
  const auto shape =
      std::find_if(kShapes.begin(), kShapes.end(), [name](const DummyShape& known) { return known.name == name; });
  if (shape == kShapes.end()) return invalid("{} is no shape; there are: {}", in_quotes(name), dummy_shape_names());
  DummyName dummy{*shape, 0};
  if (name.size() == text.size()) return dummy;
  const std::string_view seed = text.substr(name.size() + 1);
  const auto [end, fault] = std::from_chars(seed.data(), seed.data() + seed.size(), dummy.seed);
  if (seed.empty() || fault != std::errc() || end != seed.data() + seed.size()) {
    return invalid("{}: expected a seed from 0 to 2^64 - 1 behind the colon", in_quotes(text));
  }
  return dummy;
}

ModelConfig dummy_config(const DummyShape& shape, TokenId bos_token, const std::vector<TokenId>& eos_tokens) {
  ModelConfig config;
  config.family = shape.model_type;
  config.num_layers = shape.num_hidden_layers;
  config.hidden_size = shape.hidden_size;
  config.intermediate_size = shape.intermediate_size;
  config.num_heads = shape.num_attention_heads;
  config.num_kv_heads = shape.num_key_value_heads;
  config.head_dim = shape.head_dim;
  config.vocab_size = shape.vocab_size;
  config.max_position_embeddings = shape.max_position_embeddings;
  config.rms_norm_eps = static_cast<float>(shape.rms_norm_eps);
  config.rope_theta = shape.rope_theta;
  config.rope_scaling.factor = shape.rope_factor;
  config.tied_embeddings = shape.tie_word_embeddings;
  config.qk_norm = shape.qk_norm;
  config.qkv_bias = shape.qkv_bias;
  config.num_experts = shape.num_experts;
  config.experts_per_token = shape.num_experts_per_tok;
  config.expert_size = shape.moe_intermediate_size;
  config.renormalise_experts = shape.num_experts != 0;
  config.bos_token = bos_token;
  config.has_bos_token = true;
  config.eos_tokens = eos_tokens;
  config.quantised_bits = shape.bits;
  config.quantised_group = shape.group_size;
  for (uint32_t layer = 0; shape.num_experts != 0 && layer < shape.num_hidden_layers; ++layer) {
    config.quantised_paths.push_back(
        {fmt::format("model.layers.{}.mlp.gate", layer), kDummyRouterBits, shape.group_size});
  }
  std::sort(config.quantised_paths.begin(), config.quantised_paths.end(),
            [](const QuantisedPath& a, const QuantisedPath& b) { return a.path < b.path; });
  return config;
}

}  // namespace slipstream
