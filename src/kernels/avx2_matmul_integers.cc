// The integer product. Few rows: weights are widened in registers, on their way from memory, for each tile anew.
// Many: a chunk of one panel is widened into L1 and all tiles of a block of rows pass over it. Same bits either way
// (ARITHMETIC.md 3).

#include <cstring>

#include "kernels/avx2_matmul.h"
#include "kernels/avx2_stream.h"
#include "kernels/avx2_tile.h"

namespace slipstream {
namespace {

// A block of rows' integers should stay in half of an L2 of 512 KB while all panels pass over them.
constexpr size_t kRowBlockBytes = 256 << 10;
constexpr uint32_t kInputBlock = 2048;  // inputs of a row block, unless one bias block is longer

constexpr uint32_t kStreamTiles = 2;  // 12 rows: from 3 tiles on, widening once pays

// What one thread needs beside its sums. At the begin of `scratch`.
struct Workspace {
  Avx2Chunk chunk;
  Avx2Biases biases;
};

struct Product {
  const PackedMatrix& w;
  const std::byte* x;
  ActivationLayout activations;
  BlockLayout block;
  size_t panel_bytes;
  uint32_t chunk_groups;       // of a whole chunk
  uint32_t bias_block_chunks;  // 4, 8 or 16
  Matrix<float> y;
  Workspace& workspace;
  float* sums;         // [rows][16]: v of the rows at work
  float* narrow_sums;  // [rows][16]: v of a last panel that has fewer than 16 rows, between input blocks

  const std::byte* values(uint32_t chunk, uint32_t tile) const { return x + activations.values_at(chunk, tile); }
  const float* d(uint32_t chunk, uint32_t row) const {
    return reinterpret_cast<const float*>(x + activations.d_at(chunk, row));
  }
  const float* input_sums(uint32_t bias_block, uint32_t row) const {
    return reinterpret_cast<const float*>(x + activations.sums_at(w.format.group, bias_block, row));
  }
  Avx2Panel panel(uint32_t index) const { return Avx2Panel(w, index, block, panel_bytes); }
  uint32_t width(uint32_t panel_index) const { return smaller(kPanelRows, w.rows - panel_index * kPanelRows); }
};

// The rows [begin, end) of one panel: sums -> y.
void store_rows(const Product& product, uint32_t panel, uint32_t begin, uint32_t end) {
  const uint32_t width = product.width(panel);
  for (uint32_t row = begin; row < end; ++row) {
    float* to = product.y.row(row) + panel * kPanelRows;
    const float* from = product.sums + static_cast<size_t>(row - begin) * kPanelRows;
    if (width < kPanelRows) {
      memcpy(to, from, width * sizeof(float));
      continue;
    }
    _mm256_storeu_ps(to, _mm256_loadu_ps(from));
    _mm256_storeu_ps(to + 8, _mm256_loadu_ps(from + 8));
  }
}

// Biases are added when a bias block is complete: after its last chunk, or the row's.
bool bias_block_ends(const Product& product, uint32_t chunk) {
  return product.w.format.type == WeightType::kUnsigned &&
         ((chunk + 1) % product.bias_block_chunks == 0 || chunk + 1 == product.activations.chunks);
}

void add_bias_block(const Product& product, const Avx2Panel& panel, uint32_t chunk, uint32_t begin, uint32_t end) {
  const uint32_t bias_block = chunk / product.bias_block_chunks;
  if (end - begin == 1) {
    return avx2_add_biases_once(panel, bias_block, product.input_sums(bias_block, begin), product.sums);
  }
  avx2_load_biases(panel, bias_block, product.workspace.biases);
  avx2_add_biases(product.workspace.biases, end - begin, product.input_sums(bias_block, begin), product.sums);
}

// -- few rows ------------------------------------------------------------------------------------
struct TileFunctions {
  Avx2StreamFunction of[kStreamTiles];
};

void stream_panel(const Product& product, const TileFunctions& functions, uint32_t panel_index) {
  const Avx2Panel panel = product.panel(panel_index);
  const ActivationLayout& activations = product.activations;
  memset(product.sums, 0, activations.rows * sizeof(PanelLanes));
  for (uint32_t chunk = 0; chunk < activations.chunks; ++chunk) {
    for (uint32_t tile = 0; tile < activations.tiles; ++tile) {
      const uint32_t row = activations.tile_begin(tile);
      functions.of[tile](panel, chunk, product.values(chunk, tile), product.d(chunk, row),
                         product.sums + row * kPanelRows);
    }
    if (bias_block_ends(product, chunk)) add_bias_block(product, panel, chunk, 0, activations.rows);
  }
  store_rows(product, panel_index, 0, activations.rows);
}

// -- many rows -----------------------------------------------------------------------------------
struct TileRange {
  uint32_t begin, end;
};

// One chunk of one panel against the tiles of a row block. The weights of two chunks further on are fetched
// meanwhile.
void multiply_chunk(const Product& product, const Avx2Panel& panel, uint32_t chunk, TileRange tiles) {
  Avx2Chunk& ready = product.workspace.chunk;
  ready.group = panel.format.group;
  ready.num_groups = panel.chunk_groups(chunk);
  avx2_widen_chunk(panel, chunk, ready.values);
  for (uint32_t g = 0; g < ready.num_groups; ++g) panel.scales(chunk * product.chunk_groups + g, ready.scales[g]);

  const std::byte* ahead = panel.chunk_at(chunk + 2);
  const uint32_t lines = static_cast<uint32_t>(panel.chunk_bytes() / 64);
  const uint32_t lines_each = (lines + tiles.end - tiles.begin - 1) / (tiles.end - tiles.begin);
  uint32_t line = 0;
  const ActivationLayout& activations = product.activations;
  const uint32_t first_row = activations.tile_begin(tiles.begin);
  for (uint32_t tile = tiles.begin; tile < tiles.end; ++tile) {
    for (uint32_t i = 0; i < lines_each && line < lines; ++i, ++line) {
      _mm_prefetch(reinterpret_cast<const char*>(ahead) + line * 64, _MM_HINT_T1);
    }
    const uint32_t row = activations.tile_begin(tile);
    avx2_multiply_tile(ready, activations.tile_begin(tile + 1) - row, product.values(chunk, tile),
                       product.d(chunk, row), product.sums + static_cast<size_t>(row - first_row) * kPanelRows);
  }
}

// A row block's sums of one panel stand in `sums` while an input block is worked on; between input blocks in y
// itself.
void load_sums(const Product& product, uint32_t panel, uint32_t begin, uint32_t end, bool first_inputs) {
  const size_t bytes = static_cast<size_t>(end - begin) * sizeof(PanelLanes);
  if (first_inputs) {
    memset(product.sums, 0, bytes);
  } else if (product.width(panel) < kPanelRows) {
    memcpy(product.sums, product.narrow_sums, bytes);
  } else {
    for (uint32_t row = begin; row < end; ++row) {
      memcpy(product.sums + static_cast<size_t>(row - begin) * kPanelRows, product.y.row(row) + panel * kPanelRows,
             sizeof(PanelLanes));
    }
  }
}

void multiply_row_block(const Product& product, Range panels, TileRange tiles) {
  const uint32_t begin = product.activations.tile_begin(tiles.begin),
                 end = product.activations.tile_begin(tiles.end);
  const uint32_t chunks = product.activations.chunks;
  const uint32_t block_chunks = product.bias_block_chunks * kChunkInputs > kInputBlock ? product.bias_block_chunks
                                                                                       : kInputBlock / kChunkInputs;
  for (uint32_t first = 0; first < chunks; first += block_chunks) {
    const uint32_t last = smaller(first + block_chunks, chunks);
    for (uint32_t p = panels.begin; p < panels.end; ++p) {
      const Avx2Panel panel = product.panel(p);
      load_sums(product, p, begin, end, first == 0);
      for (uint32_t chunk = first; chunk < last; ++chunk) {
        multiply_chunk(product, panel, chunk, tiles);
        if (bias_block_ends(product, chunk)) add_bias_block(product, panel, chunk, begin, end);
      }
      if (last < chunks && product.width(p) < kPanelRows) {
        memcpy(product.narrow_sums, product.sums, static_cast<size_t>(end - begin) * sizeof(PanelLanes));
      } else {
        store_rows(product, p, begin, end);
      }
    }
  }
}

void multiply_many(const Product& product, Range panels) {
  const uint32_t tiles = product.activations.tiles;
  const uint32_t inputs = smaller(product.activations.chunks * kChunkInputs, kInputBlock);
  const size_t bytes = static_cast<size_t>(product.activations.rows) * inputs * sizeof(int16_t);
  uint32_t blocks = static_cast<uint32_t>((bytes + kRowBlockBytes - 1) / kRowBlockBytes);
  blocks = smaller(blocks < 1 ? 1 : blocks, tiles);
  for (uint32_t i = 0; i < blocks; ++i) {
    multiply_row_block(product, panels, {tiles * i / blocks, tiles * (i + 1) / blocks});
  }
}

}  // namespace

void avx2_matmul_integers(const PackedMatrix& w, const MatmulInput& x, Range panels, Matrix<float> y,
                          std::byte* scratch) {
  const uint32_t rows = x.rows.rows;
  auto* sums = reinterpret_cast<float*>(scratch + sizeof(Workspace));
  const Product product{
      .w = w,
      .x = x.quantised,
      .activations = activation_layout(rows, w.cols),
      .block = block_layout(w.format),
      .panel_bytes = packed_panel_bytes(w.format, w.cols),
      .chunk_groups = kChunkInputs / w.format.group,
      .bias_block_chunks = kBiasGroups * w.format.group / kChunkInputs,
      .y = y,
      .workspace = *reinterpret_cast<Workspace*>(scratch),
      .sums = sums,
      .narrow_sums = sums + static_cast<size_t>(rows) * kPanelRows,
  };
  TileFunctions functions = {};
  for (uint32_t tile = 0; tile < kStreamTiles && tile < product.activations.tiles; ++tile) {
    functions.of[tile] = avx2_stream_function(
        w.format, product.activations.tile_begin(tile + 1) - product.activations.tile_begin(tile));
  }
  if (product.activations.tiles > kStreamTiles || functions.of[0] == nullptr) return multiply_many(product, panels);
  for (uint32_t p = panels.begin; p < panels.end; ++p) stream_panel(product, functions, p);
}

}  // namespace slipstream
