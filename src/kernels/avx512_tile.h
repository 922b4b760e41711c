// The integer inner loop over weights already widened: R rows x 2 panels x one chunk.
#pragma once

#include "kernels/integer_product.h"

namespace slipstream {

inline constexpr uint32_t kAvx512TileRows = 8;

// For 1 <= rows <= 8, coupled as kAvx512TileCoupling says.
void avx512_multiply_tile(ReadyChunk& ready, uint32_t rows, const TileInput& x, float* v, size_t v_stride);

}  // namespace slipstream
