// Own elementary functions, the same bits everywhere; libm is not used by kernels, model or sample (ARITHMETIC.md 9).
#pragma once

#include <cstdint>

namespace slipstream {

// 2^x by the polynomial of AVX2.md 5.1, x clamped to [-126, 126]; relative error < 1e-7.
float exp2_fixed(float x);
// exp2_fixed(x * log2e), the product rounded once.
float exp_fixed(float x);

// Double precision, for what is worked out once per position or per row: a few ulp.
double exp_double(double x);
double log_double(double x);                      // x > 0
double pow_double(double base, double exponent);  // base > 0
struct SinCos {
  double sin;
  double cos;
};
SinCos sin_cos_double(double angle);  // |angle| < 1e9

}  // namespace slipstream
