// The operations row by row for AVX-512 (kernels.h).
#pragma once

#include <cstdint>

namespace slipstream {

bool avx512_rms_norm(const float* x, const float* weight, float eps, uint32_t n, float* out);
void avx512_rope(float* head, const float* cos, const float* sin, uint32_t head_dim);
void avx512_swiglu(const float* gate, const float* up, uint32_t n, float* out);
void avx512_add(float* x, const float* y, uint32_t n);
void avx512_add_scaled(float* x, const float* y, float weight, uint32_t n);

}  // namespace slipstream
