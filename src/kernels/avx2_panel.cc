#include "kernels/avx2_panel.h"

#include <cstring>

namespace slipstream {
namespace {

// Bits of each 16-bit word -> one value per word. The words of a line hold, low to high, bytes of inputs (0, 1) or
// (2, 3).
//   8 bits: input 0 | input 1                       4 bits: input 0 | 32 | 1 | 33
template <uint32_t kBits, bool kSigned, uint32_t kPlace>
__m256i value_at(__m256i words) {
  constexpr uint32_t kLeft = 16 - kBits - kPlace;
  if constexpr (kSigned) {
    return _mm256_srai_epi16(_mm256_slli_epi16(words, kLeft), 16 - kBits);
  } else if constexpr (kLeft == 0) {
    return _mm256_srli_epi16(words, 16 - kBits);
  } else {
    return _mm256_and_si256(_mm256_srli_epi16(words, kPlace), _mm256_set1_epi16((1 << kBits) - 1));
  }
}

// One couple of 16 outputs, from a line: widened to `values`, and its products taken from `products`.
template <uint32_t kBits, bool kSigned, uint32_t kPlace>
inline __attribute__((always_inline)) void widen_couple(const __m256i (&words)[2], uint32_t* values,
                                                        __m256i (&products)[2]) {
  __m256i first[2], second[2];
  UNROLL for (int half = 0; half < 2; ++half) {
    first[half] = value_at<kBits, kSigned, kPlace>(words[half]);
    second[half] = value_at<kBits, kSigned, kPlace + 8>(words[half]);
    store_integers(values + half * 8, first[half]);
    store_integers(values + kPanelRows + half * 8, second[half]);
    products[half] = _mm256_sub_epi32(products[half], _mm256_madd_epi16(first[half], second[half]));
  }
}

// 64 inputs; minus the products of each half of them, [32 inputs][8 outputs], are added to `products`.
template <uint32_t kBits, bool kSigned>
inline __attribute__((always_inline)) void widen_64_inputs(const std::byte* lines, uint32_t* values,
                                                           __m256i (&products)[2][2]) {
  constexpr uint32_t kCoupleWords = 2 * kPanelRows, kPartWords = kPartCouples * kCoupleWords;
  __m256i lower[2] = {products[0][0], products[0][1]}, upper[2] = {products[1][0], products[1][1]};
  NO_UNROLL for (uint32_t line = 0; line < kPartCouples; ++line, lines += 64, values += kCoupleWords) {
    const __m256i words[2] = {load_integers(lines), load_integers(lines + 32)};
    widen_couple<kBits, kSigned, 0>(words, values, lower);
    if constexpr (kBits == 4) {
      widen_couple<4, kSigned, 4>(words, values + kPartWords, upper);
    } else {
      const __m256i next[2] = {load_integers(lines + 512), load_integers(lines + 512 + 32)};
      widen_couple<8, kSigned, 0>(next, values + kPartWords, upper);
    }
  }
  UNROLL for (int half = 0; half < 2; ++half) {
    products[0][half] = lower[half];
    products[1][half] = upper[half];
  }
}

// A chunk's groups that exist. A block is one group, or two of 32 inputs.
template <uint32_t kBits, bool kSigned>
void widen_chunk(const WeightPanel& panel, const std::byte* block, uint32_t place, ReadyChunk& ready) {
  uint32_t* values = ready.values[place];
  const uint32_t passes = panel.layout.inputs / 64;
  const auto store = [&](uint32_t group, __m256i first, __m256i second) __attribute__((always_inline)) {
    store_integers(ready.products[group][place], first);
    store_integers(ready.products[group][place] + 8, second);
  };
  for (uint32_t g = 0; g < ready.num_groups; g += panel.layout.groups, block += panel.layout.block_bytes) {
    __m256i products[2][2] = {};
    for (uint32_t pass = 0; pass < passes; ++pass, values += 32 * kPanelRows) {
      widen_64_inputs<kBits, kSigned>(block + pass * kBits * 128, values, products);
    }
    if (panel.layout.groups == 1) {
      store(g, _mm256_add_epi32(products[0][0], products[1][0]), _mm256_add_epi32(products[0][1], products[1][1]));
    } else {
      store(g, products[0][0], products[0][1]);
      if (g + 1 < ready.num_groups) store(g + 1, products[1][0], products[1][1]);
    }
  }
}

template <ScaleType kType>
void widen_scales(const WeightPanel& panel, uint32_t first_group, uint32_t place, ReadyChunk& ready) {
  for (uint32_t g = 0; g < ready.num_groups; ++g) {
    const std::byte* from = panel.group_at(first_group + g);
    _mm256_store_ps(ready.scales[g][place], load_scales(kType, from, 0));
    _mm256_store_ps(ready.scales[g][place] + 8, load_scales(kType, from, 8));
  }
}

// The biases of one bias block in two bf16 parts (bf16 biases have no second).
struct PanelBiases {
  PanelLanes high[kBiasGroups];
  PanelLanes low[kBiasGroups];
};
static_assert(sizeof(PanelBiases) <= sizeof(BiasSpace));

// One bias vector in two bf16 parts. What is left of an fp16 number has 3 bits, so it is its own nearest bf16.
template <ScaleType kType>
inline __attribute__((always_inline)) void load_bias(const std::byte* from, uint32_t row, __m256& high,
                                                     __m256& low) {
  const __m256 bias = load_scales(kType, from, row);
  if constexpr (kType == ScaleType::kBf16) {
    high = bias;
    low = _mm256_setzero_ps();
  } else if constexpr (kType == ScaleType::kFp16) {
    high = round_fp16_to_bf16(bias);
    low = _mm256_sub_ps(bias, high);
  } else {
    high = round_to_bf16(bias);
    low = round_to_bf16(_mm256_sub_ps(bias, high));
  }
}

template <ScaleType kType>
void load_biases(const WeightPanel& panel, uint32_t first, uint32_t groups, PanelBiases& biases) {
  for (uint32_t g = 0; g < groups; ++g) {
    const std::byte* from = panel.group_at(first + g) + panel.layout.bias_offset;
    for (uint32_t half = 0; half < kPanelRows; half += 8) {
      __m256 high, low;
      load_bias<kType>(from, half, high, low);
      _mm256_store_ps(biases.high[g] + half, high);
      if (kType != ScaleType::kBf16) _mm256_store_ps(biases.low[g] + half, low);
    }
  }
}

}  // namespace

void avx2_make_ready(const WeightPanel& panel, uint32_t chunk, uint32_t place, ReadyChunk& ready) {
  ready.group_parts = panel.format.group / kPartInputs;
  ready.num_groups = panel.chunk_groups(chunk);
  const uint32_t first_group = chunk * kChunkParts / ready.group_parts;
  switch (panel.format.scales) {
    case ScaleType::kBf16: widen_scales<ScaleType::kBf16>(panel, first_group, place, ready); break;
    case ScaleType::kFp16: widen_scales<ScaleType::kFp16>(panel, first_group, place, ready); break;
    case ScaleType::kFp32: widen_scales<ScaleType::kFp32>(panel, first_group, place, ready); break;
  }
  const auto widen = panel.format.bits == 8 ? (panel.affine() ? widen_chunk<8, false> : widen_chunk<8, true>)
                                            : (panel.affine() ? widen_chunk<4, false> : widen_chunk<4, true>);
  widen(panel, panel.chunk_at(chunk), place, ready);
}

namespace {

// The chains of either the even or the odd groups for R rows: [row][x part][2], where 2 are the bias parts of half a
// panel, or the halves where biases have one part. Where there are three rows, twelve chains share each load of a bias
// and of a sum.
template <int R, int kParts>
inline __attribute__((always_inline)) void run_chains(const PanelBiases& biases, uint32_t num_groups, uint32_t odd,
                                                      uint32_t half, const float* sums, __m256 (&chain)[R][2][2]) {
  const __m256 zero = _mm256_setzero_ps();
  UNROLL for (int r = 0; r < R; ++r) chain[r][0][0] = chain[r][0][1] = chain[r][1][0] = chain[r][1][1] = zero;
  for (uint32_t g = odd; g < num_groups; g += 2) {
    const __m256 bias[2] = {_mm256_load_ps(biases.high[g] + half),
                            _mm256_load_ps(kParts == 2 ? biases.low[g] + half : biases.high[g] + 8)};
    UNROLL for (int r = 0; r < R; ++r) {
      UNROLL for (int part = 0; part < 2; ++part) {
        const __m256 x = _mm256_broadcast_ss(sums + (r * 2 + part) * kBiasGroups + g);
        chain[r][part][0] = _mm256_fmadd_ps(x, bias[0], chain[r][part][0]);
        chain[r][part][1] = _mm256_fmadd_ps(x, bias[1], chain[r][part][1]);
      }
    }
  }
  if (num_groups == kBiasGroups) return;
  UNROLL for (int r = 0; r < R; ++r) {  // the absent groups: fma(0, 0, e), which makes a -0 into 0
    UNROLL for (int part = 0; part < 2; ++part) {
      chain[r][part][0] = _mm256_add_ps(chain[r][part][0], zero);
      chain[r][part][1] = _mm256_add_ps(chain[r][part][1], zero);
    }
  }
}

template <int R, int kParts>
void add_biases(const PanelBiases& biases, uint32_t num_groups, const float* sums, float* v) {
  constexpr uint32_t kAtOnce = kParts == 2 ? 8 : kPanelRows;
  for (uint32_t half = 0; half < kPanelRows; half += kAtOnce) {
    __m256 even[R][2][2], odd[R][2][2];
    run_chains<R, kParts>(biases, num_groups, 0, half, sums, even);
    run_chains<R, kParts>(biases, num_groups, 1, half, sums, odd);
    UNROLL for (int r = 0; r < R; ++r) {
      float* to = v + r * kPanelRows + half;
      __m256 sum[2] = {_mm256_loadu_ps(to), kParts == 2 ? _mm256_setzero_ps() : _mm256_loadu_ps(to + 8)};
      UNROLL for (int i = 0; i < 2; ++i) {
        UNROLL for (int part = 0; part < 2; ++part) {
          __m256& of_part = sum[kParts == 2 ? 0 : i];
          of_part = _mm256_add_ps(of_part, _mm256_add_ps(even[r][part][i], odd[r][part][i]));
        }
      }
      _mm256_storeu_ps(to, sum[0]);
      if constexpr (kParts == 1) _mm256_storeu_ps(to + 8, sum[1]);
    }
  }
}

template <ScaleType kType>
void add_biases_to_rows(const WeightPanel& panel, uint32_t first, uint32_t groups, uint32_t rows, const float* sums,
                        float* v, PanelBiases& biases) {
  constexpr uint32_t kRowSums = 2 * kBiasGroups;
  constexpr int kParts = kType == ScaleType::kBf16 ? 1 : 2;
  load_biases<kType>(panel, first, groups, biases);
  if (groups % 2 == 1) {  // made even by a group of zeros
    memset(biases.high[groups], 0, sizeof(PanelLanes));
    memset(biases.low[groups], 0, sizeof(PanelLanes));
  }
  groups = (groups + 1) / 2 * 2;
  uint32_t r = 0;
  for (; r + 3 <= rows; r += 3) add_biases<3, kParts>(biases, groups, sums + r * kRowSums, v + r * kPanelRows);
  if (r + 2 == rows) add_biases<2, kParts>(biases, groups, sums + r * kRowSums, v + r * kPanelRows);
  if (r + 1 == rows) add_biases<1, kParts>(biases, groups, sums + r * kRowSums, v + r * kPanelRows);
}

// One row, the biases straight from the panel. Eight chains: xh bh, xl bh, each even and odd, of both halves of the
// panel; or, with xh bl, xl bl too, of one half after the other. [2][high, low of x][even, odd] as in run_chains.
template <ScaleType kType>
void add_biases_once(const WeightPanel& panel, uint32_t first, uint32_t groups, const float* sums, float* v) {
  constexpr int kParts = kType == ScaleType::kBf16 ? 1 : 2;
  constexpr uint32_t kAtOnce = kParts == 2 ? 8 : kPanelRows;
  const __m256 zero = _mm256_setzero_ps();
  for (uint32_t half = 0; half < kPanelRows; half += kAtOnce) {
    __m256 chain[2][2][2];
    for (auto& part : chain) part[0][0] = part[0][1] = part[1][0] = part[1][1] = zero;
    const auto step = [&](uint32_t g, int odd) __attribute__((always_inline)) {
      __m256 bias[2];
      const std::byte* from = panel.group_at(first + g) + panel.layout.bias_offset;
      load_bias<kType>(from, half, bias[0], bias[1]);
      if constexpr (kParts == 1) bias[1] = load_scales(kType, from, 8);
      const __m256 x_high = _mm256_broadcast_ss(sums + g), x_low = _mm256_broadcast_ss(sums + kBiasGroups + g);
      for (int i = 0; i < 2; ++i) {
        chain[i][0][odd] = _mm256_fmadd_ps(x_high, bias[i], chain[i][0][odd]);
        chain[i][1][odd] = _mm256_fmadd_ps(x_low, bias[i], chain[i][1][odd]);
      }
    };
    uint32_t g = 0;
    for (; g + 2 <= groups; g += 2) {
      step(g, 0);
      step(g + 1, 1);
    }
    if (g < groups) step(g, 0);
    __m256 sum[2] = {_mm256_loadu_ps(v + half), kParts == 2 ? zero : _mm256_loadu_ps(v + 8)};
    for (int i = 0; i < 2; ++i) {
      for (auto& plane : chain[i]) {
        if (groups < kBiasGroups) {  // as in run_chains
          plane[0] = _mm256_add_ps(plane[0], zero);
          plane[1] = _mm256_add_ps(plane[1], zero);
        }
        __m256& of_part = sum[kParts == 2 ? 0 : i];
        of_part = _mm256_add_ps(of_part, _mm256_add_ps(plane[0], plane[1]));
      }
    }
    _mm256_storeu_ps(v + half, sum[0]);
    if constexpr (kParts == 1) _mm256_storeu_ps(v + 8, sum[1]);
  }
}

template <ScaleType kType>
void add_bias_block(const WeightPanel& panel, uint32_t bias_block, uint32_t rows, const float* sums, float* v,
                    BiasSpace& space) {
  const uint32_t first = bias_block * kBiasGroups;
  const uint32_t groups = smaller(kBiasGroups, panel.num_groups - first);
  if (rows == 1) return add_biases_once<kType>(panel, first, groups, sums, v);
  add_biases_to_rows<kType>(panel, first, groups, rows, sums, v, *reinterpret_cast<PanelBiases*>(space.bytes));
}

}  // namespace

void avx2_add_biases(const WeightPanel& panel, uint32_t bias_block, uint32_t rows, const std::byte* sums, float* v,
                     BiasSpace& space) {
  const auto* x = reinterpret_cast<const float*>(sums);
  switch (panel.format.scales) {
    case ScaleType::kBf16: return add_bias_block<ScaleType::kBf16>(panel, bias_block, rows, x, v, space);
    case ScaleType::kFp16: return add_bias_block<ScaleType::kFp16>(panel, bias_block, rows, x, v, space);
    case ScaleType::kFp32: return add_bias_block<ScaleType::kFp32>(panel, bias_block, rows, x, v, space);
  }
}

}  // namespace slipstream
