// Small steps on 8 lanes that the avx2 sources share. Everything here is `static`: see float16.h.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernels/fixed_arithmetic.h"
#include "kernels/packed_matrix.h"

// Before a loop over registers: gcc 12 keeps an array in registers only where it unrolls the loops early. And before a
// loop over memory where unrolled, it gathers first steps before second ones until registers run out.
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#define NO_UNROLL _Pragma("clang loop unroll(disable)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#define NO_UNROLL _Pragma("GCC unroll 1")
#endif

namespace slipstream {

static inline __m256i load_integers(const void* from) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(from));
}
static inline void store_integers(void* to, __m256i value) {
  _mm256_storeu_si256(static_cast<__m256i*>(to), value);
}

// 8 values of a 16-bit float type, widened exactly.
static inline __m256 load_bf16(const void* from) {
  const __m128i bits = _mm_loadu_si128(static_cast<const __m128i*>(from));
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
}
static inline __m256 load_fp16(const void* from) {
  return _mm256_cvtph_ps(_mm_loadu_si128(static_cast<const __m128i*>(from)));
}

// 8 scales of a panel, beginning with row `row` (0 or 8).
static inline __m256 load_scales(ScaleType type, const std::byte* from, uint32_t row) {
  switch (type) {
    case ScaleType::kBf16: return load_bf16(from + row * 2);
    case ScaleType::kFp16: return load_fp16(from + row * 2);
    case ScaleType::kFp32: break;
  }
  return _mm256_loadu_ps(reinterpret_cast<const float*>(from + row * 4));
}

// The nearest bf16 as an fp32 number (narrow_bf16, then widen_bf16).
static inline __m256 round_to_bf16(__m256 value) {
  const __m256i bits = _mm256_castps_si256(value);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const __m256i rounded = _mm256_add_epi32(bits, _mm256_add_epi32(_mm256_set1_epi32(0x7fff), odd));
  return _mm256_castsi256_ps(_mm256_and_si256(rounded, _mm256_set1_epi32(static_cast<int>(0xffff0000))));
}

// The same for numbers that were fp16 (11 significant bits or fewer): Veltkamp's split gives the nearest 8 bits, ties
// to even, for each of the 65,536 (float16_test.cc tries them all), in three operations instead of five.
static inline __m256 round_fp16_to_bf16(__m256 value) {
  const __m256 shifted = _mm256_mul_ps(value, _mm256_set1_ps(65537.0f));
  return _mm256_sub_ps(shifted, _mm256_sub_ps(shifted, value));
}

// exp2_polynomial on 8 lanes.
static inline __m256 exp2_lanes(__m256 x) {
  x = _mm256_max_ps(x, _mm256_set1_ps(-kExp2Limit));
  x = _mm256_min_ps(x, _mm256_set1_ps(kExp2Limit));
  const __m256 whole = _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const __m256 rest = _mm256_sub_ps(x, whole);
  __m256 p = _mm256_set1_ps(kExp2Coefficients[0]);
  for (int i = 1; i < 7; ++i) p = _mm256_fmadd_ps(p, rest, _mm256_set1_ps(kExp2Coefficients[i]));
  const __m256i exponent = _mm256_slli_epi32(_mm256_cvtps_epi32(whole), 23);
  return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(p), exponent));
}

// The same for kCount vectors of numbers <= 0, step by step side by side: one after the other they would fill the
// processor's queue with steps that wait. Constants are read where they are wanted: registers for them would push out
// what changes.
template <int kCount>
static inline __attribute__((always_inline)) void exp2_lanes_below_one(__m256 (&x)[kCount]) {
  static constexpr float kLowest = -kExp2Limit;
  const float *lowest = &kLowest, *coefficients = kExp2Coefficients;
  asm("" : "+r"(lowest), "+r"(coefficients));  // or gcc reads them before the loop that this stands in
  __m256 whole[kCount], p[kCount];
  UNROLL for (int j = 0; j < kCount; ++j) x[j] = _mm256_max_ps(x[j], _mm256_broadcast_ss(lowest));
  UNROLL for (int j = 0; j < kCount; ++j) {
    whole[j] = _mm256_round_ps(x[j], _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  UNROLL for (int j = 0; j < kCount; ++j) {
    x[j] = _mm256_sub_ps(x[j], whole[j]);
    p[j] = _mm256_broadcast_ss(coefficients);
  }
  UNROLL for (int i = 1; i < 7; ++i) {
    const __m256 coefficient = _mm256_broadcast_ss(coefficients + i);
    UNROLL for (int j = 0; j < kCount; ++j) p[j] = _mm256_fmadd_ps(p[j], x[j], coefficient);
  }
  UNROLL for (int j = 0; j < kCount; ++j) {
    const __m256i exponent = _mm256_slli_epi32(_mm256_cvtps_epi32(whole[j]), 23);
    x[j] = _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(p[j]), exponent));
  }
}

static inline float largest_lane(__m256 value) {
  __m128 m = _mm_max_ps(_mm256_castps256_ps128(value), _mm256_extractf128_ps(value, 1));
  m = _mm_max_ps(m, _mm_movehl_ps(m, m));
  return _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)));
}

// The tree over 16 virtual lanes, 0-7 in `first`: L[j] += L[j + 8], then + 4, + 2, + 1.
static inline float sum_lanes(__m256 first, __m256 second) {
  const __m256 eight = _mm256_add_ps(first, second);
  __m128 sum = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  sum = _mm_add_ps(sum, _mm_movehl_ps(sum, sum));
  return _mm_cvtss_f32(_mm_add_ss(sum, _mm_movehdup_ps(sum)));
}

// All ones in lanes 0 .. n - 1 (n <= 8).
static inline __m256i lane_mask(uint32_t n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

}  // namespace slipstream
