// Compiled for AVX512_BF16 as well.
#include <bit>

#include "kernels/avx512_bias_pairs.h"
#include "kernels/avx512_biases.h"

namespace slipstream {
namespace {

inline __attribute__((always_inline)) __m512 two_steps(__m512 chain, __m512i x, __m512i bias) {
  return _mm512_dpbf16_ps(chain, std::bit_cast<__m512bh>(x), std::bit_cast<__m512bh>(bias));
}

// R rows: 24 chains where rows are plenty.
template <int R, int kParts>
void add_biases(const __m512i (&biases)[2][kBiasPairs], size_t pairs, const int32_t* sums, float* v) {
  BiasChains<kParts> chain[R];
  UNROLL for (int r = 0; r < R; ++r) clear_chains<kParts>(chain[r]);
  for (size_t i = 0; i < pairs; i += 2) {
    UNROLL for (int odd = 0; odd < 2; ++odd) {
      __m512i bias[kParts];
      UNROLL for (int part = 0; part < kParts; ++part) bias[part] = biases[part][i + odd];
      UNROLL for (int r = 0; r < R; ++r) {
        UNROLL for (int x_part = 0; x_part < 2; ++x_part) {
          const __m512i x = _mm512_set1_epi32(sums[(r * 2 + x_part) * kBiasPairs + i + odd]);
          UNROLL for (int part = 0; part < kParts; ++part) {
            chain[r][x_part][part][odd] = two_steps(chain[r][x_part][part][odd], x, bias[part]);
          }
        }
      }
    }
  }
  UNROLL for (int r = 0; r < R; ++r) add_chains<kParts>(chain[r], v + r * kPanelRows);
}

// One row, without the way through memory.
template <ScaleType kType>
void add_biases_once(const WeightPanel& panel, uint32_t first, uint32_t groups, const int32_t* sums, float* v) {
  constexpr int kParts = kBiasParts<kType>;
  BiasChains<kParts> chain;
  clear_chains<kParts>(chain);
  const auto step = [&](uint32_t i, int odd, const __m512i(&bias)[2]) __attribute__((always_inline)) {
    UNROLL for (int x_part = 0; x_part < 2; ++x_part) {
      const __m512i x = _mm512_set1_epi32(sums[x_part * kBiasPairs + i]);
      UNROLL for (int part = 0; part < kParts; ++part) {
        chain[x_part][part][odd] = two_steps(chain[x_part][part][odd], x, bias[part]);
      }
    }
  };
  __m512i bias[2];
  uint32_t i = 0;
  for (; i < groups / 4 * 2; i += 2) {
    load_bias_pair<kType>(panel, first, i, bias);
    step(i, 0, bias);
    load_bias_pair<kType>(panel, first, i + 1, bias);
    step(i + 1, 1, bias);
  }
  for (; i < num_bias_pairs(groups); i += 2) {
    load_last_bias_pair<kType>(panel, first, groups, i, bias);
    step(i, 0, bias);
    load_last_bias_pair<kType>(panel, first, groups, i + 1, bias);
    step(i + 1, 1, bias);
  }
  add_chains<kParts>(chain, v);
}

template <ScaleType kType>
void add_rows(const WeightPanel& panel, uint32_t bias_block, uint32_t rows, const std::byte* sums, float* v,
              BiasSpace& space) {
  constexpr int kParts = kBiasParts<kType>;
  constexpr uint32_t kRowSums = 2 * kBiasPairs, kAtOnce = 6 / kParts;
  const uint32_t first = bias_block * kBiasGroups;
  const uint32_t groups = smaller(kBiasGroups, panel.num_groups - first);
  const auto* x = reinterpret_cast<const int32_t*>(sums);
  if (rows == 1) return add_biases_once<kType>(panel, first, groups, x, v);
  auto& biases = *reinterpret_cast<__m512i(*)[2][kBiasPairs]>(space.bytes);
  load_bias_pairs<kType>(panel, first, groups, biases);
  const size_t pairs = num_bias_pairs(groups);
  uint32_t r = 0;
  for (; r + kAtOnce <= rows; r += kAtOnce) {
    add_biases<kAtOnce, kParts>(biases, pairs, x + r * kRowSums, v + r * kPanelRows);
  }
  for (; r + 2 <= rows; r += 2) add_biases<2, kParts>(biases, pairs, x + r * kRowSums, v + r * kPanelRows);
  if (r < rows) add_biases<1, kParts>(biases, pairs, x + r * kRowSums, v + r * kPanelRows);
}

}  // namespace

void avx512_add_biases_in_pairs(const WeightPanel& panel, uint32_t bias_block, uint32_t rows, const std::byte* sums,
                                float* v, BiasSpace& space) {
  switch (panel.format.scales) {
    case ScaleType::kBf16: return add_rows<ScaleType::kBf16>(panel, bias_block, rows, sums, v, space);
    case ScaleType::kFp16: return add_rows<ScaleType::kFp16>(panel, bias_block, rows, sums, v, space);
    case ScaleType::kFp32: return add_rows<ScaleType::kFp32>(panel, bias_block, rows, sums, v, space);
  }
}

bool avx512_pairs_are_exact() {
  const unsigned before = _mm_getcsr();
  _mm_setcsr(before | 0x8040);  // FTZ | DAZ
  bool exact = true;
  uint64_t state = 1;
  const auto number = [&](uint32_t exponents) {  // a bf16 with 1 of so many exponents, from one of the smallest on
    state = state * 6364136223846793005u + 1442695040888963407u;
    const uint32_t bits = static_cast<uint32_t>(state >> 32);
    return (bits & 0x80000000) | (bits & 0x7f) << 16 | (1 + (bits >> 8) % exponents) << 23;
  };
  for (int round = 0; round < 256; ++round) {
    const uint32_t exponents = round % 4 == 0 ? 250 : round % 4 == 1 ? 150 : round % 4 == 2 ? 100 : 66;
    alignas(64) uint32_t x[16], bias[16], chain[16];
    for (int i = 0; i < 16; ++i) {
      x[i] = number(exponents) | number(exponents) >> 16;
      bias[i] = number(exponents) | number(exponents) >> 16;
      chain[i] = number(exponents) | (static_cast<uint32_t>(state) & 0xffff);
    }
    const __m512i xs = _mm512_load_si512(x), biases = _mm512_load_si512(bias);
    const __m512 begin = _mm512_castsi512_ps(_mm512_load_si512(chain));
    const __m512i high = _mm512_set1_epi32(static_cast<int>(0xffff0000));
    const auto higher = [&](__m512i v) { return _mm512_castsi512_ps(_mm512_and_si512(v, high)); };
    const auto lower = [&](__m512i v) { return _mm512_castsi512_ps(_mm512_slli_epi32(v, 16)); };
    const __m512 first = _mm512_fmadd_ps(higher(xs), higher(biases), begin);
    const __m512 expected = _mm512_fmadd_ps(lower(xs), lower(biases), first);
    const __mmask16 differ = _mm512_cmpneq_epi32_mask(_mm512_castps_si512(two_steps(begin, xs, biases)),
                                                      _mm512_castps_si512(expected));
    const __mmask16 numbers = _mm512_cmp_ps_mask(expected, expected, _CMP_ORD_Q);
    exact = exact && (differ & numbers) == 0;
  }
  _mm_setcsr(before);
  return exact;
}

}  // namespace slipstream
