#include "kernels/avx512_biases.h"
#include "kernels/avx512_matmul.h"
#include "kernels/avx512_matmul_floats.h"
#include "kernels/avx512_panel.h"
#include "kernels/avx512_stream.h"
#include "kernels/avx512_stream_bytes.h"
#include "kernels/avx512_tile.h"

namespace slipstream {
namespace {

constexpr uint32_t kStreamRows = 4 * kAvx512StreamTileRows;  // from here on widening once pays

StreamFunction stream_function(const MatrixFormat& format, uint32_t tile_rows) {
  return (tile_rows <= kAvx512BytesRows ? avx512_stream_bytes_function : avx512_stream_function)(format, tile_rows);
}

}  // namespace

ActivationLayout avx512_activation_layout(uint32_t rows, uint32_t cols) {
  if (rows > kStreamRows) {
    return activation_layout(rows, cols, (rows + kAvx512TileRows - 1) / kAvx512TileRows, kAvx512TileCoupling,
                             sizeof(uint16_t));
  }
  return activation_layout(rows, cols, (rows + kAvx512StreamTileRows - 1) / kAvx512StreamTileRows,
                           rows > kAvx512BytesRows ? kAvx512StreamCoupling : Coupling{.bytes = true}, sizeof(uint16_t));
}

void avx512_matmul(const PackedMatrix& w, const MatmulInput& x, Range panels, Matrix<float> y, std::byte* scratch) {
  static constexpr IntegerKernels kKernels{
      .layout = avx512_activation_layout,
      .stream_rows = kStreamRows,
      .stream_function = stream_function,
      .tile_panels = 2,
      .row_block_bytes = 512 << 10,
      .make_ready = avx512_make_ready,
      .multiply_tile = avx512_multiply_tile,
      .add_biases = avx512_add_biases,
  };
  if (x.rows.rows == 0) return;
  if (w.format.quantised() && x.quantised != nullptr) return multiply_integers(kKernels, w, x, panels, y, scratch);
  avx512_matmul_floats(w, x.rows, panels, y, scratch);
}

}  // namespace slipstream
