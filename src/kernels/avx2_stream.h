// The integer inner loop for few rows: one chunk of one panel, its weights widened in registers on their way from
// memory.
#pragma once

#include "kernels/integer_product.h"

namespace slipstream {

// For tiles of 1 .. 6 rows.
StreamFunction avx2_stream_function(const MatrixFormat& format, uint32_t tile_rows);

}  // namespace slipstream
