#include "kernels/avx2_rowwise.h"

#include "kernels/avx2_lanes.h"

namespace slipstream {

bool avx2_rms_norm(const float* x, const float* weight, float eps, uint32_t n, float* out) {
  // 32 virtual lanes: lane k % 32, in four registers.
  __m256 lanes[4] = {_mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps()};
  uint32_t i = 0;
  for (; i + 32 <= n; i += 32) {
    for (int j = 0; j < 4; ++j) {
      const __m256 value = _mm256_loadu_ps(x + i + j * 8);
      lanes[j] = _mm256_fmadd_ps(value, value, lanes[j]);
    }
  }
  for (int j = 0; i < n; i += 8, ++j) {  // fma(0, 0, lane) = lane: a sum of squares is never -0
    const __m256 value = _mm256_maskload_ps(x + i, lane_mask(n - i < 8 ? n - i : 8));
    lanes[j] = _mm256_fmadd_ps(value, value, lanes[j]);
  }
  const float sum = sum_lanes(_mm256_add_ps(lanes[0], lanes[2]), _mm256_add_ps(lanes[1], lanes[3]));
  if (magnitude_bits(sum) >= kNotFiniteBits) return false;

  const float mean = sum / static_cast<float>(n);
  const float inverse = 1.0f / __builtin_sqrtf(mean + eps);
  const __m256 inverses = _mm256_set1_ps(inverse);
  for (i = 0; i + 8 <= n; i += 8) {
    const __m256 scaled = _mm256_mul_ps(_mm256_loadu_ps(x + i), inverses);
    _mm256_storeu_ps(out + i, _mm256_mul_ps(scaled, _mm256_loadu_ps(weight + i)));
  }
  for (; i < n; ++i) out[i] = (x[i] * inverse) * weight[i];
  return true;
}

void avx2_rope(float* head, const float* cos, const float* sin, uint32_t head_dim) {
  const uint32_t half = head_dim / 2;
  uint32_t i = 0;
  for (; i + 8 <= half; i += 8) {
    const __m256 x1 = _mm256_loadu_ps(head + i), x2 = _mm256_loadu_ps(head + i + half);
    const __m256 c = _mm256_loadu_ps(cos + i), s = _mm256_loadu_ps(sin + i);
    _mm256_storeu_ps(head + i, _mm256_fmsub_ps(x1, c, _mm256_mul_ps(x2, s)));
    _mm256_storeu_ps(head + i + half, _mm256_fmadd_ps(x2, c, _mm256_mul_ps(x1, s)));
  }
  for (; i < half; ++i) {
    const float x1 = head[i], x2 = head[i + half];
    head[i] = __builtin_fmaf(x1, cos[i], -(x2 * sin[i]));
    head[i + half] = __builtin_fmaf(x2, cos[i], x1 * sin[i]);
  }
}

void avx2_swiglu(const float* gate, const float* up, uint32_t n, float* out) {
  uint32_t i = 0;
  const __m256 sign = _mm256_set1_ps(-0.0f), log2e = _mm256_set1_ps(kLog2e), one = _mm256_set1_ps(1.0f);
  for (; i + 8 <= n; i += 8) {
    const __m256 x = _mm256_loadu_ps(gate + i);
    const __m256 e = exp2_lanes(_mm256_mul_ps(_mm256_xor_ps(x, sign), log2e));
    const __m256 silu = _mm256_div_ps(x, _mm256_add_ps(one, e));
    _mm256_storeu_ps(out + i, _mm256_mul_ps(silu, _mm256_loadu_ps(up + i)));
  }
  for (; i < n; ++i) out[i] = gate[i] / (1.0f + exp2_polynomial(-gate[i] * kLog2e)) * up[i];
}

void avx2_add(float* x, const float* y, uint32_t n) {
  uint32_t i = 0;
  for (; i + 8 <= n; i += 8) _mm256_storeu_ps(x + i, _mm256_add_ps(_mm256_loadu_ps(x + i), _mm256_loadu_ps(y + i)));
  for (; i < n; ++i) x[i] = x[i] + y[i];
}

void avx2_add_scaled(float* x, const float* y, float weight, uint32_t n) {
  const __m256 weights = _mm256_set1_ps(weight);
  uint32_t i = 0;
  for (; i + 8 <= n; i += 8) {
    _mm256_storeu_ps(x + i, _mm256_fmadd_ps(weights, _mm256_loadu_ps(y + i), _mm256_loadu_ps(x + i)));
  }
  for (; i < n; ++i) x[i] = __builtin_fmaf(weight, y[i], x[i]);
}

}  // namespace slipstream
