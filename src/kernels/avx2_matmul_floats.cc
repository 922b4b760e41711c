// One fp32 chain for each output, v = fma(x_k, w_k, v) with k ascending: unquantised weights, and every type in fp32
// mode. Chains run in lanes of outputs and tiles of rows; nothing is ever summed across lanes, so any tiling gives
// the same bits.

#include "kernels/avx2_matmul.h"
#include "kernels/avx2_panel.h"

namespace slipstream {
namespace {

constexpr uint32_t kStepInputs = 128;  // widened at once: 8 KB
constexpr uint32_t kRowBlock = 96;
constexpr size_t kPrefetchBytes = 8192;  // as in avx2_stream.cc
constexpr uint32_t kStreamRows = 16;     // up to here unquantised weights are widened in registers by each tile
constexpr uint32_t kStreamTile = 5;      // rows: gcc 12 spills with 6

struct Product {
  const PackedMatrix& w;
  BlockLayout block;
  size_t panel_bytes;
  Matrix<const float> x;
  Matrix<float> y;
  float* widened;  // [128][16]
  float* sums;     // [kRowBlock][16]

  const std::byte* panel(uint32_t index) const { return w.data + index * panel_bytes; }
};

void store_lanes(const Product& product, uint32_t row, uint32_t panel, __m256 first, __m256 second) {
  const uint32_t width = smaller(kPanelRows, product.w.rows - panel * kPanelRows);
  float* to = product.y.row(row) + panel * kPanelRows;
  if (width < kPanelRows) {
    _mm256_maskstore_ps(to, lane_mask(smaller(width, 8)), first);
    if (width > 8) _mm256_maskstore_ps(to + 8, lane_mask(width - 8), second);
    return;
  }
  _mm256_storeu_ps(to, first);
  _mm256_storeu_ps(to + 8, second);
}

// -- widening ------------------------------------------------------------------------------------
// Input k of 16 rows, unquantised.
template <WeightType kType>
inline __attribute__((always_inline)) void load_input(const std::byte* panel, uint32_t k, __m256 (&w)[2]) {
  if constexpr (kType == WeightType::kBf16) {  // pairs: the even input in the low half of each word
    for (int half = 0; half < 2; ++half) {
      const __m256i pairs = load_integers(panel + static_cast<size_t>(k / 2) * 64 + half * 32);
      const __m256i even = _mm256_slli_epi32(pairs, 16);
      const __m256i odd = _mm256_and_si256(pairs, _mm256_set1_epi32(static_cast<int>(0xffff0000)));
      w[half] = _mm256_castsi256_ps(k % 2 == 0 ? even : odd);
    }
  } else if constexpr (kType == WeightType::kFp16) {
    for (int half = 0; half < 2; ++half) w[half] = load_fp16(panel + static_cast<size_t>(k) * 32 + half * 16);
  } else {
    for (int half = 0; half < 2; ++half) {
      w[half] = _mm256_loadu_ps(reinterpret_cast<const float*>(panel) + static_cast<size_t>(k) * 16 + half * 8);
    }
  }
}

template <WeightType kType>
void widen_plain(const std::byte* panel, uint32_t first, uint32_t n, float* out) {
  constexpr size_t kPairBytes = kType == WeightType::kFp32 ? 128 : 64;
  for (uint32_t i = 0; i < n; i += 2) {  // `first` is even; an odd last input's partner is padding in the panel
    const std::byte* ahead = panel + ((first + i) / 2 + kStepInputs) * kPairBytes;  // two steps on
    for (size_t byte = 0; byte < kPairBytes; byte += 64) {
      _mm_prefetch(reinterpret_cast<const char*>(ahead) + byte, _MM_HINT_T1);
    }
    for (uint32_t k = i; k < i + 2 && k < n; ++k) {
      __m256 w[2];
      load_input<kType>(panel, first + k, w);
      _mm256_store_ps(out + k * 16, w[0]);
      _mm256_store_ps(out + k * 16 + 8, w[1]);
    }
  }
}

// Inputs [first, first + n): fma(float(q), scale, bias) or float(q) * scale. Rows' bytes stand 4 apart, so one load
// of a line and a shift give an input of 8 rows.
void widen_quantised(const Product& product, uint32_t panel_index, uint32_t first, uint32_t n, float* out) {
  const WeightPanel panel(product.w, panel_index, product.block, product.panel_bytes);
  const int bits = panel.format.bits;
  const bool affine = panel.affine();
  const __m128i up = _mm_cvtsi32_si128(32 - bits);
  __m256 scale[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()},
         bias[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
  for (uint32_t i = 0; i < n; ++i) {
    const uint32_t k = first + i, in_block = k % panel.layout.inputs, in_lines = in_block % 64;
    if (k % panel.format.group == 0) {
      const std::byte* group = panel.group_at(k / panel.format.group);
      for (int half = 0; half < 2; ++half) {
        scale[half] = load_scales(panel.format.scales, group, half * 8);
        if (affine) bias[half] = load_scales(panel.format.scales, group + panel.layout.bias_offset, half * 8);
      }
    }
    const std::byte* lines = panel.data + static_cast<size_t>(k / panel.layout.inputs) * panel.layout.block_bytes +
                             in_block / 64 * panel.format.bits * 128 +
                             (bits == 8 ? in_lines / 4 : in_lines % 32 / 4) * 64;
    const int place = static_cast<int>(in_lines % 4 * 8 + (bits == 8 ? 0 : in_lines / 32 * 4));
    const __m128i left = _mm_cvtsi32_si128(32 - bits - place);
    for (int half = 0; half < 2; ++half) {
      const __m256i top = _mm256_sll_epi32(load_integers(lines + half * 32), left);
      const __m256 q = _mm256_cvtepi32_ps(affine ? _mm256_srl_epi32(top, up) : _mm256_sra_epi32(top, up));
      const __m256 w = affine ? _mm256_fmadd_ps(q, scale[half], bias[half]) : _mm256_mul_ps(q, scale[half]);
      _mm256_store_ps(out + i * 16 + half * 8, w);
    }
  }
}

void widen(const Product& product, uint32_t panel, uint32_t first, uint32_t n) {
  switch (product.w.format.type) {
    case WeightType::kBf16: return widen_plain<WeightType::kBf16>(product.panel(panel), first, n, product.widened);
    case WeightType::kFp16: return widen_plain<WeightType::kFp16>(product.panel(panel), first, n, product.widened);
    case WeightType::kFp32: return widen_plain<WeightType::kFp32>(product.panel(panel), first, n, product.widened);
    default: return widen_quantised(product, panel, first, n, product.widened);
  }
}

// -- many rows -----------------------------------------------------------------------------------
template <int R>
void multiply_tile(const float* widened, uint32_t n, const float* x, size_t stride, float* sums) {
  __m256 v[R][2];
  UNROLL for (int m = 0; m < R; ++m) {
    v[m][0] = _mm256_load_ps(sums + m * 16);
    v[m][1] = _mm256_load_ps(sums + m * 16 + 8);
  }
  for (uint32_t k = 0; k < n; ++k) {
    const __m256 w0 = _mm256_load_ps(widened + k * 16), w1 = _mm256_load_ps(widened + k * 16 + 8);
    UNROLL for (int m = 0; m < R; ++m) {
      const __m256 value = _mm256_broadcast_ss(x + m * stride + k);
      v[m][0] = _mm256_fmadd_ps(value, w0, v[m][0]);
      v[m][1] = _mm256_fmadd_ps(value, w1, v[m][1]);
    }
  }
  UNROLL for (int m = 0; m < R; ++m) {
    _mm256_store_ps(sums + m * 16, v[m][0]);
    _mm256_store_ps(sums + m * 16 + 8, v[m][1]);
  }
}

void multiply_rows(const Product& product, uint32_t first_row, uint32_t rows, uint32_t first, uint32_t n) {
  const uint32_t tiles = (rows + 5) / 6;  // as equal as can be: a tile of few rows waits for its chains
  for (uint32_t tile = 0; tile < tiles; ++tile) {
    const uint32_t m = rows * tile / tiles;
    const float* x = product.x.row(first_row + m) + first;
    float* sums = product.sums + m * 16;
    switch (rows * (tile + 1) / tiles - m) {
      case 1: multiply_tile<1>(product.widened, n, x, product.x.stride, sums); break;
      case 2: multiply_tile<2>(product.widened, n, x, product.x.stride, sums); break;
      case 3: multiply_tile<3>(product.widened, n, x, product.x.stride, sums); break;
      case 4: multiply_tile<4>(product.widened, n, x, product.x.stride, sums); break;
      case 5: multiply_tile<5>(product.widened, n, x, product.x.stride, sums); break;
      default: multiply_tile<6>(product.widened, n, x, product.x.stride, sums); break;
    }
  }
}

void multiply_row_block(const Product& product, Range panels, uint32_t first_row, uint32_t rows) {
  for (uint32_t p = panels.begin; p < panels.end; ++p) {
    for (uint32_t i = 0; i < rows * 16; i += 8) _mm256_store_ps(product.sums + i, _mm256_setzero_ps());
    for (uint32_t first = 0; first < product.w.cols; first += kStepInputs) {
      const uint32_t n = smaller(kStepInputs, product.w.cols - first);
      widen(product, p, first, n);
      multiply_rows(product, first_row, rows, first, n);
    }
    for (uint32_t m = 0; m < rows; ++m) {
      store_lanes(product, first_row + m, p, _mm256_load_ps(product.sums + m * 16),
                  _mm256_load_ps(product.sums + m * 16 + 8));
    }
  }
}

// -- few rows ------------------------------------------------------------------------------------
// One of the inputs k and k + 1 (k even) of 16 rows.
template <WeightType kType, bool kOdd>
inline __attribute__((always_inline)) void load_one_of_pair(const std::byte* pair, __m256 (&w)[2]) {
  for (int half = 0; half < 2; ++half) {
    if constexpr (kType == WeightType::kBf16) {
      const __m256i both = load_integers(pair + half * 32);
      w[half] = _mm256_castsi256_ps(kOdd ? _mm256_and_si256(both, _mm256_set1_epi32(static_cast<int>(0xffff0000)))
                                         : _mm256_slli_epi32(both, 16));
    } else if constexpr (kType == WeightType::kFp16) {
      w[half] = load_fp16(pair + (kOdd ? 32 : 0) + half * 16);
    } else {
      w[half] = _mm256_loadu_ps(reinterpret_cast<const float*>(pair) + (kOdd ? 16 : 0) + half * 8);
    }
  }
}

// An even number of inputs, R rows from `row` on. One panel at a time: two side by side would hide the latency of an
// FMA, but one alone already takes what memory gives, and two streams are slower (29 and 25 GB/s on Zen 4).
template <WeightType kType, int R>
void stream_panel(const Product& product, uint32_t index, uint32_t row) {
  constexpr size_t kPairBytes = kType == WeightType::kFp32 ? 128 : 64;
  const std::byte* pair = product.panel(index);
  const float* x = product.x.row(row);
  const size_t stride = product.x.stride;
  __m256 v[R][2];
  UNROLL for (int m = 0; m < R; ++m) {
    v[m][0] = v[m][1] = _mm256_setzero_ps();
  }
  for (const float* const end = x + product.w.cols; x < end; x += 2, pair += kPairBytes) {
    const char* ahead = reinterpret_cast<const char*>(pair) + kPrefetchBytes;
    _mm_prefetch(ahead, _MM_HINT_T1);
    if (kPairBytes == 128) _mm_prefetch(ahead + 64, _MM_HINT_T1);
    __m256 w[2];
    load_one_of_pair<kType, false>(pair, w);
    UNROLL for (int m = 0; m < R; ++m) {
      const __m256 first = _mm256_broadcast_ss(x + m * stride);
      v[m][0] = _mm256_fmadd_ps(first, w[0], v[m][0]);
      v[m][1] = _mm256_fmadd_ps(first, w[1], v[m][1]);
    }
    load_one_of_pair<kType, true>(pair, w);
    UNROLL for (int m = 0; m < R; ++m) {
      const __m256 second = _mm256_broadcast_ss(x + m * stride + 1);
      v[m][0] = _mm256_fmadd_ps(second, w[0], v[m][0]);
      v[m][1] = _mm256_fmadd_ps(second, w[1], v[m][1]);
    }
  }
  UNROLL for (int m = 0; m < R; ++m) {
    store_lanes(product, row + static_cast<uint32_t>(m), index, v[m][0], v[m][1]);
  }
}

// From the second tile of rows on a panel's weights are in a cache.
template <WeightType kType>
void stream(const Product& product, Range panels) {
  const uint32_t rows = product.x.rows, tiles = (rows + kStreamTile - 1) / kStreamTile;
  for (uint32_t p = panels.begin; p < panels.end; ++p) {
    for (uint32_t tile = 0; tile < tiles; ++tile) {
      const uint32_t m = rows * tile / tiles;
      switch (rows * (tile + 1) / tiles - m) {
        case 1: stream_panel<kType, 1>(product, p, m); break;
        case 2: stream_panel<kType, 2>(product, p, m); break;
        case 3: stream_panel<kType, 3>(product, p, m); break;
        case 4: stream_panel<kType, 4>(product, p, m); break;
        default: stream_panel<kType, 5>(product, p, m); break;
      }
    }
  }
}

}  // namespace

void avx2_matmul_floats(const PackedMatrix& w, Matrix<const float> x, Range panels, Matrix<float> y,
                        std::byte* scratch) {
  auto* widened = reinterpret_cast<float*>(scratch);
  const Product product{
      .w = w,
      .block = w.format.quantised() ? block_layout(w.format) : BlockLayout{},
      .panel_bytes = packed_panel_bytes(w.format, w.cols),
      .x = x,
      .y = y,
      .widened = widened,
      .sums = widened + kStepInputs * kPanelRows,
  };
  if (!w.format.quantised() && x.rows <= kStreamRows && w.cols % 2 == 0) {
    switch (w.format.type) {
      case WeightType::kBf16: return stream<WeightType::kBf16>(product, panels);
      case WeightType::kFp16: return stream<WeightType::kFp16>(product, panels);
      default: return stream<WeightType::kFp32>(product, panels);
    }
  }
  const uint32_t blocks = (x.rows + kRowBlock - 1) / kRowBlock;
  for (uint32_t i = 0; i < blocks; ++i) {
    const uint32_t begin = x.rows * i / blocks, end = x.rows * (i + 1) / blocks;
    multiply_row_block(product, panels, begin, end - begin);
  }
}

void avx2_matmul(const PackedMatrix& w, const MatmulInput& x, Range panels, Matrix<float> y, std::byte* scratch) {
  if (x.rows.rows == 0) return;
  if (w.format.quantised() && x.quantised != nullptr) return avx2_matmul_integers(w, x, panels, y, scratch);
  avx2_matmul_floats(w, x.rows, panels, y, scratch);
}

}  // namespace slipstream
