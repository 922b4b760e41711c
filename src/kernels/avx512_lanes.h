// Small steps on 16 lanes that the avx512 sources share. Everything here is `static`: see float16.h.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernels/packed_matrix.h"

namespace slipstream {

// A panel's 16 scales or biases, widened exactly.
template <ScaleType kType>
static inline __m512 load_scales_16(const std::byte* from) {
  if constexpr (kType == ScaleType::kFp32) {
    return _mm512_loadu_ps(from);
  } else {
    const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
    if constexpr (kType == ScaleType::kFp16) return _mm512_cvtph_ps(bits);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
  }
}

// The nearest bf16 as an fp32 number (narrow_bf16, then widen_bf16).
static inline __m512 round_to_bf16_16(__m512 value) {
  const __m512i bits = _mm512_castps_si512(value);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i rounded = _mm512_add_epi32(bits, _mm512_add_epi32(_mm512_set1_epi32(0x7fff), odd));
  return _mm512_castsi512_ps(_mm512_and_si512(rounded, _mm512_set1_epi32(static_cast<int>(0xffff0000))));
}

// The same for numbers that were fp16, in three operations (round_fp16_to_bf16).
static inline __m512 round_fp16_to_bf16_16(__m512 value) {
  const __m512 shifted = _mm512_mul_ps(value, _mm512_set1_ps(65537.0f));
  return _mm512_sub_ps(shifted, _mm512_sub_ps(shifted, value));
}

}  // namespace slipstream
