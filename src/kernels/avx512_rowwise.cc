#include "kernels/avx512_rowwise.h"

#include "kernels/avx512_fp32_lanes.h"

namespace slipstream {
namespace {

// step(first, lanes) for 16 numbers at a time; the last ones under a mask.
template <class Step>
inline __attribute__((always_inline)) void for_lanes(uint32_t n, const Step& step) {
  uint32_t i = 0;
  for (; i + 16 <= n; i += 16) step(i, static_cast<__mmask16>(0xffff));
  if (i < n) step(i, first_lanes(n - i));
}

}  // namespace

bool avx512_rms_norm(const float* x, const float* weight, float eps, uint32_t n, float* out) {
  // 32 virtual lanes: lane k % 32, in two registers.
  __m512 lanes[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()};
  uint32_t i = 0;
  for (; i + 32 <= n; i += 32) {
    for (int j = 0; j < 2; ++j) {
      const __m512 value = _mm512_loadu_ps(x + i + j * 16);
      lanes[j] = _mm512_fmadd_ps(value, value, lanes[j]);
    }
  }
  for (int j = 0; i < n; i += 16, ++j) {  // fma(0, 0, lane) = lane: a sum of squares is never -0
    const __m512 value = _mm512_maskz_loadu_ps(first_lanes(smaller(n - i, 16)), x + i);
    lanes[j] = _mm512_fmadd_ps(value, value, lanes[j]);
  }
  const float sum = sum_lanes(_mm512_add_ps(lanes[0], lanes[1]));
  if (magnitude_bits(sum) >= kNotFiniteBits) return false;

  const float mean = sum / static_cast<float>(n);
  const __m512 inverse = _mm512_set1_ps(1.0f / __builtin_sqrtf(mean + eps));
  for_lanes(n, [&](uint32_t at, __mmask16 mask) {
    const __m512 scaled = _mm512_mul_ps(_mm512_maskz_loadu_ps(mask, x + at), inverse);
    _mm512_mask_storeu_ps(out + at, mask, _mm512_mul_ps(scaled, _mm512_maskz_loadu_ps(mask, weight + at)));
  });
  return true;
}

void avx512_rope(float* head, const float* cos, const float* sin, uint32_t head_dim) {
  const uint32_t half = head_dim / 2;
  for_lanes(half, [&](uint32_t at, __mmask16 mask) {
    const __m512 x1 = _mm512_maskz_loadu_ps(mask, head + at), x2 = _mm512_maskz_loadu_ps(mask, head + at + half);
    const __m512 c = _mm512_maskz_loadu_ps(mask, cos + at), s = _mm512_maskz_loadu_ps(mask, sin + at);
    _mm512_mask_storeu_ps(head + at, mask, _mm512_fmsub_ps(x1, c, _mm512_mul_ps(x2, s)));
    _mm512_mask_storeu_ps(head + at + half, mask, _mm512_fmadd_ps(x2, c, _mm512_mul_ps(x1, s)));
  });
}

void avx512_swiglu(const float* gate, const float* up, uint32_t n, float* out) {
  const __m512 log2e = _mm512_set1_ps(kLog2e), one = _mm512_set1_ps(1.0f), sign = _mm512_set1_ps(-0.0f);
  for_lanes(n, [&](uint32_t at, __mmask16 mask) {
    const __m512 x = _mm512_maskz_loadu_ps(mask, gate + at);
    const __m512 e = exp2_wide(_mm512_mul_ps(_mm512_xor_ps(x, sign), log2e));
    const __m512 silu = _mm512_div_ps(x, _mm512_add_ps(one, e));
    _mm512_mask_storeu_ps(out + at, mask, _mm512_mul_ps(silu, _mm512_maskz_loadu_ps(mask, up + at)));
  });
}

void avx512_add(float* x, const float* y, uint32_t n) {
  for_lanes(n, [&](uint32_t at, __mmask16 mask) {
    const __m512 sum = _mm512_add_ps(_mm512_maskz_loadu_ps(mask, x + at), _mm512_maskz_loadu_ps(mask, y + at));
    _mm512_mask_storeu_ps(x + at, mask, sum);
  });
}

void avx512_add_scaled(float* x, const float* y, float weight, uint32_t n) {
  const __m512 weights = _mm512_set1_ps(weight);
  for_lanes(n, [&](uint32_t at, __mmask16 mask) {
    const __m512 y_lanes = _mm512_maskz_loadu_ps(mask, y + at);
    _mm512_mask_storeu_ps(x + at, mask, _mm512_fmadd_ps(weights, y_lanes, _mm512_maskz_loadu_ps(mask, x + at)));
  });
}

}  // namespace slipstream
