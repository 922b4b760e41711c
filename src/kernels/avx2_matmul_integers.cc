#include "kernels/avx2_matmul.h"
#include "kernels/avx2_panel.h"
#include "kernels/avx2_stream.h"
#include "kernels/avx2_tile.h"

namespace slipstream {
namespace {

constexpr uint32_t kStreamRows = kAvx2StreamTileRows;  // from here on widening once pays

}  // namespace

ActivationLayout avx2_activation_layout(uint32_t rows, uint32_t cols) {
  if (rows > kStreamRows) {
    return activation_layout(rows, cols, (rows + kAvx2TileRows - 1) / kAvx2TileRows, kAvx2TileCoupling, sizeof(float));
  }
  return activation_layout(rows, cols, (rows + kAvx2StreamTileRows - 1) / kAvx2StreamTileRows, Coupling{},
                           sizeof(float));
}

void avx2_matmul_integers(const PackedMatrix& w, const MatmulInput& x, Range panels, Matrix<float> y,
                          std::byte* scratch) {
  static constexpr IntegerKernels kKernels{
      .layout = avx2_activation_layout,
      .stream_rows = kStreamRows,
      .stream_function = avx2_stream_function,
      .tile_panels = 1,
      .row_block_bytes = 256 << 10,  // L2: 512 KB on Zen 2 and 3
      .make_ready = avx2_make_ready,
      .multiply_tile = avx2_multiply_tile,
      .add_biases = avx2_add_biases,
  };
  multiply_integers(kKernels, w, x, panels, y, scratch);
}

}  // namespace slipstream
