#include "kernels/scalar_math.h"

#include <bit>
#include <cstdint>
#include <limits>

#include "kernels/fixed_arithmetic.h"

namespace slipstream {
namespace {

double fma(double a, double b, double c) { return __builtin_fma(a, b, c); }

// A number as the unevaluated sum of two doubles.
struct Pair {
  double high = 0;
  double low = 0;
};

// log(2) and pi / 2 in two parts, the first rounded to nearest.
constexpr Pair kLn2{0.69314718055994530942, 2.3190468138462995584e-17};
constexpr Pair kHalfPi{1.5707963267948965580, 6.1232339957367658860e-17};

// log(x) to about 2^-60 relative. x = 2^e m with m in [sqrt(1/2), sqrt(2)), s = (m - 1) / (m + 1), log m = 2 atanh s
// = 2 s + s^3 (2/3 + 2/5 s^2 + ...); s <= 0.172, so the last term kept, s^22 / 23, is 2^-60 of the first.
Pair log_pair(double x) {
  int64_t exponent_offset = 0;
  if (x < 0x1p-1022) {
    x *= 0x1p54;
    exponent_offset = -54;
  }
  uint64_t bits = std::bit_cast<uint64_t>(x);
  // Adding the distance from sqrt(1/2) to 1 lets the exponent field count from sqrt(1/2).
  bits += 0x3ff0000000000000 - 0x3fe6a09e667f3bcd;
  const double exponent = static_cast<double>(static_cast<int64_t>(bits >> 52) - 1023 + exponent_offset);
  const double m = std::bit_cast<double>((bits & 0x000fffffffffffff) + 0x3fe6a09e667f3bcd);

  const double numerator = m - 1.0;  // exact
  const double denominator = m + 1.0;
  const double denominator_low = m - (denominator - 1.0);
  const double s = numerator / denominator;
  const double s_low = (fma(-s, denominator, numerator) - s * denominator_low) / denominator;
  const double z = s * s;
  double series = 2.0 / 23;
  for (int n = 21; n >= 3; n -= 2) series = fma(series, z, 2.0 / n);
  const double tail = s * z * series;

  const double product = exponent * kLn2.high;
  const double product_low = fma(exponent, kLn2.high, -product) + exponent * kLn2.low;
  const double high = product + 2.0 * s;  // |product| >= |2 s| or product == 0
  const double low = (product - high) + 2.0 * s + (product_low + 2.0 * s_low + tail);
  const double sum = high + low;
  return {sum, (high - sum) + low};
}

// exp(x.high + x.low), |low| << |high|.
double exp_pair(Pair x) {
  if (x.high > 709.8) return std::numeric_limits<double>::infinity();
  if (x.high < -708.3) return 0.0;  // below the smallest normal number
  const double n = __builtin_rint(x.high * kLog2eDouble);
  const double r = fma(-n, kLn2.high, x.high);
  const double r_low = fma(-n, kLn2.low, x.low);
  // exp(r) = 1 + r + r^2 / 2 + ... + r^13 / 13!; |r| <= 0.347.
  constexpr double kInverseFactorials[] = {1.0 / 6227020800.0, 1.0 / 479001600.0, 1.0 / 39916800.0, 1.0 / 3628800.0,
                                           1.0 / 362880.0,     1.0 / 40320.0,     1.0 / 5040.0,     1.0 / 720.0,
                                           1.0 / 120.0,        1.0 / 24.0,        1.0 / 6.0,        0.5};
  double p = kInverseFactorials[0];
  for (int i = 1; i < 12; ++i) p = fma(p, r, kInverseFactorials[i]);
  const double square = r * r * p;
  const double value = 1.0 + (r + fma(r_low, 1.0 + (r + square), square));
  // 2^n in two steps, because n may be 1024.
  const int64_t exponent = static_cast<int64_t>(n);
  const int64_t half = exponent / 2;
  return value * std::bit_cast<double>(static_cast<uint64_t>(half + 1023) << 52) *
         std::bit_cast<double>(static_cast<uint64_t>(exponent - half + 1023) << 52);
}

}  // namespace

float exp2_fixed(float x) { return exp2_polynomial(x); }

float exp_fixed(float x) { return exp2_polynomial(x * kLog2e); }

double exp_double(double x) { return exp_pair({x, 0.0}); }

double log_double(double x) { return log_pair(x).high; }

double pow_double(double base, double exponent) {
  const Pair log = log_pair(base);
  const double high = exponent * log.high;
  return exp_pair({high, fma(exponent, log.high, -high) + exponent * log.low});
}

SinCos sin_cos_double(double angle) {
  // angle = n pi/2 + r. n has at most 30 bits and the first part's last bit is 2^-52, so the first difference is
  // exact.
  const double n = __builtin_rint(angle * (1.0 / 1.5707963267948965580));
  const double first = fma(-n, kHalfPi.high, angle);
  const double r = fma(-n, kHalfPi.low, first);
  const double r_low = fma(-n, kHalfPi.low, first - r);
  const double z = r * r;
  // Taylor: |r| <= pi/4, so r^19 / 19! and r^18 / 18! are below 2^-58.
  constexpr double kSin[] = {1.0 / 355687428096000.0, -1.0 / 1307674368000.0, 1.0 / 6227020800.0, -1.0 / 39916800.0,
                             1.0 / 362880.0,          -1.0 / 5040.0,          1.0 / 120.0,        -1.0 / 6.0};
  constexpr double kCos[] = {1.0 / 20922789888000.0, -1.0 / 87178291200.0, 1.0 / 479001600.0, -1.0 / 3628800.0,
                             1.0 / 40320.0,          -1.0 / 720.0,         1.0 / 24.0};
  double s = kSin[0];
  for (int i = 1; i < 8; ++i) s = fma(s, z, kSin[i]);
  double c = kCos[0];
  for (int i = 1; i < 7; ++i) c = fma(c, z, kCos[i]);
  const double sine = r + fma(r * z, s, r_low);
  const double half = 0.5 * z;
  const double near_one = 1.0 - half;
  const double cosine = near_one + ((1.0 - near_one) - half + (z * z * c - r * r_low));
  switch (static_cast<int64_t>(n) & 3) {
    case 0: return {sine, cosine};
    case 1: return {cosine, -sine};
    case 2: return {-sine, -cosine};
    default: return {-cosine, sine};
  }
}

}  // namespace slipstream
