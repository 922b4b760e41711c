// The integer inner loop for few rows: one group of weights, widened in registers on its way from memory.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/avx2_panel.h"

namespace slipstream {

// acc[r] = fma(float(sum over the group of q x), scale, acc[r]) for `rows` rows. acc: [rows][16], 32-byte aligned.
using Avx2GroupFunction = void (*)(const std::byte* lines, const std::byte* x, const float* scale, float* acc);

// The functions for one format and number of rows (1 .. 6); a group of 32 with 4 bits is one half of the bytes of its block.
struct Avx2GroupFunctions {
  Avx2GroupFunction first = nullptr;   // of a block
  Avx2GroupFunction second = nullptr;  // group 32 only
};
// Nothing for formats that have no path of their own (4-bit signed): those go through avx2_widen_chunk.
Avx2GroupFunctions avx2_group_functions(const MatrixFormat& format, uint32_t rows);

}  // namespace slipstream
