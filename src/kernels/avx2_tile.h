// The integer inner loop over weights already widened: R rows x 16 outputs x one chunk.
#pragma once

#include "kernels/integer_product.h"

namespace slipstream {

// For 1 <= rows <= kAvx2TileRows and one panel.
void avx2_multiply_tile(ReadyChunk& ready, uint32_t rows, const TileInput& x, float* v, size_t v_stride);

}  // namespace slipstream
