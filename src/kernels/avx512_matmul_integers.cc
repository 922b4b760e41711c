#include "kernels/avx512_biases.h"
#include "kernels/avx512_matmul.h"
#include "kernels/avx512_matmul_floats.h"
#include "kernels/avx512_panel.h"
#include "kernels/avx512_plain_tile.h"
#include "kernels/avx512_stream.h"
#include "kernels/avx512_stream_bytes.h"
#include "kernels/avx512_tile.h"

namespace slipstream {
namespace {

constexpr size_t kRowBlockBytes = 512 << 10;
// From here on widening once pays.
constexpr uint32_t kStreamRows = 2 * kAvx512BytesRows, kCoupledStreamRows = 4 * kAvx512StreamTileRows;
constexpr uint32_t kCoupledBytesRows = 2;  // from here on coupling pays

StreamFunction coupled_stream_function(const MatrixFormat& format, uint32_t tile_rows) {
  return (tile_rows <= kCoupledBytesRows ? avx512_stream_bytes_function : avx512_stream_function)(format, tile_rows);
}

uint32_t num_tiles(uint32_t rows, uint32_t tile_rows) { return (rows + tile_rows - 1) / tile_rows; }

void multiply(const IntegerKernels& kernels, const PackedMatrix& w, const MatmulInput& x, Range panels, Matrix<float> y,
              std::byte* scratch) {
  if (x.rows.rows == 0) return;
  if (w.format.quantised() && x.quantised != nullptr) return multiply_integers(kernels, w, x, panels, y, scratch);
  avx512_matmul_floats(w, x.rows, panels, y, scratch);
}

}  // namespace

ActivationLayout avx512_activation_layout(uint32_t rows, uint32_t cols) {
  if (rows > kStreamRows) {
    return activation_layout(rows, cols, num_tiles(rows, kAvx512PlainTileRows), Coupling{}, sizeof(float));
  }
  return activation_layout(rows, cols, num_tiles(rows, kAvx512BytesRows), Coupling{.bytes = true}, sizeof(float));
}

ActivationLayout avx512_coupled_activation_layout(uint32_t rows, uint32_t cols) {
  if (rows > kCoupledStreamRows) {
    return activation_layout(rows, cols, num_tiles(rows, kAvx512TileRows), kAvx512TileCoupling, sizeof(uint16_t));
  }
  return activation_layout(rows, cols, num_tiles(rows, kAvx512StreamTileRows),
                           rows > kCoupledBytesRows ? kAvx512StreamCoupling : Coupling{.bytes = true},
                           sizeof(uint16_t));
}

void avx512_matmul(const PackedMatrix& w, const MatmulInput& x, Range panels, Matrix<float> y, std::byte* scratch) {
  static constexpr IntegerKernels kKernels{
      .layout = avx512_activation_layout,
      .stream_rows = kStreamRows,
      .stream_function = avx512_stream_bytes_function,
      .tile_panels = 2,
      .row_block_bytes = kRowBlockBytes,
      .make_ready = avx512_make_ready,
      .multiply_tile = avx512_multiply_plain_tile,
      .add_biases = avx512_add_biases,
  };
  multiply(kKernels, w, x, panels, y, scratch);
}

void avx512_coupled_matmul(const PackedMatrix& w, const MatmulInput& x, Range panels, Matrix<float> y,
                           std::byte* scratch) {
  static constexpr IntegerKernels kKernels{
      .layout = avx512_coupled_activation_layout,
      .stream_rows = kCoupledStreamRows,
      .stream_function = coupled_stream_function,
      .tile_panels = 2,
      .row_block_bytes = kRowBlockBytes,
      .make_ready = avx512_make_coupled_ready,
      .multiply_tile = avx512_multiply_tile,
      .add_biases = avx512_add_biases_in_pairs,
  };
  multiply(kKernels, w, x, panels, y, scratch);
}

}  // namespace slipstream
