// The integer product of AVX2 and AVX-512 (ARITHMETIC.md 3): which panels, chunks and tiles of rows meet in which
// order. What they do when they meet is an instruction set's own.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/activation_layout.h"
#include "kernels/kernels.h"
#include "kernels/weight_panel.h"

namespace slipstream {

inline constexpr uint32_t kMaxTilePanels = 2;
inline constexpr uint32_t kMaxTileRows = 12;

// The rows of one tile in one chunk.
struct TileInput {
  const std::byte* values;    // [128 pairs][rows]
  const int32_t* products;    // [groups of a chunk][rows], for the weights' group size
  const float* d;             // [rows]
  size_t prefetch_bytes;      // ahead in the panel; StreamTuning
};

// A chunk of a panel or two, made ready for many rows: lives in L1. A load waits for a store shortly before it whose
// address has the same last 12 bits. `values` begin at a page, a part of 32 inputs takes 1 KB of each panel, and
// groups end after a whole number of parts: so what is stored then, `acc`, stands 1 KB behind a page's begin.
struct ReadyChunk {
  alignas(4096) uint32_t values[kMaxTilePanels][kChunkPairs * kPanelRows];  // [128 pairs][16] int16 pairs
  std::byte unused[1024];
  alignas(64) float acc[kMaxTilePanels * kMaxTileRows * kPanelRows];
  alignas(64) PanelLanes scales[kChunkParts][kMaxTilePanels];
  alignas(64) int32_t products[kChunkParts][kMaxTilePanels][kPanelRows];  // minus the groups' q0 q1 + q2 q3
  uint32_t num_groups;
  uint32_t group_parts;  // 1, 2, 4
};

// Room for the biases of one bias block of a panel, as an instruction set wants them.
struct BiasSpace {
  alignas(64) std::byte bytes[2 * kBiasGroups * sizeof(PanelLanes)];
};

// v[r] = fma(acc, d[r], v[r]) with acc = the chunk's groups in order, acc = fma(float(I), scale, acc), for the rows
// of one tile. v: [rows][16].
using StreamFunction = void (*)(const WeightPanel& panel, uint32_t chunk, const TileInput& x, float* v);

struct IntegerKernels {
  // How many rows are laid out: also says which way they go.
  ActivationLayout (*layout)(uint32_t rows, uint32_t cols);

  // Few rows, at most stream_rows: weights are widened in registers on their way from memory, for each tile anew.
  uint32_t stream_rows;
  StreamFunction (*stream_function)(const MatrixFormat& format, uint32_t tile_rows);

  // More rows: a chunk of tile_panels panels is widened once, and all tiles of a block of rows pass over it. v: for
  // panel i [rows][16] from v + i * v_stride.
  uint32_t tile_panels;
  size_t row_block_bytes;  // integers that should stay in half of L2 while all panels pass over them
  void (*make_ready)(const WeightPanel& panel, uint32_t chunk, uint32_t place, ReadyChunk& ready);
  void (*multiply_tile)(ReadyChunk& ready, uint32_t rows, const TileInput& x, float* v, size_t v_stride);

  // v[row][16] += a bias block's share for each row: planes xh bh, xl bh, xh bl, xl bl, each v + (even + odd).
  // sums: the first row's.
  void (*add_biases)(const WeightPanel& panel, uint32_t bias_block, uint32_t rows, const std::byte* sums, float* v,
                     BiasSpace& space);
};

// Kernels::matmul for quantised weights and activations laid out by kernels.layout.
void multiply_integers(const IntegerKernels& kernels, const PackedMatrix& w, const MatmulInput& x, Range panels,
                       Matrix<float> y, std::byte* scratch);

}  // namespace slipstream
