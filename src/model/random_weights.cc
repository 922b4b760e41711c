#include "model/random_weights.h"

#include <bit>
#include <cstring>
#include <vector>

#include "base/check.h"
#include "base/random.h"

namespace slipstream {
namespace {

uint16_t to_bf16(float value) { return static_cast<uint16_t>((std::bit_cast<uint32_t>(value) + 0x8000) >> 16); }

// Normal fp16 numbers only, truncated: enough for made-up weights.
uint16_t to_fp16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const int32_t exponent = static_cast<int32_t>(bits >> 23 & 0xff) - 127 + 15;
  const uint32_t sign = bits >> 16 & 0x8000;
  if (exponent <= 0) return static_cast<uint16_t>(sign);
  CHECK(exponent < 31, "{}", value);
  return static_cast<uint16_t>(sign | static_cast<uint32_t>(exponent) << 10 | (bits >> 13 & 0x3ff));
}

void append(std::vector<std::byte>& out, float value, ScaleType type) {
  const uint16_t half = type == ScaleType::kBf16 ? to_bf16(value) : to_fp16(value);
  const void* from = type == ScaleType::kFp32 ? static_cast<const void*>(&value) : static_cast<const void*>(&half);
  const size_t size = type == ScaleType::kFp32 ? 4 : 2;
  out.insert(out.end(), static_cast<const std::byte*>(from), static_cast<const std::byte*>(from) + size);
}

// Uniform in [-1, 1): number `index` of stream `stream`.
float uniform(uint64_t seed, uint32_t stream, uint64_t index) {
  const auto words =
      philox4x32(seed, {static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32), stream, 0x77656967});
  return static_cast<float>(unit_double(words) * 2.0 - 1.0);
}

// One row before packing, as its checkpoint would have it.
struct RowBytes {
  std::vector<std::byte> values, scales, biases;
};

RowBytes random_row(const MatrixFormat& format, uint32_t cols, uint64_t seed, uint32_t stream, uint32_t row) {
  // Uniform in +-sqrt(3 / cols): variance 1 / cols.
  const float spread = 1.7320508f / __builtin_sqrtf(static_cast<float>(cols));
  RowBytes bytes;
  for (uint32_t col = 0; col < cols; ++col) {
    const float value = uniform(seed, stream, uint64_t{row} * cols + col);
    if (!format.quantised()) {
      append(bytes.values, value * spread,
             format.type == WeightType::kFp32   ? ScaleType::kFp32
             : format.type == WeightType::kBf16 ? ScaleType::kBf16
                                                : ScaleType::kFp16);
      continue;
    }
    const float levels = static_cast<float>(1 << (format.bits - 1));
    const auto q = static_cast<int32_t>(value * levels);  // in (-levels, levels)
    bytes.values.push_back(
        static_cast<std::byte>(format.type == WeightType::kUnsigned ? q + (1 << (format.bits - 1)) : q));
    if (col % format.group != 0) continue;
    const float scale = spread / levels * (1.0f + 0.5f * uniform(seed, stream + 1, uint64_t{row} * cols + col));
    append(bytes.scales, scale, format.scales);
    append(bytes.biases, -scale * levels, format.scales);
  }
  return bytes;
}

void fill(const PackedMatrix& matrix, std::byte* to, uint64_t seed, uint32_t stream, ThreadPool& pool) {
  pool.run([&](uint32_t thread) {
    const Range panels = split(matrix.num_panels(), thread, pool.num_threads());
    for (uint32_t panel = panels.begin; panel < panels.end; ++panel) {
      PanelSource source;
      std::vector<RowBytes> rows;
      for (uint32_t row = panel * kPanelRows; row < matrix.rows && rows.size() < kPanelRows; ++row) {
        rows.push_back(random_row(matrix.format, matrix.cols, seed, stream, row));
      }
      source.num_rows = static_cast<uint32_t>(rows.size());
      for (uint32_t row = 0; row < source.num_rows; ++row) {
        source.values[row] = rows[row].values.data();
        source.scales[row] = rows[row].scales.data();
        source.biases[row] = rows[row].biases.data();
      }
      pack_panel(matrix.format, matrix.cols, source, to + panel * packed_panel_bytes(matrix.format, matrix.cols));
    }
  });
}

// Hands out the arena twice: first over nothing, to learn its size, then to be filled.
class Maker {
 public:
  Maker(std::byte* base, const MatrixFormat& format, uint64_t seed, ThreadPool& pool)
      : base_(base), format_(format), seed_(seed), pool_(pool) {}

  PackedMatrix matrix(uint32_t rows, uint32_t cols) {
    PackedMatrix made{format_, rows, cols, nullptr};
    std::byte* at = take(packed_bytes(format_, rows, cols));
    stream_ += 2;  // values, scales
    if (at != nullptr) fill(made, at, seed_, stream_, pool_);
    made.data = at;
    return made;
  }
  const float* norm(uint32_t size) { return vector(size, 1.0f); }
  const float* bias(uint32_t size) { return vector(size, 0.0f); }
  size_t used() const { return used_; }

 private:
  const float* vector(uint32_t size, float middle) {
    auto* at = reinterpret_cast<float*>(take(size * sizeof(float)));
    stream_ += 2;
    for (uint32_t index = 0; at != nullptr && index < size; ++index)
      at[index] = middle + 0.25f * uniform(seed_, stream_, index);
    return at;
  }
  std::byte* take(size_t bytes) {
    const size_t at = used_;
    used_ = round_up(used_ + bytes, 64);
    return base_ == nullptr ? nullptr : base_ + at;
  }

  std::byte* base_;
  const MatrixFormat format_;
  const uint64_t seed_;
  ThreadPool& pool_;
  size_t used_ = 0;
  uint32_t stream_ = 0;
};

void make_mlps(LayerWeights& layer, Maker& maker, const ModelConfig& config, uint32_t index) {
  const auto make = [&](MlpWeights& mlp, uint32_t size) {
    mlp.gate = maker.matrix(size, config.hidden_size);
    mlp.up = maker.matrix(size, config.hidden_size);
    mlp.down = maker.matrix(config.hidden_size, size);
  };
  if (!config.is_sparse(index)) return make(layer.mlp, config.intermediate_size);
  layer.router = maker.matrix(config.num_experts, config.hidden_size);
  layer.experts.resize(config.num_experts);
  for (MlpWeights& expert : layer.experts) make(expert, config.expert_size);
}

void make_all(Weights& weights, Maker& maker, const ModelConfig& config) {
  const uint32_t q_cols = config.num_heads * config.head_dim;
  const uint32_t kv_cols = config.num_kv_heads * config.head_dim;
  weights.embedding = maker.matrix(config.vocab_size, config.hidden_size);
  weights.lm_head = config.tied_embeddings ? weights.embedding : maker.matrix(config.vocab_size, config.hidden_size);
  weights.final_norm = maker.norm(config.hidden_size);
  weights.layers.assign(config.num_layers, {});
  for (LayerWeights& layer : weights.layers) {
    layer.attention_norm = maker.norm(config.hidden_size);
    layer.mlp_norm = maker.norm(config.hidden_size);
    if (config.qk_norm) {
      layer.q_norm = maker.norm(config.head_dim);
      layer.k_norm = maker.norm(config.head_dim);
    }
    if (config.qkv_bias) {
      layer.q_bias = maker.bias(q_cols);
      layer.k_bias = maker.bias(kv_cols);
      layer.v_bias = maker.bias(kv_cols);
    }
    layer.q = maker.matrix(q_cols, config.hidden_size);
    layer.k = maker.matrix(kv_cols, config.hidden_size);
    layer.v = maker.matrix(kv_cols, config.hidden_size);
    layer.o = maker.matrix(config.hidden_size, q_cols);
    make_mlps(layer, maker, config, static_cast<uint32_t>(&layer - weights.layers.data()));
  }
  weights.packed_bytes = maker.used();
}

}  // namespace

Result<Weights> random_weights(const ModelConfig& config, const MatrixFormat& format, uint64_t seed, ThreadPool& pool) {
  Weights weights;
  Maker measure(nullptr, format, seed, pool);
  make_all(weights, measure, config);
  ASSIGN_OR_RETURN(weights.memory, Arena::make(measure.used()));
  Maker maker(weights.memory.data(), format, seed, pool);
  make_all(weights, maker, config);
  return weights;
}

}  // namespace slipstream
