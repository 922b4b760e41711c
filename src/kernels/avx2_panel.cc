#include "kernels/avx2_panel.h"

#include <cstring>

namespace slipstream {
namespace {

// Bits of each 16-bit word -> one value per word. The words of a line hold, low to high, bytes of inputs (0, 1) or (2, 3).
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

template <bool kSigned>
void widen_8_bits(const std::byte* lines, uint32_t* values) {
  for (uint32_t line = 0; line < 16; ++line, lines += 64, values += 2 * kPanelRows) {
    for (uint32_t half = 0; half < 2; ++half) {
      const __m256i words = load_integers(lines + half * 32);
      store_integers(values + half * 8, value_at<8, kSigned, 0>(words));
      store_integers(values + kPanelRows + half * 8, value_at<8, kSigned, 8>(words));
    }
  }
}

template <bool kSigned>
void widen_4_bits(const std::byte* lines, uint32_t* values) {
  uint32_t* upper = values + 16 * kPanelRows;  // inputs 32 .. 63
  for (uint32_t line = 0; line < 8; ++line, lines += 64, values += 2 * kPanelRows, upper += 2 * kPanelRows) {
    for (uint32_t half = 0; half < 2; ++half) {
      const __m256i words = load_integers(lines + half * 32);
      store_integers(values + half * 8, value_at<4, kSigned, 0>(words));
      store_integers(values + kPanelRows + half * 8, value_at<4, kSigned, 8>(words));
      store_integers(upper + half * 8, value_at<4, kSigned, 4>(words));
      store_integers(upper + kPanelRows + half * 8, value_at<4, kSigned, 12>(words));
    }
  }
}

}  // namespace

void avx2_widen_chunk(const Avx2Panel& panel, uint32_t chunk, uint32_t* values) {
  const uint32_t inputs = panel.chunk_groups(chunk) * panel.format.group;
  const std::byte* block = panel.chunk_at(chunk);
  for (uint32_t k = 0; k < inputs; k += 64, values += 32 * kPanelRows) {
    const std::byte* lines = block + k / panel.layout.inputs * panel.layout.block_bytes +
                             k % panel.layout.inputs / 64 * panel.format.bits * 128;
    if (panel.format.bits == 8) {
      panel.affine() ? widen_8_bits<false>(lines, values) : widen_8_bits<true>(lines, values);
    } else {
      panel.affine() ? widen_4_bits<false>(lines, values) : widen_4_bits<true>(lines, values);
    }
  }
}

void avx2_load_biases(const Avx2Panel& panel, uint32_t bias_block, Avx2Biases& biases) {
  const uint32_t first = bias_block * kBiasGroups;
  const uint32_t groups = smaller(kBiasGroups, panel.num_groups - first);
  for (uint32_t g = 0; g < groups; ++g) {
    const std::byte* from = panel.group_at(first + g) + panel.layout.bias_offset;
    for (uint32_t half = 0; half < kPanelRows; half += 8) {
      const __m256 bias = load_scales(panel.format.scales, from, half);
      if (!panel.two_part_biases()) {
        _mm256_store_ps(biases.high[g] + half, bias);
        continue;
      }
      const __m256 high = round_to_bf16(bias);
      _mm256_store_ps(biases.high[g] + half, high);
      _mm256_store_ps(biases.low[g] + half, round_to_bf16(_mm256_sub_ps(bias, high)));
    }
  }
  biases.num_groups = (groups + 1) / 2 * 2;
  biases.two_part = panel.two_part_biases();
  if (groups % 2 == 0) return;
  memset(biases.high[groups], 0, sizeof(PanelLanes));
  memset(biases.low[groups], 0, sizeof(PanelLanes));
}

// The planes xh b and xl b, added to v one after the other. Eight chains at once hide the latency of an FMA.
static inline void add_planes(const PanelLanes* biases, uint32_t num_groups, const float* sums, __m256 (&v)[2]) {
  const __m256 zero = _mm256_setzero_ps();
  __m256 even_high[2] = {zero, zero}, odd_high[2] = {zero, zero}, even_low[2] = {zero, zero}, odd_low[2] = {zero, zero};
  for (uint32_t g = 0; g < num_groups; g += 2) {
    const __m256 x_even = _mm256_broadcast_ss(sums + g), x_odd = _mm256_broadcast_ss(sums + g + 1);
    const __m256 low_even = _mm256_broadcast_ss(sums + kBiasGroups + g);
    const __m256 low_odd = _mm256_broadcast_ss(sums + kBiasGroups + g + 1);
    for (int half = 0; half < 2; ++half) {
      const __m256 even = _mm256_load_ps(biases[g] + half * 8), odd = _mm256_load_ps(biases[g + 1] + half * 8);
      even_high[half] = _mm256_fmadd_ps(x_even, even, even_high[half]);
      odd_high[half] = _mm256_fmadd_ps(x_odd, odd, odd_high[half]);
      even_low[half] = _mm256_fmadd_ps(low_even, even, even_low[half]);
      odd_low[half] = _mm256_fmadd_ps(low_odd, odd, odd_low[half]);
    }
  }
  for (int half = 0; half < 2; ++half) {
    if (num_groups < kBiasGroups) {  // the absent groups: fma(0, 0, e), which makes a -0 into 0
      even_high[half] = _mm256_add_ps(even_high[half], zero);
      odd_high[half] = _mm256_add_ps(odd_high[half], zero);
      even_low[half] = _mm256_add_ps(even_low[half], zero);
      odd_low[half] = _mm256_add_ps(odd_low[half], zero);
    }
    v[half] = _mm256_add_ps(v[half], _mm256_add_ps(even_high[half], odd_high[half]));
    v[half] = _mm256_add_ps(v[half], _mm256_add_ps(even_low[half], odd_low[half]));
  }
}

void avx2_add_biases(const Avx2Biases& biases, const float* sums, float* v) {
  __m256 sum[2] = {_mm256_loadu_ps(v), _mm256_loadu_ps(v + 8)};
  add_planes(biases.high, biases.num_groups, sums, sum);
  if (biases.two_part) add_planes(biases.low, biases.num_groups, sums, sum);
  _mm256_storeu_ps(v, sum[0]);
  _mm256_storeu_ps(v + 8, sum[1]);
}

}  // namespace slipstream
