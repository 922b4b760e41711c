#include "base/random.h"

#include <gtest/gtest.h>

namespace slipstream {
namespace {

using Words = std::array<uint32_t, 4>;

// The three answers that the authors' library publishes for philox4x32 with 10 rounds (Random123, kat_vectors).
TEST(Random, philox_gives_the_published_numbers) {
  EXPECT_EQ(philox4x32(0, {0, 0, 0, 0}), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  const uint32_t ones = 0xffffffff;
  EXPECT_EQ(philox4x32(~uint64_t{0}, {ones, ones, ones, ones}),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32(0x299f31d0a4093822, {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Random, philox_is_worked_out_by_the_compiler_too) {
  static_assert(philox4x32(0, {0, 0, 0, 0})[0] == 0x6627e8d5);
}

TEST(Random, unit_double_spans_zero_to_just_below_one) {
  EXPECT_EQ(unit_double({0, 0, 0, 0}), 0.0);
  EXPECT_EQ(unit_double({0, 0x7ff, 0, 0}), 0.0);  // the low 11 bits of the second word are not used
  EXPECT_EQ(unit_double({0x80000000, 0, 0, 0}), 0.5);
  EXPECT_EQ(unit_double({0xffffffff, 0xffffffff, 0, 0}), 1.0 - 0x1p-53);
}

// Counters differ in one place only; their numbers must not be alike.
TEST(Random, neighbouring_counters_are_uniform_and_independent) {
  double sum = 0, sum_squares = 0, sum_products = 0, last = 0.5;
  const uint32_t count = 100'000;
  for (uint32_t i = 0; i < count; ++i) {
    const double u = unit_double(philox4x32(42, {i, 0, 0, 0}));
    sum += u;
    sum_squares += u * u;
    sum_products += (u - 0.5) * (last - 0.5);
    last = u;
  }
  // Five standard errors: of the mean sqrt(1/12n) = 9e-4, of the square 9.4e-4, of the product 2.6e-4.
  EXPECT_NEAR(sum / count, 0.5, 5 * 9.2e-4);
  EXPECT_NEAR(sum_squares / count, 1.0 / 3, 5 * 9.5e-4);
  EXPECT_NEAR(sum_products / count, 0.0, 5 * 2.7e-4);
}

// The generator's own first numbers from state 0 (Vigna's splitmix64.c).
TEST(SplitMix64, gives_the_published_numbers) {
  EXPECT_EQ(splitmix64(0, 0), 0xe220a8397b1dcdafull);
  EXPECT_EQ(splitmix64(0, 1), 0x6e789e6aa1b965f4ull);
  EXPECT_EQ(splitmix64(0, 2), 0x06c45d188009454full);
}

}  // namespace
}  // namespace slipstream
