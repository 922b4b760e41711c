// The integer inner loop for few rows: one chunk of one panel, its weights widened in registers on their way from
// memory.
#pragma once

#include "kernels/integer_product.h"

namespace slipstream {

inline constexpr uint32_t kAvx512StreamTileRows = 12;
inline constexpr uint32_t kAvx512PlainRows = 2;  // up to here memory is the limit, and nothing is coupled

// For tiles of 1 .. 12 rows; from 3 on coupled as kAvx512StreamCoupling says.
StreamFunction avx512_stream_function(const MatrixFormat& format, uint32_t tile_rows);

}  // namespace slipstream
