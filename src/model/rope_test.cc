#include "model/rope.h"

#include <gtest/gtest.h>

#include <cmath>

namespace slipstream {
namespace {

ModelConfig config_of(uint32_t head_dim, double theta, RopeScaling scaling = {}) {
  ModelConfig config;
  config.head_dim = head_dim;
  config.rope_theta = theta;
  config.rope_scaling = scaling;
  return config;
}

TEST(Rope, frequencies_are_the_powers_of_theta) {
  const RopeTable rope(config_of(64, 1'000'000.0));
  ASSERT_EQ(rope.num_pairs(), 32u);
  for (uint32_t pair = 0; pair < 32; ++pair) {
    const double expected = std::pow(1'000'000.0, -2.0 * pair / 64);
    EXPECT_NEAR(rope.frequencies()[pair] / expected, 1.0, 1e-14) << pair;
  }
}

TEST(Rope, angles_are_exact_to_fp32_far_into_the_context) {
  const RopeTable rope(config_of(128, 500'000.0));
  for (const uint32_t position : {0u, 1u, 7u, 4'095u, 131'071u, 1'000'003u}) {
    float cos[64], sin[64];
    rope.angles(position, cos, sin);
    for (uint32_t pair = 0; pair < 64; ++pair) {
      const double angle = rope.frequencies()[pair] * position;
      EXPECT_NEAR(cos[pair], std::cos(angle), 6e-8) << position << " " << pair;
      EXPECT_NEAR(sin[pair], std::sin(angle), 6e-8) << position << " " << pair;
    }
  }
}

// The three parts of llama3's rule, by its own description: short waves stay, long ones are slowed, between them a
// mixture that meets both.
TEST(Rope, llama3_scaling_slows_long_waves_only) {
  const RopeScaling scaling{
      .factor = 8.0, .low_freq_factor = 1.0, .high_freq_factor = 4.0, .original_max_position_embeddings = 8192};
  const RopeTable plain(config_of(128, 500'000.0));
  const RopeTable scaled(config_of(128, 500'000.0, scaling));
  uint32_t num_kept = 0, num_slowed = 0, num_mixed = 0;
  for (uint32_t pair = 0; pair < 64; ++pair) {
    const double before = plain.frequencies()[pair];
    const double after = scaled.frequencies()[pair];
    const double wavelength = 2.0 * M_PI / before;
    if (wavelength < 8192.0 / 4.0) {
      ++num_kept;
      EXPECT_EQ(after, before);
    } else if (wavelength > 8192.0) {
      ++num_slowed;
      EXPECT_DOUBLE_EQ(after, before / 8.0);
    } else {
      ++num_mixed;
      const double share = (8192.0 / wavelength - 1.0) / 3.0;
      EXPECT_NEAR(after / before, share + (1.0 - share) / 8.0, 1e-14);
    }
  }
  EXPECT_GT(num_kept, 0u);
  EXPECT_GT(num_slowed, 0u);
  EXPECT_GT(num_mixed, 0u);
}

TEST(Rope, a_gguf_files_divisors_slow_each_frequency_by_itself) {
  ModelConfig config = config_of(8, 500'000.0);
  const RopeTable plain(config);
  config.rope_divisors = {1.0f, 1.5f, 8.0f, 0.5f};
  const RopeTable divided(config);
  for (uint32_t pair = 0; pair < 4; ++pair) {
    EXPECT_EQ(divided.frequencies()[pair], plain.frequencies()[pair] / static_cast<double>(config.rope_divisors[pair]));
  }
}

}  // namespace
}  // namespace slipstream
