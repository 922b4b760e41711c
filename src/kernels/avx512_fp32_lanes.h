// Small steps on 16 lanes of fp32 that the avx512 sources share. Everything here is `static`: see float16.h.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernels/avx2_lanes.h"

namespace slipstream {

// Lanes 0 .. n - 1 (n <= 16).
static inline __mmask16 first_lanes(uint32_t n) { return static_cast<__mmask16>((1u << n) - 1); }

// 16 values of a 16-bit float type, widened exactly.
static inline __m512 load_bf16_wide(const void* from) {
  const __m256i bits = _mm256_loadu_si256(static_cast<const __m256i*>(from));
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
}
static inline __m512 load_fp16_wide(const void* from) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(static_cast<const __m256i*>(from)));
}

// sum += *x * lanes. Written out, because gcc loads x into a register first, and a broadcast takes one of the pipes
// that the products need where a memory operand takes none (16 products of 8 heads: 16.0 cycles against 18.3 on Zen 4).
static inline __attribute__((always_inline)) void add_product(const float* x, __m512 lanes, __m512& sum) {
  asm("vfmadd231ps %2%{1to16%}, %1, %0" : "+v"(sum) : "v"(lanes), "m"(*x));
}

// exp2_polynomial on 16 lanes. Where x is at least -126 the result is a normal number, so that scaling it is the same
// as adding to its exponent.
static inline __m512 exp2_wide(__m512 x) {
  x = _mm512_min_ps(_mm512_max_ps(x, _mm512_set1_ps(-kExp2Limit)), _mm512_set1_ps(kExp2Limit));
  const __m512 whole = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const __m512 rest = _mm512_sub_ps(x, whole);
  __m512 p = _mm512_set1_ps(kExp2Coefficients[0]);
  UNROLL for (int i = 1; i < 7; ++i) p = _mm512_fmadd_ps(p, rest, _mm512_set1_ps(kExp2Coefficients[i]));
  return _mm512_scalef_ps(p, whole);
}
// The same for kCount vectors of numbers <= 0, step by step side by side: one after the other they would fill the
// processor's queue with steps that wait.
template <int kCount>
static inline __attribute__((always_inline)) void exp2_wide_below_one(__m512 (&x)[kCount]) {
  __m512 whole[kCount], p[kCount];
  UNROLL for (int j = 0; j < kCount; ++j) x[j] = _mm512_max_ps(x[j], _mm512_set1_ps(-kExp2Limit));
  UNROLL for (int j = 0; j < kCount; ++j) {
    whole[j] = _mm512_roundscale_ps(x[j], _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  UNROLL for (int j = 0; j < kCount; ++j) {
    x[j] = _mm512_sub_ps(x[j], whole[j]);
    p[j] = _mm512_set1_ps(kExp2Coefficients[0]);
  }
  UNROLL for (int i = 1; i < 7; ++i) {
    UNROLL for (int j = 0; j < kCount; ++j) p[j] = _mm512_fmadd_ps(p[j], x[j], _mm512_set1_ps(kExp2Coefficients[i]));
  }
  UNROLL for (int j = 0; j < kCount; ++j) x[j] = _mm512_scalef_ps(p[j], whole[j]);
}

static inline float largest_lane(__m512 value) {
  return largest_lane(_mm256_max_ps(_mm512_castps512_ps256(value), _mm512_extractf32x8_ps(value, 1)));
}

// The tree over 16 virtual lanes: L[j] += L[j + 8], then + 4, + 2, + 1.
static inline float sum_lanes(__m512 lanes) {
  return sum_lanes(_mm512_castps512_ps256(lanes), _mm512_extractf32x8_ps(lanes, 1));
}

}  // namespace slipstream
