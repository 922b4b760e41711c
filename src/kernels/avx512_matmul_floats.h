// The fp32 half of AVX-512's matrix product (kernels.h; AVX2.md 4, F).
#pragma once

#include "kernels/kernels.h"

namespace slipstream {

// One fp32 chain for each output: unquantised weights, and every type in fp32 mode. scratch: as Kernels::matmul.
void avx512_matmul_floats(const PackedMatrix& w, Matrix<const float> x, Range panels, Matrix<float> y,
                          std::byte* scratch);

}  // namespace slipstream
