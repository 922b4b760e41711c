// Matrix products for AVX-512 (kernels.h).
#pragma once

#include "kernels/kernels.h"

namespace slipstream {

size_t avx512_quantised_bytes(uint32_t num_rows, uint32_t cols);
void avx512_quantise(Matrix<const float> x, Range which, Range chunks, std::byte* out, uint8_t* finite);

void avx512_matmul(const PackedMatrix& w, const MatmulInput& x, Range panels, Matrix<float> y, std::byte* scratch);

// The same with couples of multiplications (Isa::kAvx512Coupled). Needs AVX512_BF16.
size_t avx512_coupled_quantised_bytes(uint32_t num_rows, uint32_t cols);
void avx512_coupled_quantise(Matrix<const float> x, Range which, Range chunks, std::byte* out, uint8_t* finite);
void avx512_coupled_matmul(const PackedMatrix& w, const MatmulInput& x, Range panels, Matrix<float> y,
                           std::byte* scratch);

}  // namespace slipstream
