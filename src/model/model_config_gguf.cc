// model_config_from_gguf(): the keys of https://github.com/ggml-org/ggml/blob/master/docs/gguf.md for architecture
// llama.
#include <algorithm>
#include <cmath>
#include <string>

#include "files/quoted.h"
#include "model/model_config.h"
#include "model/model_config_check.h"

namespace slipstream {
namespace {

class Keys {
 public:
  explicit Keys(const GgufMetadata& metadata) : metadata_(metadata) {}

  bool has(std::string_view key) const { return metadata_.find(key) != nullptr; }

  Result<uint32_t> whole(std::string_view key, uint32_t least, uint32_t most) const {
    ASSIGN_OR_RETURN(const uint64_t value, metadata_.get_uint(key));
    if (value < least || value > most) return invalid("{} is {}, expected {} to {}", key, value, least, most);
    return static_cast<uint32_t>(value);
  }
  Result<double> number(std::string_view key, double least, double most) const {
    ASSIGN_OR_RETURN(const double value, metadata_.get_float(key));
    if (!(value >= least && value <= most)) return invalid("{} is {}, expected {} to {}", key, value, least, most);
    return value;
  }
  // A key whose only value that changes nothing is `neutral`.
  Status refuse_other_than(std::string_view key, double neutral) const {
    if (!has(key)) return ok_status();
    ASSIGN_OR_RETURN(const double value, metadata_.get_float(key));
    if (value != neutral) return invalid("{} is {}, which is not read yet", key, value);
    return ok_status();
  }

  const GgufMetadata& metadata_;
};

Status refuse_unread(const GgufFile& file, const Keys& keys) {
  for (const char* key : {"llama.expert_count", "llama.attention.sliding_window", "llama.attention.clamp_kqv",
                          "llama.attention.max_alibi_bias"}) {
    RETURN_IF_ERROR(keys.refuse_other_than(key, 0));
  }
  for (const char* key :
       {"llama.rope.scaling.factor", "llama.rope.scale_linear", "llama.rope.scaling.attn_factor", "llama.logit_scale",
        "llama.embedding_scale", "llama.residual_scale", "llama.attention.scale"}) {
    RETURN_IF_ERROR(keys.refuse_other_than(key, 1));
  }
  if (keys.has("llama.rope.scaling.type")) {
    ASSIGN_OR_RETURN(const std::string type, file.metadata.get_string("llama.rope.scaling.type"));
    if (type != "none")
      return invalid("llama.rope.scaling.type is {}, which is not read yet; read is 'none'", in_quotes(type));
  }
  if (const GgufValue* causal = file.metadata.find("llama.attention.causal");
      causal != nullptr && *causal != GgufValue(true)) {
    return invalid("llama.attention.causal is not true, which is not read");
  }
  RETURN_IF_ERROR(keys.refuse_other_than("general.quantization_version", 2));
  // Llama 3's rope scaling, already worked out as a factor for each frequency.
  if (file.tensors.find("rope_freqs.weight") != nullptr)
    return invalid("tensor 'rope_freqs.weight' (rope scaling) is not read yet");
  return ok_status();
}

Status read_head_sizes(const Keys& keys, ModelConfig& config) {
  ASSIGN_OR_RETURN(config.num_heads, keys.whole("llama.attention.head_count", 1, config_limits::kMaxHeads));
  config.num_kv_heads = config.num_heads;
  if (keys.has("llama.attention.head_count_kv")) {
    ASSIGN_OR_RETURN(config.num_kv_heads, keys.whole("llama.attention.head_count_kv", 1, config_limits::kMaxHeads));
  }
  config.head_dim = config.hidden_size / config.num_heads;
  const bool own = keys.has("llama.attention.key_length");
  if (own) {
    ASSIGN_OR_RETURN(config.head_dim, keys.whole("llama.attention.key_length", 2, config_limits::kMaxHeadDim));
  } else if (config.hidden_size % config.num_heads != 0) {
    return invalid("llama.embedding_length {} is no multiple of llama.attention.head_count {}", config.hidden_size,
                   config.num_heads);
  }
  for (const char* key : {"llama.attention.value_length", "llama.rope.dimension_count"}) {
    if (!keys.has(key)) continue;
    ASSIGN_OR_RETURN(const uint32_t length, keys.whole(key, 1, config_limits::kMaxHeadDim));
    if (length != config.head_dim)
      return invalid("{} is {}, expected the head size {}; others are not read yet", key, length, config.head_dim);
  }
  return ok_status();
}

// The vocabulary is the list of tokens, as in llama.cpp; a file without one says how large it is.
Status read_vocabulary(const GgufFile& file, const Keys& keys, ModelConfig& config) {
  if (const GgufValue* value = file.metadata.find("tokenizer.ggml.tokens"); value != nullptr) {
    const auto* tokens = std::get_if<std::vector<std::string>>(value);
    if (tokens == nullptr || tokens->empty() || tokens->size() > config_limits::kMaxVocab) {
      return invalid("tokenizer.ggml.tokens is not a list of 1 to {} strings", config_limits::kMaxVocab);
    }
    config.vocab_size = static_cast<uint32_t>(tokens->size());
  } else {
    ASSIGN_OR_RETURN(config.vocab_size, keys.whole("llama.vocab_size", 1, config_limits::kMaxVocab));
  }
  for (const char* key :
       {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"}) {
    if (!keys.has(key)) continue;
    ASSIGN_OR_RETURN(const TokenId token, keys.whole(key, 0, config.vocab_size - 1));
    if (std::find(config.eos_tokens.begin(), config.eos_tokens.end(), token) == config.eos_tokens.end())
      config.eos_tokens.push_back(token);
  }
  config.has_bos_token = keys.has("tokenizer.ggml.bos_token_id");
  if (config.has_bos_token) {
    ASSIGN_OR_RETURN(config.bos_token, keys.whole("tokenizer.ggml.bos_token_id", 0, config.vocab_size - 1));
  }
  return ok_status();
}

Result<ModelConfig> config_of(const GgufFile& file) {
  const Keys keys(file.metadata);
  ASSIGN_OR_RETURN(const std::string architecture, file.metadata.get_string("general.architecture"));
  if (architecture != "llama")
    return invalid("general.architecture {} is not read yet; read is: llama", in_quotes(architecture));
  RETURN_IF_ERROR(refuse_unread(file, keys));
  ModelConfig config;
  config.family = architecture;
  ASSIGN_OR_RETURN(config.num_layers, keys.whole("llama.block_count", 1, config_limits::kMaxLayers));
  ASSIGN_OR_RETURN(config.hidden_size, keys.whole("llama.embedding_length", 1, config_limits::kMaxHidden));
  ASSIGN_OR_RETURN(config.intermediate_size,
                   keys.whole("llama.feed_forward_length", 1, config_limits::kMaxIntermediate));
  RETURN_IF_ERROR(read_head_sizes(keys, config));
  ASSIGN_OR_RETURN(config.max_position_embeddings, keys.whole("llama.context_length", 1, config_limits::kMaxPositions));
  ASSIGN_OR_RETURN(const double eps, keys.number("llama.attention.layer_norm_rms_epsilon", 1e-12, 1));
  config.rms_norm_eps = static_cast<float>(eps);
  if (keys.has("llama.rope.freq_base")) {
    ASSIGN_OR_RETURN(config.rope_theta, keys.number("llama.rope.freq_base", 1, config_limits::kMaxRopeTheta));
  }
  RETURN_IF_ERROR(read_vocabulary(file, keys, config));
  config.tied_embeddings = file.tensors.find("output.weight") == nullptr;
  RETURN_IF_ERROR(check_model_config(config));
  return config;
}

}  // namespace

Result<ModelConfig> model_config_from_gguf(const GgufFile& file) {
  auto config = config_of(file);
  if (!config.ok()) return std::move(config).error().within("metadata");
  return config;
}

}  // namespace slipstream
