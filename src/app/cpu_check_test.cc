#include "app/cpu_check.h"

#include <gtest/gtest.h>

#include <string>

namespace slipstream {
namespace {

TEST(CpuCheck, this_processor_has_everything) {
  EXPECT_EQ(missing_feature(read_processor_bits()), nullptr);
}

TEST(CpuCheck, the_first_missing_feature_is_named) {
  ProcessorBits bits = read_processor_bits();
  bits.leaf7_ebx &= ~(1u << 5);
  EXPECT_STREQ(missing_feature(bits), "AVX2");
  bits.leaf1_ecx &= ~(1u << 12);
  EXPECT_STREQ(missing_feature(bits), "FMA");
  bits.leaf1_ecx &= ~(1u << 29);
  EXPECT_STREQ(missing_feature(bits), "F16C");
  EXPECT_STREQ(missing_feature({}), "SSSE3");
}

TEST(CpuCheck, a_system_that_does_not_save_avx_registers_counts_as_without) {
  ProcessorBits bits = read_processor_bits();
  bits.saved_state = 2;
  EXPECT_STREQ(missing_feature(bits), "saved AVX state");
}

}  // namespace
}  // namespace slipstream
