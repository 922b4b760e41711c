// Panels of quantised weights made ready for the AVX2 products, and their biases (integer_product.h).
#pragma once

#include "kernels/avx2_lanes.h"
#include "kernels/integer_product.h"

namespace slipstream {

// How rows are laid out for these products: tiles of at most 6 rows, nothing coupled.
inline constexpr uint32_t kAvx2TileRows = 6;  // 12 of the 16 registers are sums
ActivationLayout avx2_activation_layout(uint32_t rows, uint32_t cols);

// Of a chunk's values only whole groups that exist are written.
void avx2_make_ready(const WeightPanel& panel, uint32_t chunk, uint32_t place, ReadyChunk& ready);
void avx2_load_biases(const WeightPanel& panel, uint32_t bias_block, PanelBiases& biases);
void avx2_add_biases(const PanelBiases& biases, uint32_t rows, const float* sums, float* v);
void avx2_add_biases_once(const WeightPanel& panel, uint32_t bias_block, const float* sums, float* v);

}  // namespace slipstream
