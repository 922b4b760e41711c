#include "app/step_limit.h"

#include <gtest/gtest.h>

namespace slipstream {
namespace {

// One dense layer whose numbers can be added up by hand. GB/s and TOPS such that bytes and operations are seconds.
struct Tiny {
  ModelConfig config;
  Weights weights;
  MachineLimits machine{1e-9, {}, 1e-12, 1e-12};

  Tiny() {
    config.num_heads = 2;
    config.num_kv_heads = 1;
    config.head_dim = 8;
    const auto matrix = [](uint32_t rows, uint32_t cols) {
      return PackedMatrix{{WeightType::kUnsigned, 4, 64, ScaleType::kBf16}, rows, cols, nullptr};
    };
    weights.lm_head = matrix(32, 64);
    LayerWeights layer;
    layer.q = layer.k = layer.v = layer.o = matrix(16, 64);
    layer.mlp = {matrix(16, 64), matrix(16, 64), matrix(16, 64)};
    weights.layers.push_back(layer);
  }
  double limit(const StepShape& shape, ActivationMode mode = ActivationMode::kInt16) const {
    return step_limit_s(config, weights, mode, shape, machine);
  }
};

constexpr double kPanelBytes = 576;            // 16 x 64 in 4 bits with scales and biases
constexpr double kPanelOperations = 2 * 16 * 64;

TEST(StepLimit, adds_up_each_products_larger_side) {
  Tiny tiny;
  tiny.machine.integer_tops = 1e3;  // so that bytes decide
  tiny.machine.fma_tops = 1e3;
  // Nine panels, and K and V of 11 tokens.
  EXPECT_DOUBLE_EQ(tiny.limit({1, 10, 1, 1}), 9 * kPanelBytes + 11 * 2 * 8 * 2);
  EXPECT_DOUBLE_EQ(tiny.limit({3, 10, 1, 1}), 9 * kPanelBytes + 3 * 11 * 2 * 8 * 2);

  tiny.machine = {1e3, {}, 1e-12, 1e3};  // now operations do
  EXPECT_NEAR(tiny.limit({3, 10, 1, 1}), 3 * 9 * kPanelOperations, 1e-3);
  // Of a prompt's rows one is sampled.
  EXPECT_NEAR(tiny.limit({1, 0, 5, 1}), (5 * 7 + 2) * kPanelOperations, 1e-3);
}

TEST(StepLimit, counts_what_each_row_of_a_prompt_sees) {
  Tiny tiny;
  tiny.machine = {1e3, {}, 1e3, 1e-12};
  // Rows at positions 4, 5, 6 see 5 + 6 + 7; two heads of 8, twice a product and a sum.
  EXPECT_NEAR(tiny.limit({1, 4, 3, 1}), 18.0 * 4 * 2 * 8, 1e-3);
}

TEST(StepLimit, fp32_activations_have_fp32s_peak_and_kv) {
  Tiny tiny;
  tiny.machine = {1e-9, {}, 1e3, 1e3};
  EXPECT_DOUBLE_EQ(tiny.limit({1, 10, 1, 1}, ActivationMode::kF32), 9 * kPanelBytes + 11 * 2 * 8 * 4);
  tiny.machine = {1e3, {}, 1e3, 1e-12};
  EXPECT_GT(tiny.limit({1, 0, 1, 1}, ActivationMode::kF32), 9 * kPanelOperations);
}

TEST(StepLimit, reads_only_experts_that_somebody_is_expected_to_choose) {
  EXPECT_DOUBLE_EQ(expected_experts(128, 8, 1), 8);
  EXPECT_NEAR(expected_experts(128, 8, 16), 82.4, 0.1);
  EXPECT_NEAR(expected_experts(4, 4, 3), 4, 1e-9);

  Tiny tiny;
  LayerWeights& layer = tiny.weights.layers.front();
  layer.router = layer.q;
  layer.experts.assign(8, layer.mlp);
  tiny.config.num_experts = 8;
  tiny.config.experts_per_token = 2;
  tiny.machine = {1e-9, {}, 1e3, 1e3};
  EXPECT_DOUBLE_EQ(tiny.limit({1, 0, 1, 1}), (2 + 4 + 1 + 2 * 3) * kPanelBytes + 2 * 8 * 2);
}

}  // namespace
}  // namespace slipstream
