// The row-by-row operations of kernels.h for AVX2.
#pragma once

#include <cstdint>

namespace slipstream {

bool avx2_rms_norm(const float* x, const float* weight, float eps, uint32_t n, float* out);
void avx2_rope(float* head, const float* cos, const float* sin, uint32_t head_dim);
void avx2_swiglu(const float* gate, const float* up, uint32_t n, float* out);
void avx2_add(float* x, const float* y, uint32_t n);
void avx2_add_scaled(float* x, const float* y, float weight, uint32_t n);

}  // namespace slipstream
