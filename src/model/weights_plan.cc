#include "model/weights_plan.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "files/quoted.h"
#include "model/rope.h"

namespace slipstream {
namespace {

// ---------------------------------------------------------------- what a layer consists of

// The sizes that the shapes are made of.
enum class Size : uint8_t { kHidden, kIntermediate, kVocab, kQuery, kKeyValue, kHead, kExperts, kExpert };

uint32_t size_of(Size size, const ModelConfig& config) {
  switch (size) {
    case Size::kHidden: return config.hidden_size;
    case Size::kIntermediate: return config.intermediate_size;
    case Size::kVocab: return config.vocab_size;
    case Size::kQuery: return config.num_heads * config.head_dim;
    case Size::kKeyValue: return config.num_kv_heads * config.head_dim;
    case Size::kExperts: return config.num_experts;
    case Size::kExpert: return config.expert_size;
    case Size::kHead: break;
  }
  return config.head_dim;
}

std::string size_text(Size size, const ModelConfig& config) {
  switch (size) {
    case Size::kHidden: return fmt::format("hidden_size {}", config.hidden_size);
    case Size::kIntermediate: return fmt::format("intermediate_size {}", config.intermediate_size);
    case Size::kVocab: return fmt::format("vocab_size {}", config.vocab_size);
    case Size::kQuery: return fmt::format("num_attention_heads {} x head_dim {}", config.num_heads, config.head_dim);
    case Size::kKeyValue:
      return fmt::format("num_key_value_heads {} x head_dim {}", config.num_kv_heads, config.head_dim);
    case Size::kExperts: return fmt::format("num_experts {}", config.num_experts);
    case Size::kExpert: return fmt::format("moe_intermediate_size {}", config.expert_size);
    case Size::kHead: break;
  }
  return fmt::format("head_dim {}", config.head_dim);
}

// A matrix as the two kinds of files name it, and its shape.
struct MatrixRow {
  std::string_view hugging_face;  // in a layer: under "model.layers.N.", without ".weight"
  std::string_view gguf;          // in a layer: under "blk.N."
  Size rows;
  Size cols;
  bool rotary = false;  // rope turns its rows
};

struct LayerMatrix {
  MatrixRow row;
  PackedMatrix LayerWeights::*member;
};

constexpr std::array kAttention = {
    LayerMatrix{{"self_attn.q_proj", "attn_q", Size::kQuery, Size::kHidden, true}, &LayerWeights::q},
    LayerMatrix{{"self_attn.k_proj", "attn_k", Size::kKeyValue, Size::kHidden, true}, &LayerWeights::k},
    LayerMatrix{{"self_attn.v_proj", "attn_v", Size::kKeyValue, Size::kHidden}, &LayerWeights::v},
    LayerMatrix{{"self_attn.o_proj", "attn_output", Size::kHidden, Size::kQuery}, &LayerWeights::o},
};

constexpr MatrixRow kEmbedding{"model.embed_tokens", "token_embd", Size::kVocab, Size::kHidden};
constexpr MatrixRow kLmHead{"lm_head", "output", Size::kVocab, Size::kHidden};
constexpr MatrixRow kRouter{"mlp.gate", "ffn_gate_inp", Size::kExperts, Size::kHidden};

// The three matrices of an MLP: of a dense layer under "mlp.", of an expert under "mlp.experts.N.", or all experts in
// one tensor [num_experts, ...] under "mlp.switch_mlp." (MLX) or with "_exps" (GGUF).
struct MlpMatrix {
  std::string_view hugging_face;
  std::string_view gguf;
  PackedMatrix MlpWeights::*member;
  bool down = false;  // [hidden_size, size], the others [size, hidden_size]

  MatrixRow row(Size size) const {
    return down ? MatrixRow{{}, {}, Size::kHidden, size} : MatrixRow{{}, {}, size, Size::kHidden};
  }
};

constexpr std::array kMlp = {
    MlpMatrix{"gate_proj", "ffn_gate", &MlpWeights::gate},
    MlpMatrix{"up_proj", "ffn_up", &MlpWeights::up},
    MlpMatrix{"down_proj", "ffn_down", &MlpWeights::down, true},
};

struct VectorRow {
  std::string_view hugging_face;
  std::string_view gguf;
  const float* LayerWeights::*member;
  Size size;
  bool ModelConfig::*only_if = nullptr;  // null: every family has it
  std::string_view kind = ".weight";     // how the tensor's name ends
};

constexpr std::array kVectors = {
    VectorRow{"input_layernorm", "attn_norm", &LayerWeights::attention_norm, Size::kHidden},
    VectorRow{"post_attention_layernorm", "ffn_norm", &LayerWeights::mlp_norm, Size::kHidden},
    VectorRow{"self_attn.q_norm", "attn_q_norm", &LayerWeights::q_norm, Size::kHead, &ModelConfig::qk_norm},
    VectorRow{"self_attn.k_norm", "attn_k_norm", &LayerWeights::k_norm, Size::kHead, &ModelConfig::qk_norm},
    VectorRow{"self_attn.q_proj", "attn_q", &LayerWeights::q_bias, Size::kQuery, &ModelConfig::qkv_bias, ".bias"},
    VectorRow{"self_attn.k_proj", "attn_k", &LayerWeights::k_bias, Size::kKeyValue, &ModelConfig::qkv_bias, ".bias"},
    VectorRow{"self_attn.v_proj", "attn_v", &LayerWeights::v_bias, Size::kKeyValue, &ModelConfig::qkv_bias, ".bias"},
};

// ---------------------------------------------------------------- types

std::optional<MatrixFormat> unquantised_format(DType dtype) {
  switch (dtype) {
    case DType::kBf16: return MatrixFormat{WeightType::kBf16, 16, 0, ScaleType::kFp32};
    case DType::kF16: return MatrixFormat{WeightType::kFp16, 16, 0, ScaleType::kFp32};
    case DType::kF32: return MatrixFormat{WeightType::kFp32, 32, 0, ScaleType::kFp32};
    default: return std::nullopt;
  }
}

// GGUF's quantised types: fp16 scales inside blocks of 32 values.
std::optional<MatrixFormat> block_format(DType dtype) {
  switch (dtype) {
    case DType::kQ8_0: return MatrixFormat{WeightType::kSigned, 8, 32, ScaleType::kFp16};
    case DType::kQ4_0: return MatrixFormat{WeightType::kSigned, 4, 32, ScaleType::kFp16};
    case DType::kQ4_1: return MatrixFormat{WeightType::kUnsigned, 4, 32, ScaleType::kFp16};
    default: return std::nullopt;
  }
}

std::optional<ScaleType> scale_type(DType dtype) {
  switch (dtype) {
    case DType::kBf16: return ScaleType::kBf16;
    case DType::kF16: return ScaleType::kFp16;
    case DType::kF32: return ScaleType::kFp32;
    default: return std::nullopt;
  }
}

std::string where(const Tensor& tensor) { return fmt::format("{}: tensor {}", tensor.file, in_quotes(tensor.name)); }

// ---------------------------------------------------------------- the planner

// Which matrix of a stack [count, ...]; count 0: the tensor is no stack.
struct Slice {
  uint32_t index = 0;
  uint32_t count = 0;
};

class Planner {
 public:
  Planner(const ModelConfig& config, const TensorSource& source, TensorNames names)
      : config_(config), source_(source), names_(names), used_(source.tensors().size()) {}

  Result<WeightsPlan> plan(Weights& weights) {
    RETURN_IF_ERROR(add_matrix(pick(kEmbedding.hugging_face, kEmbedding.gguf), kEmbedding, weights.embedding));
    if (!config_.tied_embeddings) {
      RETURN_IF_ERROR(add_matrix(pick(kLmHead.hugging_face, kLmHead.gguf), kLmHead, weights.lm_head));
    }
    RETURN_IF_ERROR(add_vector(pick("model.norm", "output_norm") + ".weight", Size::kHidden, weights.final_norm));
    // Before anything is as long as the config claims: the last layer must be there.
    const std::string last = layer_path(config_.num_layers - 1, kVectors[0].hugging_face, kVectors[0].gguf) + ".weight";
    if (find(last) == nullptr) return missing(last, Size::kHidden, {});
    weights.layers.resize(config_.num_layers);
    for (uint32_t layer = 0; layer < config_.num_layers; ++layer)
      RETURN_IF_ERROR(add_layer(layer, weights.layers[layer]));
    RETURN_IF_ERROR(refuse_unused());
    return std::move(plan_);
  }

 private:
  Status add_layer(uint32_t layer, LayerWeights& weights) {
    for (const VectorRow& row : kVectors) {
      if (row.only_if != nullptr && !(config_.*row.only_if)) continue;
      const std::string name = layer_path(layer, row.hugging_face, row.gguf) + std::string(row.kind);
      RETURN_IF_ERROR(add_vector(name, row.size, weights.*row.member));
    }
    for (const LayerMatrix& matrix : kAttention) {
      const std::string path = layer_path(layer, matrix.row.hugging_face, matrix.row.gguf);
      RETURN_IF_ERROR(add_matrix(path, matrix.row, weights.*matrix.member));
    }
    if (config_.is_sparse(layer)) return add_experts(layer, weights);
    for (const MlpMatrix& matrix : kMlp) {
      const std::string path = layer_path(layer, fmt::format("mlp.{}", matrix.hugging_face), matrix.gguf);
      RETURN_IF_ERROR(add_matrix(path, matrix.row(Size::kIntermediate), weights.mlp.*matrix.member));
    }
    return ok_status();
  }

  Status add_experts(uint32_t layer, LayerWeights& weights) {
    RETURN_IF_ERROR(add_matrix(layer_path(layer, kRouter.hugging_face, kRouter.gguf), kRouter, weights.router));
    // As above: the last expert must be there before the list is as long as the config claims.
    const bool stacked =
        names_ == TensorNames::kGguf || source_.find(stack_path(layer, kMlp[0]) + ".weight") != nullptr;
    const std::string last = expert_path(layer, config_.num_experts - 1, kMlp[0]) + ".weight";
    if (!stacked && source_.find(last) == nullptr) return missing(last, Size::kExpert, Size::kHidden);
    if (stacked) RETURN_IF_ERROR(check_stack(layer));
    weights.experts.resize(config_.num_experts);
    for (const MlpMatrix& matrix : kMlp) {
      const MatrixRow row = matrix.row(Size::kExpert);
      for (uint32_t expert = 0; expert < config_.num_experts; ++expert) {
        const std::string path = stacked ? stack_path(layer, matrix) : expert_path(layer, expert, matrix);
        const Slice slice = stacked ? Slice{expert, config_.num_experts} : Slice{};
        RETURN_IF_ERROR(add_matrix(path, row, weights.experts[expert].*matrix.member, slice));
      }
    }
    return ok_status();
  }

  Status check_stack(uint32_t layer) const {
    const Tensor* first = source_.find(stack_path(layer, kMlp[0]) + ".weight");
    if (first == nullptr) return missing(stack_path(layer, kMlp[0]) + ".weight", Size::kExpert, Size::kHidden);
    if (first->shape.empty() || first->shape[0] != config_.num_experts) {
      return invalid("{} has shape {}, expected [{}, ...] (num_experts). Is {} from another model?", where(*first),
                     first->shape_text(), config_.num_experts, config_place());
    }
    return ok_status();
  }

  std::string pick(std::string_view hugging_face, std::string_view gguf) const {
    return std::string(names_ == TensorNames::kGguf ? gguf : hugging_face);
  }
  std::string layer_path(uint32_t layer, std::string_view hugging_face, std::string_view gguf) const {
    return names_ == TensorNames::kGguf ? fmt::format("blk.{}.{}", layer, gguf)
                                        : fmt::format("model.layers.{}.{}", layer, hugging_face);
  }
  std::string stack_path(uint32_t layer, const MlpMatrix& matrix) const {
    return layer_path(layer, fmt::format("mlp.switch_mlp.{}", matrix.hugging_face),
                      fmt::format("{}_exps", matrix.gguf));
  }
  std::string expert_path(uint32_t layer, uint32_t expert, const MlpMatrix& matrix) const {
    return layer_path(layer, fmt::format("mlp.experts.{}.{}", expert, matrix.hugging_face), {});
  }

  const Tensor* find(const std::string& name) {
    const Tensor* tensor = source_.find(name);
    if (tensor != nullptr) used_[static_cast<size_t>(tensor - source_.tensors().data())] = true;
    return tensor;
  }

  // -- vectors ------------------------------------------------------------------------------------------------------

  Status add_vector(const std::string& name, Size size, const float*& vector) {
    const Tensor* tensor = find(name);
    if (tensor == nullptr) return missing(name, size, {});
    const uint32_t num_values = size_of(size, config_);
    if (tensor->shape != std::vector<uint64_t>{num_values}) return wrong_shape(*tensor, size, {}, {num_values});
    if (!unquantised_format(tensor->dtype).has_value()) {
      return invalid("{} has type {}, expected F32, F16 or BF16", where(*tensor), dtype_name(tensor->dtype));
    }
    plan_.vectors.push_back({&vector, tensor, num_values, take(sizeof(float) * num_values)});
    return ok_status();
  }

  // -- matrices -----------------------------------------------------------------------------------------------------

  Status add_matrix(const std::string& path, const MatrixRow& row, PackedMatrix& matrix, Slice slice = {}) {
    matrix.rows = size_of(row.rows, config_);
    matrix.cols = size_of(row.cols, config_);
    MatrixPlan plan;
    plan.matrix = &matrix;
    plan.slice = slice.index;
    plan.num_slices = std::max(1u, slice.count);
    plan.values = find(path + ".weight");
    if (plan.values == nullptr) return missing(path + ".weight", row.rows, row.cols);
    plan.scales = names_ == TensorNames::kHuggingFace ? find(path + ".scales") : nullptr;
    plan.biases = plan.scales != nullptr ? find(path + ".biases") : nullptr;
    RETURN_IF_ERROR(plan.scales != nullptr ? set_affine_format(path, row, slice, plan)
                                           : set_plain_format(path, row, slice, plan));
    if (row.rotary && names_ == TensorNames::kGguf && config_.family == "llama") {
      plan.rotary_head_dim = config_.head_dim;
    }
    plan.offset = take(packed_bytes(matrix.format, matrix.rows, matrix.cols));
    plan_.matrices.push_back(plan);
    return ok_status();
  }

  static std::vector<uint64_t> shape_of(Slice slice, uint64_t rows, uint64_t cols) {
    return slice.count == 0 ? std::vector<uint64_t>{rows, cols} : std::vector<uint64_t>{slice.count, rows, cols};
  }

  // Whole tensors: three float types; in a GGUF file also blocks with their scales inside.
  Status set_plain_format(const std::string& path, const MatrixRow& row, Slice slice, MatrixPlan& plan) const {
    const Tensor& values = *plan.values;
    const auto expected = shape_of(slice, plan.matrix->rows, plan.matrix->cols);
    if (values.shape != expected) return wrong_shape(values, row.rows, row.cols, expected);
    if (const QuantisedPath* claim = claim_of(path); claim != nullptr && claim->bits != 0) {
      return invalid("{} has no {} beside it, but config.json says {} bits for it", where(values),
                     in_quotes(path + ".scales"), claim->bits);
    }
    std::optional<MatrixFormat> format = unquantised_format(values.dtype);
    if (!format.has_value() && names_ == TensorNames::kGguf) format = block_format(values.dtype);
    if (format.has_value()) {
      plan.matrix->format = *format;
      plan.stored_bits = format->bits;
      return ok_status();
    }
    if (values.dtype == DType::kU32) {
      return invalid("{} has type U32 (packed) but there is no {}", where(values), in_quotes(path + ".scales"));
    }
    return invalid("{} has type {}, expected F32, F16 or BF16", where(values), dtype_name(values.dtype));
  }

  // MLX: values uint32 [rows, cols * bits / 32], scales and biases [rows, cols / group]. The config says bits and
  // group; all three shapes must agree.
  Status set_affine_format(const std::string& path, const MatrixRow& row, Slice slice, MatrixPlan& plan) const {
    const Tensor& values = *plan.values;
    const Tensor& scales = *plan.scales;
    if (plan.biases == nullptr) return invalid("{} has no {} beside it", where(scales), in_quotes(path + ".biases"));
    if (values.dtype != DType::kU32) {
      return invalid("{} has type {} but there is {}: expected U32 (packed)", where(values), dtype_name(values.dtype),
                     in_quotes(scales.name));
    }
    const std::optional<ScaleType> type = scale_type(scales.dtype);
    if (!type.has_value())
      return invalid("{} has type {}, expected F32, F16 or BF16", where(scales), dtype_name(scales.dtype));
    if (plan.biases->dtype != scales.dtype || plan.biases->shape != scales.shape) {
      return invalid("{} is {} {}, expected {} {} as the scales", where(*plan.biases), dtype_name(plan.biases->dtype),
                     plan.biases->shape_text(), dtype_name(scales.dtype), scales.shape_text());
    }
    if (config_.quantised_bits == 0)
      return invalid("{} is quantised, but config.json has no 'quantization'", where(values));
    const QuantisedPath* claim = claim_of(path);
    const uint32_t bits = claim != nullptr ? claim->bits : config_.quantised_bits;
    const uint32_t group = claim != nullptr ? claim->group : config_.quantised_group;
    if (bits == 0) return invalid("{} is quantised, but config.json says it is not", where(values));
    const uint64_t rows = plan.matrix->rows;
    const uint64_t cols = plan.matrix->cols;
    if (cols % group != 0) {
      return invalid(
          "{} is quantised in groups of {}, which do not divide its {} columns ({})",
          where(values), group, cols, size_text(row.cols, config_));
    }
    const auto expected_values = shape_of(slice, rows, cols * bits / 32);
    const auto expected_scales = shape_of(slice, rows, cols / group);
    if (values.shape != expected_values || scales.shape != expected_scales) {
      return invalid(
          "{} has shape {} and scales {}, expected {} and {} (quantization: {} bits in groups of {}; {}). Is "
          "config.json from another model?",
          where(values), values.shape_text(), scales.shape_text(), shape_text(expected_values),
          shape_text(expected_scales), bits, group, reason(row.rows, row.cols));
    }
    // Widths that no kernel reads are widened: their values are the same numbers.
    plan.matrix->format = MatrixFormat{WeightType::kUnsigned, static_cast<uint8_t>(bits <= 4 ? 4 : 8),
                                       static_cast<uint16_t>(group), *type};
    plan.stored_bits = bits;
    return ok_status();
  }

  const QuantisedPath* claim_of(const std::string& path) const {
    const auto& paths = config_.quantised_paths;
    const auto found = std::lower_bound(paths.begin(), paths.end(), path,
                                        [](const QuantisedPath& a, const std::string& b) { return a.path < b; });
    return found != paths.end() && found->path == path ? &*found : nullptr;
  }

  // -- no -----------------------------------------------------------------------------------------------------------

  std::string reason(Size rows, std::optional<Size> cols) const {
    return cols.has_value() ? fmt::format("{}, {}", size_text(rows, config_), size_text(*cols, config_))
                            : size_text(rows, config_);
  }
  const char* config_place() const { return names_ == TensorNames::kGguf ? "the metadata" : "config.json"; }

  Error missing(const std::string& name, Size rows, std::optional<Size> cols) const {
    const bool head = name == "lm_head.weight";
    return invalid("tensor {} is missing, expected by {} ({}, num_hidden_layers {}{})", in_quotes(name), config_place(),
                   reason(rows, cols), config_.num_layers, head ? ", tie_word_embeddings not true" : "");
  }

  Error wrong_shape(const Tensor& tensor, Size rows, std::optional<Size> cols, const std::vector<uint64_t>& expected,
                    std::string_view condition = "") const {
    return invalid("{} has shape {}, expected {}{} ({}). Is {} from another model?", where(tensor), tensor.shape_text(),
                   slipstream::shape_text(expected), condition, reason(rows, cols), config_place());
  }

  // A tensor that nobody asked for would change answers if it were left out. Left out on purpose:
  // - rotary_emb.inv_freq: old checkpoints store what the config says anyway;
  // - lm_head of tied embeddings: transformers, too, takes the embedding instead;
  // - GGUF's divisors of rope's frequencies: they are in the config.
  Status refuse_unused() const {
    const auto tensors = source_.tensors();
    for (size_t i = 0; i < tensors.size(); ++i) {
      const std::string_view name = tensors[i].name;
      if (used_[i] || name.ends_with(".rotary_emb.inv_freq")) continue;
      if (names_ == TensorNames::kGguf && name == kGgufRopeDivisors) continue;
      if (config_.tied_embeddings && names_ == TensorNames::kHuggingFace && name.starts_with("lm_head.")) continue;
      return invalid(
          "{} is no part of a {} model with {} layers as it is read here, and answers would be wrong without it",
          where(tensors[i]), config_.family, config_.num_layers);
    }
    return ok_status();
  }

  // Matrices begin on a line of 64 bytes.
  size_t take(size_t bytes) {
    const size_t offset = plan_.packed_bytes;
    plan_.packed_bytes += round_up(bytes, 64);
    return offset;
  }

  const ModelConfig& config_;
  const TensorSource& source_;
  const TensorNames names_;
  std::vector<bool> used_;  // by index in source.tensors()
  WeightsPlan plan_;
};

}  // namespace

Result<WeightsPlan> plan_weights(const ModelConfig& config, const TensorSource& source, TensorNames names,
                                 Weights& weights) {
  return Planner(config, source, names).plan(weights);
}

}  // namespace slipstream
