#include "kernels/scalar_math.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/float_mode.h"
#include "kernels/random_matrices.h"

namespace slipstream {
namespace {

double uniform(Random& random, double low, double high) {
  return low + (high - low) * static_cast<double>(random.bits() >> 11) * 0x1p-53;
}

// The distance from `exact` in units of its last place.
double ulps(double value, long double exact) {
  const double rounded = std::abs(static_cast<double>(exact));
  return static_cast<double>(std::abs(value - exact)) / (std::nextafter(rounded, INFINITY) - rounded);
}

constexpr int kSamples = 200000;

TEST(ScalarMath, exp2_and_exp_are_within_1e_7_of_libm) {
  Random random(1);
  for (int i = 0; i < kSamples; ++i) {
    const float x = random.uniform(-126, 126);
    EXPECT_NEAR(exp2_fixed(x) / std::exp2(static_cast<double>(x)), 1.0, 1e-7) << x;
    const float y = random.uniform(-20, 20);  // the product with log2e is rounded once, so the error grows with |y|
    EXPECT_NEAR(exp_fixed(y) / std::exp(static_cast<double>(y)), 1.0, 2e-6) << y;
  }
}

TEST(ScalarMath, exp2_clamps_and_is_exact_at_whole_numbers) {
  for (int n = -126; n <= 126; ++n) EXPECT_EQ(exp2_fixed(static_cast<float>(n)), std::ldexp(1.0f, n));
  EXPECT_EQ(exp2_fixed(-1000.0f), 0x1p-126f);
  EXPECT_EQ(exp2_fixed(-INFINITY), 0x1p-126f);
  EXPECT_EQ(exp2_fixed(1000.0f), 0x1p126f);
}

TEST(ScalarMath, double_functions_are_within_one_unit_of_the_last_place) {
  Random random(2);
  for (int i = 0; i < kSamples; ++i) {
    const double x = uniform(random, -700, 700);
    EXPECT_LT(ulps(exp_double(x), std::exp(static_cast<long double>(x))), 1.0) << x;
    const double positive = std::exp(uniform(random, -300, 300));
    EXPECT_LT(ulps(log_double(positive), std::log(static_cast<long double>(positive))), 1.0) << positive;
    const double near_one = uniform(random, 0.9, 1.1);
    EXPECT_LT(ulps(log_double(near_one), std::log(static_cast<long double>(near_one))), 1.0) << near_one;
    const double base = uniform(random, 1e4, 1e7), exponent = uniform(random, -1, 1);
    EXPECT_LT(ulps(pow_double(base, exponent),
                   std::pow(static_cast<long double>(base), static_cast<long double>(exponent))),
              1.0)
        << base << " " << exponent;
    const double angle = uniform(random, -1e9, 1e9) * std::exp(uniform(random, -20, 0));
    const SinCos both = sin_cos_double(angle);
    EXPECT_LT(ulps(both.sin, std::sin(static_cast<long double>(angle))), 1.0) << angle;
    EXPECT_LT(ulps(both.cos, std::cos(static_cast<long double>(angle))), 1.0) << angle;
  }
}

TEST(ScalarMath, edges) {
  EXPECT_EQ(exp_double(0.0), 1.0);
  EXPECT_EQ(exp_double(1000.0), INFINITY);
  EXPECT_EQ(exp_double(-1000.0), 0.0);
  EXPECT_EQ(log_double(1.0), 0.0);
  EXPECT_EQ(pow_double(10000.0, 0.0), 1.0);
  EXPECT_EQ(pow_double(500000.0, 1.0), 500000.0);
  EXPECT_EQ(sin_cos_double(0.0).sin, 0.0);
  EXPECT_EQ(sin_cos_double(0.0).cos, 1.0);
}

TEST(ScalarMath, has_the_committed_hash) {
  // Whoever computes: with or without FTZ|DAZ, whichever compiler.
  for (bool flush : {false, true}) {
    FloatModeScope mode;
    if (!flush) _mm_setcsr(0x1f80);
    Random random(3);
    uint64_t hash = 1469598103934665603ull;
    const auto add = [&](double value) { hash = (hash ^ std::bit_cast<uint64_t>(value)) * 1099511628211ull; };
    for (int i = 0; i < 10000; ++i) {
      add(exp_double(uniform(random, -50, 50)));
      add(log_double(uniform(random, 1e-3, 1e3)));
      const double base = uniform(random, 1e3, 1e6);
      add(pow_double(base, uniform(random, -1, 1)));
      const SinCos both = sin_cos_double(uniform(random, -1e5, 1e5));
      add(both.sin);
      add(both.cos);
      add(exp2_fixed(random.uniform(-126, 126)));
      add(exp_fixed(random.uniform(-80, 80)));
    }
    EXPECT_EQ(hash, 0x824a66c44b38828eu);
  }
}

}  // namespace
}  // namespace slipstream
