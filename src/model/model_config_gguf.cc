// model_config_from_gguf(): the keys of https://github.com/ggml-org/ggml/blob/master/docs/gguf.md for the architectures
// that are read.
#include <algorithm>
#include <array>
#include <cstring>
#include <iterator>
#include <string>

#include "files/quoted.h"
#include "model/model_config.h"
#include "model/model_config_check.h"
#include "model/rope.h"

namespace slipstream {
namespace {

// ---------------------------------------------------------------- architectures

// An architecture as llama.cpp defines it: what its keys do not say.
struct Architecture {
  std::string_view name;  // "general.architecture", and what its keys begin with
  std::string_view family;
  bool qk_norm = false;
  bool qkv_bias = false;
  bool experts = false;  // in every layer; the weights of the chosen ones are made to add up to 1
};

constexpr std::array kArchitectures = {
    Architecture{.name = "llama", .family = "llama"},
    Architecture{.name = "qwen2", .family = "qwen2", .qkv_bias = true},
    Architecture{.name = "qwen3", .family = "qwen3", .qk_norm = true},
    Architecture{.name = "qwen3moe", .family = "qwen3_moe", .qk_norm = true, .experts = true},
};

std::string architecture_names() {
  std::string names;
  for (const Architecture& row : kArchitectures) names += (names.empty() ? "" : ", ") + std::string(row.name);
  return names;
}

Result<const Architecture*> find_architecture(const GgufMetadata& metadata) {
  ASSIGN_OR_RETURN(const std::string name, metadata.get_string("general.architecture"));
  const auto found = std::find_if(kArchitectures.begin(), kArchitectures.end(),
                                  [&](const Architecture& row) { return row.name == name; });
  if (found == kArchitectures.end()) {
    return invalid("general.architecture {} is not read yet; read are: {}", in_quotes(name), architecture_names());
  }
  return &*found;
}

// ---------------------------------------------------------------- keys

// The metadata by key; "*.block_count" is the architecture's own key, "*.block_count".
class Keys {
 public:
  Keys(const GgufMetadata& metadata, const Architecture& architecture)
      : metadata_(metadata), architecture_(architecture.name) {}

  std::string full(std::string_view key) const {
    return key.starts_with('*') ? architecture_ + std::string(key.substr(1)) : std::string(key);
  }
  const GgufValue* find(std::string_view key) const { return metadata_.find(full(key)); }
  bool has(std::string_view key) const { return find(key) != nullptr; }

  Result<uint32_t> whole(std::string_view key, uint32_t least, uint32_t most) const {
    ASSIGN_OR_RETURN(const uint64_t value, metadata_.get_uint(full(key)));
    if (value < least || value > most) return invalid("{} is {}, expected {} to {}", full(key), value, least, most);
    return static_cast<uint32_t>(value);
  }
  Result<double> number(std::string_view key, double least, double most) const {
    ASSIGN_OR_RETURN(const double value, metadata_.get_float(full(key)));
    if (!(value >= least && value <= most))
      return invalid("{} is {}, expected {} to {}", full(key), value, least, most);
    return value;
  }
  // A key whose only value that changes nothing is `neutral`.
  Status refuse_other_than(std::string_view key, double neutral) const {
    if (!has(key)) return ok_status();
    ASSIGN_OR_RETURN(const double value, metadata_.get_float(full(key)));
    if (value != neutral) return invalid("{} is {}, which is not read yet", full(key), value);
    return ok_status();
  }
  Status refuse_flag_other_than(std::string_view key, bool neutral) const {
    if (!has(key) || *find(key) == GgufValue(neutral)) return ok_status();
    return invalid("{} is not {}, which is not read yet", full(key), neutral);
  }
  Status refuse_text_other_than(std::string_view key, std::string_view neutral) const {
    if (!has(key)) return ok_status();
    ASSIGN_OR_RETURN(const std::string text, metadata_.get_string(full(key)));
    if (text != neutral) {
      return invalid("{} is {}, which is not read yet; read is {}", full(key), in_quotes(text), in_quotes(neutral));
    }
    return ok_status();
  }

 private:
  const GgufMetadata& metadata_;
  const std::string architecture_;
};

// What would change answers and is not read.
Status refuse_unread(const Keys& keys, const Architecture& architecture) {
  for (const char* key : {"*.attention.sliding_window", "*.attention.clamp_kqv", "*.attention.max_alibi_bias",
                          "*.expert_shared_count", "*.leading_dense_block_count", "*.nextn_predict_layers"}) {
    RETURN_IF_ERROR(keys.refuse_other_than(key, 0));
  }
  // (The experts' gating function 1 is softmax.)
  for (const char* key : {"*.rope.scaling.factor", "*.rope.scale_linear", "*.rope.scaling.attn_factor", "*.logit_scale",
                          "*.embedding_scale", "*.residual_scale", "*.attention.scale", "*.expert_weights_scale",
                          "*.expert_gating_func"}) {
    RETURN_IF_ERROR(keys.refuse_other_than(key, 1));
  }
  if (!architecture.experts) RETURN_IF_ERROR(keys.refuse_other_than("*.expert_count", 0));
  RETURN_IF_ERROR(keys.refuse_flag_other_than("*.expert_weights_norm", true));
  RETURN_IF_ERROR(keys.refuse_flag_other_than("*.attention.causal", true));
  RETURN_IF_ERROR(keys.refuse_text_other_than("*.rope.scaling.type", "none"));
  return keys.refuse_other_than("general.quantization_version", 2);
}

// ---------------------------------------------------------------- the parts of a config

Status read_head_sizes(const Keys& keys, ModelConfig& config) {
  ASSIGN_OR_RETURN(config.num_heads, keys.whole("*.attention.head_count", 1, config_limits::kMaxHeads));
  config.num_kv_heads = config.num_heads;
  if (keys.has("*.attention.head_count_kv")) {
    ASSIGN_OR_RETURN(config.num_kv_heads, keys.whole("*.attention.head_count_kv", 1, config_limits::kMaxHeads));
  }
  config.head_dim = config.hidden_size / config.num_heads;
  const bool own = keys.has("*.attention.key_length");
  if (own) {
    ASSIGN_OR_RETURN(config.head_dim, keys.whole("*.attention.key_length", 2, config_limits::kMaxHeadDim));
  } else if (config.hidden_size % config.num_heads != 0) {
    return invalid("{} {} is no multiple of {} {}", keys.full("*.embedding_length"), config.hidden_size,
                   keys.full("*.attention.head_count"), config.num_heads);
  }
  for (const char* key : {"*.attention.value_length", "*.rope.dimension_count"}) {
    if (!keys.has(key)) continue;
    ASSIGN_OR_RETURN(const uint32_t length, keys.whole(key, 1, config_limits::kMaxHeadDim));
    if (length != config.head_dim)
      return invalid("{} is {}, expected the head size {}; others are not read yet", keys.full(key), length,
                     config.head_dim);
  }
  return ok_status();
}

// Tokens that end an answer wherever a vocabulary has them, as in llama.cpp: files name only one or two of theirs.
constexpr std::string_view kEnds[] = {"<|eot_id|>", "<|eom_id|>", "<|end_of_text|>", "<|im_end|>", "<|endoftext|>"};

void add_end(TokenId token, std::vector<TokenId>& ends) {
  if (std::find(ends.begin(), ends.end(), token) == ends.end()) ends.push_back(token);
}

// The vocabulary is the list of tokens, as in llama.cpp; a file without one says how large it is.
Status read_vocabulary(const Keys& keys, ModelConfig& config) {
  if (const GgufValue* value = keys.find("tokenizer.ggml.tokens"); value != nullptr) {
    const auto* tokens = std::get_if<std::vector<std::string>>(value);
    if (tokens == nullptr || tokens->empty() || tokens->size() > config_limits::kMaxVocab) {
      return invalid("tokenizer.ggml.tokens is not a list of 1 to {} strings", config_limits::kMaxVocab);
    }
    config.vocab_size = static_cast<uint32_t>(tokens->size());
    for (TokenId token = 0; token < config.vocab_size; ++token) {
      if (std::find(std::begin(kEnds), std::end(kEnds), (*tokens)[token]) != std::end(kEnds))
        add_end(token, config.eos_tokens);
    }
  } else {
    ASSIGN_OR_RETURN(config.vocab_size, keys.whole("*.vocab_size", 1, config_limits::kMaxVocab));
  }
  for (const char* key :
       {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"}) {
    if (!keys.has(key)) continue;
    ASSIGN_OR_RETURN(const TokenId token, keys.whole(key, 0, config.vocab_size - 1));
    add_end(token, config.eos_tokens);
  }
  config.has_bos_token = keys.has("tokenizer.ggml.bos_token_id");
  if (config.has_bos_token) {
    ASSIGN_OR_RETURN(config.bos_token, keys.whole("tokenizer.ggml.bos_token_id", 0, config.vocab_size - 1));
  }
  return ok_status();
}

Status read_experts(const Keys& keys, ModelConfig& config) {
  ASSIGN_OR_RETURN(config.num_experts, keys.whole("*.expert_count", 1, config_limits::kMaxExperts));
  ASSIGN_OR_RETURN(config.experts_per_token, keys.whole("*.expert_used_count", 1, config.num_experts));
  ASSIGN_OR_RETURN(config.expert_size,
                   keys.whole("*.expert_feed_forward_length", 1, config_limits::kMaxIntermediate));
  config.renormalise_experts = true;
  return ok_status();
}

// Llama 3's rope scaling, already worked out: what each frequency is divided by.
Status read_rope_divisors(const TensorSource& tensors, ModelConfig& config) {
  const Tensor* tensor = tensors.find(kGgufRopeDivisors);
  if (tensor == nullptr) return ok_status();
  const uint32_t num_pairs = config.head_dim / 2;
  if (tensor->dtype != DType::kF32 || tensor->shape != std::vector<uint64_t>{num_pairs}) {
    return invalid("tensor {} is {} {}, expected F32 [{}] (half the head size)", in_quotes(kGgufRopeDivisors),
                   dtype_name(tensor->dtype), tensor->shape_text(), num_pairs);
  }
  config.rope_divisors.resize(num_pairs);
  std::memcpy(config.rope_divisors.data(), tensor->bytes.data(), tensor->bytes.size());
  for (const float divisor : config.rope_divisors) {
    if (!(divisor >= config_limits::kMinRopeDivisor && divisor <= config_limits::kMaxRopeFactor)) {
      return invalid("tensor {} holds {}, expected {} to {}", in_quotes(kGgufRopeDivisors), divisor,
                     config_limits::kMinRopeDivisor, config_limits::kMaxRopeFactor);
    }
  }
  return ok_status();
}

Result<ModelConfig> config_of(const GgufFile& file) {
  ASSIGN_OR_RETURN(const Architecture* architecture, find_architecture(file.metadata));
  const Keys keys(file.metadata, *architecture);
  RETURN_IF_ERROR(refuse_unread(keys, *architecture));
  ModelConfig config;
  config.family = architecture->family;
  config.qk_norm = architecture->qk_norm;
  config.qkv_bias = architecture->qkv_bias;
  ASSIGN_OR_RETURN(config.num_layers, keys.whole("*.block_count", 1, config_limits::kMaxLayers));
  ASSIGN_OR_RETURN(config.hidden_size, keys.whole("*.embedding_length", 1, config_limits::kMaxHidden));
  ASSIGN_OR_RETURN(config.intermediate_size, keys.whole("*.feed_forward_length", 1, config_limits::kMaxIntermediate));
  RETURN_IF_ERROR(read_head_sizes(keys, config));
  ASSIGN_OR_RETURN(config.max_position_embeddings, keys.whole("*.context_length", 1, config_limits::kMaxPositions));
  ASSIGN_OR_RETURN(const double eps, keys.number("*.attention.layer_norm_rms_epsilon", 1e-12, 1));
  config.rms_norm_eps = static_cast<float>(eps);
  if (keys.has("*.rope.freq_base")) {
    ASSIGN_OR_RETURN(config.rope_theta, keys.number("*.rope.freq_base", 1, config_limits::kMaxRopeTheta));
  }
  if (architecture->experts) RETURN_IF_ERROR(read_experts(keys, config));
  RETURN_IF_ERROR(read_vocabulary(keys, config));
  config.tied_embeddings = file.tensors.find("output.weight") == nullptr;
  RETURN_IF_ERROR(check_model_config(config));
  RETURN_IF_ERROR(read_rope_divisors(file.tensors, config));
  return config;
}

}  // namespace

Result<ModelConfig> model_config_from_gguf(const GgufFile& file) {
  auto config = config_of(file);
  if (!config.ok()) return std::move(config).error().within("metadata");
  return config;
}

}  // namespace slipstream
