// The integer inner loop over weights already widened: R rows x 16 outputs x one chunk.
#pragma once

#include <cstdint>

#include "kernels/avx2_panel.h"

namespace slipstream {

// A chunk of one panel, made ready for many rows: lives in L1.
struct Avx2Chunk {
  alignas(64) uint32_t values[kChunkPairs * kPanelRows];  // avx2_widen_chunk
  alignas(64) PanelLanes scales[kChunkInputs / 32];
  uint32_t num_groups;
  uint32_t group;
};

// v[r] = fma(acc, d[r], v[r]) with acc = the chunk's groups in order, acc = fma(float(I), scale, acc), for 1 <= rows
// <= 6. x: the tile's pairs of this chunk (ActivationLayout). v: [rows][16].
void avx2_multiply_tile(const Avx2Chunk& chunk, uint32_t rows, const std::byte* x, const float* d, float* v);

}  // namespace slipstream
