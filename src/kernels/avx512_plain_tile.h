// The integer inner loop over weights already widened: R rows x 2 panels x one chunk, nothing of it coupled.
#pragma once

#include "kernels/integer_product.h"

namespace slipstream {

inline constexpr uint32_t kAvx512PlainTileRows = 12;

// For 1 <= rows <= 12.
void avx512_multiply_plain_tile(ReadyChunk& ready, uint32_t rows, const TileInput& x, float* v, size_t v_stride);

}  // namespace slipstream
