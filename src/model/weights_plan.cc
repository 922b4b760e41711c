#include "model/weights_plan.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "files/quoted.h"

namespace slipstream {
namespace {

// ---------------------------------------------------------------- what a layer consists of

// The sizes that the shapes are made of.
enum class Size : uint8_t { kHidden, kIntermediate, kVocab, kQuery, kKeyValue, kHead };

uint32_t size_of(Size size, const ModelConfig& config) {
  switch (size) {
    case Size::kHidden: return config.hidden_size;
    case Size::kIntermediate: return config.intermediate_size;
    case Size::kVocab: return config.vocab_size;
    case Size::kQuery: return config.num_heads * config.head_dim;
    case Size::kKeyValue: return config.num_kv_heads * config.head_dim;
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
    case Size::kHead: break;
  }
  return fmt::format("head_dim {}", config.head_dim);
}

struct MatrixRow {
  std::string_view hugging_face;  // under "model.layers.N.", without ".weight"
  std::string_view gguf;          // under "blk.N."
  PackedMatrix LayerWeights::*member;
  Size rows;
  Size cols;
  bool rotary = false;  // rope turns its rows
};

constexpr std::array kMatrices = {
    MatrixRow{"self_attn.q_proj", "attn_q", &LayerWeights::q, Size::kQuery, Size::kHidden, true},
    MatrixRow{"self_attn.k_proj", "attn_k", &LayerWeights::k, Size::kKeyValue, Size::kHidden, true},
    MatrixRow{"self_attn.v_proj", "attn_v", &LayerWeights::v, Size::kKeyValue, Size::kHidden},
    MatrixRow{"self_attn.o_proj", "attn_output", &LayerWeights::o, Size::kHidden, Size::kQuery},
    MatrixRow{"mlp.gate_proj", "ffn_gate", &LayerWeights::gate, Size::kIntermediate, Size::kHidden},
    MatrixRow{"mlp.up_proj", "ffn_up", &LayerWeights::up, Size::kIntermediate, Size::kHidden},
    MatrixRow{"mlp.down_proj", "ffn_down", &LayerWeights::down, Size::kHidden, Size::kIntermediate},
};

struct VectorRow {
  std::string_view hugging_face;
  std::string_view gguf;
  const float* LayerWeights::*member;
  Size size;
  bool qk_norm = false;  // only where the family has it
};

constexpr std::array kVectors = {
    VectorRow{"input_layernorm", "attn_norm", &LayerWeights::attention_norm, Size::kHidden},
    VectorRow{"post_attention_layernorm", "ffn_norm", &LayerWeights::mlp_norm, Size::kHidden},
    VectorRow{"self_attn.q_norm", "attn_q_norm", &LayerWeights::q_norm, Size::kHead, true},
    VectorRow{"self_attn.k_norm", "attn_k_norm", &LayerWeights::k_norm, Size::kHead, true},
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

class Planner {
 public:
  Planner(const ModelConfig& config, const TensorSource& source, TensorNames names)
      : config_(config), source_(source), names_(names), used_(source.tensors().size()) {}

  Result<WeightsPlan> plan(Weights& weights) {
    const bool gguf = names_ == TensorNames::kGguf;
    RETURN_IF_ERROR(add_matrix(gguf ? "token_embd" : "model.embed_tokens",
                               {{}, {}, nullptr, Size::kVocab, Size::kHidden}, weights.embedding));
    if (!config_.tied_embeddings) {
      RETURN_IF_ERROR(
          add_matrix(gguf ? "output" : "lm_head", {{}, {}, nullptr, Size::kVocab, Size::kHidden}, weights.lm_head));
    }
    RETURN_IF_ERROR(add_vector(gguf ? "output_norm" : "model.norm", Size::kHidden, weights.final_norm));
    // Before anything is as long as the config claims: the last layer must be there.
    if (find(layer_path(config_.num_layers - 1, kVectors[0].hugging_face, kVectors[0].gguf) + ".weight") == nullptr) {
      return missing(layer_path(config_.num_layers - 1, kVectors[0].hugging_face, kVectors[0].gguf) + ".weight",
                     Size::kHidden, {});
    }
    weights.layers.resize(config_.num_layers);
    for (uint32_t layer = 0; layer < config_.num_layers; ++layer)
      RETURN_IF_ERROR(add_layer(layer, weights.layers[layer]));
    RETURN_IF_ERROR(refuse_unused());
    return std::move(plan_);
  }

 private:
  Status add_layer(uint32_t layer, LayerWeights& weights) {
    for (const VectorRow& row : kVectors) {
      if (row.qk_norm && !config_.qk_norm) continue;
      RETURN_IF_ERROR(add_vector(layer_path(layer, row.hugging_face, row.gguf), row.size, weights.*row.member));
    }
    for (const MatrixRow& row : kMatrices) {
      RETURN_IF_ERROR(add_matrix(layer_path(layer, row.hugging_face, row.gguf), row, weights.*row.member));
    }
    return ok_status();
  }

  std::string layer_path(uint32_t layer, std::string_view hugging_face, std::string_view gguf) const {
    return names_ == TensorNames::kGguf ? fmt::format("blk.{}.{}", layer, gguf)
                                        : fmt::format("model.layers.{}.{}", layer, hugging_face);
  }

  const Tensor* find(const std::string& name) {
    const Tensor* tensor = source_.find(name);
    if (tensor != nullptr) used_[static_cast<size_t>(tensor - source_.tensors().data())] = true;
    return tensor;
  }

  // -- vectors ------------------------------------------------------------------------------------------------------

  Status add_vector(const std::string& path, Size size, const float*& vector) {
    const Tensor* tensor = find(path + ".weight");
    if (tensor == nullptr) return missing(path + ".weight", size, {});
    const uint32_t num_values = size_of(size, config_);
    if (tensor->shape != std::vector<uint64_t>{num_values}) return wrong_shape(*tensor, size, {}, {num_values});
    if (!unquantised_format(tensor->dtype).has_value()) {
      return invalid("{} has type {}, expected F32, F16 or BF16", where(*tensor), dtype_name(tensor->dtype));
    }
    plan_.vectors.push_back({&vector, tensor, num_values, take(sizeof(float) * num_values)});
    return ok_status();
  }

  // -- matrices -----------------------------------------------------------------------------------------------------

  Status add_matrix(const std::string& path, const MatrixRow& row, PackedMatrix& matrix) {
    const uint32_t rows = size_of(row.rows, config_);
    const uint32_t cols = size_of(row.cols, config_);
    MatrixPlan plan;
    plan.matrix = &matrix;
    plan.values = find(path + ".weight");
    if (plan.values == nullptr) return missing(path + ".weight", row.rows, row.cols);
    plan.scales = names_ == TensorNames::kHuggingFace ? find(path + ".scales") : nullptr;
    plan.biases = plan.scales != nullptr ? find(path + ".biases") : nullptr;
    if (plan.scales != nullptr) {
      ASSIGN_OR_RETURN(matrix.format, affine_format(path, plan, row));
    } else {
      if (plan.values->shape != std::vector<uint64_t>{rows, cols})
        return wrong_shape(*plan.values, row.rows, row.cols, {rows, cols});
      ASSIGN_OR_RETURN(matrix.format, plain_format(path, *plan.values));
    }
    matrix.rows = rows;
    matrix.cols = cols;
    if (row.rotary && names_ == TensorNames::kGguf) plan.rotary_head_dim = config_.head_dim;
    plan.offset = take(packed_bytes(matrix.format, rows, cols));
    plan_.matrices.push_back(plan);
    return ok_status();
  }

  // Whole tensors: three float types; in a GGUF file also blocks with their scales inside.
  Result<MatrixFormat> plain_format(const std::string& path, const Tensor& values) const {
    if (const QuantisedPath* claim = claim_of(path); claim != nullptr && claim->bits != 0) {
      return invalid("{} has no {} beside it, but config.json says {} bits for it", where(values),
                     in_quotes(path + ".scales"), claim->bits);
    }
    std::optional<MatrixFormat> format = unquantised_format(values.dtype);
    if (!format.has_value() && names_ == TensorNames::kGguf) format = block_format(values.dtype);
    if (format.has_value()) return *format;
    if (values.dtype == DType::kU32) {
      return invalid("{} has type U32 (packed) but there is no {}", where(values), in_quotes(path + ".scales"));
    }
    return invalid("{} has type {}, expected F32, F16 or BF16", where(values), dtype_name(values.dtype));
  }

  // MLX: values uint32 [rows, cols * bits / 32], scales and biases [rows, cols / group]. With cols from the config
  // the shapes say what bits and group are; the config must say the same.
  Result<MatrixFormat> affine_format(const std::string& path, const MatrixPlan& plan, const MatrixRow& row) const {
    const uint64_t rows = size_of(row.rows, config_);
    const uint64_t cols = size_of(row.cols, config_);
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
    const auto fits = [&](const Tensor& t) {
      return t.shape.size() == 2 && t.shape[0] == rows && t.shape[1] > 0 && t.shape[1] <= cols;
    };
    if (!fits(values)) return wrong_shape(values, row.rows, row.cols, {rows, cols / 8}, " with 4 bits");
    if (!fits(scales) || cols % scales.shape[1] != 0)
      return wrong_shape(scales, row.rows, row.cols, {rows, cols / 64}, " with groups of 64");
    return check_claim(path, plan, static_cast<uint32_t>(cols), *type);
  }

  Result<MatrixFormat> check_claim(const std::string& path, const MatrixPlan& plan, uint32_t cols,
                                   ScaleType scales) const {
    const uint64_t group = cols / plan.scales->shape[1];
    const uint64_t row_bits = plan.values->shape[1] * 32;
    if (config_.quantised_bits == 0)
      return invalid("{} is quantised, but config.json has no 'quantization'", where(*plan.values));
    const QuantisedPath* claim = claim_of(path);
    const uint32_t bits = claim != nullptr ? claim->bits : config_.quantised_bits;
    const uint32_t claimed_group = claim != nullptr ? claim->group : config_.quantised_group;
    if (bits == 0) return invalid("{} is quantised, but config.json says it is not", where(*plan.values));
    if (row_bits != uint64_t{bits} * cols || group != claimed_group) {
      return invalid(
          "{} has shape {} and scales {}, expected [{}, {}] and [{}, {}] (quantization: {} bits in groups of {}). Is "
          "config.json "
          "from another model?",
          where(*plan.values), plan.values->shape_text(), plan.scales->shape_text(), plan.values->shape[0],
          uint64_t{bits} * cols / 32, plan.values->shape[0], cols / claimed_group, bits, claimed_group);
    }
    return MatrixFormat{WeightType::kUnsigned, static_cast<uint8_t>(bits), static_cast<uint16_t>(group), scales};
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
  // - lm_head of tied embeddings: transformers, too, takes the embedding instead.
  Status refuse_unused() const {
    const auto tensors = source_.tensors();
    for (size_t i = 0; i < tensors.size(); ++i) {
      const std::string_view name = tensors[i].name;
      if (used_[i] || name.ends_with(".rotary_emb.inv_freq")) continue;
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
