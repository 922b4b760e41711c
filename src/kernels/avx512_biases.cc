#include "kernels/avx512_biases.h"

#include "kernels/avx512_bias_pairs.h"

namespace slipstream {
namespace {

__m512 higher_half(__m512i pair) {
  return _mm512_castsi512_ps(_mm512_and_si512(pair, _mm512_set1_epi32(static_cast<int>(0xffff0000))));
}
__m512 lower_half(__m512i pair) { return _mm512_castsi512_ps(_mm512_slli_epi32(pair, 16)); }

// One row: chains [x part][bias part][even, odd].
template <int kParts>
void add_row(const __m512i (&biases)[2][kBiasPairs], uint32_t pairs, const int32_t* sums, float* v) {
  __m512 chain[2][kParts][2] = {};
  for (uint32_t i = 0; i < pairs; ++i) {
    for (int x_part = 0; x_part < 2; ++x_part) {
      const __m512i x = _mm512_set1_epi32(sums[x_part * kBiasPairs + i]);
      for (int part = 0; part < kParts; ++part) {
        __m512& at = chain[x_part][part][i % 2];
        at = _mm512_fmadd_ps(higher_half(x), higher_half(biases[part][i]), at);
        at = _mm512_fmadd_ps(lower_half(x), lower_half(biases[part][i]), at);
      }
    }
  }
  __m512 sum = _mm512_load_ps(v);
  for (int part = 0; part < kParts; ++part) {
    for (int x_part = 0; x_part < 2; ++x_part) {
      sum = _mm512_add_ps(sum, _mm512_add_ps(chain[x_part][part][0], chain[x_part][part][1]));
    }
  }
  _mm512_store_ps(v, sum);
}

template <ScaleType kType>
void add_rows(const WeightPanel& panel, uint32_t bias_block, uint32_t rows, const std::byte* sums, float* v,
              BiasSpace& space) {
  auto& biases = *reinterpret_cast<__m512i(*)[2][kBiasPairs]>(space.bytes);
  const uint32_t first = bias_block * kBiasGroups;
  const uint32_t groups = smaller(kBiasGroups, panel.num_groups - first);
  load_bias_pairs<kType>(panel, first, groups, biases);
  for (uint32_t r = 0; r < rows; ++r) {
    add_row<kBiasParts<kType>>(biases, num_bias_pairs(groups),
                               reinterpret_cast<const int32_t*>(sums) + r * 2 * kBiasPairs, v + r * kPanelRows);
  }
}

}  // namespace

void avx512_add_biases_in_steps(const WeightPanel& panel, uint32_t bias_block, uint32_t rows, const std::byte* sums,
                                float* v, BiasSpace& space) {
  switch (panel.format.scales) {
    case ScaleType::kBf16: return add_rows<ScaleType::kBf16>(panel, bias_block, rows, sums, v, space);
    case ScaleType::kFp16: return add_rows<ScaleType::kFp16>(panel, bias_block, rows, sums, v, space);
    case ScaleType::kFp32: return add_rows<ScaleType::kFp32>(panel, bias_block, rows, sums, v, space);
  }
}

void avx512_add_biases(const WeightPanel& panel, uint32_t bias_block, uint32_t rows, const std::byte* sums, float* v,
                       BiasSpace& space) {
  static const bool kInPairs = __builtin_cpu_supports("avx512bf16") != 0 && avx512_pairs_are_exact();
  (kInPairs ? avx512_add_biases_in_pairs : avx512_add_biases_in_steps)(panel, bias_block, rows, sums, v, space);
}

}  // namespace slipstream
