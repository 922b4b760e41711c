// One fp32 chain for each output, v = fma(x_k, w_k, v) with k ascending: unquantised weights, and every type in fp32
// mode. Chains run in lanes of outputs and tiles of rows and panels; nothing is ever summed across lanes, so any tiling
// gives the same bits. Weights are widened by each tile anew, in the shade of the products.

#include "kernels/avx512_matmul_floats.h"

#include "kernels/avx512_fp32_lanes.h"
#include "kernels/weight_panel.h"

namespace slipstream {
namespace {

// How many panels pass over a tile of rows together. Few rows: what memory gives. One or two rows wait for their own
// chains in a single stream, so they have four, and four need no prefetch (59 GB/s against 57 on Zen 4); then one
// stream with prefetch (57 for 2 to 4 rows); from 6 rows on two (12 rows: 95 % of the FMAs' peak). Short panels are
// better read one after the other, as long as memory is what they wait for.
constexpr uint32_t kRowsOfFour = 2;
constexpr uint32_t kRowsOfOne = 5;
constexpr size_t kShortPanelBytes = 32 << 10;
constexpr uint32_t kShortRowsOfOne = 11;
constexpr uint32_t kTileRows = 12;       // times 2 panels: 24 of 32 registers are sums
constexpr uint32_t kStepInputs = 256;    // of 2 panels and 12 rows: they stay in L1 (28 KB)
constexpr uint32_t kWidenInputs = 128;   // of quantised weights at once: 8 KB a panel
constexpr uint32_t kRowBlock = 96;
constexpr size_t kPrefetchBytes = 8192;  // as in avx2_stream.cc

struct Product {
  const PackedMatrix& w;
  size_t panel_bytes;
  Matrix<const float> x;
  Matrix<float> y;
  float* sums;     // [kRowBlock][2 panels][16]
  float* widened;  // [2 panels][kWidenInputs][16], of quantised weights

  const std::byte* panel(uint32_t index) const { return w.data + index * panel_bytes; }
};

// Inputs [first, first + n) of rows [row, ...) and panels [panel, ...).
struct Tile {
  const std::byte* weights;  // the first panel's, at input `first`
  size_t panel_step;         // bytes from panel to panel
  uint32_t row;
  uint32_t panel;
  uint32_t first;
  uint32_t n;
  float* sums;  // [rows][panels][16]; read if first > 0, written if there are inputs after these
};

// Inputs k and k + 1 (k even) of 16 rows.
template <WeightType kType>
inline __attribute__((always_inline)) void load_pair(const std::byte* weights, __m512& even, __m512& odd) {
  if constexpr (kType == WeightType::kBf16) {  // the even input in the low half of each word
    const __m512i pairs = _mm512_loadu_si512(weights);
    even = _mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16));
    odd = _mm512_castsi512_ps(_mm512_and_si512(pairs, _mm512_set1_epi32(static_cast<int>(0xffff0000))));
  } else if constexpr (kType == WeightType::kFp16) {
    even = load_fp16_wide(weights);
    odd = load_fp16_wide(weights + 32);
  } else {
    even = _mm512_loadu_ps(weights);
    odd = _mm512_loadu_ps(weights + 64);
  }
}

template <WeightType kType, int kRows, int kPanels>
void multiply_tile(const Product& product, const Tile& tile) {
  constexpr size_t kPairBytes = kType == WeightType::kFp32 ? 128 : 64;
  __m512 sum[kRows][kPanels];
  UNROLL for (int r = 0; r < kRows; ++r) {
    UNROLL for (int p = 0; p < kPanels; ++p) {
      sum[r][p] = tile.first == 0 ? _mm512_setzero_ps() : _mm512_loadu_ps(tile.sums + (r * kPanels + p) * 16);
    }
  }
  const size_t stride = product.x.stride;
  const float* x = product.x.row(tile.row) + tile.first;
  const std::byte* weights = tile.weights;
  const size_t step = tile.panel_step;
  for (const float* const end = x + tile.n / 2 * 2; x < end; x += 2, weights += kPairBytes) {
    __m512 even[kPanels], odd[kPanels];
    UNROLL for (int p = 0; p < kPanels; ++p) {
      UNROLL for (size_t i = 0; i < kPairBytes; i += 64) {
        if constexpr (kPanels == 4) continue;
        _mm_prefetch(reinterpret_cast<const char*>(weights + p * step + kPrefetchBytes + i), _MM_HINT_T1);
      }
      load_pair<kType>(weights + p * step, even[p], odd[p]);
    }
    UNROLL for (int r = 0; r < kRows; ++r) {
      UNROLL for (int p = 0; p < kPanels; ++p) add_product(x + r * stride, even[p], sum[r][p]);
    }
    UNROLL for (int r = 0; r < kRows; ++r) {
      UNROLL for (int p = 0; p < kPanels; ++p) add_product(x + r * stride + 1, odd[p], sum[r][p]);
    }
  }
  if (tile.n % 2 != 0) {  // its partner is padding in the panel
    UNROLL for (int p = 0; p < kPanels; ++p) {
      __m512 even, odd;
      load_pair<kType>(weights + p * step, even, odd);
      UNROLL for (int r = 0; r < kRows; ++r) add_product(x + r * stride, even, sum[r][p]);
    }
  }
  const bool last = tile.first + tile.n == product.w.cols;
  UNROLL for (int p = 0; p < kPanels; ++p) {
    const uint32_t column = (tile.panel + p) * kPanelRows;
    const __mmask16 mask = first_lanes(smaller(product.w.rows - column, kPanelRows));
    UNROLL for (int r = 0; r < kRows; ++r) {
      if (last) {
        _mm512_mask_storeu_ps(product.y.row(tile.row + r) + column, mask, sum[r][p]);
      } else {
        _mm512_storeu_ps(tile.sums + (r * kPanels + p) * 16, sum[r][p]);
      }
    }
  }
}

template <WeightType kType, int kPanels>
void multiply_rows(const Product& product, const Tile& tile, uint32_t rows) {
#define CASE(R) \
  case R: return multiply_tile<kType, R, kPanels>(product, tile);
  if constexpr (kPanels == 4) {
    switch (rows) { CASE(1) CASE(2) }
  } else {
    switch (rows) {
      CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7) CASE(8) CASE(9) CASE(10) CASE(11) CASE(12)
    }
  }
#undef CASE
}

// One step of inputs with all rows, tile by tile: its weights are near from the second tile on.
template <WeightType kType, int kPanels>
void multiply_step(const Product& product, Range rows, Tile tile) {
  const uint32_t tiles = (rows.size() + kTileRows - 1) / kTileRows;
  for (uint32_t index = 0; index < tiles; ++index) {
    const uint32_t begin = rows.size() * index / tiles, end = rows.size() * (index + 1) / tiles;
    tile.row = rows.begin + begin;
    tile.sums = product.sums + begin * kPanels * kPanelRows;
    multiply_rows<kType, kPanels>(product, tile, end - begin);
  }
}

// -- unquantised weights -------------------------------------------------------------------------
template <WeightType kType, int kPanels>
void multiply_panels(const Product& product, Range rows, uint32_t panel) {
  constexpr size_t kInputBytes = kType == WeightType::kFp32 ? 64 : 32;
  const uint32_t step = rows.size() <= kTileRows ? product.w.cols : kStepInputs;
  for (uint32_t first = 0; first < product.w.cols; first += step) {
    multiply_step<kType, kPanels>(product, rows,
                                  {product.panel(panel) + first * kInputBytes, product.panel_bytes, 0, panel, first,
                                   smaller(step, product.w.cols - first), nullptr});
  }
}

template <WeightType kType>
void multiply(const Product& product, Range rows, Range panels) {
  uint32_t panel = panels.begin;
  const bool is_short = product.panel_bytes < kShortPanelBytes;
  if (rows.size() <= kRowsOfFour && !is_short) {
    for (; panel + 4 <= panels.end; panel += 4) multiply_panels<kType, 4>(product, rows, panel);
  } else if (rows.size() > (is_short ? kShortRowsOfOne : kRowsOfOne)) {
    for (; panel + 2 <= panels.end; panel += 2) multiply_panels<kType, 2>(product, rows, panel);
  }
  for (; panel < panels.end; ++panel) multiply_panels<kType, 1>(product, rows, panel);
}

// -- quantised weights in fp32 mode --------------------------------------------------------------
// Inputs [first, first + n): fma(float(q), scale, bias) or float(q) * scale. Rows' bytes stand 4 apart, so a line and a
// shift give an input of 16 rows.
void widen_quantised(const Product& product, const BlockLayout& block, uint32_t index, uint32_t first, uint32_t n,
                     float* out) {
  const WeightPanel panel(product.w, index, block, product.panel_bytes);
  const int bits = panel.format.bits;
  const bool affine = panel.affine();
  const auto load = [&](const std::byte* from) {
    switch (panel.format.scales) {
      case ScaleType::kBf16: return load_bf16_wide(from);
      case ScaleType::kFp16: return load_fp16_wide(from);
      case ScaleType::kFp32: break;
    }
    return _mm512_loadu_ps(from);
  };
  __m512 scale = _mm512_setzero_ps(), bias = _mm512_setzero_ps();
  for (uint32_t i = 0; i < n; ++i) {
    const uint32_t k = first + i, in_block = k % block.inputs, in_lines = in_block % 64;
    if (k % panel.format.group == 0) {
      const std::byte* group = panel.group_at(k / panel.format.group);
      scale = load(group);
      if (affine) bias = load(group + block.bias_offset);
    }
    const std::byte* line = panel.data + size_t{k / block.inputs} * block.block_bytes +
                            in_block / 64 * panel.format.bits * 128 +
                            (bits == 8 ? in_lines / 4 : in_lines % 32 / 4) * 64;
    const uint32_t place = in_lines % 4 * 8 + (bits == 8 ? 0 : in_lines / 32 * 4);
    const __m512i top = _mm512_slli_epi32(_mm512_loadu_si512(line), 32 - static_cast<uint32_t>(bits) - place);
    const auto down = static_cast<uint32_t>(32 - bits);
    const __m512 q = _mm512_cvtepi32_ps(affine ? _mm512_srli_epi32(top, down) : _mm512_srai_epi32(top, down));
    _mm512_storeu_ps(out + i * 16, affine ? _mm512_fmadd_ps(q, scale, bias) : _mm512_mul_ps(q, scale));
  }
}

template <int kPanels>
void multiply_quantised_panels(const Product& product, const BlockLayout& block, Range rows, uint32_t panel) {
  for (uint32_t first = 0; first < product.w.cols; first += kWidenInputs) {
    const uint32_t n = smaller(kWidenInputs, product.w.cols - first);
    for (uint32_t p = 0; p < kPanels; ++p) {
      widen_quantised(product, block, panel + p, first, n, product.widened + p * kWidenInputs * kPanelRows);
    }
    multiply_step<WeightType::kFp32, kPanels>(product, rows,
                                              {reinterpret_cast<const std::byte*>(product.widened),
                                               kWidenInputs * kPanelRows * sizeof(float), 0, panel, first, n, nullptr});
  }
}

void multiply_quantised(const Product& product, Range rows, Range panels) {
  const BlockLayout block = block_layout(product.w.format);
  uint32_t panel = panels.begin;
  for (; panel + 2 <= panels.end; panel += 2) multiply_quantised_panels<2>(product, block, rows, panel);
  if (panel < panels.end) multiply_quantised_panels<1>(product, block, rows, panel);
}

}  // namespace

void avx512_matmul_floats(const PackedMatrix& w, Matrix<const float> x, Range panels, Matrix<float> y,
                          std::byte* scratch) {
  auto* sums = reinterpret_cast<float*>(scratch);
  const Product product{w, packed_panel_bytes(w.format, w.cols), x, y, sums, sums + kRowBlock * 2 * kPanelRows};
  const uint32_t blocks = (x.rows + kRowBlock - 1) / kRowBlock;
  for (uint32_t i = 0; i < blocks; ++i) {
    const Range rows{x.rows * i / blocks, x.rows * (i + 1) / blocks};
    switch (w.format.type) {
      case WeightType::kBf16: multiply<WeightType::kBf16>(product, rows, panels); break;
      case WeightType::kFp16: multiply<WeightType::kFp16>(product, rows, panels); break;
      case WeightType::kFp32: multiply<WeightType::kFp32>(product, rows, panels); break;
      default: multiply_quantised(product, rows, panels); break;
    }
  }
}

}  // namespace slipstream
