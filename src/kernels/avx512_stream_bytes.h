// The integer inner loop for a few rows: one chunk of one panel, its weights multiplied as the bytes they are, by
// VPDPBUSD. An activation of 16 bits is two bytes, x = 256 high + low with low in -128 .. 127, and so are the sums.
//
// That is as many multiplications as of 16-bit pairs, without widening the weights first. Where coupling pays, it does
// so from three rows on (avx512_stream.h).
#pragma once

#include "kernels/integer_product.h"

namespace slipstream {

inline constexpr uint32_t kAvx512BytesRows = 12;

// For tiles of 1 .. 12 rows.
StreamFunction avx512_stream_bytes_function(const MatrixFormat& format, uint32_t rows);

}  // namespace slipstream
