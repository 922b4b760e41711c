// read_model_config(): config.json and generation_config.json, as transformers (4 and 5) and mlx-lm write them.
#include "model/model_config.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <utility>

#include "files/file_limits.h"
#include "files/json_walk.h"
#include "files/quoted.h"
#include "files/text_file.h"
#include "model/model_config_check.h"

namespace slipstream {
namespace {

using Json = nlohmann::json;

// ---------------------------------------------------------------- families

// A family as transformers defines it: what its config.json may leave out, and what its layers have.
struct Family {
  std::string_view model_type;
  std::string_view architecture;
  uint32_t default_head_dim;  // 0: hidden_size / num_attention_heads
  uint32_t default_max_positions;
  bool qk_norm = false;
  bool qkv_bias = false;         // whatever "attention_bias" says
  bool experts = false;          // has the fields of a mixture of experts
  bool window_switch = false;    // "sliding_window" counts only with "use_sliding_window"
};

constexpr std::array kFamilies = {
    Family{.model_type = "llama", .architecture = "LlamaForCausalLM", .default_head_dim = 0,
           .default_max_positions = 2048},
    Family{.model_type = "qwen2", .architecture = "Qwen2ForCausalLM", .default_head_dim = 0,
           .default_max_positions = 32768, .qkv_bias = true, .window_switch = true},
    Family{.model_type = "qwen3", .architecture = "Qwen3ForCausalLM", .default_head_dim = 128,
           .default_max_positions = 32768, .qk_norm = true, .window_switch = true},
    Family{.model_type = "qwen3_moe", .architecture = "Qwen3MoeForCausalLM", .default_head_dim = 0,
           .default_max_positions = 32768, .qk_norm = true, .experts = true, .window_switch = true},
};

std::string family_names() {
  std::string names;
  for (const Family& family : kFamilies) names += (names.empty() ? "" : ", ") + std::string(family.model_type);
  return names;
}

// ---------------------------------------------------------------- one field

// A JSON object whose fields are asked for by name. null counts as absent, as in transformers.
class Fields {
 public:
  Fields(const Json& object, std::string prefix) : object_(object), prefix_(std::move(prefix)) {}

  const Json* find(std::string_view key) const {
    const auto found = object_.find(key);
    return found == object_.end() || found->is_null() ? nullptr : &*found;
  }
  std::string path(std::string_view key) const { return prefix_ + std::string(key); }

  // A whole number in [least, most].
  Result<uint32_t> whole(std::string_view key, uint32_t least, uint32_t most,
                         std::optional<uint32_t> absent = {}) const {
    const Json* value = find(key);
    if (value == nullptr && absent.has_value()) return *absent;
    if (value == nullptr)
      return invalid("{} is missing, expected a whole number from {} to {}", path(key), least, most);
    const bool fits = value->is_number_unsigned() && value->get<uint64_t>() >= least && value->get<uint64_t>() <= most;
    if (!fits) return invalid("{} is {}, expected a whole number from {} to {}", path(key), shown(*value), least, most);
    return static_cast<uint32_t>(value->get<uint64_t>());
  }

  // Any number in [least, most].
  Result<double> number(std::string_view key, double least, double most, std::optional<double> absent = {}) const {
    const Json* value = find(key);
    if (value == nullptr && absent.has_value()) return *absent;
    if (value == nullptr) return invalid("{} is missing, expected a number from {} to {}", path(key), least, most);
    const double number = value->is_number() ? value->get<double>() : std::numeric_limits<double>::quiet_NaN();
    if (!(number >= least && number <= most)) {
      return invalid("{} is {}, expected a number from {} to {}", path(key), shown(*value), least, most);
    }
    return number;
  }

  Result<bool> flag(std::string_view key, bool absent) const {
    const Json* value = find(key);
    if (value == nullptr) return absent;
    if (!value->is_boolean()) return invalid("{} is {}, expected true or false", path(key), shown(*value));
    return value->get<bool>();
  }

  // Absent: "".
  Result<std::string> text(std::string_view key) const {
    const Json* value = find(key);
    if (value == nullptr) return std::string();
    if (!value->is_string()) return invalid("{} is {}, expected a string", path(key), shown(*value));
    return value->get<std::string>();
  }

  static std::string shown(const Json& value) {
    if (value.is_object()) return "an object";
    if (value.is_array()) return "a list";
    return value.is_string() ? in_quotes(value.get<std::string>()) : value.dump();
  }

 private:
  const Json& object_;
  const std::string prefix_;
};

// A JSON object in a file; every message begins with the file's name.
Result<Json> read_json_object(const std::string& folder, std::string_view name) {
  auto text = read_text_file(folder + "/" + std::string(name), file_limits::kMaxConfigBytes);
  if (!text.ok()) return std::move(text).error();
  if (Status status = check_json(*text, file_limits::kMaxJsonDepth); !status.ok())
    return std::move(status).error().within(name);
  Json json = Json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return invalid("{}: is not a JSON object", name);
  return json;
}

// ---------------------------------------------------------------- what would change answers and is not read

Status refuse_true(const Fields& fields, std::string_view key, std::string_view meaning) {
  ASSIGN_OR_RETURN(const bool value, fields.flag(key, false));
  if (value) return invalid("{} is true: {} not read yet", fields.path(key), meaning);
  return ok_status();
}

Status refuse_sliding_window(const Fields& fields, const Family& family) {
  // Qwen gives a window and switches it on or, by default, off. Without a switch (Mistral) a window is a window.
  const Json* window = fields.find("sliding_window");
  const Json* use = fields.find("use_sliding_window");
  if (use != nullptr && !use->is_boolean())
    return invalid("use_sliding_window is {}, expected true or false", Fields::shown(*use));
  const bool used = use != nullptr ? use->get<bool>() : window != nullptr && !family.window_switch;
  if (used)
    return invalid("sliding-window attention ({}) is not read yet",
                   use != nullptr ? "use_sliding_window is true" : "sliding_window is set");
  const Json* types = fields.find("layer_types");
  if (types == nullptr) return ok_status();
  if (!types->is_array()) return invalid("layer_types is {}, expected a list", Fields::shown(*types));
  for (const Json& type : *types) {
    if (type != "full_attention")
      return invalid("layer_types has {}, read is only 'full_attention'", Fields::shown(type));
  }
  return ok_status();
}

Status refuse_unread(const Fields& fields, const Family& family) {
  if (!family.qkv_bias) {
    RETURN_IF_ERROR(refuse_true(fields, "attention_bias", "biases of the attention's projections are"));
  }
  RETURN_IF_ERROR(refuse_true(fields, "mlp_bias", "biases of the MLP's projections are"));
  RETURN_IF_ERROR(refuse_sliding_window(fields, family));
  ASSIGN_OR_RETURN(const std::string act, fields.text("hidden_act"));
  if (!act.empty() && act != "silu") return invalid("hidden_act {} is not read, read is 'silu'", in_quotes(act));
  ASSIGN_OR_RETURN(const double rotary, fields.number("partial_rotary_factor", 0, 1, 1.0));
  if (rotary != 1.0)
    return invalid("partial_rotary_factor is {}: rope over a part of the head is not read yet", rotary);
  return ok_status();
}

// ---------------------------------------------------------------- rope

struct Rope {
  std::optional<double> theta;
  RopeScaling scaling;
};

// "rope_parameters" (transformers 5) or "rope_scaling" (before): the same fields, the first also with rope_theta.
Result<Rope> read_rope_block(const Fields& fields, std::string_view key) {
  Rope rope;
  const Json* block = fields.find(key);
  if (block == nullptr) return rope;
  if (!block->is_object()) return invalid("{} is {}, expected an object", fields.path(key), Fields::shown(*block));
  const Fields inside(*block, std::string(key) + ".");
  for (const auto& [name, value] : block->items()) {
    if (value.is_object())
      return invalid("{}.{} is an object: rope per kind of layer is not read yet", key, in_quotes(name));
  }
  ASSIGN_OR_RETURN(std::string type, inside.text("rope_type"));
  if (type.empty()) {
    ASSIGN_OR_RETURN(type, inside.text("type"));  // before transformers 4.43
  }
  if (!type.empty() && type != "default" && type != "llama3") {
    return invalid("{} has rope type {}, which is not read yet; read are: default, llama3", key, in_quotes(type));
  }
  ASSIGN_OR_RETURN(const double rotary, inside.number("partial_rotary_factor", 0, 1, 1.0));
  if (rotary != 1.0)
    return invalid("{} is {}: rope over a part of the head is not read yet", inside.path("partial_rotary_factor"),
                   rotary);
  if (inside.find("rope_theta") != nullptr) {
    ASSIGN_OR_RETURN(rope.theta, inside.number("rope_theta", 1, config_limits::kMaxRopeTheta));
  }
  if (type != "llama3") return rope;
  RopeScaling& scaling = rope.scaling;
  ASSIGN_OR_RETURN(scaling.factor, inside.number("factor", 1, config_limits::kMaxRopeFactor));
  ASSIGN_OR_RETURN(scaling.low_freq_factor, inside.number("low_freq_factor", 1e-6, config_limits::kMaxRopeFactor));
  ASSIGN_OR_RETURN(scaling.high_freq_factor, inside.number("high_freq_factor", 1e-6, config_limits::kMaxRopeFactor));
  ASSIGN_OR_RETURN(scaling.original_max_position_embeddings,
                   inside.number("original_max_position_embeddings", 1, config_limits::kMaxPositions));
  if (scaling.high_freq_factor <= scaling.low_freq_factor) {
    return invalid("{}: high_freq_factor {} is not above low_freq_factor {}", key, scaling.high_freq_factor,
                   scaling.low_freq_factor);
  }
  return rope;
}

// mlx-lm writes both spellings into one file; then they must say the same.
Status read_rope(const Fields& fields, ModelConfig& config) {
  ASSIGN_OR_RETURN(const Rope now, read_rope_block(fields, "rope_parameters"));
  ASSIGN_OR_RETURN(const Rope before, read_rope_block(fields, "rope_scaling"));
  const bool has_now = fields.find("rope_parameters") != nullptr;
  if (has_now && fields.find("rope_scaling") != nullptr && now.scaling != before.scaling) {
    return invalid("rope_parameters and rope_scaling disagree; remove the wrong one");
  }
  std::optional<double> theta = now.theta.has_value() ? now.theta : before.theta;
  if (fields.find("rope_theta") != nullptr) {
    ASSIGN_OR_RETURN(const double outer, fields.number("rope_theta", 1, config_limits::kMaxRopeTheta));
    if (theta.has_value() && *theta != outer) {
      return invalid("rope_theta is {} but {} beside it says {}; remove the wrong one", outer,
                     now.theta.has_value() ? "rope_parameters" : "rope_scaling", *theta);
    }
    theta = outer;
  }
  config.rope_theta = theta.value_or(10000.0);  // transformers' default for all these families
  config.rope_scaling = has_now ? now.scaling : before.scaling;
  return ok_status();
}

// ---------------------------------------------------------------- quantisation

struct Quantisation {
  uint32_t bits = 0;
  uint32_t group = 0;
};

// {"bits": 4, "group_size": 64, "mode": "affine"}
Result<Quantisation> read_bits_and_group(const Fields& block) {
  ASSIGN_OR_RETURN(const std::string mode, block.text("mode"));
  if (!mode.empty() && mode != "affine")
    return invalid("{} is {}, which is not read yet; read is 'affine'", block.path("mode"), in_quotes(mode));
  constexpr uint32_t kAny = std::numeric_limits<int32_t>::max();
  ASSIGN_OR_RETURN(const uint32_t bits, block.whole("bits", 0, kAny));
  if (bits < 2 || bits > 8 || bits == 7)
    return invalid("{} is {}, expected 2, 3, 4, 5, 6 or 8", block.path("bits"), bits);
  ASSIGN_OR_RETURN(const uint32_t group, block.whole("group_size", 0, kAny));
  if (group != 32 && group != 64 && group != 128)
    return invalid("{} is {}, expected 32, 64 or 128", block.path("group_size"), group);
  return Quantisation{bits, group};
}

// The block of mlx-lm. Besides its own numbers: "path": false (not quantised) or "path": {numbers} (its own).
Status read_mlx_block(const Json& json, const std::string& key, ModelConfig& config) {
  if (!json.is_object()) return invalid("{} is {}, expected an object", key, Fields::shown(json));
  ASSIGN_OR_RETURN(const Quantisation whole, read_bits_and_group(Fields(json, key + ".")));
  config.quantised_bits = whole.bits;
  config.quantised_group = whole.group;
  for (const auto& [name, value] : json.items()) {
    if (name == "bits" || name == "group_size" || name == "mode") continue;
    const std::string shown_path = key + "." + in_quotes(name);
    QuantisedPath path{name, whole.bits, whole.group};
    if (value.is_object()) {
      ASSIGN_OR_RETURN(const Quantisation own, read_bits_and_group(Fields(value, shown_path + ".")));
      path.bits = own.bits;
      path.group = own.group;
    } else if (value.is_boolean()) {
      if (!value.get<bool>()) path.bits = path.group = 0;
    } else {
      return invalid("{} is {}, expected an object or true or false", shown_path, Fields::shown(value));
    }
    config.quantised_paths.push_back(std::move(path));  // items() come sorted
  }
  return ok_status();
}

// mlx-lm writes its block as "quantization" and again as "quantization_config"; the latter is also where GPTQ, AWQ
// and others say what they are, by quant_method.
Status read_quantisation(const Fields& fields, ModelConfig& config) {
  const Json* mlx = fields.find("quantization");
  const Json* other = fields.find("quantization_config");
  if (other != nullptr && other->is_object() && other->contains("quant_method")) {
    return invalid("quantization_config has quant_method {}, which is not read yet; read is MLX's affine form",
                   Fields::shown(other->at("quant_method")));
  }
  if (mlx != nullptr) {
    RETURN_IF_ERROR(read_mlx_block(*mlx, "quantization", config));
    if (other == nullptr || *mlx == *other) return ok_status();
    return invalid("quantization and quantization_config disagree; remove the wrong one");
  }
  if (other != nullptr) return read_mlx_block(*other, "quantization_config", config);
  return ok_status();
}

// ---------------------------------------------------------------- tokens

// A token id, a list of them, or null. Each once, in order of appearance.
Status add_tokens(const Fields& fields, std::string_view key, uint32_t vocab_size, std::vector<TokenId>& tokens) {
  const Json* value = fields.find(key);
  if (value == nullptr) return ok_status();
  const Json list = value->is_array() ? *value : Json::array({*value});
  constexpr size_t kMostTokens = 256;  // real models have up to ten
  if (list.size() > kMostTokens)
    return invalid("{} has {} token ids, expected at most {}", fields.path(key), list.size(), kMostTokens);
  for (const Json& token : list) {
    if (!token.is_number_unsigned() || token.get<uint64_t>() >= vocab_size) {
      return invalid("{} is {}, expected token ids below vocab_size {}", fields.path(key), Fields::shown(token),
                     vocab_size);
    }
    const auto id = static_cast<TokenId>(token.get<uint64_t>());
    if (std::find(tokens.begin(), tokens.end(), id) == tokens.end()) tokens.push_back(id);
  }
  return ok_status();
}

// ---------------------------------------------------------------- experts

// "mlp_only_layers": [0, 3]
Result<std::vector<uint32_t>> read_dense_layers(const Fields& fields, uint32_t num_layers) {
  std::vector<uint32_t> layers;
  const Json* list = fields.find("mlp_only_layers");
  if (list == nullptr) return layers;
  if (!list->is_array()) return invalid("mlp_only_layers is {}, expected a list", Fields::shown(*list));
  for (const Json& layer : *list) {
    if (!layer.is_number_unsigned() || layer.get<uint64_t>() >= num_layers) {
      return invalid("mlp_only_layers has {}, expected numbers of layers below num_hidden_layers {}",
                     Fields::shown(layer), num_layers);
    }
    layers.push_back(static_cast<uint32_t>(layer.get<uint64_t>()));
  }
  std::sort(layers.begin(), layers.end());
  return layers;
}

// The defaults are those of transformers' Qwen3MoeConfig, where num_experts is also called num_local_experts.
Status read_experts(const Fields& fields, ModelConfig& config) {
  const bool local = fields.find("num_local_experts") != nullptr;
  if (local && fields.find("num_experts") != nullptr) {
    ASSIGN_OR_RETURN(const uint32_t other, fields.whole("num_local_experts", 1, config_limits::kMaxExperts));
    ASSIGN_OR_RETURN(const uint32_t experts, fields.whole("num_experts", 1, config_limits::kMaxExperts));
    if (other != experts) return invalid("num_experts is {}, but num_local_experts {}", experts, other);
  }
  ASSIGN_OR_RETURN(config.num_experts,
                   fields.whole(local ? "num_local_experts" : "num_experts", 1, config_limits::kMaxExperts, 128));
  ASSIGN_OR_RETURN(config.experts_per_token, fields.whole("num_experts_per_tok", 1, config.num_experts, 8));
  ASSIGN_OR_RETURN(config.expert_size,
                   fields.whole("moe_intermediate_size", 1, config_limits::kMaxIntermediate, 768));
  ASSIGN_OR_RETURN(config.renormalise_experts, fields.flag("norm_topk_prob", false));
  ASSIGN_OR_RETURN(config.sparse_step, fields.whole("decoder_sparse_step", 1, config_limits::kMaxLayers, 1));
  ASSIGN_OR_RETURN(config.dense_layers, read_dense_layers(fields, config.num_layers));
  return ok_status();
}

// ---------------------------------------------------------------- the whole

Result<const Family*> find_family(const Fields& fields) {
  ASSIGN_OR_RETURN(const std::string type, fields.text("model_type"));
  if (type.empty()) return invalid("model_type is missing, expected one of: {}", family_names());
  const auto family =
      std::find_if(kFamilies.begin(), kFamilies.end(), [&](const Family& f) { return f.model_type == type; });
  if (family == kFamilies.end())
    return invalid("model_type {} is not read yet; read are: {}", in_quotes(type), family_names());
  const Json* architectures = fields.find("architectures");
  if (architectures == nullptr) return &*family;
  if (!architectures->is_array() || architectures->size() != 1 || architectures->front() != family->architecture) {
    return invalid("architectures is {}, expected [\"{}\"] for model_type {}", in_quotes(architectures->dump()),
                   family->architecture, in_quotes(type));
  }
  return &*family;
}

Result<ModelConfig> config_of(const Json& json) {
  const Fields fields(json, "");
  ASSIGN_OR_RETURN(const Family* family, find_family(fields));
  ModelConfig config;
  config.family = family->model_type;
  config.qk_norm = family->qk_norm;
  config.qkv_bias = family->qkv_bias;
  RETURN_IF_ERROR(refuse_unread(fields, *family));
  ASSIGN_OR_RETURN(config.num_layers, fields.whole("num_hidden_layers", 1, config_limits::kMaxLayers));
  ASSIGN_OR_RETURN(config.hidden_size, fields.whole("hidden_size", 1, config_limits::kMaxHidden));
  ASSIGN_OR_RETURN(config.intermediate_size, fields.whole("intermediate_size", 1, config_limits::kMaxIntermediate));
  ASSIGN_OR_RETURN(config.num_heads, fields.whole("num_attention_heads", 1, config_limits::kMaxHeads));
  ASSIGN_OR_RETURN(config.num_kv_heads,
                   fields.whole("num_key_value_heads", 1, config_limits::kMaxHeads, config.num_heads));
  const uint32_t head_dim =
      family->default_head_dim != 0 ? family->default_head_dim : config.hidden_size / config.num_heads;
  if (fields.find("head_dim") == nullptr && family->default_head_dim == 0 &&
      config.hidden_size % config.num_heads != 0) {
    return invalid("hidden_size {} is no multiple of num_attention_heads {} and there is no head_dim",
                   config.hidden_size, config.num_heads);
  }
  ASSIGN_OR_RETURN(config.head_dim, fields.whole("head_dim", 2, config_limits::kMaxHeadDim, head_dim));
  ASSIGN_OR_RETURN(config.vocab_size, fields.whole("vocab_size", 1, config_limits::kMaxVocab));
  ASSIGN_OR_RETURN(
      config.max_position_embeddings,
      fields.whole("max_position_embeddings", 1, config_limits::kMaxPositions, family->default_max_positions));
  ASSIGN_OR_RETURN(const double eps, fields.number("rms_norm_eps", 1e-12, 1, 1e-6));
  config.rms_norm_eps = static_cast<float>(eps);
  ASSIGN_OR_RETURN(config.tied_embeddings, fields.flag("tie_word_embeddings", false));
  RETURN_IF_ERROR(read_rope(fields, config));
  if (family->experts) RETURN_IF_ERROR(read_experts(fields, config));
  RETURN_IF_ERROR(read_quantisation(fields, config));
  RETURN_IF_ERROR(add_tokens(fields, "eos_token_id", config.vocab_size, config.eos_tokens));
  std::vector<TokenId> bos;
  RETURN_IF_ERROR(add_tokens(fields, "bos_token_id", config.vocab_size, bos));
  config.has_bos_token = !bos.empty();
  if (config.has_bos_token) config.bos_token = bos.front();
  RETURN_IF_ERROR(check_model_config(config));
  return config;
}

// ---------------------------------------------------------------- generation_config.json

Status read_suggestion(const Fields& fields, std::string_view key, double least, double most,
                       std::optional<double>& suggested) {
  if (fields.find(key) == nullptr) return ok_status();
  ASSIGN_OR_RETURN(suggested, fields.number(key, least, most));
  return ok_status();
}

Status read_suggestion(const Fields& fields, std::string_view key, uint32_t least, std::optional<uint32_t>& suggested) {
  if (fields.find(key) == nullptr) return ok_status();
  ASSIGN_OR_RETURN(suggested, fields.whole(key, least, INT32_MAX));
  return ok_status();
}

// The ranges are those of requests (api/), so that a suggestion is never what a client could not ask for.
Status read_generation(const Fields& fields, ModelConfig& config) {
  RETURN_IF_ERROR(add_tokens(fields, "eos_token_id", config.vocab_size, config.eos_tokens));
  SuggestedSampling& suggested = config.suggested;
  RETURN_IF_ERROR(read_suggestion(fields, "temperature", 0, 2, suggested.temperature));
  RETURN_IF_ERROR(read_suggestion(fields, "top_p", 0, 1, suggested.top_p));
  if (suggested.top_p == 0.0) return invalid("top_p is 0, expected above 0 and at most 1");
  RETURN_IF_ERROR(read_suggestion(fields, "top_k", 0, suggested.top_k));
  RETURN_IF_ERROR(read_suggestion(fields, "min_p", 0, 1, suggested.min_p));
  RETURN_IF_ERROR(read_suggestion(fields, "repetition_penalty", 0.01, 10, suggested.repetition_penalty));
  RETURN_IF_ERROR(read_suggestion(fields, "max_new_tokens", 1, suggested.max_new_tokens));
  // Only where it is said: transformers does not sample either where nothing is said, but files that leave it out mean
  // no more by it than that nobody thought of it.
  ASSIGN_OR_RETURN(const bool samples, fields.flag("do_sample", true));
  if (!samples) suggested.temperature = 0.0;
  return ok_status();
}

}  // namespace

// dtype / torch_dtype says what transformers would convert to; here every tensor keeps the type it is stored in.
Result<ModelConfig> read_model_config(const std::string& folder) {
  ASSIGN_OR_RETURN(const Json json, read_json_object(folder, "config.json"));
  auto config = config_of(json);
  if (!config.ok()) return std::move(config).error().within("config.json");
  if (!file_exists(folder + "/generation_config.json")) return config;
  ASSIGN_OR_RETURN(const Json generation, read_json_object(folder, "generation_config.json"));
  Status status = read_generation(Fields(generation, ""), *config);
  if (!status.ok()) return std::move(status).error().within("generation_config.json");
  return config;
}

}  // namespace slipstream
