// Activations as integers, laid out for AVX2 (ARITHMETIC.md 3, AVX2.md 3).
//
// Rows are multiplied in tiles of at most 6, as equal as can be: 13 rows are tiles of 4, 4 and 5.
//
//   values   [chunk of 256 inputs][tile][128 pairs][rows of the tile] pairs of int16. Of every 4 inputs the pairs are
//            (0, 2) and (1, 3): what masking and shifting the bytes of the weights gives.
//   d        [chunk][row] fp32
//   sums     for each group size 32, 64, 128: [bias block of 32 groups][row][high, low][32] fp32: float(sum of the
//            group's integers) * d in two bf16 parts; groups beyond the row's end are 0.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/matrix.h"
#include "base/thread_pool.h"
#include "kernels/fixed_arithmetic.h"

namespace slipstream {

inline constexpr uint32_t kTileRows = 6;  // 12 of the 16 registers are sums
inline constexpr uint32_t kChunkPairs = kChunkInputs / 2;
inline constexpr uint32_t kNumGroupSizes = 3;
inline constexpr uint32_t kGroupSizes[kNumGroupSizes] = {32, 64, 128};

struct ActivationLayout {
  uint32_t rows = 0;
  uint32_t chunks = 0;
  uint32_t tiles = 0;
  size_t d_offset = 0;
  size_t sums_offset[kNumGroupSizes] = {};  // of group sizes 32, 64, 128
  size_t bytes = 0;

  uint32_t tile_begin(uint32_t tile) const {
    return static_cast<uint32_t>(static_cast<uint64_t>(tile) * rows / tiles);
  }
  uint32_t tile_of(uint32_t row) const {
    return static_cast<uint32_t>(((static_cast<uint64_t>(row) + 1) * tiles - 1) / rows);
  }
  // In bytes from the buffer's begin.
  size_t values_at(uint32_t chunk, uint32_t tile) const {
    return (static_cast<size_t>(chunk) * rows + tile_begin(tile)) * kChunkPairs * 4;
  }
  size_t d_at(uint32_t chunk, uint32_t row) const {
    return d_offset + (static_cast<size_t>(chunk) * rows + row) * 4;
  }
  size_t sums_at(uint32_t group, uint32_t bias_block, uint32_t row) const {
    return sums_offset[group / 64] + (static_cast<size_t>(bias_block) * rows + row) * 2 * kBiasGroups * 4;
  }
};

static inline ActivationLayout activation_layout(uint32_t rows, uint32_t cols) {
  ActivationLayout layout;
  layout.rows = rows;
  layout.chunks = (cols + kChunkInputs - 1) / kChunkInputs;
  layout.tiles = (rows + kTileRows - 1) / kTileRows;
  size_t offset = static_cast<size_t>(layout.chunks) * rows * kChunkPairs * 4;
  layout.d_offset = offset;
  offset += static_cast<size_t>(layout.chunks) * rows * 4;
  for (uint32_t i = 0; i < kNumGroupSizes; ++i) {
    offset = (offset + 63) / 64 * 64;
    layout.sums_offset[i] = offset;
    const uint32_t inputs = kBiasGroups * kGroupSizes[i];
    offset += static_cast<size_t>((cols + inputs - 1) / inputs) * rows * 2 * kBiasGroups * 4;
  }
  layout.bytes = (offset + 63) / 64 * 64;
  return layout;
}

size_t avx2_quantised_bytes(uint32_t num_rows, uint32_t cols);
void avx2_quantise(Matrix<const float> x, Range which, std::byte* out, uint8_t* finite);

}  // namespace slipstream
