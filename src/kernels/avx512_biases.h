// What the biases of a panel add to rows, with AVX-512 (integer_product.h): a chain of the arithmetic takes every
// second group, e = fma(x, b, e), and its factors are bf16 (ARITHMETIC.md 3).
#pragma once

#include "kernels/integer_product.h"

namespace slipstream {

// One FMA a step. sums: fp32.
void avx512_add_biases(const WeightPanel& panel, uint32_t bias_block, uint32_t rows, const std::byte* sums, float* v,
                       BiasSpace& space);

// Needs AVX512_BF16, and avx512_pairs_are_exact. Two steps are one VDPBF16PS, which multiplies the higher half of each
// pair first, rounds as two FMAs do, and flushes what is denormal. It takes one cycle on AMD's processors and five on
// Intel's. Sums and biases stand in pairs of bf16, [8 fours of groups][even, odd chain]: group 4 i + chain in the
// higher half, group 4 i + 2 + chain in the lower. A sum's two parts are 16 pairs each, high then low.
void avx512_add_biases_in_pairs(const WeightPanel& panel, uint32_t bias_block, uint32_t rows, const std::byte* sums,
                                float* v, BiasSpace& space);

// Needs AVX512_BF16: whether this processor's VDPBF16PS is the two FMAs said above, seen on some thousand numbers.
bool avx512_pairs_are_exact();

}  // namespace slipstream
