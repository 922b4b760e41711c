// The biases of one bias block, read from the panel in pairs of bf16 (avx512_biases.h).
#pragma once

#include "kernels/avx2_lanes.h"
#include "kernels/avx512_lanes.h"
#include "kernels/integer_product.h"

namespace slipstream {

inline constexpr uint32_t kBiasPairs = kBiasGroups / 2;

// bf16 biases have no second part.
template <ScaleType kType>
inline constexpr int kBiasParts = kType == ScaleType::kBf16 ? 1 : 2;

// A bias in two bf16 parts, each in the higher half. What is left of an fp16 number has 3 bits, so it is its own
// nearest bf16.
template <ScaleType kType>
static inline __attribute__((always_inline)) void load_bias(const std::byte* from, __m512i (&part)[2]) {
  const __m512 bias = load_scales_16<kType>(from);
  if constexpr (kType == ScaleType::kBf16) {
    part[0] = _mm512_castps_si512(bias);
  } else if constexpr (kType == ScaleType::kFp16) {
    const __m512 high = round_fp16_to_bf16_16(bias);
    part[0] = _mm512_castps_si512(high);
    part[1] = _mm512_castps_si512(_mm512_sub_ps(bias, high));
  } else {
    const __m512 high = round_to_bf16_16(bias);
    part[0] = _mm512_castps_si512(high);
    part[1] = _mm512_castps_si512(round_to_bf16_16(_mm512_sub_ps(bias, high)));
  }
}

// What one row adds up: [x part][bias part][even, odd].
template <int kParts>
using BiasChains = __m512[2][kParts][2];

template <int kParts>
static inline __attribute__((always_inline)) void clear_chains(BiasChains<kParts>& chain) {
  UNROLL for (int i = 0; i < 4 * kParts; ++i) chain[i % 2][i / 4][i / 2 % 2] = _mm512_setzero_ps();
}

template <int kParts>
static inline __attribute__((always_inline)) void add_chains(const BiasChains<kParts>& chain, float* v) {
  __m512 sum = _mm512_load_ps(v);
  UNROLL for (int part = 0; part < kParts; ++part) {
    UNROLL for (int x_part = 0; x_part < 2; ++x_part) {
      sum = _mm512_add_ps(sum, _mm512_add_ps(chain[x_part][part][0], chain[x_part][part][1]));
    }
  }
  _mm512_store_ps(v, sum);
}

// Pair `index` of the block that begins with group `first`, of which both groups exist.
template <ScaleType kType>
static inline __attribute__((always_inline)) void load_bias_pair(const WeightPanel& panel, uint32_t first,
                                                                 uint32_t index, __m512i (&part)[2]) {
  const uint32_t group = first + index / 2 * 4 + index % 2;
  __m512i lower[2];
  load_bias<kType>(panel.group_at(group) + panel.layout.bias_offset, part);
  load_bias<kType>(panel.group_at(group + 2) + panel.layout.bias_offset, lower);
  for (int i = 0; i < kBiasParts<kType>; ++i) part[i] = _mm512_or_si512(part[i], _mm512_srli_epi32(lower[i], 16));
}

// The same where the block has `groups` groups: the absent ones are 0.
template <ScaleType kType>
static inline void load_last_bias_pair(const WeightPanel& panel, uint32_t first, uint32_t groups, uint32_t index,
                                       __m512i (&part)[2]) {
  const uint32_t group = index / 2 * 4 + index % 2;
  if (group + 2 < groups) return load_bias_pair<kType>(panel, first, index, part);
  part[0] = part[1] = _mm512_setzero_si512();
  if (group < groups) load_bias<kType>(panel.group_at(first + group) + panel.layout.bias_offset, part);
}

// How many pairs of a block of `groups` groups matter. An absent group is fma(0, 0, e), which makes a -0 into 0: one of
// them in each chain is as good as all.
static inline uint32_t num_bias_pairs(uint32_t groups) { return 2 * smaller((groups + 1) / 4 + 1, kBiasPairs / 2); }

// The first num_bias_pairs().
template <ScaleType kType>
static inline void load_bias_pairs(const WeightPanel& panel, uint32_t first, uint32_t groups,
                                   __m512i (&pairs)[2][kBiasPairs]) {
  const uint32_t whole = groups / 4 * 2, all = num_bias_pairs(groups);
  for (uint32_t i = 0; i < all; ++i) {
    __m512i part[2];
    if (i < whole) {
      load_bias_pair<kType>(panel, first, i, part);
    } else {
      load_last_bias_pair<kType>(panel, first, groups, i, part);
    }
    for (int p = 0; p < kBiasParts<kType>; ++p) pairs[p][i] = part[p];
  }
}

}  // namespace slipstream
