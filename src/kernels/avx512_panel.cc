#include "kernels/avx512_panel.h"

#include <cstring>

#include "kernels/avx512_lanes.h"

namespace slipstream {
namespace {

// -- values --------------------------------------------------------------------------------------
// Bits of each 16-bit word -> one value per word, as in avx2_panel.cc.
template <uint32_t kBits, bool kSigned, uint32_t kPlace>
inline __attribute__((always_inline)) __m512i value_at(__m512i words) {
  constexpr uint32_t kLeft = 16 - kBits - kPlace;
  if constexpr (kSigned) {
    return _mm512_srai_epi16(_mm512_slli_epi16(words, kLeft), 16 - kBits);
  } else if constexpr (kLeft == 0) {
    return _mm512_srli_epi16(words, 16 - kBits);
  } else {
    return _mm512_and_si512(_mm512_srli_epi16(words, kPlace), _mm512_set1_epi16((1 << kBits) - 1));
  }
}

// The 8 couples of a part, from 8 lines of `kPlace`'s halves: widened to `values`, and the sum of their products.
template <uint32_t kBits, bool kSigned, uint32_t kPlace>
inline __attribute__((always_inline)) __m512i widen_part(const std::byte* lines, uint32_t* values) {
  __m512i products = _mm512_setzero_si512();
  for (uint32_t couple = 0; couple < kPartCouples; ++couple) {
    const __m512i words = _mm512_loadu_si512(lines + couple * 64);
    const __m512i first = value_at<kBits, kSigned, kPlace>(words);
    const __m512i second = value_at<kBits, kSigned, kPlace + 8>(words);
    _mm512_store_si512(values + couple * 2 * kPanelRows, first);
    _mm512_store_si512(values + (couple * 2 + 1) * kPanelRows, second);
    if (kAvx512TileCoupling.even_part >> couple & 1) products = _mm512_dpwssd_epi32(products, first, second);
  }
  return products;
}

// 64 inputs: two parts.
template <uint32_t kBits, bool kSigned>
void widen_parts(const std::byte* lines, uint32_t* values, __m512i (&products)[2]) {
  constexpr uint32_t kPartWords = kPartInputs / 2 * kPanelRows;
  products[0] = widen_part<kBits, kSigned, 0>(lines, values);
  products[1] = kBits == 8 ? widen_part<kBits, kSigned, 0>(lines + 512, values + kPartWords)
                           : widen_part<kBits, kSigned, kBits == 8 ? 0 : 4>(lines, values + kPartWords);
}

using WidenParts = void (*)(const std::byte* lines, uint32_t* values, __m512i (&products)[2]);

WidenParts widen_function(const MatrixFormat& format) {
  const bool affine = format.type == WeightType::kUnsigned;
  if (format.bits == 8) return affine ? widen_parts<8, false> : widen_parts<8, true>;
  return affine ? widen_parts<4, false> : widen_parts<4, true>;
}

template <ScaleType kType>
void load_scales(const WeightPanel& panel, uint32_t first, uint32_t groups, float* scales, size_t stride) {
  for (uint32_t g = 0; g < groups; ++g) {
    _mm512_store_ps(scales + g * stride, load_scales_16<kType>(panel.group_at(first + g)));
  }
}

// -- biases --------------------------------------------------------------------------------------
// One bias vector in two bf16 parts. What is left of an fp16 number has 3 bits, so it is its own nearest bf16.
template <ScaleType kType>
inline __attribute__((always_inline)) void load_bias(const std::byte* from, __m512& high, __m512& low) {
  const __m512 bias = load_scales_16<kType>(from);
  if constexpr (kType == ScaleType::kBf16) {
    high = bias;
    low = _mm512_setzero_ps();
  } else if constexpr (kType == ScaleType::kFp16) {
    high = round_fp16_to_bf16_16(bias);
    low = _mm512_sub_ps(bias, high);
  } else {
    high = round_to_bf16_16(bias);
    low = round_to_bf16_16(_mm512_sub_ps(bias, high));
  }
}

template <ScaleType kType>
void load_biases(const WeightPanel& panel, uint32_t first, uint32_t groups, PanelBiases& biases) {
  for (uint32_t g = 0; g < groups; ++g) {
    __m512 high, low;
    load_bias<kType>(panel.group_at(first + g) + panel.layout.bias_offset, high, low);
    _mm512_store_ps(biases.high[g], high);
    if (kType != ScaleType::kBf16) _mm512_store_ps(biases.low[g], low);
  }
}

// R rows: chains [row][x part][bias part][even, odd], 24 of them where rows are plenty.
template <int R, int kParts>
inline __attribute__((always_inline)) void add_biases(const PanelBiases& biases, const float* sums, float* v) {
  __m512 chain[R][2][kParts][2];
  for (auto& row : chain) {
    for (auto& plane : row) {
      for (auto& pair : plane) pair[0] = pair[1] = _mm512_setzero_ps();
    }
  }
  for (uint32_t g = 0; g < biases.num_groups; g += 2) {
    for (int odd = 0; odd < 2; ++odd) {
      __m512 bias[kParts];
      bias[0] = _mm512_load_ps(biases.high[g + odd]);
      if constexpr (kParts == 2) bias[1] = _mm512_load_ps(biases.low[g + odd]);
      for (int r = 0; r < R; ++r) {
        for (int part = 0; part < 2; ++part) {
          const __m512 x = _mm512_set1_ps(sums[(r * 2 + part) * kBiasGroups + g + odd]);
          for (int i = 0; i < kParts; ++i) {
            chain[r][part][i][odd] = _mm512_fmadd_ps(x, bias[i], chain[r][part][i][odd]);
          }
        }
      }
    }
  }
  const __m512 zero = _mm512_setzero_ps();
  for (int r = 0; r < R; ++r) {
    __m512 sum = _mm512_load_ps(v + r * kPanelRows);
    for (int i = 0; i < kParts; ++i) {
      for (int part = 0; part < 2; ++part) {
        __m512 even = chain[r][part][i][0], odd = chain[r][part][i][1];
        if (biases.num_groups != kBiasGroups) {  // the absent groups: fma(0, 0, e), which makes a -0 into 0
          even = _mm512_add_ps(even, zero);
          odd = _mm512_add_ps(odd, zero);
        }
        sum = _mm512_add_ps(sum, _mm512_add_ps(even, odd));
      }
    }
    _mm512_store_ps(v + r * kPanelRows, sum);
  }
}

template <int kParts>
void add_biases_to_rows(const PanelBiases& biases, uint32_t rows, const float* sums, float* v) {
  constexpr uint32_t kRowSums = 2 * kBiasGroups, kAtOnce = 6 / kParts;
  uint32_t r = 0;
  for (; r + kAtOnce <= rows; r += kAtOnce) {
    add_biases<kAtOnce, kParts>(biases, sums + r * kRowSums, v + r * kPanelRows);
  }
  for (; r + 2 <= rows; r += 2) add_biases<2, kParts>(biases, sums + r * kRowSums, v + r * kPanelRows);
  if (r < rows) add_biases<1, kParts>(biases, sums + r * kRowSums, v + r * kPanelRows);
}

// Eight chains: xh bh, xl bh, xh bl, xl bl, each even and odd.
template <ScaleType kType>
void add_biases_once(const WeightPanel& panel, uint32_t first, uint32_t groups, const float* sums, float* v) {
  constexpr int kParts = kType == ScaleType::kBf16 ? 1 : 2;
  const __m512 zero = _mm512_setzero_ps();
  __m512 chain[2][2][2];  // [bias part][high, low of x][even, odd]
  for (auto& part : chain) part[0][0] = part[0][1] = part[1][0] = part[1][1] = zero;
  const auto step = [&](uint32_t g, int odd) __attribute__((always_inline)) {
    __m512 part[2];
    load_bias<kType>(panel.group_at(first + g) + panel.layout.bias_offset, part[0], part[1]);
    const __m512 x_high = _mm512_set1_ps(sums[g]), x_low = _mm512_set1_ps(sums[kBiasGroups + g]);
    for (int i = 0; i < kParts; ++i) {
      chain[i][0][odd] = _mm512_fmadd_ps(x_high, part[i], chain[i][0][odd]);
      chain[i][1][odd] = _mm512_fmadd_ps(x_low, part[i], chain[i][1][odd]);
    }
  };
  uint32_t g = 0;
  for (; g + 2 <= groups; g += 2) {
    step(g, 0);
    step(g + 1, 1);
  }
  if (g < groups) step(g, 0);
  __m512 sum = _mm512_load_ps(v);
  for (int i = 0; i < kParts; ++i) {
    for (auto& plane : chain[i]) {
      if (groups < kBiasGroups) {  // as in add_biases
        plane[0] = _mm512_add_ps(plane[0], zero);
        plane[1] = _mm512_add_ps(plane[1], zero);
      }
      sum = _mm512_add_ps(sum, _mm512_add_ps(plane[0], plane[1]));
    }
  }
  _mm512_store_ps(v, sum);
}

}  // namespace

void avx512_load_scales(const WeightPanel& panel, uint32_t first_group, uint32_t groups, float* scales,
                        size_t stride) {
  switch (panel.format.scales) {
    case ScaleType::kBf16: return load_scales<ScaleType::kBf16>(panel, first_group, groups, scales, stride);
    case ScaleType::kFp16: return load_scales<ScaleType::kFp16>(panel, first_group, groups, scales, stride);
    case ScaleType::kFp32: return load_scales<ScaleType::kFp32>(panel, first_group, groups, scales, stride);
  }
}

void avx512_make_ready(const WeightPanel& panel, uint32_t chunk, uint32_t place, ReadyChunk& ready) {
  const uint32_t group = panel.format.group;
  ready.group = group;
  ready.num_groups = panel.chunk_groups(chunk);
  avx512_load_scales(panel, chunk * (kChunkInputs / group), ready.num_groups, ready.scales[0][place],
                     kMaxTilePanels * kPanelRows);
  const uint32_t inputs = ready.num_groups * group;
  const std::byte* block = panel.chunk_at(chunk);
  uint32_t* values = ready.values[place];
  const WidenParts widen = widen_function(panel.format);
  __m512i sum = _mm512_setzero_si512();
  for (uint32_t k = 0; k < inputs; k += 64, values += 32 * kPanelRows) {
    const std::byte* lines = block + k / panel.layout.inputs * panel.layout.block_bytes +
                             k % panel.layout.inputs / 64 * panel.format.bits * 128;
    __m512i products[2];
    widen(lines, values, products);
    for (uint32_t part = 0; part < 2; ++part) {
      sum = _mm512_sub_epi32(sum, products[part]);
      const uint32_t end = k + (part + 1) * kPartInputs;
      if (end % group != 0 || end > inputs) continue;
      _mm512_store_si512(ready.products[end / group - 1][place], sum);
      sum = _mm512_setzero_si512();
    }
  }
}

void avx512_load_biases(const WeightPanel& panel, uint32_t bias_block, PanelBiases& biases) {
  const uint32_t first = bias_block * kBiasGroups;
  const uint32_t groups = smaller(kBiasGroups, panel.num_groups - first);
  switch (panel.format.scales) {
    case ScaleType::kBf16: load_biases<ScaleType::kBf16>(panel, first, groups, biases); break;
    case ScaleType::kFp16: load_biases<ScaleType::kFp16>(panel, first, groups, biases); break;
    case ScaleType::kFp32: load_biases<ScaleType::kFp32>(panel, first, groups, biases); break;
  }
  biases.num_groups = (groups + 1) / 2 * 2;
  biases.two_part = panel.two_part_biases();
  if (groups % 2 == 0) return;
  memset(biases.high[groups], 0, sizeof(PanelLanes));
  memset(biases.low[groups], 0, sizeof(PanelLanes));
}

void avx512_add_biases(const PanelBiases& biases, uint32_t rows, const float* sums, float* v) {
  biases.two_part ? add_biases_to_rows<2>(biases, rows, sums, v) : add_biases_to_rows<1>(biases, rows, sums, v);
}

void avx512_add_biases_once(const WeightPanel& panel, uint32_t bias_block, const float* sums, float* v) {
  const uint32_t first = bias_block * kBiasGroups;
  const uint32_t groups = smaller(kBiasGroups, panel.num_groups - first);
  switch (panel.format.scales) {
    case ScaleType::kBf16: return add_biases_once<ScaleType::kBf16>(panel, first, groups, sums, v);
    case ScaleType::kFp16: return add_biases_once<ScaleType::kFp16>(panel, first, groups, sums, v);
    case ScaleType::kFp32: return add_biases_once<ScaleType::kFp32>(panel, first, groups, sums, v);
  }
}

}  // namespace slipstream
