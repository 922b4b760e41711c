#include "kernels/integer_product.h"

#include <immintrin.h>

#include <cstring>

#include "kernels/stream_tuning.h"

namespace slipstream {
namespace {

constexpr uint32_t kInputBlock = 2048;  // inputs of a row block, unless one bias block is longer

// What one thread needs beside its sums. At the first page of `scratch`.
struct Workspace {
  ReadyChunk ready;
  BiasSpace biases;
};
constexpr size_t kPage = alignof(Workspace);
static_assert(sizeof(Workspace) + kPage <= 64 << 10);  // matmul_scratch_bytes

struct Product {
  const IntegerKernels& kernels;
  const PackedMatrix& w;
  const std::byte* x;
  ActivationLayout activations;
  BlockLayout block;
  size_t panel_bytes;
  uint32_t bias_block_chunks;  // 4, 8 or 16
  StreamTuning tuning;
  Matrix<float> y;
  Workspace& workspace;
  float* sums;         // [tile_panels][rows][16]: v of the rows at work
  float* narrow_sums;  // [rows][16]: v of a last panel that has fewer than 16 rows, between input blocks

  TileInput tile_input(uint32_t chunk, uint32_t tile) const {
    return {x + activations.values_at(chunk, tile),
            reinterpret_cast<const int32_t*>(x + activations.products_at(w.format.group, chunk, tile)),
            reinterpret_cast<const float*>(x + activations.d_at(chunk, activations.tile_begin(tile))),
            tuning.prefetch_bytes};
  }
  WeightPanel panel(uint32_t index) const { return WeightPanel(w, index, block, panel_bytes); }
  uint32_t width(uint32_t panel_index) const { return smaller(kPanelRows, w.rows - panel_index * kPanelRows); }
};

// The rows [begin, end) of one panel: sums -> y.
void store_rows(const Product& product, uint32_t panel, uint32_t begin, uint32_t end, const float* sums) {
  const uint32_t width = product.width(panel);
  for (uint32_t row = begin; row < end; ++row) {
    float* to = product.y.row(row) + panel * kPanelRows;
    const float* from = sums + static_cast<size_t>(row - begin) * kPanelRows;
    if (width < kPanelRows) {
      memcpy(to, from, width * sizeof(float));
    } else {
      memcpy(to, from, sizeof(PanelLanes));
    }
  }
}

// Biases are added when a bias block is complete: after its last chunk, or the row's.
bool bias_block_ends(const Product& product, uint32_t chunk) {
  return product.w.format.type == WeightType::kUnsigned &&
         ((chunk + 1) % product.bias_block_chunks == 0 || chunk + 1 == product.activations.chunks);
}

void add_bias_block(const Product& product, const WeightPanel& panel, uint32_t chunk, uint32_t begin, uint32_t end,
                    float* sums) {
  const uint32_t bias_block = chunk / product.bias_block_chunks;
  const std::byte* input_sums = product.x + product.activations.sums_at(panel.format.group, bias_block, begin);
  product.kernels.add_biases(panel, bias_block, end - begin, input_sums, sums, product.workspace.biases);
}

// -- few rows ------------------------------------------------------------------------------------
constexpr uint32_t kMaxStreamTiles = 4;
constexpr uint32_t kMaxStreamRows = 48;
constexpr uint32_t kMaxStreams = 4;
constexpr uint32_t kTunedRows = 2;  // more wait for arithmetic
static_assert(kMaxStreams * kTunedRows <= kMaxStreamRows);

// Panels `first`, first + apart ..., chunk by chunk side by side: each is a stream from memory of its own.
void stream_some(const Product& product, const StreamFunction* functions, uint32_t first, uint32_t streams,
                 uint32_t apart) {
  const ActivationLayout& activations = product.activations;
  alignas(64) PanelLanes sums[kMaxStreamRows];  // [streams][rows]
  const uint32_t rows = activations.rows;
  memset(sums, 0, streams * rows * sizeof(PanelLanes));
  for (uint32_t chunk = 0; chunk < activations.chunks; ++chunk) {
    for (uint32_t s = 0; s < streams; ++s) {
      const WeightPanel panel = product.panel(first + s * apart);
      for (uint32_t tile = 0; tile < activations.tiles; ++tile) {
        functions[tile](panel, chunk, product.tile_input(chunk, tile), sums[s * rows + activations.tile_begin(tile)]);
      }
      if (bias_block_ends(product, chunk)) add_bias_block(product, panel, chunk, 0, rows, sums[s * rows]);
    }
  }
  for (uint32_t s = 0; s < streams; ++s) store_rows(product, first + s * apart, 0, rows, sums[s * rows]);
}

void stream_panels(const Product& product, Range panels) {
  if (panels.empty()) return;
  const ActivationLayout& activations = product.activations;
  StreamFunction functions[kMaxStreamTiles] = {};
  for (uint32_t tile = 0; tile < activations.tiles; ++tile) {
    functions[tile] = product.kernels.stream_function(
        product.w.format, activations.tile_begin(tile + 1) - activations.tile_begin(tile));
  }
  const uint32_t most = activations.rows <= kTunedRows ? smaller(product.tuning.streams, kMaxStreams) : 1;
  const uint32_t streams = smaller(most, panels.size());
  const uint32_t apart = panels.size() / streams;
  const Range together{panels.begin, panels.begin + apart};
  for (uint32_t p = together.begin; p < together.end; ++p) {
    stream_some(product, functions, p, streams, apart);
  }
  for (uint32_t p = panels.begin + apart * streams; p < panels.end; ++p) stream_some(product, functions, p, 1, 0);
}

// -- many rows -----------------------------------------------------------------------------------
struct TileRange {
  uint32_t begin, end;
};

// One or two neighbouring panels. Where two are asked for and one is left, it is both, and what the second gives is
// not looked at.
struct PanelGroup {
  uint32_t first;
  uint32_t count;  // that are different
  uint32_t of(uint32_t place) const { return first + smaller(place, count - 1); }
};

void fetch_lines(const std::byte* from, uint32_t begin, uint32_t end) {
  for (uint32_t line = begin; line < end; ++line) {
    _mm_prefetch(reinterpret_cast<const char*>(from) + line * 64, _MM_HINT_T1);
  }
}

// What store_rows and load_sums soon touch: a line of each row, a page or more apart, which no hardware foresees.
void fetch_outputs(const Product& product, const PanelGroup& group, uint32_t begin, uint32_t end) {
  for (uint32_t row = begin; row < end; ++row) {
    fetch_lines(reinterpret_cast<const std::byte*>(product.y.row(row) + group.first * kPanelRows), 0, group.count);
  }
}

// One chunk of the panels against the tiles of a row block. The weights of two chunks further on are fetched
// meanwhile, and with the `last` one what the sums are stored to.
void multiply_chunk(const Product& product, const PanelGroup& group, uint32_t chunk, bool last, TileRange tiles,
                    size_t sums_stride) {
  const uint32_t tile_panels = product.kernels.tile_panels;
  ReadyChunk& ready = product.workspace.ready;
  const std::byte* ahead[kMaxTilePanels] = {};
  size_t chunk_bytes = 0;
  for (uint32_t i = 0; i < tile_panels; ++i) {
    const WeightPanel panel = product.panel(group.of(i));
    product.kernels.make_ready(panel, chunk, i, ready);
    ahead[i] = panel.chunk_at(chunk + 2);
    chunk_bytes = panel.chunk_bytes();
  }
  const uint32_t lines = static_cast<uint32_t>(chunk_bytes / 64);
  const uint32_t lines_each = (lines + tiles.end - tiles.begin - 1) / (tiles.end - tiles.begin);
  uint32_t line = 0;
  const ActivationLayout& activations = product.activations;
  const uint32_t first_row = activations.tile_begin(tiles.begin);
  for (uint32_t tile = tiles.begin; tile < tiles.end; ++tile) {
    const uint32_t end = smaller(line + lines_each, lines);
    for (uint32_t i = 0; i < group.count; ++i) fetch_lines(ahead[i], line, end);
    line = end;
    const uint32_t row = activations.tile_begin(tile), row_end = activations.tile_begin(tile + 1);
    if (last) fetch_outputs(product, group, row, row_end);
    product.kernels.multiply_tile(ready, row_end - row, product.tile_input(chunk, tile),
                                  product.sums + static_cast<size_t>(row - first_row) * kPanelRows, sums_stride);
  }
}

// A row block's sums of one panel stand in `sums` while an input block is worked on; between input blocks in y
// itself.
void load_sums(const Product& product, uint32_t panel, uint32_t begin, uint32_t end, bool first_inputs,
               float* sums) {
  const size_t bytes = static_cast<size_t>(end - begin) * sizeof(PanelLanes);
  if (first_inputs) {
    memset(sums, 0, bytes);
  } else if (product.width(panel) < kPanelRows) {
    memcpy(sums, product.narrow_sums, bytes);
  } else {
    for (uint32_t row = begin; row < end; ++row) {
      memcpy(sums + static_cast<size_t>(row - begin) * kPanelRows, product.y.row(row) + panel * kPanelRows,
             sizeof(PanelLanes));
    }
  }
}

void multiply_row_block(const Product& product, Range panels, TileRange tiles) {
  const uint32_t begin = product.activations.tile_begin(tiles.begin),
                 end = product.activations.tile_begin(tiles.end);
  const size_t sums_stride = static_cast<size_t>(end - begin) * kPanelRows;
  const uint32_t chunks = product.activations.chunks;
  const uint32_t block_chunks = product.bias_block_chunks * kChunkInputs > kInputBlock ? product.bias_block_chunks
                                                                                       : kInputBlock / kChunkInputs;
  for (uint32_t first = 0; first < chunks; first += block_chunks) {
    const uint32_t last = smaller(first + block_chunks, chunks);
    for (uint32_t p = panels.begin; p < panels.end; p += product.kernels.tile_panels) {
      const PanelGroup group{p, smaller(product.kernels.tile_panels, panels.end - p)};
      for (uint32_t i = 0; i < product.kernels.tile_panels; ++i) {
        load_sums(product, group.of(i), begin, end, first == 0, product.sums + i * sums_stride);
      }
      for (uint32_t chunk = first; chunk < last; ++chunk) {
        multiply_chunk(product, group, chunk, chunk + 1 == last, tiles, sums_stride);
        if (!bias_block_ends(product, chunk)) continue;
        for (uint32_t i = 0; i < group.count; ++i) {
          add_bias_block(product, product.panel(group.of(i)), chunk, begin, end, product.sums + i * sums_stride);
        }
      }
      for (uint32_t i = 0; i < group.count; ++i) {
        const float* sums = product.sums + i * sums_stride;
        if (last < chunks && product.width(group.of(i)) < kPanelRows) {
          memcpy(product.narrow_sums, sums, sums_stride * sizeof(float));
        } else {
          store_rows(product, group.of(i), begin, end, sums);
        }
      }
    }
  }
}

void multiply_many(const Product& product, Range panels) {
  const uint32_t tiles = product.activations.tiles;
  const uint32_t inputs = smaller(product.activations.chunks * kChunkInputs, kInputBlock);
  const size_t bytes = static_cast<size_t>(product.activations.rows) * inputs * sizeof(int16_t);
  uint32_t blocks = static_cast<uint32_t>((bytes - 1) / product.kernels.row_block_bytes + 1);
  blocks = smaller(blocks, tiles);
  for (uint32_t i = 0; i < blocks; ++i) {
    multiply_row_block(product, panels, {tiles * i / blocks, tiles * (i + 1) / blocks});
  }
}

}  // namespace

void multiply_integers(const IntegerKernels& kernels, const PackedMatrix& w, const MatmulInput& x, Range panels,
                       Matrix<float> y, std::byte* scratch) {
  const uint32_t rows = x.rows.rows;
  std::byte* page = scratch + (kPage - reinterpret_cast<uintptr_t>(scratch) % kPage) % kPage;
  auto* sums = reinterpret_cast<float*>(page + sizeof(Workspace));
  const Product product{
      .kernels = kernels,
      .w = w,
      .x = x.quantised,
      .activations = kernels.layout(rows, w.cols),
      .block = block_layout(w.format),
      .panel_bytes = packed_panel_bytes(w.format, w.cols),
      .bias_block_chunks = kBiasGroups * w.format.group / kChunkInputs,
      .tuning = stream_tunings().of(w.format.bits),
      .y = y,
      .workspace = *reinterpret_cast<Workspace*>(page),
      .sums = sums,
      .narrow_sums = sums + static_cast<size_t>(rows) * kPanelRows * kMaxTilePanels,
  };
  rows <= kernels.stream_rows ? stream_panels(product, panels) : multiply_many(product, panels);
}

}  // namespace slipstream
