// The function tables behind kernels.h, one per instruction set. Each is called only where the processor has what it
// needs.
#pragma once

#include "kernels/kernels.h"

namespace slipstream {

const Kernels& reference_kernels();
const Kernels& avx2_kernels();
const Kernels& avx512_kernels();
const Kernels& avx512_coupled_kernels();

// Whether the coupled products are the faster ones, as additions have pipes of their own here: measured, which takes
// less than a millisecond.
bool avx512_coupling_pays();

}  // namespace slipstream
