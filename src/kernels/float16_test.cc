#include "kernels/float16.h"

#include <gtest/gtest.h>
#include <immintrin.h>

#include "base/float_mode.h"
#include "kernels/avx2_lanes.h"
#include "kernels/random_matrices.h"

namespace slipstream {
namespace {

bool is_nan16(uint16_t bits) { return (bits & 0x7c00) == 0x7c00 && (bits & 0x3ff) != 0; }

TEST(Float16, widening_is_what_the_processor_does_for_all_65536_values) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    if (is_nan16(static_cast<uint16_t>(bits))) continue;
    EXPECT_EQ(std::bit_cast<uint32_t>(widen_fp16(static_cast<uint16_t>(bits))),
              std::bit_cast<uint32_t>(_cvtsh_ss(static_cast<uint16_t>(bits))))
        << bits;
  }
}

TEST(Float16, narrowing_is_what_the_processor_does) {
  Random random(1);
  for (int i = 0; i < 2000000; ++i) {
    // All exponents around fp16's range, and ties and their neighbours.
    uint32_t bits = static_cast<uint32_t>(random.bits());
    if (i % 2 == 0) bits = (bits & 0x807fffff) | (100 + random.below(46)) << 23;
    if (i % 4 == 0) bits = (bits & 0xffffe000) | 0x1000 >> random.below(8);
    const float value = std::bit_cast<float>(bits);
    if (value != value) continue;
    EXPECT_EQ(narrow_fp16(value), _cvtss_sh(value, _MM_FROUND_TO_NEAREST_INT)) << std::hex << bits;
  }
}

TEST(Float16, every_fp16_and_bf16_value_survives_the_way_there_and_back) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    if (!is_nan16(half)) {
      EXPECT_EQ(narrow_fp16(widen_fp16(half)), half);
    }
    EXPECT_EQ(narrow_bf16(std::bit_cast<float>(bits << 16 & 0xff7fffff)),
              bits & 0xff7f);  // exponents below infinity's
  }
}

TEST(Float16, avx2_rounds_every_fp16_value_to_the_nearest_bf16_in_three_operations) {
  FloatModeScope mode;
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    if ((half & 0x7c00) == 0x7c00) continue;  // infinity and NaN
    alignas(32) float rounded[8];
    _mm256_store_ps(rounded, round_fp16_to_bf16(_mm256_set1_ps(widen_fp16(half))));
    const float expected = widen_bf16(narrow_bf16(widen_fp16(half)));
    EXPECT_EQ(std::bit_cast<uint32_t>(rounded[0]), std::bit_cast<uint32_t>(expected)) << bits;
    const float rest = widen_fp16(half) - expected;
    EXPECT_EQ(widen_bf16(narrow_bf16(rest)), rest) << "the rest of " << bits << " is not a bf16";
  }
}

TEST(Float16, bf16_rounds_to_nearest_even) {
  EXPECT_EQ(narrow_bf16(std::bit_cast<float>(0x3f808000u)), 0x3f80);  // tie, even below
  EXPECT_EQ(narrow_bf16(std::bit_cast<float>(0x3f818000u)), 0x3f82);  // tie, even above
  EXPECT_EQ(narrow_bf16(std::bit_cast<float>(0x3f808001u)), 0x3f81);
  EXPECT_EQ(narrow_bf16(std::bit_cast<float>(0x3f807fffu)), 0x3f80);
}

}  // namespace
}  // namespace slipstream
