// Activations as integers, laid out as the products of AVX2 and AVX-512 read them (ARITHMETIC.md 3, AVX2.md 3).
//
// Rows are multiplied in tiles, as equal as can be: 13 rows in tiles of at most 6 are tiles of 4, 4 and 5.
//
//   values    [chunk of 256 inputs][tile][128 pairs][rows of the tile] pairs of int16. Of every 4 inputs the pairs are
//             (0, 2) and (1, 3): what masking and shifting the bytes of the weights gives.
//             Where rows are so few that weights stay bytes (avx512_stream_bytes.h): of every 32 inputs first the low
//             bytes, then the high ones, [8 words of 4 inputs][rows] of either.
//   d         [chunk][row] fp32
//   sums      for each group size 32, 64, 128: [bias block of 32 groups][row][high, low][32 groups]: float(sum of the
//             group's integers) * d in two bf16 parts; groups beyond the row's end are 0. As an instruction set wants
//             them: fp32, or bf16 in pairs.
//   products  for each group size: [chunk][tile][groups of a chunk][rows of the tile] int32, see below.
//
// Half of the multiplications can be replaced by additions (Winograd 1968). Of a couple of pairs, 4 inputs of a row x
// with 4 weights q,
//
//   (x0 + q1)(x1 + q0) + (x2 + q3)(x3 + q2) = x0 q0 + x1 q1 + x2 q2 + x3 q3  +  x0 x1 + x2 x3  +  q0 q1 + q2 q3
//
// and the last two terms belong to the row alone and to the weights alone. int16 holds every x + q (32512 + 255 =
// 32767), and what is added too much goes away modulo 2^32, in which the sums of a group are kept; so the integers are
// the same. It pays where additions have pipes of their own, as on AMD's processors, and for some of the couples: see
// each kernel. `products` is minus the sum of x0 x1 + x2 x3 over the group's couples that are multiplied in this way;
// of activations as bytes it is minus 8 times their sum, by which signed weights as unsigned ones are too large.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/weight_panel.h"

namespace slipstream {

inline constexpr uint32_t kChunkPairs = kChunkInputs / 2;
inline constexpr uint32_t kPartInputs = 32;  // of a chunk's 8 parts, in each of which the couples are chosen anew
inline constexpr uint32_t kPartCouples = kPartInputs / 4;
inline constexpr uint32_t kChunkParts = kChunkInputs / kPartInputs;
inline constexpr uint32_t kNumGroupSizes = 3;
static constexpr uint32_t kGroupSizes[kNumGroupSizes] = {32, 64, 128};

// How rows are multiplied: as bytes, or which couples as above; bit j of a part's mask is inputs 4 j .. 4 j + 3.
struct Coupling {
  uint8_t even_part = 0;
  uint8_t odd_part = 0;
  bool bytes = false;
};

struct ActivationLayout {
  uint32_t rows = 0;
  uint32_t chunks = 0;
  uint32_t tiles = 0;
  Coupling coupling;
  uint32_t sum_bytes = 0;  // of one part of one sum: 4 or 2
  size_t d_offset = 0;
  size_t sums_offset[kNumGroupSizes] = {};      // of group sizes 32, 64, 128
  size_t products_offset[kNumGroupSizes] = {};  // the same
  size_t bytes = 0;

  SLIPSTREAM_INLINE uint32_t tile_begin(uint32_t tile) const {
    return static_cast<uint32_t>(static_cast<uint64_t>(tile) * rows / tiles);
  }
  SLIPSTREAM_INLINE uint32_t tile_of(uint32_t row) const {
    return static_cast<uint32_t>(((static_cast<uint64_t>(row) + 1) * tiles - 1) / rows);
  }
  // In bytes from the buffer's begin.
  SLIPSTREAM_INLINE size_t values_at(uint32_t chunk, uint32_t tile) const {
    return (static_cast<size_t>(chunk) * rows + tile_begin(tile)) * kChunkPairs * 4;
  }
  SLIPSTREAM_INLINE size_t d_at(uint32_t chunk, uint32_t row) const {
    return d_offset + (static_cast<size_t>(chunk) * rows + row) * 4;
  }
  SLIPSTREAM_INLINE size_t sums_at(uint32_t group, uint32_t bias_block, uint32_t row) const {
    return sums_offset[group / 64] + (static_cast<size_t>(bias_block) * rows + row) * 2 * kBiasGroups * sum_bytes;
  }
  SLIPSTREAM_INLINE size_t products_at(uint32_t group, uint32_t chunk, uint32_t tile) const {
    return products_offset[group / 64] +
           (static_cast<size_t>(chunk) * rows + tile_begin(tile)) * (kChunkInputs / group) * 4;
  }
};

// Of rows in so many tiles.
static inline ActivationLayout activation_layout(uint32_t rows, uint32_t cols, uint32_t tiles, Coupling coupling,
                                                 uint32_t sum_bytes) {
  ActivationLayout layout;
  layout.rows = rows;
  layout.chunks = (cols + kChunkInputs - 1) / kChunkInputs;
  layout.tiles = tiles;
  layout.coupling = coupling;
  layout.sum_bytes = sum_bytes;
  size_t offset = static_cast<size_t>(layout.chunks) * rows * kChunkPairs * 4;
  layout.d_offset = offset;
  offset += static_cast<size_t>(layout.chunks) * rows * 4;
  for (uint32_t i = 0; i < kNumGroupSizes; ++i) {
    offset = (offset + 63) / 64 * 64;
    layout.sums_offset[i] = offset;
    const uint32_t inputs = kBiasGroups * kGroupSizes[i];
    offset += static_cast<size_t>((cols + inputs - 1) / inputs) * rows * 2 * kBiasGroups * sum_bytes;
  }
  for (uint32_t i = 0; i < kNumGroupSizes; ++i) {
    layout.products_offset[i] = offset;
    offset += static_cast<size_t>(layout.chunks) * rows * (kChunkInputs / kGroupSizes[i]) * 4;
  }
  layout.bytes = (offset + 63) / 64 * 64;
  return layout;
}

}  // namespace slipstream
