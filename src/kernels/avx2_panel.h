// Panels of quantised weights made ready for the AVX2 products, and their biases (integer_product.h).
#pragma once

#include "kernels/avx2_lanes.h"
#include "kernels/integer_product.h"

namespace slipstream {

inline constexpr uint32_t kAvx2TileRows = 4;        // 8 of the 16 registers are sums
inline constexpr uint32_t kAvx2StreamTileRows = 6;  // 12 of them
inline constexpr Coupling kAvx2TileCoupling{0xff, 0xff};

// How rows are laid out for these products.
ActivationLayout avx2_activation_layout(uint32_t rows, uint32_t cols);

// Of a chunk's values only whole groups that exist are written.
void avx2_make_ready(const WeightPanel& panel, uint32_t chunk, uint32_t place, ReadyChunk& ready);
// sums: [rows][high, low][32] fp32.
void avx2_add_biases(const WeightPanel& panel, uint32_t bias_block, uint32_t rows, const std::byte* sums, float* v,
                     BiasSpace& space);

}  // namespace slipstream
