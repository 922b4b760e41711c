// Matrix products for AVX2 (kernels.h).
#pragma once

#include "kernels/kernels.h"

namespace slipstream {

size_t avx2_quantised_bytes(uint32_t num_rows, uint32_t cols);
void avx2_quantise(Matrix<const float> x, Range which, Range chunks, std::byte* out, uint8_t* finite);

void avx2_matmul(const PackedMatrix& w, const MatmulInput& x, Range panels, Matrix<float> y, std::byte* scratch);

// Its two halves: integers (ARITHMETIC.md 3), and one fp32 chain for each output (AVX2.md 4, F).
void avx2_matmul_integers(const PackedMatrix& w, const MatmulInput& x, Range panels, Matrix<float> y,
                          std::byte* scratch);
void avx2_matmul_floats(const PackedMatrix& w, Matrix<const float> x, Range panels, Matrix<float> y,
                        std::byte* scratch);

}  // namespace slipstream
