// The integer inner loop for a few rows: one chunk of one panel, its weights widened in registers on their way from
// memory.
#pragma once

#include "kernels/integer_product.h"

namespace slipstream {

inline constexpr uint32_t kAvx512StreamTileRows = 12;

// For tiles of 3 .. 12 rows, coupled as kAvx512StreamCoupling says.
StreamFunction avx512_stream_function(const MatrixFormat& format, uint32_t tile_rows);

}  // namespace slipstream
