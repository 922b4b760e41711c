#include "kernels/avx512_biases.h"

#include "kernels/avx512_bias_pairs.h"

namespace slipstream {
namespace {

using Biases = __m512[2][kBiasGroups];  // [part][group]

template <ScaleType kType>
inline __attribute__((always_inline)) void load_parts(const WeightPanel& panel, uint32_t group,
                                                      __m512 (&part)[kBiasParts<kType>]) {
  __m512i bits[2];
  load_bias<kType>(panel.group_at(group) + panel.layout.bias_offset, bits);
  UNROLL for (int i = 0; i < kBiasParts<kType>; ++i) part[i] = _mm512_castsi512_ps(bits[i]);
}

// sums: the group's, of high parts; those of low parts follow kBiasGroups later.
template <int kParts>
inline __attribute__((always_inline)) void step(int odd, const __m512 (&bias)[kParts], const float* sums,
                                                BiasChains<kParts>& chain) {
  UNROLL for (int x_part = 0; x_part < 2; ++x_part) {
    const __m512 x = _mm512_set1_ps(sums[x_part * kBiasGroups]);
    UNROLL for (int part = 0; part < kParts; ++part) {
      chain[x_part][part][odd] = _mm512_fmadd_ps(x, bias[part], chain[x_part][part][odd]);
    }
  }
}

// R rows, an even number of groups.
template <int R, int kParts>
void add_rows(const Biases& biases, uint32_t groups, const float* sums, float* v) {
  BiasChains<kParts> chain[R];
  UNROLL for (int r = 0; r < R; ++r) clear_chains<kParts>(chain[r]);
  for (uint32_t g = 0; g < groups; g += 2) {
    UNROLL for (uint32_t odd = 0; odd < 2; ++odd) {
      __m512 bias[kParts];
      UNROLL for (int part = 0; part < kParts; ++part) bias[part] = biases[part][g + odd];
      UNROLL for (int r = 0; r < R; ++r) step<kParts>(odd, bias, sums + r * 2 * kBiasGroups + g + odd, chain[r]);
    }
  }
  UNROLL for (int r = 0; r < R; ++r) add_chains<kParts>(chain[r], v + r * kPanelRows);
}

// One row, the biases straight from the panel.
template <ScaleType kType>
void add_row(const WeightPanel& panel, uint32_t first, uint32_t groups, uint32_t steps, const float* sums, float* v) {
  constexpr int kParts = kBiasParts<kType>;
  BiasChains<kParts> chain;
  clear_chains<kParts>(chain);
  __m512 bias[kParts];
  for (uint32_t g = 0; g < steps; g += 2) {
    UNROLL for (uint32_t odd = 0; odd < 2; ++odd) {
      if (g + odd < groups) {
        load_parts<kType>(panel, first + g + odd, bias);
      } else {
        UNROLL for (int part = 0; part < kParts; ++part) bias[part] = _mm512_setzero_ps();
      }
      step<kParts>(odd, bias, sums + g + odd, chain);
    }
  }
  add_chains<kParts>(chain, v);
}

template <ScaleType kType>
void add_block(const WeightPanel& panel, uint32_t bias_block, uint32_t rows, const float* sums, float* v,
               BiasSpace& space) {
  constexpr int kParts = kBiasParts<kType>;
  constexpr uint32_t kRowSums = 2 * kBiasGroups, kAtOnce = 6 / kParts;
  const uint32_t first = bias_block * kBiasGroups;
  const uint32_t groups = smaller(kBiasGroups, panel.num_groups - first);
  // An absent group is fma(0, 0, e), which makes a -0 into 0: one of them in each chain is as good as all.
  const uint32_t steps = smaller((groups + 3) / 2 * 2, kBiasGroups);
  if (rows == 1) return add_row<kType>(panel, first, groups, steps, sums, v);
  auto& biases = *reinterpret_cast<Biases*>(space.bytes);
  for (uint32_t g = 0; g < steps; ++g) {
    __m512 part[kParts] = {};
    if (g < groups) load_parts<kType>(panel, first + g, part);
    UNROLL for (int i = 0; i < kParts; ++i) biases[i][g] = part[i];
  }
  uint32_t r = 0;
  for (; r + kAtOnce <= rows; r += kAtOnce) {
    add_rows<kAtOnce, kParts>(biases, steps, sums + r * kRowSums, v + r * kPanelRows);
  }
  for (; r + 2 <= rows; r += 2) add_rows<2, kParts>(biases, steps, sums + r * kRowSums, v + r * kPanelRows);
  if (r < rows) add_rows<1, kParts>(biases, steps, sums + r * kRowSums, v + r * kPanelRows);
}

}  // namespace

void avx512_add_biases(const WeightPanel& panel, uint32_t bias_block, uint32_t rows, const std::byte* sums, float* v,
                       BiasSpace& space) {
  const auto* x = reinterpret_cast<const float*>(sums);
  switch (panel.format.scales) {
    case ScaleType::kBf16: return add_block<ScaleType::kBf16>(panel, bias_block, rows, x, v, space);
    case ScaleType::kFp16: return add_block<ScaleType::kFp16>(panel, bias_block, rows, x, v, space);
    case ScaleType::kFp32: return add_block<ScaleType::kFp32>(panel, bias_block, rows, x, v, space);
  }
}

}  // namespace slipstream
