// Panels of quantised weights made ready for the AVX-512 products (integer_product.h).
#pragma once

#include "kernels/integer_product.h"

namespace slipstream {

// Few rows or one: none is coupled, or all couples of the even parts. Many: where a vector has the width of two
// pipes, a couple costs three operations instead of two, of which one and not two must be a multiplication; five
// couples in eight keep both kinds of pipes busy. The last of the eight is not the last in time: see avx512_tile.cc.
inline constexpr Coupling kAvx512StreamCoupling{0xff, 0};
inline constexpr Coupling kAvx512TileCoupling{0b01011011, 0b01011011};

// How rows are laid out for these products.
ActivationLayout avx512_activation_layout(uint32_t rows, uint32_t cols);

void avx512_make_ready(const WeightPanel& panel, uint32_t chunk, uint32_t place, ReadyChunk& ready);
void avx512_load_scales(const WeightPanel& panel, uint32_t first_group, uint32_t groups, float* scales,
                        size_t stride);

}  // namespace slipstream
