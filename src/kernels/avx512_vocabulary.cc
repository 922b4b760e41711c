#include "kernels/avx512_vocabulary.h"

#include "kernels/avx512_fp32_lanes.h"

namespace slipstream {
namespace {

constexpr uint32_t kStep = 64;  // logits that are weighed side by side

// The weights of kStep logits, and the 16 virtual lanes with them added.
inline __attribute__((always_inline)) void weigh_step(const float* logits, __m512 max_logit, __m512 scale,
                                                      float* weights, __m512& lanes) {
  const __m512 banned = _mm512_set1_ps(-__builtin_inff());
  __m512 logit[4], weight[4];
  UNROLL for (int j = 0; j < 4; ++j) {
    logit[j] = _mm512_loadu_ps(logits + j * 16);
    weight[j] = _mm512_mul_ps(_mm512_sub_ps(logit[j], max_logit), scale);
  }
  exp2_wide_below_one(weight);
  UNROLL for (int j = 0; j < 4; ++j) {
    weight[j] = _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(logit[j], banned, _CMP_NEQ_OQ), weight[j]);
    _mm512_storeu_ps(weights + j * 16, weight[j]);
    lanes = _mm512_add_ps(lanes, weight[j]);
  }
}

}  // namespace

float avx512_weigh(const float* logits, uint32_t n, float max_logit, float scale, float* weights) {
  const __m512 max_logits = _mm512_set1_ps(max_logit), scales = _mm512_set1_ps(scale);
  __m512 lanes = _mm512_setzero_ps();
  uint32_t i = 0;
  for (; i + kStep <= n; i += kStep) weigh_step(logits + i, max_logits, scales, weights + i, lanes);
  if (i < n) {
    float last[kStep];  // behind the end as if banned: + 0 changes no lane
    for (uint32_t j = 0; j < kStep; ++j) last[j] = i + j < n ? logits[i + j] : -__builtin_inff();
    weigh_step(last, max_logits, scales, weights + i, lanes);
    i += kStep;
  }
  for (; i < kSumBlock; i += 16) _mm512_storeu_ps(weights + i, _mm512_setzero_ps());
  return sum_lanes(lanes);
}

uint32_t avx512_divide(const float* logits, const float* weights, Range which, const LogitBracket& bracket,
                       uint32_t* inside, double* above) {
  const __m512 low = _mm512_set1_ps(bracket.low), high = _mm512_set1_ps(bracket.high);
  __m512d sums[2] = {_mm512_setzero_pd(), _mm512_setzero_pd()};
  __m512i tokens = _mm512_add_epi32(_mm512_set1_epi32(static_cast<int>(which.begin)),
                                    _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
  uint32_t count = 0;
  // No branches, which nobody could foresee.
  const auto step = [&](uint32_t i, __mmask16 valid) __attribute__((always_inline)) {
    const __m512 logit = _mm512_maskz_loadu_ps(valid, logits + i), weight = _mm512_maskz_loadu_ps(valid, weights + i);
    const __mmask16 is_above = _mm512_mask_cmp_ps_mask(valid, logit, high, _CMP_GT_OQ);
    const auto is_inside =
        static_cast<__mmask16>(_mm512_mask_cmp_ps_mask(valid, logit, low, _CMP_GT_OQ) & ~is_above);
    const __m512d first = _mm512_cvtps_pd(_mm512_castps512_ps256(weight));
    const __m512d second = _mm512_cvtps_pd(_mm512_extractf32x8_ps(weight, 1));
    sums[0] = _mm512_mask_add_pd(sums[0], static_cast<__mmask8>(is_above), sums[0], first);
    sums[1] = _mm512_mask_add_pd(sums[1], static_cast<__mmask8>(is_above >> 8), sums[1], second);
    // Compressed in a register: straight to memory takes Zen 4 a hundred cycles.
    _mm512_storeu_si512(inside + count, _mm512_maskz_compress_epi32(is_inside, tokens));
    count += static_cast<uint32_t>(__builtin_popcount(is_inside));
    tokens = _mm512_add_epi32(tokens, _mm512_set1_epi32(16));
  };
  uint32_t i = which.begin;
  for (; i + 16 <= which.end; i += 16) step(i, static_cast<__mmask16>(0xffff));
  if (i < which.end) step(i, first_lanes(which.end - i));
  double lanes[8];
  _mm512_storeu_pd(lanes, _mm512_add_pd(sums[0], sums[1]));
  *above += sum_tree(lanes);
  return count;
}

}  // namespace slipstream
