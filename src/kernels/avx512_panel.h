// Panels of quantised weights made ready for the AVX-512 products (integer_product.h).
#pragma once

#include "kernels/integer_product.h"

namespace slipstream {

// Coupling costs three operations where two were, of which one and not two is a multiplication. So of eight couples
// five keep both kinds of pipes busy, and four where weights must be shifted and masked besides.
inline constexpr Coupling kAvx512StreamCoupling{0b01010101, 0b10101010};
inline constexpr Coupling kAvx512TileCoupling{0b01011011, 0b01011011};

// How rows are laid out for these products.
ActivationLayout avx512_activation_layout(uint32_t rows, uint32_t cols);
ActivationLayout avx512_coupled_activation_layout(uint32_t rows, uint32_t cols);

void avx512_make_ready(const WeightPanel& panel, uint32_t chunk, uint32_t place, ReadyChunk& ready);
// With the products of what is coupled.
void avx512_make_coupled_ready(const WeightPanel& panel, uint32_t chunk, uint32_t place, ReadyChunk& ready);
void avx512_load_scales(const WeightPanel& panel, uint32_t first_group, uint32_t groups, float* scales, size_t stride);

}  // namespace slipstream
