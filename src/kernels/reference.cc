// What every operation means, in plain C, to the bit: ARITHMETIC.md 3 and 9. (Attention and KV:
// reference_attention.cc.) Lanes written as arrays of 16 are outputs, or the virtual lanes of a sum; the order of
// each sum is the arithmetic.

#include <cstring>

#include "base/memory.h"
#include "kernels/fixed_arithmetic.h"
#include "kernels/float16.h"
#include "kernels/isa_kernels.h"
#include "kernels/packed_block.h"
#include "kernels/reference_attention.h"

namespace slipstream {
namespace {

// -- activations as integers ---------------------------------------------------------------------
// One row: int16 x [padded], then fp32 d [chunks], then int32 sums of x by 32 inputs [padded / 32]; padded = whole
// chunks.
struct RowLayout {
  uint32_t chunks;
  size_t d_offset;
  size_t sums_offset;
  size_t bytes;
};

RowLayout row_layout(uint32_t cols) {
  RowLayout layout;
  layout.chunks = (cols + kChunkInputs - 1) / kChunkInputs;
  layout.d_offset = static_cast<size_t>(layout.chunks) * kChunkInputs * sizeof(int16_t);
  layout.sums_offset = layout.d_offset + layout.chunks * sizeof(float);
  layout.bytes = round_up(layout.sums_offset + layout.chunks * (kChunkInputs / 32) * sizeof(int32_t), 64);
  return layout;
}

size_t quantised_bytes(uint32_t num_rows, uint32_t cols) { return num_rows * row_layout(cols).bytes; }

// d = amax / 32512; x_i = rint(x * (32512 / amax)). Returns false and writes zeros where a value is not finite.
bool quantise_chunk(const float* x, uint32_t n, int16_t* out, float* d, int32_t* sums) {
  uint32_t largest = 0;
  for (uint32_t i = 0; i < n; ++i) largest = magnitude_bits(x[i]) > largest ? magnitude_bits(x[i]) : largest;
  std::memset(out, 0, kChunkInputs * sizeof(int16_t));
  std::memset(sums, 0, kChunkInputs / 32 * sizeof(int32_t));
  *d = 0.0f;
  if (largest >= kNotFiniteBits) return false;
  if (largest < kTinyBits) return true;
  const float amax = std::bit_cast<float>(largest);
  *d = amax / kInt16Range;
  const float inverse = kInt16Range / amax;
  for (uint32_t i = 0; i < n; ++i) {
    const int32_t value = static_cast<int32_t>(__builtin_rintf(x[i] * inverse));
    out[i] = static_cast<int16_t>(value);
    sums[i / 32] += value;
  }
  return true;
}

void quantise(Matrix<const float> x, Range which, Range chunks, std::byte* out, uint8_t* finite) {
  const RowLayout layout = row_layout(x.cols);
  for (uint32_t r = which.begin; r < which.end; ++r) {
    std::byte* row = out + r * layout.bytes;
    auto* values = reinterpret_cast<int16_t*>(row);
    auto* d = reinterpret_cast<float*>(row + layout.d_offset);
    auto* sums = reinterpret_cast<int32_t*>(row + layout.sums_offset);
    for (uint32_t c = chunks.begin; c < chunks.end; ++c) {
      const uint32_t first = c * kChunkInputs;
      const uint32_t n = x.cols - first < kChunkInputs ? x.cols - first : kChunkInputs;
      if (!quantise_chunk(x.row(r) + first, n, values + first, d + c, sums + c * (kChunkInputs / 32))) {
        mark_not_finite(finite[r]);
      }
    }
  }
}

// -- one panel's weights -------------------------------------------------------------------------
struct Panel {
  const MatrixFormat& format;
  BlockLayout layout;
  uint32_t cols;
  const std::byte* data;

  Panel(const PackedMatrix& w, uint32_t index)
      : format(w.format),
        layout(w.format.quantised() ? block_layout(w.format) : BlockLayout{}),
        cols(w.cols),
        data(w.data + index * packed_panel_bytes(w.format, w.cols)) {}

  // q of inputs [first, first + n), first a multiple of 64: [n][16 rows].
  void integers(uint32_t first, uint32_t n, int16_t (*q)[kPanelRows]) const {
    const bool is_signed = format.type == WeightType::kSigned;
    for (uint32_t i = 0; i < n; ++i) {
      const uint32_t k = (first + i) % 64;
      const auto* block = reinterpret_cast<const uint8_t*>(data) +
                          static_cast<size_t>((first + i) / layout.inputs) * layout.block_bytes +
                          (first + i) % layout.inputs / 64 * format.bits * 128;
      const uint8_t* line = block + (format.bits == 8 ? k / 4 : k % 32 / 4) * 64 + k % 4;
      const uint32_t shift = format.bits == 8 ? 0 : k / 32 * 4;
      const int32_t mask = (1 << format.bits) - 1;
      const int32_t sign = is_signed ? 1 << (format.bits - 1) : 0;
      for (uint32_t row = 0; row < kPanelRows; ++row) {
        q[i][row] = static_cast<int16_t>(((line[row * 4] >> shift & mask) ^ sign) - sign);
      }
    }
  }

  void widen16(const std::byte* from, ScaleType type, float* out) const {
    for (uint32_t row = 0; row < kPanelRows; ++row) {
      uint16_t bits;
      if (type == ScaleType::kFp32) {
        std::memcpy(out + row, from + row * 4, 4);
      } else {
        std::memcpy(&bits, from + row * 2, 2);
        out[row] = type == ScaleType::kBf16 ? widen_bf16(bits) : widen_fp16(bits);
      }
    }
  }
  const std::byte* group_at(uint32_t group) const {
    return data + static_cast<size_t>(group / layout.groups) * layout.block_bytes + layout.value_bytes +
           group % layout.groups * layout.group_bytes;
  }
  void scales(uint32_t group, float* out) const { widen16(group_at(group), format.scales, out); }
  void biases(uint32_t group, float* out) const {
    widen16(group_at(group) + layout.bias_offset, format.scales, out);
  }
};

// -- the integer product -------------------------------------------------------------------------
using Lanes = float[kPanelRows];

// v = v + (e + o), even and odd groups in chains of their own: what one TDPBF16PS does (ARITHMETIC.md 6).
void add_plane(const float* x, const Lanes* bias, float* v) {
  Lanes even = {}, odd = {};
  for (uint32_t r = 0; r < kBiasGroups; r += 2) {
    for (uint32_t n = 0; n < kPanelRows; ++n) even[n] = __builtin_fmaf(x[r], bias[r][n], even[n]);
    for (uint32_t n = 0; n < kPanelRows; ++n) odd[n] = __builtin_fmaf(x[r + 1], bias[r + 1][n], odd[n]);
  }
  for (uint32_t n = 0; n < kPanelRows; ++n) v[n] = v[n] + (even[n] + odd[n]);
}

// The biases of groups [first, first + 32) of one panel, in two bf16 parts; absent groups are 0. bf16 biases have no
// second.
struct BiasBlock {
  Lanes high[kBiasGroups];
  Lanes low[kBiasGroups];

  void load(const Panel& panel, uint32_t first) {
    std::memset(this, 0, sizeof *this);
    const uint32_t num_groups = panel.cols / panel.format.group;
    for (uint32_t i = 0; i < kBiasGroups && first + i < num_groups; ++i) {
      Lanes b;
      panel.biases(first + i, b);
      for (uint32_t n = 0; n < kPanelRows; ++n) {
        high[i][n] = widen_bf16(narrow_bf16(b[n]));
        low[i][n] = widen_bf16(narrow_bf16(b[n] - high[i][n]));
      }
    }
  }
};

// The sum of one row's quantised inputs in each group of the bias block, times d, in two bf16 parts.
struct InputSums {
  float high[kBiasGroups] = {};
  float low[kBiasGroups] = {};

  InputSums(const float* d, const int32_t* sums, uint32_t group, uint32_t first, uint32_t num_groups) {
    for (uint32_t i = 0; i < kBiasGroups && first + i < num_groups; ++i) {
      const uint32_t begin = (first + i) * group;
      int32_t sum = 0;
      for (uint32_t s = begin / 32; s < (begin + group) / 32; ++s) sum += sums[s];
      const float scaled = static_cast<float>(sum) * d[begin / kChunkInputs];
      high[i] = widen_bf16(narrow_bf16(scaled));
      low[i] = widen_bf16(narrow_bf16(scaled - high[i]));
    }
  }
};

// v += the chunk's share: acc = fma(float(sum of q x), scale, acc) over its groups, then fma(acc, d, v).
void multiply_chunk(const int16_t (*q)[kPanelRows], const Lanes* scales, uint32_t group, uint32_t num_groups,
                    const int16_t* x, float d, float* v) {
  Lanes acc = {};
  for (uint32_t g = 0; g < num_groups; ++g) {
    int32_t sum[kPanelRows] = {};
    for (uint32_t k = g * group; k < (g + 1) * group; ++k) {
      for (uint32_t n = 0; n < kPanelRows; ++n) sum[n] += q[k][n] * x[k];
    }
    for (uint32_t n = 0; n < kPanelRows; ++n) {
      acc[n] = __builtin_fmaf(static_cast<float>(sum[n]), scales[g][n], acc[n]);
    }
  }
  for (uint32_t n = 0; n < kPanelRows; ++n) v[n] = __builtin_fmaf(acc[n], d, v[n]);
}

void multiply_integers(const Panel& panel, const MatmulInput& input, float (*v)[kPanelRows]) {
  const MatrixFormat& format = panel.format;
  const RowLayout rows = row_layout(panel.cols);
  const uint32_t num_groups = panel.cols / format.group;
  const uint32_t chunk_groups = kChunkInputs / format.group;
  for (uint32_t c = 0; c < rows.chunks; ++c) {
    const uint32_t first_group = c * chunk_groups;
    const uint32_t groups = num_groups - first_group < chunk_groups ? num_groups - first_group : chunk_groups;
    int16_t q[kChunkInputs][kPanelRows];
    Lanes scales[kChunkInputs / 32];
    panel.integers(c * kChunkInputs, groups * format.group, q);
    for (uint32_t g = 0; g < groups; ++g) panel.scales(first_group + g, scales[g]);
    for (uint32_t m = 0; m < input.rows.rows; ++m) {
      const std::byte* row = input.quantised + m * rows.bytes;
      const auto* x = reinterpret_cast<const int16_t*>(row) + c * kChunkInputs;
      const float d = reinterpret_cast<const float*>(row + rows.d_offset)[c];
      multiply_chunk(q, scales, format.group, groups, x, d, v[m]);
    }

    const uint32_t done = first_group + groups;
    if (format.type != WeightType::kUnsigned || (done % kBiasGroups != 0 && done != num_groups)) continue;
    const uint32_t block_first = (done - 1) / kBiasGroups * kBiasGroups;
    BiasBlock bias;
    bias.load(panel, block_first);
    for (uint32_t m = 0; m < input.rows.rows; ++m) {
      const std::byte* row = input.quantised + m * rows.bytes;
      const InputSums sums(reinterpret_cast<const float*>(row + rows.d_offset),
                           reinterpret_cast<const int32_t*>(row + rows.sums_offset), format.group, block_first,
                           num_groups);
      add_plane(sums.high, bias.high, v[m]);
      add_plane(sums.low, bias.high, v[m]);
      if (format.scales == ScaleType::kBf16) continue;
      add_plane(sums.high, bias.low, v[m]);
      add_plane(sums.low, bias.low, v[m]);
    }
  }
}

// -- the fp32 product ----------------------------------------------------------------------------
// Inputs [first, first + n) of a panel as fp32: [n][16 rows].
void widen_panel(const Panel& panel, uint32_t first, uint32_t n, Lanes* out) {
  const MatrixFormat& format = panel.format;
  if (format.quantised()) {
    int16_t q[kChunkInputs][kPanelRows];
    panel.integers(first, n, q);
    Lanes scale, bias = {};
    for (uint32_t k = 0; k < n; ++k) {
      if ((first + k) % format.group == 0) {
        panel.scales((first + k) / format.group, scale);
        if (format.type == WeightType::kUnsigned) panel.biases((first + k) / format.group, bias);
      }
      for (uint32_t row = 0; row < kPanelRows; ++row) {
        const float value = q[k][row];
        out[k][row] = format.type == WeightType::kUnsigned ? __builtin_fmaf(value, scale[row], bias[row])
                                                           : value * scale[row];
      }
    }
    return;
  }
  for (uint32_t k = first; k < first + n; ++k) {
    if (format.type == WeightType::kBf16) {
      for (uint32_t row = 0; row < kPanelRows; ++row) {
        uint16_t bits;
        std::memcpy(&bits, panel.data + ((static_cast<size_t>(k / 2) * kPanelRows + row) * 2 + k % 2) * 2, 2);
        out[k - first][row] = widen_bf16(bits);
      }
    } else {
      const bool fp16 = format.type == WeightType::kFp16;
      const size_t bytes = fp16 ? 2 : 4;
      panel.widen16(panel.data + k * kPanelRows * bytes, fp16 ? ScaleType::kFp16 : ScaleType::kFp32,
                    out[k - first]);
    }
  }
}

// v = fma(x_k, w_k, v), k ascending: one chain for each output.
void multiply_floats(const Panel& panel, const MatmulInput& input, float (*v)[kPanelRows]) {
  for (uint32_t first = 0; first < panel.cols; first += kChunkInputs) {
    const uint32_t n = panel.cols - first < kChunkInputs ? panel.cols - first : kChunkInputs;
    Lanes w[kChunkInputs];
    widen_panel(panel, first, n, w);
    for (uint32_t m = 0; m < input.rows.rows; ++m) {
      const float* x = input.rows.row(m) + first;
      Lanes sum;
      std::memcpy(sum, v[m], sizeof sum);
      for (uint32_t k = 0; k < n; ++k) {
        for (uint32_t row = 0; row < kPanelRows; ++row) sum[row] = __builtin_fmaf(x[k], w[k][row], sum[row]);
      }
      std::memcpy(v[m], sum, sizeof sum);
    }
  }
}

void matmul(const PackedMatrix& w, const MatmulInput& x, Range panels, Matrix<float> y, std::byte* scratch) {
  auto* v = reinterpret_cast<float(*)[kPanelRows]>(scratch);  // [x.rows][16]
  for (uint32_t p = panels.begin; p < panels.end; ++p) {
    const Panel panel(w, p);
    std::memset(v, 0, static_cast<size_t>(x.rows.rows) * kPanelRows * sizeof(float));
    if (w.format.quantised() && x.quantised != nullptr) {
      multiply_integers(panel, x, v);
    } else {
      multiply_floats(panel, x, v);
    }
    const uint32_t width = w.rows - p * kPanelRows < kPanelRows ? w.rows - p * kPanelRows : kPanelRows;
    for (uint32_t m = 0; m < x.rows.rows; ++m) std::memcpy(y.row(m) + p * kPanelRows, v[m], width * sizeof(float));
  }
}

// -- row by row ----------------------------------------------------------------------------------
bool rms_norm(const float* x, const float* weight, float eps, uint32_t n, float* out) {
  float lanes[32] = {};
  for (uint32_t i = 0; i < n; ++i) lanes[i % 32] = __builtin_fmaf(x[i], x[i], lanes[i % 32]);
  const float sum = sum_tree(lanes);
  if (magnitude_bits(sum) >= kNotFiniteBits) return false;
  const float mean = sum / static_cast<float>(n);
  const float inverse = 1.0f / __builtin_sqrtf(mean + eps);
  for (uint32_t i = 0; i < n; ++i) out[i] = (x[i] * inverse) * weight[i];
  return true;
}

void rope(float* head, const float* cos, const float* sin, uint32_t head_dim) {
  const uint32_t half = head_dim / 2;
  for (uint32_t i = 0; i < half; ++i) {
    const float x1 = head[i], x2 = head[i + half];
    head[i] = __builtin_fmaf(x1, cos[i], -(x2 * sin[i]));
    head[i + half] = __builtin_fmaf(x2, cos[i], x1 * sin[i]);
  }
}

void swiglu(const float* gate, const float* up, uint32_t n, float* out) {
  for (uint32_t i = 0; i < n; ++i) {
    out[i] = gate[i] / (1.0f + exp2_polynomial(-gate[i] * kLog2e)) * up[i];
  }
}

void add(float* x, const float* y, uint32_t n) {
  for (uint32_t i = 0; i < n; ++i) x[i] = x[i] + y[i];
}

void add_scaled(float* x, const float* y, float weight, uint32_t n) {
  for (uint32_t i = 0; i < n; ++i) x[i] = __builtin_fmaf(weight, y[i], x[i]);
}

// -- over a vocabulary ---------------------------------------------------------------------------
float weigh(const float* logits, uint32_t n, float max_logit, float scale, float* weights) {
  float lanes[16] = {};
  for (uint32_t i = 0; i < kSumBlock; ++i) {
    const bool banned = i >= n || logits[i] == -__builtin_inff();
    weights[i] = banned ? 0.0f : exp2_polynomial((logits[i] - max_logit) * scale);
    lanes[i % 16] += weights[i];
  }
  return sum_tree(lanes);
}

uint32_t divide(const float* logits, const float* weights, Range which, const LogitBracket& bracket, uint32_t* inside,
                double* above) {
  double lanes[16] = {};
  uint32_t count = 0;
  for (uint32_t token = which.begin; token < which.end; ++token) {
    if (logits[token] > bracket.high) {
      lanes[(token - which.begin) % 16] += weights[token];
    } else if (logits[token] > bracket.low) {
      inside[count++] = token;
    }
  }
  *above += sum_tree(lanes);
  return count;
}

}  // namespace

const Kernels& reference_kernels() {
  static constexpr Kernels kKernels{
      .isa = Isa::kReference,
      .quantised_bytes = quantised_bytes,
      .quantise = quantise,
      .matmul = matmul,
      .rms_norm = rms_norm,
      .rope = rope,
      .swiglu = swiglu,
      .add = add,
      .add_scaled = add_scaled,
      .weigh = weigh,
      .divide = divide,
      .store_kv = reference_store_kv,
      .attention = reference_attention,
      .attend_segments = reference_attend_segments,
      .merge_segments = reference_merge_segments,
  };
  return kKernels;
}

}  // namespace slipstream
