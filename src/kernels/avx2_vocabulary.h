// The operations over a vocabulary of kernels.h for AVX2.
#pragma once

#include "kernels/kernels.h"

namespace slipstream {

float avx2_weigh(const float* logits, uint32_t n, float max_logit, float scale, float* weights);
uint32_t avx2_divide(const float* logits, const float* weights, Range which, const LogitBracket& bracket,
                     uint32_t* inside, double* above);

}  // namespace slipstream
