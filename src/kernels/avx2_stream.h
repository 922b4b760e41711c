// The integer inner loop for few rows: one chunk of one panel, its weights widened in registers on their way from
// memory.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/avx2_panel.h"

namespace slipstream {

// v[r] = fma(acc, d[r], v[r]) with acc = the chunk's groups in order, acc = fma(float(I), scale, acc), for the rows
// of one tile. x: the tile's pairs of this chunk (ActivationLayout). v: [rows][16].
using Avx2StreamFunction = void (*)(const Avx2Panel& panel, uint32_t chunk, const std::byte* x, const float* d,
                                    float* v);

// For tiles of 1 .. 6 rows. Null for a format that has no path of its own (4 bits signed): that goes through
// avx2_widen_chunk.
Avx2StreamFunction avx2_stream_function(const MatrixFormat& format, uint32_t rows);

}  // namespace slipstream
